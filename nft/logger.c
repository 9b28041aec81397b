// SPDX-License-Identifier: GPL-2.0-or-later
#include "logger.h"

#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/xt_NFLOG.h>
#include <stdbool.h>
#include <string.h>

#include <libnftnl/expr.h>
#include <libnftnl/rule.h>

#define DUMP_TRIES 8

struct counting {
	uint16_t group;
	uint32_t rules;
};

/* iptables-nft before 1.8.8 keeps its target as it is. */
static bool is_nflog_target(const struct nftnl_expr *expr, uint16_t group)
{
	const char *name = nftnl_expr_get_str(expr, NFTNL_EXPR_TG_NAME);
	struct xt_nflog_info info;
	const void *data;
	uint32_t len;

	data = nftnl_expr_get(expr, NFTNL_EXPR_TG_INFO, &len);
	if (!name || strcmp(name, "NFLOG") != 0 || !data || len < sizeof(info))
		return false;
	memcpy(&info, data, sizeof(info));
	return info.group == group;
}

static int compare_expr(struct nftnl_expr *expr, void *data)
{
	struct counting *counting = data;
	const char *name = nftnl_expr_get_str(expr, NFTNL_EXPR_NAME);
	bool logs = false;

	if (name && strcmp(name, "log") == 0)
		logs = nftnl_expr_is_set(expr, NFTNL_EXPR_LOG_GROUP) &&
			nftnl_expr_get_u16(expr, NFTNL_EXPR_LOG_GROUP) == counting->group;
	else if (name && strcmp(name, "target") == 0)
		logs = is_nflog_target(expr, counting->group);
	counting->rules += logs;
	return 0;
}

static int read_rule(const struct nlmsghdr *nlh, void *data)
{
	struct nftnl_rule *rule = nftnl_rule_alloc();

	if (!rule)
		return -ENOMEM;
	/* What this libnftnl cannot read is no log expression. */
	if (nftnl_rule_nlmsg_parse(nlh, rule) == 0)
		nftnl_expr_foreach(rule, compare_expr, data);
	nftnl_rule_free(rule);
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
