/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NFWHO_RULESET_H
#define NFWHO_RULESET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Our ruleset in the kernel: one table `inet nfwho`, one chain per hook, built, verified, counted
 * and removed with libnftnl. Every change is one atomic batch; nobody else's table is touched.
 */

#define RULESET_TABLE "nfwho"
#define RULESET_PREFIX "nfwho"		/* what `run` and `rules` put into config.prefix */
#define RULESET_PREFIX_UNTRACKED "nfwho:untracked"	/* of packets that conntrack passes over */
#define RULESET_SNAPLEN_BYTES 256	/* IPv6 and TCP headers with all options, and extensions */

enum ruleset_hook {
	RULESET_OUTPUT		= 1 << 0,
	RULESET_FORWARD		= 1 << 1,
	RULESET_PREROUTING	= 1 << 2,
	RULESET_INPUT		= 1 << 3,
	RULESET_POSTROUTING	= 1 << 4,
};

enum ruleset_protocol {
	RULESET_TCP	= 1 << 0,
	RULESET_UDP	= 1 << 1,
	RULESET_SCTP	= 1 << 2,
	RULESET_ICMP	= 1 << 3,
};

struct ruleset_config {
	uint16_t group;
	uint32_t snaplen_bytes;
	uint32_t hooks;		/* enum ruleset_hook */
	uint32_t protocols;	/* enum ruleset_protocol */
	bool loopback;		/* log loopback too */
	bool conntrack;		/* match ct state; false: by SYN flags alone */
	uint32_t limit_per_second;	/* of each rule, at most 10,000,000; 0: none. What is over
					 * is counted by a second rule, never dropped */
	const char *prefix;	/* at most 127 bytes of ASCII without " $ \ */
	const char *untracked_prefix;	/* the same, of packets without conntrack entry */
};

enum ruleset_state {
	RULESET_ABSENT,
	RULESET_STANDS,		/* ours, as configured, not owned by anyone */
	RULESET_OWNED,		/* ours, owned by a socket (ours or another's) */
	RULESET_ALTERED,	/* a table of our name with our mark, but not these rules */
	RULESET_FOREIGN,	/* a table of our name that is not ours */
};

struct ruleset;

/* Opens the nf_tables socket. Returns 0, -EPERM, -EPROTONOSUPPORT (no nf_tables), -EINVAL (a
 * configuration no ruleset can say; without conntrack TCP is the only protocol), or -errno. The
 * caller owns *out. */
int ruleset_open(struct ruleset **out, const struct ruleset_config *config);

/* What stands now. owner_portid (may be NULL): netlink port of the owning socket, 0 none. */
int ruleset_inspect(struct ruleset *r, enum ruleset_state *state, uint32_t *owner_portid);

/* The handle of the table that was inspected or created last: another table's is another one, until
 * the next boot (NFTA_TABLE_HANDLE, Linux 4.16). 0: none. */
uint64_t ruleset_table(const struct ruleset *r);

/* Creates the table as one batch. owned: with the owner flag, so that it dies with this socket and
 * survives others' `flush ruleset`; -EOPNOTSUPP where the kernel does not know the flag (< 5.12).
 * A table of ours that stands is replaced in the same batch, its counters kept at zero.
 * -EEXIST: a foreign table of our name. -EBUSY: another process owns it. -EPROTONOSUPPORT: the
 * kernel lacks an expression (log, ct, limit, named counters). -EAGAIN: others keep changing the
 * ruleset. */
int ruleset_create(struct ruleset *r, bool owned);

/* Whether this kernel knows tables with an owner (Linux 5.12): 1 or 0, or -errno as above. Tried
 * with a batch that fails as a whole: nothing is changed. */
int ruleset_may_own(struct ruleset *r);

/* Removes our table if it is ours. 0 also if there was none. */
int ruleset_remove(struct ruleset *r);

/* Takes the rules out and leaves the counters: their last values are those of ruleset_counters()
 * after this. 0, or -errno as ruleset_remove(). */
int ruleset_silence(struct ruleset *r);

/* What an owned table leaves out of what it logs, and counts: users, networks, ports and protocols,
 * no other terms. Copied. The rules are replaced in one batch, in which the counters go on. 0,
 * RULESET_NOT_OWNED (a table that is not this socket's has no filter), or -errno as
 * ruleset_create(). */
#define RULESET_NOT_OWNED 1
struct filter;
int ruleset_filter(struct ruleset *r, const struct filter *filter);

struct ruleset_counts {
	uint64_t matched;	/* packets meant for the group */
	uint64_t limited;	/* held back by a limit in the rule; not among them */
	uint64_t filtered;	/* left out by ruleset_filter(); the same */
};

/* Reads the rules' counters. Two or three questions, no dump. Values only grow, for as long as *r
 * lives: a counter that somebody reset, or that ruleset_create() made anew, is added to what was
 * seen before. One that others made anew goes on from what ruleset_inspect() finds in it: a file
 * may set it to what was saved (nft list ruleset). What was counted between the last call and the
 * end of a table, or before that look at the next one, is not known. -ENOENT if a rule is gone. */
int ruleset_counters(struct ruleset *r, struct ruleset_counts *counts);

/* What of that tables counted which are gone, or before somebody reset the counters: the rest is
 * what the kernel's counters said when they were read last. It may be less than nothing, modulo
 * 2^64. */
void ruleset_counted_before(const struct ruleset *r, struct ruleset_counts *counts);

/* The one counter that all options have, as it is, of a table of ours that may be another
 * configuration's. 0 or -errno. */
int ruleset_matched(struct ruleset *r, uint64_t *packets);

/* How many rules of anybody's, in any table, log to our group; those of iptables-nft too, those of
 * iptables-legacy are not seen. Dumps the whole ruleset: ration it. 0 or -errno. */
int ruleset_loggers(struct ruleset *r, uint32_t *rules);

/* The same ruleset as nft(8) text, a file that can be loaded twice. Returns bytes without NUL,
 * -EINVAL as ruleset_open(), or -ENOSPC (64 KiB hold any ruleset). */
int ruleset_print(const struct ruleset_config *config, char *buf, size_t size);

/* Descriptor that becomes readable when somebody changes the ruleset (NFNLGRP_NFTABLES), or
 * -errno. What *r itself changes is not reported. */
int ruleset_watch(struct ruleset *r);

struct ruleset_change {
	bool ours;		/* our table was touched */
	uint32_t pid;		/* NFT_MSG_NEWGEN's process, 0 unknown */
	char program[16];
};

/* Reads one change, not blocking. 1: *change filled; 0: nothing more; -ENOBUFS: some were lost,
 * inspect; or -errno. */
int ruleset_read_change(struct ruleset *r, struct ruleset_change *change);

/* The socket that owns the table (for a hand-over), and taking it back: fd belongs to *out on
 * success only. -ENOTSOCK, -EPROTOTYPE: not such a socket. */
int ruleset_fd(const struct ruleset *r);
int ruleset_adopt(struct ruleset **out, const struct ruleset_config *config, int fd);

/* Closing removes an owned table. */
void ruleset_close(struct ruleset *r);

#endif
