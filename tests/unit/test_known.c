// SPDX-License-Identifier: GPL-2.0-or-later
#include "hash.h"
#include "known.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static const struct hash_key key = { 0x0123456789abcdef, 0xfedcba9876543210 };

static uint64_t hash(uint32_t address)
{
	return hash_bytes(&key, &address, sizeof(address));
}

static void what_was_added_is_known(void **state)
{
	struct known k = { 0 };

	(void)state;
	for (uint32_t i = 0; i < 100; i++) {
		assert_false(known_has(&k, hash(i)));
		known_add(&k, hash(i));
		assert_true(known_has(&k, hash(i)));
	}
	for (uint32_t i = 0; i < 100; i++)
		assert_true(known_has(&k, hash(i)));
	for (uint32_t i = 100; i < 100000; i++)
		assert_false(known_has(&k, hash(i)));
}

static void zero_is_an_address_like_any_other(void **state)
{
	struct known k = { 0 };

	(void)state;
	assert_false(known_has(&k, 0));
	known_add(&k, 0);
	assert_true(known_has(&k, 0));
}

/* Whatever else comes: its set has eight places and it is always among the last two used. */
static void what_is_in_use_stays(void **state)
{
	struct known k = { 0 };

	(void)state;
	known_add(&k, hash(0));
	for (uint32_t i = 1; i < 100000; i++) {
		known_add(&k, hash(i));
		assert_true(known_has(&k, hash(0)));
	}
}

static void no_more_than_its_places(void **state)
{
	struct known k = { 0 };
	unsigned int found = 0;

	(void)state;
	for (uint32_t i = 0; i < 10000; i++)
		known_add(&k, hash(i));
	for (uint32_t i = 0; i < 10000; i++)
		found += known_has(&k, hash(i));
	assert_int_equal(found, KNOWN_SETS * KNOWN_WAYS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_added_is_known),
		cmocka_unit_test(zero_is_an_address_like_any_other),
		cmocka_unit_test(what_is_in_use_stays),
		cmocka_unit_test(no_more_than_its_places),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
