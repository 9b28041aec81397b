/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NFWHO_VALUE_H
#define NFWHO_VALUE_H

#include <stddef.h>
#include <stdint.h>

/* What a user writes as a value: numbers, sizes, words. The whole text must fit; no sign, no space.
 * Each returns 0, or -EINVAL after saying in `why` what was wrong with it and what would be
 * right. */

struct value_word {
	const char *name;
	uint32_t value;
};

int value_number(const char *text, uint64_t min, uint64_t max, uint64_t *number, char *why,
		 size_t size);

/* A number of bytes, K, M or G (powers of 1,024) allowed behind it. */
int value_size(const char *text, uint64_t min, uint64_t max, uint64_t *bytes, char *why,
	       size_t size);

/* An octal mode, at most 0777. */
int value_mode(const char *text, unsigned int *mode, char *why, size_t size);

/* One of `words`, which end with a NULL name. */
int value_word(const char *text, const struct value_word *words, uint32_t *value, char *why,
	       size_t size);

/* One or more of them with commas between: their values or-ed. */
int value_words(const char *text, const struct value_word *words, uint32_t *values, char *why,
		size_t size);

/* How many letters must change to make b of a: for "did you mean". Long words are cut. */
unsigned int value_distance(const char *a, const char *b);

#endif
