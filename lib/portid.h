/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NFWHO_PORTID_H
#define NFWHO_PORTID_H

#include <stdint.h>

/* Which process is behind a netlink port: the socket's inode from /proc/net/netlink, then the
 * process that holds it. */

#define PORTID_COMM_MAX 16

/* protocol: NETLINK_*. proc_fd: directory descriptor of /proc; its network namespace is the
 * caller's. Returns 0 with a process that holds the socket, the first one (init) only if no other
 * does, and what it calls itself (any bytes), -ENOENT: no such port here, -ESRCH: no process that we may look at holds it, or
 * -errno. */
int portid_process(int proc_fd, int protocol, uint32_t portid, uint32_t *pid,
		   char comm[static PORTID_COMM_MAX]);

#endif
