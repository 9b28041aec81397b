/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NFWHO_LIMIT_H
#define NFWHO_LIMIT_H

#include "flow.h"
#include "record.h"

/*
 * The rate limit: which connections get a record of their own, and the sum of those that do not.
 * What is held back is counted, never forgotten: written and summed up are together what was
 * attempted, exactly, for each party (lib/party).
 */

/* Parties told apart at once. One that was silent for LIMIT_IDLE_NS makes room; while nobody was, a
 * new one is among the others, who share the rate of one party and one summary. About 10 MiB. */
#define LIMIT_PARTIES_MAX 4096
#define LIMIT_IDLE_NS 60000000000ull

/* Parties with a summary of their own in one interval; what is held back of more is in the others'.
 * 45 KiB each, only for as long as there is something to tell; the records of all of them take some
 * 8 ms to make. */
#define LIMIT_SUMMARIES_MAX 512

struct limit_config {
	uint32_t rate, burst;	/* connections per second, party and kind; rate 0: no limit */
	uint32_t rate_total;	/* of all; 0: no limit */
	uint64_t interval_ns;	/* from the first that is held back to its summary */
};

struct limit;

/* Returns 0, -EINVAL (no burst), or -errno. The caller owns *out. */
int limit_new(struct limit **out, const struct limit_config *config, uint64_t now_ns);
void limit_free(struct limit *l);

/* Other limits from now on; what is held back stays counted. Returns 0 or -EINVAL (no burst). */
int limit_change(struct limit *l, const struct limit_config *config);

/* A connection's owner is known (f->owner): whether it gets records. If not it is counted, and
 * f->limit_slot says where: its end must come to limit_end(). now_ns: CLOCK_MONOTONIC. */
bool limit_start(struct limit *l, struct flow *f, uint64_t now_ns);

/* The end of a connection that was held back (f->reason): counted where its start was, in the
 * interval it ends in. */
void limit_end(struct limit *l, const struct flow *f, uint64_t now_ns);

/* When the summaries are due, CLOCK_MONOTONIC; UINT64_MAX: nothing was held back. */
uint64_t limit_due_ns(const struct limit *l);

/* Tells all that was held back since the last call, one summary for each party, and begins anew.
 * `s` is valid during the call only, and may be completed by it. */
void limit_tell(struct limit *l, uint64_t now_real_ns,
		void (*tell)(struct record_suppressed *s, void *data), void *data);

#endif
