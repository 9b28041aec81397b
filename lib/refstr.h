/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NFWHO_REFSTR_H
#define NFWHO_REFSTR_H

#include <stdbool.h>
#include <stddef.h>

/* A constant string with a reference count before its first byte, so that thousands of forked
 * children a second can show their parent's program without a copy. It reads as any char *. */

/* Copies len bytes and ends them with NUL. One reference; NULL without memory. */
char *refstr_new(const char *bytes, size_t len);

/* Another reference to the same; NULL stays NULL. */
char *refstr_ref(char *s);

/* Gives one reference back; NULL is allowed. */
void refstr_unref(char *s);

/* Gives *at back and makes it NULL. */
void refstr_clear(char **at);

/* It is not what the others who refer to it take it for: they can see that. *at, of len bytes, is a
 * copy of its own afterwards, NULL without memory. */
void refstr_disown(char **at, size_t len);
bool refstr_is_disowned(const char *s);

#endif
