/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NFWHO_RULE_H
#define NFWHO_RULE_H

#include "hook.h"

struct nftnl_rule;

/* What a configuration means, rule by rule, as expressions and as text. */

struct rule {
	const struct hook *hook;
	uint8_t protocol;	/* IPPROTO_* */
	bool untracked;		/* matches what conntrack passes over, with a prefix of its own */
	bool over_limit;	/* counts what is over the limit and keeps it from the next rule */
	bool filters;		/* has a filter look at it before the next rule does */
};

/* Five protocols (ICMP has two) and untracked TCP, each with a filter and a limit, at each hook. */
#define RULES_MAX (HOOK_COUNT * 6 * 3)

/* Named counters, not the rules' own: they keep their values when the rules are loaded again. */
#define RULE_COUNTER_MATCHED "matched"
#define RULE_COUNTER_LIMITED "limited"
#define RULE_COUNTER_FILTERED "filtered"

#define RULE_TABLE_COMMENT "nfwho: logs new connections, blocks nothing"
/* How a table's or a rule's comment begins if it is ours. */
#define RULE_MARK "nfwho:"

/* 0, or -EINVAL: what no ruleset can say (see ruleset_open()). */
int rule_config_check(const struct ruleset_config *config);

/* All rules in the order of their chains, with or without a filter (nft/filter_chain). Returns how
 * many. */
unsigned int rule_list(const struct ruleset_config *config, bool filtered,
		       struct rule rules[static RULES_MAX]);

/* The rule as libnftnl object, complete with table, chain and comment; NULL: no memory. */
struct nftnl_rule *rule_build(const struct ruleset_config *config, const struct rule *rule);

/* The rule, which is none that filters, in nft(8)'s language, without newline. Returns as
 * snprintf(). */
int rule_print(const struct ruleset_config *config, const struct rule *rule, char *buf,
	       size_t size);

#endif
