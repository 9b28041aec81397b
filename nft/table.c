// SPDX-License-Identifier: GPL-2.0-or-later
#include "table.h"
#include "filter_chain.h"
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
	/* Without memory for one of them libnftnl 1.2 reads past NULL. */
	if (!nftnl_obj_get_str(obj, NFTNL_OBJ_TABLE) || !nftnl_obj_get_str(obj, NFTNL_OBJ_NAME))
		goto out;
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

/* hook NULL: one that is only jumped to. */
static int put_chain(struct batch *batch, const char *name, const struct hook *hook)
{
	struct nlmsghdr *nlh = batch_message(batch, NFT_MSG_NEWCHAIN, NFPROTO_INET,
					     NLM_F_CREATE | NLM_F_EXCL);
	struct nftnl_chain *chain = nftnl_chain_alloc();
	int err = -ENOMEM;

	if (!nlh || !chain)
		goto out;
	nftnl_chain_set_str(chain, NFTNL_CHAIN_TABLE, RULESET_TABLE);
	nftnl_chain_set_str(chain, NFTNL_CHAIN_NAME, name);
	if (hook) {
		nftnl_chain_set_str(chain, NFTNL_CHAIN_TYPE, "filter");
		nftnl_chain_set_u32(chain, NFTNL_CHAIN_HOOKNUM, hook->number);
		nftnl_chain_set_s32(chain, NFTNL_CHAIN_PRIO, HOOK_PRIORITY);
		nftnl_chain_set_u32(chain, NFTNL_CHAIN_POLICY, NF_ACCEPT);
	}
	nftnl_chain_nlmsg_build_payload(nlh, chain);
	batch_message_end(batch, nlh);
	err = 0;
out:
	if (chain)
		nftnl_chain_free(chain);
	return err;
}

/* Takes the rule over; NULL is none. */
static int put_rule(struct batch *batch, struct nftnl_rule *rule)
{
	struct nlmsghdr *nlh = batch_message(batch, NFT_MSG_NEWRULE, NFPROTO_INET,
					     NLM_F_CREATE | NLM_F_APPEND);

	if (nlh && rule) {
		nftnl_rule_nlmsg_build_payload(nlh, rule);
		batch_message_end(batch, nlh);
	}
	if (rule)
		nftnl_rule_free(rule);
	return nlh && rule ? 0 : -ENOMEM;
}

int table_put_delete(struct batch *batch)
{
	return put_table(batch, NFT_MSG_DELTABLE, 0, 0);
}

int table_put_in_vain(struct batch *batch, bool exists)
{
	int err = exists ? table_put_delete(batch) : 0;

	if (!err)
		err = put_table(batch, NFT_MSG_NEWTABLE, NLM_F_CREATE | NLM_F_EXCL,
				TABLE_FLAG_OWNER);
	for (int i = 0; i < 2 && !err; i++)
		err = table_put_delete(batch);
	return err;
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

int table_put_rules(struct batch *batch, const struct ruleset_config *config,
		    const struct filter *filter)
{
	struct filter_rule filter_list[FILTER_RULES_MAX];
	unsigned int filter_count = filter ? filter_rules(filter, filter_list) : 0;
	struct rule rules[RULES_MAX];
	unsigned int count = rule_list(config, filter_count, rules);
	int err = 0;

	for (unsigned int i = 0; i < filter_count && !err; i++)
		err = put_rule(batch, filter_rule_build(&filter_list[i]));
	for (unsigned int i = 0; i < count && !err; i++)
		err = put_rule(batch, rule_build(config, &rules[i]));
	return err;
}

int table_put(struct batch *batch, const struct ruleset_config *config,
	      const struct filter *filter, bool owned)
{
	int err = put_table(batch, NFT_MSG_NEWTABLE, NLM_F_CREATE | NLM_F_EXCL,
			    owned ? TABLE_FLAG_OWNER : 0);

	if (!err)
		err = put_counter(batch, RULE_COUNTER_MATCHED);
	if (!err)
		err = put_counter(batch, RULE_COUNTER_LIMITED);
	if (!err && filter)
		err = put_counter(batch, RULE_COUNTER_FILTERED);
	if (!err && filter)
		err = put_chain(batch, FILTER_CHAIN, NULL);
	for (size_t h = 0; h < HOOK_COUNT && !err; h++)
		if (config->hooks & hooks[h].flag)
			err = put_chain(batch, hooks[h].name, &hooks[h]);
	return err ? err : table_put_rules(batch, config, filter);
}
