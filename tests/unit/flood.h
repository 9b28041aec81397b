/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NFWHO_TEST_FLOOD_H
#define NFWHO_TEST_FLOOD_H

/* Connections against a rate limit whose clock stands still unless it is moved, and what the
 * summaries say of them. */

#include "limit.h"
#include "refstr.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SECOND_NS 1000000000ull
#define MS 1000000ull
#define REAL_NS (1767323045 * SECOND_NS)

struct world {
	struct limit *limit;
	uint64_t now_ns;
	uint64_t written, held;		/* as limit_start() said */
	/* What the summaries said. */
	unsigned int told;
	uint64_t count, ended, bytes[2], reasons[REASON_ABORTED + 1];
	struct record_suppressed last;	/* its strings are gone */
	char executable[64];
	unsigned int others;
};

static inline void open_world(struct world *w, uint32_t rate, uint32_t burst, uint32_t rate_total)
{
	struct limit_config config = { rate, burst, rate_total, 10 * SECOND_NS };

	*w = (struct world) { .now_ns = 1000 * SECOND_NS };
	assert_int_equal(limit_new(&w->limit, &config, w->now_ns), 0);
}

static inline void take_summary(struct record_suppressed *s, void *data)
{
	struct world *w = data;

	w->told++;
	w->others += s->others;
	w->count += s->count;
	w->ended += s->ended;
	for (unsigned int i = 0; i < 2; i++)
		w->bytes[i] += s->bytes[i];
	for (unsigned int i = 0; i <= REASON_ABORTED; i++)
		w->reasons[i] += s->reasons[i];
	w->last = *s;
	snprintf(w->executable, sizeof(w->executable), "%s", s->executable);
}

static inline void tell(struct world *w)
{
	limit_tell(w->limit, REAL_NS + w->now_ns, take_summary, w);
	assert_true(limit_due_ns(w->limit) == UINT64_MAX);
}

static inline struct process *program(const char *executable, uint32_t pid)
{
	struct process *p = calloc(1, sizeof(*p));

	assert_non_null(p);
	p->refs = 1;
	p->pid = pid;
	p->known = PROCESS_EXECUTABLE | PROCESS_IDS;
	p->executable = refstr_new(executable, strlen(executable));
	return p;
}

/* From process p (NULL: user `uid` alone) to 10.x.x.x. */
static inline struct flow flow(struct world *w, struct process *p, uint32_t uid, uint32_t address,
			uint16_t port)
{
	struct flow f = {
		.seen = FLOW_PACKET | FLOW_UID, .uid = uid, .process = p,
		.owner = p ? OWNER_TRACE : OWNER_UID, .start_real_ns = REAL_NS + w->now_ns,
		.tuple = { .family = AF_INET, .protocol = IPPROTO_TCP, .dport = htons(port) },
	};

	f.tuple.dst.ip4 = htonl(0x0a000000 + address);
	return f;
}

static inline bool start(struct world *w, struct flow *f)
{
	bool written = limit_start(w->limit, f, w->now_ns);

	if (written)
		w->written++;
	else
		w->held++;
	return written;
}

static inline bool attempt(struct world *w, struct process *p, uint32_t uid, uint32_t address,
			   uint16_t port)
{
	struct flow f = flow(w, p, uid, address, port);

	return start(w, &f);
}

static inline void end(struct world *w, struct flow *f, enum flow_reason reason)
{
	f->reason = (uint8_t)reason;
	f->seen |= FLOW_COUNTERS;
	f->bytes[0] = 100;
	f->bytes[1] = 1000;
	limit_end(w->limit, f, w->now_ns);
}

#endif
