/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NFWHO_PROCESS_TABLE_H
#define NFWHO_PROCESS_TABLE_H

#include "process.h"
#include "thread.h"

/* What process.c (the table), process_life.c (the records) and process_read.c (/proc) share. The
 * table holds one image for each pid, the newest; older ones live with their holders. */

struct process_list {
	struct process *oldest, *newest;
};

struct process_table {
	struct process_config config;
	struct process_stats stats;
	struct process **buckets;
	uint32_t mask;
	struct process_list live, dead;	/* by use, by death */
	struct thread_table threads;
	bool traced;			/* a life record came */
	uint64_t lost_ns;		/* of the last loss; 0 never */

	uint64_t ns_per_tick;
	uint64_t clock_ns;		/* when the offsets were taken */
	int64_t boot_offset_ns;		/* CLOCK_BOOTTIME - CLOCK_MONOTONIC */
	int64_t real_offset_ns;		/* CLOCK_REALTIME - CLOCK_BOOTTIME */

	uint64_t credit_ns, credit_at_ns;	/* of reads_per_second */
	uint64_t own_userns;
	char own_uid_map[512];
	size_t own_uid_map_len;		/* 0: not known */
	char *buffer;			/* for one file or link */
	size_t buffer_size;
	char thread_name[PROCESS_COMM_MAX];
};

struct process *process_lookup(const struct process_table *t, uint32_t pid);

/* Enters a living image, which becomes the table's, in the place of the one with the same pid. The
 * oldest dead, else the oldest, leaves a full table. */
void process_insert(struct process_table *t, struct process *p);

/* Takes an image out of the table, which gives up its reference. */
void process_remove(struct process_table *t, struct process *p);

/* Makes a living image the last to be shed: the next process_insert() will not take it. */
void process_use(struct process_table *t, struct process *p);

/* Marks a living image dead at time_ns, with its threads. */
void process_bury(struct process_table *t, struct process *p, uint64_t time_ns);

/* Enters `to` in the place of `from`, another program of the same process: what an exec leaves as
 * it was is copied, threads move. */
void process_succeed(struct process_table *t, struct process *from, struct process *to);

/* A living thread of p, unless it is known. */
void process_add_thread(struct process_table *t, struct process *p, uint32_t tid,
			const char *comm);

/* What a forked child has of its parent, and when that was read. */
void process_share_program(struct process *child, const struct process *parent, uint32_t bits);

/* A forked child's program, read for its parent after the fork. */
void process_inherit(struct process *p);

/* CLOCK_MONOTONIC now. */
uint64_t process_now(void);

/* Clock ticks since boot at an instant of CLOCK_MONOTONIC. */
uint64_t process_ticks(struct process_table *t, uint64_t time_ns);

void process_set_start(struct process_table *t, struct process *p, uint64_t start_ticks,
		       bool computed);

/* Whether what the rings lost may be news of it that is later than what is known. */
bool process_is_doubted(const struct process_table *t, const struct process *p);

#endif
