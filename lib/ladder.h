/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NFWHO_LADDER_H
#define NFWHO_LADDER_H

#include "join.h"

/* Whose a flow is: the trace's word, or the lower rungs'. Part of the join. */

#define LADDER_LOOKUPS_MAX 64

/* Questions for the lower rungs, answered together: one walk of /proc serves all. Zeroed memory is
 * an empty set. */
struct ladder_lookups {
	struct flow *flows[LADDER_LOOKUPS_MAX];
	struct owner_query queries[LADDER_LOOKUPS_MAX];
	unsigned int count;
};

/* Starts the flow, holds it, or puts it among the lookups. last_chance: it has waited enough. */
void ladder_decide(struct join *j, struct flow *f, struct ladder_lookups *l, bool last_chance);

void ladder_lookups_add(struct join *j, struct ladder_lookups *l, struct flow *f);
void ladder_lookups_answer(struct join *j, struct ladder_lookups *l);

/* Takes a lower rung's answer: starts the flow, or has it wait until the answer is certain. */
void ladder_answer(struct join *j, struct flow *f, struct owner_query *query);

/* What was read at the exec of the flow's process may be old: its file deleted since, its user
 * another one. */
void ladder_look_at_process(struct join *j, const struct flow *f);

/* The wait is over: starts it with the holder or cgroup that was found, or without. */
void ladder_confirm(struct join *j, struct flow *f);

/* Starts it at once: with its connect's process, else with what its packet said. What a lower rung
 * found is not certain yet, and taken back. */
void ladder_cut_short(struct join *j, struct flow *f);

#endif
