// SPDX-License-Identifier: GPL-2.0-or-later
#include "nflog_batch.h"
#include "attr.h"
#include "ct_message.h"
#include "nl.h"

#include <errno.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_log.h>
#include <string.h>

static void parse_conntrack(struct nflog_packet *out, const struct nlattr *nest)
{
	const struct nlattr *tb[CTA_MAX + 1];
	uint32_t status;

	if (attr_table_of_nest(tb, CTA_MAX, nest) || !attr_be32(tb[CTA_ID], &out->ct_id))
		return;
	out->ct_zone = ct_message_zone(tb);
	out->has_ct = true;
	out->ct_unconfirmed = attr_be32(tb[CTA_STATUS], &status) && !(status & IPS_CONFIRMED);
}

int nflog_message_parse(struct nflog_packet *out, uint32_t *sequence, bool *has_sequence,
			const struct nlmsghdr *nlh)
{
	const struct nlattr *tb[NFULA_MAX + 1];
	const struct nfulnl_msg_packet_hdr *hdr;
	const char *prefix;

	memset(out, 0, sizeof(*out));
	*has_sequence = false;
	if (attr_table_of_message(tb, NFULA_MAX, nlh, sizeof(struct nfgenmsg)))
		return -EBADMSG;
	*has_sequence = attr_be32(tb[NFULA_SEQ], sequence);
	if (!tb[NFULA_PAYLOAD] || !tb[NFULA_PACKET_HDR] ||
	    mnl_attr_get_payload_len(tb[NFULA_PACKET_HDR]) < sizeof(*hdr))
		return -EBADMSG;

	hdr = mnl_attr_get_payload(tb[NFULA_PACKET_HDR]);
	out->hook = hdr->hook;
	prefix = attr_text(tb[NFULA_PREFIX]);
	out->prefix = prefix ? prefix : "";
	attr_be32(tb[NFULA_IFINDEX_INDEV], &out->ifindex_in);
	attr_be32(tb[NFULA_IFINDEX_OUTDEV], &out->ifindex_out);
	attr_be32(tb[NFULA_MARK], &out->mark);
	out->has_uid = attr_be32(tb[NFULA_UID], &out->uid);
	out->has_gid = attr_be32(tb[NFULA_GID], &out->gid);
	parse_conntrack(out, tb[NFULA_CT]);
	out->payload = mnl_attr_get_payload(tb[NFULA_PAYLOAD]);
	out->payload_len = mnl_attr_get_payload_len(tb[NFULA_PAYLOAD]);
	out->status = packet_decode(&out->packet, out->payload, out->payload_len);
	return 0;
}

/* The numbers have 32 bits and wrap. A step backwards is no loss: the group was bound anew. */
static void count_sequence(struct nflog_count *count, uint32_t sequence)
{
	uint32_t gap = sequence - count->next_sequence;

	if (count->sequence_known && gap <= INT32_MAX)
		count->stats.sequence_gap += gap;
	count->next_sequence = sequence + 1;
	count->sequence_known = true;
}

/* Every message has a number; one that cannot be read has taken the next, or it would be counted as
 * a gap once more. */
static void count_unnumbered(struct nflog_count *count)
{
	count->next_sequence++;
}

unsigned int nflog_batch(struct nflog_count *count, const void *batch, size_t len,
			 nflog_handler *handler, void *data)
{
	const struct nlmsghdr *nlh;
	const uint8_t *at = batch;
	struct nflog_packet packet;
	unsigned int handed_on = 0;
	uint32_t sequence = 0;
	bool has_sequence;
	int err;

	while ((nlh = nl_take(&at, &len))) {
		if (nlh->nlmsg_type != (NFNL_SUBSYS_ULOG << 8 | NFULNL_MSG_PACKET))
			continue;
		count->stats.received++;
		err = nflog_message_parse(&packet, &sequence, &has_sequence, nlh);
		if (has_sequence)
			count_sequence(count, sequence);
		else
			count_unnumbered(count);
		if (err) {
			count->stats.invalid++;
			continue;
		}
		handler(&packet, data);
		handed_on++;
	}
	if (len > 0) {
		count->stats.received++;
		count->stats.invalid++;
		count_unnumbered(count);
	}
	return handed_on;
}
