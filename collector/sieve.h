/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NFWHO_SIEVE_H
#define NFWHO_SIEVE_H

#include "checklist.h"
#include "filter.h"
#include "flow.h"
#include "option.h"

/* Filters at work: what a flow is to them, and what of them stands in the rules. */

struct collector;

/* Whether a filter leaves the connection out: the join's question. `data` is the collector. One
 * that no packet was seen of is left out, too, if our rules may have left out its packet. */
bool sieve_stops(const struct flow *f, void *data);

/* The terms that rules of ours can decide with these options (enum filter_key): users only where
 * the rules see sockets, and count users as we do. To be asked before confine_finish(). */
uint32_t sieve_rule_keys(const struct options *options);

/* Puts what the rules can decide of these options' filters into them, if they are ours alone. 0 or
 * -errno. */
int sieve_put(struct collector *c, const struct options *options);

/* `check`: a line for each clause. owned: the rules will be ours alone. */
void sieve_describe(struct checklist *c, const struct options *options, bool owned);

#endif
