// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What reading the trace costs: drains the rings for some seconds while something else makes the
 * load, and prints what came, its CPU time and its wake-ups.
 *
 *	bench_perf [SECONDS [DRAIN-MS [none|exec [RING-KIB]]]]
 *
 * DRAIN-MS 0: only when woken by the rings. `exec`: exec records wake.
 */
#include "perf.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

struct counts {
	uint64_t kind[PERF_WHOLE + 1];
	uint64_t old_state[16], new_state[16];
	uint64_t connects, steps_back;
	uint64_t last_ns;
};

static uint64_t now_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void count(const struct perf_event *event, void *data)
{
	struct counts *counts = data;

	counts->kind[event->kind]++;
	if (event->kind == PERF_SOCKET_STATE) {
		counts->old_state[event->socket.old_state & 15]++;
		counts->new_state[event->socket.new_state & 15]++;
		counts->connects += event->socket.new_state == TCP_SYN_SENT;
	}
	if (event->time_ns < counts->last_ns)
		counts->steps_back++;
	counts->last_ns = event->time_ns;
}

static void print(const struct perf *p, const struct counts *c, uint64_t cpu_ns, uint64_t wakes)
{
	static const char *const kinds[] = {
		"transitions", "routes", "errors", "forks", "execs", "comms", "exits",
		"lost_records", "doubts", "doubts_settled",
	};
	const struct perf_stats *stats = perf_stats(p);

	for (size_t i = 0; i <= PERF_WHOLE; i++)
		printf("%s %" PRIu64 "\n", kinds[i], c->kind[i]);
	for (size_t i = 0; i < 16; i++)
		if (c->old_state[i] || c->new_state[i])
			printf("state_%zu from %" PRIu64 " to %" PRIu64 "\n", i, c->old_state[i],
			       c->new_state[i]);
	printf("connects %" PRIu64 "\nrecords %" PRIu64 "\nlost %" PRIu64 "\ninvalid %" PRIu64 "\n",
	       c->connects, stats->records, stats->lost, stats->invalid);
	printf("passed_unread %" PRId64 "\nsteps_back %" PRIu64 "\nwakes %" PRIu64 "\n",
	       (int64_t)(perf_passed(p) - stats->transitions), c->steps_back, wakes);
	printf("cpu_ns %" PRIu64 "\n", cpu_ns);
	if (stats->records)
		printf("cpu_ns_per_record %" PRIu64 "\n", cpu_ns / stats->records);
	if (c->connects)
		printf("cpu_ns_per_connect %" PRIu64 "\n", cpu_ns / c->connects);
}

int main(int argc, char **argv)
{
	struct perf_config config = { .ends = true };
	struct counts counts = { 0 };
	uint64_t end_ns, start_cpu_ns, wakes = 0;
	struct epoll_event event;
	const char *why;
	struct perf *p;
	int drain_ms, error;

	config.ring_bytes = argc > 4 ? strtoul(argv[4], NULL, 10) * 1024 : 0;
	error = perf_open(&p, &config, &why);
	if (error) {
		fprintf(stderr, "bench_perf: %s: %s\n", why, strerror(-error));
		return error == -EPERM || error == -EACCES ? 77 : 1;
	}
	perf_wake_on_exec(p, argc <= 3 || strcmp(argv[3], "exec") == 0);
	drain_ms = argc > 2 ? strtol(argv[2], NULL, 10) : 0;
	start_cpu_ns = now_ns(CLOCK_PROCESS_CPUTIME_ID);
	end_ns = now_ns(CLOCK_MONOTONIC) + (argc > 1 ? strtoull(argv[1], NULL, 10) : 5) *
		 1000000000;
	while (now_ns(CLOCK_MONOTONIC) < end_ns) {
		if (drain_ms)
			usleep(drain_ms * 1000);
		else
			wakes += epoll_wait(perf_fd(p), &event, 1, 1000) > 0;
		perf_read(p, now_ns(CLOCK_MONOTONIC), count, &counts);
	}
	perf_read(p, UINT64_MAX, count, &counts);
	print(p, &counts, now_ns(CLOCK_PROCESS_CPUTIME_ID) - start_cpu_ns, wakes);
	perf_close(p);
	return 0;
}
