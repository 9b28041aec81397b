// SPDX-License-Identifier: GPL-2.0-or-later
#include "serve.h"

#include <errno.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define LISTENER (1ULL << 32)

static int add(int epoll, int fd, uint64_t kind)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLRDHUP, .data.u64 = kind | (uint32_t)fd };

	return epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) ? -errno : 0;
}

static int listen_at(int epoll, const struct destination *at)
{
	int fd = socket(at->address.ss_family, SOCK_STREAM | SOCK_NONBLOCK, 0), one = 1;

	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (at->address.ss_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *)&at->address, at->len) || listen(fd, 65535))
		return -errno;
	return add(epoll, fd, LISTENER);
}

static void accept_all(int epoll, int listener, bool close_at_once)
{
	int fd;

	while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0)
		if (close_at_once || add(epoll, fd, 0))
			close(fd);
}

static void read_all(int fd)
{
	char buf[65536];
	ssize_t n;

	do
		n = read(fd, buf, sizeof(buf));
	while (n > 0);
	if (n == 0 || errno != EAGAIN)
		close(fd);
}

int serve(const struct destination *at, unsigned int count, bool close_at_once)
{
	struct rlimit files = { 500000, 500000 };
	struct epoll_event events[512];
	int epoll = epoll_create1(0), result, n;

	if (epoll < 0)
		return -errno;
	setrlimit(RLIMIT_NOFILE, &files);
	for (unsigned int i = 0; i < count; i++)
		if ((result = listen_at(epoll, &at[i])))
			return result;
	puts("listening");
	fflush(stdout);
	while ((n = epoll_wait(epoll, events, 512, -1)) >= 0 || errno == EINTR)
		for (int i = 0; i < n; i++) {
			int fd = (uint32_t)events[i].data.u64;

			if (events[i].data.u64 & LISTENER)
				accept_all(epoll, fd, close_at_once);
			else
				read_all(fd);
		}
	return -errno;
}
