// SPDX-License-Identifier: GPL-2.0-or-later
#include "logger.h"
#include "attr.h"

#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nf_tables_compat.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/xt_NFLOG.h>
#include <stdbool.h>
#include <string.h>

#include <libnftnl/common.h>

#define DUMP_TRIES 8

struct counting {
	uint16_t group;
	uint32_t rules;
};

/* iptables-nft before 1.8.8 keeps its target as it is. */
static bool is_nflog_target(const struct nlattr *data, uint16_t group)
{
	const struct nlattr *tb[NFTA_TARGET_MAX + 1];
	struct xt_nflog_info info;
	const char *name;

	if (attr_table_of_nest(tb, NFTA_TARGET_MAX, data))
		return false;
	name = attr_text(tb[NFTA_TARGET_NAME]);
	if (!name || strcmp(name, "NFLOG") != 0 || !tb[NFTA_TARGET_INFO] ||
	    mnl_attr_get_payload_len(tb[NFTA_TARGET_INFO]) < sizeof(info))
		return false;
	memcpy(&info, mnl_attr_get_payload(tb[NFTA_TARGET_INFO]), sizeof(info));
	return info.group == group;
}

static bool is_log(const struct nlattr *data, uint16_t group)
{
	const struct nlattr *tb[NFTA_LOG_MAX + 1];
	uint16_t found;

	return !attr_table_of_nest(tb, NFTA_LOG_MAX, data) &&
	       attr_be16(tb[NFTA_LOG_GROUP], &found) && found == group;
}

static bool logs(const struct nlattr *expr, uint16_t group)
{
	const struct nlattr *tb[NFTA_EXPR_MAX + 1];
	const char *name;

	if (attr_table_of_nest(tb, NFTA_EXPR_MAX, expr))
		return false;
	name = attr_text(tb[NFTA_EXPR_NAME]);
	if (name && strcmp(name, "log") == 0)
		return is_log(tb[NFTA_EXPR_DATA], group);
	return name && strcmp(name, "target") == 0 && is_nflog_target(tb[NFTA_EXPR_DATA], group);
}

/* Not by libnftnl: it ends the process over an attribute whose length it does not expect, and these
 * are anybody's rules, with expressions it may be too old for. What cannot be read logs nothing. */
static int read_rule(const struct nlmsghdr *nlh, void *data)
{
	const struct nlattr *tb[NFTA_RULE_MAX + 1], *expr;
	struct counting *counting = data;

	if (attr_table_of_message(tb, NFTA_RULE_MAX, nlh, sizeof(struct nfgenmsg)) ||
	    !tb[NFTA_RULE_EXPRESSIONS])
		return 0;
	mnl_attr_for_each_nested(expr, tb[NFTA_RULE_EXPRESSIONS])
		counting->rules += logs(expr, counting->group);
	return 0;
}

int logger_count(struct nl *nl, uint16_t group, uint32_t *rules)
{
	_Alignas(struct nlmsghdr) char buf[64];
	struct counting counting;
	int err = -EINTR;

	for (int i = 0; i < DUMP_TRIES && err == -EINTR; i++) {
		struct nlmsghdr *nlh = nftnl_nlmsg_build_hdr(buf, NFT_MSG_GETRULE, NFPROTO_UNSPEC,
							     NLM_F_DUMP, 0);

		counting = (struct counting) { .group = group };
		err = nl_request(nl, nlh, read_rule, &counting);
	}
	*rules = counting.rules;
	return err;
}
