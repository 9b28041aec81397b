// SPDX-License-Identifier: GPL-2.0-or-later
#include "iso8601.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void instants_are_utc_with_microseconds(void **state)
{
	static const struct { uint64_t real_ns; const char *text; } cases[] = {
		{ 0, "1970-01-01T00:00:00.000000Z" },
		{ 999, "1970-01-01T00:00:00.000000Z" },
		{ 1767323045000006999, "2026-01-02T03:04:05.000006Z" },
		{ 951782399999999999, "2000-02-28T23:59:59.999999Z" },
		{ 951782400000000000, "2000-02-29T00:00:00.000000Z" },
		{ 4102444799999999999, "2099-12-31T23:59:59.999999Z" },
		{ 1767323045000006000, "2026-01-02T03:04:05.000006Z" },
		{ UINT64_MAX, "2554-07-21T23:34:33.709551Z" },
	};
	struct iso8601 cache = { 0 };
	char text[ISO8601_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(iso8601_format(&cache, cases[i].real_ns, text), ISO8601_MAX - 1);
		assert_string_equal(text, cases[i].text);
	}
}

static void the_time_zone_does_not_matter(void **state)
{
	struct iso8601 cache = { 0 };
	char text[ISO8601_MAX];

	(void)state;
	setenv("TZ", "XXX+11", 1);
	iso8601_format(&cache, 1767323045000006000, text);
	assert_string_equal(text, "2026-01-02T03:04:05.000006Z");
	unsetenv("TZ");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(instants_are_utc_with_microseconds),
		cmocka_unit_test(the_time_zone_does_not_matter),
	};

	return cmocka_run_group_tests_name("iso8601", tests, NULL, NULL);
}
