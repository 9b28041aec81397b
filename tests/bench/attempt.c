// SPDX-License-Identifier: GPL-2.0-or-later
#include "attempt.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_S 1000000000ULL

uint64_t clock_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return t.tv_sec * NS_PER_S + t.tv_nsec;
}

void sleep_until_ns(uint64_t monotonic_ns)
{
	struct timespec t = { monotonic_ns / NS_PER_S, monotonic_ns % NS_PER_S };

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == EINTR)
		;
}

/* A failed connect() leaves the port behind, but not the address. */
static void learn_source(struct destination *to)
{
	struct sockaddr_storage own = { 0 };
	socklen_t len = sizeof(own);
	int fd = socket(to->address.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return;
	if (connect(fd, (struct sockaddr *)&to->address, to->len) == 0 &&
	    getsockname(fd, (struct sockaddr *)&own, &len) == 0) {
		if (own.ss_family == AF_INET)
			memcpy(to->source, &((struct sockaddr_in *)&own)->sin_addr, 4);
		else
			memcpy(to->source, &((struct sockaddr_in6 *)&own)->sin6_addr, 16);
	}
	close(fd);
}

int destination_parse(struct destination *to, const char *text)
{
	struct sockaddr_in6 *six = (struct sockaddr_in6 *)&to->address;
	struct sockaddr_in *four = (struct sockaddr_in *)&to->address;
	const char *colon = strrchr(text, ':');
	char host[INET6_ADDRSTRLEN + 2], *end;
	unsigned long port;
	size_t len;

	if (!colon || (size_t)(colon - text) >= sizeof(host))
		return -EINVAL;
	port = strtoul(colon + 1, &end, 10);
	if (*end || port == 0 || port > 65535)
		return -EINVAL;
	memset(to, 0, sizeof(*to));
	len = colon - text;
	memcpy(host, text, len);
	host[len] = '\0';
	if (host[0] == '[' && host[len - 1] == ']') {
		host[len - 1] = '\0';
		six->sin6_family = AF_INET6;
		six->sin6_port = htons(port);
		to->len = sizeof(*six);
		if (inet_pton(AF_INET6, host + 1, &six->sin6_addr) != 1)
			return -EINVAL;
	} else {
		four->sin_family = AF_INET;
		four->sin_port = htons(port);
		to->len = sizeof(*four);
		if (inet_pton(AF_INET, host, &four->sin_addr) != 1)
			return -EINVAL;
	}
	learn_source(to);
	return 0;
}

static void fill_tuple(int fd, const struct destination *to, struct truth_row *row)
{
	struct sockaddr_storage own = { 0 };
	const struct sockaddr_in6 *six = (struct sockaddr_in6 *)&to->address;
	const struct sockaddr_in *four = (struct sockaddr_in *)&to->address;
	socklen_t len = sizeof(own);

	getsockname(fd, (struct sockaddr *)&own, &len);
	row->family = to->address.ss_family;
	row->sport = ((struct sockaddr_in *)&own)->sin_port;
	memcpy(row->src, to->source, sizeof(row->src));
	if (row->family == AF_INET) {
		row->dport = four->sin_port;
		memcpy(row->dst, &four->sin_addr, sizeof(four->sin_addr));
	} else {
		row->dport = six->sin6_port;
		memcpy(row->dst, &six->sin6_addr, sizeof(six->sin6_addr));
	}
}

void attempt_begin(struct truth_row *row)
{
	row->pid = getpid();
	row->ppid = getppid();
	row->uid = getuid();
	row->start_real_ns = clock_ns(CLOCK_REALTIME);
	row->start_ns = clock_ns(CLOCK_MONOTONIC);
}

void attempt_noted(struct truth_row *row, int fd, const struct destination *to, int error)
{
	row->latency_ns = clock_ns(CLOCK_MONOTONIC) - row->start_ns;
	row->error = error;
	fill_tuple(fd, to, row);
	row->state = TRUTH_DONE;
}

static void finish(const struct attempt *attempt, int fd)
{
	struct linger reset = { .l_onoff = 1 };
	char byte[256];

	if (attempt->hold_ms)
		sleep_until_ns(clock_ns(CLOCK_MONOTONIC) + attempt->hold_ms * 1000000ULL);
	if (attempt->end == ATTEMPT_WAIT)
		while (read(fd, byte, sizeof(byte)) > 0)
			;
	if (attempt->end == ATTEMPT_RESET)
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
}

int attempt_run(const struct attempt *attempt, const struct destination *to,
		struct truth_row *row)
{
	struct timeval timeout = { attempt->timeout_ms / 1000, attempt->timeout_ms % 1000 * 1000 };
	int fd = socket(to->address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0), error = 0;

	if (fd < 0)
		return -errno;
	if (attempt->timeout_ms)
		setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
	attempt_begin(row);
	if (connect(fd, (struct sockaddr *)&to->address, to->len) < 0)
		error = errno;
	if (error == EADDRNOTAVAIL) {
		close(fd);
		return -error;
	}
	attempt_noted(row, fd, to, error);
	if (!error)
		finish(attempt, fd);
	row->close_ns = clock_ns(CLOCK_MONOTONIC);
	close(fd);
	return 0;
}
