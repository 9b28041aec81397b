/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NFWHO_NFLOG_BATCH_H
#define NFWHO_NFLOG_BATCH_H

#include "nflog.h"

#include <linux/netlink.h>

/* What the kernel sends to an NFLOG socket, taken apart: lib/nflog without its socket. */

/* Numbers and sums from one batch to the next. */
struct nflog_count {
	struct nflog_stats stats;
	uint32_t next_sequence;
	bool sequence_known;	/* false: the first number that comes is right */
};

/* One message. *sequence and *has_sequence are set even where the rest is of no use. Returns 0, or
 * -EBADMSG for a message without a packet in it. */
int nflog_message_parse(struct nflog_packet *out, uint32_t *sequence, bool *has_sequence,
			const struct nlmsghdr *nlh);

/* One datagram: packet messages and an NLMSG_DONE. Counts, and hands on what can be used. Returns
 * how many were handed on. */
unsigned int nflog_batch(struct nflog_count *count, const void *batch, size_t len,
			 nflog_handler *handler, void *data);

#endif
