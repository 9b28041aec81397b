/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NFWHO_THREAD_H
#define NFWHO_THREAD_H

#include <stdbool.h>
#include <stdint.h>

/* Threads other than a process's first: their names, and which of them live, which tells when a
 * process ends whose first thread ended before. The dead keep their names until room is needed or
 * they are too old. */

#define THREAD_COMM_MAX 16

struct thread {
	uint32_t pid, tid;
	uint64_t exit_ns;			/* CLOCK_MONOTONIC; 0: alive */
	char comm[THREAD_COMM_MAX];
	struct thread *next;			/* of its bucket, newest first */
	struct thread *sibling, **sibling_at;	/* living threads of its process */
	struct thread *newer, *older;		/* the dead, by time of death */
};

struct thread_table {
	struct thread **buckets;
	uint32_t mask, count, max;
	struct thread *oldest_dead, *newest_dead;
};

/* Makes room for max threads. Returns 0 or -ENOMEM. */
int thread_table_init(struct thread_table *t, uint32_t max);
void thread_table_fini(struct thread_table *t);

/* The newest thread with this tid in this process, dead or alive; NULL if unknown. */
struct thread *thread_find(const struct thread_table *t, uint32_t pid, uint32_t tid);

/* Enters a living thread at the head of its process's list, forgetting the oldest dead where room
 * is needed. Nothing changes if it is there already. Returns false when there is no room. */
bool thread_begin(struct thread_table *t, struct thread **list, uint32_t pid, uint32_t tid,
		  const char *comm);

void thread_end(struct thread_table *t, struct thread *thread, uint64_t time_ns);
void thread_end_all(struct thread_table *t, struct thread **list, uint64_t time_ns);

/* Forgets what died before before_ns. */
void thread_expire(struct thread_table *t, uint64_t before_ns);

#endif
