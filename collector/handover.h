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

/* What the next run has to know, in a file in memory. */
struct account {
	char magic[8];
	uint32_t hooks, protocols, rule_limit;
	uint16_t group;
	bool loopback, conntrack;
	bool closed;			/* the run ended as it should; else the sums are not known */
	uint64_t matched, limited;	/* the rules' counters, as far as they are accounted for */
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

/* At the end of a run: the account for the next one. */
void handover_settle(const struct handover *h, const struct options *options, uint64_t matched,
		     uint64_t limited);

#endif
