/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NFWHO_CT_TIMEOUT_H
#define NFWHO_CT_TIMEOUT_H

#include <stdint.h>

/* conntrack's TCP timeouts, in seconds, by enum tcp_conntrack. They date the last packet of an
 * entry that has expired. */
struct ct_timeout {
	uint32_t seconds[16];
};

/* From /proc/sys/net/netfilter, that is of our network namespace; what cannot be read is 0. */
void ct_timeout_read(struct ct_timeout *t);

uint32_t ct_timeout_of(const struct ct_timeout *t, uint8_t tcp_state);

#endif
