// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Fork, exec, rename and exit, as the kernel records them, on top of what /proc said.
 *
 * Records and /proc tell the same story with different delays: /proc is read after the rings were
 * opened, and a record may be older than what a read already saw. Each image therefore knows when
 * it was read, and a record is compared with that:
 *
 *	- older than the process's start: about an earlier owner of the pid, ignored;
 *	- the fork of a process that /proc showed first: the same, if the start fits;
 *	- an exec or rename before an image that is all from /proc: seen already;
 *	- an exec before a read (of an image made by records): what was read belongs to the program
 *	  the exec began and moves there;
 *	- an exec during a read: what was read may be of both, and is dropped.
 *
 * What was read is then not what the children have forked from: they lose it.
 *
 * execve(2) renames before it reports (begin_new_exec, then trace_sched_process_exec): the last
 * rename before an exec is the new program's, and the old one gets its name back.
 *
 * A process ends with its last thread. exec from another thread than the first lets the first one
 * exit and takes its tid without a record of its own exit; all other threads are gone then.
 */
#include "process_image.h"
#include "process_proc.h"
#include "process_table.h"
#include "refstr.h"

#include <errno.h>
#include <string.h>

#define READ_BITS(p) ((p)->read_known & ~(uint32_t)(PROCESS_PARENT | PROCESS_START))

static void set_comm(char to[static PROCESS_COMM_MAX], const char *comm)
{
	size_t len = strnlen(comm, PROCESS_COMM_MAX - 1);

	memcpy(to, comm, len);
	memset(to + len, 0, PROCESS_COMM_MAX - len);
}

/* Pids that perf cannot express in our namespace are 0 or -1. */
static bool is_pid(uint32_t pid)
{
	return pid && pid != UINT32_MAX;
}

/* The image of pid that a record of this time can be about; NULL if there is none. */
static struct process *find(struct process_table *t, uint64_t time_ns, uint32_t pid)
{
	struct process *p = process_lookup(t, pid);

	t->traced = true;
	return p && !process_starts_after(t, p, time_ns) ? p : NULL;
}

static const char *name_of(struct process_table *t, const struct process *p, uint32_t tid)
{
	const struct thread *thread = tid == p->pid ? NULL : thread_find(&t->threads, p->pid, tid);

	return thread ? thread->comm : p->comm;
}

/* For what this record tells: as good as lost, so that /proc is asked before anybody is named. */
static void no_memory(struct process_table *t, uint64_t time_ns)
{
	process_proc_heed(t, -ENOMEM);
	process_lost(t, time_ns);
}

static void fork_thread(struct process_table *t, uint64_t time_ns, uint32_t pid, uint32_t tid,
			uint32_t parent_tid)
{
	struct process *p = find(t, time_ns, pid);

	if (p && !p->exit_ns)
		process_add_thread(t, p, tid, name_of(t, p, parent_tid));
}

/* Whether an image that /proc gave first is of the process whose fork is recorded now. */
static bool is_forked_at(struct process_table *t, const struct process *p, uint64_t time_ns)
{
	uint64_t ticks = process_ticks(t, time_ns);

	if (p->seen_ns || !(p->known & PROCESS_START))
		return p->seen_ns == time_ns;
	return p->start_ticks <= ticks + 1 && p->start_ticks + 2 >= ticks;
}

/* Who has forked at that time, and as which program. Its exec may be lost, and so may its end and
 * another's fork with its pid: then /proc is asked, as nobody may be named by what is no longer
 * true. */
static struct process *find_parent(struct process_table *t, uint64_t time_ns, uint32_t pid)
{
	struct process *p = find(t, time_ns, pid);

	if (!p || (p->exit_ns && p->exit_ns < time_ns))
		return NULL;
	if (!process_is_doubted(t, p))
		return p;
	return p->exit_ns ? NULL : process_refresh(t, p);
}

static void inherit(struct process_table *t, struct process *child, struct process *parent,
		    uint32_t parent_tid)
{
	process_inherit(parent);
	process_share_program(child, parent, PROCESS_FORK_KEEPS);
	if (parent->known & PROCESS_COMM)
		set_comm(child->comm, name_of(t, parent, parent_tid));
	child->vpid = parent->vpid == parent->pid ? child->pid : 0;
	child->cgroup_id = parent->cgroup_id;
	child->netns = parent->netns;
	child->netns_inherited = parent->netns_inherited || parent->known & PROCESS_NETNS;
	child->foreign_userns = parent->foreign_userns;
	child->kernel_thread = parent->kernel_thread;
	process_image_set_parent(child, parent);
}

void process_fork(struct process_table *t, uint64_t time_ns, uint32_t pid, uint32_t tid,
		  uint32_t parent_pid, uint32_t parent_tid)
{
	struct process *before, *parent, *child;

	if (!is_pid(pid))
		return;
	if (tid != pid) {
		fork_thread(t, time_ns, pid, tid, parent_tid);
		return;
	}
	t->traced = true;
	parent = find_parent(t, time_ns, parent_pid);
	before = process_lookup(t, pid);
	if (before && is_forked_at(t, before, time_ns)) {
		if (!before->parent)
			process_image_set_parent(before, parent);
		return;
	}
	if (before && process_starts_after(t, before, time_ns))
		return;
	child = process_image_new(pid);
	if (!child) {
		no_memory(t, time_ns);
		return;
	}
	if (parent)
		inherit(t, child, parent, parent_tid);
	child->forked = true;
	if (is_pid(parent_pid)) {
		child->ppid = parent_pid;
		child->known |= PROCESS_PARENT;
	}
	child->seen_ns = child->checked_ns = time_ns;
	process_set_start(t, child, process_ticks(t, time_ns), true);
	process_insert(t, child);
}

static void set_executed(struct process *p, const char *filename)
{
	process_image_drop(p, PROCESS_EXECUTED);
	/* What fexecve(3) passes names a descriptor, not a program. */
	if (!filename[0] || strncmp(filename, "/dev/fd/", 8) == 0)
		return;
	p->executed = refstr_new(filename, strlen(filename));
	if (p->executed)
		p->known |= PROCESS_EXECUTED;
}

/* What was read of p in the meantime goes to the program that it was read from. */
static void part(struct process *p, struct process *program, uint64_t time_ns)
{
	if (!p->read_known || time_ns >= p->read_end_ns)
		return;
	process_image_disown(p);
	if (time_ns < p->read_begin_ns) {
		process_image_share(program, p, p->read_known | PROCESS_READ);
		program->read_known = p->read_known;
		program->read_begin_ns = p->read_begin_ns;
		program->read_end_ns = p->read_end_ns;
		program->start_stack = p->start_stack;
	}
	process_image_drop(p, READ_BITS(p));
	p->read_known = 0;
}

void process_exec(struct process_table *t, uint64_t time_ns, uint32_t pid, const char *filename)
{
	struct process *p = find(t, time_ns, pid), *program;

	if (!is_pid(pid) || (!p && process_lookup(t, pid)))
		return;
	if (p && !p->exit_ns && !p->seen_ns && time_ns < p->read_begin_ns) {
		process_image_disown(p);
		p->begun_ns = time_ns;
		set_executed(p, filename);
		return;
	}
	program = process_image_new(pid);
	if (!program) {
		no_memory(t, time_ns);
		return;
	}
	program->seen_ns = program->checked_ns = time_ns;
	set_executed(program, filename);
	if (!p || p->exit_ns) {
		process_insert(t, program);
		return;
	}
	part(p, program, time_ns);
	thread_end_all(&t->threads, &p->threads, time_ns);
	p->unlisted_threads = 0;
	p->first_thread_gone = false;
	process_ref(p);
	process_succeed(t, p, program);
	if (p->comm_before[0]) {
		memcpy(p->comm, p->comm_before, sizeof(p->comm));
		process_image_touch(p);
	}
	process_unref(p);
}

static void rename_first(struct process_table *t, uint64_t time_ns, uint32_t pid, const char *comm)
{
	struct process *p = find(t, time_ns, pid);

	if (!p && process_lookup(t, pid))
		return;
	if (!p) {
		p = process_image_new(pid);
		if (!p) {
			no_memory(t, time_ns);
			return;
		}
		p->seen_ns = p->checked_ns = time_ns;
		process_insert(t, p);
	}
	if (p->exit_ns || (!p->seen_ns && time_ns < p->read_begin_ns))
		return;
	memcpy(p->comm_before, p->comm, sizeof(p->comm));
	set_comm(p->comm, comm);
	p->known |= PROCESS_COMM;
	p->read_known &= ~PROCESS_COMM;
	process_image_touch(p);
}

void process_comm(struct process_table *t, uint64_t time_ns, uint32_t pid, uint32_t tid,
		  const char *comm)
{
	struct thread *thread;

	if (!is_pid(pid))
		return;
	if (tid == pid) {
		rename_first(t, time_ns, pid, comm);
		return;
	}
	thread = find(t, time_ns, pid) ? thread_find(&t->threads, pid, tid) : NULL;
	if (thread && !thread->exit_ns)
		set_comm(thread->comm, comm);
}

void process_exit(struct process_table *t, uint64_t time_ns, uint32_t pid, uint32_t tid)
{
	struct process *p = find(t, time_ns, pid);
	struct thread *thread;

	if (!p || p->exit_ns)
		return;
	if (tid == pid) {
		p->first_thread_gone = true;
	} else {
		thread = thread_find(&t->threads, pid, tid);
		if (thread && !thread->exit_ns)
			thread_end(&t->threads, thread, time_ns);
		else if (!thread && p->unlisted_threads)
			p->unlisted_threads--;
	}
	if (p->first_thread_gone && !p->threads && !p->unlisted_threads)
		process_bury(t, p, time_ns);
}

void process_lost(struct process_table *t, uint64_t time_ns)
{
	if (time_ns > t->lost_ns)
		t->lost_ns = time_ns;
}

void process_set_cgroup(struct process *p, uint64_t cgroup_id)
{
	if (!cgroup_id || cgroup_id == p->cgroup_id)
		return;
	if (p->cgroup_id)
		process_image_drop(p, PROCESS_CGROUP);
	p->cgroup_id = cgroup_id;
}
