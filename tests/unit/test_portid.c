// SPDX-License-Identifier: GPL-2.0-or-later
#include "portid.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <linux/netlink.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static void our_own_socket_is_found(void **state)
{
	int proc_fd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	/* Two sockets: the second one's port is not our pid. */
	int fds[2];
	char comm[PORTID_COMM_MAX];
	uint32_t pid;

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct sockaddr_nl at = { .nl_family = AF_NETLINK };
		socklen_t len = sizeof(at);

		fds[i] = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);
		if (fds[i] < 0)
			skip();
		assert_int_equal(bind(fds[i], (struct sockaddr *)&at, len), 0);
		assert_int_equal(getsockname(fds[i], (struct sockaddr *)&at, &len), 0);
		assert_int_equal(portid_process(proc_fd, NETLINK_NETFILTER, at.nl_pid, &pid, comm),
				 0);
		assert_int_equal(pid, getpid());
		assert_string_equal(comm, "test_portid");
		/* The same number on another bus is another socket. */
		assert_int_equal(portid_process(proc_fd, NETLINK_CRYPTO, at.nl_pid, &pid, comm),
				 -ENOENT);
	}
	close(fds[0]);
	close(fds[1]);
	close(proc_fd);
}

static void write_file(int directory, const char *name, const char *text)
{
	int fd = openat(directory, name, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

static void odd_lines_are_no_sockets(void **state)
{
	static const char *const lines[] = {
		"", "sk Eth Pid Groups Rmem Wmem Dump Locks Drops Inode\n", "x\n",
		"0 12 77\n", "0 12 77 0 0 0 0 2 0\n", "0 12 seven 0 0 0 0 2 0 5\n",
		"0 12 78 0 0 0 0 2 0 5\n", "0 4 77 0 0 0 0 2 0 5\n",
	};
	char path[] = "/tmp/nfwho-portid.XXXXXX", comm[PORTID_COMM_MAX];
	int proc_fd;
	uint32_t pid;

	(void)state;
	assert_non_null(mkdtemp(path));
	proc_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(portid_process(proc_fd, 12, 77, &pid, comm), -ENOENT);
	assert_int_equal(mkdirat(proc_fd, "self", 0700), 0);
	assert_int_equal(mkdirat(proc_fd, "self/net", 0700), 0);
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		write_file(proc_fd, "self/net/netlink", lines[i]);
		assert_int_equal(portid_process(proc_fd, 12, 77, &pid, comm), -ENOENT);
	}
	/* A socket that no process shows. */
	write_file(proc_fd, "self/net/netlink", "0 12 77 0 0 0 0 2 0 5\n");
	assert_int_equal(portid_process(proc_fd, 12, 77, &pid, comm), -ESRCH);
	unlinkat(proc_fd, "self/net/netlink", 0);
	unlinkat(proc_fd, "self/net", AT_REMOVEDIR);
	unlinkat(proc_fd, "self", AT_REMOVEDIR);
	close(proc_fd);
	assert_int_equal(rmdir(path), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(our_own_socket_is_found),
		cmocka_unit_test(odd_lines_are_no_sockets),
	};

	return cmocka_run_group_tests_name("portid", tests, NULL, NULL);
}
