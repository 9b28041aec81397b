// SPDX-License-Identifier: GPL-2.0-or-later
#include "known.h"

#include <string.h>

static uint32_t print_of(uint64_t hash)
{
	uint32_t print = (uint32_t)(hash >> 32);

	return print ? print : 1;	/* 0 is an empty place */
}

static void put_first(uint32_t *set, unsigned int from, uint32_t print)
{
	memmove(set + 1, set, from * sizeof(*set));
	set[0] = print;
}

bool known_has(struct known *k, uint64_t hash)
{
	uint32_t *set = k->ways[hash % KNOWN_SETS], print = print_of(hash);

	for (unsigned int i = 0; i < KNOWN_WAYS; i++) {
		if (set[i] != print)
			continue;
		put_first(set, i, print);
		return true;
	}
	return false;
}

void known_add(struct known *k, uint64_t hash)
{
	if (!known_has(k, hash))
		put_first(k->ways[hash % KNOWN_SETS], KNOWN_WAYS - 1, print_of(hash));
}
