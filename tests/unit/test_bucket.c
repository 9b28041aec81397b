// SPDX-License-Identifier: GPL-2.0-or-later
#include "bucket.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define SECOND_NS 1000000000ull
#define NOW_NS (100 * SECOND_NS)

static uint32_t drain(struct bucket *b, uint32_t rate, uint32_t burst, uint64_t now_ns)
{
	uint32_t taken = 0;

	while (bucket_level(b, rate, burst, now_ns)) {
		bucket_take(b);
		taken++;
	}
	return taken;
}

static void a_burst_then_the_rate(void **state)
{
	struct bucket b;
	uint32_t taken = 0;

	(void)state;
	bucket_init(&b, 1000, NOW_NS);
	assert_int_equal(drain(&b, 100, 1000, NOW_NS), 1000);
	for (uint64_t ms = 1; ms <= 10000; ms++)
		taken += drain(&b, 100, 1000, NOW_NS + ms * 1000000);
	assert_int_equal(taken, 1000);
}

/* A rate that does not divide a second loses nothing to rounding. */
static void every_fraction_is_kept(void **state)
{
	struct bucket b;
	uint32_t taken = 0;
	uint64_t ns = NOW_NS;

	(void)state;
	bucket_init(&b, 10, ns);
	drain(&b, 7, 10, ns);
	while (ns < NOW_NS + 1000 * SECOND_NS) {
		ns += 12345;
		if (ns > NOW_NS + 1000 * SECOND_NS)
			ns = NOW_NS + 1000 * SECOND_NS;
		taken += drain(&b, 7, 10, ns);
	}
	assert_int_equal(taken, 7000);
}

static void silence_fills_it_and_no_more(void **state)
{
	static const uint64_t silences_ns[] = { SECOND_NS * 100, SECOND_NS * 86400 * 365 * 50,
						UINT64_MAX - NOW_NS };

	(void)state;
	for (unsigned int i = 0; i < 3; i++) {
		struct bucket b;

		bucket_init(&b, 10000000, NOW_NS);
		drain(&b, 1000000, 10000000, NOW_NS);
		assert_int_equal(bucket_level(&b, 1000000, 10000000, NOW_NS + silences_ns[i]),
				 10000000);
	}
}

static void a_clock_that_steps_back_earns_nothing(void **state)
{
	struct bucket b;

	(void)state;
	bucket_init(&b, 5, NOW_NS);
	drain(&b, 1, 5, NOW_NS);
	assert_int_equal(bucket_level(&b, 1, 5, NOW_NS - 50 * SECOND_NS), 0);
	assert_int_equal(bucket_level(&b, 1, 5, NOW_NS), 0);
	assert_int_equal(bucket_level(&b, 1, 5, NOW_NS + SECOND_NS), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_burst_then_the_rate),
		cmocka_unit_test(every_fraction_is_kept),
		cmocka_unit_test(silence_fills_it_and_no_more),
		cmocka_unit_test(a_clock_that_steps_back_earns_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
