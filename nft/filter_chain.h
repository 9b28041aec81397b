/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NFWHO_FILTER_CHAIN_H
#define NFWHO_FILTER_CHAIN_H

#include "filter.h"

#include <stdbool.h>

struct nftnl_rule;

/*
 * A filter as one chain that packets pass before they are logged: what it leaves out is counted and
 * accepted there (which ends our hook for it, nobody else's), what it lets through returns.
 */

#define FILTER_CHAIN "filter"

struct filter_rule {
	const struct filter_clause *clause;	/* NULL: what no `only` clause has let through */
	uint8_t icmp;		/* which of the two: IPPROTO_ICMP, IPPROTO_ICMPV6; else 0 */
	bool counts;		/* leaves out, else lets through */
	bool known_user;	/* only what has a user: of the rest the listener may know more */
};

/* Two for each clause at most, and the last one. */
#define FILTER_RULES_MAX (FILTER_LISTS * FILTER_CLAUSES_MAX * 2 + 1)

/* All rules in their order. Returns how many; 0: the filter lets everything through. */
unsigned int filter_rules(const struct filter *f,
			  struct filter_rule rules[static FILTER_RULES_MAX]);

/* The rule as libnftnl object, complete; NULL: no memory. */
struct nftnl_rule *filter_rule_build(const struct filter_rule *rule);

#endif
