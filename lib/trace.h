/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NFWHO_TRACE_H
#define NFWHO_TRACE_H

#include "flow.h"
#include "perf.h"
#include "process.h"

/* What the kernel's socket trace says about connects, kept in the flow table. */

struct trace;

struct trace_config {
	struct flow_table *flows;		/* borrowed */
	struct process_table *processes;	/* borrowed */
	bool loopback;		/* follow connects to loopback, too */
	uint64_t begun_ns;	/* CLOCK_MONOTONIC: nothing is known of before */
};

/* What an event has changed about a flow: bits. */
enum trace_change {
	TRACE_CONNECT	= 1 << 0,	/* a new flow, its connect() has just begun */
	TRACE_PORT	= 1 << 1,	/* its tuple is complete now, and indexed */
	TRACE_ANSWERED	= 1 << 2,
	TRACE_FAILED	= 1 << 3,	/* its socket reported an error */
	TRACE_CLOSING	= 1 << 4,	/* a FIN went out or came in */
	TRACE_CLOSED	= 1 << 5,	/* the socket is gone */
};

struct trace_stats {
	uint64_t connects;	/* calls of connect() seen */
	uint64_t loopback;	/* of those left out */
};

/* Wall time of an instant, given by whoever reads the clocks. */
typedef uint64_t trace_wall(uint64_t time_ns, void *data);
typedef void trace_handler(struct flow *f, unsigned int changes, void *data);

/* Returns 0 or -errno; the caller owns *out. */
int trace_new(struct trace **out, const struct trace_config *config);
void trace_free(struct trace *t);

/* Takes one record of a kind that concerns sockets (state, route, error, lost), in time order, and
 * calls `handler` for each flow that it changes. The table must have room for one more flow. */
void trace_event(struct trace *t, const struct perf_event *event, trace_wall *wall,
		 trace_handler *handler, void *data);

/* Whether `connect`, a pending one, can have sent a packet from this source port, as far as the
 * trace alone can tell: not if the route lookup that would have told of another port is missing
 * although nothing was lost. */
bool trace_port_possible(const struct trace *t, const struct flow *connect, be16 sport);

/* A connect that had no packet yet left the table for want of room: as if it had been lost. */
void trace_forgotten(struct trace *t, uint64_t time_ns);

/* Whether everything since time_ns (CLOCK_MONOTONIC) was read and kept: no ring lost anything. */
bool trace_complete_since(const struct trace *t, uint64_t time_ns);

/* Whether that will be known with the next record of some CPU only. */
bool trace_in_doubt(const struct trace *t);

/* The packet told the port of a pending connect: completes its tuple and indexes it. */
void trace_learn_port(struct trace *t, struct flow *connect, be16 sport);

const struct trace_stats *trace_stats(const struct trace *t);

#endif
