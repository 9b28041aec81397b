/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NFWHO_CPULIST_H
#define NFWHO_CPULIST_H

#include <stdbool.h>
#include <stddef.h>

/* A list of CPUs as sysfs writes it: "0-3,6\n". */

#define CPULIST_MAX 8192	/* the most CPUs that Linux can be built for */
#define CPULIST_BYTES 20480	/* every second one of them, four digits and a comma each */

/* Sets the bool of each CPU that is in the list, and clears all others. Returns 0, or -EBADMSG if
 * that is no list: one without its newline, which may have been cut off, or without a CPU in it, is
 * none either. */
int cpulist_parse(const char *text, size_t len, bool cpus[static CPULIST_MAX]);

#endif
