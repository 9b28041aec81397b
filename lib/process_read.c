// SPDX-License-Identifier: GPL-2.0-or-later
/* How what /proc says of a process comes into the table. */
#include "process_image.h"
#include "process_proc.h"
#include "procfs.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define NS_PER_S 1000000000ull
#define READ_TOGETHER 16
#define CREDIT_MAX_NS (NS_PER_S / 4)

/* Bits of a fresh image that replace what an image has; the rest only fills gaps. */
#define REPLACED (PROCESS_EXECUTABLE | PROCESS_COMMAND_LINE | PROCESS_IDS | PROCESS_SESSION | \
	PROCESS_LOGIN | PROCESS_CGROUP | PROCESS_NETNS | PROCESS_USERNS | PROCESS_DIRECTORY | \
	PROCESS_READ)

/* Whether /proc shows the process that p is about, and not another with its pid. */
static bool is_same(struct process_table *t, const struct process *p, uint64_t start_ticks)
{
	if (!(p->known & PROCESS_START))
		return start_ticks <= process_ticks(t, p->seen_ns) + 1;
	if (!p->start_computed)
		return p->start_ticks == start_ticks;
	return start_ticks <= p->start_ticks + 1 && start_ticks + 2 >= p->start_ticks;
}

/* A forked child whose executable is no longer its parent's has called exec, and the record of
 * that is on its way: what was read is not this image's. */
static bool is_of_later_program(const struct process *p, const struct process *fresh)
{
	return p->forked && (p->known & fresh->known & PROCESS_EXECUTABLE) &&
		strcmp(p->executable, fresh->executable) != 0;
}

static int open_process(struct process_table *t, uint32_t pid)
{
	return (int)process_proc_heed(t, procfs_open(t->config.proc_fd, pid));
}

/* It says nothing of the process: see process_proc_heed(). All else means that it is gone. */
static bool in_vain(int err)
{
	return err == -EMFILE || err == -ENFILE || err == -ENOMEM || err == -EIO;
}

static void merge(struct process_table *t, struct process *p, const struct process *fresh)
{
	uint32_t gaps = (PROCESS_PARENT | PROCESS_COMM) & ~p->known;

	process_image_share(p, fresh, REPLACED | gaps);
	if (!(p->known & PROCESS_START) || p->start_computed)
		process_set_start(t, p, fresh->start_ticks, false);
	p->kernel_thread = fresh->kernel_thread;
	p->start_stack = fresh->start_stack;
	p->read_known = fresh->known & (REPLACED | gaps);
	p->read_begin_ns = fresh->read_begin_ns;
	p->read_end_ns = fresh->read_end_ns;
	p->checked_ns = fresh->checked_ns;
}

static int add_listed_thread(uint32_t tid, void *data)
{
	void **context = data;
	struct process *p = context[1];

	if (tid != p->pid)
		process_add_thread(context[0], p, tid, "");
	return 0;
}

/* A process that the table has not, read and entered. NULL: gone, or another than asked for. */
static struct process *enter(struct process_table *t, int dir_fd, uint32_t pid,
			     uint64_t start_ticks)
{
	struct process *p = process_image_new(pid);
	struct procfs_stat stat;
	void *context[] = { t, p };

	if (!p) {
		process_proc_heed(t, -ENOMEM);
		return NULL;
	}
	t->stats.reads++;
	if ((t->traced ? process_proc_all : process_proc_settled)(t, dir_fd, p, &stat) ||
	    (start_ticks && stat.start_ticks != start_ticks)) {
		process_unref(p);
		return NULL;
	}
	process_insert(t, p);
	if (stat.threads > 1)
		procfs_each_number(dir_fd, "task", add_listed_thread, context);
	p->first_thread_gone = stat.state == 'Z';
	return p;
}

/* Whether fresh, of which stat and executable are read, shows the program that p is. */
static bool is_same_program(struct process_table *t, int dir_fd, const struct process *p,
			    struct process *fresh)
{
	if (!(p->known & PROCESS_READ) || p->start_stack != fresh->start_stack)
		return false;
	if (p->known & fresh->known & PROCESS_EXECUTABLE)
		return strcmp(p->executable, fresh->executable) == 0;
	if (p->start_stack)
		return true;
	/* Not allowed to see either. */
	process_proc_command_line(t, dir_fd, fresh);
	return p->command_line_len == fresh->command_line_len && (!p->command_line_len ||
		memcmp(p->command_line, fresh->command_line, p->command_line_len) == 0);
}

static bool differs(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) != 0 : a != b;
}

static bool is_changed(const struct process *p, const struct process *fresh)
{
	return memcmp(p->comm, fresh->comm, sizeof(p->comm)) != 0 || p->uid != fresh->uid ||
		p->ruid != fresh->ruid || p->gid != fresh->gid ||
		p->executable_deleted != fresh->executable_deleted ||
		differs(p->cgroup, fresh->cgroup);
}

/* The same program may have another name, ids and cgroup, and its file may be deleted. */
static void take_over(struct process_table *t, int dir_fd, struct process *p,
		      struct process *fresh)
{
	process_proc_ids(t, dir_fd, fresh);
	process_proc_cgroup(t, dir_fd, fresh);
	if (is_changed(p, fresh))
		process_image_share(p, fresh, PROCESS_COMM | PROCESS_IDS | PROCESS_CGROUP |
				    PROCESS_EXECUTABLE);
	p->checked_ns = process_now();
}

/* Looks again below dir_fd, which may be another process's than p. */
static struct process *reread(struct process_table *t, int dir_fd, struct process *p)
{
	struct process *fresh = process_image_new(p->pid);
	struct procfs_stat stat;
	int err;

	if (!fresh)
		return p;
	t->stats.reads++;
	err = (int)process_proc_heed(t, procfs_read_stat(dir_fd, &stat));
	if (err || !is_same(t, p, stat.start_ticks)) {
		if (!in_vain(err))
			process_bury(t, p, process_now());
		process_unref(fresh);
		return NULL;
	}
	process_proc_take(t, fresh, &stat);
	process_proc_executable(t, dir_fd, fresh);
	if (is_same_program(t, dir_fd, p, fresh)) {
		take_over(t, dir_fd, p, fresh);
	} else if (process_proc_settled(t, dir_fd, fresh, &stat) == 0) {
		process_succeed(t, p, process_ref(fresh));
		p = fresh;
	}
	process_unref(fresh);
	return p;
}

static struct process *find_one(struct process_table *t, uint32_t pid, uint64_t start_ticks)
{
	struct process *p = process_lookup(t, pid);
	struct procfs_stat stat;
	int dir_fd = open_process(t, pid), err = dir_fd;

	if (dir_fd >= 0)
		err = (int)process_proc_heed(t, procfs_read_stat(dir_fd, &stat));
	if (err < 0) {
		if (p && !in_vain(err))
			process_bury(t, p, process_now());
		p = NULL;
	} else if (start_ticks && stat.start_ticks != start_ticks) {
		p = NULL;
	} else if (!p || p->exit_ns || !is_same(t, p, stat.start_ticks)) {
		p = enter(t, dir_fd, pid, start_ticks);
	} else if (!t->traced || p->checked_ns <= t->lost_ns) {
		p = reread(t, dir_fd, p);	/* it may run another program, and nobody told of it */
	}
	if (dir_fd >= 0)
		close(dir_fd);
	return p;
}

/* The parent as /proc knows it, if it is the older of the two; its own parent is not looked for. */
static void link_parent(struct process_table *t, struct process *p)
{
	struct process *parent;

	if (p->parent || !(p->known & PROCESS_PARENT))
		return;
	parent = t->traced ? process_lookup(t, p->ppid) : NULL;
	if (parent && process_is_doubted(t, parent))
		parent = NULL;
	if (!parent && !p->exit_ns) {
		process_use(t, p);
		parent = find_one(t, p->ppid, 0);
	}
	if (parent && parent->start_ticks <= p->start_ticks)
		process_image_set_parent(p, parent);
}

struct process *process_find(struct process_table *t, uint32_t pid, uint64_t start_ticks)
{
	struct process *p = find_one(t, pid, start_ticks);

	if (p)
		link_parent(t, p);
	return p;
}

static int scan_one(uint32_t pid, void *data)
{
	struct process_table *t = data;
	int dir_fd = open_process(t, pid);

	if (dir_fd < 0)
		return 0;
	enter(t, dir_fd, pid, 0);
	close(dir_fd);
	return 0;
}

int process_scan(struct process_table *t)
{
	int err = procfs_each_number(t->config.proc_fd, ".", scan_one, t);

	for (struct process *p = t->live.oldest; p; p = p->newer) {
		struct process *parent = process_lookup(t, p->ppid);

		if (parent && parent->start_ticks <= p->start_ticks)
			process_image_set_parent(p, parent);
	}
	return err;
}

static bool take_credit(struct process_table *t)
{
	uint64_t now = process_now(), price;

	if (!t->config.reads_per_second)
		return true;
	price = NS_PER_S / t->config.reads_per_second;
	t->credit_ns += now - t->credit_at_ns;
	t->credit_at_ns = now;
	if (t->credit_ns > CREDIT_MAX_NS + price)
		t->credit_ns = CREDIT_MAX_NS + price;
	if (t->credit_ns < price) {
		t->stats.reads_deferred++;
		return false;
	}
	t->credit_ns -= price;
	return true;
}

/* One process on its way through process_read(). The table may give it up meanwhile for others that
 * it learns of. */
struct reading {
	struct process *p;	/* referenced */
	struct process fresh;
	int dir_fd, exe;
};

static bool reading_begin(struct process_table *t, struct process *p, struct reading *r)
{
	if ((p->known & PROCESS_READ) || process_lookup(t, p->pid) != p || !take_credit(t))
		return false;
	*r = (struct reading) { .p = process_ref(p), .fresh = { .pid = p->pid } };
	t->stats.reads++;
	p->known |= PROCESS_READ;
	r->dir_fd = open_process(t, p->pid);
	if (r->dir_fd >= 0)
		r->exe = process_proc_begin(t, r->dir_fd, &r->fresh);
	return true;
}

static bool reading_finish(struct process_table *t, struct reading *r)
{
	struct process *p = r->p, *fresh = &r->fresh;
	struct procfs_stat stat;
	int err = r->dir_fd;

	process_inherit(p);
	if (r->dir_fd >= 0) {
		err = process_proc_finish(t, r->dir_fd, fresh, r->exe, &stat);
		close(r->dir_fd);
	}
	if (!err && !is_same(t, p, stat.start_ticks))
		err = -ESRCH;
	if (in_vain(err))
		p->known &= ~(uint32_t)PROCESS_READ;	/* once more, when it is asked for */
	else if (err || !(fresh->known & PROCESS_COMMAND_LINE))
		t->stats.reads_late += !fresh->kernel_thread;
	if (!err && !is_of_later_program(p, fresh)) {
		merge(t, p, fresh);
		if (process_lookup(t, p->pid) == p)
			link_parent(t, p);
	}
	process_image_clear(fresh);
	process_unref(p);
	return !err;
}

bool process_read(struct process_table *t, struct process *p)
{
	struct reading r;

	process_image_settle(p);
	if (p->parent)
		process_image_settle(p->parent);
	return reading_begin(t, p, &r) && reading_finish(t, &r);
}

void process_read_new(struct process_table *t, const uint32_t *pids, unsigned int count)
{
	struct reading readings[READ_TOGETHER];
	unsigned int begun;

	while (count) {
		for (begun = 0; count && begun < READ_TOGETHER; ) {
			struct process *p = process_get(t, pids[--count]);

			if (p && !p->exit_ns && reading_begin(t, p, &readings[begun]))
				begun++;
		}
		for (unsigned int i = 0; i < begun; i++)
			reading_finish(t, &readings[i]);
	}
}

struct process *process_refresh(struct process_table *t, struct process *p)
{
	struct process *now = process_lookup(t, p->pid);
	int dir_fd;

	if (now != p && (!now || now->start_ticks != p->start_ticks))
		return NULL;
	if (now->exit_ns)
		return NULL;
	dir_fd = open_process(t, p->pid);
	if (dir_fd < 0) {
		if (!in_vain(dir_fd))
			process_bury(t, now, process_now());
		return NULL;
	}
	now = reread(t, dir_fd, now);
	close(dir_fd);
	if (now)
		link_parent(t, now);
	return now;
}

const char *process_thread_name(struct process_table *t, uint32_t pid, uint32_t tid)
{
	const struct process *p = process_lookup(t, pid);
	const struct thread *thread = thread_find(&t->threads, pid, tid);
	char name[64];
	ssize_t n;
	int dir_fd;

	if (tid == pid)
		return p ? p->comm : "";
	if (thread && thread->comm[0])
		return thread->comm;
	dir_fd = open_process(t, pid);
	if (dir_fd < 0)
		return "";
	snprintf(name, sizeof(name), "task/%u/comm", tid);
	n = procfs_read(dir_fd, name, t->thread_name, sizeof(t->thread_name));
	close(dir_fd);
	if (n <= 0)
		return "";
	t->thread_name[n - 1] = '\0';
	return t->thread_name;
}
