/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NFWHO_BATCH_H
#define NFWHO_BATCH_H

#include "nl.h"

/* Changes that the kernel makes all together or not at all. It works a batch off inside sendmsg(),
 * so every answer is queued when that returns: nothing here waits. */

/* For nl_open(): the kernel puts at most 32 KiB into one datagram of a dump. */
#define BATCH_ANSWER_BYTES 32768

/* The ruleset's generation: a batch that names it fails with -ERESTART if the ruleset has changed
 * since. 0, -EPROTONOSUPPORT (the kernel has no nf_tables), or -errno. */
int batch_generation(struct nl *nl, uint32_t *generation);

struct batch {
	struct nl *nl;
	char *buf;
	size_t used;
	uint32_t first_seq;	/* of NFNL_MSG_BATCH_BEGIN */
	uint16_t failed_type;	/* NFT_MSG_* the kernel refused; 0 none, or the batch as a whole */
};

/* Starts a batch that is valid for this generation of the ruleset only. 0 or -ENOMEM. */
int batch_init(struct batch *batch, struct nl *nl, uint32_t generation);
void batch_fini(struct batch *batch);

/* Header of the next message, to be filled by an nftnl_*_build_payload(); NULL when full. At most
 * BATCH_MESSAGE_BYTES may follow. */
#define BATCH_MESSAGE_BYTES 4096
struct nlmsghdr *batch_message(struct batch *batch, uint16_t type, uint8_t family, uint16_t flags);
void batch_message_end(struct batch *batch, const struct nlmsghdr *nlh);

/* Sends it. 0: all of it is in force; -ERESTART: the ruleset has changed since the generation; or
 * the kernel's first error, with failed_type set. */
int batch_send(struct batch *batch);

#endif
