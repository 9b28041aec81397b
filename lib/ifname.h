/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NFWHO_IFNAME_H
#define NFWHO_IFNAME_H

#include <net/if.h>
#include <stdint.h>

#define IFNAME_SLOTS 16

/* Names of network devices by index, remembered for a second: a renamed device shows its new name
 * after that. Zeroed memory is an empty cache. */
struct ifname {
	struct {
		uint32_t ifindex;
		uint64_t read_ns;
		char name[IF_NAMESIZE];
	} slots[IFNAME_SLOTS];
};

/* "" if there is no such device. now_ns: CLOCK_MONOTONIC. Valid until the next call. */
const char *ifname_get(struct ifname *cache, uint32_t ifindex, uint64_t now_ns);

#endif
