// SPDX-License-Identifier: GPL-2.0-or-later
#include "holder_index.h"
#include "clock.h"
#include "procfs.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

/* What a process, and each of its descriptors that is looked at, is reckoned to take. */
#define PROCESS_NS 16000u
#define DESCRIPTOR_NS 1000u

uint64_t holder_wall_ns(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

uint64_t holder_spent_ns(void)
{
	return clock_ns(CLOCK_THREAD_CPUTIME_ID);
}

uint64_t holder_reckoned_ns(const struct holder_index *h)
{
	return h->stats.pids * PROCESS_NS + h->stats.descriptors * DESCRIPTOR_NS;
}

bool holder_has_time(struct holder_index *h)
{
	if (!h->late)
		h->late = holder_spent_ns() >= h->deadline_ns &&
			  holder_reckoned_ns(h) >= h->reckoned_until_ns;
	return !h->late;
}

bool holder_nobody_holds(const struct holder_index *h, const struct holder_query *q)
{
	const struct nobody *n = &h->nobody[q->cookie & (CACHE_SLOTS - 1)];

	return q->cookie && n->cookie == q->cookie && holder_wall_ns() < n->until_ns;
}

void holder_set_fill(struct holder_index *h)
{
	memset(h->set, 0, sizeof(h->set));
	h->open = 0;
	for (unsigned int i = 0; i < h->count; i++) {
		unsigned int slot = h->queries[i].inode & (SET_SLOTS - 1);

		if (h->queries[i].inode == 0 || h->queries[i].count > 0 ||
		    holder_nobody_holds(h, &h->queries[i]))
			continue;
		h->open++;
		while (h->set[slot])
			slot = (slot + 1) & (SET_SLOTS - 1);
		h->set[slot] = i + 1;
	}
}

/* The next query for this inode at or after *slot, which starts as the inode itself. Two queries
 * may ask for one socket. */
static struct holder_query *set_next(struct holder_index *h, uint64_t inode, unsigned int *slot)
{
	for (;;) {
		unsigned int i = h->set[*slot & (SET_SLOTS - 1)];

		if (i == 0)
			return NULL;
		(*slot)++;
		if (h->queries[i - 1].inode == inode)
			return &h->queries[i - 1];
	}
}

bool holder_is_wanted(struct holder_index *h, uint64_t inode)
{
	unsigned int slot = inode & (SET_SLOTS - 1);

	return set_next(h, inode, &slot) != NULL;
}

static void recent_add(struct holder_index *h, uint32_t pid, int fd)
{
	unsigned int i;

	for (i = 0; i < RECENT_MAX - 1 && h->recent[i].pid != pid; i++)
		;
	memmove(&h->recent[1], &h->recent[0], i * sizeof(h->recent[0]));
	h->recent[0] = (struct recent){ pid, fd };
}

static void recent_forget(struct holder_index *h, uint32_t pid)
{
	for (unsigned int i = 0; i < RECENT_MAX && h->recent[i].pid; i++) {
		if (h->recent[i].pid != pid)
			continue;
		memmove(&h->recent[i], &h->recent[i + 1],
			(RECENT_MAX - 1 - i) * sizeof(h->recent[0]));
		h->recent[RECENT_MAX - 1].pid = 0;
		return;
	}
}

/* The kernel tells a start in hundredths of a second: a program that connects at once and forks has
 * the same as its child. */
static bool is_older(const struct holder *a, const struct holder *b)
{
	if (a->start_ticks != b->start_ticks)
		return a->start_ticks < b->start_ticks;
	return a->pid == b->ppid;
}

static void move_holder(struct holder *found, uint32_t from, uint32_t to)
{
	struct holder moved = found[from];

	memmove(&found[to + 1], &found[to], (from - to) * sizeof(*found));
	found[to] = moved;
}

/* They are met in any order: the parent of the one at `at` may stand behind it, and its own parent
 * on either side of that. Each step is up a family: no more of them than there are holders. */
static void put_ancestors_first(struct holder *found, uint32_t at, uint32_t count)
{
	uint32_t i = at + 1, steps = 0;

	while (i < count && steps < count) {
		if (!is_older(&found[i], &found[at])) {
			i++;
			continue;
		}
		move_holder(found, i, at);
		i = at + 1;
		steps++;
	}
}

static void add_holder(struct holder_query *q, const struct procfd_identity *who, int fd)
{
	struct holder holder = { who->pid, who->ppid, who->start_ticks, fd };
	uint32_t stored = q->count < HOLDER_FOUND_MAX ? q->count : HOLDER_FOUND_MAX;
	uint32_t i;

	for (i = 0; i < stored; i++) {
		if (q->found[i].pid == who->pid)
			return;
	}
	q->count++;
	for (i = 0; i < stored; i++) {
		if (is_older(&holder, &q->found[i]))
			break;
	}
	if (i == HOLDER_FOUND_MAX)
		return;
	if (stored == HOLDER_FOUND_MAX)
		stored--;
	q->found[stored] = holder;
	move_holder(q->found, stored, i);
	put_ancestors_first(q->found, i, stored + 1);
}

/* The process being looked into holds a wanted socket. Who it is is read now, through the same
 * descriptor, so that it cannot be another one's name. */
static void found(struct holder_index *h, int fd, uint64_t inode)
{
	unsigned int slot = inode & (SET_SLOTS - 1);
	struct procfd_identity who;
	struct holder_query *q;

	if (procfd_identify(h->proc_fd, h->pid_fd, &who) < 0)
		return;
	while ((q = set_next(h, inode, &slot))) {
		if (q->count == 0)
			h->open--;
		q->unfinished = false;
		add_holder(q, &who, fd);
	}
	h->hit = true;
	h->cache[inode & (CACHE_SLOTS - 1)] = (struct cached){ inode, who.pid, fd };
	recent_add(h, who.pid, fd);
}

/* One socket of the process entered, or a pause. */
static bool scanned(int fd, uint64_t inode, void *data)
{
	struct holder_index *h = data;

	if (fd < 0) {
		h->paused_at = inode;
		return holder_has_time(h);
	}
	if (holder_is_wanted(h, inode))
		found(h, fd, inode);
	return !h->hit || h->open > 0;
}

static void heed(struct holder_index *h, int err)
{
	if (err == -EACCES || err == -EPERM)
		h->stats.denied++;
	if (err != -EMFILE && err != -ENFILE && err != -ENOMEM && err != -EIO)
		return;
	h->stats.failures++;
	h->stats.last_failure = -err;
}

int holder_scan(struct holder_index *h, unsigned int from, unsigned int max)
{
	int n = procfd_scan(h->pid_fd, from, max, scanned, h);

	if (n > 0)
		h->stats.descriptors += n;
	heed(h, n);
	return n;
}

bool holder_enter(struct holder_index *h, uint32_t pid)
{
	h->pid_fd = procfs_open(h->proc_fd, pid);
	h->hit = false;
	if (h->pid_fd == -ENOENT)
		recent_forget(h, pid);
	heed(h, h->pid_fd);
	if (h->pid_fd < 0)
		return false;
	h->stats.pids++;
	return true;
}

void holder_leave(struct holder_index *h)
{
	close(h->pid_fd);
	h->pid_fd = -1;
}

void holder_ask(struct holder_index *h, uint32_t pid, unsigned int max)
{
	uint32_t *asked = &h->asked[pid & (ASKED_SLOTS - 1)];
	unsigned int from = h->cut.pid == pid ? h->cut.fd : 0;
	int n;

	if (pid == 0 || *asked == pid || !holder_has_time(h) || !holder_enter(h, pid))
		return;
	n = holder_scan(h, from, max);
	if (from > 0) {
		h->cut.pid = 0;
		h->partial = true;
	}
	if (n >= 0 && h->late)
		h->cut = (struct recent){ pid, h->paused_at };
	else if (n >= 0 && (unsigned int)n < max && (!h->hit || h->open > 0))
		*asked = pid;
	holder_leave(h);
}

bool holder_peek(struct holder_index *h, int fd)
{
	uint64_t inode;

	h->stats.descriptors++;
	if (procfd_socket(h->pid_fd, fd, &inode) <= 0 || !holder_is_wanted(h, inode))
		return false;
	found(h, fd, inode);
	return true;
}
