// SPDX-License-Identifier: GPL-2.0-or-later
#include "ifname.h"

#define KEPT_NS 1000000000ull

const char *ifname_get(struct ifname *cache, uint32_t ifindex, uint64_t now_ns)
{
	unsigned int slot = ifindex % IFNAME_SLOTS;

	if (!ifindex)
		return "";
	if (cache->slots[slot].ifindex != ifindex ||
	    now_ns - cache->slots[slot].read_ns >= KEPT_NS) {
		cache->slots[slot].ifindex = ifindex;
		cache->slots[slot].read_ns = now_ns;
		if (!if_indextoname(ifindex, cache->slots[slot].name))
			cache->slots[slot].name[0] = '\0';
	}
	return cache->slots[slot].name;
}
