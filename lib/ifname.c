// SPDX-License-Identifier: GPL-2.0-or-later
#include "ifname.h"

#include <stdbool.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define KEPT_NS 1000000000ull

/* Not if_indextoname(3): where it gets no AF_UNIX socket, for want of descriptors say, it tries
 * families for which the filter of system calls kills. */
static bool ask(uint32_t ifindex, char name[static IF_NAMESIZE])
{
	struct ifreq request = { .ifr_ifindex = (int)ifindex };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool known = fd >= 0 && ioctl(fd, SIOCGIFNAME, &request) == 0;

	if (known)
		memcpy(name, request.ifr_name, IF_NAMESIZE);
	if (fd >= 0)
		close(fd);
	return known;
}

const char *ifname_get(struct ifname *cache, uint32_t ifindex, uint64_t now_ns)
{
	unsigned int slot = ifindex % IFNAME_SLOTS;

	if (!ifindex)
		return "";
	if (cache->slots[slot].ifindex != ifindex ||
	    now_ns - cache->slots[slot].read_ns >= KEPT_NS) {
		cache->slots[slot].ifindex = ifindex;
		cache->slots[slot].read_ns = now_ns;
		if (!ask(ifindex, cache->slots[slot].name))
			cache->slots[slot].name[0] = '\0';
	}
	return cache->slots[slot].name;
}
