/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NFWHO_FLOW_H
#define NFWHO_FLOW_H

#include "owner.h"
#include "process.h"
#include "tuple.h"

/* What a flow has been witnessed by, and how far it has come. */
enum flow_seen {
	FLOW_PACKET	= 1 << 0,	/* its first packet came by NFLOG */
	FLOW_CONNECT	= 1 << 1,	/* the trace saw its connect() */
	FLOW_NEW	= 1 << 2,	/* conntrack confirmed it */
	FLOW_DESTROY	= 1 << 3,	/* conntrack forgot it: counters are final */
	FLOW_PORT	= 1 << 4,	/* the source port is true (see lib/trace) */
	FLOW_ANSWERED	= 1 << 5,	/* established: by the trace, or by conntrack's status */
	FLOW_ERROR	= 1 << 6,	/* error holds the socket's errno */
	FLOW_CLOSED	= 1 << 7,	/* the socket is gone, or was closed by its process */
	FLOW_PEER_CLOSED = 1 << 8,	/* the other side's FIN came first */
	FLOW_COUNTERS	= 1 << 9,	/* bytes and packets hold */
	FLOW_REPLY	= 1 << 10,	/* the reply tuple is known */
	FLOW_CT_ID	= 1 << 11,
	FLOW_TCP_STATE	= 1 << 12,	/* tcp_state holds conntrack's last state */
	FLOW_UID	= 1 << 13,
	FLOW_GID	= 1 << 14,
	FLOW_INGRESS	= 1 << 15,	/* logged on its way in: no owner here */
	FLOW_STARTED	= 1 << 16,	/* its start was handed on */
	FLOW_ENDED	= 1 << 17,	/* its end was handed on */
	FLOW_SUPPRESSED	= 1 << 18,	/* held back by the rate limit: its end will be too */
	FLOW_CT_LOST	= 1 << 19,	/* conntrack messages were lost while it lived */
	FLOW_LATE	= 1 << 20,	/* its packet was read late, and when it was sent is not
					 * known: conntrack may have had its word before */
	FLOW_UNTRACKED	= 1 << 21,	/* the packet carried no conntrack entry: notrack */
	FLOW_END_UNTOLD	= 1 << 22,	/* left out by a filter, or nothing but starts is wanted, or
					 * nobody would tell us: nothing more is told */
	FLOW_EARLIER	= 1 << 23,	/* its connect was before the trace began */
	FLOW_RST	= 1 << 24,	/* the socket went as by a RST, of either side */
	FLOW_KERNEL	= 1 << 25,	/* connected by a kernel thread */
	FLOW_SHARED	= 1 << 26,	/* several processes hold the socket: the join lists them */
	FLOW_ROUTE_MISSED = 1 << 27,	/* lib/trace may have missed its route lookup, or
					 * not have known it for its */
	FLOW_DOUBTED	= 1 << 28,	/* lib/resync found no entry of it */
	FLOW_UNCOUNTED	= 1 << 29,	/* bytes were counted that are not known:
					 * FLOW_COUNTERS will never be */
	FLOW_REMOVED	= 1 << 30,	/* an entry of it was removed under it, its bytes added */
	FLOW_RESUMED	= 1u << 31,	/* was open before this run, which writes its end only */
};

enum flow_reason {
	REASON_NONE,	/* not known, left out */
	REASON_CLOSED, REASON_RESET, REASON_EXPIRED,
	REASON_REFUSED, REASON_UNREACHABLE, REASON_TIMED_OUT, REASON_BLOCKED, REASON_UNSENT,
	REASON_ABORTED,
};

#define FLOW_BY_TUPLE	1
#define FLOW_BY_PENDING	2

/* Which list a flow stands in. Each is first in, first out, and all of a list wait equally long, so
 * that its head is always the next to expire. Order is also that of eviction. */
enum flow_queue {
	FLOW_QUEUE_NONE,	/* not in use */
	FLOW_QUEUE_ENDED,	/* written; a retransmission of it may be read yet */
	FLOW_QUEUE_ORPHAN,	/* conntrack's word alone: an inbound connection, or ours, early */
	FLOW_QUEUE_UNSENT,	/* connected and over, and no packet of it was seen yet */
	FLOW_QUEUE_CONNECT,	/* the trace's word alone: no packet yet */
	FLOW_QUEUE_CLOSED,	/* over, waiting for conntrack's last word */
	FLOW_QUEUE_UNANSWERED,	/* started, no answer yet */
	FLOW_QUEUE_FRESH,	/* something new is known: looked at when the batch is complete */
	FLOW_QUEUE_HELD,	/* several connects could be the one; its next sign may be near */
	FLOW_QUEUE_CONFIRM,	/* a holder or cgroup was found: this one's, or a later user's? Or
				 * nobody was, for now */
	FLOW_QUEUE_UNSURE,	/* the same, for as long as a record may wait */
	FLOW_QUEUE_OPEN,	/* answered */
	FLOW_QUEUE_WATCHED,	/* the same, and nobody may tell of its end: see ending.c */
	FLOW_QUEUE_RESUMED,	/* in the dump of a start (lib/resume): ours, as it seems */
	FLOW_QUEUES,
};

/* No flow, in every field that holds an index: slot 0 is never used. */
#define FLOW_NIL 0

/* One connection, from its first sign to its end. 256 bytes: a million of them is 244 MiB.
 * Bytes and packets: [0] from source to destination, [1] back. */
struct flow {
	struct tuple tuple;
	union address reply_src, reply_dst;	/* conntrack's reply direction; FLOW_REPLY */
	be16 reply_sport, reply_dport;

	uint32_t tuple_next;			/* chains of the table's indices */
	uint32_t socket_next;
	uint32_t pending_next, pending_prev;
	uint32_t queue_next, queue_prev;	/* deadline queue, or free list */
	uint32_t seen;				/* enum flow_seen */

	uint64_t number;	/* connection id within this run; 0: not in use */
	uint64_t skaddr;	/* 0 when the socket is gone or was never traced */
	uint64_t start_ns, start_real_ns;	/* the connect, else the first packet */
	uint64_t packet_ns;	/* CLOCK_MONOTONIC: the first packet had been read by then */
	union {
		uint64_t answer_ns;	/* established or refused; 0 unknown */
		uint64_t sent_after_ns;	/* before FLOW_STARTED, without FLOW_CONNECT: its packet was
					 * sent later than this */
	};
	uint64_t end_ns;	/* really closed; 0 unknown */
	uint64_t bytes[2], packets[2];
	struct process *process;	/* a reference */
	uint64_t cgroup_id;

	union {
		uint32_t tid;
		uint32_t limit_slot;	/* FLOW_SUPPRESSED: lib/limit's own */
	};
	uint32_t uid, gid;	/* of the socket */
	uint32_t mark;
	uint32_t ifindex_out;
	uint32_t tcp_seq;
	uint32_t ct_id;
	uint16_t ct_status;	/* IPS_*, those below 1 << 16 */
	uint16_t ct_zone;
	uint16_t syn_retransmits;
	uint8_t prefix;		/* the join's number for the log prefix; 0: none */
	uint8_t waited;		/* looks since its last SYN that found it waiting, up to 2; of an
				 * answered one: 3 once its socket was not found */
	uint8_t owner;		/* enum owner_rung */
	uint8_t reason;		/* enum flow_reason */
	uint8_t error;		/* errno; FLOW_ERROR */
	uint8_t tcp_state;
	uint8_t queue;		/* enum flow_queue */
	uint8_t indexed;	/* the table's own */
	uint8_t hook;		/* NF_INET_* the packet was logged at */
	bool ct_unconfirmed : 1; /* FLOW_CT_ID is the packet's word only, which begins that entry */
	bool stood : 1;		/* its packet had stood in the queue, nobody knows how long */
	uint8_t awaited : 2;	/* how often it was left to be looked for again */
	uint32_t deadline_ms;	/* CLOCK_MONOTONIC, low 32 bits */
};

/* conntrack has an entry of it, or had: not one that ends with a packet that was dropped. */
static inline bool flow_has_entry(const struct flow *f)
{
	return f->seen & FLOW_NEW || (f->seen & FLOW_CT_ID && !f->ct_unconfirmed);
}

/* A start was written, and its end is to be. */
static inline bool flow_owes_end(const struct flow *f)
{
	return (f->seen & (FLOW_STARTED | FLOW_ENDED | FLOW_END_UNTOLD | FLOW_SUPPRESSED)) == FLOW_STARTED;
}

/* Indices and lists over one slab, all of a size fixed at the start: nothing is ever moved or
 * rehashed, and untouched memory is never resident. */
struct flow_table;

/* Takes up to max_flows (at most 1 << 26) flows. Returns 0 or -errno; the caller owns *out. */
int flow_table_new(struct flow_table **out, uint32_t max_flows);
void flow_table_free(struct flow_table *t);

/* A flow of zeroes with a number of its own, in no index, in FLOW_QUEUE_NONE; NULL if the table is
 * full (flow_victim() says who should go). */
struct flow *flow_new(struct flow_table *t);

/* The number of the next flow; and that it is to be at least this one. */
uint64_t flow_next_number(const struct flow_table *t);
void flow_number_from(struct flow_table *t, uint64_t number);

/* Takes the flow out of all indices and queues and drops its process reference. */
void flow_free(struct flow_table *t, struct flow *f);

/* The flow that is missed least: the oldest of the first queue that has any. NULL if empty. */
struct flow *flow_victim(struct flow_table *t);

bool flow_table_full(const struct flow_table *t);
uint32_t flow_count(const struct flow_table *t);
uint32_t flow_queue_count(const struct flow_table *t, enum flow_queue queue);

/* The keyed hash that the table uses, for whoever wants another table by tuple. */
uint64_t flow_tuple_hash(const struct flow_table *t, const struct tuple *tuple);

/* By tuple: newest first; several flows may share one. Changing f->tuple of an indexed flow is not
 * allowed: unindex it before. */
void flow_index_tuple(struct flow_table *t, struct flow *f);
void flow_unindex_tuple(struct flow_table *t, struct flow *f);
struct flow *flow_by_tuple(struct flow_table *t, const struct tuple *tuple);
struct flow *flow_next_by_tuple(struct flow_table *t, const struct flow *f);

/* By socket: at most one flow per kernel address. */
void flow_index_socket(struct flow_table *t, struct flow *f, uint64_t skaddr);
void flow_unindex_socket(struct flow_table *t, struct flow *f);
struct flow *flow_by_socket(struct flow_table *t, uint64_t skaddr);

/* Pending connects: those whose source port is not known yet, by everything but that port, newest
 * first. f->tuple must not change while it is pending. */
void flow_index_pending(struct flow_table *t, struct flow *f);
void flow_unindex_pending(struct flow_table *t, struct flow *f);
struct flow *flow_by_pending(struct flow_table *t, const struct tuple *tuple);
struct flow *flow_next_by_pending(struct flow_table *t, const struct flow *f);

/* Appends to a queue, leaving the one it was in. deadline_ns: CLOCK_MONOTONIC, at most 24 days
 * ahead, kept to the millisecond. */
void flow_enqueue(struct flow_table *t, struct flow *f, enum flow_queue queue,
		  uint64_t deadline_ns);

bool flow_is_due(const struct flow *f, uint64_t now_ns);

/* Its deadline as CLOCK_MONOTONIC, seen from now_ns. */
uint64_t flow_due_ns(const struct flow *f, uint64_t now_ns);

/* All flows, one after the other, in no order, whatever comes and goes meanwhile: *slot is 0 at
 * first and kept by the caller. NULL: no more. */
struct flow *flow_walk(struct flow_table *t, uint32_t *slot);

/* The oldest of a queue, and the one after f. NULL: no more. */
struct flow *flow_first(struct flow_table *t, enum flow_queue queue);
struct flow *flow_following(struct flow_table *t, const struct flow *f);

#endif
