/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NFWHO_TUPLE_H
#define NFWHO_TUPLE_H

#include "hash.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

typedef uint16_t be16;
typedef uint32_t be32;

/* An IPv4 address fills ip4 and leaves the other 12 bytes zero: set by tuple_set_addresses(), as an
 * initialiser of ip4 alone need not clear the rest. The longest comes first, so that {0} does. */
union address {
	uint8_t bytes[16];
	struct in6_addr ip6;
	be32 ip4;
};

/* One direction of a conversation, in its original direction: what the application's own socket
 * says before any NAT. Compared and hashed as bytes, so `pad` is zero. A v4-mapped IPv6 address
 * never stands here: it is IPv4, as its packets are. */
struct tuple {
	union address src, dst;
	be16 sport, dport;	/* TCP, UDP, SCTP; ICMP: sport is the id, dport type << 8 | code */
	uint8_t family;		/* AF_INET or AF_INET6 */
	uint8_t protocol;	/* IPPROTO_* */
	uint16_t pad;
};

/* Room for the longest address and its NUL. */
#define TUPLE_ADDRESS_MAX INET6_ADDRSTRLEN

/* Fills src and dst from 4 (AF_INET) or 16 (AF_INET6) bytes each; a pair of v4-mapped addresses
 * becomes AF_INET. Ports and protocol are left as they are. A mapped address beside one that is
 * not cannot leave a host: it is kept as IPv6. */
void tuple_set_addresses(struct tuple *t, uint8_t family, const void *src, const void *dst);

bool tuple_equal(const struct tuple *a, const struct tuple *b);

uint64_t tuple_hash(const struct tuple *t, const struct hash_key *key);

/* The other direction: addresses and ports exchanged. */
struct tuple tuple_reverse(const struct tuple *t);

/* True for 127.0.0.0/8, ::1 and addresses that mean "this host" (0.0.0.0, ::) as destination. */
bool tuple_is_loopback(const struct tuple *t);

/* True for UDP and ICMP: their sockets do not tell whether anybody answered. */
bool tuple_is_datagram(const struct tuple *t);

/* Writes one address as text (RFC 5952 for IPv6); returns buf. */
const char *tuple_address(uint8_t family, const union address *a,
			  char buf[static TUPLE_ADDRESS_MAX]);

#endif
