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
	FLOW_OLD_ENTRY	= 1 << 20,	/* conntrack knew the tuple before its first packet */
	FLOW_UNTRACKED	= 1 << 21,	/* the packet carried no conntrack entry: notrack */
	FLOW_MIDSTREAM	= 1 << 22,	/* no connect fits: picked up in the middle */
	FLOW_RESUMED	= 1 << 23,	/* was open before this run */
	FLOW_RST	= 1 << 24,	/* reset, by either side */
};

enum flow_reason {
	REASON_NONE,	/* not known, left out */
	REASON_CLOSED, REASON_RESET, REASON_EXPIRED,
	REASON_REFUSED, REASON_UNREACHABLE, REASON_TIMED_OUT, REASON_BLOCKED, REASON_UNSENT,
	REASON_ABORTED,
};

/* No flow, in every field that holds an index. */
#define FLOW_NIL UINT32_MAX

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
	uint64_t packet_ns;	/* CLOCK_MONOTONIC of the first packet's batch */
	uint64_t answer_ns;	/* established or refused; 0 unknown */
	uint64_t end_ns;	/* really closed; 0 unknown */
	uint64_t bytes[2], packets[2];
	struct process *process;	/* a reference */
	uint64_t cgroup_id;

	uint32_t tid;
	uint32_t uid, gid;	/* of the socket */
	uint32_t mark;
	uint32_t ifindex_out;
	uint32_t tcp_seq;
	uint32_t ct_id;
	uint16_t ct_status;	/* IPS_*, those below 1 << 16 */
	uint16_t ct_zone;
	uint16_t syn_retransmits;
	uint16_t prefix;	/* the join's number for the log prefix; 0: none */
	uint8_t owner;		/* enum owner_rung */
	uint8_t reason;		/* enum flow_reason */
	uint8_t error;		/* errno; FLOW_ERROR */
	uint8_t tcp_state;
	uint8_t queue;		/* which deadline queue */
	uint8_t hook;
};

#endif
