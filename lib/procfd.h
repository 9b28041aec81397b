/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NFWHO_PROCFD_H
#define NFWHO_PROCFD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * What one process holds: /proc/PID/fd, read without an allocation, about 1 us per descriptor. A
 * process is what procfs_open() opened, by its own pid or a thread's. Once open it stays that
 * very process: when it is gone everything below answers ESRCH, also after its pid was given to
 * another.
 */

struct procfd_identity {
	uint32_t pid;		/* of the process, also when asked through one of its threads */
	uint32_t ppid;
	uint64_t start_ticks;
};

/* Who it is; for a thread, the process it belongs to. Returns 0 or -errno (-ESRCH, -ENOENT: gone;
 * -EBADMSG, -EINVAL: unreadable). */
int procfd_identify(int proc_fd, int pid_fd, struct procfd_identity *who);

/* 1 and the inode if descriptor number fd of the process is a socket, 0 if it is not or is closed,
 * -errno (-EACCES: not allowed to look). */
int procfd_socket(int pid_fd, int fd, uint64_t *inode);

/* The latest children of its main thread (/proc/PID/task/PID/children, CONFIG_PROC_CHILDREN), at
 * most max. Returns how many, or -errno. */
int procfd_children(int pid_fd, uint32_t pid, uint32_t *pids, unsigned int max);

/* One socket among its descriptors; or, after every PROCFD_PAUSE of them, fd -1 and the number of
 * the last one, so that a long scan can be ended. Return true to go on, false to stop. */
#define PROCFD_PAUSE 128
typedef bool procfd_handler(int fd, uint64_t inode, void *data);

/* Hands on every socket the process holds from descriptor number `from` on, at most max_descriptors
 * looked at. A process whose main
 * thread has ended is read through another thread. A thread that has unshared its descriptor
 * table (CLONE_FILES) is seen only if it was itself opened. Returns the number of descriptors
 * looked at, or -errno. */
int procfd_scan(int pid_fd, unsigned int from, unsigned int max_descriptors,
		procfd_handler *handler, void *data);

/* "socket:[123]" -> 123. False for any other target. Pure. */
bool procfd_socket_inode(const char *target, size_t len, uint64_t *inode);

#endif
