// SPDX-License-Identifier: GPL-2.0-or-later
#include "batch.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <stdbool.h>
#include <stdlib.h>

#include <libnftnl/common.h>

/* The largest ruleset there is (five hooks, all protocols, a limit, a filter of as many terms as
 * there can be) fits; more than a socket's send buffer (208 KiB) would not go out. */
#define BATCH_BYTES (192 * 1024)

static int read_generation(const struct nlmsghdr *nlh, void *data)
{
	const struct nlattr *attr;
	uint32_t *generation = data;

	mnl_attr_for_each(attr, nlh, sizeof(struct nfgenmsg))
		if (mnl_attr_get_type(attr) == NFTA_GEN_ID &&
		    mnl_attr_validate(attr, MNL_TYPE_U32) >= 0)
			*generation = ntohl(mnl_attr_get_u32(attr));
	return 0;
}

int batch_generation(struct nl *nl, uint32_t *generation)
{
	_Alignas(struct nlmsghdr) char buf[256];
	struct nlmsghdr *nlh = nftnl_nlmsg_build_hdr(buf, NFT_MSG_GETGEN, AF_UNSPEC, 0, 0);
	int err;

	*generation = 0;
	err = nl_request(nl, nlh, read_generation, generation);
	/* nfnetlink says EINVAL for a subsystem that is neither loaded nor loadable. */
	return err == -EINVAL ? -EPROTONOSUPPORT : err;
}

int batch_init(struct batch *batch, struct nl *nl, uint32_t generation)
{
	struct nlmsghdr *nlh;

	*batch = (struct batch){ .nl = nl, .buf = calloc(1, BATCH_BYTES) };
	if (!batch->buf)
		return -ENOMEM;
	batch->first_seq = ++nl->seq;
	nlh = nftnl_batch_begin(batch->buf, batch->first_seq);
	mnl_attr_put_u32(nlh, NFNL_BATCH_GENID, htonl(generation));
	batch->used = nlh->nlmsg_len;
	return 0;
}

void batch_fini(struct batch *batch)
{
	free(batch->buf);
	batch->buf = NULL;
}

struct nlmsghdr *batch_message(struct batch *batch, uint16_t type, uint8_t family, uint16_t flags)
{
	/* The end message needs room, too. */
	if (BATCH_BYTES - batch->used < 2 * BATCH_MESSAGE_BYTES)
		return NULL;
	return nftnl_nlmsg_build_hdr(batch->buf + batch->used, type, family, flags | NLM_F_ACK,
				     ++batch->nl->seq);
}

void batch_message_end(struct batch *batch, const struct nlmsghdr *nlh)
{
	batch->used += MNL_ALIGN(nlh->nlmsg_len);
}

/* NFT_MSG_* of the message that was sent with this sequence number. */
static uint16_t type_of(const struct batch *batch, uint32_t seq)
{
	const uint8_t *at = (const uint8_t *)batch->buf;
	size_t left = batch->used;
	const struct nlmsghdr *nlh;

	while ((nlh = nl_take(&at, &left)))
		if (nlh->nlmsg_seq == seq && seq != batch->first_seq)
			return nlh->nlmsg_type & 0xff;
	return 0;
}

/* Every message asks for an acknowledgement; an error that answers the first one is about the
 * batch as a whole, and may be the only answer. */
static int read_answers(struct batch *batch, uint32_t last_seq)
{
	uint32_t awaited = last_seq - batch->first_seq;
	int err = 0;

	while (awaited > 0) {
		ssize_t got = nl_receive(batch->nl);
		const uint8_t *at = batch->nl->buf;
		const struct nlmsghdr *nlh;
		size_t left = (size_t)got;

		if (got == 0)
			return err ? err : -EPROTO;
		if (got < 0)
			return (int)got;
		while ((nlh = nl_take(&at, &left))) {
			if (nlh->nlmsg_seq - batch->first_seq > last_seq - batch->first_seq ||
			    nlh->nlmsg_type != NLMSG_ERROR)
				continue;
			if (err == 0) {
				err = nl_error(nlh);
				batch->failed_type = err ? type_of(batch, nlh->nlmsg_seq) : 0;
			}
			if (nlh->nlmsg_seq != batch->first_seq)
				awaited--;
		}
	}
	return err;
}

int batch_send(struct batch *batch)
{
	uint32_t last_seq = batch->nl->seq;
	struct nlmsghdr *end = nftnl_batch_end(batch->buf + batch->used, ++batch->nl->seq);

	int err;

	batch->used += end->nlmsg_len;
	err = nl_send(batch->nl, batch->buf, batch->used);
	return err ? err : read_answers(batch, last_seq);
}
