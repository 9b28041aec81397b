// SPDX-License-Identifier: GPL-2.0-or-later
#include "bucket.h"

#define TOKEN 1000000000ull

void bucket_init(struct bucket *b, uint32_t burst, uint64_t now_ns)
{
	b->nanotokens = burst * TOKEN;
	b->time_ns = now_ns;
}

uint32_t bucket_level(struct bucket *b, uint32_t rate, uint32_t burst, uint64_t now_ns)
{
	uint64_t full = burst * TOKEN;
	uint64_t elapsed_ns = now_ns > b->time_ns ? now_ns - b->time_ns : 0;

	/* Compared before it is multiplied: a long silence must not overflow. */
	if (b->nanotokens >= full || (rate && elapsed_ns > (full - b->nanotokens) / rate))
		b->nanotokens = full;
	else
		b->nanotokens += elapsed_ns * rate;
	if (now_ns > b->time_ns)
		b->time_ns = now_ns;
	return (uint32_t)(b->nanotokens / TOKEN);
}

void bucket_take(struct bucket *b)
{
	b->nanotokens -= TOKEN;
}
