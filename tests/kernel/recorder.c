// SPDX-License-Identifier: GPL-2.0-or-later
#include "recorder.h"

#include <arpa/inet.h>
#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

int recorder_world(void)
{
	struct perf_config config = { 0 };
	const char *why = "";
	struct perf *p;
	int error = perf_open(&p, &config, &why);

	if (error == -EPERM || error == -EACCES ||
	    (error == -ENOENT && system("grep -qw tracefs /proc/filesystems") != 0)) {
		printf("needs the trace: %s: %s\n", why, strerror(-error));
		return 77;
	}
	if (error) {
		printf("the trace does not work: %s: %s\n", why, strerror(-error));
		return 1;
	}
	perf_close(p);
	if (unshare(CLONE_NEWNET) < 0) {
		printf("needs a network namespace of its own: %s\n", strerror(errno));
		return 77;
	}
	if (system("ip link set lo up && ip link add void type veth peer name end && "
		   "ip link set void up && ip link set end up && "
		   "ip address add 198.51.100.1/24 dev void && "
		   "ip address add 2001:db8::1/64 dev void nodad && "
		   "ip neighbour add 198.51.100.9 lladdr 02:00:00:00:00:09 dev void && "
		   "ip neighbour add 2001:db8::9 lladdr 02:00:00:00:00:09 dev void") != 0) {
		printf("no device can be made\n");
		return 1;
	}
	return 0;
}

struct recorder *recorder_open(uint32_t ring_bytes)
{
	struct recorder *r = calloc(1, sizeof(*r));
	struct perf_config config = { .ring_bytes = ring_bytes, .ends = true };
	const char *why;
	int error;

	assert_non_null(r);
	error = perf_open(&r->perf, &config, &why);
	if (error || *why)
		fail_msg("%s: %s", why, strerror(-error));
	return r;
}

void recorder_close(struct recorder *r)
{
	perf_close(r->perf);
	free(r);
}

static void keep(const struct perf_event *event, void *data)
{
	struct recorder *r = data;
	const char *text = event->kind == PERF_EXEC ? event->exec.filename :
			   event->kind == PERF_COMM ? event->comm.comm : "";

	r->connects += event->kind == PERF_SOCKET_STATE && event->socket.new_state == TCP_SYN_SENT;
	if (r->count == RECORDER_MAX)
		return;
	snprintf(r->text[r->count], RECORDER_TEXT, "%s", text);
	r->event[r->count++] = *event;
}

void recorder_read_until(struct recorder *r, uint64_t until_ns)
{
	assert_true(perf_read(r->perf, until_ns, keep, r) >= 0);
}

void recorder_read(struct recorder *r)
{
	recorder_read_until(r, UINT64_MAX);
}

void recorder_forget(struct recorder *r)
{
	recorder_read(r);
	r->count = 0;
	r->connects = 0;
}

static bool is_connect(const struct perf_event *e)
{
	return e->kind == PERF_SOCKET_STATE && e->socket.new_state == TCP_SYN_SENT;
}

const struct perf_event *recorder_connect(const struct recorder *r, size_t from, uint16_t dport)
{
	for (size_t i = from; i < r->count; i++)
		if (is_connect(&r->event[i]) && r->event[i].socket.tuple.dport == htons(dport))
			return &r->event[i];
	return NULL;
}

const struct perf_event *recorder_next(const struct recorder *r, const struct perf_event *event)
{
	for (const struct perf_event *e = event + 1; e < r->event + r->count; e++)
		if (e->kind == PERF_SOCKET_STATE && e->socket.skaddr == event->socket.skaddr)
			return e;
	return NULL;
}

const struct perf_event *recorder_find(const struct recorder *r, const struct perf_event *event,
				       enum perf_kind kind, uint32_t tid)
{
	const struct perf_event *e = event ? event + 1 : r->event;

	for (; e < r->event + r->count; e++)
		if (e->kind == kind && (tid == 0 || e->tid == tid))
			return e;
	return NULL;
}

uint64_t recorder_now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

int recorder_socket(int family, int flags)
{
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);

	assert_true(fd >= 0);
	return fd;
}

static socklen_t fill(struct sockaddr_storage *to, const char *address, uint16_t port)
{
	struct sockaddr_in6 *six = (void *)to;
	struct sockaddr_in *four = (void *)to;

	memset(to, 0, sizeof(*to));
	if (strchr(address, ':')) {
		six->sin6_family = AF_INET6;
		six->sin6_port = htons(port);
		assert_int_equal(inet_pton(AF_INET6, address, &six->sin6_addr), 1);
		return sizeof(*six);
	}
	four->sin_family = AF_INET;
	four->sin_port = htons(port);
	assert_int_equal(inet_pton(AF_INET, address, &four->sin_addr), 1);
	return sizeof(*four);
}

int recorder_connect_to(int fd, const char *address, uint16_t port)
{
	struct sockaddr_storage to;
	socklen_t len = fill(&to, address, port);

	return connect(fd, (void *)&to, len) < 0 ? -errno : 0;
}

uint16_t recorder_fresh_port(void)
{
	static uint16_t port = 20000;

	return ++port;
}

void recorder_attempt(const char *address, uint16_t port)
{
	int fd = recorder_socket(strchr(address, ':') ? AF_INET6 : AF_INET, SOCK_NONBLOCK);

	assert_int_equal(recorder_connect_to(fd, address, port), -EINPROGRESS);
	close(fd);
}

uint16_t recorder_port(int fd)
{
	struct sockaddr_storage at;
	socklen_t len = sizeof(at);

	assert_int_equal(getsockname(fd, (void *)&at, &len), 0);
	return ntohs(at.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&at)->sin6_port :
		     ((struct sockaddr_in *)&at)->sin_port);
}

int recorder_listen(int family, uint16_t *port)
{
	struct sockaddr_storage at;
	socklen_t len = fill(&at, family == AF_INET6 ? "::1" : "127.0.0.1", 0);
	int fd = recorder_socket(family, 0);

	assert_int_equal(bind(fd, (void *)&at, len), 0);
	assert_int_equal(listen(fd, 128), 0);
	*port = recorder_port(fd);
	return fd;
}
