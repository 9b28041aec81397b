// SPDX-License-Identifier: GPL-2.0-or-later
#include "distinct.h"
#include "hash.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static const struct hash_key key = { 0x0123456789abcdef, 0xfedcba9876543210 };

static void add_all(struct distinct *d, uint64_t from, uint64_t to)
{
	for (uint64_t i = from; i < to; i++)
		distinct_add(d, hash_bytes(&key, &i, sizeof(i)));
}

static void few_are_counted_exactly(void **state)
{
	struct distinct d = { 0 };

	(void)state;
	assert_int_equal(distinct_count(&d), 0);
	for (uint64_t n = 1; n <= DISTINCT_EXACT_MAX; n++) {
		add_all(&d, n - 1, n);
		add_all(&d, n / 2, n);
		assert_int_equal(distinct_count(&d), n);
	}
	assert_false(d.estimated);
}

static void many_are_estimated_within_3_percent(void **state)
{
	struct distinct d = { 0 };
	uint64_t n = 0, next = DISTINCT_EXACT_MAX + 1;

	(void)state;
	while (next < 3000000) {
		add_all(&d, n, next);
		n = next;
		assert_true(d.estimated);
		if (fabs((double)distinct_count(&d) / n - 1) > 0.03)
			fail_msg("%llu taken for %llu", (unsigned long long)n,
				 (unsigned long long)distinct_count(&d));
		next += next / 8;
	}
}

static void seeing_them_again_changes_nothing(void **state)
{
	struct distinct d = { 0 };
	uint64_t count;

	(void)state;
	add_all(&d, 0, 50000);
	count = distinct_count(&d);
	add_all(&d, 0, 50000);
	assert_int_equal(distinct_count(&d), count);
}

/* 0 marks an empty place inside. */
static void a_hash_of_zero_counts_once(void **state)
{
	struct distinct d = { 0 };

	(void)state;
	distinct_add(&d, 0);
	distinct_add(&d, 0);
	assert_int_equal(distinct_count(&d), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(few_are_counted_exactly),
		cmocka_unit_test(many_are_estimated_within_3_percent),
		cmocka_unit_test(seeing_them_again_changes_nothing),
		cmocka_unit_test(a_hash_of_zero_counts_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
