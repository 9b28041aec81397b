// SPDX-License-Identifier: GPL-2.0-or-later
#include "table.h"
#include "rule.h"

#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>

#include <libnftnl/chain.h>
#include <libnftnl/object.h>
#include <libnftnl/rule.h>
#include <libnftnl/table.h>
#include <libnftnl/udata.h>

static int set_comment(struct nftnl_table *table)
{
	struct nftnl_udata_buf *udata = nftnl_udata_buf_alloc(256);

	if (!udata)
		return -ENOMEM;
	nftnl_udata_put_strz(udata, NFTNL_UDATA_TABLE_COMMENT, RULE_TABLE_COMMENT);
	nftnl_table_set_data(table, NFTNL_TABLE_USERDATA, nftnl_udata_buf_data(udata),
			     nftnl_udata_buf_len(udata));
	nftnl_udata_buf_free(udata);
	return 0;
}

static int put_table(struct batch *batch, uint16_t type, uint16_t nl_flags, uint32_t table_flags)
{
	struct nlmsghdr *nlh = batch_message(batch, type, NFPROTO_INET, nl_flags);
	struct nftnl_table *table = nftnl_table_alloc();
	int err = -ENOMEM;

	if (!nlh || !table)
		goto out;
	nftnl_table_set_str(table, NFTNL_TABLE_NAME, RULESET_TABLE);
	err = 0;
	if (type == NFT_MSG_NEWTABLE) {
		nftnl_table_set_u32(table, NFTNL_TABLE_FLAGS, table_flags);
		err = set_comment(table);
	}
	if (err)
		goto out;
	nftnl_table_nlmsg_build_payload(nlh, table);
	batch_message_end(batch, nlh);
out:
	if (table)
		nftnl_table_free(table);
	return err;
}

static int put_counter(struct batch *batch, const char *name)
{
	struct nlmsghdr *nlh = batch_message(batch, NFT_MSG_NEWOBJ, NFPROTO_INET,
					     NLM_F_CREATE | NLM_F_EXCL);
	struct nftnl_obj *obj = nftnl_obj_alloc();
	int err = -ENOMEM;

	if (!nlh || !obj)
		goto out;
	nftnl_obj_set_str(obj, NFTNL_OBJ_TABLE, RULESET_TABLE);
	nftnl_obj_set_str(obj, NFTNL_OBJ_NAME, name);
	nftnl_obj_set_u32(obj, NFTNL_OBJ_TYPE, NFT_OBJECT_COUNTER);
	nftnl_obj_set_u64(obj, NFTNL_OBJ_CTR_PKTS, 0);
	nftnl_obj_set_u64(obj, NFTNL_OBJ_CTR_BYTES, 0);
	nftnl_obj_nlmsg_build_payload(nlh, obj);
	batch_message_end(batch, nlh);
	err = 0;
out:
	if (obj)
		nftnl_obj_free(obj);
	return err;
}

static int put_chain(struct batch *batch, const struct hook *hook)
{
	struct nlmsghdr *nlh = batch_message(batch, NFT_MSG_NEWCHAIN, NFPROTO_INET,
					     NLM_F_CREATE | NLM_F_EXCL);
	struct nftnl_chain *chain = nftnl_chain_alloc();
	int err = -ENOMEM;

	if (!nlh || !chain)
		goto out;
	nftnl_chain_set_str(chain, NFTNL_CHAIN_TABLE, RULESET_TABLE);
	nftnl_chain_set_str(chain, NFTNL_CHAIN_NAME, hook->name);
	nftnl_chain_set_str(chain, NFTNL_CHAIN_TYPE, "filter");
	nftnl_chain_set_u32(chain, NFTNL_CHAIN_HOOKNUM, hook->number);
	nftnl_chain_set_s32(chain, NFTNL_CHAIN_PRIO, HOOK_PRIORITY);
	nftnl_chain_set_u32(chain, NFTNL_CHAIN_POLICY, NF_ACCEPT);
	nftnl_chain_nlmsg_build_payload(nlh, chain);
	batch_message_end(batch, nlh);
	err = 0;
out:
	if (chain)
		nftnl_chain_free(chain);
	return err;
}

static int put_rule(struct batch *batch, const struct ruleset_config *config,
		    const struct rule *rule)
{
	struct nlmsghdr *nlh = batch_message(batch, NFT_MSG_NEWRULE, NFPROTO_INET,
					     NLM_F_CREATE | NLM_F_APPEND);
	struct nftnl_rule *built = rule_build(config, rule);

	if (!nlh || !built) {
		if (built)
			nftnl_rule_free(built);
		return -ENOMEM;
	}
	nftnl_rule_nlmsg_build_payload(nlh, built);
	batch_message_end(batch, nlh);
	nftnl_rule_free(built);
	return 0;
}

int table_put_delete(struct batch *batch)
{
	return put_table(batch, NFT_MSG_DELTABLE, 0, 0);
}

/* DELRULE that names neither chain nor handle: all rules of the table. */
int table_put_flush(struct batch *batch)
{
	struct nlmsghdr *nlh = batch_message(batch, NFT_MSG_DELRULE, NFPROTO_INET, 0);

	if (!nlh)
		return -ENOMEM;
	mnl_attr_put_strz(nlh, NFTA_RULE_TABLE, RULESET_TABLE);
	batch_message_end(batch, nlh);
	return 0;
}

int table_put(struct batch *batch, const struct ruleset_config *config, bool owned)
{
	struct rule rules[RULES_MAX];
	unsigned int count = rule_list(config, rules);
	int err = put_table(batch, NFT_MSG_NEWTABLE, NLM_F_CREATE | NLM_F_EXCL,
			    owned ? TABLE_FLAG_OWNER : 0);

	if (!err)
		err = put_counter(batch, RULE_COUNTER_MATCHED);
	if (!err)
		err = put_counter(batch, RULE_COUNTER_LIMITED);
	for (size_t h = 0; h < HOOK_COUNT && !err; h++)
		if (config->hooks & hooks[h].flag)
			err = put_chain(batch, &hooks[h]);
	for (unsigned int i = 0; i < count && !err; i++)
		err = put_rule(batch, config, &rules[i]);
	return err;
}
