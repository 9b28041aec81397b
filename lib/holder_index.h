/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NFWHO_HOLDER_INDEX_H
#define NFWHO_HOLDER_INDEX_H

#include "holder.h"

/* The inside of a search: its memory and the process it looks into. holder.c decides whom to ask,
 * holder_ask.c asks. */

#define NS_PER_MS 1000000ULL

#define RECENT_MAX 32		/* owners remembered for steps 2 and 4 */
#define CACHE_SLOTS 1024	/* power of two */
#define ASKED_SLOTS 4096	/* power of two */
#define SET_SLOTS 1024		/* power of two, more than twice the queries of one search */
#define PIDS_MAX 65536		/* of one walk; more are not asked, and `unfinished` says so */

struct recent {
	uint32_t pid;
	int fd;
};

struct cached {
	uint64_t inode;
	uint32_t pid;
	int fd;
};

struct nobody {
	uint64_t cookie;
	uint64_t until_ns;
};

struct holder_index {
	int proc_fd;
	struct cgroupfs *cgroups;
	struct holder_stats stats;

	struct recent recent[RECENT_MAX];	/* latest first */
	struct cached cache[CACHE_SLOTS];
	struct nobody nobody[CACHE_SLOTS];
	uint32_t met[ASKED_SLOTS];		/* pids that are not new any more, by pid */

	struct recent cut;			/* the last scan that time ended: go on there */

	int64_t credit_ns;			/* below 0: a debt */
	uint64_t credited_ns;
	bool rested;				/* it was full before the likely were asked */
	uint64_t holds_paid_ns;			/* looks for one socket are paid for then */

	/* Of the search that is going on. */
	struct holder_query *queries;
	unsigned int count, open;
	uint16_t set[SET_SLOTS];		/* index of a query + 1, by inode */
	uint32_t asked[ASKED_SLOTS];		/* pids looked into wholly, by pid */
	uint64_t deadline_ns;
	uint64_t reckoned_until_ns;		/* no deadline counts before that is reckoned */
	bool late;
	bool partial;				/* somebody was not read from the beginning */

	/* The process being looked into. */
	int pid_fd;
	int paused_at;				/* descriptor number */
	bool hit;
	unsigned int pid_count;
	uint32_t pids[PIDS_MAX];
};

/* CLOCK_MONOTONIC. */
uint64_t holder_wall_ns(void);

/* The CPU time we take from others: a search that is only kept waiting costs nothing. */
uint64_t holder_spent_ns(void);

/* What all looks until now are reckoned to have taken. */
uint64_t holder_reckoned_ns(const struct holder_index *h);

/* False, and h->late set, once this search has used the time it may take. */
bool holder_has_time(struct holder_index *h);

/* Fills the set of wanted inodes from the queries: not those that have an answer, nor what is known
 * to be held by nobody. */
void holder_set_fill(struct holder_index *h);
bool holder_is_wanted(struct holder_index *h, uint64_t inode);
bool holder_nobody_holds(const struct holder_index *h, const struct holder_query *q);

/* Opens a process to look into; false if it is gone. */
bool holder_enter(struct holder_index *h, uint32_t pid);
void holder_leave(struct holder_index *h);

/* All descriptors of the process entered from number `from` on, at most max. Returns how many, or
 * -errno. */
int holder_scan(struct holder_index *h, unsigned int from, unsigned int max);

/* One descriptor number of the process entered; true if it is a wanted socket. */
bool holder_peek(struct holder_index *h, int fd);

/* Looks through the descriptors of one process, at most max; once in a search, if that was all. One
 * that has too many for the time there is, is read on in the next search. */
void holder_ask(struct holder_index *h, uint32_t pid, unsigned int max);

#endif
