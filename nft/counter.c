// SPDX-License-Identifier: GPL-2.0-or-later
#include "counter.h"
#include "attr.h"
#include "ruleset.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#include <libnftnl/common.h>

struct answer {
	uint64_t packets;
	uint32_t use;		/* rules that count with it */
};

static int read_answer(const struct nlmsghdr *nlh, void *data)
{
	const struct nlattr *tb[NFTA_OBJ_MAX + 1], *values[NFTA_COUNTER_MAX + 1];
	struct answer *answer = data;

	if (attr_table_of_message(tb, NFTA_OBJ_MAX, nlh, sizeof(struct nfgenmsg)) ||
	    attr_table_of_nest(values, NFTA_COUNTER_MAX, tb[NFTA_OBJ_DATA]) ||
	    !attr_be64(values[NFTA_COUNTER_PACKETS], &answer->packets) ||
	    !attr_be32(tb[NFTA_OBJ_USE], &answer->use))
		return -EBADMSG;
	return 0;
}

int counter_read(struct counter *counter, struct nl *nl, const char *name, uint32_t rules)
{
	_Alignas(struct nlmsghdr) char buf[256];
	struct nlmsghdr *nlh = nftnl_nlmsg_build_hdr(buf, NFT_MSG_GETOBJ, NFPROTO_INET, 0, 0);
	struct answer answer = { 0 };
	int err;

	mnl_attr_put_strz(nlh, NFTA_OBJ_TABLE, RULESET_TABLE);
	mnl_attr_put_strz(nlh, NFTA_OBJ_NAME, name);
	mnl_attr_put_u32(nlh, NFTA_OBJ_TYPE, htonl(NFT_OBJECT_COUNTER));
	err = nl_request(nl, nlh, read_answer, &answer);
	if (err)
		return err;
	if (answer.packets < counter->seen)
		counter_begin_again(counter);
	counter->seen = answer.packets;
	return answer.use < rules ? -ENOENT : 0;
}

void counter_begin_again(struct counter *counter)
{
	counter->before += counter->seen;
	counter->seen = 0;
}

void counter_follow(struct counter *counter, struct nl *nl, const char *name)
{
	counter_begin_again(counter);
	if (counter_read(counter, nl, name, 0) == 0)
		counter->before -= counter->seen;
}

uint64_t counter_packets(const struct counter *counter)
{
	return counter->before + counter->seen;
}
