/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NFWHO_TEST_HEX_H
#define NFWHO_TEST_HEX_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Hexadecimal digits, blanks between them ignored, into bytes. Returns how many. */
static inline size_t hex_read(uint8_t *out, size_t size, const char *text)
{
	char pair[3] = "";
	size_t n = 0;

	while (*text) {
		if (*text == ' ') {
			text++;
			continue;
		}
		memcpy(pair, text, 2);
		if (n < size)
			out[n] = (uint8_t)strtoul(pair, NULL, 16);
		n++;
		text += 2;
	}
	return n;
}

#endif
