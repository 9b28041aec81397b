// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * connects CASE TRUTH-FILE DESTINATION REFUSED-DESTINATION
 *
 * The odd ways to connect(), each written down by the process that did it, in the form of `load`'s
 * truth. DESTINATION is served; nobody listens at the other. Exit status 77: not on this host.
 */
#include "connects.h"

#include <errno.h>
#include <linux/sched.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <netinet/tcp.h>
#include <time.h>
#include <unistd.h>

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262	/* newer than the headers of Debian 11 */
#endif

#define ROWS_MAX 16
#define SKIP 77

struct truth truth;
struct destination served, refused;

struct truth_row *row_next(void)
{
	return &truth.rows[truth_take(&truth)];
}

int tcp_socket(int flags)
{
	int fd = socket(served.address.ss_family, SOCK_STREAM | flags, 0);

	if (fd < 0) {
		perror("socket");
		exit(1);
	}
	return fd;
}

int connect_noted(int fd, const struct destination *to)
{
	struct truth_row *row = row_next();
	int error = 0;

	attempt_begin(row);
	if (connect(fd, (const struct sockaddr *)&to->address, to->len) < 0)
		error = errno;
	attempt_noted(row, fd, to, error);
	return error;
}

/* Exit status of the child. */
static int child_status(pid_t pid)
{
	int status;

	if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return 1;
	return WEXITSTATUS(status);
}

static int plain(void)
{
	return connect_noted(tcp_socket(0), &served);
}

static int nonblocking(void)
{
	int fd = tcp_socket(SOCK_NONBLOCK), error = connect_noted(fd, &served);
	struct pollfd poll_fd = { .fd = fd, .events = POLLOUT };

	return error == EINPROGRESS && poll(&poll_fd, 1, 5000) == 1 ? 0 : error;
}

/* The process is gone before the answer can have come. */
static int abandoned(void)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(connect_noted(tcp_socket(SOCK_NONBLOCK), &served) != EINPROGRESS);
	return child_status(pid);
}

static void *thread_connects(void *argument)
{
	*(int *)argument = connect_noted(tcp_socket(0), &served);
	return NULL;
}

static int thread(void)
{
	pthread_t id;
	int error = 1;

	if (pthread_create(&id, NULL, thread_connects, &error))
		return 1;
	pthread_join(id, NULL);
	return error;
}

static int child_with_parents_socket(void)
{
	int fd = tcp_socket(0);
	pid_t pid = fork();

	if (pid == 0)
		_exit(connect_noted(fd, &served));
	return child_status(pid);
}

static int received_descriptor(void)
{
	int pair[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair))
		return 1;
	pid = fork();
	if (pid == 0)
		_exit(connect_noted(descriptor_receive(pair[1]), &served));
	if (descriptor_send(pair[0], tcp_socket(0)))
		return 1;
	return child_status(pid);
}

static int bound_first(void)
{
	struct destination own = { .len = served.len };
	int fd = tcp_socket(0);

	own.address.ss_family = served.address.ss_family;
	if (bind(fd, (struct sockaddr *)&own.address, own.len))
		return 1;
	return connect_noted(fd, &served);
}

/* Two processes, one local port, two destinations: only the whole tuple tells them apart. */
static int reuseport_pair(void)
{
	struct sockaddr_storage own = { .ss_family = served.address.ss_family };
	int fds[2] = { tcp_socket(0), tcp_socket(0) }, one = 1, pair[2];
	socklen_t len = served.len;
	pid_t pid;

	for (int i = 0; i < 2; i++) {
		setsockopt(fds[i], SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one));
		if (bind(fds[i], (struct sockaddr *)&own, served.len))
			return 1;
		getsockname(fds[0], (struct sockaddr *)&own, &len);
	}
	if (pipe(pair))
		return 1;
	pid = fork();
	if (pid == 0)
		_exit(connect_noted(fds[1], &refused) != ECONNREFUSED);
	return connect_noted(fds[0], &served) || child_status(pid);
}

/* The event of the second connect() still says the port of the first, which is another's by
 * then. */
static int second_connect(void)
{
	struct sockaddr_storage own = { 0 };
	socklen_t len = sizeof(own);
	int fd = tcp_socket(0), one = 1, other;
	pid_t pid;

	if (connect_noted(fd, &refused) != ECONNREFUSED)
		return 1;
	getsockname(fd, (struct sockaddr *)&own, &len);
	pid = fork();
	if (pid == 0) {
		struct sockaddr_in6 any = { .sin6_family = own.ss_family };

		any.sin6_port = ((struct sockaddr_in *)&own)->sin_port;
		other = tcp_socket(0);
		setsockopt(other, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
		if (bind(other, (struct sockaddr *)&any, served.len))
			_exit(1);
		_exit(connect_noted(other, &served));
	}
	return child_status(pid) || connect_noted(fd, &served);
}

static int exec_after(void)
{
	pid_t pid = fork();

	if (pid == 0) {
		if (connect_noted(tcp_socket(0), &served) == 0)
			execl("/bin/true", "true", NULL);
		_exit(1);
	}
	return child_status(pid);
}

static int exec_while_connecting(void)
{
	pid_t pid = fork();

	if (pid == 0) {
		if (connect_noted(tcp_socket(SOCK_NONBLOCK), &served) == EINPROGRESS)
			execl("/bin/true", "true", NULL);
		_exit(1);
	}
	return child_status(pid);
}

static int process_with_pid(pid_t wanted)
{
	struct clone_args args = {
		.exit_signal = SIGCHLD, .set_tid = (uintptr_t)&wanted, .set_tid_size = 1,
	};
	pid_t pid = syscall(SYS_clone3, &args, sizeof(args));

	if (pid == 0)
		_exit(connect_noted(tcp_socket(0), &served));
	return child_status(pid);
}

/* A pid that was free a moment ago; taken by somebody else meanwhile, clone3 says EEXIST. Start
 * times are counted in hundredths of a second: the second process begins in another one. */
static int reused_pid(void)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(connect_noted(tcp_socket(0), &served));
	if (child_status(pid))
		return 1;
	sleep_until_ns(clock_ns(CLOCK_MONOTONIC) + 30000000);
	return process_with_pid(pid);
}

static int v4_mapped(void)
{
	const struct sockaddr_in *four = (struct sockaddr_in *)&served.address;
	struct sockaddr_in6 mapped = { .sin6_family = AF_INET6, .sin6_port = four->sin_port };
	struct truth_row *row = row_next();
	int fd = socket(AF_INET6, SOCK_STREAM, 0), error = 0;

	memset(&mapped.sin6_addr.s6_addr[10], 0xff, 2);
	memcpy(&mapped.sin6_addr.s6_addr[12], &four->sin_addr, 4);
	attempt_begin(row);
	if (connect(fd, (struct sockaddr *)&mapped, sizeof(mapped)) < 0)
		error = errno;
	attempt_noted(row, fd, &served, error);
	return error;
}

static int mptcp(void)
{
	int fd = socket(served.address.ss_family, SOCK_STREAM, IPPROTO_MPTCP);

	if (fd < 0)
		return errno == EPROTONOSUPPORT || errno == ENOPROTOOPT ? SKIP : errno;
	return connect_noted(fd, &served);
}

static int fast_open(void)
{
	struct truth_row *row = row_next();
	int fd = tcp_socket(0), error = 0;

	attempt_begin(row);
	if (sendto(fd, "x", 1, MSG_FASTOPEN, (struct sockaddr *)&served.address, served.len) < 0)
		error = errno;
	attempt_noted(row, fd, &served, error);
	return error;
}

/* connect() only promises; the SYN leaves with the first write, here by another process. */
static int fast_open_connect(void)
{
	int fd = tcp_socket(0), one = 1;
	struct truth_row *row = row_next();
	pid_t pid;

	if (setsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, &one, sizeof(one)))
		return errno;
	attempt_begin(row);
	if (connect(fd, (struct sockaddr *)&served.address, served.len) < 0)
		return 1;
	pid = fork();
	if (pid == 0)
		_exit(write(fd, "x", 1) != 1);
	if (child_status(pid))
		return 1;
	attempt_noted(row, fd, &served, 0);
	return 0;
}

static const struct connects_case {
	const char *name;
	int (*run)(void);
} cases[] = {
	{ "plain", plain },
	{ "nonblocking", nonblocking },
	{ "abandoned", abandoned },
	{ "thread", thread },
	{ "child_with_parents_socket", child_with_parents_socket },
	{ "received_descriptor", received_descriptor },
	{ "bound_first", bound_first },
	{ "reuseport_pair", reuseport_pair },
	{ "second_connect", second_connect },
	{ "exec_after", exec_after },
	{ "exec_while_connecting", exec_while_connecting },
	{ "reused_pid", reused_pid },
	{ "v4_mapped", v4_mapped },
	{ "mptcp", mptcp },
	{ "fast_open", fast_open },
	{ "fast_open_connect", fast_open_connect },
	{ "uring", uring },
	{ "uring_worker", uring_worker },
};

static int print(const char *path, char **argv)
{
	struct truth_names names = {
		.executable = argv[0], .command_line = argv[1], .parent_executable = "unknown",
	};
	FILE *f = fopen(path, "w");
	int result = f ? truth_print(&truth, &names, f) : -errno;

	if (f)
		fclose(f);
	return result;
}

int main(int argc, char **argv)
{
	int result = 2;

	if (argc != 5 || destination_parse(&served, argv[3]) ||
	    destination_parse(&refused, argv[4]) || truth_new(&truth, ROWS_MAX)) {
		fputs("connects CASE TRUTH-FILE DESTINATION REFUSED-DESTINATION\n", stderr);
		for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
			fprintf(stderr, "  %s\n", cases[i].name);
		return 2;
	}
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (strcmp(argv[1], cases[i].name) == 0)
			result = cases[i].run();
	if (print(argv[2], argv))
		return 1;
	if (result && result != SKIP)
		fprintf(stderr, "connects %s: %s\n", argv[1], strerror(result));
	return result == 0 || result == SKIP ? result : 1;
}
