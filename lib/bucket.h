/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NFWHO_BUCKET_H
#define NFWHO_BUCKET_H

#include <stdint.h>

/* A token bucket that earns `rate` tokens a second and holds `burst` of them. Kept in billionths of
 * a token, so that a nanosecond earns a whole number of them and nothing is ever rounded. */
struct bucket {
	uint64_t nanotokens;
	uint64_t time_ns;	/* when it was last looked at */
};

/* Full. */
void bucket_init(struct bucket *b, uint32_t burst, uint64_t now_ns);

/* Adds what was earned since the last look and returns the whole tokens there are. Rate and burst
 * may be others than before. A clock that steps back earns nothing. */
uint32_t bucket_level(struct bucket *b, uint32_t rate, uint32_t burst, uint64_t now_ns);

/* Takes one; the level was at least one. */
void bucket_take(struct bucket *b);

#endif
