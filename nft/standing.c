// SPDX-License-Identifier: GPL-2.0-or-later
#include "standing.h"
#include "attr.h"
#include "expr.h"
#include "rule.h"
#include "table.h"

#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <string.h>

#include <libnftnl/rule.h>
#include <libnftnl/udata.h>

/* What the kernel answers is read here and not by libnftnl, which ends the process over an
 * attribute whose length it does not expect (abi_breakage), and before 1.2.0 knows no owner. */
#define TABLE_OWNER 7		/* NFTA_TABLE_OWNER, Linux 5.12 */
#define DUMP_TRIES 8
#define OBJECT_COUNT 2		/* the two counters of a table without a filter */

/* The comment's type is 0 in a table's and in a rule's user data alike. */
static bool is_our_comment(const void *userdata, uint32_t len)
{
	const uint8_t *attr = userdata;
	const size_t mark_len = strlen(RULE_MARK);

	/* One byte type, one byte length, value. */
	while (len >= 2 && attr[1] <= len - 2) {
		if (attr[0] == NFTNL_UDATA_RULE_COMMENT)
			return attr[1] > mark_len && memcmp(attr + 2, RULE_MARK, mark_len) == 0;
		len -= 2 + attr[1];
		attr += 2 + attr[1];
	}
	return false;
}

struct reading {
	struct standing *out;
	const struct ruleset_config *config;
	const struct rule *rules;
	unsigned int rule_count;
	unsigned int seen[HOOK_COUNT];	/* rules of each chain so far */
	bool has_userdata, differs;
};

static bool is_marked(const struct nlattr *userdata)
{
	return userdata && is_our_comment(mnl_attr_get_payload(userdata),
					  mnl_attr_get_payload_len(userdata));
}

static int read_table(const struct nlmsghdr *nlh, void *data)
{
	const struct nlattr *tb[TABLE_OWNER + 1];
	struct reading *reading = data;
	struct standing *out = reading->out;

	if (attr_table_of_message(tb, TABLE_OWNER, nlh, sizeof(struct nfgenmsg)) ||
	    !attr_be32(tb[NFTA_TABLE_FLAGS], &out->flags) ||
	    !attr_be32(tb[NFTA_TABLE_USE], &out->use))
		return -EBADMSG;
	out->exists = true;
	attr_be64(tb[NFTA_TABLE_HANDLE], &out->handle);
	attr_be32(tb[TABLE_OWNER], &out->owner_portid);
	reading->has_userdata = tb[NFTA_TABLE_USERDATA] != NULL;
	out->marked = is_marked(tb[NFTA_TABLE_USERDATA]);
	return 0;
}

static int ask_table(struct nl *nl, struct reading *reading)
{
	_Alignas(struct nlmsghdr) char buf[256];
	struct nlmsghdr *nlh = nftnl_nlmsg_build_hdr(buf, NFT_MSG_GETTABLE, NFPROTO_INET, 0, 0);
	int err;

	mnl_attr_put_strz(nlh, NFTA_TABLE_NAME, RULESET_TABLE);
	err = nl_request(nl, nlh, read_table, reading);
	return err == -ENOENT ? 0 : err;
}

struct chain_question {
	const struct hook *hook;
	bool fits;
};

static int read_chain(const struct nlmsghdr *nlh, void *data)
{
	const struct nlattr *tb[NFTA_CHAIN_MAX + 1], *hook[NFTA_HOOK_MAX + 1];
	struct chain_question *question = data;
	uint32_t number, priority, policy;
	const char *type;

	if (attr_table_of_message(tb, NFTA_CHAIN_MAX, nlh, sizeof(struct nfgenmsg)))
		return -EBADMSG;
	type = attr_text(tb[NFTA_CHAIN_TYPE]);
	question->fits = type && strcmp(type, "filter") == 0 &&
		attr_table_of_nest(hook, NFTA_HOOK_MAX, tb[NFTA_CHAIN_HOOK]) == 0 &&
		attr_be32(hook[NFTA_HOOK_HOOKNUM], &number) && number == question->hook->number &&
		attr_be32(hook[NFTA_HOOK_PRIORITY], &priority) &&
		(int32_t)priority == HOOK_PRIORITY &&
		attr_be32(tb[NFTA_CHAIN_POLICY], &policy) && policy == NF_ACCEPT;
	return 0;
}

static int ask_chain(struct nl *nl, struct reading *reading, const struct hook *hook)
{
	_Alignas(struct nlmsghdr) char buf[256];
	struct nlmsghdr *nlh = nftnl_nlmsg_build_hdr(buf, NFT_MSG_GETCHAIN, NFPROTO_INET, 0, 0);
	struct chain_question question = { .hook = hook };
	int err;

	mnl_attr_put_strz(nlh, NFTA_CHAIN_TABLE, RULESET_TABLE);
	mnl_attr_put_strz(nlh, NFTA_CHAIN_NAME, hook->name);
	err = nl_request(nl, nlh, read_chain, &question);
	if (!question.fits)
		reading->differs = true;
	return err == -ENOENT ? 0 : err;
}

/* The configuration's rule at this place of this chain; NULL if the chain ends before. */
static const struct rule *expected_rule(struct reading *reading, const char *chain)
{
	unsigned int place = 0;

	for (unsigned int h = 0; h < HOOK_COUNT; h++)
		if (strcmp(hooks[h].name, chain) == 0)
			place = ++reading->seen[h];
	if (place == 0)
		return NULL;
	for (unsigned int i = 0; i < reading->rule_count; i++)
		if (strcmp(reading->rules[i].hook->name, chain) == 0 && --place == 0)
			return &reading->rules[i];
	return NULL;
}

static int compare_rule(struct reading *reading, const struct nlattr *const *standing)
{
	const char *chain = attr_text(standing[NFTA_RULE_CHAIN]);
	const struct rule *rule = chain ? expected_rule(reading, chain) : NULL;
	struct nftnl_rule *wanted;

	if (!reading->has_userdata && is_marked(standing[NFTA_RULE_USERDATA]))
		reading->out->marked = true;
	if (!rule) {
		reading->differs = true;
		return 0;
	}
	wanted = rule_build(reading->config, rule);
	if (!wanted)
		return -ENOMEM;
	if (!expr_all_equal(standing[NFTA_RULE_EXPRESSIONS], wanted))
		reading->differs = true;
	nftnl_rule_free(wanted);
	return 0;
}

static int read_rule(const struct nlmsghdr *nlh, void *data)
{
	const struct nlattr *tb[NFTA_RULE_MAX + 1];
	const char *table;

	if (attr_table_of_message(tb, NFTA_RULE_MAX, nlh, sizeof(struct nfgenmsg)))
		return -EBADMSG;
	/* Old kernels do not filter a dump by table. */
	table = attr_text(tb[NFTA_RULE_TABLE]);
	return table && strcmp(table, RULESET_TABLE) == 0 ? compare_rule(data, tb) : 0;
}

static int ask_rules(struct nl *nl, struct reading *reading)
{
	_Alignas(struct nlmsghdr) char buf[256];
	struct nlmsghdr *nlh = nftnl_nlmsg_build_hdr(buf, NFT_MSG_GETRULE, NFPROTO_INET,
						     NLM_F_DUMP, 0);
	int err;

	mnl_attr_put_strz(nlh, NFTA_RULE_TABLE, RULESET_TABLE);
	err = nl_request(nl, nlh, read_rule, reading);
	return err == -ENOENT ? -EINTR : err;
}

static int read_all(struct nl *nl, struct reading *reading)
{
	uint32_t chain_count = 0, rules_seen = 0;
	int err = ask_table(nl, reading);

	if (err || !reading->out->exists)
		return err;
	for (size_t h = 0; h < HOOK_COUNT; h++) {
		if (!(reading->config->hooks & hooks[h].flag))
			continue;
		chain_count++;
		err = ask_chain(nl, reading, &hooks[h]);
		if (err)
			return err;
	}
	err = ask_rules(nl, reading);
	for (size_t h = 0; h < HOOK_COUNT; h++)
		rules_seen += reading->seen[h];
	reading->out->as_configured = !reading->differs && rules_seen == reading->rule_count &&
		reading->out->use == chain_count + OBJECT_COUNT &&
		!(reading->out->flags & TABLE_FLAG_DORMANT);
	return err;
}

int standing_read(struct nl *nl, const struct ruleset_config *config, struct standing *out)
{
	struct rule rules[RULES_MAX];
	unsigned int count = rule_list(config, false, rules);
	int err = -EINTR;

	for (int i = 0; i < DUMP_TRIES && err == -EINTR; i++) {
		struct reading reading = {
			.out = out, .config = config, .rules = rules, .rule_count = count,
		};

		*out = (struct standing){ .exists = false };
		err = read_all(nl, &reading);
	}
	return err;
}
