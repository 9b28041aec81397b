/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NFWHO_COLLECTOR_H
#define NFWHO_COLLECTOR_H

#include "confine.h"
#include "ct.h"
#include "filter.h"
#include "guard.h"
#include "handover.h"
#include "ifname.h"
#include "join.h"
#include "limit.h"
#include "metrics.h"
#include "nflog.h"
#include "option.h"
#include "perf.h"
#include "record.h"
#include "ruleset.h"
#include "sink.h"
#include "sysctl.h"

/* NFLOG's flush timeout, in its own unit. */
#define COLLECTOR_FLUSH_10MS 1

/* Everything that runs: the sources, the join, the outputs. Opened in one order, closed in the
 * other. */

struct collector {
	const struct options *options;
	struct host host;
	struct confine confine;
	struct handover handover;
	int proc_fd;

	struct sinks *sinks;
	struct record *record;
	struct capture *capture;	/* NULL: no output wants packets */
	struct passwd *users;		/* the same */
	struct process_table *processes;
	struct flow_table *flows;
	struct owner *owner;
	struct route *route;
	struct trace *trace;		/* NULL: no trace */
	struct perf *perf;		/* NULL: no trace */
	int untraced_cpus;		/* how many, or -errno */
	struct ct *ct;			/* NULL: --conntrack no, or not to be had */
	struct nflog *nflog;
	struct ruleset *ruleset;	/* NULL: --ruleset none */
	bool ruleset_owned;		/* ours to take away at exit */
	uint32_t rule_keys;		/* what it can decide (lib/filter) */
	struct filter rule_part;	/* what of the filters stands in it */
	struct guard guard;
	struct sysctl sysctl;
	struct ifname ifnames;
	struct limit *limit;
	struct join join;
	bool join_ready;
	struct ledger ledger;
	struct metrics metrics;

	struct ruleset_counts before;	/* the counters when we began */
	uint64_t losses_told;		/* packets lost, in the last ledger */
	uint64_t drops_told;		/* conntrack's messages, of those that the kernel counted */
	struct ledger said;		/* the sums when losses were last said on stderr */
	uint64_t proc_failures;		/* of the process table, when last said */
	uint64_t sock_failures;		/* of sockets' lookups, the same */
	uint64_t incomplete;		/* records, the same */
	bool counting;		/* connects are counted, for the next run */
	bool conntrack_taken;	/* over from the last run, with what is queued */
	bool group_taken;	/* the same */
	bool reader_gone;	/* stdout's: time to stop */
	uint32_t unread[256];	/* pids of new programs, and of new processes that connect */
	unsigned int unread_count;
	unsigned int packets_read, messages_read;	/* by the last drain, from NFLOG, conntrack */
	uint64_t clocks_apart_ns;	/* CLOCK_REALTIME less CLOCK_MONOTONIC, when last said; 0: not yet */
};

/* Opens all. Returns 0, or -1 after one line on stderr; collector_close() either way. */
int collector_open(struct collector *c, const struct options *options);
void collector_close(struct collector *c);

/* What these options ask of the parts that can change while running. Borrow from *options. */
void collector_record_config(const struct collector *c, const struct options *options,
			     struct record_config *config);
/* Why no records can be made of that: what record_new() returned, in words. */
const char *collector_record_error(int err);
void collector_limit_config(const struct options *options, struct limit_config *config);

/* Whether anything is to be told of what becomes of connections. Decided at the start: what reads
 * of it costs more than the starts do. */
bool collector_follows_ends(const struct options *options);

/* Keeps packets from now on, if an output wants them. 0 or -errno. */
int collector_want_packets(struct collector *c, const struct options *options);

/* The batch's clocks. */
void collector_read_clocks(struct collector *c);

/* Reads everything that the sources have up to now, decides, writes. Returns 0, 1 if there may be
 * more than one call should read, or -errno for a lost source. */
int collector_drain(struct collector *c);

/* How far this run has come, for the one that follows, should this one be killed. */
void collector_note(struct collector *c);

/* Traces CPUs that came online; says so, once, if it cannot. */
void collector_update_cpus(struct collector *c);

/* Brings the ledger up to date with the sources' own counts and writes it. */
void collector_ledger(struct collector *c);

/* Writes what the rate limit held back since the last time. */
void collector_summaries(struct collector *c);

/* No more packets: the rules go, the group is unbound, what the kernel still held is read and
 * written, then the last ledger. */
void collector_stop(struct collector *c);

#endif
