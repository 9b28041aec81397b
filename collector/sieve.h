/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NFWHO_SIEVE_H
#define NFWHO_SIEVE_H

#include "checklist.h"
#include "filter.h"
#include "flow.h"
#include "option.h"

/* Filters at work: what a flow is to them. */

struct collector;

/* Whether a filter leaves the connection out: the join's question. `data` is the collector. */
bool sieve_stops(const struct flow *f, void *data);

/* `check`: a line for each clause. */
void sieve_describe(struct checklist *c, const struct options *options);

#endif
