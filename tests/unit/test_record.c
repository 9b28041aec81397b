// SPDX-License-Identifier: GPL-2.0-or-later
#include "example.h"

#include <arpa/inet.h>
#include <cjson/cJSON.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fields.h"

struct world {
	struct example example;
	struct record *record;
	char line[RECORD_MAX + 1];
};

static int set_up(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	if (!w)
		return -1;
	example_init(&w->example);
	*state = w;
	return record_new(&w->record, &w->example.config);
}

static int tear_down(void **state)
{
	struct world *w = *state;

	example_fini(&w->example);
	record_free(w->record);
	free(w);
	return 0;
}

static cJSON *parse(const char *line, int len)
{
	cJSON *root;

	assert_true(len > 0 && len <= RECORD_MAX);
	assert_int_equal(line[len - 1], '\n');
	assert_ptr_equal(strchr(line, '\n'), line + len - 1);
	assert_int_equal(strlen(line), len);
	root = cJSON_Parse(line);
	assert_non_null(root);
	return root;
}

static cJSON *connection(struct world *w, enum record_action action)
{
	int len = record_connection(w->record, action, &w->example.flow, &w->example.context,
				    w->line, sizeof(w->line));

	return parse(w->line, len);
}

/* "a.b.c" */
static const cJSON *find(const cJSON *root, const char *path)
{
	char copy[128], *rest = copy, *key;

	snprintf(copy, sizeof(copy), "%s", path);
	while (root && (key = strsep(&rest, ".")))
		root = cJSON_GetObjectItemCaseSensitive(root, key);
	return root;
}

static const char *text(const cJSON *root, const char *path)
{
	const char *value = cJSON_GetStringValue(find(root, path));

	return value ? value : "(missing)";
}

static void every_field_has_a_name_and_type_of_the_lists(void **state)
{
	struct world *w = *state;
	struct example *e = &w->example;
	struct fields fields;
	int len;

	fields_open(&fields);
	for (enum record_action a = RECORD_CONNECTION_ATTEMPTED; a <= RECORD_CONNECTION_OPEN; a++) {
		cJSON *root = connection(w, a);

		fields_check(&fields, root);
		cJSON_Delete(root);
	}
	len = record_ledger(w->record, &e->ledger, e->sinks, 2, e->context.now_real_ns, w->line,
			    sizeof(w->line));
	fields_check_line(&fields, w->line, len);
	len = record_ruleset_gap(w->record, &e->gap, e->context.now_real_ns, w->line,
				 sizeof(w->line));
	fields_check_line(&fields, w->line, len);
	len = record_suppressed(w->record, &e->suppressed, e->context.now_real_ns, w->line,
				sizeof(w->line));
	fields_check_line(&fields, w->line, len);
	e->process.command_line_cut = true;
	e->process.known &= ~(uint32_t)(PROCESS_PARENT | PROCESS_EXECUTABLE);
	e->flow.seen |= FLOW_RESUMED;
	example_fini(e);
	cJSON_Delete(connection(w, RECORD_CONNECTION_ENDED));
	len = strlen(w->line);
	fields_check_line(&fields, w->line, len);
	fields_expect_all_of_ours(&fields);
	fields_close(&fields);
}

static void an_end_is_complete_in_itself(void **state)
{
	struct world *w = *state;
	cJSON *root = connection(w, RECORD_CONNECTION_ENDED);
	static const struct { const char *path, *value; } expected[] = {
		{ "@timestamp", "2026-01-02T03:04:07.000006Z" },
		{ "message", "curl[812] 198.51.100.1 -> 203.0.113.9 port 443 ended, closed" },
		{ "event.action", "connection_ended" }, { "event.outcome", "success" },
		{ "event.reason", "closed" }, { "event.start", "2026-01-02T03:04:05.000006Z" },
		{ "event.end", "2026-01-02T03:04:07.000006Z" },
		{ "event.created", "2026-01-02T03:04:08.000006Z" },
		{ "source.ip", "198.51.100.1" }, { "source.nat.ip", "198.51.100.200" },
		{ "destination.ip", "203.0.113.9" }, { "destination.nat.ip", "203.0.113.80" },
		{ "network.type", "ipv4" }, { "network.transport", "tcp" },
		{ "network.iana_number", "6" }, { "network.direction", "egress" },
		{ "process.name", "curl" }, { "process.executable", "/usr/bin/curl" },
		{ "process.command_line", "curl -sS https://example.org/" },
		{ "process.thread.name", "curl-resolver" },
		{ "process.start", "2026-01-02T03:04:04.000006Z" },
		{ "process.parent.command_line", "-bash" }, { "process.user.name", "root" },
		{ "user.id", "0" }, { "user.name", "root" }, { "group.id", "0" },
		{ "container.id", "0123456789ab" }, { "container.runtime", "docker" },
		{ "observer.egress.interface.name", "eth0" }, { "rule.name", "nfwho tcp" },
		{ "host.name", "web1.example.org" }, { "host.hostname", "web1" },
		{ "labels.site", "lab" }, { "nfwho.owner", "trace" }, { "nfwho.conn_state", "SF" },
		{ "nfwho.unit", "docker-0123.scope" }, { "nfwho.login.session", "3" },
		{ "nfwho.conntrack_id", "1561956371" },
		{ "nfwho.connection_id", "ffeeddccbbaa99887766554433221100-42" },
	};

	for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++)
		assert_string_equal(text(root, expected[i].path), expected[i].value);
	assert_non_null(strstr(w->line, "\"duration\":2000000000"));
	assert_non_null(strstr(w->line, "\"bytes\":9007199254740993,"));
	assert_non_null(strstr(w->line, "\"bytes\":18446744073709551615,"));
	cJSON_Delete(root);
}

/* event, message, @timestamp and owner_delay_ns are the start's own. */
static void expect_repeated(const cJSON *start, const cJSON *end)
{
	const cJSON *item, *other;

	cJSON_ArrayForEach(item, start) {
		if (strcmp(item->string, "event") == 0 || strcmp(item->string, "message") == 0 ||
		    strcmp(item->string, "@timestamp") == 0 ||
		    strcmp(item->string, "owner_delay_ns") == 0)
			continue;
		other = cJSON_GetObjectItemCaseSensitive(end, item->string);
		assert_non_null(other);
		if (cJSON_IsObject(item))
			expect_repeated(item, other);
		else
			assert_true(cJSON_Compare(item, other, true));
	}
}

/* conntrack may not know when it began. */
static void an_end_of_what_was_open_before_says_so(void **state)
{
	struct world *w = *state;
	cJSON *root = connection(w, RECORD_CONNECTION_ENDED);

	assert_null(find(root, "nfwho.resumed"));
	cJSON_Delete(root);
	w->example.flow.seen |= FLOW_RESUMED;
	w->example.flow.start_real_ns = 0;
	root = connection(w, RECORD_CONNECTION_ENDED);
	assert_true(cJSON_IsTrue(find(root, "nfwho.resumed")));
	assert_string_equal(text(root, "event.end"), "2026-01-02T03:04:07.000006Z");
	assert_null(find(root, "event.start"));
	assert_null(find(root, "event.duration"));
	cJSON_Delete(root);
}

static void an_end_repeats_its_start(void **state)
{
	struct world *w = *state;
	cJSON *start = connection(w, RECORD_CONNECTION_ATTEMPTED), *end;

	w->example.process.parent = NULL;
	end = connection(w, RECORD_CONNECTION_ENDED);
	expect_repeated(start, end);
	assert_string_not_equal(text(start, "event.id"), text(end, "event.id"));
	assert_int_equal(find(start, "event.sequence")->valueint + 1,
			 find(end, "event.sequence")->valueint);
	cJSON_Delete(start);
	cJSON_Delete(end);
}

static void what_becomes_known_later_is_printed(void **state)
{
	struct world *w = *state;
	struct process *p = &w->example.process;
	cJSON *root;

	p->known = PROCESS_COMM | PROCESS_EXECUTED;
	root = connection(w, RECORD_CONNECTION_ATTEMPTED);
	assert_string_equal(text(root, "process.executable"), "/bin/curl");
	assert_string_equal(text(root, "nfwho.executed"), "/bin/curl");
	assert_string_equal(text(root, "process.name"), "curl");
	cJSON_Delete(root);
	p->known |= PROCESS_EXECUTABLE;
	root = connection(w, RECORD_CONNECTION_ATTEMPTED);
	assert_string_equal(text(root, "process.executable"), "/usr/bin/curl");
	cJSON_Delete(root);
}

/* What was read of the parent was of the program that it ran next. */
static void what_was_anothers_is_not_printed_again(void **state)
{
	struct world *w = *state;
	cJSON *root = connection(w, RECORD_CONNECTION_ATTEMPTED);

	assert_string_equal(text(root, "process.parent.command_line"), "-bash");
	cJSON_Delete(root);
	w->example.parent.known &= ~(uint32_t)PROCESS_COMMAND_LINE;
	root = connection(w, RECORD_CONNECTION_ENDED);
	assert_int_equal(find(root, "process.parent.pid")->valueint, w->example.parent.pid);
	assert_null(find(root, "process.parent.command_line"));
	cJSON_Delete(root);
}

static void an_unknown_value_is_left_out(void **state)
{
	struct world *w = *state;
	struct flow flow = { .tuple = w->example.flow.tuple };
	struct record_context context = { .now_real_ns = 1000000000 };
	static const char *const absent[] = {
		"process", "container", "user", "group", "observer", "rule", "event.start",
		"event.end", "event.outcome", "event.reason", "event.duration", "source.port",
		"source.nat", "source.bytes", "network.community_id", "network.bytes",
		"nfwho.owner", "nfwho.mark", "nfwho.holders", "related.user",
	};
	cJSON *root;

	w->example.flow = flow;
	w->example.context = context;
	root = connection(w, RECORD_CONNECTION_ENDED);
	for (size_t i = 0; i < sizeof(absent) / sizeof(absent[0]); i++)
		assert_null(find(root, absent[i]));
	assert_string_equal(text(root, "@timestamp"), "1970-01-01T00:00:01.000000Z");
	assert_string_equal(text(root, "destination.ip"), "203.0.113.9");
	cJSON_Delete(root);
}

static void a_process_is_named_only_when_it_is_sure(void **state)
{
	struct world *w = *state;

	for (enum owner_rung rung = OWNER_UNDECIDED; rung <= OWNER_TRACE; rung++) {
		cJSON *root;

		w->example.flow.owner = rung;
		root = connection(w, RECORD_CONNECTION_ATTEMPTED);
		assert_int_equal(find(root, "process") != NULL,
				 rung == OWNER_TRACE || rung == OWNER_SOCKET);
		assert_int_equal(strstr(w->line, "curl\"") != NULL,
				 rung == OWNER_TRACE || rung == OWNER_SOCKET);
		cJSON_Delete(root);
	}
}

static void a_cgroup_tells_unit_and_container(void **state)
{
	struct world *w = *state;
	cJSON *root;

	w->example.flow.owner = OWNER_CGROUP;
	w->example.context.cgroup_path = "/system.slice/cron.service";
	root = connection(w, RECORD_CONNECTION_ATTEMPTED);
	assert_string_equal(text(root, "nfwho.unit"), "cron.service");
	assert_string_equal(text(root, "nfwho.cgroup"), "/system.slice/cron.service");
	assert_null(find(root, "container"));
	cJSON_Delete(root);
}

static void an_end_by_this_host_is_denied(void **state)
{
	struct world *w = *state;
	cJSON *root;

	w->example.flow.reason = REASON_BLOCKED;
	root = connection(w, RECORD_CONNECTION_ENDED);
	assert_non_null(strstr(w->line, "\"type\":[\"connection\",\"end\",\"denied\"]"));
	assert_string_equal(text(root, "event.outcome"), "failure");
	cJSON_Delete(root);
}

static void the_state_follows_from_the_evidence(void **state)
{
	static const struct { uint32_t seen; uint8_t reason, error, tcp_state; const char *name; }
	cases[] = {
		{ FLOW_ANSWERED, REASON_CLOSED, 0, 0, "SF" },
		{ FLOW_ANSWERED, REASON_NONE, 0, 0, "S1" },
		{ FLOW_ANSWERED, REASON_EXPIRED, 0, 0, "S1" },
		{ FLOW_ANSWERED | FLOW_DESTROY, REASON_NONE, 0, 0, "" },
		{ FLOW_ANSWERED | FLOW_RST, REASON_RESET, 0, 0, "" },
		{ FLOW_ANSWERED | FLOW_RST | FLOW_ERROR, REASON_RESET, ECONNRESET, 0, "RSTR" },
		{ FLOW_ANSWERED | FLOW_TCP_STATE | FLOW_PEER_CLOSED, REASON_EXPIRED, 0, 4, "S3" },
		{ FLOW_ANSWERED | FLOW_TCP_STATE | FLOW_CLOSED, REASON_EXPIRED, 0, 5, "S2" },
		{ 0, REASON_REFUSED, 0, 0, "REJ" }, { 0, REASON_TIMED_OUT, 0, 0, "S0" },
		{ 0, REASON_BLOCKED, 0, 0, "" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct flow flow = { .tuple.protocol = IPPROTO_TCP, .seen = cases[i].seen,
				     .reason = cases[i].reason, .error = cases[i].error,
				     .tcp_state = cases[i].tcp_state };

		assert_string_equal(record_conn_state(&flow), cases[i].name);
	}
}

static void an_entity_is_another_when_its_pid_is_used_again(void **state)
{
	struct world *w = *state;
	char first[64];
	cJSON *root = connection(w, RECORD_CONNECTION_ATTEMPTED);

	snprintf(first, sizeof(first), "%s", text(root, "process.entity_id"));
	cJSON_Delete(root);
	example_fini(&w->example);
	w->example.process.start_ticks++;
	root = connection(w, RECORD_CONNECTION_ATTEMPTED);
	assert_string_not_equal(text(root, "process.entity_id"), first);
	cJSON_Delete(root);
}

static void ulogd_keys_are_flat(void **state)
{
	struct world *w = *state;
	struct example *e = &w->example;
	cJSON *root;
	int len;

	len = record_ulogd(w->record, RECORD_CONNECTION_ATTEMPTED, &e->flow, &e->context, w->line,
			   sizeof(w->line));
	root = parse(w->line, len);
	assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(root, "timestamp")),
			    "2026-01-02T03:04:05.000006");
	assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(root, "src_ip")),
			    "198.51.100.1");
	assert_int_equal(cJSON_GetObjectItem(root, "oob.protocol")->valueint, 2048);
	assert_int_equal(cJSON_GetObjectItem(root, "src_port")->valueint, 44762);
	assert_int_equal(cJSON_GetObjectItem(root, "ppid")->valueint, 800);
	cJSON_Delete(root);
	len = record_ulogd(w->record, RECORD_CONNECTION_ENDED, &e->flow, &e->context, w->line,
			   sizeof(w->line));
	root = parse(w->line, len);
	assert_int_equal(cJSON_GetObjectItem(root, "orig.l4.dport")->valueint, 443);
	assert_int_equal(cJSON_GetObjectItem(root, "reply.l4.sport")->valueint, 8443);
	assert_int_equal(cJSON_GetObjectItem(root, "ct.event")->valueint, 4);
	assert_non_null(cJSON_GetObjectItem(root, "flow.start.sec"));
	cJSON_Delete(root);
	/* One that was open before this run, of which conntrack kept no time. */
	e->flow.start_real_ns = 0;
	memset(&e->flow.tuple.src, 0, sizeof(e->flow.tuple.src));
	len = record_ulogd(w->record, RECORD_CONNECTION_ENDED, &e->flow, &e->context, w->line,
			   sizeof(w->line));
	root = parse(w->line, len);
	assert_null(cJSON_GetObjectItem(root, "flow.start.sec"));
	assert_null(cJSON_GetObjectItem(root, "src_ip"));
	assert_non_null(cJSON_GetObjectItem(root, "dest_ip"));
	cJSON_Delete(root);
}

static void labels_that_leave_no_room_are_refused(void **state)
{
	struct world *w = *state;
	char value[RECORD_MAX];
	struct record *r;

	memset(value, 'x', sizeof(value) - 1);
	value[sizeof(value) - 1] = '\0';
	w->example.labels[0].value = value;
	assert_int_equal(record_new(&r, &w->example.config), -E2BIG);
}

/* What would set a terminal's title, written by whoever configures. */
static void controls_in_labels_are_escaped(void **state)
{
	struct world *w = *state;
	struct record *r;
	int len;

	w->example.labels[0].value = "a\xc2\x9b" "2J\x7f";
	assert_int_equal(record_new(&r, &w->example.config), 0);
	len = record_connection(r, RECORD_CONNECTION_ENDED, &w->example.flow, &w->example.context,
				w->line, sizeof(w->line));
	assert_in_range(len, 1, sizeof(w->line) - 1);
	assert_non_null(strstr(w->line, "\"a\\u009b2J\\u007f\""));
	record_free(r);
}

static unsigned int allocations, failing;	/* the one that fails; 0: none */

static void *fail_one(size_t size)
{
	if (++allocations != failing)
		return malloc(size);
	errno = ENOMEM;
	return NULL;
}

static int print_record(struct world *w, bool suppressed)
{
	if (suppressed)
		return record_suppressed(w->record, &w->example.suppressed, 1, w->line,
					 sizeof(w->line));
	return record_connection(w->record, RECORD_CONNECTION_ENDED, &w->example.flow,
				 &w->example.context, w->line, sizeof(w->line));
}

/* At a reload: the run goes on with what it had. */
static void labels_that_are_refused_change_nothing(void **state)
{
	struct world *w = *state;
	struct record_config config = w->example.config;
	struct record_label labels[2];
	char value[RECORD_MAX], before[RECORD_MAX + 1];
	int len;

	memset(value, 'x', sizeof(value) - 1);
	value[sizeof(value) - 1] = '\0';
	len = print_record(w, false);
	assert_int_equal(len, strlen(w->line));
	memcpy(before, w->line, (size_t)len + 1);
	memcpy(labels, config.labels, config.label_count * sizeof(labels[0]));
	labels[0].value = value;
	config.labels = labels;
	assert_int_equal(record_change(w->record, &config), -E2BIG);
	print_record(w, false);
	assert_string_equal(strstr(w->line, "\"ecs\""), strstr(before, "\"ecs\""));
}

/* cJSON would leave out what it has no memory for. Of a connection the rest is worth a record. */
static void whole_or_none(bool suppressed)
{
	cJSON_Hooks hooks = { .malloc_fn = fail_one, .free_fn = free };
	char whole[RECORD_MAX + 1] = "";
	unsigned int most = 1;
	int len;

	for (unsigned int n = 0; n <= most; n++) {
		void *state = NULL;
		struct world *w;

		assert_int_equal(set_up(&state), 0);
		w = state;
		allocations = 0;
		failing = n;
		cJSON_InitHooks(&hooks);
		len = print_record(w, suppressed);
		cJSON_InitHooks(NULL);
		if (n == 0) {
			most = allocations;
			memcpy(whole, w->line, sizeof(whole));
			assert_true(len > 0 && most > 10);
		} else {
			if (suppressed)
				assert_int_equal(len, -ENOMEM);
			else
				assert_null(strstr(w->line, "\"process\":"));
			assert_int_equal(record_incomplete(w->record), !suppressed);
			/* The next one of the process is as it should be. */
			assert_true(print_record(w, suppressed) > 0);
			assert_string_equal(strstr(w->line, "\"process\":"),
					    strstr(whole, "\"process\":"));
		}
		tear_down(&state);
	}
}

static void without_memory_a_process_or_a_summary_is_whole_or_none(void **state)
{
	(void)state;
	whole_or_none(false);
	whole_or_none(true);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_memory_a_process_or_a_summary_is_whole_or_none),
		TEST(every_field_has_a_name_and_type_of_the_lists),
		TEST(an_end_is_complete_in_itself),
		TEST(an_end_of_what_was_open_before_says_so),
		TEST(an_end_repeats_its_start),
		TEST(what_becomes_known_later_is_printed),
		TEST(what_was_anothers_is_not_printed_again),
		TEST(an_unknown_value_is_left_out),
		TEST(a_process_is_named_only_when_it_is_sure),
		TEST(a_cgroup_tells_unit_and_container),
		TEST(an_end_by_this_host_is_denied),
		TEST(the_state_follows_from_the_evidence),
		TEST(an_entity_is_another_when_its_pid_is_used_again),
		TEST(ulogd_keys_are_flat),
		TEST(labels_that_leave_no_room_are_refused),
		TEST(labels_that_are_refused_change_nothing),
		TEST(controls_in_labels_are_escaped),
	};

	return cmocka_run_group_tests_name("record", tests, NULL, NULL);
}
