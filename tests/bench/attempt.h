/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NFWHO_BENCH_ATTEMPT_H
#define NFWHO_BENCH_ATTEMPT_H

#include "truth.h"

struct destination {
	struct sockaddr_storage address;
	socklen_t len;
	uint8_t source[16];	/* what the routing table would choose */
};

enum attempt_end {
	ATTEMPT_RESET = 'r',	/* linger 0: no TIME_WAIT, ports are free again at once */
	ATTEMPT_CLOSE = 'c',
	ATTEMPT_WAIT = 'w',	/* for the other side to close first */
};

struct attempt {
	char end;		/* enum attempt_end */
	unsigned int hold_ms;	/* between connect() and close() */
	unsigned int timeout_ms;	/* connect() gives up; 0: when the kernel does */
};

/* "198.51.100.2:80" or "[2001:db8::2]:80". 0 or -EINVAL. */
int destination_parse(struct destination *to, const char *text);

/* One connection, from socket() to close(); `row` says what became of it. 0 or -errno when there
 * was no connect at all (no socket, no free port). */
int attempt_run(const struct attempt *attempt, const struct destination *to,
		struct truth_row *row);

/* The two halves of a row, for connects that are made in other ways. `attempt_begin` is called by
 * the process that calls connect(), just before it; `attempt_noted` when the port is known: it
 * fills in the tuple, the error and how long it took. */
void attempt_begin(struct truth_row *row);
void attempt_noted(struct truth_row *row, int fd, const struct destination *to, int error);

uint64_t clock_ns(clockid_t clock);
void sleep_until_ns(uint64_t monotonic_ns);

#endif
