// SPDX-License-Identifier: GPL-2.0-or-later
#include "packet.h"

#include <endian.h>
#include <linux/icmp.h>
#include <linux/icmpv6.h>
#include <string.h>
#include <sys/socket.h>

#define IP4_HEADER_BYTES 20
#define IP6_HEADER_BYTES 40
#define IP4_FRAGMENT_OFFSET 0x1fff
#define IP6_FRAGMENT_OFFSET 0xfff8
#define TCP_HEADER_BYTES 20
#define UDP_HEADER_BYTES 8
#define ICMP_HEADER_BYTES 8
#define SCTP_HEADER_BYTES 12

/* More than any stack sends; Linux itself passes on no packet with more than a handful. */
#define EXTENSION_HEADERS_MAX 16

/* What has not been decoded yet. */
struct rest {
	const uint8_t *at;
	size_t len;	/* captured, and within the packet's own length */
};

static uint16_t read_be16(const uint8_t *at)
{
	return (uint16_t)(at[0] << 8 | at[1]);
}

static uint32_t read_be32(const uint8_t *at)
{
	return (uint32_t)read_be16(at) << 16 | read_be16(at + 2);
}

static bool advance(struct rest *rest, size_t bytes)
{
	if (rest->len < bytes)
		return false;
	rest->at += bytes;
	rest->len -= bytes;
	return true;
}

static void read_ports(struct packet *out, const struct rest *rest)
{
	memcpy(&out->tuple.sport, rest->at, sizeof(out->tuple.sport));
	memcpy(&out->tuple.dport, rest->at + 2, sizeof(out->tuple.dport));
	out->ports_known = true;
}

static enum packet_status decode_tcp(struct packet *out, const struct rest *rest)
{
	if (rest->len < TCP_HEADER_BYTES)
		return PACKET_OK;
	if ((rest->at[12] >> 4) * 4 < TCP_HEADER_BYTES)
		return PACKET_MALFORMED;
	read_ports(out, rest);
	out->tcp_seq = read_be32(rest->at + 4);
	out->tcp_flags = rest->at[13];
	return PACKET_OK;
}

/* Messages that are asked and answered have an identifier where others have something else. */
static bool icmp_has_id(uint8_t protocol, uint8_t type)
{
	if (protocol == IPPROTO_ICMPV6)
		return type == ICMPV6_ECHO_REQUEST || type == ICMPV6_ECHO_REPLY;
	return type == ICMP_ECHO || type == ICMP_ECHOREPLY ||
	       (type >= ICMP_TIMESTAMP && type <= ICMP_ADDRESSREPLY);
}

static void decode_icmp(struct packet *out, const struct rest *rest)
{
	if (rest->len < ICMP_HEADER_BYTES)
		return;
	memcpy(&out->tuple.dport, rest->at, sizeof(out->tuple.dport));
	if (icmp_has_id(out->tuple.protocol, rest->at[0]))
		memcpy(&out->tuple.sport, rest->at + 4, sizeof(out->tuple.sport));
	out->ports_known = true;
}

static enum packet_status decode_transport(struct packet *out, const struct rest *rest)
{
	switch (out->tuple.protocol) {
	case IPPROTO_TCP:
		return decode_tcp(out, rest);
	case IPPROTO_UDP:
		if (rest->len >= UDP_HEADER_BYTES)
			read_ports(out, rest);
		break;
	case IPPROTO_SCTP:
		if (rest->len >= SCTP_HEADER_BYTES)
			read_ports(out, rest);
		break;
	case IPPROTO_ICMP:
		if (out->tuple.family == AF_INET)
			decode_icmp(out, rest);
		break;
	case IPPROTO_ICMPV6:
		if (out->tuple.family == AF_INET6)
			decode_icmp(out, rest);
		break;
	}
	return PACKET_OK;
}

static enum packet_status decode_ip4(struct packet *out, struct rest rest)
{
	const uint8_t *ip = rest.at;
	size_t header_bytes;

	if (rest.len < IP4_HEADER_BYTES)
		return PACKET_TRUNCATED;
	header_bytes = (ip[0] & 0x0f) * 4u;
	out->length_bytes = read_be16(ip + 2);
	/* A length of 0 is a segment over 64 KiB that the network card will cut (Linux 6.3+). */
	if (header_bytes < IP4_HEADER_BYTES ||
	    (out->length_bytes && out->length_bytes < header_bytes))
		return PACKET_MALFORMED;
	tuple_set_addresses(&out->tuple, AF_INET, ip + 12, ip + 16);
	out->tuple.protocol = ip[9];
	if (out->length_bytes && out->length_bytes < rest.len)
		rest.len = out->length_bytes;
	if (!advance(&rest, header_bytes))
		return PACKET_TRUNCATED;
	if (read_be16(ip + 6) & IP4_FRAGMENT_OFFSET)
		return PACKET_OK;
	return decode_transport(out, &rest);
}

/* Length of an extension header of which 8 bytes are there; 0 for anything that is not one. */
static size_t extension_bytes(uint8_t type, const uint8_t *at)
{
	switch (type) {
	case IPPROTO_HOPOPTS:
	case IPPROTO_ROUTING:
	case IPPROTO_DSTOPTS:
	case IPPROTO_MH:
	case 139:	/* Host Identity Protocol, RFC 7401 */
	case 140:	/* Shim6, RFC 5533 */
		return (at[1] + 1u) * 8;
	case IPPROTO_AH:
		return (at[1] + 2u) * 4;
	case IPPROTO_FRAGMENT:
		return 8;
	default:
		return 0;
	}
}

static bool is_extension(uint8_t type)
{
	static const uint8_t none[8];

	return extension_bytes(type, none) > 0;
}

/* Passes over the extension headers and sets the protocol. `cut` says that the capture, not the
 * packet, ends where rest does. *later_fragment: the transport header is in another packet. */
static enum packet_status skip_extensions(struct packet *out, struct rest *rest, uint8_t next,
					  bool cut, bool *later_fragment)
{
	enum packet_status too_short = cut ? PACKET_TRUNCATED : PACKET_MALFORMED;
	unsigned int i;

	for (i = 0; is_extension(next); i++) {
		const uint8_t *at = rest->at;
		uint8_t type = next;

		if (i == EXTENSION_HEADERS_MAX || (type == IPPROTO_HOPOPTS && i > 0))
			return PACKET_MALFORMED;
		if (rest->len < 8 || !advance(rest, extension_bytes(type, at)))
			return too_short;
		next = at[0];
		if (type == IPPROTO_FRAGMENT && read_be16(at + 2) & IP6_FRAGMENT_OFFSET) {
			*later_fragment = true;
			break;
		}
	}
	out->tuple.protocol = next;
	return PACKET_OK;
}

static enum packet_status decode_ip6(struct packet *out, struct rest rest)
{
	const uint8_t *ip = rest.at;
	enum packet_status status;
	bool later_fragment = false, cut = true;

	if (rest.len < IP6_HEADER_BYTES)
		return PACKET_TRUNCATED;
	out->length_bytes = IP6_HEADER_BYTES + read_be16(ip + 4);
	tuple_set_addresses(&out->tuple, AF_INET6, ip + 8, ip + 24);
	if (out->tuple.family != AF_INET6)	/* mapped addresses never leave a host */
		return PACKET_MALFORMED;
	/* A jumbogram says 0 and has its length in a hop-by-hop option. */
	if ((read_be16(ip + 4) || ip[6] != IPPROTO_HOPOPTS) && out->length_bytes <= rest.len) {
		rest.len = out->length_bytes;
		cut = false;
	}
	advance(&rest, IP6_HEADER_BYTES);
	status = skip_extensions(out, &rest, ip[6], cut, &later_fragment);
	if (status != PACKET_OK || later_fragment)
		return status;
	return decode_transport(out, &rest);
}

enum packet_status packet_decode(struct packet *out, const void *data, size_t len)
{
	struct rest rest = { data, len };

	memset(out, 0, sizeof(*out));
	if (len == 0)
		return PACKET_TRUNCATED;
	switch (rest.at[0] >> 4) {
	case 4:
		return decode_ip4(out, rest);
	case 6:
		return decode_ip6(out, rest);
	default:
		return PACKET_MALFORMED;
	}
}
