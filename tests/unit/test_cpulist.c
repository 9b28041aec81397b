// SPDX-License-Identifier: GPL-2.0-or-later
#include "cpulist.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static bool cpus[CPULIST_MAX];

static int parse(const char *text)
{
	memset(cpus, 1, sizeof(cpus));
	return cpulist_parse(text, strlen(text), cpus);
}

static void a_list_has_those_that_it_names_and_no_others(void **state)
{
	static const struct { const char *text, *named; } cases[] = {
		{ "0\n", "x" }, { "0-3\n", "xxxx" }, { "0-3,6\n", "xxxx  x" },
		{ "1,3,5-6,8\n", " x x xx x" }, { "2-2\n", "  x" }, { "6,0-1\n", "xx    x" },
		{ "0-2,1-4\n", "xxxxx" }, { "007\n", "       x" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		size_t named = strlen(cases[i].named);

		assert_int_equal(parse(cases[i].text), 0);
		for (size_t cpu = 0; cpu < CPULIST_MAX; cpu++)
			assert_int_equal(cpus[cpu], cpu < named && cases[i].named[cpu] == 'x');
	}
}

static void the_last_cpu_is_in_and_the_one_behind_it_is_not(void **state)
{
	(void)state;
	assert_int_equal(parse("0-8191\n"), 0);
	assert_true(cpus[0] && cpus[4096] && cpus[8191]);
	assert_int_equal(parse("8191\n"), 0);
	assert_true(!cpus[0] && cpus[8191]);
	assert_int_equal(parse("8192\n"), -EBADMSG);
	assert_int_equal(parse("0-8192\n"), -EBADMSG);
	assert_int_equal(parse("4294967296\n"), -EBADMSG);
	assert_int_equal(parse("18446744073709551617\n"), -EBADMSG);
}

static void what_is_no_list_is_refused(void **state)
{
	static const char *const bad[] = {
		"", "\n", ",\n", "0,\n", ",0\n", "0,,1\n", "-\n", "-1\n", "0-\n", "0-,2\n",
		"3-2\n", "0-1-2\n", "0 1\n", " 0\n", "0 \n", "+1\n", "0x1\n", "a\n", "0;1\n",
		"0\n1\n", "0\n\n",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(parse(bad[i]), -EBADMSG);
	assert_int_equal(cpulist_parse("0\0\n", 3, cpus), -EBADMSG);
}

/* "0-1" of "0-15". */
static void a_list_that_may_have_been_cut_off_is_refused(void **state)
{
	static const char whole[] = "0-15,32-47\n";

	(void)state;
	for (size_t len = 0; len < strlen(whole); len++)
		assert_int_equal(cpulist_parse(whole, len, cpus), -EBADMSG);
	assert_int_equal(cpulist_parse(whole, strlen(whole), cpus), 0);
}

static void the_longest_list_fits(void **state)
{
	static char text[CPULIST_BYTES + 8];
	size_t len = 0;

	(void)state;
	for (unsigned int cpu = 1; cpu < CPULIST_MAX; cpu += 2)
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%u%c", cpu,
					cpu == CPULIST_MAX - 1 ? '\n' : ',');
	assert_in_range(len, 1, CPULIST_BYTES - 1);
	assert_int_equal(parse(text), 0);
	for (unsigned int cpu = 0; cpu < CPULIST_MAX; cpu++)
		assert_int_equal(cpus[cpu], cpu % 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_list_has_those_that_it_names_and_no_others),
		cmocka_unit_test(the_last_cpu_is_in_and_the_one_behind_it_is_not),
		cmocka_unit_test(what_is_no_list_is_refused),
		cmocka_unit_test(a_list_that_may_have_been_cut_off_is_refused),
		cmocka_unit_test(the_longest_list_fits),
	};

	return cmocka_run_group_tests_name("lists of CPUs", tests, NULL, NULL);
}
