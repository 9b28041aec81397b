/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NFWHO_PROCESS_PROC_H
#define NFWHO_PROCESS_PROC_H

#include "process_table.h"
#include "procfs.h"

/* From the files below a descriptor of /proc/PID into an image that is not the table's yet. What
 * cannot be read stays unknown. */

/* Counts what says nothing of the process: that we have no descriptor or memory for asking, or that
 * the answer was lost. Returns its argument: a result, or -errno. */
ssize_t process_proc_heed(struct process_table *t, ssize_t result);

void process_proc_command_line(struct process_table *t, int dir_fd, struct process *p);
void process_proc_ids(struct process_table *t, int dir_fd, struct process *p);
void process_proc_cgroup(struct process_table *t, int dir_fd, struct process *p);

/* Returns 0, or -errno: -ENOENT for a kernel thread or a zombie, -EACCES without ptrace access. */
int process_proc_executable(struct process_table *t, int dir_fd, struct process *p);

void process_proc_take(struct process_table *t, struct process *p,
		       const struct procfs_stat *stat);

/* Everything, in two steps: what is gone soonest (command line, then executable), whose result the
 * second step wants; and the rest. Returns 0, or -errno when not even the start is known. */
int process_proc_begin(struct process_table *t, int dir_fd, struct process *p);
int process_proc_finish(struct process_table *t, int dir_fd, struct process *p, int exe,
			struct procfs_stat *stat);

/* Both. */
int process_proc_all(struct process_table *t, int dir_fd, struct process *p,
		     struct procfs_stat *stat);

/* The same where no record would tell of an exec in the middle of it: then once more. */
int process_proc_settled(struct process_table *t, int dir_fd, struct process *p,
			 struct procfs_stat *stat);

#endif
