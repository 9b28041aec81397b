// SPDX-License-Identifier: GPL-2.0-or-later
#include "record_internal.h"

#include "cgroup.h"
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
		record_take(root, item);
	}
	cJSON_Delete(members);
	item = cJSON_GetObjectItemCaseSensitive(root, "nfwho");
	return item ? item : cJSON_AddObjectToObject(root, "nfwho");
}

static void add_container(cJSON *root, const char *id, const char *runtime)
{
	cJSON *object;

	if (!id[0])
		return;
	object = cJSON_AddObjectToObject(root, "container");
	record_add_text(object, "id", id, strlen(id), 128);
	record_add_text(object, "runtime", runtime, strlen(runtime), 32);
}

/* Returns the nfwho object. */
static cJSON *add_cgroup(cJSON *root, const char *path)
{
	struct cgroup_place place;
	cJSON *nfwho;

	cgroup_describe(path, strlen(path), &place);
	add_container(root, place.container_id,
		      place.container_runtime ? place.container_runtime : "");
	nfwho = cJSON_AddObjectToObject(root, "nfwho");
	record_add_text(nfwho, "unit", place.unit, strlen(place.unit), 255);
	record_add_text(nfwho, "cgroup", path, strlen(path), 1024);
	return nfwho;
}

static cJSON *add_owner(struct record *r, cJSON *root, const struct record_suppressed *s)
{
	struct record_process fragments;
	const char *name = record_base_name(s->executable);
	cJSON *object;

	/* Without memory record_print() makes none. */
	if (s->process && record_process(r, s->process, &fragments))
		return NULL;
	if (s->process)
		return take_members(root, &fragments);
	if (s->cgroup_path[0])
		return add_cgroup(root, s->cgroup_path);
	if (s->executable[0]) {
		object = cJSON_AddObjectToObject(root, "process");
		if (s->executable[0] == '/')
			record_add_text(object, "executable", s->executable,
					strlen(s->executable), 1024);
		record_add_text(object, "name", name, strlen(name), 255);
	}
	add_container(root, s->container_id, s->container_runtime);
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
		if (d->port)
			record_add_number(item, "port", ntohs(d->port));
		record_add_number(item, "count", d->count);
		record_append(array, item);
	}
}

static void add_suppressed(cJSON *nfwho, const struct record_suppressed *s)
{
	cJSON *object = cJSON_AddObjectToObject(nfwho, "suppressed"), *outcomes, *reasons;
	uint64_t known = s->successes + s->failures;

	record_add_number(object, "count", s->count);
	record_add_number(object, "ended", s->ended);
	if (s->others)
		cJSON_AddTrueToObject(object, "others");
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
		record_append(array, cJSON_CreateString(text));
	}
}

/* 12,345,678 */
static const char *grouped(uint64_t n, char text[static 32])
{
	char digits[24];
	int len = snprintf(digits, sizeof(digits), "%llu", (unsigned long long)n);
	char *to = text;

	for (int i = 0; i < len; i++) {
		if (i && (len - i) % 3 == 0)
			*to++ = ',';
		*to++ = digits[i];
	}
	*to = '\0';
	return text;
}

static void describe_addresses(const struct record_suppressed *s, char text[static 64])
{
	char number[32];

	if (s->destinations == 1 && s->top_count)
		tuple_address(s->top[0].family, &s->top[0].ip, text);
	else
		snprintf(text, 64, "%s%s addresses", s->destinations_estimated ? "\u2248" : "",
			 grouped(s->destinations, number));
}

static void describe_ports(const struct record_suppressed *s, char text[static 64])
{
	char number[32];

	text[0] = '\0';
	if (s->ports == 1 && s->top_count)
		snprintf(text, 64, ", port %u", ntohs(s->top[0].port));
	else if (s->ports)
		snprintf(text, 64, ", %s ports", grouped(s->ports, number));
}

void record_held_back(const struct record_suppressed *s, char text[static RECORD_HELD_BACK_MAX])
{
	char addresses[64], ports[64], number[32];

	if (!s->count) {
		snprintf(text, RECORD_HELD_BACK_MAX, "%s connections held back before have ended",
			 grouped(s->ended, number));
		return;
	}
	describe_addresses(s, addresses);
	describe_ports(s, ports);
	snprintf(text, RECORD_HELD_BACK_MAX, "%s connection%s held back: to %s%s",
		 grouped(s->count, number), s->count == 1 ? "" : "s", addresses, ports);
}

const char *record_held_back_program(const struct record_suppressed *s)
{
	const char *program = s->process ? record_program(s->process) : NULL;

	if (s->others)
		return "(others)";
	if (!program && s->process && s->process->known & PROCESS_COMM)
		program = s->process->comm;
	if (!program && s->executable[0])
		program = record_base_name(s->executable);
	return program && program[0] ? program : NULL;
}

/* "nmap[812] 10,000 connections held back: to 203.0.113.9, 10,000 ports" */
static void add_message(const struct record *r, cJSON *root, const struct record_suppressed *s)
{
	const char *who = record_held_back_program(s);
	char text[RECORD_HELD_BACK_MAX + 128], held[RECORD_HELD_BACK_MAX], pid[16] = "";
	char name[64];

	if (!who && s->has_uid && !s->foreign_userns)
		who = passwd_name(r->users, s->uid);
	if (!who || !who[0])
		who = "-";
	utf8_clean_text(name, sizeof(name), who, strlen(who), NULL);
	if (s->process)
		snprintf(pid, sizeof(pid), "[%u]", s->process->pid);
	record_held_back(s, held);
	snprintf(text, sizeof(text), "%s%s %s", name, pid, held);
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
	add_message(r, root, s);
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
