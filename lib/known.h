/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NFWHO_KNOWN_H
#define NFWHO_KNOWN_H

#include <stdbool.h>
#include <stdint.h>

/*
 * The addresses that somebody has used lately, in 2 KiB: 64 sets of 8, each in order of last use,
 * so that what is in use stays and one new address drives out at most one old one.
 * An address is kept as 32 bits of a keyed hash: one that was never used is taken for known in one
 * case of 500 million.
 */
#define KNOWN_SETS 64
#define KNOWN_WAYS 8

struct known {
	uint32_t ways[KNOWN_SETS][KNOWN_WAYS];
};

/* Whether it was added and not driven out since. Zeroes know nothing. */
bool known_has(struct known *k, uint64_t hash);

void known_add(struct known *k, uint64_t hash);

#endif
