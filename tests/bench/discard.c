// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * discard GROUP: reads what the collector reads (packets of an NFLOG group, the trace, conntrack's
 * events), the way it does under load, and throws it away. What nobody who wants to know all of it
 * can do without. Ends at SIGTERM and says how much it was.
 */
#include "ct.h"
#include "nflog.h"
#include "perf.h"

#include <inttypes.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PAUSE_NS 10000000
#define RECEIVE_BYTES (32u << 20)
#define TRACE_BYTES (2u << 20)
#define PACKETS_MAX 512
#define MESSAGES_MAX 2048

static volatile sig_atomic_t stop;

struct sources {
	struct perf *perf;
	struct nflog *nflog;
	struct ct *ct;
};

static void handle_stop(int signal)
{
	(void)signal;
	stop = 1;
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

static int sources_open(struct sources *s, uint16_t group)
{
	static const uint8_t protocols[] = { IPPROTO_TCP };
	struct perf_config perf = { .ring_bytes = TRACE_BYTES, .ends = true };
	struct nflog_config nflog = {
		.group = group, .copy_range_bytes = 256, .buffer_bytes = 64u << 10,
		.queue_threshold = 50, .flush_timeout_10ms = 1,
		.receive_buffer_bytes = RECEIVE_BYTES,
	};
	int err = perf_open(&s->perf, &perf, NULL);

	if (!err)
		err = ct_open(&s->ct, protocols, 1, RECEIVE_BYTES);
	if (!err)
		err = nflog_group_open(&s->nflog, &nflog);
	if (!err)
		perf_wake_on_exec(s->perf, false);
	return err;
}

static void drain(struct sources *s)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	perf_read(s->perf, (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec, drop_event,
		  NULL);
	while (nflog_read(s->nflog, PACKETS_MAX, drop_packet, NULL) >= PACKETS_MAX)
		;
	while (ct_read(s->ct, MESSAGES_MAX, drop_entry, NULL) >= MESSAGES_MAX)
		;
}

int main(int argc, char **argv)
{
	struct sigaction action = { .sa_handler = handle_stop };
	const struct timespec pause = { .tv_nsec = PAUSE_NS };
	struct sources s;
	int err;

	if (argc != 2) {
		fputs("usage: discard GROUP\n", stderr);
		return 2;
	}
	err = sources_open(&s, (uint16_t)strtoul(argv[1], NULL, 10));
	if (err) {
		fprintf(stderr, "discard: %s\n", strerror(-err));
		return 1;
	}
	sigaction(SIGTERM, &action, NULL);
	puts("reading");
	fflush(stdout);
	while (!stop) {
		nanosleep(&pause, NULL);
		drain(&s);
	}
	printf("%" PRIu64 " packets, %" PRIu64 " records of the trace, %" PRIu64 " of conntrack; "
	       "lost %" PRIu64 ", %" PRIu64 ", %" PRIu64 "\n", nflog_stats(s.nflog)->received,
	       perf_stats(s.perf)->records, ct_stats(s.ct)->received,
	       nflog_stats(s.nflog)->sequence_gap, perf_stats(s.perf)->lost,
	       ct_stats(s.ct)->dropped);
	nflog_group_close(s.nflog);
	ct_close(s.ct);
	perf_close(s.perf);
	return 0;
}
