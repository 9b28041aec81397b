/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NFWHO_ENDING_H
#define NFWHO_ENDING_H

#include "join.h"

/* Longest sensible wait for DESTROY after the close: TIME_WAIT's 120 s, and some. */
#define JOIN_DESTROY_NS 150000000000ull

/* Where a started flow goes from here, with what is known now: to its end, or into a queue.
 * patient: an explanation that is due may be waited for. */
void ending_follow(struct join *j, struct flow *f, bool patient);

/* Whether conntrack will tell of its end, if it has an entry. */
bool ending_told_by_conntrack(const struct join *j, const struct flow *f);

/* A tuple has one use at a time in each network namespace and zone. Before one more starts, the
 * oldest of very many ends as uncertain: whoever sends SYNs of one tuple on and on, each with
 * another number, would make as many flows of it as he likes, and each packet walks past all of
 * them. */
void ending_crowd_out(struct join *j, const struct flow *f);

#endif
