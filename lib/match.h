/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NFWHO_MATCH_H
#define NFWHO_MATCH_H

#include "join.h"

/* Which connect a packet belongs to, and what its socket says. Part of the join. */

enum match_verdict {
	MATCH_TAKEN,	/* the flow has its connect */
	MATCH_NOBODY,	/* no connect fits */
	MATCH_UNSURE,	/* several may: a later sign can tell */
};

/* Looks for the connect of a flow that has its packet. ask_holders: candidates' descriptors may be
 * searched, too. */
enum match_verdict match_connect(struct join *j, struct flow *f, bool ask_holders);

/* Whether the caller of `connect` is in the network namespace that packets of this hook come from,
 * known for certain; asks /proc if it has not been asked. */
bool match_surely_sends(struct join *j, struct flow *connect, uint8_t hook);

/* That of packets which leave this host. A child that ended before it could be asked for its
 * network namespace had its parent's, if the address it connected from is one of ours. */
bool match_is_from_here(struct join *j, struct flow *connect);

/* Packets of this tuple that have been read and are nobody's yet; *newer: those of flows with a
 * number over `after`. */
unsigned int match_undecided(struct join *j, const struct tuple *tuple, uint64_t after,
			     unsigned int *newer);

/* Logged on its way through: its socket is not in this namespace. */
bool match_is_forwarded(const struct flow *f);

/* What sock_diag, or /proc/net, says of the flow's socket. Returns 0, -ENOENT if there is none (or
 * it is forwarded), or another -errno: it cannot be asked for now. */
int match_ask_socket(struct join *j, const struct flow *f, struct owner_query *query);

#endif
