/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NFWHO_PROCFS_H
#define NFWHO_PROCFS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * The files of /proc/PID. Every byte of them may be chosen by the process described: the parsers
 * take bytes and a length and believe neither. The readers work below a descriptor of /proc/PID,
 * which names one process and not a number: once that process is gone they fail, whoever has its
 * pid (a /proc inode holds its struct pid, fs/proc/base.c).
 */

#define PROCFS_COMM_MAX 16

struct procfs_stat {
	uint32_t pid, ppid, pgid, sid;
	uint32_t tty;			/* dev_t; 0 none */
	uint32_t threads;
	char state;			/* R S D Z T … */
	bool kernel_thread;		/* PF_KTHREAD */
	uint64_t start_ticks;		/* since boot, USER_HZ */
	uint64_t start_stack;		/* other at each exec (ASLR); 0 without CAP_SYS_PTRACE */
	char comm[PROCFS_COMM_MAX];	/* as it stands, cut at 15 bytes: newline and backslash are
					 * escaped by some kernels, plain in 6.18 */
};

struct procfs_status {
	uint32_t uid, ruid, gid;	/* effective, real, effective */
	uint32_t vpid;			/* last of NSpid; 0: this kernel has none (before 4.1) */
	char comm[PROCFS_COMM_MAX];	/* unescaped: always escaped here */
};

/* Returns 0, or -EINVAL when the text is not what the kernel writes. */
int procfs_parse_stat(const char *bytes, size_t len, struct procfs_stat *out);
int procfs_parse_status(const char *bytes, size_t len, struct procfs_status *out);

/* A number alone, with or without a newline. Returns 0 or -EINVAL (more than 32 bits too). */
int procfs_parse_number(const char *bytes, size_t len, uint32_t *out);

/* The inode in "net:[4026531840]". Returns 0 or -EINVAL. */
int procfs_parse_namespace(const char *bytes, size_t len, uint64_t *out);

/* Length of a command line without the NULs that end it (a process that shortened its title
 * leaves many), and how many arguments it has. */
size_t procfs_parse_command_line(const char *bytes, size_t len, uint32_t *args_count);

/* Length of a link's target without " (deleted)"; *deleted tells whether it was there. */
size_t procfs_parse_link(const char *bytes, size_t len, bool *deleted);

/* Opens PROC/pid. Returns a descriptor that the caller closes, or -errno (-ENOENT: gone). */
int procfs_open(int proc_fd, uint32_t pid);

/* Opens a thread's directory that is not `except` below a process's. Returns a descriptor, or
 * -errno (-ENOENT: no other thread). */
int procfs_open_other_thread(int dir_fd, uint32_t except);

/* One read(2) of a file. Returns the bytes read (size: there may be more), or -errno. */
ssize_t procfs_read(int dir_fd, const char *name, char *buf, size_t size);

/* Reads a link's target. Returns its length, or -errno (-ENAMETOOLONG if it fills buf). */
ssize_t procfs_read_link(int dir_fd, const char *name, char *buf, size_t size);

int procfs_read_stat(int dir_fd, struct procfs_stat *out);
int procfs_read_status(int dir_fd, struct procfs_status *out);
int procfs_read_number(int dir_fd, const char *name, uint32_t *out);
int procfs_read_namespace(int dir_fd, const char *name, uint64_t *out);

/* Calls each() for every number among a directory's names, in the directory's order. Returns 0 or
 * -errno, or what each() returned if not 0, which ends it. */
int procfs_each_number(int dir_fd, const char *name, int (*each)(uint32_t number, void *data),
		       void *data);

#endif
