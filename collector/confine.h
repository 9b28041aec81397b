/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NFWHO_CONFINE_H
#define NFWHO_CONFINE_H

#include "option.h"

#include <stdint.h>

/* Giving up rights, in two stages around the opening of everything: see the head of confine.c. */

struct confine {
	uint64_t keep;		/* capabilities that outputs need, decided in the first stage */
	bool read_only;		/* files are, but for the outputs' directories */
	bool filtered;		/* system calls are */
	bool refused;		/* capabilities could not be given up */
};

/* The first stage: other people's files can no longer be written, and we are `--user`. After it
 * the outputs are opened with the rights with which they will be opened again. 0, or -1 after one
 * line on stderr. */
int confine_enter(struct confine *c, const struct options *options);

/* The second stage, when everything is open: capabilities and system calls are cut to what is
 * needed from now on. Says in one line what is left, and in a line each what is lost where a
 * capability was missing from the beginning. cgroup_fd: where cgroups are opened by their ids
 * (owner_cgroup_fd()). 0, or -1 after one line on stderr. */
int confine_finish(struct confine *c, const struct options *options, bool traced, int cgroup_fd);

/* What is lost without a capability, for the one that is the index-th; NULL when there are no
 * more. `any`: having one of these will do. */
const char *confine_loss(unsigned int index, const char **name, uint64_t *any);

#endif
