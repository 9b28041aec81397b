/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NFWHO_PASSWD_H
#define NFWHO_PASSWD_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Names for ids, from /etc/passwd and /etc/group alone: no NSS, for a directory server must not
 * stop the loop. A file that changed (device, inode, size or times) is read again; it is looked at
 * once per second at most.
 */
struct passwd;

/* Entries kept of one file; what follows is ignored. 65,536 take about 5 MiB. */
#define PASSWD_ENTRIES_MAX 65536
/* Longest name kept, without NUL: useradd's limit is 32. A longer one counts as unknown. */
#define PASSWD_NAME_MAX 63

/* path: "/etc/passwd" or a file of the same form (/etc/group). A missing or unreadable file has no
 * names and is looked for again. Returns 0 or -errno; the caller owns *out. */
int passwd_new(struct passwd **out, const char *path);
void passwd_free(struct passwd *p);

/* now_ns: CLOCK_MONOTONIC. Reads the file if it is new. Before the first call no name is known. */
void passwd_update(struct passwd *p, uint64_t now_ns);

/* The first entry with this id, as getpwuid(3) has it; "" if there is none. Valid until the next
 * passwd_update. */
const char *passwd_name(const struct passwd *p, uint32_t id);

/* The id of the first entry with this name in the file as it is now; false if there is none. */
bool passwd_find(const char *path, const char *name, uint32_t *id);

#endif
