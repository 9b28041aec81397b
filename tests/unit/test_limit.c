// SPDX-License-Identifier: GPL-2.0-or-later
#include "flood.h"

static void a_burst_then_the_rate(void **state)
{
	struct world w;

	(void)state;
	open_world(&w, 100, 1000, 0);
	attempt(&w, NULL, 0, 1, 80);	/* new, and known from then on */
	for (unsigned int i = 0; i < 5000; i++)
		attempt(&w, NULL, 0, 1, 80);
	assert_int_equal(w.written, 1 + 1000);
	for (unsigned int i = 0; i < 10000; i++) {
		w.now_ns += MS;
		attempt(&w, NULL, 0, 1, 80);
	}
	assert_int_equal(w.written, 1 + 1000 + 1000);
	tell(&w);
	assert_int_equal(w.told, 1);
	assert_int_equal(w.count, w.held);
	limit_free(w.limit);
}

static void zero_is_no_limit(void **state)
{
	struct world w;

	(void)state;
	open_world(&w, 0, 1000, 0);
	for (unsigned int i = 0; i < 100000; i++)
		assert_true(attempt(&w, NULL, 0, i, 80));
	assert_true(limit_due_ns(w.limit) == UINT64_MAX);
	limit_free(w.limit);
	open_world(&w, 0, 1000, 50);
	for (unsigned int i = 0; i < 100000; i++)
		attempt(&w, NULL, 0, i, 80);
	assert_int_equal(w.written, 50);
	limit_free(w.limit);
}

static void other_limits_hold_from_then_on(void **state)
{
	struct limit_config config = { 1000, 10, 50, 10 * SECOND_NS };
	struct world w;
	uint64_t due_ns;

	(void)state;
	open_world(&w, 1, 5, 0);
	for (unsigned int i = 0; i < 100; i++)
		attempt(&w, NULL, 0, 1, 80);
	assert_int_equal(w.written, 1 + 5);
	assert_int_equal(limit_change(w.limit, &config), 0);
	w.now_ns += SECOND_NS;
	for (unsigned int i = 0; i < 100; i++)
		attempt(&w, NULL, 0, 1, 80);
	assert_int_equal(w.written, 1 + 5 + 10);

	due_ns = limit_due_ns(w.limit);
	config.rate = config.rate_total = 0;
	config.interval_ns = 3 * SECOND_NS;
	assert_int_equal(limit_change(w.limit, &config), 0);
	assert_int_equal(limit_due_ns(w.limit), due_ns - 7 * SECOND_NS);
	for (unsigned int i = 0; i < 100; i++)
		assert_true(attempt(&w, NULL, 0, 1, 80));
	assert_true(limit_due_ns(w.limit) != UINT64_MAX);

	/* Longer than the host has been up; and back, before what was due by the first is told. */
	config.interval_ns = w.now_ns + 60 * SECOND_NS;
	assert_int_equal(limit_change(w.limit, &config), 0);
	config.interval_ns = SECOND_NS;
	assert_int_equal(limit_change(w.limit, &config), 0);
	assert_in_range(limit_due_ns(w.limit), 1, w.now_ns);
	tell(&w);
	assert_int_equal(w.count, w.held);
	limit_free(w.limit);
}

static void a_beacon_is_not_lost_in_its_programs_flood(void **state)
{
	struct process *p = program("/usr/bin/app", 7);
	struct world w;

	(void)state;
	open_world(&w, 100, 1000, 5000);
	for (unsigned int i = 0; i < 100000; i++) {
		w.now_ns += SECOND_NS / 30000;
		attempt(&w, p, 0, i % 20, 80);
		if (i == 50000)
			assert_true(attempt(&w, p, 0, 4711, 443));
	}
	assert_in_range(w.written, 1000, 1500);
	tell(&w);
	assert_int_equal(w.count, w.held);
	assert_int_equal(w.written + w.count, 100001);
	assert_int_equal(w.last.destinations, 20);
	assert_int_equal(w.last.ports, 1);
	limit_free(w.limit);
	process_unref(p);
}

/* Known are those that the log has, so a scan does not make a program forget its own server. */
static void a_scan_does_not_hide_the_known(void **state)
{
	struct world w;

	(void)state;
	open_world(&w, 100, 100, 5000);
	assert_true(attempt(&w, NULL, 0, 5, 80));
	for (unsigned int i = 100; i < 100000; i++)
		attempt(&w, NULL, 0, i, 80);
	assert_true(attempt(&w, NULL, 0, 5, 80));
	limit_free(w.limit);
}

static void a_quiet_owner_is_not_touched_by_a_hundred_loud_ones(void **state)
{
	uint64_t loud[100] = { 0 }, least = UINT64_MAX;
	struct world w;

	(void)state;
	open_world(&w, 100, 1000, 1000);
	for (unsigned int ms = 0; ms < 10000; ms++) {
		w.now_ns += MS;
		for (unsigned int i = 0; i < 100; i++)
			loud[i] += attempt(&w, NULL, 1000 + i, 1, 80);
		/* Two each second: below its share. */
		if (ms % 500 == 250)
			assert_true(attempt(&w, NULL, 1, ms, 443));
	}
	assert_in_range(w.written, 10000, 11001);
	for (unsigned int i = 0; i < 100; i++)
		least = loud[i] < least ? loud[i] : least;
	/* 1,000 a second for ten seconds among a hundred is 100 for each. */
	assert_true(least >= 80);
	tell(&w);
	assert_int_equal(w.count, w.held);
	limit_free(w.limit);
}

static void what_the_quiet_leave_goes_to_the_loud(void **state)
{
	uint64_t loud = 0;
	struct world w;

	(void)state;
	open_world(&w, 0, 1, 1000);
	for (unsigned int ms = 0; ms < 10000; ms++) {
		w.now_ns += MS;
		for (unsigned int i = 0; i < 5; i++)
			loud += attempt(&w, NULL, 1, 1, 80);
		if (ms % 10 == 0)
			assert_true(attempt(&w, NULL, 2, 1, 80));
	}
	/* 9,000 are left, and half a second's worth was there. */
	assert_in_range(loud, 8900, 9600);
	limit_free(w.limit);
}

static void a_million_owners_take_bounded_memory_and_are_all_counted(void **state)
{
	struct world w;

	(void)state;
	open_world(&w, 1, 1, 5000);
	for (unsigned int i = 0; i < 1000000; i++) {
		w.now_ns += 10000;
		attempt(&w, NULL, i, 1, 80);
		attempt(&w, NULL, i, 1, 80);
		if (w.now_ns >= limit_due_ns(w.limit))
			tell(&w);
	}
	tell(&w);
	assert_int_equal(w.written + w.held, 2000000);
	assert_int_equal(w.count, w.held);
	assert_true(w.others >= 1);
	assert_true(w.told <= 2 * (LIMIT_SUMMARIES_MAX + 1));
	limit_free(w.limit);
}

/* Those that were there before the others came keep what is theirs. */
static void a_crowd_of_newcomers_does_not_displace_an_owner(void **state)
{
	struct world w;

	(void)state;
	open_world(&w, 10, 10, 1000);
	for (unsigned int i = 0; i < 200000; i++) {
		w.now_ns += MS / 10;
		attempt(&w, NULL, 10 + i, 1, 80);
		if (i % 10000 == 0)
			assert_true(attempt(&w, NULL, 1, 1, 80));
	}
	limit_free(w.limit);
}

static void silence_makes_room(void **state)
{
	struct world w;

	(void)state;
	open_world(&w, 1, 1, 0);
	for (unsigned int i = 0; i < LIMIT_PARTIES_MAX; i++)
		assert_true(attempt(&w, NULL, i, 1, 80));
	assert_true(attempt(&w, NULL, 1000000, 1, 80));		/* the first of the others */
	assert_false(attempt(&w, NULL, 1000001, 2, 80));
	w.now_ns += LIMIT_IDLE_NS;
	for (unsigned int i = 0; i < LIMIT_PARTIES_MAX; i++)
		assert_true(attempt(&w, NULL, 2000000 + i, 1, 80));
	tell(&w);
	assert_int_equal(w.told, 1);
	assert_int_equal(w.others, 1);
	assert_int_equal(w.count, 1);
	limit_free(w.limit);
}

/* Any mix of owners, addresses and time: nothing is lost or counted twice. */
static void sums_are_exact(void **state)
{
	struct flow open[256];
	unsigned int held = 0;
	uint64_t ended = 0;
	struct world w;

	(void)state;
	srandom(1);
	open_world(&w, 20, 50, 300);
	for (unsigned int i = 0; i < 300000; i++) {
		struct flow f = flow(&w, NULL, (uint32_t)random() % 700,
				     (uint32_t)random() % 3000, (uint16_t)(random() % 100 + 1));

		w.now_ns += (uint64_t)random() % (200 * 1000);
		if (!start(&w, &f) && held < 256)
			open[held++] = f;
		else if (held && random() % 2) {
			end(&w, &open[--held], (enum flow_reason)(random() % (REASON_ABORTED + 1)));
			ended++;
		}
		if (w.now_ns >= limit_due_ns(w.limit))
			tell(&w);
	}
	tell(&w);
	assert_int_equal(w.written + w.count, 300000);
	assert_int_equal(w.ended, ended);
	assert_int_equal(w.bytes[1], ended * 1000);
	limit_free(w.limit);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_burst_then_the_rate),
		cmocka_unit_test(zero_is_no_limit),
		cmocka_unit_test(other_limits_hold_from_then_on),
		cmocka_unit_test(a_beacon_is_not_lost_in_its_programs_flood),
		cmocka_unit_test(a_scan_does_not_hide_the_known),
		cmocka_unit_test(a_quiet_owner_is_not_touched_by_a_hundred_loud_ones),
		cmocka_unit_test(what_the_quiet_leave_goes_to_the_loud),
		cmocka_unit_test(a_million_owners_take_bounded_memory_and_are_all_counted),
		cmocka_unit_test(a_crowd_of_newcomers_does_not_displace_an_owner),
		cmocka_unit_test(silence_makes_room),
		cmocka_unit_test(sums_are_exact),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
