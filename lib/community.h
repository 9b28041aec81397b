/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NFWHO_COMMUNITY_H
#define NFWHO_COMMUNITY_H

#include "tuple.h"

/* "1:", 28 characters of base64, NUL. */
#define COMMUNITY_ID_MAX 31

/* Community ID version 1 of a tuple, the same for both directions. Of ICMP it takes what struct
 * tuple keeps: type and code. Returns the length, always COMMUNITY_ID_MAX - 1. */
size_t community_id(const struct tuple *t, uint16_t seed, char id[static COMMUNITY_ID_MAX]);

#endif
