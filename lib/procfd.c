// SPDX-License-Identifier: GPL-2.0-or-later
#include "procfd.h"
#include "procfs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* As many entries as one getdents64 hands out: 24 bytes each. */
#define PROCFD_BUFFER_BYTES 16384

struct scan {
	procfd_handler *handler;
	void *data;
	unsigned int from, max, seen;
	bool stopped;
};

bool procfd_socket_inode(const char *target, size_t len, uint64_t *inode)
{
	static const char prefix[] = "socket:[";
	size_t i = sizeof(prefix) - 1;

	*inode = 0;
	if (len < i + 2 || memcmp(target, prefix, i) != 0 || target[len - 1] != ']')
		return false;
	for (; i < len - 1; i++) {
		unsigned int digit = (unsigned char)target[i] - '0';

		if (digit > 9 || *inode > (UINT64_MAX - digit) / 10)
			return false;
		*inode = *inode * 10 + digit;
	}
	return true;
}

/* Returns 1 and the inode for a socket, 0 for anything else, -errno. */
static int read_link(int at, const char *name, uint64_t *inode)
{
	char target[40];
	ssize_t n = readlinkat(at, name, target, sizeof(target));

	if (n < 0)
		return -errno;
	return procfd_socket_inode(target, n, inode);
}

int procfd_socket(int pid_fd, int fd, uint64_t *inode)
{
	char name[20];
	int ret;

	snprintf(name, sizeof(name), "fd/%d", fd);
	ret = read_link(pid_fd, name, inode);
	return ret == -ENOENT ? 0 : ret;
}

/* The process a thread belongs to. "Tgid:" comes after the name, whose newlines the kernel
 * escapes, so that no name can forge the line. */
static int read_tgid(int pid_fd, uint32_t *tgid)
{
	char buf[512];
	ssize_t n = procfs_read(pid_fd, "status", buf, sizeof(buf) - 1);
	const char *line;

	if (n < 0)
		return n;
	buf[n] = '\0';
	line = strstr(buf, "\nTgid:\t");
	if (!line)
		return -EBADMSG;
	*tgid = strtoul(line + 7, NULL, 10);
	return *tgid ? 0 : -EBADMSG;
}

/* The start time of a thread is its own: that of the process is its leader's. While the thread is
 * there, its leader's pid is nobody else's. */
static int read_leader(int proc_fd, int thread_fd, uint32_t tgid, struct procfs_stat *stat)
{
	int leader = procfs_open(proc_fd, tgid), err;
	uint32_t again;

	if (leader < 0)
		return leader;
	err = procfs_read_stat(leader, stat);
	close(leader);
	if (!err)
		err = read_tgid(thread_fd, &again);
	return err;
}

int procfd_identify(int proc_fd, int pid_fd, struct procfd_identity *who)
{
	struct procfs_stat stat;
	int err = read_tgid(pid_fd, &who->pid);

	if (!err)
		err = procfs_read_stat(pid_fd, &stat);
	if (!err && stat.pid != who->pid)
		err = read_leader(proc_fd, pid_fd, who->pid, &stat);
	if (err)
		return err;
	who->ppid = stat.ppid;
	who->start_ticks = stat.start_ticks;
	return 0;
}

int procfd_children(int pid_fd, uint32_t pid, uint32_t *pids, unsigned int max)
{
	char name[40], buf[4096];
	unsigned int count = 0;
	char *at = buf, *end;
	ssize_t n;

	snprintf(name, sizeof(name), "task/%" PRIu32 "/children", pid);
	n = procfs_read(pid_fd, name, buf, sizeof(buf) - 1);
	if (n < 0)
		return n;
	buf[n] = '\0';
	for (;; at = end) {
		uint32_t child = strtoul(at, &end, 10);

		if (end == at || *end != ' ')	/* cut off by the buffer's end */
			break;
		pids[count++ % max] = child;
	}
	return count < max ? count : max;
}

/* One buffer of directory entries. Returns 0, or -errno of a link that may not be read. */
static int scan_entries(int fd_dir, const char *buf, long len, struct scan *scan)
{
	const struct dirent64 *entry;

	for (long at = 0; at < len && !scan->stopped; at += entry->d_reclen) {
		uint64_t inode;
		int ret;

		entry = (const struct dirent64 *)(buf + at);
		if (entry->d_name[0] == '.')
			continue;
		scan->seen++;
		ret = read_link(fd_dir, entry->d_name, &inode);
		if (ret < 0 && ret != -ENOENT)
			return ret;
		if (ret > 0 &&
		    !scan->handler(strtol(entry->d_name, NULL, 10), inode, scan->data))
			scan->stopped = true;
		if (scan->seen >= scan->max ||
		    (scan->seen % PROCFD_PAUSE == 0 &&
		     !scan->handler(-1, strtoul(entry->d_name, NULL, 10), scan->data)))
			scan->stopped = true;
	}
	return 0;
}

static int scan_directory(int at, const char *name, struct scan *scan)
{
	_Alignas(struct dirent64) char buf[PROCFD_BUFFER_BYTES];
	int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC), err = 0;
	long n;

	if (fd < 0)
		return -errno;
	/* Position 0 is ".", 1 "..", then the descriptor number plus two (proc_readfd_common). */
	if (scan->from > 0 && lseek(fd, (off_t)scan->from + 2, SEEK_SET) < 0)
		err = -errno;
	while (!err && !scan->stopped) {
		n = syscall(SYS_getdents64, fd, buf, sizeof(buf));
		if (n < 0)
			err = -errno;
		if (n <= 0)
			break;
		err = scan_entries(fd, buf, n, scan);
	}
	close(fd);
	return err;
}

/* The main thread has ended: another one's descriptors are everyone's. */
static int scan_other_thread(int pid_fd, struct scan *scan)
{
	struct procfs_stat stat;
	int err = procfs_read_stat(pid_fd, &stat), thread;

	if (err)
		return err;
	thread = procfs_open_other_thread(pid_fd, stat.pid);
	if (thread < 0)
		return thread == -ENOENT ? 0 : thread;
	err = scan_directory(thread, "fd", scan);
	close(thread);
	return err;
}

int procfd_scan(int pid_fd, unsigned int from, unsigned int max_descriptors,
		procfd_handler *handler, void *data)
{
	struct scan scan = { .handler = handler, .data = data, .from = from,
			     .max = max_descriptors };
	int err = scan_directory(pid_fd, "fd", &scan);
	struct stat task;

	/* Links of a directory: ".", "..", and one for each thread. */
	if (!err && scan.seen == 0 && from == 0 && fstatat(pid_fd, "task", &task, 0) == 0 &&
	    task.st_nlink > 3)
		err = scan_other_thread(pid_fd, &scan);
	if (err)
		return err;
	return scan.seen < INT_MAX ? (int)scan.seen : INT_MAX;
}
