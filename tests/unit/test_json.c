// SPDX-License-Identifier: GPL-2.0-or-later
#include "json.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void write_some(struct json *j)
{
	json_open(j, NULL);
	json_number(j, "n", UINT64_MAX);
	json_open(j, "o");
	json_id(j, "id", 0);
	json_true(j, "t");
	json_close(j);
	json_open_array(j, "a");
	json_word(j, NULL, "x");
	json_text(j, NULL, "q\"\\\n\001\xff\xc3\xa4", 8);
	json_close_array(j);
	json_members(j, "\"m\":{\"k\":1", 10);
	json_number(j, "l", 2);
	json_close(j);
	json_close(j);
}

static const char written[] = "{\"n\":18446744073709551615,\"o\":{\"id\":\"0\",\"t\":true},"
	"\"a\":[\"x\",\"q\\\"\\\\\\n\\u0001\xef\xbf\xbd\xc3\xa4\"],\"m\":{\"k\":1,\"l\":2}}\n";

static void commas_and_escapes_stand_where_they_must(void **state)
{
	char buf[256];
	struct json j;

	(void)state;
	json_init(&j, buf, sizeof(buf));
	write_some(&j);
	assert_int_equal(json_finish(&j), strlen(written));
	assert_string_equal(buf, written);
}

static void what_does_not_fit_is_refused_and_never_written(void **state)
{
	char buf[256];
	struct json j;

	(void)state;
	for (size_t size = 0; size <= sizeof(written); size++) {
		memset(buf, '#', sizeof(buf));
		json_init(&j, buf, size);
		write_some(&j);
		assert_int_equal(json_finish(&j), size < sizeof(written) ? -ENOSPC :
				 (int)strlen(written));
		assert_int_equal(buf[size], '#');
	}
}

/* A name that would set a title, or clear the screen, of whoever looks at the log. */
static void controls_are_escaped_by_both_printers(void **state)
{
	static const char raw[] = "a\x7f\xc2\x9b" "2J\xc2\xa0\xc2\x80\xc3\x9b\x7f";
	static const char escaped[] = "\"a\\u007f\\u009b2J\xc2\xa0\\u0080\xc3\x9b\\u007f\"";
	char buf[64], quoted[64];
	struct json j;

	(void)state;
	json_init(&j, buf, sizeof(buf));
	json_text(&j, NULL, raw, strlen(raw));
	*j.at = '\0';
	assert_string_equal(buf, escaped);
	assert_int_equal(json_printed(raw), strlen(escaped) - 2);
	for (size_t size = strlen(raw) + 3; size <= sizeof(quoted); size++) {
		snprintf(quoted, sizeof(quoted), "\"%s\"", raw);
		assert_int_equal(json_escape_controls(quoted, size), size > strlen(escaped));
		if (size > strlen(escaped))
			assert_string_equal(quoted, escaped);
		else
			assert_memory_equal(quoted + 1, raw, strlen(raw));
	}
}

static void a_text_is_fitted_as_printed(void **state)
{
	static const struct { const char *text; size_t max; const char *fitted; } cases[] = {
		{ "abc", 3, "abc" }, { "abc", 2, "ab" }, { "abc", 0, "" },
		{ "a\"b", 3, "a\"" }, { "a\"b", 2, "a" }, { "\001b", 5, "" }, { "\001b", 6, "\001" },
		{ "\xc3\xa4\xc3\xa4", 3, "\xc3\xa4" }, { "one two three", 9, "one two" },
		{ "one twothree", 9, "one twoth" },
		{ "a\x7f", 6, "a" }, { "a\x7f", 7, "a\x7f" },
		{ "\xc2\x9b" "b", 5, "" }, { "\xc2\x9b" "b", 6, "\xc2\x9b" },
		{ "\xc2\xa0" "b", 2, "\xc2\xa0" },
	};
	char text[32];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		strcpy(text, cases[i].text);
		assert_int_equal(json_fit(text, cases[i].max),
				 strcmp(cases[i].text, cases[i].fitted) != 0);
		assert_string_equal(text, cases[i].fitted);
		assert_true(json_printed(text) <= cases[i].max);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(commas_and_escapes_stand_where_they_must),
		cmocka_unit_test(what_does_not_fit_is_refused_and_never_written),
		cmocka_unit_test(controls_are_escaped_by_both_printers),
		cmocka_unit_test(a_text_is_fitted_as_printed),
	};

	return cmocka_run_group_tests_name("json", tests, NULL, NULL);
}
