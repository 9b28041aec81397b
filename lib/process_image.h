/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NFWHO_PROCESS_IMAGE_H
#define NFWHO_PROCESS_IMAGE_H

#include "process.h"

/* One image by itself, without the table. */

/* Bits that a forked child has from its parent, and what an exec leaves as it was. Namespaces
 * and, over an exec, ids may be others. */
#define PROCESS_FORK_KEEPS (PROCESS_COMM | PROCESS_EXECUTABLE | PROCESS_EXECUTED | \
	PROCESS_COMMAND_LINE | PROCESS_IDS | PROCESS_SESSION | PROCESS_LOGIN | PROCESS_CGROUP | \
	PROCESS_DIRECTORY)
#define PROCESS_EXEC_KEEPS (PROCESS_PARENT | PROCESS_START | PROCESS_COMM | PROCESS_SESSION | \
	PROCESS_LOGIN)

/* One reference; NULL without memory. */
struct process *process_image_new(uint32_t pid);

/* Frees what the image's fields own; the memory itself is the caller's. */
void process_image_clear(struct process *p);

/* Gives `to` the fields of those bits that `from` knows; strings are shared. */
void process_image_share(struct process *to, const struct process *from, uint32_t bits);

/* Takes the fields of those bits away. */
void process_image_drop(struct process *p, uint32_t bits);

/* What was read of p is of a later program than the children have forked from who share it: they
 * can see that. */
void process_image_disown(struct process *p);

/* Takes away what its parent has disowned since; /proc is asked again. */
void process_image_settle(struct process *p);

/* The parent image as it is now. Never p itself. NULL: none. */
void process_image_set_parent(struct process *p, struct process *parent);

/* The printed JSON no longer holds. */
void process_image_touch(struct process *p);

#endif
