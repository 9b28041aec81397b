/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NFWHO_UTF8_H
#define NFWHO_UTF8_H

#include <stdbool.h>
#include <stddef.h>

/* Bytes of a replacement character, U+FFFD. */
#define UTF8_REPLACEMENT "\xef\xbf\xbd"

/* Length of the character at s (len > 0), 1 to 4. Bytes that begin no well-formed character
 * (overlong forms, surrogates, beyond U+10FFFF, cut short) set *valid to false and count as far as
 * they could still have been the beginning of one: each such run is one U+FFFD, as the Unicode
 * standard recommends. */
size_t utf8_next(const void *s, size_t len, bool *valid);

/* Copies any bytes as well-formed UTF-8 with a final NUL, at most size - 1 bytes, whole characters
 * only. A NUL in the source becomes a space. Returns the length; *cut (may be NULL) is set to true
 * if something did not fit, and otherwise left alone. size > 0. */
size_t utf8_clean(char *dst, size_t size, const void *src, size_t len, bool *cut);

/* The same for people's terminals: C0 and C1 controls, DEL and the characters that reorder or
 * break lines (bidi controls, U+2028, U+2029) become \xNN or \uNNNN. */
size_t utf8_clean_text(char *dst, size_t size, const void *src, size_t len, bool *cut);

#endif
