/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NFWHO_OWNER_H
#define NFWHO_OWNER_H

#include "process.h"
#include "tuple.h"

/* How an owner is known, worst first: nfwho.owner. */
enum owner_rung {
	OWNER_UNDECIDED,	/* not asked yet, or held */
	OWNER_NONE,
	OWNER_KERNEL,		/* a kernel socket: no process */
	OWNER_UID,
	OWNER_CGROUP,
	OWNER_SOCKET,
	OWNER_TRACE,
};

enum owner_lookup_mode { OWNER_LOOKUP_AUTO, OWNER_LOOKUP_DIAG, OWNER_LOOKUP_PROC };

struct owner;

struct owner_config {
	enum owner_lookup_mode mode;
	struct process_table *processes;	/* borrowed */
	int proc_fd;				/* borrowed */
};

/* Most holders of one socket that are listed. */
#define OWNER_HOLDERS_MAX 16

/* One question and its answer. The caller fills the first part and zeroes the rest. */
struct owner_query {
	struct tuple tuple;
	uint32_t ifindex;		/* the device its packets leave by; 0: unknown */
	uint32_t uid;			/* of the socket file, from NFLOG; see has_uid */
	bool has_uid;
	bool from_packet;		/* has_uid is what NFLOG said of a packet of this host's: no
					 * uid means no file, which a kernel socket has not */

	enum owner_rung rung;		/* never OWNER_TRACE */
	bool socket_found;		/* the fields up to cgroup_id hold */
	bool socket_unknown;		/* not found, and the kernel has not said that there is none */
	bool socket_orphan;		/* found, but no file refers to it (inode 0): closing */
	bool unfinished;		/* the search was stopped by its share of time: asking again
					 * later may name it */
	uint32_t socket_uid;		/* means nothing for an orphan */
	uint64_t inode, cookie, cgroup_id;	/* 0: unknown */
	uint8_t socket_state;		/* TCP_*; 0 unknown */
	struct process *process;	/* the oldest holder; borrowed until 256 more are asked
					 * for, or until the next lookup */
	uint32_t holders[OWNER_HOLDERS_MAX];	/* oldest first: the first found, its parent and
					 * children that share it, and others met on the way;
					 * a stranger it was passed to may be missing */
	uint32_t holder_count;		/* also those over the maximum */
};

struct owner_stats {
	uint64_t lookups, sockets;	/* asked for, found */
	uint64_t others;		/* the tuple was another user's or socket's by then */
	uint64_t walks, walks_cut;	/* through all processes; of them stopped by their time */
	uint64_t walk_pids, walk_descriptors;	/* looked into, for whatever search */
	uint64_t walk_denied;		/* processes that may not be looked into */
	uint64_t walk_failures;		/* not looked into for want of descriptors or memory, or EIO */
	int walk_last_failure;		/* errno of the last of them */
	uint64_t walk_ns;		/* time spent on it */
	uint64_t cache_hits;
	uint64_t failures;		/* the kernel could not be asked for sockets, or not heard */
	uint64_t invalid;		/* its answers that could not be read */
};

/* Returns 0 or -errno (mode DIAG and no sock_diag: -EPROTONOSUPPORT). The caller owns *out. */
int owner_new(struct owner **out, const struct owner_config *config);
void owner_free(struct owner *o);

/* Answers all of `queries` together (256 at a time): one exact socket lookup each, then at most
 * one walk of /proc/PID/fd for all inodes, likeliest processes first, bounded to a fifth of the
 * time that passes. Never guesses: a process is named only if it holds the inode now, and the
 * tuple is not another socket's after it was found (asked by sock_diag; reading /proc/net again
 * is too dear). Where NFLOG's uid and the socket's differ, the tuple has been used again and the
 * uid alone is the answer. Returns 0 or -errno (no witness answers). */
int owner_lookup(struct owner *o, struct owner_query *queries, unsigned int count);

/* The sockets alone, no process: microseconds each, with /proc/net milliseconds for all. Fills
 * socket_found ... socket_state of at most 256. Returns 0 or -errno. */
int owner_sockets(struct owner *o, struct owner_query *queries, unsigned int count);

/* One of them. Returns 0, -ENOENT if there is none, -EAGAIN if /proc/net has been read enough for now, or another
 * -errno. */
int owner_socket(struct owner *o, struct owner_query *query);

/* Whether pid holds this socket inode among its descriptors. 1 yes, 0 no, -errno (gone; not allowed
 * to look; -EAGAIN: more descriptors than are looked at, or the time there is for this, half of what
 * passes, is used up for now). */
int owner_holds(struct owner *o, uint32_t pid, uint64_t inode);

/* cgroup v2 path for an id, "" if it is gone or unknown. Valid until the next call. */
const char *owner_cgroup_path(struct owner *o, uint64_t cgroup_id);

/* The directory below which cgroups are opened by their ids, borrowed; -1: there is none. For a
 * filter of system calls. */
int owner_cgroup_fd(const struct owner *o);

const struct owner_stats *owner_stats(const struct owner *o);

#endif
