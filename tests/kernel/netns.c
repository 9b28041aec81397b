// SPDX-License-Identifier: GPL-2.0-or-later
#include "netns.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static int open_current(void)
{
	int fd = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

void netns_run(const char *format, ...)
{
	char command[1024];
	va_list args;
	int status;

	va_start(args, format);
	vsnprintf(command, sizeof(command), format, args);
	va_end(args);
	status = system(command);
	if (status)
		print_message("# %s: %d\n", command, status);
	assert_int_equal(status, 0);
}

static void dress(const char *address4, const char *address6)
{
	netns_run("sysctl -qw net.ipv6.conf.eth0.accept_dad=0 && ip link set lo up && "
		  "ip addr add %s/24 dev eth0 && ip addr add %s/64 dev eth0 nodad && "
		  "ip link set eth0 up", address4, address6);
}

/* Until IPv6 has heard that there is a carrier. */
static void wait_until_up(void)
{
	netns_run("for i in $(seq 500); do ip -6 route show table all dev eth0 | "
		  "grep -q multicast && exit 0; sleep 0.01; done; exit 1");
}

void netns_pair_open(struct netns_pair *p)
{
	p->original = open_current();
	assert_int_equal(unshare(CLONE_NEWNET), 0);
	p->peer = open_current();
	assert_int_equal(unshare(CLONE_NEWNET), 0);
	p->here = open_current();

	netns_run("ip link add eth0 type veth peer name eth0 netns /proc/%d/fd/%d", getpid(),
		  p->peer);
	dress(NETNS_HERE4, NETNS_HERE6);
	assert_int_equal(setns(p->peer, CLONE_NEWNET), 0);
	dress(NETNS_PEER4, NETNS_PEER6);
	wait_until_up();
	assert_int_equal(setns(p->here, CLONE_NEWNET), 0);
	wait_until_up();
}

void netns_pair_close(struct netns_pair *p)
{
	setns(p->original, CLONE_NEWNET);
	close(p->here);
	close(p->peer);
	close(p->original);
}

int netns_listen(const struct netns_pair *p, uint16_t port)
{
	struct sockaddr_in6 any = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
	int fd, one = 1;

	assert_int_equal(setns(p->peer, CLONE_NEWNET), 0);
	fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(setns(p->here, CLONE_NEWNET), 0);
	assert_true(fd >= 0);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	assert_int_equal(bind(fd, (struct sockaddr *)&any, sizeof(any)), 0);
	assert_int_equal(listen(fd, 4096), 0);
	return fd;
}

int netns_connect(const char *address, uint16_t port)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(port) };
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
	int fd;

	if (inet_pton(AF_INET, address, &in.sin_addr) == 1) {
		fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		assert_int_equal(connect(fd, (struct sockaddr *)&in, sizeof(in)), 0);
		return fd;
	}
	assert_int_equal(inet_pton(AF_INET6, address, &in6.sin6_addr), 1);
	fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&in6, sizeof(in6)), 0);
	return fd;
}

void netns_send(int *fd, uint16_t port, unsigned int bytes)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(port) };
	static const char data[1400];

	if (*fd < 0)
		*fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	inet_pton(AF_INET, NETNS_PEER4, &to.sin_addr);
	assert_int_equal(sendto(*fd, data, bytes, 0, (struct sockaddr *)&to, sizeof(to)), bytes);
}

int netns_without_capabilities(int (*run)(void *data), void *data)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = { 0 };
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (pid == 0) {
		if (syscall(SYS_capset, &header, none) < 0)
			_exit(99);
		_exit(run(data));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

int netns_wait(int fd, int timeout_ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, timeout_ms) > 0;
}
