/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NFWHO_HANDOVER_H
#define NFWHO_HANDOVER_H

#include "notify.h"
#include "option.h"

#include <stdbool.h>
#include <stdint.h>

/* From one run to the next, through the service manager's fd store: see the head of handover.c. */

enum handover_kind {
	HANDOVER_GROUP, HANDOVER_CONNTRACK, HANDOVER_RULES, HANDOVER_ACCOUNT, HANDOVER_KINDS
};

/* How far a run has come. Truths are bytes, of which a file may hold any. */
struct account_sums {
	struct ruleset_counts counts;	/* the rules' counters, as far as they are accounted for */
	uint32_t pending;		/* packets received, for which nothing is written yet */
	uint32_t next_sequence;		/* of the group's packets */
	uint8_t numbered;		/* that is known */
	uint8_t known;			/* anything is: it may have ended before */
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
	bool kept;			/* a manager keeps what we give it */
	bool received;			/* the account of an earlier run is there */
	bool same_rules;		/* and it was one with these rules */
	struct account account;		/* of the earlier run */
};

/* Takes what the environment says was passed to us (LISTEN_FDS and its kin, FDSTORE). */
void handover_open(struct handover *h, const struct options *options);
void handover_close(struct handover *h);

/* One descriptor, which is the caller's from now on; -1 if there is none. */
int handover_take(struct handover *h, enum handover_kind kind);

/* Gives the manager a descriptor to keep, instead of one it may have of that kind; -1: none. */
void handover_keep(const struct handover *h, const struct notify *n, enum handover_kind kind,
		   int fd);

/* For the next run, however this one ends: after each drain, and at the end. */
void handover_note(const struct handover *h, const struct account_sums *sums);

#endif
