/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NFWHO_RATION_H
#define NFWHO_RATION_H

#include <stdbool.h>
#include <stdint.h>

/*
 * How often a source may wake us. Each wake-up by it takes a token; while there are tokens we react
 * at once, so that a quiet host sees its lines immediately. Without one the source is left alone, and
 * looked at every RATION_PAUSE_NS at the latest, until it has nothing to say for so long. Tokens
 * come back with time.
 */

#define RATION_PAUSE_NS 20000000ull

struct ration {
	int epoll_fd, fd;
	uint32_t tag;
	unsigned int tokens;
	uint64_t token_ns;	/* one comes back in this time */
	uint64_t earned_ns;	/* up to here they have come back */
	uint64_t look_ns;	/* when it is looked at next; 0: it is listened to */
};

/* Has epoll_fd tell of fd, which is borrowed, with that tag. Returns 0 or -errno. */
int ration_open(struct ration *r, int epoll_fd, int fd, uint32_t tag, uint64_t token_ns,
		uint64_t now_ns);

/* It woke us. */
void ration_take(struct ration *r, uint64_t now_ns);

/* It has been read to its end; whether there was anything. */
void ration_drained(struct ration *r, bool anything, uint64_t now_ns);

/* When it has to be read although it has not woken us; UINT64_MAX: never. */
uint64_t ration_next_ns(const struct ration *r);

#endif
