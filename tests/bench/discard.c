// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * discard GROUP [start]: reads what the collector reads (packets of an NFLOG group, the trace,
 * conntrack's events; with "start" what `--events start` reads), and throws it away. What nobody who
 * wants to know all of it can do without. When there is something it reads a hundred times a second,
 * as whoever wants lines within 20 ms must; when there is nothing it sleeps. Ends at SIGINT or SIGTERM
 * and says how much it was.
 */
#include "clock.h"
#include "ct.h"
#include "nflog.h"
#include "perf.h"

#include <inttypes.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <time.h>

#define PAUSE_NS 10000000
#define RECEIVE_BYTES (32u << 20)
#define TRACE_BYTES (2u << 20)
#define PACKETS_MAX 512
#define MESSAGES_MAX 2048

struct sources {
	struct perf *perf;
	struct nflog *nflog;
	struct ct *ct;		/* NULL: starts only */
};

static int open_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC);
}

static void drop_packet(const struct nflog_packet *packet, void *data)
{
	(void)packet;
	(void)data;
}

static void drop_event(const struct perf_event *event, void *data)
{
	(void)event;
	(void)data;
}

static void drop_entry(const struct ct_entry *entry, void *data)
{
	(void)entry;
	(void)data;
}

static int sources_open(struct sources *s, uint16_t group, bool ends)
{
	static const uint8_t protocols[] = { IPPROTO_TCP };
	struct perf_config perf = { .ring_bytes = TRACE_BYTES, .ends = ends };
	struct nflog_config nflog = {
		.group = group, .copy_range_bytes = 256, .buffer_bytes = 64u << 10,
		.queue_threshold = 50, .flush_timeout_10ms = 1,
		.receive_buffer_bytes = RECEIVE_BYTES,
	};
	int err = perf_open(&s->perf, &perf, NULL);

	if (!err && ends)
		err = ct_open(&s->ct, protocols, 1, RECEIVE_BYTES);
	if (!err)
		err = nflog_group_open(&s->nflog, &nflog);
	if (!err)
		perf_wake_on_exec(s->perf, false);
	return err;
}

static void drain(struct sources *s, uint64_t now_ns)
{
	perf_read(s->perf, now_ns, drop_event, NULL);
	while (nflog_read(s->nflog, PACKETS_MAX, drop_packet, NULL) >= PACKETS_MAX)
		;
	while (s->ct && ct_read(s->ct, MESSAGES_MAX, drop_entry, NULL) >= MESSAGES_MAX)
		;
}

static void read_until_signal(struct sources *s, int signal_fd)
{
	struct pollfd from[] = {
		{ .fd = signal_fd, .events = POLLIN },
		{ .fd = nflog_group_fd(s->nflog), .events = POLLIN },
		{ .fd = perf_fd(s->perf), .events = POLLIN },
		{ .fd = s->ct ? ct_fd(s->ct) : -1, .events = POLLIN },
	};
	uint64_t now_ns, next_ns = 0;

	while (poll(from, sizeof(from) / sizeof(from[0]), -1) > 0 && !from[0].revents) {
		now_ns = clock_ns(CLOCK_MONOTONIC);
		if (now_ns < next_ns) {
			nanosleep(&(struct timespec){ .tv_nsec = (long)(next_ns - now_ns) }, NULL);
			now_ns = next_ns;
		}
		drain(s, now_ns);
		next_ns = now_ns + PAUSE_NS;
	}
}

static void say(const struct sources *s)
{
	printf("%" PRIu64 " packets, %" PRIu64 " records of the trace, %" PRIu64 " of conntrack; "
	       "lost %" PRIu64 ", %" PRIu64 ", %" PRIu64 "\n", nflog_stats(s->nflog)->received,
	       perf_stats(s->perf)->records, s->ct ? ct_stats(s->ct)->received : 0,
	       nflog_stats(s->nflog)->sequence_gap, perf_stats(s->perf)->lost,
	       s->ct ? ct_stats(s->ct)->dropped : 0);
}

int main(int argc, char **argv)
{
	int err, signal_fd = open_signals();
	struct sources s = { 0 };

	if (argc < 2 || argc > 3 || (argc == 3 && strcmp(argv[2], "start") != 0)) {
		fputs("usage: discard GROUP [start]\n", stderr);
		return 2;
	}
	err = sources_open(&s, (uint16_t)strtoul(argv[1], NULL, 10), argc == 2);
	if (err) {
		fprintf(stderr, "discard: %s\n", strerror(-err));
		return 1;
	}
	puts("reading");
	fflush(stdout);
	read_until_signal(&s, signal_fd);
	say(&s);
	nflog_group_close(s.nflog);
	ct_close(s.ct);
	perf_close(s.perf);
	return 0;
}
