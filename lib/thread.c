// SPDX-License-Identifier: GPL-2.0-or-later
#include "thread.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

int thread_table_init(struct thread_table *t, uint32_t max)
{
	uint32_t size = 64;

	while (size < max && size < 1u << 20)
		size *= 2;
	*t = (struct thread_table){ .max = max, .mask = size - 1 };
	t->buckets = calloc(size, sizeof(*t->buckets));
	return t->buckets ? 0 : -ENOMEM;
}

void thread_table_fini(struct thread_table *t)
{
	if (!t->buckets)
		return;
	for (uint32_t i = 0; i <= t->mask; i++) {
		for (struct thread *at = t->buckets[i], *next; at; at = next) {
			next = at->next;
			free(at);
		}
	}
	free(t->buckets);
}

struct thread *thread_find(const struct thread_table *t, uint32_t pid, uint32_t tid)
{
	struct thread *at = t->buckets[tid & t->mask];

	while (at && (at->tid != tid || at->pid != pid))
		at = at->next;
	return at;
}

static void forget_oldest_dead(struct thread_table *t)
{
	struct thread *thread = t->oldest_dead, **at = &t->buckets[thread->tid & t->mask];

	while (*at != thread)
		at = &(*at)->next;
	*at = thread->next;
	t->oldest_dead = thread->newer;
	if (thread->newer)
		thread->newer->older = NULL;
	else
		t->newest_dead = NULL;
	t->count--;
	free(thread);
}

bool thread_begin(struct thread_table *t, struct thread **list, uint32_t pid, uint32_t tid,
		  const char *comm)
{
	struct thread *thread = thread_find(t, pid, tid);

	if (thread && !thread->exit_ns)
		return true;
	if (t->count >= t->max && t->oldest_dead)
		forget_oldest_dead(t);
	if (t->count >= t->max)
		return false;
	thread = calloc(1, sizeof(*thread));
	if (!thread)
		return false;
	thread->pid = pid;
	thread->tid = tid;
	strncpy(thread->comm, comm, sizeof(thread->comm) - 1);
	thread->next = t->buckets[tid & t->mask];
	t->buckets[tid & t->mask] = thread;
	thread->sibling = *list;
	thread->sibling_at = list;
	if (*list)
		(*list)->sibling_at = &thread->sibling;
	*list = thread;
	t->count++;
	return true;
}

void thread_end(struct thread_table *t, struct thread *thread, uint64_t time_ns)
{
	if (thread->exit_ns)
		return;
	*thread->sibling_at = thread->sibling;
	if (thread->sibling)
		thread->sibling->sibling_at = thread->sibling_at;
	thread->exit_ns = time_ns;
	thread->older = t->newest_dead;
	if (t->newest_dead)
		t->newest_dead->newer = thread;
	else
		t->oldest_dead = thread;
	t->newest_dead = thread;
}

void thread_end_all(struct thread_table *t, struct thread **list, uint64_t time_ns)
{
	while (*list)
		thread_end(t, *list, time_ns);
}

void thread_expire(struct thread_table *t, uint64_t before_ns)
{
	while (t->oldest_dead && t->oldest_dead->exit_ns < before_ns)
		forget_oldest_dead(t);
}
