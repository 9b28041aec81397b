/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NFWHO_DISTINCT_H
#define NFWHO_DISTINCT_H

#include <stdbool.h>
#include <stdint.h>

/*
 * How many different values there were, in 16 KiB. Up to DISTINCT_EXACT_MAX of them the values
 * themselves are kept and the number is exact; from then on it is estimated: HyperLogLog with
 * 2^14 registers, standard error 0.8 %, which is within 3 % in all but one of some thousand cases.
 */
#define DISTINCT_EXACT_MAX 1024

#define DISTINCT_SLOTS (2 * DISTINCT_EXACT_MAX)
#define DISTINCT_REGISTERS (1 << 14)

struct distinct {
	uint32_t count;		/* exact, while it is */
	bool estimated;
	union {
		uint64_t values[DISTINCT_SLOTS];
		uint8_t registers[DISTINCT_REGISTERS];
	};
};

/* Zeroes are an empty one. `hash`: 64 evenly spread bits that stand for the value (lib/hash). */
void distinct_add(struct distinct *d, uint64_t hash);

uint64_t distinct_count(const struct distinct *d);

#endif
