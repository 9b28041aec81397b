/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NFWHO_HANDOVER_H
#define NFWHO_HANDOVER_H

#include "notify.h"
#include "option.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

/* From one run to the next, through the service manager's fd store: see the head of handover.c. */

enum handover_kind {
	HANDOVER_GROUP, HANDOVER_CONNTRACK, HANDOVER_RULES, HANDOVER_ACCOUNT, HANDOVER_FLOWS,
	HANDOVER_KINDS
};

/* CPUs whose connects can be counted between two runs; nfwho.service has room for as many. */
#define HANDOVER_COUNTERS_MAX NOTIFY_STORE_MAX

/* How far a run has come. Truths are bytes, of which a file may hold any. */
struct account_sums {
	struct ruleset_counts counts;	/* the kernel's counters, as far as they are accounted for */
	uint64_t table;			/* whose they are (ruleset_table); 0: nobody's */
	uint32_t pending;		/* packets received, for which nothing is written yet, and
					 * losses that no ledger has told of */
	uint32_t next_sequence;		/* of the group's packets */
	uint32_t conntrack_drops;	/* the kernel's count of lost messages, as far as a ledger has told */
	uint8_t numbered;		/* that is known */
	uint8_t conntrack;		/* conntrack_drops is known */
	uint8_t known;			/* anything is: it may have ended before */
	uint8_t counting;		/* connects are counted from then on, by what is kept */
	uint8_t owned;			/* the table was that run's own, to be taken away at its end */
	uint64_t packets_read_ns;	/* CLOCK_MONOTONIC: all that were queued by then had been
					 * received; 0: not known, as by an older version */
};

/* What the next run has to know, in a file in memory. */
struct account {
	char magic[8];
	uint32_t hooks, protocols, rule_limit;
	uint16_t group;
	uint8_t loopback, conntrack;
	struct account_sums sums;
};

struct handover {
	int fds[HANDOVER_KINDS];	/* -1: none; those received, until they are taken */
	ino_t had[HANDOVER_KINDS];	/* what was received; 0: nothing */
	int counters[HANDOVER_COUNTERS_MAX];	/* perf's, one for each CPU; closed when asked */
	unsigned int counter_count;
	unsigned long room;		/* descriptors that a manager keeps for us */
	bool kept;			/* it keeps what we give it */
	bool received;			/* the account of an earlier run is there */
	bool same_rules;		/* and it was one with these rules */
	bool note_failed;		/* said already */
	struct account account;		/* of the earlier run */
	struct account own;		/* of this one, but for its sums */
};

/* Takes what the environment says was passed to us (LISTEN_FDS and its kin, FDSTORE). */
void handover_open(struct handover *h, const struct options *options);
void handover_close(struct handover *h);

/* One descriptor, which is the caller's from now on; -1 if there is none. */
int handover_take(struct handover *h, enum handover_kind kind);

/* Gives the manager a descriptor to keep, instead of one it may have of that kind; -1: none. What
 * it handed to us it has still (systemd's LISTEN_FDS are copies): taken back and given once more,
 * it would be lost should we be killed in between. */
void handover_keep(const struct handover *h, const struct notify *n, enum handover_kind kind,
		   int fd);

/* The same for the events that count connects: all of them, or none if there is no room. */
void handover_keep_counters(const struct handover *h, const struct notify *n, const int *fds,
			    unsigned int count);

/* Connects that were counted since the last run's end. Asked once. Returns 0, or -ENOENT if nobody
 * counted them. */
int handover_counted(struct handover *h, uint64_t *connects);

/* What the last run left as its list of open connections: *list is to be freed. It is left once
 * only. Returns its length, 0 if there is none, or -errno. */
ssize_t handover_read_flows(struct handover *h, void **list);

/* The file that the list goes into, at its beginning; NULL: nobody keeps it. To be closed. */
FILE *handover_write_flows(struct handover *h);

/* For the next run, however this one ends: after each drain, and at the end. */
void handover_note(struct handover *h, const struct account_sums *sums);

#endif
