/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NFWHO_TEST_RECORDER_H
#define NFWHO_TEST_RECORDER_H

#include "perf.h"

#include <sys/types.h>

/* Keeps what the trace said, for tests that look at it afterwards. */

#define RECORDER_MAX 65536
#define RECORDER_TEXT 64

struct recorder {
	struct perf *perf;
	size_t count;
	uint64_t connects;	/* transitions to SYN_SENT, of anybody */
	struct perf_event event[RECORDER_MAX];
	char text[RECORDER_MAX][RECORDER_TEXT];	/* the event's string, if it has one */
};

/* Enters a network namespace with 198.51.100.1 and 2001:db8::1 on a device whose packets nobody
 * answers (neighbours .9 and ::9). Returns 0; or with a line that says why 77 where something is
 * not permitted or the kernel has no tracefs, 1 if the trace does not work. */
int recorder_world(void);

struct recorder *recorder_open(uint32_t ring_bytes);
void recorder_close(struct recorder *r);

/* Forgets what came so far, including what waits in the rings. */
void recorder_forget(struct recorder *r);

/* Reads all that is in the rings. */
void recorder_read(struct recorder *r);

void recorder_read_until(struct recorder *r, uint64_t until_ns);

/* The next transition to SYN_SENT with this destination port, at or after index `from`. NULL if
 * there is none. */
const struct perf_event *recorder_connect(const struct recorder *r, size_t from, uint16_t dport);

/* The next transition of the same socket after `event`. NULL if there is none. */
const struct perf_event *recorder_next(const struct recorder *r, const struct perf_event *event);

/* The next event of this kind after `event` (NULL: from the start) in this thread (0: any). */
const struct perf_event *recorder_find(const struct recorder *r, const struct perf_event *event,
				       enum perf_kind kind, uint32_t tid);

uint64_t recorder_now_ns(void);

/* A TCP socket bound to nothing; closed on exec. */
int recorder_socket(int family, int flags);

/* Connects to a port of loopback, or of the neighbour that never answers. 0 or -errno. */
int recorder_connect_to(int fd, const char *address, uint16_t port);

#define RECORDER_VOID4 "198.51.100.9"
#define RECORDER_VOID6 "2001:db8::9"

/* A destination port that was not used before, by which an attempt is found again. */
uint16_t recorder_fresh_port(void);

/* Begins to connect to an address that never answers, and gives up. */
void recorder_attempt(const char *address, uint16_t port);

/* A listener on loopback; its port in *port. */
int recorder_listen(int family, uint16_t *port);

uint16_t recorder_port(int fd);

#endif
