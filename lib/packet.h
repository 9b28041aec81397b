/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NFWHO_PACKET_H
#define NFWHO_PACKET_H

#include "tuple.h"

#include <stddef.h>

#define PACKET_TCP_FIN 0x01
#define PACKET_TCP_SYN 0x02
#define PACKET_TCP_RST 0x04
#define PACKET_TCP_ACK 0x10

struct packet {
	struct tuple tuple;
	uint32_t length_bytes;	/* the packet's own length field, not what was captured */
	uint32_t tcp_seq;	/* host order; TCP only */
	uint8_t tcp_flags;	/* PACKET_TCP_*; TCP only */
	bool ports_known;	/* false: the transport header was not captured, a later fragment,
				 * or a protocol without ports */
};

enum packet_status {
	PACKET_OK,		/* tuple filled as far as ports_known says */
	PACKET_TRUNCATED,	/* ended before the network header did */
	PACKET_MALFORMED,	/* contradicts itself: version, header length, extension chain */
};

/* Decodes an IP packet of which `len` bytes were captured: IPv4 with options, IPv6 with extension
 * headers; TCP, UDP, ICMP, ICMPv6, SCTP. Never reads past `len`. `out` is filled with zeroes and
 * then as far as the packet allows. */
enum packet_status packet_decode(struct packet *out, const void *data, size_t len);

#endif
