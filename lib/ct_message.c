// SPDX-License-Identifier: GPL-2.0-or-later
#include "ct_message.h"
#include "attr.h"

#include <endian.h>
#include <errno.h>
#include <linux/netfilter/nfnetlink.h>
#include <string.h>
#include <sys/socket.h>

/*
 * By attribute, not by nfct_nlmsg_parse(): an nf_conntrack object cannot be cleared, so that what
 * one message set would show in the next, and what it allocates (labels, security context, helper)
 * would be lost when it is parsed into again; a new one per message is an allocation per message.
 */

static bool addresses(struct tuple *t, const struct nlattr *src, const struct nlattr *dst,
		      uint8_t family)
{
	size_t size = family == AF_INET ? sizeof(t->src.ip4) : sizeof(t->src.ip6);

	if (!src || !dst || mnl_attr_get_payload_len(src) != size ||
	    mnl_attr_get_payload_len(dst) != size)
		return false;
	tuple_set_addresses(t, family, mnl_attr_get_payload(src), mnl_attr_get_payload(dst));
	return t->family == family;
}

static bool icmp(struct tuple *t, const struct nlattr *id, const struct nlattr *type,
		 const struct nlattr *code)
{
	uint16_t number;
	uint8_t t8, c8;

	if (!attr_be16(id, &number) || !attr_u8(type, &t8) || !attr_u8(code, &c8))
		return false;
	t->sport = htobe16(number);
	t->dport = htobe16((uint16_t)(t8 << 8 | c8));
	return true;
}

/* Protocols that conntrack knows nothing of have neither ports nor anything in their place. */
static bool protocol(struct tuple *t, const struct nlattr *const *tb)
{
	uint16_t sport, dport;

	if (!attr_u8(tb[CTA_PROTO_NUM], &t->protocol))
		return false;
	if (t->protocol == IPPROTO_ICMP)
		return icmp(t, tb[CTA_PROTO_ICMP_ID], tb[CTA_PROTO_ICMP_TYPE],
			    tb[CTA_PROTO_ICMP_CODE]);
	if (t->protocol == IPPROTO_ICMPV6)
		return icmp(t, tb[CTA_PROTO_ICMPV6_ID], tb[CTA_PROTO_ICMPV6_TYPE],
			    tb[CTA_PROTO_ICMPV6_CODE]);
	if (attr_be16(tb[CTA_PROTO_SRC_PORT], &sport) &&
	    attr_be16(tb[CTA_PROTO_DST_PORT], &dport)) {
		t->sport = htobe16(sport);
		t->dport = htobe16(dport);
		return true;
	}
	return t->protocol != IPPROTO_TCP && t->protocol != IPPROTO_UDP &&
	       t->protocol != IPPROTO_SCTP;
}

static bool read_tuple(struct tuple *t, const struct nlattr *nest)
{
	const struct nlattr *tb[CTA_TUPLE_MAX + 1];
	const struct nlattr *ip[CTA_IP_MAX + 1];
	const struct nlattr *proto[CTA_PROTO_MAX + 1];

	if (attr_table_of_nest(tb, CTA_TUPLE_MAX, nest) ||
	    attr_table_of_nest(ip, CTA_IP_MAX, tb[CTA_TUPLE_IP]) ||
	    attr_table_of_nest(proto, CTA_PROTO_MAX, tb[CTA_TUPLE_PROTO]))
		return false;
	if (!addresses(t, ip[CTA_IP_V4_SRC], ip[CTA_IP_V4_DST], AF_INET) &&
	    !addresses(t, ip[CTA_IP_V6_SRC], ip[CTA_IP_V6_DST], AF_INET6))
		return false;
	return protocol(t, proto);
}

static bool direction(const struct nlattr *nest, uint64_t *packets, uint64_t *bytes)
{
	const struct nlattr *tb[CTA_COUNTERS_MAX + 1];

	return !attr_table_of_nest(tb, CTA_COUNTERS_MAX, nest) &&
	       attr_be64(tb[CTA_COUNTERS_PACKETS], packets) &&
	       attr_be64(tb[CTA_COUNTERS_BYTES], bytes);
}

/* Both directions or nothing. */
static void counters(struct ct_entry *e, const struct nlattr *original,
		     const struct nlattr *reply)
{
	uint64_t packets[2], bytes[2];

	if (!direction(original, &packets[0], &bytes[0]) ||
	    !direction(reply, &packets[1], &bytes[1]))
		return;
	memcpy(e->packets, packets, sizeof(packets));
	memcpy(e->bytes, bytes, sizeof(bytes));
	e->has_counters = true;
}

static void timestamps(struct ct_entry *e, const struct nlattr *nest)
{
	const struct nlattr *tb[CTA_TIMESTAMP_MAX + 1];

	if (attr_table_of_nest(tb, CTA_TIMESTAMP_MAX, nest) ||
	    !attr_be64(tb[CTA_TIMESTAMP_START], &e->start_real_ns))
		return;
	attr_be64(tb[CTA_TIMESTAMP_STOP], &e->stop_real_ns);
	e->has_timestamps = true;
}

static bool tcp_state(const struct nlattr *nest, uint8_t *state)
{
	const struct nlattr *info[CTA_PROTOINFO_MAX + 1];
	const struct nlattr *tcp[CTA_PROTOINFO_TCP_MAX + 1];

	return !attr_table_of_nest(info, CTA_PROTOINFO_MAX, nest) &&
	       !attr_table_of_nest(tcp, CTA_PROTOINFO_TCP_MAX, info[CTA_PROTOINFO_TCP]) &&
	       attr_u8(tcp[CTA_PROTOINFO_TCP_STATE], state);
}

uint16_t ct_message_zone(const struct nlattr *const *tb)
{
	const struct nlattr *tuple[CTA_TUPLE_MAX + 1];
	uint16_t zone = 0;

	if (!attr_be16(tb[CTA_ZONE], &zone) &&
	    !attr_table_of_nest(tuple, CTA_TUPLE_MAX, tb[CTA_TUPLE_ORIG]))
		attr_be16(tuple[CTA_TUPLE_ZONE], &zone);
	return zone;
}

static enum ct_kind kind_of(const struct nlmsghdr *nlh)
{
	if (nlh->nlmsg_flags & NLM_F_MULTI)
		return CT_DUMPED;
	return NFNL_MSG_TYPE(nlh->nlmsg_type) == IPCTNL_MSG_CT_DELETE ? CT_DESTROY : CT_NEW;
}

int ct_message_parse(struct ct_entry *entry, const struct nlmsghdr *nlh)
{
	const struct nlattr *tb[CTA_MAX + 1];

	memset(entry, 0, sizeof(*entry));
	entry->kind = kind_of(nlh);
	if (attr_table_of_message(tb, CTA_MAX, nlh, sizeof(struct nfgenmsg)) ||
	    !read_tuple(&entry->original, tb[CTA_TUPLE_ORIG]) ||
	    !read_tuple(&entry->reply, tb[CTA_TUPLE_REPLY]))
		return -EBADMSG;

	attr_be32(tb[CTA_ID], &entry->id);
	attr_be32(tb[CTA_STATUS], &entry->status);
	attr_be32(tb[CTA_MARK], &entry->mark);
	entry->zone = ct_message_zone(tb);
	counters(entry, tb[CTA_COUNTERS_ORIG], tb[CTA_COUNTERS_REPLY]);
	timestamps(entry, tb[CTA_TIMESTAMP]);
	entry->has_tcp_state = tcp_state(tb[CTA_PROTOINFO], &entry->tcp_state);
	entry->has_timeout = attr_be32(tb[CTA_TIMEOUT], &entry->timeout_s);
	return 0;
}
