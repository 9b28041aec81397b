// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * HyperLogLog: a register keeps the longest run of zeroes seen in the hashes that fell to it. The
 * number is read from the histogram of the registers as Otmar Ertl proposes ("New cardinality
 * estimation algorithms for HyperLogLog sketches", 2017): one formula for small and large numbers
 * alike, without the bias that the original has where its two formulas meet.
 *
 * Limit: his correction for registers that cannot count any further is left out; with 64-bit hashes
 * that takes more than 2^50 values.
 */
#include "distinct.h"

#include <string.h>

#define REGISTER_BITS 14
#define RUN_MAX (64 - REGISTER_BITS + 1)

static void note(struct distinct *d, uint64_t hash)
{
	uint8_t *r = &d->registers[hash >> (64 - REGISTER_BITS)];
	/* The bit below the rest ends the longest run. */
	uint64_t rest = hash << REGISTER_BITS | 1ull << (REGISTER_BITS - 1);
	uint8_t run = (uint8_t)(__builtin_clzll(rest) + 1);

	if (run > *r)
		*r = run;
}

static void begin_to_estimate(struct distinct *d)
{
	uint64_t values[DISTINCT_SLOTS];

	memcpy(values, d->values, sizeof(values));
	memset(d->registers, 0, sizeof(d->registers));
	d->estimated = true;
	for (unsigned int i = 0; i < DISTINCT_SLOTS; i++)
		if (values[i])
			note(d, values[i]);
}

void distinct_add(struct distinct *d, uint64_t hash)
{
	unsigned int i = hash % DISTINCT_SLOTS;

	if (!hash)
		hash = 1;	/* 0 is an empty slot */
	if (!d->estimated) {
		while (d->values[i] && d->values[i] != hash)
			i = (i + 1) % DISTINCT_SLOTS;
		if (d->values[i] == hash)
			return;
		if (d->count < DISTINCT_EXACT_MAX) {
			d->values[i] = hash;
			d->count++;
			return;
		}
		begin_to_estimate(d);
	}
	note(d, hash);
}

/* The sum of x^(2^k) 2^(k-1) for k = 0, 1, … and x: what the empty registers stand for. */
static double sigma(double x)
{
	double sum = x, before, weight = 1;

	do {
		x *= x;
		before = sum;
		sum += x * weight;
		weight += weight;
	} while (sum != before);
	return sum;
}

uint64_t distinct_count(const struct distinct *d)
{
	const double m = DISTINCT_REGISTERS, half_over_ln2 = 0.72134752044448170368;
	unsigned int with_run[RUN_MAX + 1] = { 0 };
	double z = 0;

	if (!d->estimated)
		return d->count;
	for (unsigned int i = 0; i < DISTINCT_REGISTERS; i++)
		with_run[d->registers[i]]++;
	for (unsigned int run = RUN_MAX; run > 0; run--)
		z = 0.5 * (z + with_run[run]);
	z += m * sigma(with_run[0] / m);
	return (uint64_t)(half_over_ln2 * m * m / z + 0.5);
}
