// SPDX-License-Identifier: GPL-2.0-or-later
#include "rule.h"
#include "expr.h"
#include "filter_chain.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_tables.h>
#include <stdio.h>
#include <string.h>

#include <libnftnl/rule.h>
#include <libnftnl/udata.h>

#define PREFIX_MAX 127			/* NF_LOG_PREFIXLEN without NUL: more is cut silently */
#define LIMIT_MAX 10000000		/* far below 1e9, where the kernel's tokens become 0 ns */
#define LOOPBACK_IFINDEX 1		/* in every network namespace */
#define TCP_FLAGS_OFFSET 13

static const struct protocol {
	enum ruleset_protocol flag;
	uint8_t number;
	const char *name;
} protocols[] = {
	{ RULESET_TCP, IPPROTO_TCP, "tcp" },
	{ RULESET_UDP, IPPROTO_UDP, "udp" },
	{ RULESET_SCTP, IPPROTO_SCTP, "sctp" },
	{ RULESET_ICMP, IPPROTO_ICMP, "icmp" },
	{ RULESET_ICMP, IPPROTO_ICMPV6, "ipv6-icmp" },
};

#define PROTOCOL_COUNT (sizeof(protocols) / sizeof(protocols[0]))

/* Only what nft(8) takes literally inside quotes: no variable, escape or end of string. */
static bool prefix_is_plain(const char *prefix)
{
	size_t len = strnlen(prefix, PREFIX_MAX + 1);

	if (len == 0 || len > PREFIX_MAX)
		return false;
	for (size_t i = 0; i < len; i++)
		if (prefix[i] < ' ' || prefix[i] > '~' || strchr("\"$\\", prefix[i]))
			return false;
	return true;
}

int rule_config_check(const struct ruleset_config *config)
{
	uint32_t all_hooks = 0, all_protocols = 0;

	for (size_t i = 0; i < HOOK_COUNT; i++)
		all_hooks |= hooks[i].flag;
	for (size_t i = 0; i < PROTOCOL_COUNT; i++)
		all_protocols |= protocols[i].flag;
	if (config->hooks == 0 || config->hooks & ~all_hooks ||
	    config->protocols == 0 || config->protocols & ~all_protocols)
		return -EINVAL;
	/* Without conntrack only TCP shows by itself which packet begins a connection. */
	if (!config->conntrack && config->protocols != RULESET_TCP)
		return -EINVAL;
	if (config->snaplen_bytes == 0 || config->limit_per_second > LIMIT_MAX)
		return -EINVAL;
	if (!config->prefix || !prefix_is_plain(config->prefix) || !config->untracked_prefix ||
	    !prefix_is_plain(config->untracked_prefix))
		return -EINVAL;
	return 0;
}

/* The one that logs, and those that have to stand before it. */
static unsigned int list_one(const struct ruleset_config *config, bool filtered, struct rule rule,
			     struct rule *rules, unsigned int count)
{
	if (filtered) {
		rule.filters = true;
		rules[count++] = rule;
		rule.filters = false;
	}
	if (config->limit_per_second) {
		rule.over_limit = true;
		rules[count++] = rule;
		rule.over_limit = false;
	}
	rules[count++] = rule;
	return count;
}

unsigned int rule_list(const struct ruleset_config *config, bool filtered,
		       struct rule rules[static RULES_MAX])
{
	unsigned int count = 0;

	for (size_t h = 0; h < HOOK_COUNT; h++) {
		if (!(config->hooks & hooks[h].flag))
			continue;
		for (size_t p = 0; p < PROTOCOL_COUNT; p++) {
			struct rule rule = { &hooks[h], protocols[p].number };

			if (!(config->protocols & protocols[p].flag))
				continue;
			count = list_one(config, filtered, rule, rules, count);
			rule.untracked = config->conntrack && rule.protocol == IPPROTO_TCP;
			if (rule.untracked)
				count = list_one(config, filtered, rule, rules, count);
		}
	}
	return count;
}

static const char *protocol_name(uint8_t number)
{
	for (size_t i = 0; i < PROTOCOL_COUNT; i++)
		if (protocols[i].number == number)
			return protocols[i].name;
	return "";
}

static int print_comment(const struct rule *rule, char *buf, size_t size)
{
	return snprintf(buf, size, RULE_MARK " %s %s%s connections", rule->filters ?
			"a filter for new" : rule->over_limit ?
			"over the limit, counted here and not logged:" : "new",
			rule->untracked ? "untracked " : "", protocol_name(rule->protocol));
}

static void add_protocol(struct expr_maker *maker, uint8_t protocol)
{
	static const uint8_t mask = TH_FIN | TH_SYN | TH_RST | TH_ACK, syn = TH_SYN;

	expr_meta(maker, NFT_META_L4PROTO);
	expr_compare(maker, NFT_CMP_EQ, &protocol, sizeof(protocol));
	if (protocol != IPPROTO_TCP)
		return;
	expr_transport(maker, TCP_FLAGS_OFFSET, sizeof(syn));
	expr_mask(maker, &mask, sizeof(mask));
	expr_compare(maker, NFT_CMP_EQ, &syn, sizeof(syn));
}

/* A SYN begins a connection whatever conntrack makes of it: reuse of a tuple whose RST is still on
 * its way is not `new` (2 to 8 of 20,000 with packets steered to another CPU). Only what conntrack
 * passes over stands apart, as nothing will be heard of it from there. Of other protocols every
 * packet would match. */
static const uint32_t tracked_states =
	NF_CT_STATE_INVALID_BIT | NF_CT_STATE_BIT(IP_CT_ESTABLISHED) |
	NF_CT_STATE_BIT(IP_CT_RELATED) | NF_CT_STATE_BIT(IP_CT_NEW);

static void add_state(struct expr_maker *maker, const struct rule *rule)
{
	static const uint32_t none;
	uint32_t states = rule->untracked ? NF_CT_STATE_UNTRACKED_BIT :
			  rule->protocol == IPPROTO_TCP ? tracked_states :
			  NF_CT_STATE_BIT(IP_CT_NEW);

	expr_ct(maker, NFT_CT_STATE);
	expr_mask(maker, &states, sizeof(states));
	expr_compare(maker, NFT_CMP_NEQ, &none, sizeof(none));
}

static void add_not_loopback(struct expr_maker *maker, uint32_t key)
{
	static const uint32_t loopback = LOOPBACK_IFINDEX;

	expr_meta(maker, key);
	expr_compare(maker, NFT_CMP_NEQ, &loopback, sizeof(loopback));
}

static const char *prefix_of(const struct ruleset_config *config, const struct rule *rule)
{
	return rule->untracked ? config->untracked_prefix : config->prefix;
}

/* What is over the limit leaves the chain, whose policy accepts: nothing is dropped here. The log
 * has no queue threshold: it could only lower the one the collector sets for its group. */
static void add_action(struct expr_maker *maker, const struct ruleset_config *config,
		       const struct rule *rule)
{
	if (rule->filters) {
		expr_jump(maker, FILTER_CHAIN);
	} else if (rule->over_limit) {
		expr_over_limit(maker, config->limit_per_second);
		expr_count(maker, RULE_COUNTER_LIMITED);
		expr_return(maker);
	} else {
		expr_count(maker, RULE_COUNTER_MATCHED);
		expr_log(maker, prefix_of(config, rule), config->group,
			 config->snaplen_bytes);
	}
}

struct nftnl_rule *rule_build(const struct ruleset_config *config, const struct rule *rule)
{
	char comment[NFTNL_UDATA_COMMENT_MAXLEN];
	struct expr_maker maker;

	expr_begin(&maker, rule->hook->name);
	add_protocol(&maker, rule->protocol);
	if (config->conntrack)
		add_state(&maker, rule);
	if (!config->loopback)
		add_not_loopback(&maker, rule->hook->interface_key);
	add_action(&maker, config, rule);
	print_comment(rule, comment, sizeof(comment));
	return expr_finish(&maker, comment);
}

int rule_print(const struct ruleset_config *config, const struct rule *rule, char *buf,
	       size_t size)
{
	bool tcp = rule->protocol == IPPROTO_TCP;
	char match[128], action[256], comment[NFTNL_UDATA_COMMENT_MAXLEN], protocol[32];

	/* nft 0.9.8 takes no name but from /etc/protocols, which a small system may lack; the
	 * comment has it. */
	snprintf(protocol, sizeof(protocol), "meta l4proto %u", rule->protocol);
	snprintf(match, sizeof(match), "%s%s%s%s%s",
		 tcp ? "tcp flags & (fin | syn | rst | ack) == syn" : protocol,
		 !config->conntrack ? "" : rule->untracked ? " ct state untracked" :
		 tcp ? " ct state invalid,established,related,new" : " ct state new",
		 config->loopback ? "" : " ", config->loopback ? "" : rule->hook->interface_word,
		 config->loopback ? "" : " != \"lo\"");
	if (rule->over_limit)
		snprintf(action, sizeof(action), "limit rate over %u/second burst %u packets "
			 "counter name " RULE_COUNTER_LIMITED " return",
			 config->limit_per_second, config->limit_per_second);
	else
		snprintf(action, sizeof(action), "counter name " RULE_COUNTER_MATCHED
			 " log prefix \"%s\" group %u snaplen %u", prefix_of(config, rule),
			 config->group, config->snaplen_bytes);
	print_comment(rule, comment, sizeof(comment));
	return snprintf(buf, size, "%s %s comment \"%s\"", match, action, comment);
}
