/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NFWHO_STANDING_H
#define NFWHO_STANDING_H

#include "nl.h"
#include "ruleset.h"

/* The table of our name as it stands in the kernel. */
struct standing {
	bool exists;
	bool marked;		/* its comment (or a rule's, before Linux 5.10) says it is ours */
	bool as_configured;	/* chains, hooks and rules are those of the configuration */
	uint32_t flags;		/* TABLE_FLAG_* */
	uint32_t owner_portid;	/* 0: nobody's */
	uint32_t use;		/* chains and objects in it */
	uint64_t handle;	/* a table made anew has another one; 0 unknown (< 4.16) */
};

/* Asks for our table only, so the cost does not depend on anybody else's. 0 or -errno. */
int standing_read(struct nl *nl, const struct ruleset_config *config, struct standing *out);

#endif
