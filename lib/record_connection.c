// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Connection records. What belongs to the connection is written member by member, what belongs to
 * its process and to the host is put in as printed before. Every part has an upper bound, and their
 * sum is less than RECORD_MAX.
 */
#include "record_view.h"

#include "cgroup.h"
#include "utf8.h"

#include <arpa/inet.h>
#include <string.h>

#define PREFIX_BYTES 127
#define INTERFACE_BYTES 15
#define THREAD_BYTES 15
#define PROGRAM_BYTES 64

/* When printed: the whole of a place must find room in a record without a process. */
#define CGROUP_PRINTED_MAX 1024
#define NAME_PRINTED_MAX 255

static void add_time(struct record *r, struct json *j, const char *key, uint64_t real_ns)
{
	char text[ISO8601_MAX];

	iso8601_format(&r->times, real_ns, text);
	json_word(j, key, text);
}

/* "curl[812] 198.51.100.2 -> 203.0.113.9 port 443 ended, refused" */
static void add_message(struct json *j, const struct view *v)
{
	static const char *const verbs[] = { " attempted", " ended", " open" };
	const char *program = v->process ? record_program(v->process) : NULL;
	char text[PROGRAM_BYTES];

	json_open_text(j, "message");
	if (v->process) {
		if (!program && v->process->known & PROCESS_COMM)
			program = v->process->comm;
		if (program)
			json_add_text(j, text, utf8_clean_text(text, sizeof(text), program,
							       strlen(program), NULL));
		json_add_word(j, "[");
		json_add_number(j, v->process->pid);
		json_add_word(j, "]");
	} else {
		json_add_text(j, v->user[0] ? v->user : "-", v->user[0] ? strlen(v->user) : 1);
	}
	json_add_word(j, " ");
	json_add_word(j, v->source ? v->src : "*");
	json_add_word(j, " -> ");
	json_add_word(j, v->dst);
	if (v->ports) {
		json_add_word(j, " port ");
		json_add_number(j, ntohs(v->flow->tuple.dport));
	}
	json_add_word(j, verbs[v->action]);
	if (v->action == RECORD_CONNECTION_ENDED && v->flow->reason != REASON_NONE) {
		json_add_word(j, ", ");
		json_add_word(j, record_reason(v->flow->reason));
	}
	json_close_text(j);
}

static void add_numbered(struct json *j, const char *key, const char *prefix, const char *separator,
			 uint64_t number)
{
	json_open_text(j, key);
	json_add_word(j, prefix);
	json_add_word(j, separator);
	json_add_number(j, number);
	json_close_text(j);
}

/* What is the same for all of one kind, as printed: member by member it takes a tenth of the
 * time. */
static void add_kind(struct json *j, const struct view *v)
{
	static const char head[] = "\"kind\":\"event\",\"category\":[\"network\"],"
		"\"type\":[\"connection\",\"";
	static const char *const kinds[] = {
		"start\"],\"action\":\"connection_attempted",
		"end\"],\"action\":\"connection_ended",
		"info\"],\"action\":\"connection_open",
	};
	static const char denied[] = "end\",\"denied\"],\"action\":\"connection_ended";

	json_members(j, head, sizeof(head) - 1);
	if (v->action == RECORD_CONNECTION_ENDED && v->flow->reason == REASON_BLOCKED)
		json_add_word(j, denied);
	else
		json_add_word(j, kinds[v->action]);
	json_add_word(j, "\",\"module\":\"nfwho\",\"dataset\":\"nfwho.connection\"");
}

static void add_event(struct record *r, struct json *j, const struct view *v)
{
	const struct flow *flow = v->flow;
	uint64_t sequence = ++r->sequence;

	json_open(j, "event");
	add_kind(j, v);
	add_numbered(j, "id", r->config.host->run_id, ":", sequence);
	json_number(j, "sequence", sequence);
	add_time(r, j, "created", v->context->now_real_ns);
	if (flow->start_real_ns)
		add_time(r, j, "start", flow->start_real_ns);
	if (v->action == RECORD_CONNECTION_ENDED) {
		if (v->end_real_ns)
			add_time(r, j, "end", v->end_real_ns);
		if (v->end_real_ns && record_lasted(flow))
			json_number(j, "duration", flow->end_ns - flow->start_ns);
		if (record_outcome(flow))
			json_word(j, "outcome", record_outcome(flow));
		if (flow->reason != REASON_NONE)
			json_word(j, "reason", record_reason(flow->reason));
	}
	json_close(j);
}

static void add_limited(struct json *j, const char *key, const char *text, size_t max)
{
	json_text(j, key, text, strnlen(text, max));
}

/* The process object was left open for the thread. */
static void add_process(struct json *j, const struct view *v, const struct record_process *f)
{
	const struct process *p = v->process;
	const char *name = v->context->thread_name;
	uint32_t tid = v->flow->tid;

	if (!f->process_len)
		return;
	json_members(j, f->process, f->process_len);
	if ((!name || !name[0]) && p->known & PROCESS_COMM && (!tid || tid == p->pid))
		name = p->comm;
	if (tid || (name && name[0])) {
		json_open(j, "thread");
		if (tid)
			json_number(j, "id", tid);
		if (name && name[0])
			add_limited(j, "name", name, THREAD_BYTES);
		json_close(j);
	}
	json_close(j);
}

static void add_fitted(struct json *j, const char *key, const char *bytes, size_t max)
{
	char text[CGROUP_PRINTED_MAX + 1];

	utf8_clean(text, sizeof(text), bytes, strnlen(bytes, sizeof(text)), NULL);
	json_fit(text, max);
	if (text[0])
		json_text(j, key, text, strlen(text));
}

static void add_container(struct json *j, const struct cgroup_place *place)
{
	if (!place->container_id[0])
		return;
	json_open(j, "container");
	add_fitted(j, "id", place->container_id, NAME_PRINTED_MAX);
	if (place->container_runtime)
		json_word(j, "runtime", place->container_runtime);
	json_close(j);
}

/* The process is gone; where it ran is known. The nfwho object is left open. */
static void begin_nfwho(struct json *j, const struct view *v, const struct record_process *f)
{
	const char *path = v->flow->owner == OWNER_CGROUP ? v->context->cgroup_path : NULL;
	struct cgroup_place place = { 0 };

	if (f->nfwho_len) {
		json_members(j, f->nfwho, f->nfwho_len);
		return;
	}
	if (path && path[0])
		cgroup_describe(path, strlen(path), &place);
	add_container(j, &place);
	json_open(j, "nfwho");
	add_fitted(j, "unit", place.unit, NAME_PRINTED_MAX);
	if (path)
		add_fitted(j, "cgroup", path, CGROUP_PRINTED_MAX);
}

static void add_nfwho(struct record *r, struct json *j, const struct view *v,
		      const struct record_process *f)
{
	const struct record_context *context = v->context;
	const struct flow *flow = v->flow;

	begin_nfwho(j, v, f);
	add_numbered(j, "connection_id", r->config.host->series, "-", flow->number);
	json_word(j, "run_id", r->config.host->run_id);
	if (flow->owner != OWNER_UNDECIDED)
		json_word(j, "owner", record_rung(flow->owner));
	if (context->holders && context->holder_count > 1) {
		json_open_array(j, "holders");
		for (unsigned int i = 0; i < context->holder_count && i < OWNER_HOLDERS_MAX; i++)
			json_number(j, NULL, context->holders[i]);
		json_close_array(j);
	}
	if (view_has(v, FLOW_RESUMED))
		json_true(j, "resumed");
	if (view_has(v, FLOW_CT_ID))
		json_id(j, "conntrack_id", flow->ct_id);
	if (flow->mark)
		json_number(j, "mark", flow->mark);
	if (flow->syn_retransmits)
		json_number(j, "syn_retransmits", flow->syn_retransmits);
	if (flow->answer_ns && flow->start_ns && flow->answer_ns >= flow->start_ns)
		json_number(j, "connect_ns", flow->answer_ns - flow->start_ns);
	if (v->action != RECORD_CONNECTION_ATTEMPTED && record_conn_state(flow)[0])
		json_word(j, "conn_state", record_conn_state(flow));
	if (v->action == RECORD_CONNECTION_ATTEMPTED && flow->start_ns &&
	    !view_has(v, FLOW_EARLIER) && context->now_ns >= flow->start_ns)
		json_number(j, "owner_delay_ns", context->now_ns - flow->start_ns);
	json_close(j);
}

static void add_socket(struct json *j, const struct view *v)
{
	const struct record_context *context = v->context;

	if (view_has(v, FLOW_UID)) {
		json_open(j, "user");
		json_id(j, "id", v->flow->uid);
		if (v->user[0])
			json_text(j, "name", v->user, strlen(v->user));
		json_close(j);
	}
	if (view_has(v, FLOW_GID)) {
		json_open(j, "group");
		json_id(j, "id", v->flow->gid);
		json_close(j);
	}
	if (context->interface_out && context->interface_out[0]) {
		json_open(j, "observer");
		json_open(j, "egress");
		json_open(j, "interface");
		add_limited(j, "name", context->interface_out, INTERFACE_BYTES);
		json_close(j);
		json_close(j);
		json_close(j);
	}
	if (context->prefix && context->prefix[0]) {
		json_open(j, "rule");
		add_limited(j, "name", context->prefix, PREFIX_BYTES);
		json_close(j);
	}
}

int record_connection(struct record *r, enum record_action action, const struct flow *flow,
		      const struct record_context *context, char *buf, size_t size)
{
	struct record_process fragments = { 0 };
	uint64_t timestamp_ns = flow->start_real_ns;
	struct json j;
	struct view v;

	passwd_update(r->users, context->now_ns);
	view_init(&v, r, action, flow, context);
	if (v.process && record_process(r, flow->process, &fragments))
		r->incomplete++;
	if (action == RECORD_CONNECTION_ENDED)
		timestamp_ns = v.end_real_ns;
	if (!timestamp_ns || action == RECORD_CONNECTION_OPEN)
		timestamp_ns = context->now_real_ns;

	json_init(&j, buf, size > RECORD_MAX + 1 ? RECORD_MAX + 1 : size);
	json_open(&j, NULL);
	add_time(r, &j, "@timestamp", timestamp_ns);
	add_message(&j, &v);
	add_event(r, &j, &v);
	view_add_ends(&j, &v);
	view_add_network(&j, &v);
	add_process(&j, &v, &fragments);
	add_nfwho(r, &j, &v, &fragments);
	add_socket(&j, &v);
	view_add_related(r, &j, &v);
	json_members(&j, r->common, r->common_len);
	json_close(&j);
	return json_finish(&j);
}
