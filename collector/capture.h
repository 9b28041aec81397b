/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NFWHO_CAPTURE_H
#define NFWHO_CAPTURE_H

#include "nflog.h"

/* The first packets of connections, kept for an output that wants the packet itself until it is
 * known who sent it. 32,768 places in sets of eight: the oldest of a set makes room. With half a
 * second to wait that is rare, and it is seen, not mistaken. */

#define CAPTURE_BYTES_MAX 256

struct captured {
	struct tuple tuple;
	uint64_t number;		/* counts up; 0: nothing is kept here */
	uint32_t ifindex_in, ifindex_out;
	uint16_t len;
	uint8_t payload[CAPTURE_BYTES_MAX];	/* from the IP header on */
};

struct capture;

/* Returns 0 or -errno; the caller owns *out. */
int capture_new(struct capture **out);
void capture_free(struct capture *c);

void capture_keep(struct capture *c, const struct nflog_packet *packet);

/* The newest packet of this tuple, NULL if it is not kept. Valid until the next capture_keep(). */
const struct captured *capture_find(struct capture *c, const struct tuple *tuple);

#endif
