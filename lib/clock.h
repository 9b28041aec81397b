/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NFWHO_CLOCK_H
#define NFWHO_CLOCK_H

#include <stdint.h>
#include <time.h>

/* A clock of clock_gettime(2), in nanoseconds. */
static inline uint64_t clock_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

#endif
