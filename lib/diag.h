/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NFWHO_DIAG_H
#define NFWHO_DIAG_H

#include "sock.h"

#include <stddef.h>

/* sock_diag: asks the kernel for one socket by its tuple, in microseconds. Needs no privilege. */

struct diag;

struct diag_stats {
	uint64_t asked, found;
	uint64_t other;		/* answers that were another socket's: a listener, a sibling */
	uint64_t invalid;	/* answers that could not be read */
	uint64_t lost;		/* datagrams that do not end as messages do, and times that some were
				 * lost */
};

/* Returns 0, -EPROTONOSUPPORT where the kernel has no sock_diag for TCP, or another -errno. */
int diag_open(struct diag **out);
void diag_close(struct diag *d);

/* Answers all queries; many are put into one send, as the kernel answers them before it returns.
 * A query is found only if the whole tuple of the answer is the one asked for: for TCP the kernel
 * falls back to a listener on the local port, for UDP to any member of a reuseport group
 * (inet_diag_find_one_icsk, udp_dump_one). Returns 0 or -errno; what was answered until then is
 * kept. */
int diag_lookup(struct diag *d, struct sock_query *queries, unsigned int count);

typedef void diag_handler(const struct tuple *tuple, const struct sock *sock, void *data);

/* Hands on every TCP socket of this network namespace that waits for the answer to its SYN, of
 * both families. Returns 0 or -errno. */
int diag_dump_connecting(struct diag *d, diag_handler *handler, void *data);

/* Decodes the payload of one SOCK_DIAG_BY_FAMILY message. Returns 0 or -EBADMSG. Pure. */
int diag_decode(const void *payload, size_t len, uint8_t protocol, struct tuple *tuple,
		struct sock *sock);

const struct diag_stats *diag_stats(const struct diag *d);

#endif
