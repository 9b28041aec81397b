// SPDX-License-Identifier: GPL-2.0-or-later
#include "counter.h"
#include "ruleset.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>

#include <libnftnl/object.h>

struct answer {
	uint64_t packets;
	uint32_t use;		/* rules that count with it */
};

static int read_answer(const struct nlmsghdr *nlh, void *data)
{
	struct answer *answer = data;
	struct nftnl_obj *obj = nftnl_obj_alloc();
	int err = 0;

	if (!obj)
		return -ENOMEM;
	if (nftnl_obj_nlmsg_parse(nlh, obj) < 0) {
		err = -EBADMSG;
	} else {
		answer->packets = nftnl_obj_get_u64(obj, NFTNL_OBJ_CTR_PKTS);
		answer->use = nftnl_obj_get_u32(obj, NFTNL_OBJ_USE);
	}
	nftnl_obj_free(obj);
	return err;
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

uint64_t counter_packets(const struct counter *counter)
{
	return counter->before + counter->seen;
}
