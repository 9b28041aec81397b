/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NFWHO_SOCK_H
#define NFWHO_SOCK_H

#include "tuple.h"

/* What the kernel says of one socket, whether by sock_diag or by /proc/net. */
struct sock {
	uint64_t inode;		/* 0: no file refers to it (closing, TIME_WAIT, not accepted yet) */
	uint64_t cookie;	/* unique until reboot; 0 unknown */
	uint64_t cgroup_id;	/* cgroup v2, where it was created; 0 unknown */
	uint32_t uid;		/* of the socket's inode: means nothing where inode is 0 */
	uint32_t ifindex;	/* bound to this device; 0: to none, or unknown */
	uint8_t state;		/* TCP_* */
};

/* "Which socket has exactly this tuple?" and the answer. */
struct sock_query {
	struct tuple tuple;	/* source is the local side */
	uint32_t ifindex;	/* device its packets leave by: a socket bound to one, and every
				 * link-local IPv6 one, is found only with it. 0: unknown */
	bool found;
	bool unknown;		/* not found, and the kernel has not said that there is none */
	struct sock sock;	/* zeroes unless found */
};

#endif
