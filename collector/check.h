/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NFWHO_CHECK_H
#define NFWHO_CHECK_H

#include "checklist.h"
#include "option.h"

/* `nfwho check`: what this host offers to a `run` with these options, said line by line on stdout,
 * and the proof of it. Returns the exit status: 0 all works, 3 works with less, 1 cannot. */
int check(struct options *options);

/* Its parts. Each only looks; what it opens is closed again. */
void check_rights(struct checklist *c);
void check_confinement(struct checklist *c, const struct options *options);
void check_clock(struct checklist *c);
/* Whether a `run` makes a table of its own; and what would be in its way. */
bool check_ruleset(struct checklist *c, const struct options *options);
void check_saved_rulesets(struct checklist *c, bool ours);
void check_group(struct checklist *c, const struct options *options);
void check_conntrack(struct checklist *c, const struct options *options);
void check_sockets(struct checklist *c, const struct options *options);
void check_trace(struct checklist *c, const struct options *options);

/* Sends one test record to each output. */
void check_outputs(struct checklist *c, const struct options *options);

/* Lets this very program collect in a network namespace of its own and makes a connection there,
 * whose record must come back with the pid that made it. */
void check_whole_way(struct checklist *c, const struct options *options);

#endif
