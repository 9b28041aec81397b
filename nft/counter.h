/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NFWHO_COUNTER_H
#define NFWHO_COUNTER_H

#include "nl.h"

/* A named counter of our table that may begin again at zero, as one that only grows. */

struct counter {
	uint64_t before;	/* counted by those that are gone */
	uint64_t seen;		/* last value of the present one */
};

/* Asks for the counter with this name. 0; -ENOENT: fewer rules than `rules` count with it (its
 * value was taken), or it is gone; or -errno. */
int counter_read(struct counter *counter, struct nl *nl, const char *name, uint32_t rules);

/* The table was made anew, by us: from zero. */
void counter_begin_again(struct counter *counter);

/* The same by others, who may have given it any value: that is not counted. */
void counter_follow(struct counter *counter, struct nl *nl, const char *name);

uint64_t counter_packets(const struct counter *counter);

#endif
