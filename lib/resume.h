/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NFWHO_RESUME_H
#define NFWHO_RESUME_H

#include <stdbool.h>
#include <stdint.h>

/* Connections that were open before this run, handed over by an earlier one or from a conntrack
 * dump. Part of the join. */

struct join;

/* How often it is asked whether they are still there. */
#define RESUME_WATCH_NS 20000000000ull

struct flow;

struct resume {
	bool dumping;
	unsigned int tries;	/* dumps begun */
	uint64_t begun_real_ns;	/* what is newer is this run's own */
	uint64_t read_ns;	/* when a part of the dump was last read */
};

/* One that an earlier run has handed over (lib/open_flows), as it was; before resume_begin(). */
void resume_take_over(struct join *j, const struct flow *from, const char *prefix);

/* Looks for them from now on, step by step. Needs join_config's ct. */
void resume_begin(struct join *j);

/* The next step, bounded: of every join_settle(). */
void resume_step(struct join *j);

/* When resume_step() has something to do; UINT64_MAX: never. */
uint64_t resume_next_ns(const struct join *j);

#endif
