/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NFWHO_RESYNC_H
#define NFWHO_RESYNC_H

#include <stdbool.h>
#include <stdint.h>

/* After conntrack messages were lost: which connections still have an entry, and which have ended
 * without our being told. Part of the join. */

struct join;

enum resync_phase {
	RESYNC_IDLE,
	RESYNC_WAITING,		/* for calm */
	RESYNC_ASKING,		/* for each flow's entry */
	RESYNC_READING,		/* what the kernel had queued by then */
	RESYNC_JUDGING,
};

struct resync {
	enum resync_phase phase;
	bool again;		/* more was lost since */
	uint64_t lost_ns;	/* the first loss of this round, CLOCK_MONOTONIC */
	uint64_t due_ns;
	uint32_t slot;		/* how far the walk through the flow table has come */
};

/* Messages were lost up to now. */
void resync_begin(struct join *j);

/* The next step, bounded: of every join_settle(). Without a loss it does nothing. */
void resync_step(struct join *j);

/* When resync_step() has something to do; UINT64_MAX: never. */
uint64_t resync_next_ns(const struct join *j);

#endif
