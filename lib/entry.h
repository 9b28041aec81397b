/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NFWHO_ENTRY_H
#define NFWHO_ENTRY_H

#include "join.h"

/* conntrack's entries, as far as they tell of flows. Part of the join, whose join_conntrack() is
 * here. */

/* Of join.confirmed and join.crowded: 1 MiB each, touched as they are used. */
#define ENTRY_SLOTS (1u << 18)

/* Gives `f`, if conntrack has told nothing of it, what it has told of `connect`: its word may have
 * found the connect before its packet did. Word of another entry than the packet came with goes to
 * the flow of that entry, at once or when its packet is read; `connect` has it no longer. */
void entry_absorb(struct join *j, struct flow *f, struct flow *connect);

/* The same with what conntrack has told of nobody yet, for a flow whose packet has come: conntrack
 * is read last, up to a later instant than the trace, so that its word can come before that of the
 * connect, when there is no flow to take it. Where packets come with their entries, also with what
 * another connect with this tuple has taken of it. */
void entry_adopt(struct join *j, struct flow *f);

/* The packet came with its entry: word of another one, which a connect may have taken before its
 * packet was read, is not its, and goes on as in entry_absorb(). */
void entry_attached(struct join *j, struct flow *f, uint32_t id, uint16_t zone, bool unconfirmed);

/* The flow's packet, sent again. Its first entry, if conntrack did not confirm it, went with a
 * packet that was dropped on this host; this one made the next, whose word is the flow's. */
void entry_sent_again(struct join *j, struct flow *f, const struct nflog_packet *packet);

/* Whether what only conntrack has told of, or the dump of a start, is an entry that stood before a
 * packet was sent, which was after sent_after_ns (CLOCK_MONOTONIC); connects: it is a socket's
 * first. Such an entry is of an earlier connection with this tuple. */
bool entry_is_older(const struct join *j, const struct flow *orphan, uint64_t sent_after_ns,
		    bool connects);

/* What an entry tells of a flow while it stands. */
void entry_fill_reply(struct flow *f, const struct ct_entry *entry);

/* And at its end. Counters are added, not set: an entry removed under a connection is followed by
 * another one while it goes on. */
void entry_fill_last_word(struct join *j, struct flow *f, const struct ct_entry *entry);

/* The same from an entry that still stands, although its connection is over: no DESTROY may come of
 * it (see resume.c). */
void entry_take_as_final(struct join *j, struct flow *f, struct ct_entry *entry);

/* What entries have told of a flow is not its. */
void entry_forget(struct flow *f);

#endif
