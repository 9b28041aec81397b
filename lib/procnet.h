/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NFWHO_PROCNET_H
#define NFWHO_PROCNET_H

#include "sock.h"

#include <stddef.h>

/* /proc/net/{tcp,udp}{,6}: every socket of the network namespace as text, for kernels without
 * sock_diag. Reading one file costs microseconds per socket there is. No cookie, no cgroup. */

/* Answers all queries by reading each file that concerns one of them once. proc_fd: directory
 * descriptor of /proc. `invalid` counts lines that could not be read (may be NULL). A socket that
 * moves while the file is read can be missed. Returns 0 or -errno. */
int procnet_lookup(int proc_fd, struct sock_query *queries, unsigned int count, uint64_t *invalid);

/* Decodes one line (no newline, no NUL needed). Returns 0 or -EBADMSG. Pure. */
int procnet_decode(const char *line, size_t len, uint8_t family, uint8_t protocol,
		   struct tuple *tuple, struct sock *sock);

#endif
