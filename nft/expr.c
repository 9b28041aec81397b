// SPDX-License-Identifier: GPL-2.0-or-later
#include "expr.h"
#include "attr.h"
#include "batch.h"
#include "ruleset.h"

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <string.h>

#include <libnftnl/expr.h>
#include <libnftnl/rule.h>
#include <libnftnl/udata.h>

/* More than any expression of ours has. */
#define EXPR_ATTRIBUTES 31

void expr_begin(struct expr_maker *maker, const char *chain)
{
	*maker = (struct expr_maker) { .rule = nftnl_rule_alloc() };
	maker->failed = !maker->rule;
	if (maker->failed)
		return;
	nftnl_rule_set_u32(maker->rule, NFTNL_RULE_FAMILY, NFPROTO_INET);
	nftnl_rule_set_str(maker->rule, NFTNL_RULE_TABLE, RULESET_TABLE);
	nftnl_rule_set_str(maker->rule, NFTNL_RULE_CHAIN, chain);
}

static void set_comment(struct expr_maker *maker, const char *comment)
{
	struct nftnl_udata_buf *udata = nftnl_udata_buf_alloc(256);

	if (!udata) {
		maker->failed = true;
		return;
	}
	nftnl_udata_put_strz(udata, NFTNL_UDATA_RULE_COMMENT, comment);
	nftnl_rule_set_data(maker->rule, NFTNL_RULE_USERDATA, nftnl_udata_buf_data(udata),
			    nftnl_udata_buf_len(udata));
	nftnl_udata_buf_free(udata);
}

struct nftnl_rule *expr_finish(struct expr_maker *maker, const char *comment)
{
	if (!maker->failed)
		set_comment(maker, comment);
	if (!maker->failed)
		return maker->rule;
	if (maker->rule)
		nftnl_rule_free(maker->rule);
	return NULL;
}

static struct nftnl_expr *add(struct expr_maker *maker, const char *name)
{
	struct nftnl_expr *expr = maker->failed ? NULL : nftnl_expr_alloc(name);

	if (!expr) {
		maker->failed = true;
		return NULL;
	}
	nftnl_rule_add_expr(maker->rule, expr);
	return expr;
}

void expr_meta(struct expr_maker *maker, uint32_t key)
{
	struct nftnl_expr *expr = add(maker, "meta");

	if (!expr)
		return;
	nftnl_expr_set_u32(expr, NFTNL_EXPR_META_KEY, key);
	nftnl_expr_set_u32(expr, NFTNL_EXPR_META_DREG, NFT_REG_1);
}

void expr_ct(struct expr_maker *maker, uint32_t key)
{
	struct nftnl_expr *expr = add(maker, "ct");

	if (!expr)
		return;
	nftnl_expr_set_u32(expr, NFTNL_EXPR_CT_KEY, key);
	nftnl_expr_set_u32(expr, NFTNL_EXPR_CT_DREG, NFT_REG_1);
}

static void add_payload(struct expr_maker *maker, uint32_t base, uint32_t offset, uint32_t len)
{
	struct nftnl_expr *expr = add(maker, "payload");

	if (!expr)
		return;
	nftnl_expr_set_u32(expr, NFTNL_EXPR_PAYLOAD_BASE, base);
	nftnl_expr_set_u32(expr, NFTNL_EXPR_PAYLOAD_OFFSET, offset);
	nftnl_expr_set_u32(expr, NFTNL_EXPR_PAYLOAD_LEN, len);
	nftnl_expr_set_u32(expr, NFTNL_EXPR_PAYLOAD_DREG, NFT_REG_1);
}

void expr_network(struct expr_maker *maker, uint32_t offset, uint32_t len)
{
	add_payload(maker, NFT_PAYLOAD_NETWORK_HEADER, offset, len);
}

void expr_transport(struct expr_maker *maker, uint32_t offset, uint32_t len)
{
	add_payload(maker, NFT_PAYLOAD_TRANSPORT_HEADER, offset, len);
}

void expr_mask(struct expr_maker *maker, const void *mask, uint32_t len)
{
	static const uint8_t zero[16];
	struct nftnl_expr *expr = add(maker, "bitwise");

	if (!expr)
		return;
	nftnl_expr_set_u32(expr, NFTNL_EXPR_BITWISE_SREG, NFT_REG_1);
	nftnl_expr_set_u32(expr, NFTNL_EXPR_BITWISE_DREG, NFT_REG_1);
	nftnl_expr_set_u32(expr, NFTNL_EXPR_BITWISE_LEN, len);
	nftnl_expr_set(expr, NFTNL_EXPR_BITWISE_MASK, mask, len);
	nftnl_expr_set(expr, NFTNL_EXPR_BITWISE_XOR, zero, len);
}

void expr_compare(struct expr_maker *maker, uint32_t op, const void *data, uint32_t len)
{
	struct nftnl_expr *expr = add(maker, "cmp");

	if (!expr)
		return;
	nftnl_expr_set_u32(expr, NFTNL_EXPR_CMP_SREG, NFT_REG_1);
	nftnl_expr_set_u32(expr, NFTNL_EXPR_CMP_OP, op);
	nftnl_expr_set(expr, NFTNL_EXPR_CMP_DATA, data, len);
}

void expr_over_limit(struct expr_maker *maker, uint32_t per_second)
{
	struct nftnl_expr *expr = add(maker, "limit");

	if (!expr)
		return;
	nftnl_expr_set_u64(expr, NFTNL_EXPR_LIMIT_RATE, per_second);
	nftnl_expr_set_u64(expr, NFTNL_EXPR_LIMIT_UNIT, 1);
	nftnl_expr_set_u32(expr, NFTNL_EXPR_LIMIT_BURST, per_second);
	nftnl_expr_set_u32(expr, NFTNL_EXPR_LIMIT_TYPE, NFT_LIMIT_PKTS);
	nftnl_expr_set_u32(expr, NFTNL_EXPR_LIMIT_FLAGS, NFT_LIMIT_F_INV);
}

void expr_count(struct expr_maker *maker, const char *counter)
{
	struct nftnl_expr *expr = add(maker, "objref");

	if (!expr)
		return;
	nftnl_expr_set_u32(expr, NFTNL_EXPR_OBJREF_IMM_TYPE, NFT_OBJECT_COUNTER);
	nftnl_expr_set_str(expr, NFTNL_EXPR_OBJREF_IMM_NAME, counter);
}

void expr_log(struct expr_maker *maker, const char *prefix, uint16_t group,
	      uint32_t snaplen_bytes)
{
	struct nftnl_expr *expr = add(maker, "log");

	if (!expr)
		return;
	nftnl_expr_set_str(expr, NFTNL_EXPR_LOG_PREFIX, prefix);
	nftnl_expr_set_u16(expr, NFTNL_EXPR_LOG_GROUP, group);
	nftnl_expr_set_u32(expr, NFTNL_EXPR_LOG_SNAPLEN, snaplen_bytes);
}

static struct nftnl_expr *add_verdict(struct expr_maker *maker, uint32_t verdict)
{
	struct nftnl_expr *expr = add(maker, "immediate");

	if (!expr)
		return NULL;
	nftnl_expr_set_u32(expr, NFTNL_EXPR_IMM_DREG, NFT_REG_VERDICT);
	nftnl_expr_set_u32(expr, NFTNL_EXPR_IMM_VERDICT, verdict);
	return expr;
}

void expr_return(struct expr_maker *maker)
{
	add_verdict(maker, (uint32_t)NFT_RETURN);
}

void expr_accept(struct expr_maker *maker)
{
	add_verdict(maker, NF_ACCEPT);
}

void expr_jump(struct expr_maker *maker, const char *chain)
{
	struct nftnl_expr *expr = add_verdict(maker, (uint32_t)NFT_JUMP);

	if (expr)
		nftnl_expr_set_str(expr, NFTNL_EXPR_IMM_CHAIN, chain);
}

struct bytes {
	const uint8_t *at;
	size_t len;
};

/* Without the zeroes at its end: of texts the kernel tells the NUL, which libnftnl does not always
 * send. What is not there is zero as well: the kernel leaves some of that out, and tells of some
 * that nobody set. */
static struct bytes bytes_of(const struct nlattr *attr)
{
	struct bytes bytes = { NULL, 0 };

	if (attr)
		bytes = (struct bytes){ mnl_attr_get_payload(attr),
					mnl_attr_get_payload_len(attr) };
	while (bytes.len > 0 && bytes.at[bytes.len - 1] == 0)
		bytes.len--;
	return bytes;
}

static bool same_attribute(const struct nlattr *a, const struct nlattr *wanted);

static bool same_nest(const struct nlattr *a, const struct nlattr *wanted)
{
	const struct nlattr *tb[EXPR_ATTRIBUTES + 1], *wanted_tb[EXPR_ATTRIBUTES + 1];

	if (attr_table_of_nest(tb, EXPR_ATTRIBUTES, a) ||
	    attr_table_of_nest(wanted_tb, EXPR_ATTRIBUTES, wanted))
		return false;
	for (unsigned int i = 0; i <= EXPR_ATTRIBUTES; i++)
		if (!same_attribute(tb[i], wanted_tb[i]))
			return false;
	return true;
}

/* Ours is marked where others nest in it; the kernel's often is not. */
static bool same_attribute(const struct nlattr *a, const struct nlattr *wanted)
{
	struct bytes bytes = bytes_of(a), wanted_bytes = bytes_of(wanted);

	if (a && wanted && wanted->nla_type & NLA_F_NESTED)
		return same_nest(a, wanted);
	return bytes.len == wanted_bytes.len &&
	       (bytes.len == 0 || memcmp(bytes.at, wanted_bytes.at, bytes.len) == 0);
}

/* The next expression of a list behind `expr` (NULL: the first); NULL at its end. */
static const struct nlattr *next(const struct nlattr *list, const struct nlattr *expr)
{
	const char *end = (const char *)list + list->nla_len;

	expr = expr ? mnl_attr_next(expr) : mnl_attr_get_payload(list);
	return mnl_attr_ok(expr, (int)(end - (const char *)expr)) ? expr : NULL;
}

bool expr_all_equal(const struct nlattr *standing, const struct nftnl_rule *rule)
{
	_Alignas(struct nlmsghdr) char buf[BATCH_MESSAGE_BYTES];
	struct nlmsghdr *nlh = nftnl_nlmsg_build_hdr(buf, NFT_MSG_NEWRULE, NFPROTO_INET, 0, 0);
	const struct nlattr *tb[NFTA_RULE_MAX + 1], *wanted, *a = NULL, *b = NULL;

	nftnl_rule_nlmsg_build_payload(nlh, (struct nftnl_rule *)rule);
	if (attr_table_of_message(tb, NFTA_RULE_MAX, nlh, sizeof(struct nfgenmsg)))
		return false;
	wanted = tb[NFTA_RULE_EXPRESSIONS];
	if (!standing || !wanted)
		return !standing && !wanted;
	do {
		a = next(standing, a);
		b = next(wanted, b);
	} while (a && b && same_nest(a, b));
	return !a && !b;
}
