/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NFWHO_HOST_H
#define NFWHO_HOST_H

#include <stdint.h>

/* Who we are: read once at start, before privileges are dropped. */
struct host {
	char name[256];		/* fully qualified if gethostname says so */
	char hostname[256];	/* up to the first dot */
	char id[33];		/* /etc/machine-id, else one kept in state_dir; "" if neither */
	char boot_id[37];
	char run_id[33];	/* new at every start: 128 random bits */
	char series[33];	/* what ids of connections begin with: the run_id, or that of an
				 * earlier run whose connections this one goes on with */
	long ticks_per_second;
	uint64_t user_ns;	/* inode of our user namespace */
	uint32_t net_ns;	/* inode of our network namespace */
};

/* state_dir: where an id of our own is kept when the machine has none (created 0600); NULL: not
 * kept. Returns 0 or -errno; what is not known stays "". */
int host_init(struct host *h, const char *state_dir);

#endif
