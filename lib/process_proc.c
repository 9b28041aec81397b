// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What /proc says of a process. Everything is read below one descriptor of /proc/PID, which means
 * one process for ever, into a fresh image; only when the start time is the expected one does it
 * become part of the table (process_read.c). What vanishes first with a process is read first: its
 * memory (command line, executable), then the rest.
 */
#include "cgroup.h"
#include "process_image.h"
#include "process_proc.h"
#include "procfs.h"
#include "refstr.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define READ_TRIES 3

ssize_t process_proc_heed(struct process_table *t, ssize_t result)
{
	switch (-result) {
	case EMFILE:
	case ENFILE:
	case ENOMEM:
	case EIO:
		t->stats.failures++;
		t->stats.last_failure = (int)-result;
	}
	return result;
}

static void know(struct process_table *t, struct process *p, char **field, const char *bytes,
		 size_t len, uint32_t bit)
{
	refstr_unref(*field);
	*field = refstr_new(bytes, len);
	if (*field)
		p->known |= bit;
	else
		process_proc_heed(t, -ENOMEM);
}

static ssize_t read_file(struct process_table *t, int dir_fd, const char *name)
{
	return process_proc_heed(t, procfs_read(dir_fd, name, t->buffer, t->buffer_size));
}

static ssize_t read_link(struct process_table *t, int dir_fd, const char *name)
{
	return process_proc_heed(t, procfs_read_link(dir_fd, name, t->buffer, t->buffer_size));
}

void process_proc_command_line(struct process_table *t, int dir_fd, struct process *p)
{
	size_t max = t->config.command_line_max_bytes;
	ssize_t n = process_proc_heed(t, procfs_read(dir_fd, "cmdline", t->buffer, max + 1));

	if (n <= 0)
		return;
	p->command_line_cut = (size_t)n > max;
	if (p->command_line_cut)
		n = max;
	p->command_line_len = procfs_parse_command_line(t->buffer, n, &p->args_count);
	if (p->command_line_cut)
		p->args_count = 0;
	if (p->command_line_len)
		know(t, p, &p->command_line, t->buffer, p->command_line_len, PROCESS_COMMAND_LINE);
}

int process_proc_executable(struct process_table *t, int dir_fd, struct process *p)
{
	ssize_t n = read_link(t, dir_fd, "exe");
	size_t len;

	if (n < 0)
		return n;
	len = procfs_parse_link(t->buffer, n, &p->executable_deleted);
	if (len && t->buffer[0] == '/')
		know(t, p, &p->executable, t->buffer, len, PROCESS_EXECUTABLE);
	return 0;
}

static void read_directory(struct process_table *t, int dir_fd, struct process *p)
{
	ssize_t n = read_link(t, dir_fd, "cwd");
	bool deleted;

	if (n > 0 && t->buffer[0] == '/')
		know(t, p, &p->directory, t->buffer, procfs_parse_link(t->buffer, n, &deleted),
		     PROCESS_DIRECTORY);
}

void process_proc_ids(struct process_table *t, int dir_fd, struct process *p)
{
	struct procfs_status status;

	if (process_proc_heed(t, procfs_read_status(dir_fd, &status)))
		return;
	p->uid = status.uid;
	p->ruid = status.ruid;
	p->gid = status.gid;
	p->vpid = status.vpid;
	memcpy(p->comm, status.comm, sizeof(p->comm));
	p->known |= PROCESS_IDS;
}

void process_proc_cgroup(struct process_table *t, int dir_fd, struct process *p)
{
	ssize_t n = read_file(t, dir_fd, "cgroup");
	struct cgroup_place place;
	const char *path;
	size_t len;

	if (n <= 0)
		return;
	len = cgroup_choose(t->buffer, n, &path);
	if (!len)
		return;
	cgroup_describe(path, len, &place);
	know(t, p, &p->cgroup, path, len, PROCESS_CGROUP);
	if (place.unit[0])
		know(t, p, &p->unit, place.unit, strlen(place.unit), 0);
	if (place.container_id[0])
		know(t, p, &p->container_id, place.container_id, strlen(place.container_id), 0);
	if (p->container_id)
		p->container_runtime = place.container_runtime;
}

static void read_login(int dir_fd, struct process *p)
{
	uint32_t uid, session;

	if (procfs_read_number(dir_fd, "loginuid", &uid) || uid == UINT32_MAX)
		return;
	if (procfs_read_number(dir_fd, "sessionid", &session))
		session = UINT32_MAX;
	p->login_uid = uid;
	p->login_session = session;
	p->known |= PROCESS_LOGIN;
}

static void read_namespaces(struct process_table *t, int dir_fd, struct process *p)
{
	uint64_t inode;
	ssize_t n;

	if (process_proc_heed(t, procfs_read_namespace(dir_fd, "ns/net", &inode)) == 0) {
		p->netns = inode;
		p->known |= PROCESS_NETNS;
	}
	if (t->own_userns && procfs_read_namespace(dir_fd, "ns/user", &inode) == 0) {
		p->foreign_userns = inode != t->own_userns;
		p->known |= PROCESS_USERNS;
		return;
	}
	if (!t->own_uid_map_len)
		return;
	/* Without ptrace access: the same map gives the same names. */
	n = read_file(t, dir_fd, "uid_map");
	if (n <= 0)
		return;
	p->foreign_userns = (size_t)n != t->own_uid_map_len ||
		memcmp(t->buffer, t->own_uid_map, n) != 0;
	p->known |= PROCESS_USERNS;
}

void process_proc_take(struct process_table *t, struct process *p,
		       const struct procfs_stat *stat)
{
	memcpy(p->comm, stat->comm, sizeof(p->comm));
	p->ppid = stat->ppid;
	p->pgid = stat->pgid;
	p->sid = stat->sid;
	p->tty = stat->tty;
	p->kernel_thread = stat->kernel_thread;
	p->start_stack = stat->start_stack;
	p->known |= PROCESS_COMM | PROCESS_SESSION;
	if (stat->ppid)
		p->known |= PROCESS_PARENT;
	process_set_start(t, p, stat->start_ticks, false);
}

int process_proc_begin(struct process_table *t, int dir_fd, struct process *p)
{
	p->read_begin_ns = process_now();
	process_proc_command_line(t, dir_fd, p);
	return process_proc_executable(t, dir_fd, p);
}

int process_proc_finish(struct process_table *t, int dir_fd, struct process *p, int exe,
			struct procfs_stat *stat)
{
	int other_fd = -1, err;

	err = (int)process_proc_heed(t, procfs_read_stat(dir_fd, stat));
	if (err)
		return err;
	process_proc_take(t, p, stat);
	if (!p->kernel_thread) {
		/* The first thread ended before others: they still have what it gave back. */
		if (exe && stat->state == 'Z' && stat->threads > 1)
			other_fd = procfs_open_other_thread(dir_fd, p->pid);
		if (other_fd >= 0) {
			process_proc_command_line(t, other_fd, p);
			process_proc_executable(t, other_fd, p);
		}
		process_proc_ids(t, dir_fd, p);
		read_login(dir_fd, p);
		read_namespaces(t, other_fd >= 0 ? other_fd : dir_fd, p);
		read_directory(t, other_fd >= 0 ? other_fd : dir_fd, p);
		if (other_fd >= 0)
			close(other_fd);
	}
	process_proc_cgroup(t, dir_fd, p);
	p->known |= PROCESS_READ;
	p->read_known = p->known;
	p->read_end_ns = p->checked_ns = process_now();
	return 0;
}

int process_proc_all(struct process_table *t, int dir_fd, struct process *p,
		     struct procfs_stat *stat)
{
	int exe = process_proc_begin(t, dir_fd, p);

	return process_proc_finish(t, dir_fd, p, exe, stat);
}

/* execve(2) gives the executable first; arguments and stack follow a moment later. */
static bool is_settled(const struct process *p, const struct procfs_stat *before,
		       const struct procfs_stat *after)
{
	if ((p->known & PROCESS_EXECUTABLE) && !p->start_stack)
		return false;
	return before->start_stack == p->start_stack && after->start_stack == p->start_stack;
}

int process_proc_settled(struct process_table *t, int dir_fd, struct process *p,
			 struct procfs_stat *stat)
{
	struct procfs_stat before, after;
	int err = 0;

	for (int tries = 0; tries < READ_TRIES && !err; tries++) {
		process_image_drop(p, UINT32_MAX);
		err = procfs_read_stat(dir_fd, &before);
		if (!err)
			err = process_proc_all(t, dir_fd, p, stat);
		if (!err && (procfs_read_stat(dir_fd, &after) || is_settled(p, &before, &after)))
			break;
	}
	return err;
}
