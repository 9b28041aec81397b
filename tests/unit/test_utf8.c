// SPDX-License-Identifier: GPL-2.0-or-later
#include "utf8.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define R UTF8_REPLACEMENT

static void a_broken_sequence_is_one_replacement_for_each_maximal_part(void **state)
{
	static const struct { const char *bytes, *clean; } cases[] = {
		{ "plain", "plain" }, { "\xc3\xa4", "\xc3\xa4" }, { "\xe2\x82\xac", "\xe2\x82\xac" },
		{ "\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80" },
		{ "\xff", R }, { "\x80\x80", R R }, { "\xc0\xaf", R R }, { "\xc1\xbf", R R },
		{ "\xe0\x80\x80", R R R }, { "\xed\xa0\x80", R R R },
		{ "\xf0\x80\x80\x80", R R R R }, { "\xf4\x90\x80\x80", R R R R },
		{ "\xf5\x80", R R }, { "\xe2\x82", R }, { "\xe2\x82x", R "x" },
		{ "\xf0\x9f\x98", R }, { "\xf0\x9f\x98\xf0\x9f\x98\x80", R "\xf0\x9f\x98\x80" },
		{ "a\xc3", "a" R }, { "\xef\xbf\xbf", "\xef\xbf\xbf" },
		{ "\xf4\x8f\xbf\xbf", "\xf4\x8f\xbf\xbf" },
	};
	char out[64];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		size_t n = utf8_clean(out, sizeof(out), cases[i].bytes, strlen(cases[i].bytes),
				      NULL);

		assert_string_equal(out, cases[i].clean);
		assert_int_equal(n, strlen(cases[i].clean));
	}
}

static void every_pair_of_bytes_becomes_well_formed(void **state)
{
	char out[16];
	bool valid;

	(void)state;
	for (unsigned int pair = 0; pair < 65536; pair++) {
		uint8_t bytes[2] = { pair >> 8, pair & 0xff };
		size_t n = utf8_clean(out, sizeof(out), bytes, 2, NULL), step;

		for (size_t i = 0; i < n; i += step) {
			step = utf8_next(out + i, n - i, &valid);
			assert_true(valid);
		}
		assert_null(memchr(out, '\0', n));
	}
}

static void a_character_that_does_not_fit_is_left_out_whole(void **state)
{
	char out[4];
	bool cut = false;

	(void)state;
	assert_int_equal(utf8_clean(out, sizeof(out), "ab\xe2\x82\xac", 5, &cut), 2);
	assert_string_equal(out, "ab");
	assert_true(cut);
	cut = false;
	assert_int_equal(utf8_clean(out, sizeof(out), "\xe2\x82\xac", 3, &cut), 3);
	assert_false(cut);
}

static void text_never_holds_a_control_character(void **state)
{
	static const struct { const char *bytes, *clean; } cases[] = {
		{ "\033[31mred", "\\x1b[31mred" }, { "a\nb\tc\r", "a\\x0ab\\x09c\\x0d" },
		{ "\x7f", "\\x7f" }, { "\xc2\x9b" "31m", "\\u009b31m" },
		{ "\xe2\x80\xae" "txt", "\\u202etxt" }, { "\xe2\x80\xa8", "\\u2028" },
		{ "\xc3\xa4", "\xc3\xa4" },
	};
	char out[64];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		utf8_clean_text(out, sizeof(out), cases[i].bytes, strlen(cases[i].bytes), NULL);
		assert_string_equal(out, cases[i].clean);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_broken_sequence_is_one_replacement_for_each_maximal_part),
		cmocka_unit_test(every_pair_of_bytes_becomes_well_formed),
		cmocka_unit_test(a_character_that_does_not_fit_is_left_out_whole),
		cmocka_unit_test(text_never_holds_a_control_character),
	};

	return cmocka_run_group_tests_name("utf8", tests, NULL, NULL);
}
