/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NFWHO_OWNER_H
#define NFWHO_OWNER_H

#include "process.h"
#include "tuple.h"

/* How an owner is known, worst first: RECORDS.md's nfwho.owner. */
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
	uint32_t uid;			/* of the socket file, from NFLOG; see has_uid */
	bool has_uid;

	enum owner_rung rung;		/* never OWNER_TRACE */
	bool socket_found;		/* the fields up to cgroup_id hold */
	bool socket_orphan;		/* found, but no file refers to it (inode 0): closing */
	uint32_t socket_uid;
	uint64_t inode, cookie, cgroup_id;	/* 0: unknown */
	uint8_t socket_state;		/* TCP_*; 0 unknown */
	struct process *process;	/* borrowed from the table: the oldest holder */
	uint32_t holders[OWNER_HOLDERS_MAX];
	uint32_t holder_count;		/* all of them, also over the maximum */
};

struct owner_stats {
	uint64_t lookups, sockets, walks, walk_pids, cache_hits;
};

/* Returns 0 or -errno (mode DIAG and no sock_diag: -EPROTONOSUPPORT). The caller owns *out. */
int owner_new(struct owner **out, const struct owner_config *config);
void owner_free(struct owner *o);

/* Answers all of `queries` together: one exact socket lookup each, then at most one walk of
 * /proc/PID/fd for all inodes, likeliest processes first. Never guesses: a process is named only
 * if it holds the inode now, and the inode still belongs to the tuple after it was found. */
int owner_lookup(struct owner *o, struct owner_query *queries, unsigned int count);

/* The socket alone, no process: microseconds. Fills socket_found ... socket_state. Returns 0, or
 * -ENOENT if there is none. */
int owner_socket(struct owner *o, struct owner_query *query);

/* Whether pid holds this socket inode among its descriptors. 1 yes, 0 no, -errno (gone, or not
 * allowed to look). */
int owner_holds(struct owner *o, uint32_t pid, uint64_t inode);

/* cgroup v2 path for an id, "" if it is gone or unknown. Valid until the next call. */
const char *owner_cgroup_path(struct owner *o, uint64_t cgroup_id);

const struct owner_stats *owner_stats(const struct owner *o);

#endif
