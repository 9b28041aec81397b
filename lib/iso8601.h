/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NFWHO_ISO8601_H
#define NFWHO_ISO8601_H

#include <stddef.h>
#include <stdint.h>

/* "2026-01-02T03:04:05.000006Z" and its NUL. */
#define ISO8601_MAX 28

/* The day printed last: records of one day share its date. Zeroed to begin with. */
struct iso8601 {
	uint64_t day;
	char date[11];
};

/* Writes a CLOCK_REALTIME instant as UTC with microseconds (cut, not rounded, so that no record
 * comes from the future). Returns the length without NUL. */
size_t iso8601_format(struct iso8601 *cache, uint64_t real_ns, char buf[static ISO8601_MAX]);

#endif
