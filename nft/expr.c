// SPDX-License-Identifier: GPL-2.0-or-later
#include "expr.h"
#include "ruleset.h"

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <stdio.h>
#include <string.h>

#include <libnftnl/expr.h>
#include <libnftnl/rule.h>
#include <libnftnl/udata.h>

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

/* libnftnl has no comparison; what it prints of an expression is all that the expression does. */
static bool equal(const struct nftnl_expr *a, const struct nftnl_expr *b)
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

bool expr_all_equal(const struct nftnl_rule *a, const struct nftnl_rule *b)
{
	struct nftnl_expr_iter *iter_a = nftnl_expr_iter_create(a);
	struct nftnl_expr_iter *iter_b = nftnl_expr_iter_create(b);
	struct nftnl_expr *expr_a = NULL, *expr_b = NULL;
	bool same = iter_a && iter_b;

	while (same) {
		expr_a = nftnl_expr_iter_next(iter_a);
		expr_b = nftnl_expr_iter_next(iter_b);
		if (!expr_a || !expr_b)
			break;
		same = equal(expr_a, expr_b);
	}
	if (iter_a)
		nftnl_expr_iter_destroy(iter_a);
	if (iter_b)
		nftnl_expr_iter_destroy(iter_b);
	return same && !expr_a && !expr_b;
}
