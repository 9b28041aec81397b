/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NFWHO_HOLDER_H
#define NFWHO_HOLDER_H

#include "cgroupfs.h"
#include "procfd.h"

/* Who holds a socket inode: a search through /proc/PID/fd, likeliest processes first. */

struct holder_index;

#define HOLDER_FOUND_MAX 16

struct holder {
	uint32_t pid, ppid;
	uint64_t start_ticks;
	int fd;			/* one descriptor that is the socket */
};

struct holder_query {
	uint64_t inode;
	uint64_t cookie;	/* 0 unknown: then "nobody" is not remembered */
	uint64_t cgroup_id;	/* a hint; 0 unknown */
	uint32_t uid;		/* a hint; see has_uid */
	bool has_uid;

	struct holder found[HOLDER_FOUND_MAX];	/* oldest first; of one clock tick, parents first */
	uint32_t count;		/* also those that found[] has no room for */
	bool unfinished;	/* not found, and not all processes were asked: the time was up */
};

struct holder_stats {
	uint64_t cache_hits;
	uint64_t pids, descriptors;	/* looked at */
	uint64_t walks;		/* through all processes */
	uint64_t walks_cut;	/* of them stopped by their time */
	uint64_t denied;	/* processes that may not be looked into */
	uint64_t failures;	/* not looked into for want of descriptors or memory, or EIO */
	int last_failure;	/* errno of the last of them */
	uint64_t busy_ns;	/* time spent here */
};

/* proc_fd and cgroups are borrowed. Returns 0 or -errno. */
int holder_index_new(struct holder_index **out, int proc_fd, struct cgroupfs *cgroups);
void holder_index_free(struct holder_index *h);

/* Where a search looks. */
enum holder_reach {
	HOLDER_LIKELY,		/* caches, recent owners, newest processes: cheap */
	HOLDER_EVERYONE,	/* the socket's cgroup, then all processes: bounded in time */
};

/* Most queries of one search. */
#define HOLDER_QUERIES_MAX 256

/* Answers all queries by one search. Those that have an answer already are left alone. EVERYONE
 * leaves out who was asked by the LIKELY search just before. */
void holder_find(struct holder_index *h, struct holder_query *queries, unsigned int count,
		 enum holder_reach reach);

/* Whether pid holds this socket. 1 yes, 0 no, -errno (gone; not allowed to look; -EAGAIN: it has
 * more descriptors than are looked at, or the time there is for this is used up for now). */
int holder_holds(struct holder_index *h, uint32_t pid, uint64_t inode);

const struct holder_stats *holder_stats(const struct holder_index *h);

#endif
