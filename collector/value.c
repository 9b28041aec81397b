// SPDX-License-Identifier: GPL-2.0-or-later
#include "value.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* Reads digits of `base` at *text, which is moved behind them. False: none, or over 64 bits. */
static bool digits(const char **text, unsigned int base, uint64_t *number)
{
	const char *at = *text;

	*number = 0;
	for (; *at >= '0' && *at < (char)('0' + base); at++) {
		if (__builtin_mul_overflow(*number, base, number) ||
		    __builtin_add_overflow(*number, (uint64_t)(*at - '0'), number))
			return false;
	}
	if (at == *text)
		return false;
	*text = at;
	return true;
}

int value_number(const char *text, uint64_t min, uint64_t max, uint64_t *number, char *why,
		 size_t size)
{
	const char *at = text;

	if (digits(&at, 10, number) && !*at && *number >= min && *number <= max)
		return 0;
	snprintf(why, size, "\"%.80s\" is not a number from %" PRIu64 " to %" PRIu64, text, min,
		 max);
	return -EINVAL;
}

static int size_shift(const char *suffix)
{
	static const char letters[] = "KMG";
	const char *letter;

	if (!*suffix)
		return 0;
	letter = strchr(letters, *suffix);
	return letter && !suffix[1] ? (int)(letter - letters + 1) * 10 : -1;
}

/* The shortest exact way to write a size. */
static const char *size_text(uint64_t bytes, char *buf, size_t size)
{
	static const char letters[] = "\0KMG";
	unsigned int step = 0;

	while (step < 3 && bytes && bytes % 1024 == 0) {
		bytes /= 1024;
		step++;
	}
	snprintf(buf, size, "%" PRIu64 "%.1s", bytes, letters + step);
	return buf;
}

int value_size(const char *text, uint64_t min, uint64_t max, uint64_t *bytes, char *why,
	       size_t size)
{
	char low[32], high[32];
	const char *at = text;
	int shift;

	if (digits(&at, 10, bytes)) {
		shift = size_shift(at);
		if (shift >= 0 && *bytes <= UINT64_MAX >> shift) {
			*bytes <<= shift;
			if (*bytes >= min && *bytes <= max)
				return 0;
		}
	}
	snprintf(why, size, "\"%.80s\" is not a size from %s to %s, such as 16M", text,
		 size_text(min, low, sizeof(low)), size_text(max, high, sizeof(high)));
	return -EINVAL;
}

int value_mode(const char *text, unsigned int *mode, char *why, size_t size)
{
	const char *at = text;
	uint64_t bits;

	if (digits(&at, 8, &bits) && !*at && bits <= 0777) {
		*mode = (unsigned int)bits;
		return 0;
	}
	snprintf(why, size, "\"%.80s\" is not an octal mode such as 0640", text);
	return -EINVAL;
}

static const struct value_word *find_word(const char *text, size_t len,
					  const struct value_word *words)
{
	for (; words->name; words++) {
		if (strlen(words->name) == len && memcmp(words->name, text, len) == 0)
			return words;
	}
	return NULL;
}

static int refuse_word(const char *text, size_t len, const struct value_word *words, char *why,
		       size_t size)
{
	size_t used;

	snprintf(why, size, "\"%.*s\" is none of", (int)(len < 80 ? len : 80), text);
	for (; words->name; words++) {
		used = strlen(why);
		snprintf(why + used, size - used, " %s%s", words->name, words[1].name ? "," : "");
	}
	return -EINVAL;
}

int value_word(const char *text, const struct value_word *words, uint32_t *value, char *why,
	       size_t size)
{
	const struct value_word *word = find_word(text, strlen(text), words);

	if (!word)
		return refuse_word(text, strlen(text), words, why, size);
	*value = word->value;
	return 0;
}

int value_words(const char *text, const struct value_word *words, uint32_t *values, char *why,
		size_t size)
{
	const struct value_word *word;
	size_t len;

	*values = 0;
	for (;; text += len + 1) {
		len = strcspn(text, ",");
		word = find_word(text, len, words);
		if (!word)
			return refuse_word(text, len, words, why, size);
		*values |= word->value;
		if (!text[len])
			return 0;
	}
}

unsigned int value_distance(const char *a, const char *b)
{
	enum { LONGEST = 32 };
	size_t a_len = strnlen(a, LONGEST), b_len = strnlen(b, LONGEST);
	unsigned int row[LONGEST + 1], diagonal, above, best;

	for (size_t j = 0; j <= b_len; j++)
		row[j] = (unsigned int)j;
	for (size_t i = 1; i <= a_len; i++) {
		diagonal = row[0];
		row[0] = (unsigned int)i;
		for (size_t j = 1; j <= b_len; j++) {
			above = row[j];
			best = diagonal + (a[i - 1] != b[j - 1]);
			if (above + 1 < best)
				best = above + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			row[j] = best;
			diagonal = above;
		}
	}
	return row[b_len];
}
