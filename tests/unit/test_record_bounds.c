// SPDX-License-Identifier: GPL-2.0-or-later
#include "example.h"
#include "record_internal.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define LONG (1 << 16)
#define VERY_LONG (2 << 20)

struct world {
	struct example example;
	struct record *record;
	FILE *lines;		/* all that was printed, for other readers */
	char path[64];
	unsigned int count;
};

static int set_up(void **state)
{
	struct world *w = calloc(1, sizeof(*w));
	int fd;

	if (!w)
		return -1;
	example_init(&w->example);
	strcpy(w->path, "/tmp/nfwho-lines-XXXXXX");
	fd = mkstemp(w->path);
	if (fd < 0)
		return -1;
	w->lines = fdopen(fd, "w");
	*state = w;
	return record_new(&w->record, &w->example.config);
}

static int tear_down(void **state)
{
	struct world *w = *state;

	fclose(w->lines);
	unlink(w->path);
	example_fini(&w->example);
	record_free(w->record);
	free(w);
	return 0;
}

/* cJSON does not mind bytes that are no UTF-8; the readers do. */
static void expect_line(struct world *w, const char *line, int len)
{
	cJSON *root;

	assert_true(len > 0 && len <= RECORD_MAX);
	assert_ptr_equal(strchr(line, '\n'), line + len - 1);
	for (int i = 0; i < len - 1; i++)
		assert_false((unsigned char)line[i] < 0x20 || line[i] == 0x7f ||
			     ((unsigned char)line[i] == 0xc2 && (unsigned char)line[i + 1] < 0xa0));
	root = cJSON_Parse(line);
	assert_non_null(root);
	cJSON_Delete(root);
	fputs(line, w->lines);
	w->count++;
}

static void expect_text(const char *line, int len)
{
	assert_true(len > 0);
	for (int i = 0; i < len - 1; i++)
		assert_false((unsigned char)line[i] < 0x20 || line[i] == 0x7f);
	assert_int_equal(line[len - 1], '\n');
}

/* What the process leaves room for is enough for all the rest. */
static void expect_connection(struct world *w, const char *line, int len)
{
	const struct process *p = &w->example.process;
	size_t process = p->fragment[0] ? p->fragment_len[0] + p->fragment_len[1] : 0;

	expect_line(w, line, len);
	assert_in_range(process, 0, w->record->process_max);
	if (process)
		assert_in_range(len - process, 1, RECORD_CONNECTION_MAX + w->record->common_len);
}

static void print_all(struct world *w)
{
	struct example *e = &w->example;
	char line[RECORD_MAX + 1];

	example_fini(e);
	for (enum record_action a = RECORD_CONNECTION_ATTEMPTED; a <= RECORD_CONNECTION_OPEN; a++) {
		expect_connection(w, line, record_connection(w->record, a, &e->flow, &e->context,
							     line, sizeof(line)));
		expect_line(w, line, record_ulogd(w->record, a, &e->flow, &e->context, line,
						  sizeof(line)));
		expect_text(line, record_text(w->record, a, &e->flow, &e->context, false, line,
					      sizeof(line)));
	}
	expect_line(w, line, record_suppressed(w->record, &e->suppressed, e->context.now_real_ns,
					       line, sizeof(line)));
	expect_text(line, record_suppressed_text(w->record, &e->suppressed, e->context.now_ns,
						 false, line, sizeof(line)));
	expect_line(w, line, record_ruleset_gap(w->record, &e->gap, e->context.now_real_ns, line,
						sizeof(line)));
}

static void set_strings(struct example *e, char *text, size_t len)
{
	e->process.executable = e->process.executed = e->process.directory = text;
	e->process.cgroup = e->process.unit = e->process.container_id = text;
	e->parent.executable = e->parent.executed = text;
	example_set_command_line(&e->process, text, len);
	example_set_command_line(&e->parent, text, len);
	memset(e->process.comm, 0, sizeof(e->process.comm));
	strncpy(e->process.comm, text, sizeof(e->process.comm) - 1);
	e->context.prefix = e->context.thread_name = e->context.interface_out = text;
	e->context.cgroup_path = text;
	e->suppressed.executable = e->suppressed.container_id = text;
	e->suppressed.cgroup_path = text;
	e->gap.program = text;
}

static void every_byte_in_every_string_is_taken(void **state)
{
	struct world *w = *state;
	char text[32];

	for (unsigned int byte = 1; byte < 256; byte++) {
		snprintf(text, sizeof(text), "/a%c/b%c%cc%c", byte, byte, byte, byte);
		set_strings(&w->example, text, strlen(text));
		print_all(w);
	}
}

static void random_bytes_are_taken(void **state)
{
	struct world *w = *state;
	char text[600];

	srandom(1);
	for (unsigned int i = 0; i < 300; i++) {
		size_t len = 1 + random() % (sizeof(text) - 1);

		for (size_t k = 0; k < len; k++)
			text[k] = 1 + random() % 255;
		text[len] = '\0';
		set_strings(&w->example, text, len);
		w->example.suppressed.process = i % 2 ? &w->example.process : NULL;
		if (i % 4)
			w->example.suppressed.cgroup_path = "";
		print_all(w);
	}
}

static void widest_numbers(struct example *e)
{
	struct flow *flow = &e->flow;

	e->process.pid = e->process.ppid = e->process.vpid = e->parent.pid = UINT32_MAX;
	e->process.pgid = e->process.sid = e->process.login_uid = UINT32_MAX - 1;
	e->process.uid = e->process.ruid = e->process.login_session = UINT32_MAX - 1;
	e->process.args_count = e->process.tty = UINT32_MAX;
	e->process.start_ticks = UINT64_MAX;
	flow->number = flow->bytes[0] = flow->packets[0] = flow->packets[1] = UINT64_MAX;
	flow->uid = flow->gid = flow->tid = flow->mark = flow->ct_id = UINT32_MAX;
	flow->syn_retransmits = UINT16_MAX;
	flow->seen = UINT32_MAX & ~(uint32_t)FLOW_INGRESS;
	flow->answer_ns = flow->end_ns = UINT64_MAX / 2;
	e->context.now_ns = UINT64_MAX - 1;
	e->context.now_real_ns = UINT64_MAX;
	flow->reason = REASON_BLOCKED;
	flow->tuple.family = AF_INET6;
	flow->tuple.protocol = IPPROTO_UDPLITE;
	memset(&flow->tuple.src, 0xfe, 16);
	memset(&flow->tuple.dst, 0xfd, 16);
	memset(&flow->reply_src, 0xfc, 16);
	memset(&flow->reply_dst, 0xfb, 16);
}

static void the_longest_of_everything_fits_a_line(void **state)
{
	static const char *const units[] = { "\001", "\"", "x", "\xff", "\xe2\x82\xac", " ", "/",
					     "a=", "\xf0\x9f\x98\x80", "\\", "\x7f", "\xc2\x9b",
					     "\xc2\x9b\xc2" };
	struct world *w = *state;
	uint32_t holders[OWNER_HOLDERS_MAX];
	char *text = malloc(LONG + 8);

	assert_non_null(text);
	for (unsigned int i = 0; i < OWNER_HOLDERS_MAX; i++)
		holders[i] = UINT32_MAX;
	widest_numbers(&w->example);
	w->example.context.holders = holders;
	w->example.context.holder_count = 100;
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		size_t step = strlen(units[i]), len = 0;

		for (; len + step <= LONG; len += step)
			memcpy(text + len, units[i], step);
		text[len] = '\0';
		set_strings(&w->example, text, len);
		for (enum owner_rung rung = OWNER_UNDECIDED; rung <= OWNER_TRACE; rung++) {
			w->example.flow.owner = rung;
			print_all(w);
		}
		assert_true(w->example.process.fragment_len[0] > 500);
	}
	free(text);
}

static void labels_take_their_room_from_the_process(void **state)
{
	struct world *w = *state;
	struct record *before = w->record;
	char value[1100], *text = malloc(LONG + 8);

	assert_non_null(text);
	memset(value, '"', 500);
	value[500] = '\0';
	memset(w->example.host.name, 'h', 255);
	w->example.labels[0].value = value;
	assert_int_equal(record_new(&w->record, &w->example.config), 0);
	widest_numbers(&w->example);
	memset(text, '\001', LONG);
	text[LONG] = '\0';
	set_strings(&w->example, text, LONG);
	print_all(w);
	record_free(w->record);
	w->record = before;
	free(text);
}

static void two_megabytes_are_no_different(void **state)
{
	struct world *w = *state;
	char *text = malloc(VERY_LONG + 1);

	assert_non_null(text);
	memset(text, 'x', VERY_LONG);
	for (size_t i = 9; i < VERY_LONG; i += 10)
		text[i] = '\0';
	text[VERY_LONG] = '\0';
	example_set_command_line(&w->example.process, text, VERY_LONG);
	print_all(w);
	memset(text, 'x', VERY_LONG);
	set_strings(&w->example, text, VERY_LONG);
	print_all(w);
	free(text);
}

static void a_cut_is_said_and_ends_at_a_character(void **state)
{
	struct world *w = *state;
	char line[RECORD_MAX + 1], *text = malloc(20001);
	const char *end;
	cJSON *root;

	assert_non_null(text);
	for (unsigned int i = 0; i < 20000; i += 2)
		memcpy(text + i, "\xc3\xa4", 3);
	example_set_command_line(&w->example.process, text, 20000);
	record_connection(w->record, RECORD_CONNECTION_ATTEMPTED, &w->example.flow,
			  &w->example.context, line, sizeof(line));
	root = cJSON_Parse(line);
	assert_non_null(root);
	assert_non_null(strstr(line, "\"truncated\":true"));
	assert_non_null(strstr(line, "\"executable\":\"/usr/bin/curl\""));
	assert_non_null(strstr(line, "\"command_line\":\"-bash\""));
	assert_null(strstr(line, "\xef\xbf\xbd"));
	end = strstr(line, "\xc3\xa4\",");
	assert_non_null(end);
	cJSON_Delete(root);
	free(text);
}

static void half_an_argument_is_not_shown(void **state)
{
	static const char args[] = "app\0--url\0https://me:hal";
	struct world *w = *state;
	char line[RECORD_MAX + 1];

	example_set_command_line(&w->example.process, args, sizeof(args) - 1);
	w->example.process.command_line_cut = true;
	record_connection(w->record, RECORD_CONNECTION_ATTEMPTED, &w->example.flow,
			  &w->example.context, line, sizeof(line));
	assert_non_null(strstr(line, "\"command_line\":\"app --url\""));
	assert_non_null(strstr(line, "\"truncated\":true"));
}

static void a_buffer_too_small_is_refused(void **state)
{
	struct world *w = *state;
	char line[RECORD_MAX + 1];

	for (size_t size = 1; size < 1500; size += 7) {
		assert_int_equal(record_connection(w->record, RECORD_CONNECTION_ENDED,
						   &w->example.flow, &w->example.context, line,
						   size), -ENOSPC);
	}
}

/* The other readers: as strict about UTF-8 as anything that takes these lines. */
static void python_and_jq_read_the_same_number_of_objects(void **state)
{
	struct world *w = *state;
	char command[512], answer[32] = "";
	FILE *pipe;

	every_byte_in_every_string_is_taken(state);
	fflush(w->lines);
	if (system("command -v python3 >/dev/null && command -v jq >/dev/null") != 0)
		skip();
	snprintf(command, sizeof(command), "python3 -c 'import json,sys; print(sum("
		 "isinstance(json.loads(l.decode(\"utf-8\",\"strict\")), dict) for l in "
		 "open(sys.argv[1],\"rb\")))' %s", w->path);
	pipe = popen(command, "r");
	assert_non_null(pipe);
	assert_non_null(fgets(answer, sizeof(answer), pipe));
	pclose(pipe);
	assert_int_equal(strtoul(answer, NULL, 10), w->count);
	snprintf(command, sizeof(command), "jq -n '[inputs|objects]|length' %s", w->path);
	pipe = popen(command, "r");
	assert_non_null(pipe);
	assert_non_null(fgets(answer, sizeof(answer), pipe));
	pclose(pipe);
	assert_int_equal(strtoul(answer, NULL, 10), w->count);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(every_byte_in_every_string_is_taken),
		TEST(random_bytes_are_taken),
		TEST(the_longest_of_everything_fits_a_line),
		TEST(labels_take_their_room_from_the_process),
		TEST(two_megabytes_are_no_different),
		TEST(a_cut_is_said_and_ends_at_a_character),
		TEST(half_an_argument_is_not_shown),
		TEST(a_buffer_too_small_is_refused),
		TEST(python_and_jq_read_the_same_number_of_objects),
	};

	return cmocka_run_group_tests_name("record bounds", tests, NULL, NULL);
}
