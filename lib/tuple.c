// SPDX-License-Identifier: GPL-2.0-or-later
#include "tuple.h"

#include <arpa/inet.h>
#include <assert.h>
#include <string.h>
#include <sys/socket.h>

static_assert(sizeof(struct tuple) == 40, "a tuple has no hidden padding");

/* Bytes, not IN6_IS_ADDR_V4MAPPED: the source may be unaligned. */
static bool is_v4_mapped(const uint8_t a[static 16])
{
	static const uint8_t prefix[12] = { [10] = 0xff, [11] = 0xff };

	return memcmp(a, prefix, sizeof(prefix)) == 0;
}

void tuple_set_addresses(struct tuple *t, uint8_t family, const void *src, const void *dst)
{
	memset(&t->src, 0, sizeof(t->src));
	memset(&t->dst, 0, sizeof(t->dst));
	t->family = family;
	if (family == AF_INET) {
		memcpy(&t->src.ip4, src, sizeof(t->src.ip4));
		memcpy(&t->dst.ip4, dst, sizeof(t->dst.ip4));
		return;
	}
	if (is_v4_mapped(src) &&
	    is_v4_mapped(dst)) {
		t->family = AF_INET;
		memcpy(&t->src.ip4, (const uint8_t *)src + 12, sizeof(t->src.ip4));
		memcpy(&t->dst.ip4, (const uint8_t *)dst + 12, sizeof(t->dst.ip4));
		return;
	}
	memcpy(&t->src, src, sizeof(t->src));
	memcpy(&t->dst, dst, sizeof(t->dst));
}

bool tuple_equal(const struct tuple *a, const struct tuple *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

uint64_t tuple_hash(const struct tuple *t, const struct hash_key *key)
{
	return hash_bytes(key, t, sizeof(*t));
}

struct tuple tuple_reverse(const struct tuple *t)
{
	struct tuple reverse = *t;

	reverse.src = t->dst;
	reverse.dst = t->src;
	reverse.sport = t->dport;
	reverse.dport = t->sport;
	return reverse;
}

bool tuple_is_loopback(const struct tuple *t)
{
	if (t->family == AF_INET)
		return t->dst.bytes[0] == 127 || t->dst.ip4 == 0;
	return IN6_IS_ADDR_LOOPBACK(&t->dst.ip6) || IN6_IS_ADDR_UNSPECIFIED(&t->dst.ip6);
}

/* inet_ntop() goes through printf, which shows in the cost of a record. */
static void print_ip4(const uint8_t a[static 4], char *at)
{
	for (unsigned int i = 0; i < 4; i++) {
		if (a[i] >= 100)
			*at++ = '0' + a[i] / 100;
		if (a[i] >= 10)
			*at++ = '0' + a[i] / 10 % 10;
		*at++ = '0' + a[i] % 10;
		*at++ = i < 3 ? '.' : '\0';
	}
}

bool tuple_is_datagram(const struct tuple *t)
{
	return t->protocol == IPPROTO_UDP || t->protocol == IPPROTO_UDPLITE ||
	       t->protocol == IPPROTO_ICMP || t->protocol == IPPROTO_ICMPV6;
}

const char *tuple_address(uint8_t family, const union address *a,
			  char buf[static TUPLE_ADDRESS_MAX])
{
	if (family == AF_INET)
		print_ip4(a->bytes, buf);
	else if (!inet_ntop(family, a, buf, TUPLE_ADDRESS_MAX))
		buf[0] = '\0';
	return buf;
}
