/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NFWHO_ROUTE_H
#define NFWHO_ROUTE_H

#include "tuple.h"

struct route;

/* Returns 0 or -errno; the caller owns *out. */
int route_open(struct route **out);
void route_close(struct route *r);

/* Whether packets to this destination stay on this host: one RTM_GETROUTE, a few microseconds.
 * Returns 1, 0, or -errno (no route: -ENETUNREACH, -EHOSTUNREACH). */
int route_is_local(struct route *r, const struct tuple *t);

#endif
