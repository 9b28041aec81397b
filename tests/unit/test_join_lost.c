// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What becomes of connections of which conntrack's last word was lost, by made-up evidence.
 */
#include "evidence.h"

static void lose(struct world *w)
{
	join_conntrack_lost(&w->join, w->now_ns);
	for (int ms = 0; ms < 4000; ms += 10) {
		pass(w, 10 * MS);
		settle(w, true);
	}
}

/* Its DESTROY was lost; no socket is here that would tell. */
static void what_has_ended_in_another_zone_is_found_out(void **state)
{
	struct world *w = *state;
	struct ct ct;

	w->join.config.ct = &ct;
	for (uint16_t zone = 0; zone <= 5; zone += 5) {
		w->started = w->ended = 0;
		ct = (struct ct) { .entry = {
			.kind = CT_DUMPED, .original = to_server(40000), .id = 101, .zone = zone,
		} };
		ct.entry.reply = tuple_reverse(&ct.entry.original);
		settle(w, true);
		connects(w, 0, 1);
		route(w, 0, 40000);
		packet(w, 40000, 1);
		tells(w, CT_NEW, 101, zone, 0);
		transition(w, 0, 1, TCP_SYN_SENT, TCP_ESTABLISHED, 40000);
		wait_for(w, 100);
		assert_int_equal(w->started, 1);
		ct.stands = true;
		lose(w);
		assert_int_equal(w->ended, 0);	/* it was another one's that was lost */
		ct.entry.zone = 5 - zone;	/* another one's */
		lose(w);
		assert_int_equal(w->ended, 1);
		wait_out(w);
	}
	assert_int_equal(w->ledger.ends_uncertain, 2);
}

/* Nothing asks for its socket. */
static void nor_do_datagrams_stay_there(void **state)
{
	struct world *w = *state;
	struct ct ct = { .stands = false };

	w->join.config.ct = &ct;
	server.protocol = IPPROTO_UDP;
	settle(w, true);
	packet(w, 40000, 1);
	tells(w, CT_NEW, 101, 5, 0);
	wait_out(w);
	assert_int_equal(w->started, 1);
	look_again(w);
	assert_int_equal(w->ended, 0);
	lose(w);
	assert_int_equal(w->ended, 1);
	assert_int_equal(w->ledger.ends_uncertain, 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(what_has_ended_in_another_zone_is_found_out),
		TEST(nor_do_datagrams_stay_there),
	};

	return cmocka_run_group_tests_name("join_lost", tests, NULL, NULL);
}
