// SPDX-License-Identifier: GPL-2.0-or-later
#include "json.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
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

static void a_text_is_fitted_as_printed(void **state)
{
	static const struct { const char *text; size_t max; const char *fitted; } cases[] = {
		{ "abc", 3, "abc" }, { "abc", 2, "ab" }, { "abc", 0, "" },
		{ "a\"b", 3, "a\"" }, { "a\"b", 2, "a" }, { "\001b", 5, "" }, { "\001b", 6, "\001" },
		{ "\xc3\xa4\xc3\xa4", 3, "\xc3\xa4" }, { "one two three", 9, "one two" },
		{ "one twothree", 9, "one twoth" },
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
		cmocka_unit_test(a_text_is_fitted_as_printed),
	};

	return cmocka_run_group_tests_name("json", tests, NULL, NULL);
}
