/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NFWHO_EXPR_H
#define NFWHO_EXPR_H

#include <stdbool.h>
#include <stdint.h>

struct nftnl_rule;
struct nlattr;

/* Expressions, one after the other, all by way of one register. */

/* A rule in the making; after the first failed allocation the rest does nothing. */
struct expr_maker {
	struct nftnl_rule *rule;
	bool failed;
};

/* A rule for this chain of our table; and the whole of it with its comment, which the caller owns.
 * NULL: no memory. */
void expr_begin(struct expr_maker *maker, const char *chain);
struct nftnl_rule *expr_finish(struct expr_maker *maker, const char *comment);

/* Into the register. Keys are NFT_META_*, NFT_CT_*; offset is into the network or transport
 * header. */
void expr_meta(struct expr_maker *maker, uint32_t key);
void expr_ct(struct expr_maker *maker, uint32_t key);
void expr_network(struct expr_maker *maker, uint32_t offset, uint32_t len);
void expr_transport(struct expr_maker *maker, uint32_t offset, uint32_t len);
void expr_mask(struct expr_maker *maker, const void *mask, uint32_t len);

/* Goes on if the register compares (NFT_CMP_*) with data. */
void expr_compare(struct expr_maker *maker, uint32_t op, const void *data, uint32_t len);

/* Goes on for what exceeds so many packets per second. */
void expr_over_limit(struct expr_maker *maker, uint32_t per_second);

void expr_count(struct expr_maker *maker, const char *counter);
void expr_log(struct expr_maker *maker, const char *prefix, uint16_t group,
	      uint32_t snaplen_bytes);
void expr_return(struct expr_maker *maker);
void expr_accept(struct expr_maker *maker);
void expr_jump(struct expr_maker *maker, const char *chain);

/* True if what the kernel says of a rule's expressions (NFTA_RULE_EXPRESSIONS, NULL: none) is what
 * this rule would tell it. */
bool expr_all_equal(const struct nlattr *standing, const struct nftnl_rule *rule);

#endif
