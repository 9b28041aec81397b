/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NFWHO_CGROUPFS_H
#define NFWHO_CGROUPFS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The cgroup v2 tree by its ids, as sock_diag gives them. An id is a file handle of the tree
 * (kernfs), so that it is opened without a search: open_by_handle_at(2), CAP_DAC_READ_SEARCH. Where
 * that is refused a bounded search for the inode number does it. */

#define CGROUPFS_PATH_MAX 512

struct cgroupfs_known;

struct cgroupfs {
	int mount_fd;		/* -1: no cgroup2 mounted, or not to be opened */
	size_t root_len;	/* of the mount point's own path */
	struct cgroupfs_known *known;	/* NULL before the first is asked for */
	char path[CGROUPFS_PATH_MAX];	/* of the last that was opened */
};

/* Finds the mount in /proc/self/mountinfo. Never fails: without one every answer is "unknown". */
void cgroupfs_init(struct cgroupfs *fs, int proc_fd);
void cgroupfs_fini(struct cgroupfs *fs);

/* Path below the mount point ("/" the root). "" if it may not be opened, or is longer than
 * CGROUPFS_PATH_MAX, or is gone and was not asked for before, among the last few thousand. Valid
 * until the next call. */
const char *cgroupfs_path(struct cgroupfs *fs, uint64_t id);

/* Pids of the processes in that very cgroup (not below it), at most max. Returns how many, or
 * -errno. */
int cgroupfs_members(struct cgroupfs *fs, uint64_t id, uint32_t *pids, unsigned int max);

/* Finds the mount point of the first cgroup2 in a mountinfo line; false if it is another kind.
 * Octal escapes are undone. Pure. */
bool cgroupfs_mount_point(const char *line, char *path, size_t size);

#endif
