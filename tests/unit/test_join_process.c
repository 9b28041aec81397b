// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Whose a connection is, by made-up evidence: what is known of the process that connected, and when
 * /proc was asked.
 */
#include "evidence.h"

#include <time.h>
#include <unistd.h>

/* Two connects fit, the holder of the socket was looked up, and is doubted for a while: meanwhile
 * the trace tells whose the port is. */
static void a_connect_that_tells_its_port_late_is_the_packets_all_the_same(void **state)
{
	struct world *w = *state;
	struct owner_query found = { .rung = OWNER_SOCKET, .socket_found = true, .socket_uid = 5 };
	struct tuple tuple = to_server(40000);

	settle(w, true);
	connects(w, 0, 1);
	connects(w, 1, 2);
	packet(w, 40000, 1);
	settle(w, true);
	assert_int_equal(w->started, 0);
	found.process = process_get(w->processes, (uint32_t)w->pid[0]);
	ladder_answer(&w->join, flow_by_tuple(w->flows, &tuple), &found);
	transition(w, 0, 1, TCP_SYN_SENT, TCP_ESTABLISHED, 40000);
	wait_out(w);
	assert_int_equal(w->started, 1);
	expect(w, 1, 0);
	transition(w, 0, 1, TCP_ESTABLISHED, TCP_CLOSE, 40000);
	wait_out(w);
	wait_out(w);
	assert_int_equal(w->ended, 1);
	assert_int_equal(w->reason[0], REASON_RESET);
	assert_int_equal(w->join.trace_only, 0);
}

/* Two connects fit the first packet, whose socket is looked up late: by then the tuple has another
 * one, which is told of nowhere. */
static void one_that_is_left_out_keeps_its_socket_from_an_earlier_packet(void **state)
{
	struct world *w = *state;
	struct owner_query found = { .rung = OWNER_SOCKET, .socket_found = true };
	struct tuple tuple = to_server(40000);
	struct flow *earlier;

	settle(w, true);
	connects(w, 0, 1);
	connects(w, 0, 2);
	packet(w, 40000, 1);
	settle(w, true);
	earlier = flow_by_tuple(w->flows, &tuple);
	w->filter = true;
	connects(w, 1, 3);
	transition(w, 1, 3, TCP_SYN_SENT, TCP_ESTABLISHED, 40000);
	packet(w, 40000, 2);
	wait_for(w, 100);
	assert_int_equal(w->ledger.filtered, 1);
	assert_int_equal(w->started, 0);
	w->filter = false;
	found.process = process_get(w->processes, (uint32_t)w->pid[1]);
	ladder_answer(&w->join, earlier, &found);
	wait_out(w);
	assert_int_equal(w->started, 1);
	expect(w, 1, -1);
	assert_int_equal(flow_count(w->flows), 3);	/* it, and the two connects */
}

/* The connect's process was gone before anything was known of it. */
static void who_holds_the_socket_has_not_the_thread_that_connected_it(void **state)
{
	struct world *w = *state;
	struct owner_query found = { .rung = OWNER_SOCKET, .socket_found = true };
	struct tuple tuple = to_server(40000);
	struct flow *f;

	w->join.config.net_ns = 0;
	settle(w, true);
	connects(w, GONE, 1);
	route(w, GONE, 40000);
	packet(w, 40000, 1);
	f = flow_by_tuple(w->flows, &tuple);
	assert_int_equal(f->tid, w->pid[GONE]);
	f->packet_ns = w->now_ns;
	found.process = process_find(w->processes, (uint32_t)w->pid[1], 0);
	ladder_answer(&w->join, f, &found);
	wait_out(w);
	assert_int_equal(w->started, 1);
	assert_int_equal(w->rung[0], OWNER_SOCKET);
	assert_int_equal(w->owner_pid[0], w->pid[1]);
	assert_int_equal(w->tid[0], 0);
}

static uint64_t monotonic_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* Process 0 connects, and was read so long after that. */
static struct process *connects_and_is_read(struct world *w, uint64_t begin_ns, uint64_t end_ns)
{
	struct process *p = process_find(w->processes, (uint32_t)w->pid[0], 0);

	settle(w, true);
	assert_non_null(p);
	process_read(w->processes, p);
	p->read_begin_ns = w->now_ns + begin_ns;
	p->read_end_ns = w->now_ns + end_ns;
	connects(w, 0, 1);
	route(w, 0, 40000);
	packet(w, 40000, 1);
	return p;
}

/* Its program may have been another when it connected: the exec is not read yet. */
static void what_proc_says_later_than_the_trace_waits_for_the_next_reading(void **state)
{
	struct world *w = *state;

	connects_and_is_read(w, 0, MS);
	settle(w, true);
	assert_int_equal(w->started, 0);
	pass(w, JOIN_HELD_NS);
	settle(w, true);
	assert_int_equal(w->started, 1);
	expect(w, 1, 0);
}

/* Records had been lost, /proc was asked, and showed what the process ran only after it had
 * connected. */
static void who_ran_another_program_when_it_connected_is_not_named(void **state)
{
	struct world *w = *state;

	connects_and_is_read(w, 2 * MS, 3 * MS);
	settle(w, true);
	pass(w, MS);
	process_exec(w->processes, w->now_ns, (uint32_t)w->pid[0], "/bin/another");
	wait_out(w);
	assert_int_equal(w->started, 1);
	expect(w, 1, -1);
	assert_int_equal(w->rung[0], OWNER_UID);
}

static void nor_who_may_have_where_that_may_be_lost(void **state)
{
	struct world *w = *state;
	struct perf_event lost = { .kind = PERF_LOST, .lost.count = 1 };

	connects_and_is_read(w, MS, MS);
	lost.time_ns = w->now_ns;
	join_trace(&w->join, &lost);
	wait_out(w);
	assert_int_equal(w->started, 1);
	expect(w, 1, -1);
}

/* A ring that was nearly full: whether something is missing its next record tells. */
static void a_doubt_that_is_settled_costs_no_name(void **state)
{
	struct world *w = *state;
	struct perf_event doubt = { .kind = PERF_DOUBT }, whole = { .kind = PERF_WHOLE };

	connects_and_is_read(w, MS, MS);
	join_trace(&w->join, &doubt);
	wait_for(w, 20);
	assert_int_equal(w->started, 0);
	join_trace(&w->join, &whole);
	wait_for(w, 20);
	assert_int_equal(w->started, 1);
	expect(w, 1, 0);
}

/* What is logged at prerouting and was connected here is a container's, whoever it was. */
static void a_containers_connect_is_written_without_a_name(void **state)
{
	struct world *w = *state;

	settle(w, true);
	connects(w, GONE, 1);
	route(w, GONE, 40000);
	passes(w, NF_INET_PRE_ROUTING, 40000, 1);
	wait_out(w);
	assert_int_equal(w->started, 1);
	assert_int_equal(w->rung[0], OWNER_NONE);
	assert_int_equal(w->ledger.filtered, 0);
}

/* The table knows a process that has this pid since: of the one that connected nothing is known. */
static void who_began_after_the_connect_has_not_made_it(void **state)
{
	struct world *w = *state;
	struct process *p = connects_and_is_read(w, 0, 0);

	p->start_ticks = (w->now_ns / MS + 1000) / 10;
	settle(w, true);
	wait_out(w);
	assert_int_equal(w->started, 1);
	expect(w, 1, -1);
}

/* How often /proc is asked for one process while it connects for so long. */
static uint64_t looks(struct world *w, uint32_t uid, uint64_t *lasted_ns)
{
	struct flow f = { .seen = FLOW_UID, .uid = uid,
			  .process = process_find(w->processes, (uint32_t)w->pid[0], 0) };
	const struct timespec pause = { .tv_nsec = 2 * MS };
	uint64_t begun_ns = monotonic_ns(), before;

	assert_non_null(f.process);
	process_read(w->processes, f.process);
	f.process->read_end_ns = 0;	/* it has been the same for long */
	before = process_stats(w->processes)->reads;
	do {
		w->now_ns = monotonic_ns();
		pass(w, 0);
		ladder_look_at_process(&w->join, &f);
		nanosleep(&pause, NULL);
		*lasted_ns = monotonic_ns() - begun_ns;
	} while (*lasted_ns < 1200 * MS);
	return process_stats(w->processes)->reads - before;
}

static void a_process_is_looked_at_now_and_then_and_soon_if_its_user_is_another(void **state)
{
	struct world *w = *state;
	uint64_t lasted_ns, same = looks(w, geteuid(), &lasted_ns);

	assert_in_range(same, 1, lasted_ns / (500 * MS));
	assert_true(looks(w, geteuid() + 1, &lasted_ns) > same);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(a_connect_that_tells_its_port_late_is_the_packets_all_the_same),
		TEST(one_that_is_left_out_keeps_its_socket_from_an_earlier_packet),
		TEST(who_holds_the_socket_has_not_the_thread_that_connected_it),
		TEST(what_proc_says_later_than_the_trace_waits_for_the_next_reading),
		TEST(who_ran_another_program_when_it_connected_is_not_named),
		TEST(nor_who_may_have_where_that_may_be_lost),
		TEST(a_doubt_that_is_settled_costs_no_name),
		TEST(a_containers_connect_is_written_without_a_name),
		TEST(who_began_after_the_connect_has_not_made_it),
		TEST(a_process_is_looked_at_now_and_then_and_soon_if_its_user_is_another),
	};

	return cmocka_run_group_tests_name("join_process", tests, NULL, NULL);
}
