/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NFWHO_GUARD_H
#define NFWHO_GUARD_H

#include "ruleset.h"

#include <stdbool.h>
#include <stdint.h>

/* The guard over what makes the kernel log to us: our rules where anybody may change them, other
 * people's with --ruleset none, and the NFLOG group. */

struct collector;

/* Something is missing, or was. */
struct absence {
	bool missing;
	uint64_t from_real_ns;
	const char *what;
	uint32_t pid;		/* who did it; 0 unknown */
	char program[16];
};

struct guard {
	struct ruleset *ruleset;	/* watched; NULL: nobody can take our rules away */
	struct ruleset *own;		/* opened for this, with --ruleset none */
	int fd;				/* readable when somebody changes the ruleset */
	bool had_rules;			/* others' rules logged to our group */

	struct absence rules, group;
	struct ruleset_change suspect;	/* who changed the rules since they were looked at */
	uint64_t suspect_real_ns;
	bool suspected;
	uint64_t stood_real_ns;		/* when the rules were seen standing, or nobody had changed them */
	uint64_t looked_real_ns;	/* the former alone */
	uint64_t bound_real_ns;		/* the same of the group */

	uint64_t inspect_ns;		/* not looked at before; CLOCK_MONOTONIC */
	uint64_t retry_ns;		/* looked at without an event; 0: not */
	uint64_t woken_ns, listen_ns;	/* the descriptor is left alone until then; 0: it is not */
};

/* Begins to watch, if there is anything to watch. The rules must stand. Returns 0, or -1 after one
 * line on stderr; guard_close() either way. */
int guard_open(struct collector *c);
void guard_close(struct guard *g);

/* The descriptor was readable: reads who changed what, looks at the rules if they are concerned,
 * writes what is missing, and restores it if that was asked for. */
void guard_wake(struct collector *c);

/* Lets time pass. */
void guard_settle(struct collector *c);

/* When guard_settle() has something to do; UINT64_MAX: never. */
uint64_t guard_next_ns(const struct guard *g);

/* Asks for what no event tells, which is rare: whether the group is still ours, and, unless that
 * was looked for a short while ago, whether the rules stand. */
void guard_check(struct collector *c);

#endif
