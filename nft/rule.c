// SPDX-License-Identifier: GPL-2.0-or-later
#include "rule.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_tables.h>
#include <stdio.h>
#include <string.h>

#include <libnftnl/expr.h>
#include <libnftnl/rule.h>
#include <libnftnl/udata.h>

#define PREFIX_MAX 127			/* NF_LOG_PREFIXLEN without NUL: more is cut silently */
#define LIMIT_MAX 10000000		/* far below 1e9, where the kernel's tokens become 0 ns */
#define LOOPBACK_IFINDEX 1		/* in every network namespace */
#define TCP_FLAGS_OFFSET 13
#define CT_STATE_NEW NF_CT_STATE_BIT(IP_CT_NEW)

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

static unsigned int list_with_limit(const struct ruleset_config *config, struct rule rule,
				    struct rule *rules, unsigned int count)
{
	if (config->limit_per_second) {
		rule.over_limit = true;
		rules[count++] = rule;
		rule.over_limit = false;
	}
	rules[count++] = rule;
	return count;
}

unsigned int rule_list(const struct ruleset_config *config, struct rule rules[static RULES_MAX])
{
	unsigned int count = 0;

	for (size_t h = 0; h < HOOK_COUNT; h++) {
		if (!(config->hooks & hooks[h].flag))
			continue;
		for (size_t p = 0; p < PROTOCOL_COUNT; p++) {
			struct rule rule = { &hooks[h], protocols[p].number, false, false };

			if (!(config->protocols & protocols[p].flag))
				continue;
			count = list_with_limit(config, rule, rules, count);
			rule.untracked = config->conntrack && rule.protocol == IPPROTO_TCP;
			if (rule.untracked)
				count = list_with_limit(config, rule, rules, count);
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
	return snprintf(buf, size, RULE_MARK " %s %s%s connections", rule->over_limit ?
			"over the limit, counted here and not logged:" : "new",
			rule->untracked ? "untracked " : "", protocol_name(rule->protocol));
}

/* A rule in the making; the first failed allocation makes the rest do nothing. */
struct maker {
	struct nftnl_rule *rule;
	bool failed;
};

static struct nftnl_expr *add(struct maker *maker, const char *name)
{
	struct nftnl_expr *expr = maker->failed ? NULL : nftnl_expr_alloc(name);

	if (!expr) {
		maker->failed = true;
		return NULL;
	}
	nftnl_rule_add_expr(maker->rule, expr);
	return expr;
}

static void add_compare(struct maker *maker, uint32_t op, const void *data, uint32_t len)
{
	struct nftnl_expr *expr = add(maker, "cmp");

	if (!expr)
		return;
	nftnl_expr_set_u32(expr, NFTNL_EXPR_CMP_SREG, NFT_REG_1);
	nftnl_expr_set_u32(expr, NFTNL_EXPR_CMP_OP, op);
	nftnl_expr_set(expr, NFTNL_EXPR_CMP_DATA, data, len);
}

static void add_mask(struct maker *maker, const void *mask, uint32_t len)
{
	static const uint8_t zero[4];
	struct nftnl_expr *expr = add(maker, "bitwise");

	if (!expr)
		return;
	nftnl_expr_set_u32(expr, NFTNL_EXPR_BITWISE_SREG, NFT_REG_1);
	nftnl_expr_set_u32(expr, NFTNL_EXPR_BITWISE_DREG, NFT_REG_1);
	nftnl_expr_set_u32(expr, NFTNL_EXPR_BITWISE_LEN, len);
	nftnl_expr_set(expr, NFTNL_EXPR_BITWISE_MASK, mask, len);
	nftnl_expr_set(expr, NFTNL_EXPR_BITWISE_XOR, zero, len);
}

static void add_meta(struct maker *maker, uint32_t key)
{
	struct nftnl_expr *expr = add(maker, "meta");

	if (!expr)
		return;
	nftnl_expr_set_u32(expr, NFTNL_EXPR_META_KEY, key);
	nftnl_expr_set_u32(expr, NFTNL_EXPR_META_DREG, NFT_REG_1);
}

static void add_protocol(struct maker *maker, uint8_t protocol)
{
	static const uint8_t mask = TH_FIN | TH_SYN | TH_RST | TH_ACK, syn = TH_SYN;
	struct nftnl_expr *expr;

	add_meta(maker, NFT_META_L4PROTO);
	add_compare(maker, NFT_CMP_EQ, &protocol, sizeof(protocol));
	if (protocol != IPPROTO_TCP)
		return;
	expr = add(maker, "payload");
	if (!expr)
		return;
	nftnl_expr_set_u32(expr, NFTNL_EXPR_PAYLOAD_BASE, NFT_PAYLOAD_TRANSPORT_HEADER);
	nftnl_expr_set_u32(expr, NFTNL_EXPR_PAYLOAD_OFFSET, TCP_FLAGS_OFFSET);
	nftnl_expr_set_u32(expr, NFTNL_EXPR_PAYLOAD_LEN, sizeof(syn));
	nftnl_expr_set_u32(expr, NFTNL_EXPR_PAYLOAD_DREG, NFT_REG_1);
	add_mask(maker, &mask, sizeof(mask));
	add_compare(maker, NFT_CMP_EQ, &syn, sizeof(syn));
}

/* A SYN that is not tracked begins a connection all the same, and says so by its prefix: nothing
 * will be heard of it from conntrack. Of other protocols every untracked packet would match. */
static void add_state(struct maker *maker, bool untracked)
{
	static const uint32_t none;
	uint32_t states = untracked ? NF_CT_STATE_UNTRACKED_BIT : CT_STATE_NEW;
	struct nftnl_expr *expr = add(maker, "ct");

	if (!expr)
		return;
	nftnl_expr_set_u32(expr, NFTNL_EXPR_CT_KEY, NFT_CT_STATE);
	nftnl_expr_set_u32(expr, NFTNL_EXPR_CT_DREG, NFT_REG_1);
	add_mask(maker, &states, sizeof(states));
	add_compare(maker, NFT_CMP_NEQ, &none, sizeof(none));
}

static void add_not_loopback(struct maker *maker, uint32_t key)
{
	static const uint32_t loopback = LOOPBACK_IFINDEX;

	add_meta(maker, key);
	add_compare(maker, NFT_CMP_NEQ, &loopback, sizeof(loopback));
}

static void add_counter(struct maker *maker, const char *name)
{
	struct nftnl_expr *expr = add(maker, "objref");

	if (!expr)
		return;
	nftnl_expr_set_u32(expr, NFTNL_EXPR_OBJREF_IMM_TYPE, NFT_OBJECT_COUNTER);
	nftnl_expr_set_str(expr, NFTNL_EXPR_OBJREF_IMM_NAME, name);
}

/* Returns out of the chain, whose policy accepts: nothing is dropped here. */
static void add_over_limit(struct maker *maker, uint32_t per_second)
{
	struct nftnl_expr *limit = add(maker, "limit"), *verdict;

	if (!limit)
		return;
	nftnl_expr_set_u64(limit, NFTNL_EXPR_LIMIT_RATE, per_second);
	nftnl_expr_set_u64(limit, NFTNL_EXPR_LIMIT_UNIT, 1);
	nftnl_expr_set_u32(limit, NFTNL_EXPR_LIMIT_BURST, per_second);
	nftnl_expr_set_u32(limit, NFTNL_EXPR_LIMIT_TYPE, NFT_LIMIT_PKTS);
	nftnl_expr_set_u32(limit, NFTNL_EXPR_LIMIT_FLAGS, NFT_LIMIT_F_INV);
	add_counter(maker, RULE_COUNTER_LIMITED);
	verdict = add(maker, "immediate");
	if (!verdict)
		return;
	nftnl_expr_set_u32(verdict, NFTNL_EXPR_IMM_DREG, NFT_REG_VERDICT);
	nftnl_expr_set_u32(verdict, NFTNL_EXPR_IMM_VERDICT, NFT_RETURN);
}

/* No queue threshold: it could only lower the one the collector sets for its group. */
static void add_log(struct maker *maker, const struct ruleset_config *config,
		    const struct rule *rule)
{
	struct nftnl_expr *expr;

	add_counter(maker, RULE_COUNTER_MATCHED);
	expr = add(maker, "log");
	if (!expr)
		return;
	nftnl_expr_set_str(expr, NFTNL_EXPR_LOG_PREFIX,
			   rule->untracked ? config->untracked_prefix : config->prefix);
	nftnl_expr_set_u16(expr, NFTNL_EXPR_LOG_GROUP, config->group);
	nftnl_expr_set_u32(expr, NFTNL_EXPR_LOG_SNAPLEN, config->snaplen_bytes);
}

static void set_comment(struct maker *maker, const struct rule *rule)
{
	struct nftnl_udata_buf *udata = nftnl_udata_buf_alloc(256);
	char comment[NFTNL_UDATA_COMMENT_MAXLEN];

	if (!udata) {
		maker->failed = true;
		return;
	}
	print_comment(rule, comment, sizeof(comment));
	nftnl_udata_put_strz(udata, NFTNL_UDATA_RULE_COMMENT, comment);
	nftnl_rule_set_data(maker->rule, NFTNL_RULE_USERDATA, nftnl_udata_buf_data(udata),
			    nftnl_udata_buf_len(udata));
	nftnl_udata_buf_free(udata);
}

struct nftnl_rule *rule_build(const struct ruleset_config *config, const struct rule *rule)
{
	struct maker maker = { .rule = nftnl_rule_alloc() };

	if (!maker.rule)
		return NULL;
	nftnl_rule_set_u32(maker.rule, NFTNL_RULE_FAMILY, NFPROTO_INET);
	nftnl_rule_set_str(maker.rule, NFTNL_RULE_TABLE, RULESET_TABLE);
	nftnl_rule_set_str(maker.rule, NFTNL_RULE_CHAIN, rule->hook->name);
	add_protocol(&maker, rule->protocol);
	if (config->conntrack)
		add_state(&maker, rule->untracked);
	if (!config->loopback)
		add_not_loopback(&maker, rule->hook->interface_key);
	if (rule->over_limit)
		add_over_limit(&maker, config->limit_per_second);
	else
		add_log(&maker, config, rule);
	set_comment(&maker, rule);
	if (!maker.failed)
		return maker.rule;
	nftnl_rule_free(maker.rule);
	return NULL;
}

int rule_print(const struct ruleset_config *config, const struct rule *rule, char *buf,
	       size_t size)
{
	bool tcp = rule->protocol == IPPROTO_TCP;
	char match[128], action[256], comment[NFTNL_UDATA_COMMENT_MAXLEN];

	snprintf(match, sizeof(match), "%s%s%s%s%s%s",
		 tcp ? "tcp flags & (fin | syn | rst | ack) == syn" : "meta l4proto ",
		 tcp ? "" : protocol_name(rule->protocol),
		 !config->conntrack ? "" : rule->untracked ? " ct state untracked" : " ct state new",
		 config->loopback ? "" : " ", config->loopback ? "" : rule->hook->interface_word,
		 config->loopback ? "" : " != \"lo\"");
	if (rule->over_limit)
		snprintf(action, sizeof(action), "limit rate over %u/second burst %u packets "
			 "counter name " RULE_COUNTER_LIMITED " return",
			 config->limit_per_second, config->limit_per_second);
	else
		snprintf(action, sizeof(action), "counter name " RULE_COUNTER_MATCHED
			 " log prefix \"%s\" group %u snaplen %u",
			 rule->untracked ? config->untracked_prefix : config->prefix,
			 config->group, config->snaplen_bytes);
	print_comment(rule, comment, sizeof(comment));
	return snprintf(buf, size, "%s %s comment \"%s\"", match, action, comment);
}

/* libnftnl has no comparison; what it prints of an expression is all that the expression does. */
static bool expr_equal(const struct nftnl_expr *a, const struct nftnl_expr *b)
{
	const char *name_a = nftnl_expr_get_str(a, NFTNL_EXPR_NAME);
	const char *name_b = nftnl_expr_get_str(b, NFTNL_EXPR_NAME);
	char text_a[512] = "", text_b[512] = "";

	if (!name_a || !name_b || strcmp(name_a, name_b) != 0)
		return false;
	nftnl_expr_snprintf(text_a, sizeof(text_a), a, NFTNL_OUTPUT_DEFAULT, 0);
	nftnl_expr_snprintf(text_b, sizeof(text_b), b, NFTNL_OUTPUT_DEFAULT, 0);
	return strcmp(text_a, text_b) == 0;
}

bool rule_equal(const struct nftnl_rule *a, const struct nftnl_rule *b)
{
	struct nftnl_expr_iter *iter_a = nftnl_expr_iter_create(a);
	struct nftnl_expr_iter *iter_b = nftnl_expr_iter_create(b);
	bool equal = iter_a && iter_b;
	struct nftnl_expr *expr_a = NULL, *expr_b = NULL;

	while (equal) {
		expr_a = nftnl_expr_iter_next(iter_a);
		expr_b = nftnl_expr_iter_next(iter_b);
		if (!expr_a || !expr_b)
			break;
		equal = expr_equal(expr_a, expr_b);
	}
	if (iter_a)
		nftnl_expr_iter_destroy(iter_a);
	if (iter_b)
		nftnl_expr_iter_destroy(iter_b);
	return equal && !expr_a && !expr_b;
}
