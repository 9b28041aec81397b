// SPDX-License-Identifier: GPL-2.0-or-later
#include "utf8.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* First bytes, and the range the second byte must be in: table 3-7 of the Unicode standard. */
static const struct {
	uint8_t first, last, length, low, high;
} leads[] = {
	{ 0xc2, 0xdf, 2, 0x80, 0xbf },
	{ 0xe0, 0xe0, 3, 0xa0, 0xbf },
	{ 0xe1, 0xec, 3, 0x80, 0xbf },
	{ 0xed, 0xed, 3, 0x80, 0x9f },
	{ 0xee, 0xef, 3, 0x80, 0xbf },
	{ 0xf0, 0xf0, 4, 0x90, 0xbf },
	{ 0xf1, 0xf3, 4, 0x80, 0xbf },
	{ 0xf4, 0xf4, 4, 0x80, 0x8f },
};

size_t utf8_next(const void *s, size_t len, bool *valid)
{
	const uint8_t *at = s;
	size_t n;

	*valid = at[0] < 0x80;
	if (*valid)
		return 1;
	for (size_t i = 0; i < sizeof(leads) / sizeof(leads[0]); i++) {
		if (at[0] < leads[i].first || at[0] > leads[i].last)
			continue;
		if (len < 2 || at[1] < leads[i].low || at[1] > leads[i].high)
			return 1;
		for (n = 2; n < leads[i].length; n++) {
			if (n >= len || (at[n] & 0xc0) != 0x80)
				return n;
		}
		*valid = true;
		return n;
	}
	return 1;
}

static uint32_t code_point(const uint8_t *s, size_t n)
{
	static const uint8_t masks[] = { 0, 0x7f, 0x1f, 0x0f, 0x07 };
	uint32_t c = s[0] & masks[n];

	for (size_t i = 1; i < n; i++)
		c = c << 6 | (s[i] & 0x3f);
	return c;
}

static bool is_disturbing(uint32_t c)
{
	return c < 0x20 || (c >= 0x7f && c <= 0x9f) || c == 0x061c ||
	       c == 0x200e || c == 0x200f || (c >= 0x2028 && c <= 0x202e) ||
	       (c >= 0x2066 && c <= 0x2069) || c == 0xfeff;
}

static size_t clean(char *dst, size_t size, const uint8_t *src, size_t len, bool escape, bool *cut)
{
	size_t out = 0, step, n;

	for (size_t i = 0; i < len; i += step) {
		const char *from = (const char *)src + i;
		char escaped[12];
		bool valid;

		step = n = utf8_next(src + i, len - i, &valid);
		if (!valid) {
			from = UTF8_REPLACEMENT;
			n = strlen(UTF8_REPLACEMENT);
		} else if (src[i] == '\0') {
			from = " ";
		} else if (escape && is_disturbing(code_point(src + i, n))) {
			n = snprintf(escaped, sizeof(escaped), n == 1 ? "\\x%02x" : "\\u%04x",
				     code_point(src + i, n));
			from = escaped;
		}
		if (n >= size - out) {
			if (cut)
				*cut = true;
			break;
		}
		memcpy(dst + out, from, n);
		out += n;
	}
	dst[out] = '\0';
	return out;
}

size_t utf8_clean(char *dst, size_t size, const void *src, size_t len, bool *cut)
{
	return clean(dst, size, src, len, false, cut);
}

size_t utf8_clean_text(char *dst, size_t size, const void *src, size_t len, bool *cut)
{
	return clean(dst, size, src, len, true, cut);
}
