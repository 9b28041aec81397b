/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NFWHO_RULES_STAND_H
#define NFWHO_RULES_STAND_H

#include "collector.h"

/* A step of the start, after the group is bound: the rules stand afterwards, whoever made them, and
 * the ledger knows from which count on they are this run's. Returns 0, or -1 after a line on
 * stderr. */
int rules_stand(struct collector *c);

#endif
