// SPDX-License-Identifier: GPL-2.0-or-later
#include "passwd.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define SECOND_NS 1000000000ULL

static char path[] = "/tmp/nfwho-passwd-XXXXXX";

static void write_file(const char *text)
{
	FILE *file = fopen(path, "we");

	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static void the_first_name_of_an_id_counts(void **state)
{
	struct passwd *p;

	(void)state;
	write_file("root:x:0:0:root:/root:/bin/sh\n# comment:x:5:\n+nis:x:6:\ntoor:x:0:0::/:\n"
		   ":x:7:\nbad:x::\nbad:x:8x:\nneg:x:-1:\nbig:x:4294967295:\n"
		   "last:x:4294967294:9");
	assert_int_equal(passwd_new(&p, path), 0);
	assert_string_equal(passwd_name(p, 0), "");
	passwd_update(p, SECOND_NS);
	assert_string_equal(passwd_name(p, 0), "root");
	assert_string_equal(passwd_name(p, 4294967294), "last");
	for (uint32_t id = 5; id < 10; id++)
		assert_string_equal(passwd_name(p, id), "");
	assert_string_equal(passwd_name(p, UINT32_MAX), "");
	passwd_free(p);
}

static void a_changed_file_is_read_again_but_not_within_a_second(void **state)
{
	struct passwd *p;

	(void)state;
	write_file("a:x:1:1:::\n");
	assert_int_equal(passwd_new(&p, path), 0);
	passwd_update(p, 10 * SECOND_NS);
	write_file("bb:x:1:1:::\n");
	passwd_update(p, 11 * SECOND_NS - 1);
	assert_string_equal(passwd_name(p, 1), "a");
	passwd_update(p, 11 * SECOND_NS);
	assert_string_equal(passwd_name(p, 1), "bb");
	unlink(path);
	passwd_update(p, 12 * SECOND_NS);
	assert_string_equal(passwd_name(p, 1), "");
	write_file("c:x:1:1:::\n");
	passwd_update(p, 13 * SECOND_NS);
	assert_string_equal(passwd_name(p, 1), "c");
	passwd_free(p);
}

static void many_entries_and_long_lines_are_read(void **state)
{
	FILE *file = fopen(path, "we");
	struct passwd *p;
	char name[16];

	(void)state;
	assert_non_null(file);
	for (unsigned int i = 0; i < 70000; i++)
		fprintf(file, "u%u:x:%u:\n", i, i * 3);
	fclose(file);
	assert_int_equal(passwd_new(&p, path), 0);
	passwd_update(p, SECOND_NS);
	for (unsigned int i = 0; i < PASSWD_ENTRIES_MAX; i += 997) {
		snprintf(name, sizeof(name), "u%u", i);
		assert_string_equal(passwd_name(p, i * 3), name);
	}
	assert_string_equal(passwd_name(p, 69999 * 3), "");
	file = fopen(path, "we");
	fputs("big:x:5:", file);
	for (unsigned int i = 0; i < 3000; i++)
		fputs("m:x:9:,", file);
	fputs("\nafter:x:6:\n", file);
	fclose(file);
	passwd_update(p, 2 * SECOND_NS);
	assert_string_equal(passwd_name(p, 5), "big");
	assert_string_equal(passwd_name(p, 6), "after");
	assert_string_equal(passwd_name(p, 9), "");
	passwd_free(p);
}

static void a_name_is_found_whatever_the_length_of_lines(void **state)
{
	FILE *file = fopen(path, "we");
	uint32_t id = 99;

	(void)state;
	assert_non_null(file);
	fputs("root:x:0:0:::\ntoor:x:0:0:::\nbig:x:5:", file);
	for (unsigned int i = 0; i < 3000; i++)
		fputs("m:x:9:,", file);
	fputs("\nafter:x:6:\nafter:x:7:\n", file);
	fclose(file);
	assert_false(passwd_find(path, "m", &id));
	assert_false(passwd_find(path, "", &id));
	assert_false(passwd_find("/nowhere", "root", &id));
	assert_int_equal(id, 99);
	assert_true(passwd_find(path, "toor", &id));
	assert_int_equal(id, 0);
	assert_true(passwd_find(path, "after", &id));
	assert_int_equal(id, 6);
}

static int make_file(void **state)
{
	int fd = mkstemp(path);

	(void)state;
	return fd < 0 ? -1 : close(fd);
}

static int remove_file(void **state)
{
	(void)state;
	unlink(path);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_first_name_of_an_id_counts),
		cmocka_unit_test(a_changed_file_is_read_again_but_not_within_a_second),
		cmocka_unit_test(many_entries_and_long_lines_are_read),
		cmocka_unit_test(a_name_is_found_whatever_the_length_of_lines),
	};

	return cmocka_run_group_tests_name("passwd", tests, make_file, remove_file);
}
