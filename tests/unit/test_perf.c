// SPDX-License-Identifier: GPL-2.0-or-later
/* Rings in plain memory, written here as the kernel would. */
#include "merge.h"

#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define PAGE 4096
#define RING 4096
#define EXEC_ID 100
#define STATE_ID 200

static const char state_format[] =
	"\tfield:const void * skaddr;\toffset:8;\tsize:8;\tsigned:0;\n"
	"\tfield:int oldstate;\toffset:16;\tsize:4;\tsigned:1;\n"
	"\tfield:int newstate;\toffset:20;\tsize:4;\tsigned:1;\n"
	"\tfield:__u16 sport;\toffset:24;\tsize:2;\tsigned:0;\n"
	"\tfield:__u16 dport;\toffset:26;\tsize:2;\tsigned:0;\n"
	"\tfield:__u16 family;\toffset:28;\tsize:2;\tsigned:0;\n"
	"\tfield:__u16 protocol;\toffset:30;\tsize:2;\tsigned:0;\n"
	"\tfield:__u8 saddr[4];\toffset:32;\tsize:4;\tsigned:0;\n"
	"\tfield:__u8 daddr[4];\toffset:36;\tsize:4;\tsigned:0;\n"
	"\tfield:__u8 saddr_v6[16];\toffset:40;\tsize:16;\tsigned:0;\n"
	"\tfield:__u8 daddr_v6[16];\toffset:56;\tsize:16;\tsigned:0;\n";

static const char exec_format[] =
	"\tfield:__data_loc char[] filename;\toffset:8;\tsize:4;\tsigned:0;\n"
	"\tfield:pid_t old_pid;\toffset:16;\tsize:4;\tsigned:1;\n";

struct fixture {
	struct watch watch[2];
	uint8_t memory[2][PAGE + RING] __attribute__((aligned(4096)));
	struct merge merge;
	struct perf_event seen[256];
	char text[256][32];
	size_t count;
};

static void watch_prepare(struct watch *w, void *memory, uint32_t cpu, uint64_t start)
{
	struct perf_event_mmap_page *control = memory;

	control->data_head = control->data_tail = start;
	w->cpu = cpu;
	for (int i = 0; i < SAMPLE_SOURCES; i++)
		w->fd[i] = -1;
	w->id[SAMPLE_EXEC] = EXEC_ID;
	w->id[SAMPLE_SOCKET_STATE] = STATE_ID;
	ring_init(&w->ring, memory, PAGE, RING);
}

static int set_up(void **state)
{
	struct fixture *f = aligned_alloc(4096, sizeof(*f) + 4096 - sizeof(*f) % 4096);

	memset(f, 0, sizeof(*f));
	f->merge.layout.cgroup = true;
	assert_int_equal(sample_layout_parse(&f->merge.layout, SAMPLE_SOCKET_STATE, state_format,
					     strlen(state_format)), 0);
	assert_int_equal(sample_layout_parse(&f->merge.layout, SAMPLE_EXEC, exec_format,
					     strlen(exec_format)), 0);
	for (uint32_t i = 0; i < 2; i++) {
		watch_prepare(&f->watch[i], f->memory[i], i, 0);
		assert_int_equal(merge_add(&f->merge, &f->watch[i]), 0);
	}
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	merge_fini(&f->merge);
	free(f);
	return 0;
}

static void ring_put(struct watch *w, const void *record, size_t size)
{
	struct perf_event_mmap_page *control = w->ring.control;
	uint8_t *data = (uint8_t *)control + PAGE;

	assert_true(control->data_head + size - control->data_tail <= RING);
	for (size_t i = 0; i < size; i++)
		data[(control->data_head + i) % RING] = ((const uint8_t *)record)[i];
	control->data_head += size;
}

struct bytes {
	uint8_t at[512];
	size_t len;
};

static void add(struct bytes *b, const void *data, size_t len)
{
	memcpy(b->at + b->len, data, len);
	b->len += len;
}

static void add_u32(struct bytes *b, uint32_t value)
{
	add(b, &value, sizeof(value));
}

static void add_u64(struct bytes *b, uint64_t value)
{
	add(b, &value, sizeof(value));
}

static struct bytes record_begin(uint32_t type)
{
	struct perf_event_header header = { .type = type };
	struct bytes b = { .len = 0 };

	add(&b, &header, sizeof(header));
	return b;
}

static void record_put(struct watch *w, struct bytes *b)
{
	((struct perf_event_header *)b->at)->size = b->len;
	ring_put(w, b->at, b->len);
}

static void add_sample_id(struct bytes *b, uint32_t pid, uint64_t time_ns)
{
	add_u32(b, pid);
	add_u32(b, pid);
	add_u64(b, time_ns);
	add_u64(b, 1);
}

static void put_sample(struct watch *w, uint64_t id, uint32_t pid, uint64_t time_ns,
		       const void *raw, uint32_t raw_len)
{
	static const uint8_t zero[8];
	struct bytes b = record_begin(PERF_RECORD_SAMPLE);
	uint32_t padded = (raw_len + 4 + 7) / 8 * 8 - 4;

	add_u64(&b, id);
	add_u32(&b, pid);
	add_u32(&b, pid + 1);
	add_u64(&b, time_ns);
	add_u32(&b, padded);
	add(&b, raw, raw_len);
	add(&b, zero, padded - raw_len);
	add_u64(&b, 4711);
	record_put(w, &b);
}

static void put_state_of(struct watch *w, uint32_t pid, uint64_t time_ns, uint16_t family,
			 uint16_t protocol)
{
	uint8_t raw[72] = { 0 };
	uint64_t skaddr = 0xffff888100000000;
	uint32_t states[2] = { TCP_CLOSE, TCP_SYN_SENT };
	uint16_t words[4] = { 40000, 443, family, protocol };

	memcpy(raw + 8, &skaddr, sizeof(skaddr));
	memcpy(raw + 16, states, sizeof(states));
	memcpy(raw + 24, words, sizeof(words));
	inet_pton(AF_INET, "198.51.100.1", raw + 32);
	inet_pton(AF_INET, "203.0.113.9", raw + 36);
	inet_pton(AF_INET6, "::ffff:198.51.100.1", raw + 40);
	inet_pton(AF_INET6, "::ffff:203.0.113.9", raw + 56);
	put_sample(w, STATE_ID, pid, time_ns, raw, sizeof(raw));
}

static void put_state(struct watch *w, uint32_t pid, uint64_t time_ns)
{
	put_state_of(w, pid, time_ns, AF_INET, IPPROTO_TCP);
}

static void put_lost(struct watch *w, uint64_t time_ns, uint64_t count)
{
	struct bytes b = record_begin(PERF_RECORD_LOST);

	add_u64(&b, 1);
	add_u64(&b, count);
	add_sample_id(&b, 1, time_ns);
	record_put(w, &b);
}

static void remember(const struct perf_event *event, void *data)
{
	struct fixture *f = data;

	assert_true(f->count < 256);
	if (event->kind == PERF_EXEC)
		strncpy(f->text[f->count], event->exec.filename, 31);
	if (event->kind == PERF_COMM)
		strncpy(f->text[f->count], event->comm.comm, 31);
	f->seen[f->count++] = *event;
}

static int drain(struct fixture *f, uint64_t until_ns)
{
	f->count = 0;
	return merge_read(&f->merge, until_ns, remember, f);
}

static void a_transition_is_decoded_in_full(void **state)
{
	struct fixture *f = *state;
	const struct perf_event *e = &f->seen[0];
	char text[TUPLE_ADDRESS_MAX];

	put_state(&f->watch[1], 77, 1000);
	assert_int_equal(drain(f, UINT64_MAX), 1);
	assert_int_equal(e->kind, PERF_SOCKET_STATE);
	assert_int_equal(e->time_ns, 1000);
	assert_int_equal(e->pid, 77);
	assert_int_equal(e->tid, 78);
	assert_int_equal(e->cgroup_id, 4711);
	assert_int_equal(e->cpu, 1);
	assert_true(e->socket.skaddr == 0xffff888100000000);
	assert_int_equal(e->socket.old_state, TCP_CLOSE);
	assert_int_equal(e->socket.new_state, TCP_SYN_SENT);
	assert_int_equal(e->socket.protocol, IPPROTO_TCP);
	assert_int_equal(e->socket.tuple.family, AF_INET);
	assert_int_equal(ntohs(e->socket.tuple.sport), 40000);
	assert_int_equal(ntohs(e->socket.tuple.dport), 443);
	assert_string_equal(tuple_address(AF_INET, &e->socket.tuple.dst, text), "203.0.113.9");
	assert_int_equal(f->merge.stats.transitions, 1);
}

static void a_v4_mapped_socket_has_an_ipv4_tuple(void **state)
{
	struct fixture *f = *state;

	put_state_of(&f->watch[0], 1, 1, AF_INET6, IPPROTO_TCP);
	put_state_of(&f->watch[0], 1, 2, AF_INET, IPPROTO_TCP);
	assert_int_equal(drain(f, UINT64_MAX), 2);
	assert_true(tuple_equal(&f->seen[0].socket.tuple, &f->seen[1].socket.tuple));
}

static void another_address_family_is_no_event(void **state)
{
	struct fixture *f = *state;

	put_state_of(&f->watch[0], 1, 1, AF_UNIX, IPPROTO_TCP);
	assert_int_equal(drain(f, UINT64_MAX), 0);
	assert_int_equal(f->merge.stats.invalid, 0);
}

static void rings_are_merged_in_time_order(void **state)
{
	struct fixture *f = *state;
	static const uint64_t times[2][4] = { { 10, 20, 50, 60 }, { 5, 30, 40, 70 } };

	for (int i = 0; i < 4; i++)
		for (int ring = 0; ring < 2; ring++)
			put_state(&f->watch[ring], 1, times[ring][i]);
	assert_int_equal(drain(f, UINT64_MAX), 8);
	for (size_t i = 1; i < f->count; i++)
		assert_true(f->seen[i].time_ns > f->seen[i - 1].time_ns);
}

static void newer_records_stay_for_the_next_call(void **state)
{
	struct fixture *f = *state;

	put_state(&f->watch[0], 1, 10);
	put_state(&f->watch[0], 2, 30);
	put_state(&f->watch[1], 3, 20);
	assert_int_equal(drain(f, 9), 0);
	assert_int_equal(drain(f, 20), 2);
	assert_int_equal(f->seen[1].pid, 3);
	assert_int_equal(drain(f, 29), 0);
	assert_int_equal(drain(f, 30), 1);
	assert_int_equal(f->seen[0].pid, 2);
	assert_int_equal(drain(f, UINT64_MAX), 0);
}

static void a_record_older_than_one_handed_on_is_handed_on(void **state)
{
	struct fixture *f = *state;

	put_state(&f->watch[0], 1, 100);
	assert_int_equal(drain(f, 100), 1);
	put_state(&f->watch[1], 2, 90);
	assert_int_equal(drain(f, 100), 1);
	assert_int_equal(f->seen[0].time_ns, 90);
}

static void one_cpu_keeps_the_order_in_which_it_wrote(void **state)
{
	struct fixture *f = *state;

	put_state(&f->watch[0], 1, 20);	/* an interrupt's record, then the one it interrupted */
	put_state(&f->watch[0], 2, 19);
	put_state(&f->watch[1], 3, 25);
	assert_int_equal(drain(f, UINT64_MAX), 3);
	assert_int_equal(f->seen[0].pid, 1);
	assert_int_equal(f->seen[1].pid, 2);
	assert_int_equal(f->seen[2].pid, 3);
}

static void records_that_wrap_are_whole(void **state)
{
	struct fixture *f = *state;

	for (uint64_t start = RING - 128; start <= RING; start += 8) {
		watch_prepare(&f->watch[0], f->memory[0], 0, start);
		put_state(&f->watch[0], 77, start);
		assert_int_equal(drain(f, UINT64_MAX), 1);
		assert_int_equal(f->seen[0].pid, 77);
		assert_int_equal(f->seen[0].time_ns, start);
		assert_int_equal(f->seen[0].cgroup_id, 4711);
		assert_int_equal(ntohs(f->seen[0].socket.tuple.dport), 443);
		assert_true(f->watch[0].ring.control->data_tail ==
			    f->watch[0].ring.control->data_head);
	}
}

static void the_positions_may_pass_the_end_of_their_type(void **state)
{
	struct fixture *f = *state;

	watch_prepare(&f->watch[0], f->memory[0], 0, UINT64_MAX - 63);
	put_state(&f->watch[0], 1, 1);
	put_state(&f->watch[0], 2, 2);
	assert_int_equal(drain(f, UINT64_MAX), 2);
}

static void lost_is_handed_on_in_its_place_and_counted(void **state)
{
	struct fixture *f = *state;

	put_state(&f->watch[0], 1, 10);
	put_lost(&f->watch[0], 20, 7);
	put_state(&f->watch[0], 2, 30);
	put_state(&f->watch[1], 3, 15);
	assert_int_equal(drain(f, UINT64_MAX), 4);
	assert_int_equal(f->seen[2].kind, PERF_LOST);
	assert_int_equal(f->seen[2].lost.count, 7);
	assert_int_equal(f->merge.stats.lost, 7);
}

static void an_impossible_header_empties_its_ring_and_is_told(void **state)
{
	static const uint16_t sizes[] = { 0, 4, 7, 12, 4088, 65528 };
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct perf_event_header header = { .type = PERF_RECORD_SAMPLE, .size = sizes[i] };

		put_state(&f->watch[0], 1, 10);
		ring_put(&f->watch[0], &header, sizeof(header));
		put_state(&f->watch[0], 2, 20);
		put_state(&f->watch[1], 3, 30);
		assert_int_equal(drain(f, UINT64_MAX), 2);
		assert_int_equal(f->count, 3);
		assert_int_equal(f->seen[1].kind, PERF_LOST);
		assert_int_equal(f->seen[2].pid, 3);
		assert_int_equal(f->merge.stats.lost, i + 1);
		assert_int_equal(drain(f, UINT64_MAX), 0);
	}
}

static void a_head_farther_than_the_ring_empties_it_and_is_told(void **state)
{
	struct fixture *f = *state;

	f->watch[0].ring.control->data_head = RING + 8;
	drain(f, UINT64_MAX);
	assert_int_equal(f->count, 1);
	assert_int_equal(f->seen[0].kind, PERF_LOST);
	put_state(&f->watch[0], 1, 10);
	assert_int_equal(drain(f, UINT64_MAX), 1);
}

static void a_ring_found_nearly_full_is_told_before_the_kernel_tells(void **state)
{
	struct fixture *f = *state;
	unsigned int records = RING / 136;

	for (unsigned int i = 0; i < records; i++)
		put_state(&f->watch[0], 1, i + 1);
	assert_int_equal(drain(f, UINT64_MAX), records);
	assert_int_equal(f->count, records + 1);
	assert_int_equal(f->seen[records].kind, PERF_DOUBT);
	assert_int_equal(f->merge.stats.lost, 0);
	put_state(&f->watch[0], 1, 1);
	assert_int_equal(drain(f, UINT64_MAX), 1);
	assert_int_equal(f->count, 2);
	assert_int_equal(f->seen[0].kind, PERF_WHOLE);
	assert_int_equal(f->seen[1].kind, PERF_SOCKET_STATE);
}

/* On a CPU that is quiet from then on: others wait for it. */
static void a_doubt_that_nothing_settles_is_a_loss(void **state)
{
	struct fixture *f = *state;
	unsigned int records = RING / 136;

	for (unsigned int i = 0; i < records; i++)
		put_state(&f->watch[0], 1, i + 1);
	drain(f, 1000000000);
	assert_int_equal(f->seen[records].kind, PERF_DOUBT);
	drain(f, 1100000000);
	assert_int_equal(f->count, 0);
	drain(f, 1300000000);
	assert_int_equal(f->count, 2);
	assert_int_equal(f->seen[0].kind, PERF_WHOLE);
	assert_int_equal(f->seen[1].kind, PERF_LOST);
	put_state(&f->watch[0], 1, 1);
	drain(f, 2000000000);
	assert_int_equal(f->count, 1);
	assert_int_equal(f->seen[0].kind, PERF_SOCKET_STATE);
}

/* All that was handed on, but for the last: each is a loss of one record. */
static void assert_lost_before_the_last(struct fixture *f, size_t lost)
{
	assert_int_equal(f->count, lost + 1);
	for (size_t i = 0; i < lost; i++) {
		assert_int_equal(f->seen[i].kind, PERF_LOST);
		assert_int_equal(f->seen[i].lost.count, 1);
	}
	assert_int_equal(f->merge.stats.invalid, lost);
	assert_int_equal(f->merge.stats.lost, lost);
}

static void short_records_are_skipped_and_told_as_lost(void **state)
{
	struct fixture *f = *state;
	uint8_t raw[16] = { 0 };
	uint32_t types[] = { PERF_RECORD_SAMPLE, PERF_RECORD_FORK, PERF_RECORD_COMM,
			     PERF_RECORD_LOST };

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		struct bytes bare = record_begin(types[i]), little = record_begin(types[i]);

		record_put(&f->watch[0], &bare);
		add_sample_id(&little, 1, 1);
		record_put(&f->watch[0], &little);
	}
	put_sample(&f->watch[0], STATE_ID, 1, 5, raw, sizeof(raw));
	put_sample(&f->watch[0], 999, 1, 6, raw, sizeof(raw));
	put_state(&f->watch[0], 9, 10);
	assert_int_equal(drain(f, UINT64_MAX), 1);
	assert_lost_before_the_last(f, 2 * 4 + 2);
	assert_int_equal(f->seen[f->count - 1].pid, 9);
}

static void put_exec(struct watch *w, uint32_t place, const char *name)
{
	uint8_t raw[64] = { 0 };
	uint32_t old_tid = 5;

	memcpy(raw + 8, &place, sizeof(place));
	memcpy(raw + 16, &old_tid, sizeof(old_tid));
	memcpy(raw + 20, name, strlen(name) + 1);
	put_sample(w, EXEC_ID, 1, 1, raw, sizeof(raw));
}

static void an_executed_name_lies_inside_its_record(void **state)
{
	static const char name[] = "/bin/true";
	struct fixture *f = *state;
	uint32_t len = sizeof(name);

	put_exec(&f->watch[0], 20 | (len - 1) << 16, name);	/* no NUL at its end */
	put_exec(&f->watch[0], 20 | 600 << 16, name);
	put_exec(&f->watch[0], 65535 | 1 << 16, name);
	put_exec(&f->watch[0], 20, name);
	put_exec(&f->watch[0], 20 | len << 16, name);
	assert_int_equal(drain(f, UINT64_MAX), 1);
	assert_lost_before_the_last(f, 4);
	assert_int_equal(f->seen[4].kind, PERF_EXEC);
	assert_int_equal(f->seen[4].exec.old_tid, 5);
	assert_string_equal(f->text[4], "/bin/true");
}

static void put_task(struct watch *w, uint32_t type, uint32_t pid, uint32_t parent,
		     uint64_t time_ns)
{
	struct bytes b = record_begin(type);

	add_u32(&b, pid);
	add_u32(&b, parent);
	add_u32(&b, pid + 1);
	add_u32(&b, parent + 1);
	add_u64(&b, time_ns);
	add_sample_id(&b, parent, time_ns);
	record_put(w, &b);
}

static void lives_begin_are_renamed_and_end(void **state)
{
	struct fixture *f = *state;
	struct bytes comm = record_begin(PERF_RECORD_COMM);
	char name[16] = "a b\"c";

	put_task(&f->watch[0], PERF_RECORD_FORK, 20, 10, 1);
	add_u32(&comm, 20);
	add_u32(&comm, 21);
	add(&comm, name, sizeof(name));
	add_sample_id(&comm, 20, 2);
	record_put(&f->watch[0], &comm);
	put_task(&f->watch[0], PERF_RECORD_EXIT, 20, 10, 3);
	assert_int_equal(drain(f, UINT64_MAX), 3);
	assert_int_equal(f->seen[0].kind, PERF_FORK);
	assert_int_equal(f->seen[0].pid, 20);
	assert_int_equal(f->seen[0].tid, 21);
	assert_int_equal(f->seen[0].fork.parent_pid, 10);
	assert_int_equal(f->seen[0].fork.parent_tid, 11);
	assert_int_equal(f->seen[1].kind, PERF_COMM);
	assert_string_equal(f->text[1], "a b\"c");
	assert_int_equal(f->seen[2].kind, PERF_EXIT);
	assert_int_equal(f->seen[2].time_ns, 3);
}

static void a_task_without_a_pid_is_nobody(void **state)
{
	struct fixture *f = *state;

	put_state(&f->watch[0], UINT32_MAX, 1);
	assert_int_equal(drain(f, UINT64_MAX), 1);
	assert_int_equal(f->seen[0].pid, 0);
}

/* Readings of an event: count and enabled time. */
static bool seems_alive(const uint64_t *enabled_ns, size_t count)
{
	struct watch w = { .fd = { [SAMPLE_PROCESS] = -1 } };
	int ends[2];
	bool alive;

	assert_int_equal(pipe(ends), 0);
	for (size_t i = 0; i < count; i++) {
		uint64_t reading[2] = { 0, enabled_ns[i] };

		assert_int_equal(write(ends[1], reading, sizeof(reading)), sizeof(reading));
	}
	close(ends[1]);
	w.fd[SAMPLE_PROCESS] = ends[0];
	alive = watch_is_alive(&w);
	close(ends[0]);
	return alive;
}

static void a_clock_that_ticks_slowly_is_no_dead_cpu(void **state)
{
	static const uint64_t fine[] = { 5, 6 }, ticks[] = { 5, 5, 5, 9 };
	static const uint64_t still[] = { 5, 5, 5, 5, 5, 5, 5, 5 };

	(void)state;
	assert_true(seems_alive(fine, 2));
	assert_true(seems_alive(ticks, 4));
	assert_false(seems_alive(still, 8));
	assert_false(seems_alive(NULL, 0));
}

static void a_format_without_a_field_is_refused(void **state)
{
	struct sample_layout layout;

	(void)state;
	assert_int_equal(sample_layout_parse(&layout, SAMPLE_SOCKET_STATE, exec_format,
					     strlen(exec_format)), -EBADMSG);
	assert_int_equal(sample_layout_parse(&layout, SAMPLE_SOCKET_STATE,
					     "field:int skaddr;offset:8;size:4;signed:0;", 42),
			 -EBADMSG);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_transition_is_decoded_in_full),
		TEST(a_v4_mapped_socket_has_an_ipv4_tuple),
		TEST(another_address_family_is_no_event),
		TEST(rings_are_merged_in_time_order),
		TEST(newer_records_stay_for_the_next_call),
		TEST(a_record_older_than_one_handed_on_is_handed_on),
		TEST(one_cpu_keeps_the_order_in_which_it_wrote),
		TEST(records_that_wrap_are_whole),
		TEST(the_positions_may_pass_the_end_of_their_type),
		TEST(lost_is_handed_on_in_its_place_and_counted),
		TEST(an_impossible_header_empties_its_ring_and_is_told),
		TEST(a_head_farther_than_the_ring_empties_it_and_is_told),
		TEST(a_ring_found_nearly_full_is_told_before_the_kernel_tells),
		TEST(a_doubt_that_nothing_settles_is_a_loss),
		TEST(short_records_are_skipped_and_told_as_lost),
		TEST(an_executed_name_lies_inside_its_record),
		TEST(lives_begin_are_renamed_and_end),
		TEST(a_task_without_a_pid_is_nobody),
		TEST(a_format_without_a_field_is_refused),
		TEST(a_clock_that_ticks_slowly_is_no_dead_cpu),
	};

	return cmocka_run_group_tests_name("perf", tests, NULL, NULL);
}
