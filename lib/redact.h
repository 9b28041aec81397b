/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NFWHO_REDACT_H
#define NFWHO_REDACT_H

#include <stddef.h>

/* What stands in place of a secret. */
#define REDACT_MARK "[redacted]"

/* Writes a command line (arguments separated by NUL, as in /proc/PID/cmdline) as one line with
 * spaces between the arguments and REDACT_MARK in place of what looks like a secret: values behind
 * options and assignments named like one, credentials in URLs, a few programs' own short options,
 * tokens of well-known shape. It errs towards hiding. Bytes are otherwise copied as they are.
 * Returns the length written, without the final NUL; what does not fit in size - 1 is left out. */
size_t redact(char *out, size_t size, const char *args, size_t len);

/* The same line with nothing replaced. */
size_t redact_nothing(char *out, size_t size, const char *args, size_t len);

#endif
