/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NFWHO_RULES_FILE_H
#define NFWHO_RULES_FILE_H

#include <stdbool.h>
#include <stddef.h>

/* The file with the static ruleset: written beside its place first, moved there last. */

struct rules_file {
	int directory;			/* descriptor */
	char name[256], temporary[256];	/* in it */
};

/* Writes a temporary file beside `path`, making the last directory of `path` if it is missing.
 * 0 or -errno: -EINVAL (no file name), -ENAMETOOLONG, -EEXIST (what is there does not look
 * like ours), and those of open(2), read(2) and write(2). Links are not followed. */
int rules_file_write(struct rules_file *file, const char *path, const char *text, size_t len);

/* Puts it into its place, or takes it away again. */
int rules_file_commit(struct rules_file *file);
void rules_file_abandon(struct rules_file *file);

/* Removes our file. 0 also if there was none; -EEXIST: what is there does not look like ours. */
int rules_file_remove(const char *path);

/* The file nft loads at boot on this host. */
const char *rules_file_boot(void);

/* Whether that file has `path` in it, letter by letter. */
bool rules_file_is_included(const char *path);

#endif
