// SPDX-License-Identifier: GPL-2.0-or-later
#include "tracefs.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static const char format[] =
	"name: sched_process_exec\n"
	"ID: 365\n"
	"format:\n"
	"\tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;\n"
	"\tfield:int common_pid;\toffset:4;\tsize:4;\tsigned:1;\n"
	"\n"
	"\tfield:__data_loc char[] filename;\toffset:8;\tsize:4;\tsigned:0;\n"
	"\tfield:pid_t old_pid;\toffset:16;\tsize:4;\tsigned:1;\n"
	"\tfield:const void * skaddr;\toffset:24;\tsize:8;\tsigned:0;\n"
	"\tfield:__u8 saddr[4];\toffset:32;\tsize:4;\tsigned:0;\n"
	"\n"
	"print fmt: \"filename=%s\", __get_str(filename)\n";

static int find(const char *text, const char *name, struct tracefs_field *field)
{
	return tracefs_format_field(text, strlen(text), name, field);
}

static void a_format_gives_the_id(void **state)
{
	uint32_t id;

	(void)state;
	assert_int_equal(tracefs_format_id(format, strlen(format), &id), 0);
	assert_int_equal(id, 365);
}

static void an_id_that_is_no_number_is_refused(void **state)
{
	static const char *const bad[] = { "", "ID:", "ID: x", "ID: 99999999999", "id: 3" };
	uint32_t id;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(tracefs_format_id(bad[i], strlen(bad[i]), &id), -EBADMSG);
}

static void fields_are_found_by_name_whatever_their_type(void **state)
{
	struct tracefs_field field;

	(void)state;
	assert_int_equal(find(format, "skaddr", &field), 0);
	assert_int_equal(field.offset, 24);
	assert_int_equal(field.size, 8);
	assert_false(field.is_signed);
	assert_false(field.data_loc);
	assert_int_equal(find(format, "saddr", &field), 0);
	assert_int_equal(field.offset, 32);
	assert_int_equal(field.size, 4);
	assert_int_equal(find(format, "old_pid", &field), 0);
	assert_true(field.is_signed);
	assert_int_equal(find(format, "filename", &field), 0);
	assert_true(field.data_loc);
}

static void part_of_a_name_is_not_the_name(void **state)
{
	struct tracefs_field field;

	(void)state;
	assert_int_equal(find(format, "pid", &field), -ENOENT);
	assert_int_equal(find(format, "addr", &field), -ENOENT);
	assert_int_equal(find(format, "saddr[4]", &field), -ENOENT);
	assert_int_equal(find(format, "", &field), -ENOENT);
}

static void a_place_that_cannot_be_is_refused(void **state)
{
	static const char *const bad[] = {
		"field:int a", "field:int a;", "field:int a;\toffset:8;",
		"field:int a;\toffset:8;\tsize:4;",
		"field:int a;\toffset:-8;\tsize:4;\tsigned:1;",
		"field:int a;\toffset:70000;\tsize:4;\tsigned:1;",
		"field:int a;\toffset:65535;\tsize:4;\tsigned:1;",
		"field:int a;\toffset:8;\tsize:4;\tsigned:2;",
		"field:int a;\toffset:;\tsize:4;\tsigned:1;",
		"field:__data_loc char[] a;\toffset:8;\tsize:8;\tsigned:0;",
	};
	struct tracefs_field field;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(find(bad[i], "a", &field), -EBADMSG);
}

static void nothing_beyond_the_given_length_is_read(void **state)
{
	size_t len = strstr(format, "\tfield:pid_t") - format;
	struct tracefs_field field;
	uint32_t id;

	(void)state;
	assert_int_equal(tracefs_format_field(format, len, "old_pid", &field), -ENOENT);
	assert_int_equal(tracefs_format_id(format, 10, &id), -EBADMSG);
}

static void mount_points_are_taken_from_mountinfo(void **state)
{
	static const struct { const char *line, *path; bool debugfs; } cases[] = {
		{ "29 23 0:12 / /sys/kernel/tracing rw,nosuid shared:9 - tracefs tracefs rw\n",
		  "/sys/kernel/tracing", false },
		{ "29 23 0:12 / /sys/kernel/debug rw - debugfs none rw\n",
		  "/sys/kernel/debug", true },
		{ "29 23 0:12 / /a\\040b\\134c rw shared:1 master:2 - tracefs x rw\n",
		  "/a b\\c", false },
		{ "29 23 0:12 /events /mnt rw - tracefs tracefs rw\n", NULL, false },
		{ "29 23 0:12 / /proc rw - proc proc rw\n", NULL, false },
		{ "29 23 0:12 - tracefs tracefs rw\n", NULL, false },
		{ " - tracefs ", NULL, false }, { "", NULL, false }, { "29", NULL, false },
	};
	char path[64];
	bool debugfs;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		bool found = tracefs_mountinfo_line(cases[i].line, path, sizeof(path), &debugfs);

		assert_int_equal(found, cases[i].path != NULL);
		if (!found)
			continue;
		assert_string_equal(path, cases[i].path);
		assert_int_equal(debugfs, cases[i].debugfs);
	}
}

static void a_mount_point_too_long_for_its_place_is_passed_over(void **state)
{
	char path[8];
	bool debugfs;

	(void)state;
	assert_false(tracefs_mountinfo_line("1 2 0:1 / /12345678 rw - tracefs t rw\n", path,
					    sizeof(path), &debugfs));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_format_gives_the_id),
		cmocka_unit_test(an_id_that_is_no_number_is_refused),
		cmocka_unit_test(fields_are_found_by_name_whatever_their_type),
		cmocka_unit_test(part_of_a_name_is_not_the_name),
		cmocka_unit_test(a_place_that_cannot_be_is_refused),
		cmocka_unit_test(nothing_beyond_the_given_length_is_read),
		cmocka_unit_test(mount_points_are_taken_from_mountinfo),
		cmocka_unit_test(a_mount_point_too_long_for_its_place_is_passed_over),
	};

	return cmocka_run_group_tests_name("tracefs", tests, NULL, NULL);
}
