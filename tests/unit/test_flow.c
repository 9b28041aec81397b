// SPDX-License-Identifier: GPL-2.0-or-later
#include "flow.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#define FLOWS 1000
#define MS 1000000ull

static struct tuple make(uint32_t source, uint16_t port)
{
	struct tuple t = { .protocol = IPPROTO_TCP, .sport = htons(port), .dport = htons(443) };
	be32 src = htonl(source), dst = htonl(0xcb007109);

	tuple_set_addresses(&t, AF_INET, &src, &dst);
	return t;
}

static int set_up(void **state)
{
	return flow_table_new((struct flow_table **)state, FLOWS);
}

static int tear_down(void **state)
{
	flow_table_free(*state);
	return 0;
}

static struct flow *add(struct flow_table *t, uint32_t source, uint16_t port)
{
	struct flow *f = flow_new(t);

	assert_non_null(f);
	f->tuple = make(source, port);
	flow_index_tuple(t, f);
	return f;
}

static void a_full_table_says_so_and_has_room_again_after_a_free(void **state)
{
	struct flow_table *t = *state;
	struct flow *last = NULL;

	for (unsigned int i = 0; i < FLOWS; i++) {
		assert_false(flow_table_full(t));
		last = add(t, i, 1);
	}
	assert_true(flow_table_full(t));
	assert_null(flow_new(t));
	flow_free(t, last);
	assert_int_equal(flow_count(t), FLOWS - 1);
	last = flow_new(t);
	assert_non_null(last);
	assert_int_equal(last->number, FLOWS + 1);
	assert_int_equal(last->seen, 0);
}

static void flows_of_one_tuple_come_newest_first(void **state)
{
	struct flow_table *t = *state;
	struct flow *a = add(t, 1, 5), *b = add(t, 1, 5), *c = add(t, 1, 5);
	struct tuple other = make(1, 6);

	assert_ptr_equal(flow_by_tuple(t, &a->tuple), c);
	assert_ptr_equal(flow_next_by_tuple(t, c), b);
	flow_free(t, b);
	assert_ptr_equal(flow_next_by_tuple(t, c), a);
	assert_null(flow_next_by_tuple(t, a));
	assert_null(flow_by_tuple(t, &other));
}

static void a_socket_is_found_until_it_is_forgotten(void **state)
{
	struct flow_table *t = *state;
	struct flow *flows[100];

	for (uint64_t i = 0; i < 100; i++) {
		flows[i] = flow_new(t);
		flow_index_socket(t, flows[i], 0xffff888000000000 + i * 64);
	}
	for (uint64_t i = 0; i < 100; i += 2)
		flow_unindex_socket(t, flows[i]);
	for (uint64_t i = 0; i < 100; i++)
		assert_ptr_equal(flow_by_socket(t, 0xffff888000000000 + i * 64),
				 i % 2 ? flows[i] : NULL);
	assert_int_equal(flows[0]->skaddr, 0);
}

/* Thousands may wait for one silent address: any may leave, in any order. */
static void pending_connects_are_found_by_all_but_their_port(void **state)
{
	struct flow_table *t = *state;
	struct tuple packet = make(1, 777), elsewhere = make(2, 777);
	struct flow *flows[200], *f;
	unsigned int left = 200, found;

	for (unsigned int i = 0; i < 200; i++) {
		flows[i] = flow_new(t);
		flows[i]->tuple = make(1, (uint16_t)i);
		flow_index_pending(t, flows[i]);
	}
	srandom(1);
	while (left) {
		unsigned int out = (unsigned int)random() % left;

		for (found = 0, f = flow_by_pending(t, &packet); f; found++)
			f = flow_next_by_pending(t, f);
		assert_int_equal(found, left);
		flow_free(t, flows[out]);
		flows[out] = flows[--left];
	}
	assert_null(flow_by_pending(t, &packet));
	assert_null(flow_by_pending(t, &elsewhere));
}

static void a_queue_is_in_order_and_its_head_is_due_first(void **state)
{
	struct flow_table *t = *state;
	struct flow *a = add(t, 1, 1), *b = add(t, 2, 1), *c = add(t, 3, 1);

	flow_enqueue(t, a, FLOW_QUEUE_HELD, 100 * MS);
	flow_enqueue(t, b, FLOW_QUEUE_HELD, 105 * MS);
	flow_enqueue(t, c, FLOW_QUEUE_HELD, 110 * MS);
	assert_int_equal(flow_queue_count(t, FLOW_QUEUE_HELD), 3);
	assert_true(flow_is_due(a, 100 * MS));
	assert_false(flow_is_due(b, 104 * MS));
	assert_int_equal(flow_due_ns(b, 100 * MS), 105 * MS);
	flow_enqueue(t, b, FLOW_QUEUE_OPEN, 0);
	assert_ptr_equal(flow_first(t, FLOW_QUEUE_HELD), a);
	assert_ptr_equal(flow_following(t, a), c);
	flow_free(t, a);
	assert_ptr_equal(flow_first(t, FLOW_QUEUE_HELD), c);
	flow_free(t, c);
	assert_null(flow_first(t, FLOW_QUEUE_HELD));
	assert_ptr_equal(flow_first(t, FLOW_QUEUE_OPEN), b);
}

/* Deadlines are kept in 32 bits of milliseconds, which wrap after 49 days of uptime. */
static void deadlines_survive_the_wrap_of_the_clock(void **state)
{
	struct flow_table *t = *state;
	struct flow *f = add(t, 1, 1);
	uint64_t wrap_ns = (1ull << 32) * MS;

	flow_enqueue(t, f, FLOW_QUEUE_CLOSED, wrap_ns + 50 * MS);
	assert_false(flow_is_due(f, wrap_ns - 50 * MS));
	assert_int_equal(flow_due_ns(f, wrap_ns - 50 * MS), wrap_ns + 50 * MS);
	assert_true(flow_is_due(f, wrap_ns + 50 * MS));
}

static void the_one_missed_least_goes_first(void **state)
{
	struct flow_table *t = *state;
	struct flow *open = add(t, 1, 1), *old = add(t, 2, 1), *young = add(t, 3, 1);

	assert_null(flow_victim(t));
	flow_enqueue(t, open, FLOW_QUEUE_OPEN, 0);
	assert_ptr_equal(flow_victim(t), open);
	flow_enqueue(t, old, FLOW_QUEUE_UNANSWERED, 0);
	flow_enqueue(t, young, FLOW_QUEUE_UNANSWERED, 0);
	assert_ptr_equal(flow_victim(t), old);
	flow_free(t, old);
	assert_ptr_equal(flow_victim(t), young);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(a_full_table_says_so_and_has_room_again_after_a_free),
		TEST(flows_of_one_tuple_come_newest_first),
		TEST(a_socket_is_found_until_it_is_forgotten),
		TEST(pending_connects_are_found_by_all_but_their_port),
		TEST(a_queue_is_in_order_and_its_head_is_due_first),
		TEST(deadlines_survive_the_wrap_of_the_clock),
		TEST(the_one_missed_least_goes_first),
	};

	return cmocka_run_group_tests_name("flow", tests, NULL, NULL);
}
