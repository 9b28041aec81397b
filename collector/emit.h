/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NFWHO_EMIT_H
#define NFWHO_EMIT_H

#include "collector.h"

/* From a flow to lines in the outputs' formats. `data` is the collector: these are the join's
 * handlers. */
bool emit_start(struct flow *f, void *data);
void emit_end(struct flow *f, void *data);
void emit_open(struct flow *f, void *data);

/* What the rate limit held back, if anything. */
void emit_summaries(struct collector *c);
void emit_ledger(struct collector *c);
void emit_gap(struct collector *c, const struct record_gap *gap);

#endif
