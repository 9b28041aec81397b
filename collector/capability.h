/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NFWHO_CAPABILITY_H
#define NFWHO_CAPABILITY_H

#include <linux/capability.h>
#include <stddef.h>
#include <stdint.h>

/* This process's capabilities as sets of bits. */

#ifndef CAP_PERFMON
#define CAP_PERFMON 38	/* Linux 5.8 */
#endif

#define CAPABILITY(number) (UINT64_C(1) << (number))

/* Those that are in effect. 0 or -errno. */
int capability_get(uint64_t *effective);

/* From now on holds those of `keep` that it holds now, all in effect, and no others; what a program
 * that it started could have had goes as well (inheritable, ambient, and, with CAP_SETPCAP, the
 * bounding set). 0 or -errno. */
int capability_limit(uint64_t keep);

/* All permitted ones take effect: a change of user puts them out of it even with PR_SET_KEEPCAPS.
 * 0 or -errno. */
int capability_raise(void);

/* "CAP_NET_ADMIN CAP_..." of the few that we use, and a number for all others; "none". */
void capability_names(uint64_t set, char *text, size_t size);

#endif
