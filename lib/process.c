// SPDX-License-Identifier: GPL-2.0-or-later
#include "process.h"

#include "clock.h"
#include "process_image.h"
#include "process_table.h"
#include "procfs.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NS_PER_S 1000000000ull
#define CLOCK_REFRESH_NS (NS_PER_S / 10)
#define BUCKETS_MAX (1u << 20)
#define THREADS_PER_PROCESS 4

uint64_t process_now(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

/* A suspend moves CLOCK_BOOTTIME, a clock step CLOCK_REALTIME: look again at times. */
static void refresh_clock(struct process_table *t, uint64_t time_ns)
{
	int64_t boot;

	if (t->clock_ns && time_ns < t->clock_ns + CLOCK_REFRESH_NS)
		return;
	boot = (int64_t)clock_ns(CLOCK_BOOTTIME);
	t->clock_ns = clock_ns(CLOCK_MONOTONIC);
	t->boot_offset_ns = boot - (int64_t)t->clock_ns;
	t->real_offset_ns = (int64_t)clock_ns(CLOCK_REALTIME) - boot;
}

uint64_t process_ticks(struct process_table *t, uint64_t time_ns)
{
	refresh_clock(t, time_ns);
	return (time_ns + t->boot_offset_ns) / t->ns_per_tick;
}

bool process_starts_after(struct process_table *t, const struct process *p, uint64_t time_ns)
{
	return p->known & PROCESS_START && process_ticks(t, time_ns) + 1 < p->start_ticks;
}

bool process_may_begin_after(struct process_table *t, const struct process *p, uint64_t time_ns)
{
	if (p->seen_ns)
		return p->seen_ns > time_ns;
	return !(p->known & PROCESS_START) || p->start_ticks + 1 >= process_ticks(t, time_ns);
}

void process_set_start(struct process_table *t, struct process *p, uint64_t start_ticks,
		       bool computed)
{
	refresh_clock(t, computed ? 0 : process_now());
	p->start_ticks = start_ticks;
	p->start_real_ns = start_ticks * t->ns_per_tick + t->real_offset_ns;
	p->start_computed = computed;
	p->known |= PROCESS_START;
}

static void list_append(struct process_list *list, struct process *p)
{
	p->newer = NULL;
	p->older = list->newest;
	if (list->newest)
		list->newest->newer = p;
	else
		list->oldest = p;
	list->newest = p;
}

static void list_remove(struct process_list *list, struct process *p)
{
	*(p->older ? &p->older->newer : &list->oldest) = p->newer;
	*(p->newer ? &p->newer->older : &list->newest) = p->older;
	p->newer = p->older = NULL;
}

struct process *process_lookup(const struct process_table *t, uint32_t pid)
{
	struct process *p = t->buckets[pid & t->mask];

	while (p && p->pid != pid)
		p = p->next;
	return p;
}

void process_remove(struct process_table *t, struct process *p)
{
	struct process **at = &t->buckets[p->pid & t->mask];

	while (*at != p)
		at = &(*at)->next;
	*at = p->next;
	p->next = NULL;
	if (p->exit_ns) {
		list_remove(&t->dead, p);
		t->stats.remembered--;
	} else {
		list_remove(&t->live, p);
		t->stats.live--;
	}
	thread_end_all(&t->threads, &p->threads, process_now());
	process_unref(p);
}

void process_insert(struct process_table *t, struct process *p)
{
	struct process *before = process_lookup(t, p->pid);

	if (before)
		process_remove(t, before);
	if (t->stats.live + t->stats.remembered >= t->config.max_processes) {
		process_remove(t, t->dead.oldest ? t->dead.oldest : t->live.oldest);
		t->stats.shed++;
	}
	p->next = t->buckets[p->pid & t->mask];
	t->buckets[p->pid & t->mask] = p;
	list_append(&t->live, p);
	t->stats.live++;
}

void process_use(struct process_table *t, struct process *p)
{
	list_remove(&t->live, p);
	list_append(&t->live, p);
}

void process_bury(struct process_table *t, struct process *p, uint64_t time_ns)
{
	if (p->exit_ns)
		return;
	thread_end_all(&t->threads, &p->threads, time_ns);
	list_remove(&t->live, p);
	p->exit_ns = time_ns;
	list_append(&t->dead, p);
	t->stats.live--;
	t->stats.remembered++;
}

void process_succeed(struct process_table *t, struct process *from, struct process *to)
{
	uint32_t bits = PROCESS_EXEC_KEEPS & ~to->known;

	/* The id of a group other than the root tells whether the path still holds. */
	if (from->cgroup_id > 1 && !(to->known & PROCESS_CGROUP))
		bits |= PROCESS_CGROUP;
	process_image_share(to, from, bits);
	process_image_set_parent(to, from->parent);
	to->cgroup_id = from->cgroup_id;
	if (!(to->known & PROCESS_NETNS))
		to->netns = from->netns;
	if (!(to->known & PROCESS_USERNS))
		to->foreign_userns = from->foreign_userns;
	if (!(to->known & PROCESS_IDS))
		to->vpid = from->vpid;
	to->threads = from->threads;
	if (to->threads)
		to->threads->sibling_at = &to->threads;
	to->unlisted_threads = from->unlisted_threads;
	to->first_thread_gone = from->first_thread_gone;
	from->threads = NULL;
	process_insert(t, to);
}

void process_add_thread(struct process_table *t, struct process *p, uint32_t tid,
			const char *comm)
{
	if (!thread_begin(&t->threads, &p->threads, p->pid, tid, comm))
		p->unlisted_threads++;
}

void process_share_program(struct process *child, const struct process *parent, uint32_t bits)
{
	process_image_share(child, parent, bits);
	if (child->inherited_ns < parent->inherited_ns)
		child->inherited_ns = parent->inherited_ns;
	if (child->inherited_ns < parent->read_end_ns)
		child->inherited_ns = parent->read_end_ns;
}

void process_inherit(struct process *p)
{
	uint32_t missing;

	process_image_settle(p);
	if (!p->forked || !p->parent || p->seen_ns < p->parent->begun_ns)
		return;
	process_image_settle(p->parent);
	missing = ~p->known & (PROCESS_EXECUTABLE | PROCESS_EXECUTED | PROCESS_COMMAND_LINE);
	if (p->parent->known & missing)
		process_share_program(p, p->parent, missing);
	/* At the fork it was that of the program before, which may have entered another one to run
	 * this. */
	if (!(p->known & PROCESS_NETNS) && !p->netns_inherited &&
	    p->parent->known & PROCESS_NETNS) {
		p->netns = p->parent->netns;
		p->netns_inherited = true;
	}
}

static bool is_shown_ahead(const struct process *p, uint64_t time_ns)
{
	return p->inherited_ns > time_ns || (!p->exit_ns && p->read_end_ns > time_ns);
}

bool process_is_ahead(const struct process *p, uint64_t time_ns)
{
	return is_shown_ahead(p, time_ns) || (p->parent && is_shown_ahead(p->parent, time_ns));
}

bool process_ran_at(struct process_table *t, const struct process *p, uint64_t time_ns)
{
	return p->begun_ns <= time_ns && !process_starts_after(t, p, time_ns) &&
	       !(p->exit_ns && p->exit_ns < time_ns);
}

bool process_is_doubted(const struct process_table *t, const struct process *p)
{
	return t->lost_ns && p->checked_ns <= t->lost_ns;
}

struct process *process_get(struct process_table *t, uint32_t pid)
{
	struct process *p = process_lookup(t, pid);

	if (!p)
		return NULL;
	if (!p->exit_ns && process_is_doubted(t, p))
		return process_refresh(t, p);
	process_inherit(p);
	return p;
}

void process_expire(struct process_table *t, uint64_t now_ns)
{
	uint64_t before_ns = now_ns > t->config.linger_ns ? now_ns - t->config.linger_ns : 0;

	while (t->dead.oldest && t->dead.oldest->exit_ns < before_ns)
		process_remove(t, t->dead.oldest);
	thread_expire(&t->threads, before_ns);
}

const struct process_stats *process_stats(const struct process_table *t)
{
	return &t->stats;
}

static void read_own(struct process_table *t)
{
	ssize_t n = procfs_read(t->config.proc_fd, "self/uid_map", t->own_uid_map,
				sizeof(t->own_uid_map));

	t->own_uid_map_len = n > 0 ? n : 0;
	if (procfs_read_namespace(t->config.proc_fd, "self/ns/user", &t->own_userns))
		t->own_userns = 0;
}

int process_table_new(struct process_table **out, const struct process_config *config)
{
	struct process_table *t = calloc(1, sizeof(*t));
	uint32_t size = 64;

	if (!t)
		return -ENOMEM;
	t->config = *config;
	if (t->config.max_processes < 2)
		t->config.max_processes = 2;
	while (size < t->config.max_processes && size < BUCKETS_MAX)
		size *= 2;
	t->mask = size - 1;
	t->ns_per_tick = NS_PER_S / sysconf(_SC_CLK_TCK);
	t->buffer_size = config->command_line_max_bytes < PATH_MAX ? PATH_MAX + 1 :
		(size_t)config->command_line_max_bytes + 1;
	t->buffer = malloc(t->buffer_size);
	t->buckets = calloc(size, sizeof(*t->buckets));
	if (!t->buffer || !t->buckets ||
	    thread_table_init(&t->threads, t->config.max_processes * THREADS_PER_PROCESS)) {
		process_table_free(t);
		return -ENOMEM;
	}
	read_own(t);
	*out = t;
	return 0;
}

void process_table_free(struct process_table *t)
{
	if (!t)
		return;
	while (t->live.oldest)
		process_remove(t, t->live.oldest);
	while (t->dead.oldest)
		process_remove(t, t->dead.oldest);
	thread_table_fini(&t->threads);
	free(t->buckets);
	free(t->buffer);
	free(t);
}
