/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NFWHO_UNSENT_H
#define NFWHO_UNSENT_H

#include "join.h"

/* Connects whose packet has not come. Part of the join. */

/* The socket is gone and every packet it can have sent has been read: written as unsent, or only
 * counted. */
void unsent_decide(struct join *j, struct flow *f);

/* Still silent. Established without a packet: it does not pass our hook. Otherwise it may be a
 * connect whose packets are dropped before it, and its end is worth a record. */
void unsent_recheck(struct join *j, struct flow *f);

#endif
