/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NFWHO_WATCH_H
#define NFWHO_WATCH_H

#include "ring.h"
#include "sample.h"

/* All our events of one CPU, and the ring they write into. */

#define WATCH_FILTER_MAX 256

struct watch_config {
	size_t ring_bytes;			/* a power of two of pages */
	uint64_t sample_type;			/* SAMPLE_TYPE_FULL, with or without the cgroup */
	struct {
		bool wanted;
		uint32_t id;			/* the tracepoint's */
		char filter[WATCH_FILTER_MAX];	/* for the kernel; "": all */
	} source[SAMPLE_SOURCES];
	char connects[WATCH_FILTER_MAX];	/* socket transitions that are one */
	const char *lacks;			/* by a tracepoint that is not understood: a phrase;
						 * "": nothing */
};

struct watch {
	uint32_t cpu;
	int fd[SAMPLE_SOURCES];			/* -1: not open */
	uint64_t id[SAMPLE_SOURCES];
	int counter;				/* of connects, for nobody's ring; stands still */
	void *memory;
	size_t memory_bytes;
	struct ring ring;
	bool in_doubt;				/* PERF_DOUBT was handed on, PERF_WHOLE not yet */
	uint64_t doubt_ns;			/* when */
	bool gone;				/* its CPU is: read what is left, then close */
};

/* Opens, maps, redirects, filters and starts. Returns 0 or -errno, with a phrase in *why. */
int watch_open(struct watch **out, const struct watch_config *config, uint32_t cpu,
	       const char **why);
void watch_close(struct watch *w);

/* The descriptor that becomes readable. */
int watch_fd(const struct watch *w);

/* Which event a sample's identifier belongs to; SAMPLE_SOURCES if none of ours. */
enum sample_source watch_source(const struct watch *w, uint64_t id);

/* Whether an exec wakes the reader at once. Returns 0 or -errno. */
int watch_wake_on_exec(struct watch *w, bool on);

/* Events of a CPU that went offline stop for good and silently, also when it comes back (measured
 * on 6.18). Their enabled time stands still: known after 55 ms. That of a running one grows from
 * one asking to the next, or with the next tick of a kernel that has no better clock (5.10
 * emulated). */
bool watch_is_alive(const struct watch *w);

/* No more records; what is in the ring can still be read. */
void watch_stop(struct watch *w);

/* Has the counter count, from now on. Returns 0 or -errno. */
int watch_count(struct watch *w);

/* How many socket transitions the kernel counted, read from the ring or not. */
uint64_t watch_passed(const struct watch *w);

#endif
