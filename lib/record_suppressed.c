// SPDX-License-Identifier: GPL-2.0-or-later
#include "record_internal.h"

#include "utf8.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

/* Members printed for the process's connections, taken over into a record made with cJSON.
 * Returns the nfwho object. */
static cJSON *take_members(cJSON *root, const struct record_process *f)
{
	char text[2 * RECORD_MAX];
	cJSON *members, *item;

	snprintf(text, sizeof(text), "{%.*s},%.*s}}", (int)f->process_len, f->process,
		 (int)f->nfwho_len, f->nfwho);
	members = cJSON_Parse(text);
	while (members && members->child) {
		item = cJSON_DetachItemViaPointer(members, members->child);
		cJSON_AddItemToObject(root, item->string, item);
	}
	cJSON_Delete(members);
	item = cJSON_GetObjectItemCaseSensitive(root, "nfwho");
	return item ? item : cJSON_AddObjectToObject(root, "nfwho");
}

static cJSON *add_owner(struct record *r, cJSON *root, const struct record_suppressed *s)
{
	struct record_process fragments;
	const char *slash;
	cJSON *object;

	if (s->process) {
		record_process(r, s->process, &fragments);
		return take_members(root, &fragments);
	}
	if (s->executable[0]) {
		object = cJSON_AddObjectToObject(root, "process");
		record_add_text(object, "executable", s->executable, strlen(s->executable), 1024);
		slash = strrchr(s->executable, '/');
		slash = slash ? slash + 1 : s->executable;
		record_add_text(object, "name", slash, strlen(slash), 255);
	}
	if (s->container_id[0]) {
		object = cJSON_AddObjectToObject(root, "container");
		record_add_text(object, "id", s->container_id, strlen(s->container_id), 128);
		record_add_text(object, "runtime", s->container_runtime,
				strlen(s->container_runtime), 32);
	}
	return cJSON_AddObjectToObject(root, "nfwho");
}

static void add_user(const struct record *r, cJSON *root, const struct record_suppressed *s)
{
	const char *name = s->foreign_userns ? "" : passwd_name(r->users, s->uid);
	char id[16];
	cJSON *user;

	if (!s->has_uid)
		return;
	snprintf(id, sizeof(id), "%u", s->uid);
	user = cJSON_AddObjectToObject(root, "user");
	cJSON_AddStringToObject(user, "id", id);
	record_add_text(user, "name", name, strlen(name), 255);
}

static unsigned int top_count(const struct record_suppressed *s)
{
	return s->top_count < RECORD_TOP_MAX ? s->top_count : RECORD_TOP_MAX;
}

static void add_top(cJSON *object, const struct record_suppressed *s)
{
	cJSON *array = cJSON_AddArrayToObject(object, "top");
	char text[TUPLE_ADDRESS_MAX];

	for (unsigned int i = 0; i < top_count(s); i++) {
		const struct record_destination *d = &s->top[i];
		cJSON *item = cJSON_CreateObject();

		cJSON_AddStringToObject(item, "ip", tuple_address(d->family, &d->ip, text));
		record_add_number(item, "port", ntohs(d->port));
		record_add_number(item, "count", d->count);
		cJSON_AddItemToArray(array, item);
	}
}

static void add_suppressed(cJSON *nfwho, const struct record_suppressed *s)
{
	cJSON *object = cJSON_AddObjectToObject(nfwho, "suppressed"), *outcomes, *reasons;
	uint64_t known = s->successes + s->failures;

	record_add_number(object, "count", s->count);
	record_add_number(object, "ended", s->ended);
	outcomes = cJSON_AddObjectToObject(object, "outcomes");
	record_add_number(outcomes, "success", s->successes);
	record_add_number(outcomes, "failure", s->failures);
	record_add_number(outcomes, "undecided", s->ended > known ? s->ended - known : 0);
	reasons = cJSON_AddObjectToObject(object, "reasons");
	for (enum flow_reason reason = REASON_CLOSED; reason <= REASON_ABORTED; reason++) {
		if (s->reasons[reason])
			record_add_number(reasons, record_reason(reason), s->reasons[reason]);
	}
	record_add_number(object, "destinations", s->destinations);
	record_add_number(object, "ports", s->ports);
	if (top_count(s))
		add_top(object, s);
}

static void add_bytes(cJSON *root, const struct record_suppressed *s)
{
	if (!s->has_bytes)
		return;
	record_add_number(cJSON_AddObjectToObject(root, "source"), "bytes", s->bytes[0]);
	record_add_number(cJSON_AddObjectToObject(root, "destination"), "bytes", s->bytes[1]);
	record_add_number(cJSON_AddObjectToObject(root, "network"), "bytes",
			  s->bytes[0] + s->bytes[1]);
}

static bool listed_before(const struct record_suppressed *s, unsigned int i)
{
	for (unsigned int k = 0; k < i; k++) {
		if (s->top[k].family == s->top[i].family &&
		    memcmp(&s->top[k].ip, &s->top[i].ip, sizeof(s->top[i].ip)) == 0)
			return true;
	}
	return false;
}

static void add_related(cJSON *root, const struct record_suppressed *s)
{
	char text[TUPLE_ADDRESS_MAX];
	cJSON *array;

	if (!top_count(s))
		return;
	array = cJSON_AddArrayToObject(cJSON_AddObjectToObject(root, "related"), "ip");
	for (unsigned int i = 0; i < top_count(s); i++) {
		if (listed_before(s, i))
			continue;
		tuple_address(s->top[i].family, &s->top[i].ip, text);
		cJSON_AddItemToArray(array, cJSON_CreateString(text));
	}
}

static void add_message(cJSON *root, const struct record_suppressed *s)
{
	const char *program = s->process ? record_program(s->process) : s->executable;
	char text[256], name[64] = "";

	if (program)
		utf8_clean(name, sizeof(name), program, strlen(program), NULL);
	snprintf(text, sizeof(text), "%s: %llu connections to %llu addresses and %llu ports "
		 "held back by the rate limit", name[0] ? name : "(program not known)",
		 (unsigned long long)s->count, (unsigned long long)s->destinations,
		 (unsigned long long)s->ports);
	cJSON_AddStringToObject(root, "message", text);
}

int record_suppressed(struct record *r, const struct record_suppressed *s, uint64_t now_real_ns,
		      char *buf, size_t size)
{
	cJSON *event, *root, *nfwho;

	root = record_begin(r, "connections_suppressed", "event", "nfwho.connection",
			    s->interval_end_real_ns, now_real_ns, &event);
	record_add_types(event, "network", "connection", "info");
	if (s->first_real_ns)
		record_add_time(r, event, "start", s->first_real_ns);
	if (s->last_real_ns)
		record_add_time(r, event, "end", s->last_real_ns);
	add_message(root, s);
	nfwho = add_owner(r, root, s);
	cJSON_AddStringToObject(nfwho, "run_id", r->config.host->run_id);
	if (s->owner != OWNER_UNDECIDED)
		cJSON_AddStringToObject(nfwho, "owner", record_rung(s->owner));
	add_suppressed(nfwho, s);
	add_user(r, root, s);
	add_bytes(root, s);
	add_related(root, s);
	return record_print(root, buf, size);
}
