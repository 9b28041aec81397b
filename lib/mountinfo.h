/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NFWHO_MOUNTINFO_H
#define NFWHO_MOUNTINFO_H

#include <stdbool.h>
#include <stddef.h>

/* Lines of /proc/PID/mountinfo (Documentation/filesystems/proc.rst, 3.5). */

/* Words of the line, each up to the next space, newline or NUL. */
struct mountinfo {
	const char *root;	/* what of the file system is mounted: "/" all of it */
	const char *point;
	const char *type;
};

/* False if the line is none. The words stay the line's. */
bool mountinfo_split(const char *line, struct mountinfo *m);

bool mountinfo_is(const char *word, const char *text);

/* The word with space, tab, newline and backslash as they are, which stand as \ooo. False if it is
 * empty or does not fit with its NUL. */
bool mountinfo_unescape(const char *word, char *out, size_t size);

#endif
