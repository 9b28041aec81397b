// SPDX-License-Identifier: GPL-2.0-or-later
#include "filter_chain.h"
#include "expr.h"
#include "rule.h"

#include <arpa/inet.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <string.h>

#define DESTINATION_OFFSET_IP4 16
#define DESTINATION_OFFSET_IP6 24
#define PORT_OFFSET 2		/* of the destination's, in TCP, UDP and SCTP */

static unsigned int add_clause(const struct filter_clause *c, bool counts,
			       struct filter_rule *rules)
{
	bool icmp = c->keys & FILTER_PROTOCOL && c->protocol == IPPROTO_ICMP;
	unsigned int count = 0;

	if (!icmp) {
		rules[count++] = (struct filter_rule) { .clause = c, .counts = counts };
		return count;
	}
	if (!(c->keys & FILTER_NET) || c->family == AF_INET)
		rules[count++] = (struct filter_rule) { c, IPPROTO_ICMP, counts, false };
	if (!(c->keys & FILTER_NET) || c->family == AF_INET6)
		rules[count++] = (struct filter_rule) { c, IPPROTO_ICMPV6, counts, false };
	return count;
}

unsigned int filter_rules(const struct filter *f,
			  struct filter_rule rules[static FILTER_RULES_MAX])
{
	unsigned int count = 0;
	bool users = false;

	for (unsigned int i = 0; i < f->count[FILTER_EXCEPT]; i++)
		count += add_clause(&f->clauses[FILTER_EXCEPT][i], true, rules + count);
	for (unsigned int i = 0; i < f->count[FILTER_ONLY]; i++) {
		count += add_clause(&f->clauses[FILTER_ONLY][i], false, rules + count);
		users |= f->clauses[FILTER_ONLY][i].keys & FILTER_USER;
	}
	if (f->count[FILTER_ONLY])
		rules[count++] = (struct filter_rule) { .counts = true, .known_user = users };
	return count;
}

static void add_net(struct expr_maker *maker, const struct filter_clause *c)
{
	bool ip4 = c->family == AF_INET;
	const uint8_t family = ip4 ? NFPROTO_IPV4 : NFPROTO_IPV6;
	uint32_t len = ip4 ? 4 : 16;
	uint8_t mask[16] = { 0 };

	expr_meta(maker, NFT_META_NFPROTO);
	expr_compare(maker, NFT_CMP_EQ, &family, sizeof(family));
	if (!c->prefix_len)
		return;
	expr_network(maker, ip4 ? DESTINATION_OFFSET_IP4 : DESTINATION_OFFSET_IP6, len);
	for (unsigned int bit = 0; bit < c->prefix_len; bit++)
		mask[bit / 8] |= (uint8_t)(0x80 >> bit % 8);
	if (c->prefix_len < len * 8)
		expr_mask(maker, mask, len);
	expr_compare(maker, NFT_CMP_EQ, c->net.bytes, len);
}

/* ICMP has none: what stands there is its checksum. */
static void add_port(struct expr_maker *maker, const struct filter_clause *c)
{
	static const uint8_t portless[] = { IPPROTO_ICMP, IPPROTO_ICMPV6 };
	const uint16_t first = htons(c->port_first), last = htons(c->port_last);

	expr_meta(maker, NFT_META_L4PROTO);
	for (size_t i = 0; i < sizeof(portless); i++)
		expr_compare(maker, NFT_CMP_NEQ, &portless[i], 1);
	expr_transport(maker, PORT_OFFSET, sizeof(first));
	if (first == last) {
		expr_compare(maker, NFT_CMP_EQ, &first, sizeof(first));
		return;
	}
	expr_compare(maker, NFT_CMP_GTE, &first, sizeof(first));
	expr_compare(maker, NFT_CMP_LTE, &last, sizeof(last));
}

/* A packet without one ends a rule that asks. */
static void add_known_user(struct expr_maker *maker)
{
	static const uint32_t nobody = UINT32_MAX;

	expr_meta(maker, NFT_META_SKUID);
	expr_compare(maker, NFT_CMP_NEQ, &nobody, sizeof(nobody));
}

static void add_terms(struct expr_maker *maker, const struct filter_rule *rule)
{
	const struct filter_clause *c = rule->clause;
	uint8_t protocol = rule->icmp ? rule->icmp : c->protocol;

	if (c->keys & FILTER_PROTOCOL) {
		expr_meta(maker, NFT_META_L4PROTO);
		expr_compare(maker, NFT_CMP_EQ, &protocol, sizeof(protocol));
	}
	if (c->keys & FILTER_NET)
		add_net(maker, c);
	if (c->keys & FILTER_PORT)
		add_port(maker, c);
	if (c->keys & FILTER_USER) {
		expr_meta(maker, NFT_META_SKUID);
		expr_compare(maker, NFT_CMP_EQ, &c->uid, sizeof(c->uid));
	}
}

struct nftnl_rule *filter_rule_build(const struct filter_rule *rule)
{
	struct expr_maker maker;

	expr_begin(&maker, FILTER_CHAIN);
	if (rule->clause)
		add_terms(&maker, rule);
	if (rule->known_user)
		add_known_user(&maker);
	if (rule->counts) {
		expr_count(&maker, RULE_COUNTER_FILTERED);
		expr_accept(&maker);
	} else {
		expr_return(&maker);
	}
	return expr_finish(&maker, !rule->clause ? RULE_MARK " none of --only" :
			   rule->counts ? RULE_MARK " --except" : RULE_MARK " --only");
}
