// SPDX-License-Identifier: GPL-2.0-or-later
#include "community.h"

#include <nettle/base64.h>
#include <nettle/sha1.h>
#include <string.h>
#include <sys/socket.h>

struct ends {
	be16 sport, dport;
	bool ports;	/* ports are hashed at all */
	bool one_way;	/* never exchanged */
};

/* ICMP types that are asked and answered, both directions listed. */
static const struct {
	uint8_t protocol, type, answer;
} icmp_pairs[] = {
	{ IPPROTO_ICMP, 8, 0 }, { IPPROTO_ICMP, 0, 8 },
	{ IPPROTO_ICMP, 13, 14 }, { IPPROTO_ICMP, 14, 13 },
	{ IPPROTO_ICMP, 15, 16 }, { IPPROTO_ICMP, 16, 15 },
	{ IPPROTO_ICMP, 10, 9 }, { IPPROTO_ICMP, 9, 10 },
	{ IPPROTO_ICMP, 17, 18 }, { IPPROTO_ICMP, 18, 17 },
	{ IPPROTO_ICMPV6, 128, 129 }, { IPPROTO_ICMPV6, 129, 128 },
	{ IPPROTO_ICMPV6, 133, 134 }, { IPPROTO_ICMPV6, 134, 133 },
	{ IPPROTO_ICMPV6, 135, 136 }, { IPPROTO_ICMPV6, 136, 135 },
	{ IPPROTO_ICMPV6, 130, 131 }, { IPPROTO_ICMPV6, 131, 130 },
	{ IPPROTO_ICMPV6, 144, 145 }, { IPPROTO_ICMPV6, 145, 144 },
	{ IPPROTO_ICMPV6, 139, 140 }, { IPPROTO_ICMPV6, 140, 139 },
};

static struct ends icmp_ends(const struct tuple *t)
{
	uint16_t type_code = ntohs(t->dport);
	struct ends e = { htons(type_code >> 8), htons(type_code & 0xff), true, true };

	for (size_t i = 0; i < sizeof(icmp_pairs) / sizeof(icmp_pairs[0]); i++) {
		if (icmp_pairs[i].protocol != t->protocol || icmp_pairs[i].type != type_code >> 8)
			continue;
		e.dport = htons(icmp_pairs[i].answer);
		e.one_way = false;
	}
	return e;
}

static struct ends ends_of(const struct tuple *t)
{
	switch (t->protocol) {
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		return icmp_ends(t);
	case IPPROTO_TCP:
	case IPPROTO_UDP:
	case IPPROTO_SCTP:
		return (struct ends){ t->sport, t->dport, true, false };
	default:
		return (struct ends){ 0, 0, false, false };
	}
}

static size_t append(uint8_t *buf, size_t len, const void *data, size_t n)
{
	memcpy(buf + len, data, n);
	return len + n;
}

size_t community_id(const struct tuple *t, uint16_t seed, char id[static COMMUNITY_ID_MAX])
{
	size_t size = t->family == AF_INET ? 4 : 16, len = 0;
	struct ends e = ends_of(t);
	const union address *a = &t->src, *b = &t->dst;
	uint8_t data[2 + 16 + 16 + 2 + 2 + 2], digest[SHA1_DIGEST_SIZE];
	struct sha1_ctx sha1;
	int order = memcmp(a, b, size);

	if (!e.one_way && (order > 0 || (order == 0 && ntohs(e.sport) > ntohs(e.dport)))) {
		be16 port = e.sport;

		a = &t->dst;
		b = &t->src;
		e.sport = e.dport;
		e.dport = port;
	}
	seed = htons(seed);
	len = append(data, len, &seed, sizeof(seed));
	len = append(data, len, a, size);
	len = append(data, len, b, size);
	data[len++] = t->protocol;
	data[len++] = 0;
	if (e.ports) {
		len = append(data, len, &e.sport, sizeof(e.sport));
		len = append(data, len, &e.dport, sizeof(e.dport));
	}
	sha1_init(&sha1);
	sha1_update(&sha1, len, data);
	sha1_digest(&sha1, sizeof(digest), digest);
	id[0] = '1';
	id[1] = ':';
	base64_encode_raw(id + 2, sizeof(digest), digest);
	id[COMMUNITY_ID_MAX - 1] = '\0';
	return COMMUNITY_ID_MAX - 1;
}
