// SPDX-License-Identifier: GPL-2.0-or-later
#include "procfs.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cmocka.h>

#define REST " S 1 7 6 34816 -1 4194560 0 0 0 0 0 0 0 0 20 0 3 0 184467 1 2 18446744073709551615 " \
	"4 5 140737 7 8 9\n"

static const struct {
	const char *text, *comm;
} names[] = {
	{ "42 (sh)" REST, "sh" },
	{ "42 ()" REST, "" },
	{ "42 (a b)" REST, "a b" },
	{ "42 (a) S 1 1 1)" REST, "a) S 1 1 1" },
	{ "42 ())" REST, ")" },
	{ "42 (()" REST, "(" },
	{ "42 (a\\nb)" REST, "a\\nb" },
	{ "42 (a\\)" REST, "a\\" },
	{ "42 (a\\x)" REST, "a\\x" },
	{ "42 (a\nb)" REST, "a\nb" },
	{ "42 (\xff\x01)" REST, "\xff\x01" },
	{ "42 (kworker/u8:1-events_unbound)" REST, "kworker/u8:1-ev" },
};

static void a_stat_is_read_whatever_the_name(void **state)
{
	struct procfs_stat stat;

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		assert_int_equal(procfs_parse_stat(names[i].text, strlen(names[i].text), &stat), 0);
		assert_string_equal(stat.comm, names[i].comm);
		assert_int_equal(stat.pid, 42);
		assert_int_equal(stat.state, 'S');
		assert_int_equal(stat.ppid, 1);
		assert_int_equal(stat.pgid, 7);
		assert_int_equal(stat.sid, 6);
		assert_int_equal(stat.tty, 34816);
		assert_int_equal(stat.threads, 3);
		assert_int_equal(stat.start_ticks, 184467);
		assert_int_equal(stat.start_stack, 140737);
		assert_false(stat.kernel_thread);
	}
}

static const char *const no_stats[] = {
	"", "4", "42", "42 ", "42 (", "42 (sh", "42 (sh)", "42 (sh) S", "42 (sh) S ",
	"42 sh) S 1 1", ") (", "42 )sh(" REST, "x (sh)" REST, "42(sh)" REST, " (sh)" REST,
	"42 (sh) S 1 7 6 0 -1 1 0 0 0 0 0 0 0 0 20 0 3 0 184467",
	"42 (sh) S 1 7 6 0 -1 1 0 0 0 0 0 0 0 0 20 0 3 0 99999999999999999999 1 2 3 4 5 6 7",
	"42 (sh) S 1 7 6 0 - 1 0 0 0 0 0 0 0 0 20 0 3 0 1 1 2 3 4 5 6 7",
	"42 (sh)SS" REST,
};

static void what_the_kernel_does_not_write_is_refused(void **state)
{
	struct procfs_stat stat;

	(void)state;
	for (size_t i = 0; i < sizeof(no_stats) / sizeof(no_stats[0]); i++)
		assert_int_equal(procfs_parse_stat(no_stats[i], strlen(no_stats[i]), &stat), -EINVAL);
}

static void a_kernel_thread_is_told_by_its_flag(void **state)
{
	static const char text[] = "2 (kthreadd) S 0 0 0 0 -1 2129984 0 0 0 0 0 0 0 0 20 0 1 0 3 "
		"0 0 18446744073709551615 0 0 0 0 0 0\n";
	struct procfs_stat stat;

	(void)state;
	assert_int_equal(procfs_parse_stat(text, strlen(text), &stat), 0);
	assert_true(stat.kernel_thread);
	assert_int_equal(stat.ppid, 0);
}

static void ids_come_from_their_own_lines_only(void **state)
{
	static const char text[] =
		"Name:\tUid:\\n\t0 0\nUmask:\t0022\nPid:\t7\nUid:\t1000\t65534\t65534\t65534\n"
		"Gid:\t100\t101\t101\t101\nGroups:\t1 2 3 \nNSpid:\t7\t3\t1\nThreads:\t1\n";
	static const char without[] = "Name:\tx\nUid:\t1\t2\t2\t2\nGid:\t3\t4\t4\t4\n";
	struct procfs_status status;

	(void)state;
	assert_int_equal(procfs_parse_status(text, strlen(text), &status), 0);
	assert_string_equal(status.comm, "Uid:\n\t0 0");
	assert_int_equal(status.ruid, 1000);
	assert_int_equal(status.uid, 65534);
	assert_int_equal(status.gid, 101);
	assert_int_equal(status.vpid, 1);
	assert_int_equal(procfs_parse_status(without, strlen(without), &status), 0);
	assert_int_equal(status.vpid, 0);
	/* Cut anywhere: an error, or what stood before the cut. */
	for (size_t len = 0; len < strlen(text); len++)
		if (procfs_parse_status(text, len, &status) == 0)
			assert_int_equal(status.uid, 65534);
	assert_int_equal(procfs_parse_status("Uid:\t1\t99999999999\nGid:\t1\t1\n", 31, &status),
			 -EINVAL);
}

static void numbers_are_whole(void **state)
{
	uint32_t n;
	uint64_t inode;

	(void)state;
	assert_int_equal(procfs_parse_number("4294967295", 10, &n), 0);
	assert_int_equal(n, UINT32_MAX);
	assert_int_equal(procfs_parse_number("7\n", 2, &n), 0);
	assert_int_equal(procfs_parse_number("4294967296", 10, &n), -EINVAL);
	assert_int_equal(procfs_parse_number("", 0, &n), -EINVAL);
	assert_int_equal(procfs_parse_number("7x", 2, &n), -EINVAL);
	assert_int_equal(procfs_parse_namespace("net:[4026531840]", 16, &inode), 0);
	assert_int_equal(inode, 4026531840);
	assert_int_equal(procfs_parse_namespace("net:[4026531840", 15, &inode), -EINVAL);
	assert_int_equal(procfs_parse_namespace("net:4026531840]", 15, &inode), -EINVAL);
	assert_int_equal(procfs_parse_namespace("", 0, &inode), -EINVAL);
}

static void arguments_are_counted(void **state)
{
	static const struct { const char *bytes; size_t len, kept; uint32_t count; } lines[] = {
		{ "", 0, 0, 0 }, { "\0\0", 2, 0, 0 }, { "a\0", 2, 1, 1 }, { "a", 1, 1, 1 },
		{ "a\0b\0", 4, 3, 2 }, { "a\0\0b\0", 5, 4, 3 }, { "\0a\0", 3, 2, 2 },
		{ "worker: idle\0\0\0\0\0", 17, 12, 1 },
	};
	uint32_t count;

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		assert_int_equal(procfs_parse_command_line(lines[i].bytes, lines[i].len, &count),
				 lines[i].kept);
		assert_int_equal(count, lines[i].count);
	}
}

static void a_deleted_link_is_said_to_be(void **state)
{
	bool deleted;

	(void)state;
	assert_int_equal(procfs_parse_link("/bin/x (deleted)", 16, &deleted), 6);
	assert_true(deleted);
	assert_int_equal(procfs_parse_link("/bin/x", 6, &deleted), 6);
	assert_false(deleted);
	assert_int_equal(procfs_parse_link(" (deleted)", 10, &deleted), 10);
	assert_false(deleted);
}

static void a_name_is_escaped_in_status(void **state)
{
	static const char *const comms[] = { "a)\n( S 1\\n", "\\\n\\\\n", "   ", ")))", "\xff\xfe" };
	int proc_fd = open("/proc", O_PATH | O_DIRECTORY), fd = procfs_open(proc_fd, getpid());
	struct procfs_status status;
	struct procfs_stat stat;
	char before[16];

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(prctl(PR_GET_NAME, before), 0);
	for (size_t i = 0; i < sizeof(comms) / sizeof(comms[0]); i++) {
		assert_int_equal(prctl(PR_SET_NAME, comms[i]), 0);
		assert_int_equal(procfs_read_status(fd, &status), 0);
		assert_string_equal(status.comm, comms[i]);
		assert_int_equal(procfs_read_stat(fd, &stat), 0);
		assert_int_equal(stat.pid, getpid());
		assert_int_equal(stat.ppid, getppid());
	}
	close(fd);
	close(proc_fd);
	prctl(PR_SET_NAME, before);
}

static int count(uint32_t number, void *data)
{
	unsigned int *n = data;

	(*n)++;
	return number == 1 ? 7 : 0;
}

static void a_directory_is_walked_until_told_to_stop(void **state)
{
	int proc_fd = open("/proc", O_PATH | O_DIRECTORY);
	unsigned int n = 0;

	(void)state;
	assert_int_equal(procfs_each_number(proc_fd, ".", count, &n), 7);
	assert_int_equal(n, 1);
	assert_int_equal(procfs_each_number(proc_fd, "none", count, &n), -ENOENT);
	assert_int_equal(procfs_open(proc_fd, UINT32_MAX), -ENOENT);
	close(proc_fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_stat_is_read_whatever_the_name),
		cmocka_unit_test(what_the_kernel_does_not_write_is_refused),
		cmocka_unit_test(a_kernel_thread_is_told_by_its_flag),
		cmocka_unit_test(ids_come_from_their_own_lines_only),
		cmocka_unit_test(numbers_are_whole),
		cmocka_unit_test(arguments_are_counted),
		cmocka_unit_test(a_deleted_link_is_said_to_be),
		cmocka_unit_test(a_name_is_escaped_in_status),
		cmocka_unit_test(a_directory_is_walked_until_told_to_stop),
	};

	return cmocka_run_group_tests_name("procfs", tests, NULL, NULL);
}
