/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NFWHO_TAKEOVER_H
#define NFWHO_TAKEOVER_H

#include "collector.h"

/* What one run of the collector leaves for the next, and takes from the one before, beside the
 * sockets: see the head of handover.c. */

/* Steps of a start. Connects since the last run's end, for the ledger: after our own trace began.
 * Its open connections: before anything tells of them. Both return 0: without them it works as
 * well. */
int takeover_missed(struct collector *c);
int takeover_connections(struct collector *c);

/* At the end of a run: the connections that are open. */
void takeover_leave(struct collector *c);

/* Gives the service manager what it is to keep, as soon as all is open. */
void takeover_keep(struct collector *c, const struct notify *n);

#endif
