// SPDX-License-Identifier: GPL-2.0-or-later
#include "sink.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char directory[64], error[512];

static int make_directory(void **state)
{
	(void)state;
	strcpy(directory, "/tmp/nfwho-test-sink-XXXXXX");
	return mkdtemp(directory) ? 0 : -1;
}

static int remove_directory(void **state)
{
	char command[96];

	(void)state;
	snprintf(command, sizeof(command), "rm -r %s", directory);
	return system(command);
}

static const char *path(const char *name)
{
	static char text[128];

	snprintf(text, sizeof(text), "%s/%s", directory, name);
	return text;
}

/* The whole file; "" if there is none. */
static const char *content(const char *name)
{
	static char text[1 << 20];
	FILE *file = fopen(path(name), "r");
	size_t len = file ? fread(text, 1, sizeof(text) - 1, file) : 0;

	if (file)
		fclose(file);
	text[len] = '\0';
	return text;
}

static void put(const char *name, const char *text)
{
	FILE *file = fopen(path(name), "w");

	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static int open_sinks(struct sinks **s, const char *name, const char *keys)
{
	struct output output;
	char text[256];
	int ret;

	snprintf(text, sizeof(text), "file:%s%s", path(name), keys);
	assert_int_equal(output_parse(&output, text, error, sizeof(error)), 0);
	ret = sinks_open(s, &output, 1, error, sizeof(error));
	output_fini(&output);
	return ret;
}

static void write_line(struct sinks *s, const char *line)
{
	sinks_write(s, FORMAT_ECS, line, strlen(line));
}

static struct record_sink report(const struct sinks *s)
{
	struct record_sink r;

	assert_int_equal(sinks_report(s, &r, 1), 1);
	return r;
}

static void lines_are_appended_to_a_file_of_the_given_mode(void **state)
{
	mode_t umask_before = umask(077);
	struct sinks *s;
	struct stat st;

	(void)state;
	assert_int_equal(open_sinks(&s, "a", ",mode=0644"), 0);
	assert_int_equal(sinks_formats(s), 1 << FORMAT_ECS);
	write_line(s, "{1}\n");
	write_line(s, "{2}\n");
	sinks_write(s, FORMAT_TEXT, "other\n", 6);
	assert_string_equal(content("a"), "");
	assert_int_equal(report(s).queued, 2);
	assert_int_equal(sinks_flush(s), 0);
	assert_string_equal(content("a"), "{1}\n{2}\n");
	assert_int_equal(report(s).written, 2);
	assert_int_equal(report(s).bytes, 8);
	sinks_close(s);
	assert_int_equal(stat(path("a"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0644);
	umask(umask_before);
}

static void what_is_no_file_is_refused(void **state)
{
	static const struct { const char *name, *error; } cases[] = {
		{ "link", "is a symbolic link, which is not followed; name the file itself" },
		{ "directory", "is a directory; name a file in it" },
		{ "fifo", "is not a regular file; sockets are unix:PATH or stream:PATH" },
		{ "no/file", "its directory: No such file or directory" },
	};
	struct sinks *s;

	(void)state;
	put("target", "untouched");
	assert_int_equal(symlink("target", path("link")), 0);
	assert_int_equal(mkdir(path("directory"), 0700), 0);
	assert_int_equal(mkfifo(path("fifo"), 0600), 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_true(open_sinks(&s, cases[i].name, "") < 0);
		assert_non_null(strstr(error, cases[i].error));
	}
	assert_string_equal(content("target"), "untouched");
}

static void a_group_that_is_not_there_is_refused(void **state)
{
	struct sinks *s;

	(void)state;
	assert_true(open_sinks(&s, "g", ",group=nobody-has-this") < 0);
	assert_string_equal(error, "group=nobody-has-this: there is no such group");
}

static void half_a_record_left_by_a_crash_is_cut_off(void **state)
{
	static const struct { const char *before, *after; } cases[] = {
		{ "{1}\n{\"a\":", "{1}\n" }, { "{\"a", "" }, { "{1}\n", "{1}\n" }, { "", "" },
		{ "{1}\nnot ours", "{1}\nnot ours\n" },
	};
	struct sinks *s;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		put("torn", cases[i].before);
		assert_int_equal(open_sinks(&s, "torn", ""), 0);
		assert_string_equal(content("torn"), cases[i].after);
		sinks_close(s);
	}
}

static void a_second_writer_is_refused(void **state)
{
	struct sinks *s, *second;

	(void)state;
	assert_int_equal(open_sinks(&s, "lock", ""), 0);
	assert_true(open_sinks(&second, "lock", "") < 0);
	assert_non_null(strstr(error, "is being written by another nfwho"));
	sinks_close(s);
}

/* Lines of 1,000 bytes, numbered, into files of 64 KiB, three kept. */
static void rotation_keeps_whole_lines_in_order(void **state)
{
	enum { LINES = 400, PER_FILE = 65 };
	char line[1001], name[16];
	struct sinks *s;
	struct stat st;

	(void)state;
	assert_int_equal(open_sinks(&s, "r", ",size=64K,keep=3"), 0);
	for (int i = 0; i < LINES; i++) {
		snprintf(line, sizeof(line), "{%06d%*s}\n", i, 991, "");
		assert_int_equal(strlen(line), 1000);
		write_line(s, line);
		if (i % 7 == 0)
			assert_int_equal(sinks_flush(s), 0);
	}
	assert_int_equal(sinks_flush(s), 0);
	assert_int_equal(report(s).written, LINES);
	sinks_close(s);
	for (int i = 1; i <= 3; i++) {
		snprintf(name, sizeof(name), "r.%d", i);
		assert_int_equal(strlen(content(name)), PER_FILE * 1000);
		assert_int_equal(atol(content(name) + 1), (LINES / PER_FILE - i) * PER_FILE);
	}
	assert_int_equal(strlen(content("r")), LINES % PER_FILE * 1000);
	assert_int_equal(stat(path("r.4"), &st), -1);
}

static void a_rotated_file_that_cannot_move_costs_no_other(void **state)
{
	char line[1001];
	struct sinks *s;

	(void)state;
	memset(line, 'x', sizeof(line));
	strcpy(line + 999, "\n");
	put("stuck.2", "old\n");
	assert_int_equal(mkdir(path("stuck.1"), 0700), 0);
	put("stuck.1/full", "");
	put("stuck.3", "older\n");
	assert_int_equal(open_sinks(&s, "stuck", ",size=64K,keep=3"), 0);
	for (int i = 0; i < 70; i++)
		write_line(s, line);
	for (int i = 0; i < 3; i++)
		sinks_flush(s);
	assert_string_equal(content("stuck.3"), "old\n");
	sinks_close(s);
}

static void after_a_reopen_lines_go_to_the_new_file(void **state)
{
	char moved[128];
	struct sinks *s;

	(void)state;
	assert_int_equal(open_sinks(&s, "h", ""), 0);
	write_line(s, "{1}\n");
	assert_int_equal(sinks_flush(s), 0);
	strcpy(moved, path("h.moved"));
	assert_int_equal(rename(path("h"), moved), 0);
	write_line(s, "{2}\n");
	sinks_reopen(s);
	write_line(s, "{3}\n");
	assert_int_equal(sinks_flush(s), 0);
	assert_string_equal(content("h.moved"), "{1}\n{2}\n");
	assert_string_equal(content("h"), "{3}\n");
	sinks_reopen(s);
	write_line(s, "{4}\n");
	assert_int_equal(sinks_flush(s), 0);
	assert_string_equal(content("h"), "{3}\n{4}\n");
	sinks_close(s);
}

static void set_file_limit(rlim_t bytes)
{
	struct rlimit limit;

	getrlimit(RLIMIT_FSIZE, &limit);
	limit.rlim_cur = bytes;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* A limit on the file's size cuts a write short as a full disk does. */
static void a_write_cut_short_leaves_no_torn_line_and_is_made_up_for(void **state)
{
	struct pollfd wait;
	struct sinks *s;

	(void)state;
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(open_sinks(&s, "full", ""), 0);
	set_file_limit(10);
	write_line(s, "{\"1\"}\n");
	write_line(s, "{\"2\"}\n");
	write_line(s, "{\"3\"}\n");
	assert_int_equal(sinks_flush(s), 0);
	assert_string_equal(content("full"), "{\"1\"}\n");
	assert_int_equal(report(s).written, 1);
	assert_int_equal(report(s).queued, 2);
	set_file_limit(RLIM_INFINITY);
	wait = (struct pollfd){ .fd = sinks_fd(s), .events = POLLIN };
	while (report(s).queued) {
		assert_int_equal(poll(&wait, 1, 5000), 1);
		assert_int_equal(sinks_flush(s), 0);
	}
	assert_string_equal(content("full"), "{\"1\"}\n{\"2\"}\n{\"3\"}\n");
	/* And then nothing more wakes us. */
	assert_int_equal(poll(&wait, 1, 0), 0);
	sinks_close(s);
}

static void what_does_not_fit_into_the_queue_is_counted(void **state)
{
	char line[1001];
	struct sinks *s;

	(void)state;
	memset(line, 'x', sizeof(line));
	strcpy(line + 999, "\n");
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(open_sinks(&s, "q", ",queue=64K"), 0);
	set_file_limit(10);
	for (int i = 0; i < 100; i++)
		write_line(s, line);
	set_file_limit(RLIM_INFINITY);
	assert_int_equal(report(s).queued, 65);
	assert_int_equal(report(s).dropped, 35);
	sinks_drain(s, 5000);
	assert_int_equal(report(s).written, 65);
	assert_int_equal(report(s).queued, 0);
	sinks_close(s);
}

static void a_burst_larger_than_the_queue_is_written(void **state)
{
	char line[1001];
	struct sinks *s;

	(void)state;
	memset(line, 'x', sizeof(line));
	strcpy(line + 999, "\n");
	assert_int_equal(open_sinks(&s, "burst", ",queue=64K"), 0);
	for (int i = 0; i < 1000; i++)
		write_line(s, line);
	assert_int_equal(sinks_flush(s), 0);
	assert_int_equal(report(s).written, 1000);
	assert_int_equal(report(s).dropped, 0);
	sinks_close(s);
}

static void a_truncated_file_is_written_from_its_beginning(void **state)
{
	struct sinks *s;

	(void)state;
	assert_int_equal(open_sinks(&s, "t", ""), 0);
	write_line(s, "{1}\n");
	assert_int_equal(sinks_flush(s), 0);
	assert_int_equal(truncate(path("t"), 0), 0);
	write_line(s, "{2}\n");
	assert_int_equal(sinks_flush(s), 0);
	assert_string_equal(content("t"), "{2}\n");
	sinks_close(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_are_appended_to_a_file_of_the_given_mode),
		cmocka_unit_test(what_is_no_file_is_refused),
		cmocka_unit_test(a_group_that_is_not_there_is_refused),
		cmocka_unit_test(half_a_record_left_by_a_crash_is_cut_off),
		cmocka_unit_test(a_second_writer_is_refused),
		cmocka_unit_test(rotation_keeps_whole_lines_in_order),
		cmocka_unit_test(a_rotated_file_that_cannot_move_costs_no_other),
		cmocka_unit_test(after_a_reopen_lines_go_to_the_new_file),
		cmocka_unit_test(a_write_cut_short_leaves_no_torn_line_and_is_made_up_for),
		cmocka_unit_test(what_does_not_fit_into_the_queue_is_counted),
		cmocka_unit_test(a_burst_larger_than_the_queue_is_written),
		cmocka_unit_test(a_truncated_file_is_written_from_its_beginning),
	};

	return cmocka_run_group_tests_name("sink_file", tests, make_directory, remove_directory);
}
