// SPDX-License-Identifier: GPL-2.0-or-later
/* The list of open connections that one run leaves for the next: what goes in comes out, and of
 * anything else nothing does. */
#include "open_flows.h"
#include "process_image.h"
#include "refstr.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define KEPT 3000

struct world {
	struct flow flow;
	struct process *shell, *curl;
	char *list;
	size_t size;
	unsigned int count;
	struct flow found[4];
	char prefix[4][OPEN_FLOWS_PREFIX_MAX];
	struct process *kept[KEPT];
};

static const struct open_flows about = {
	.series = "00112233445566778899aabbccddeeff", .next_number = 100,
};

static struct process *process(uint32_t pid, const char *executable, const char *line, size_t len)
{
	struct process *p = process_image_new(pid);

	assert_non_null(p);
	p->start_ticks = pid * 10;
	p->executable = refstr_new(executable, strlen(executable));
	p->command_line = refstr_new(line, len);
	p->command_line_len = (uint32_t)len;
	p->known = PROCESS_START | PROCESS_EXECUTABLE | PROCESS_COMMAND_LINE | PROCESS_COMM |
		   PROCESS_NETNS;
	p->container_runtime = "podman";
	memcpy(p->comm, "comm", 5);
	return p;
}

static void write_list(struct world *w)
{
	struct open_flows_writer *writer;
	FILE *file = open_memstream(&w->list, &w->size);
	struct flow other = w->flow;

	assert_non_null(file);
	assert_int_equal(open_flows_begin(&writer, file, &about), 0);
	assert_int_equal(open_flows_add(writer, &w->flow, "nfwho"), 0);
	other.number = 99;
	other.process = w->shell;
	assert_int_equal(open_flows_add(writer, &other, ""), 0);
	assert_int_equal(open_flows_end(writer), 0);
	fclose(file);
}

static int set_up(void **state)
{
	struct world *w = calloc(1, sizeof(*w));
	be32 src = htonl(0xc6336401), dst = htonl(0xcb007109);

	w->shell = process(800, "/usr/bin/dash", "sh\0-c\0x", 7);
	w->curl = process(812, "/usr/bin/curl", "curl\0-s", 7);
	process_image_set_parent(w->curl, w->shell);
	process_image_set_parent(w->shell, w->shell);
	w->flow = (struct flow) {
		.number = 42, .seen = FLOW_STARTED | FLOW_PACKET | FLOW_CONNECT | FLOW_SHARED,
		.skaddr = 0xffff888012340000, .start_ns = 5, .start_real_ns = 6, .tcp_seq = 7,
		.ct_id = 8, .ct_zone = 9, .owner = OWNER_TRACE, .hook = NF_INET_LOCAL_OUT,
		.bytes = { 10, 11 }, .packets = { 12, 13 }, .process = w->curl, .queue = 3,
		.tuple_next = 17, .indexed = 1, .tid = 812,
		.tuple = { .protocol = IPPROTO_TCP, .sport = htons(1), .dport = htons(2) },
	};
	tuple_set_addresses(&w->flow.tuple, AF_INET, &src, &dst);
	write_list(w);
	*state = w;
	return 0;
}

static int tear_down(void **state)
{
	struct world *w = *state;

	for (unsigned int i = 0; i < w->count && i < 4; i++)
		process_unref(w->found[i].process);
	process_unref(w->curl);
	process_unref(w->shell);
	free(w->list);
	free(w);
	return 0;
}

static void take(const struct flow *f, const char *prefix, void *data)
{
	struct world *w = data;

	assert_true(w->count < 4);
	w->found[w->count] = *f;
	process_ref(f->process);
	memcpy(w->prefix[w->count++], prefix, strlen(prefix) + 1);
}

static void count(const struct flow *f, const char *prefix, void *data)
{
	struct world *w = data;

	(void)f;
	(void)prefix;
	w->count++;
}

static void what_goes_in_comes_out(void **state)
{
	struct world *w = *state;
	const struct process *p;
	struct open_flows head;

	assert_int_equal(open_flows_read(w->list, w->size, &head, take, w), 0);
	assert_int_equal(head.count, 2);
	assert_int_equal(head.next_number, 100);
	assert_string_equal(head.series, about.series);
	assert_int_equal(w->count, 2);
	assert_true(tuple_equal(&w->found[0].tuple, &w->flow.tuple));
	assert_int_equal(w->found[0].number, 42);
	assert_int_equal(w->found[1].number, 99);
	assert_int_equal(w->found[0].seen, FLOW_STARTED | FLOW_PACKET);
	assert_int_equal(w->found[0].tcp_seq, 7);
	assert_int_equal(w->found[0].bytes[1], 11);
	assert_int_equal(w->found[0].queue + w->found[0].tuple_next + w->found[0].indexed, 0);
	assert_string_equal(w->prefix[0], "nfwho");
	p = w->found[0].process;
	assert_string_equal(p->executable, "/usr/bin/curl");
	assert_int_equal(p->command_line_len, 7);
	assert_memory_equal(p->command_line, "curl\0-s", 8);
	assert_string_equal(p->container_runtime, "podman");
	assert_int_equal(p->known, w->curl->known & ~(uint32_t)PROCESS_NETNS);
	assert_null(p->executed);
	assert_string_equal(p->parent->executable, "/usr/bin/dash");
	assert_string_equal(w->found[1].process->executable, "/usr/bin/dash");
}

/* A packet's word, which conntrack never confirmed: the next run would wait for its end. */
static void an_entry_that_may_never_have_been_is_not_handed_over(void **state)
{
	struct world *w = *state;
	struct open_flows found;

	for (int confirmed = 0; confirmed < 2; confirmed++) {
		w->flow.seen |= FLOW_CT_ID;
		w->flow.ct_unconfirmed = !confirmed;
		free(w->list);
		write_list(w);
		assert_int_equal(open_flows_read(w->list, w->size, &found, take, w), 0);
		assert_int_equal(w->count, 2 + 2 * confirmed);
		assert_int_equal(flow_has_entry(&w->found[2 * confirmed]), confirmed);
	}
}

static void a_list_without_its_end_is_none(void **state)
{
	struct world *w = *state;
	struct open_flows head;

	for (size_t size = 0; size < w->size; size++) {
		char *part = malloc(size ? size : 1);

		memcpy(part, w->list, size);
		assert_int_equal(open_flows_read(part, size, &head, take, w), -EBADMSG);
		free(part);
	}
	assert_int_equal(w->count, 0);
	w->list = realloc(w->list, w->size + 1);
	w->list[w->size] = 0;
	assert_int_equal(open_flows_read(w->list, w->size + 1, &head, take, w), -EBADMSG);
	assert_int_equal(w->count, 0);
}

/* However long command lines are. */
static void a_list_is_no_longer_than_it_may_be(void **state)
{
	struct world *w = *state;
	struct open_flows_writer *writer;
	struct open_flows head;
	FILE *file;
	uint32_t added = 0;
	int ret = 0;

	free(w->list);
	file = open_memstream(&w->list, &w->size);
	assert_int_equal(open_flows_begin(&writer, file, &about), 0);
	while (!ret) {
		struct process *p = process_image_new(1);
		char line[60000] = "";

		p->command_line = refstr_new(line, sizeof(line));
		p->command_line_len = sizeof(line);
		w->kept[added % KEPT] = p;
		w->flow.process = p;
		ret = open_flows_add(writer, &w->flow, "");
		added += !ret;
		assert_true(added < KEPT);
	}
	assert_int_equal(ret, -ENOSPC);
	assert_int_equal(open_flows_end(writer), 0);
	fclose(file);
	assert_true(w->size <= OPEN_FLOWS_BYTES_MAX);
	assert_true(w->size > OPEN_FLOWS_BYTES_MAX - (1 << 20));
	for (unsigned int i = 0; i < KEPT; i++)
		process_unref(w->kept[i]);
	assert_int_equal(open_flows_read(w->list, w->size, &head, count, w), 0);
	assert_int_equal(head.count, added);
	assert_int_equal(w->count, added);
	w->count = 0;
}

static void look(const struct flow *f, const char *prefix, void *data)
{
	struct world *w = data;

	assert_true(f->tuple.family == AF_INET || f->tuple.family == AF_INET6);
	assert_true(f->owner > OWNER_UNDECIDED && f->owner <= OWNER_TRACE);
	assert_true(f->number && f->seen & FLOW_STARTED && !(f->seen & FLOW_CONNECT));
	assert_true(strlen(prefix) < OPEN_FLOWS_PREFIX_MAX);
	w->count++;
}

/* Whatever one byte may become: it is refused, or what is handed on is within bounds. */
static void no_byte_can_do_harm(void **state)
{
	static const uint8_t masks[] = { 0xff, 0x80, 0x01, 0x7f };
	struct world *w = *state;
	struct open_flows head;

	for (size_t at = 0; at < w->size; at++) {
		for (unsigned int i = 0; i < sizeof(masks); i++) {
			int ret;

			w->list[at] = (char)(w->list[at] ^ masks[i]);
			w->count = 0;
			ret = open_flows_read(w->list, w->size, &head, look, w);
			assert_true(ret == 0 || ret == -EBADMSG);
			assert_int_equal(w->count, ret == 0 ? 2 : 0);
			w->list[at] = (char)(w->list[at] ^ masks[i]);
		}
	}
	w->count = 0;
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(what_goes_in_comes_out),
		TEST(an_entry_that_may_never_have_been_is_not_handed_over),
		TEST(a_list_without_its_end_is_none),
		TEST(a_list_is_no_longer_than_it_may_be),
		TEST(no_byte_can_do_harm),
	};

	return cmocka_run_group_tests_name("open_flows", tests, NULL, NULL);
}
