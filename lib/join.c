// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Evidence in: each source's word finds the flow it belongs to, or begins one.
 *
 * A connection has up to four witnesses and they are read in any order: its packet (NFLOG batches
 * it for 10 ms), its connect() (lib/trace), conntrack's NEW and DESTROY. All agree on one tuple,
 * the one the application used, because the packet is logged before NAT and conntrack reports the
 * original direction. What tells two connections with the same tuple apart is the TCP sequence
 * number for packets, the socket for the trace, and the id and the order of events for conntrack.
 *
 * A flow that only conntrack knows is an inbound connection or one whose packet is still in the
 * kernel's batch: it waits a second and is forgotten. A flow that only the trace knows is loopback,
 * another namespace's, or one whose packet never came: settle.c decides.
 */
#include "join.h"

#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

/* A retransmitted SYN comes a second after the first (TCP_TIMEOUT_INIT). */
#define REMADE_NS 1000000000ull
/* A NEW would have been read this long after its connection's start. */
#define NEW_IS_READ_NS 1000000000ull

/* A drain takes no longer, even on a busy machine: what is read in it may be that much newer than
 * its clock. */
#define DRAIN_NS 100000000ull

/* 1 MiB, touched as it is used. */
#define CONFIRMED_SLOTS (1u << 18)

struct join_holders {
	uint64_t number;	/* of the flow */
	unsigned int count;
	uint32_t pids[OWNER_HOLDERS_MAX];
	UT_hash_handle hh;
};

int join_init(struct join *j, const struct join_config *config)
{
	*j = (struct join) { .config = *config, .prefix_count = 1 };
	j->confirmed = calloc(CONFIRMED_SLOTS, sizeof(*j->confirmed));
	return j->confirmed ? 0 : -ENOMEM;
}

void join_fini(struct join *j)
{
	struct join_holders *h, *next;

	HASH_ITER(hh, j->holders, h, next) {
		HASH_DEL(j->holders, h);
		free(h);
	}
	for (unsigned int i = 1; i < j->prefix_count; i++)
		free(j->prefixes[i]);
	free(j->confirmed);
}

void join_clock(struct join *j, uint64_t now_ns, uint64_t now_real_ns)
{
	j->now_ns = now_ns;
	j->now_real_ns = now_real_ns;
}

static uint32_t *confirmed_slot(const struct join *j, const struct tuple *tuple)
{
	return &j->confirmed[flow_tuple_hash(j->config.flows, tuple) % CONFIRMED_SLOTS];
}

bool join_confirmed_since(const struct join *j, const struct tuple *tuple, uint64_t since_ns)
{
	uint32_t at_ms = *confirmed_slot(j, tuple);

	return at_ms && (int32_t)(at_ms - (uint32_t)(since_ns / 1000000)) >= 0;
}

void join_nflog_lost(struct join *j)
{
	j->nflog_lost_ns = j->now_ns;
}

void join_conntrack_lost(struct join *j)
{
	j->ct_lost_ns = j->now_ns;
	resync_begin(j);
}

struct flow *join_flow_new(struct join *j)
{
	if (flow_table_full(j->config.flows))
		join_evict(j);
	return flow_new(j->config.flows);
}

void join_forget_holders(struct join *j, struct flow *f)
{
	struct join_holders *h;

	if (!(f->seen & FLOW_SHARED))
		return;
	HASH_FIND(hh, j->holders, &f->number, sizeof(f->number), h);
	if (h) {
		HASH_DEL(j->holders, h);
		free(h);
	}
	f->seen &= ~(uint32_t)FLOW_SHARED;
}

void join_flow_free(struct join *j, struct flow *f)
{
	join_forget_holders(j, f);
	flow_free(j->config.flows, f);
}

void join_remember_holders(struct join *j, struct flow *f, const struct owner_query *query)
{
	struct join_holders *h = calloc(1, sizeof(*h));

	join_forget_holders(j, f);
	if (!h)
		return;
	h->number = f->number;
	h->count = query->holder_count < OWNER_HOLDERS_MAX ? query->holder_count : OWNER_HOLDERS_MAX;
	memcpy(h->pids, query->holders, h->count * sizeof(h->pids[0]));
	HASH_ADD(hh, j->holders, number, sizeof(h->number), h);
	f->seen |= FLOW_SHARED;
}

const uint32_t *join_shared_with(const struct join *j, const struct flow *f, unsigned int *count)
{
	struct join_holders *h = NULL;

	*count = 0;
	if (f->seen & FLOW_SHARED)
		HASH_FIND(hh, j->holders, &f->number, sizeof(f->number), h);
	if (!h)
		return NULL;
	*count = h->count;
	return h->pids;
}

/* Log prefixes are few and come with every packet: kept once, by number. More than 255 different
 * ones are not told apart. */
static uint8_t prefix_number(struct join *j, const char *prefix)
{
	unsigned int i;

	if (!prefix[0])
		return 0;
	for (i = 1; i < j->prefix_count; i++)
		if (strcmp(j->prefixes[i], prefix) == 0)
			return (uint8_t)i;
	if (i == sizeof(j->prefixes) / sizeof(j->prefixes[0]))
		return 0;
	j->prefixes[i] = strdup(prefix);
	if (!j->prefixes[i])
		return 0;
	j->prefix_count++;
	return (uint8_t)i;
}

const char *join_prefix(const struct join *j, const struct flow *f)
{
	return f->prefix ? j->prefixes[f->prefix] : "";
}

static uint64_t wall(uint64_t time_ns, void *data)
{
	const struct join *j = data;

	return j->now_real_ns - (j->now_ns - time_ns);
}

static void look_later(struct join *j, struct flow *f)
{
	if (f->queue != FLOW_QUEUE_FRESH)
		flow_enqueue(j->config.flows, f, FLOW_QUEUE_FRESH, j->now_ns);
}

/* conntrack's word may have found the connect before its packet did. */
static void absorb_conntrack(struct flow *f, const struct flow *connect)
{
	const uint32_t told = FLOW_NEW | FLOW_DESTROY | FLOW_COUNTERS | FLOW_REPLY | FLOW_CT_ID |
			      FLOW_TCP_STATE | FLOW_REMOVED | FLOW_UNCOUNTED;

	if (f->seen & (FLOW_NEW | FLOW_DESTROY) || !(connect->seen & (FLOW_NEW | FLOW_DESTROY)))
		return;
	f->seen |= connect->seen & told;
	f->reply_src = connect->reply_src;
	f->reply_dst = connect->reply_dst;
	f->reply_sport = connect->reply_sport;
	f->reply_dport = connect->reply_dport;
	memcpy(f->bytes, connect->bytes, sizeof(f->bytes));
	memcpy(f->packets, connect->packets, sizeof(f->packets));
	f->ct_id = connect->ct_id;
	f->ct_zone = connect->ct_zone;
	f->ct_status = connect->ct_status;
	f->tcp_state = connect->tcp_state;
}

void join_absorb(struct join *j, struct flow *f, struct flow *connect)
{
	const uint32_t witnessed = FLOW_CONNECT | FLOW_PORT | FLOW_ANSWERED | FLOW_ERROR |
				   FLOW_CLOSED | FLOW_PEER_CLOSED | FLOW_RST | FLOW_KERNEL;
	uint64_t skaddr = connect->skaddr;

	absorb_conntrack(f, connect);
	f->seen |= connect->seen & witnessed;
	f->answer_ns = connect->answer_ns;
	if (connect->end_ns)
		f->end_ns = connect->end_ns;
	f->error = connect->error;
	if (!(f->seen & FLOW_STARTED)) {
		f->seen &= ~(uint32_t)FLOW_LATE;
		process_unref(f->process);
		f->process = connect->process;
		connect->process = NULL;
		f->start_ns = connect->start_ns;
		f->start_real_ns = connect->start_real_ns;
		f->cgroup_id = connect->cgroup_id;
		f->tid = connect->tid;
	}
	join_flow_free(j, connect);
	if (skaddr)
		flow_index_socket(j->config.flows, f, skaddr);
	look_later(j, f);
}

/* A connect whose tuple has become complete: a packet that is held may be waiting for it, or a flow
 * that has started without it will hear of its fate. */
static void meet_earlier(struct join *j, struct flow *connect)
{
	struct flow *f = flow_by_tuple(j->config.flows, &connect->tuple);

	for (; f; f = flow_next_by_tuple(j->config.flows, f)) {
		if (f == connect || f->seen & (FLOW_CONNECT | FLOW_ENDED | FLOW_INGRESS))
			continue;
		if (!(f->seen & FLOW_PACKET) || (f->packet_ns && f->packet_ns < connect->start_ns) ||
		    !join_may_send(j, connect, f->hook))
			continue;
		if (!(f->seen & FLOW_STARTED)) {
			look_later(j, f);
		} else if (f->process && connect->process &&
			   f->process->pid == connect->process->pid) {
			join_absorb(j, f, connect);
			return;
		}
	}
}

static void trace_changed(struct flow *f, unsigned int changes, void *data)
{
	struct join *j = data;

	if (changes & TRACE_CONNECT)
		flow_enqueue(j->config.flows, f, FLOW_QUEUE_CONNECT, j->now_ns + JOIN_RECHECK_NS);
	if (f->seen & FLOW_ENDED)
		return;
	if (f->seen & FLOW_PACKET) {
		if (changes & (TRACE_ANSWERED | TRACE_FAILED | TRACE_CLOSED))
			look_later(j, f);
		return;
	}
	if (changes & TRACE_CLOSED)
		flow_enqueue(j->config.flows, f, FLOW_QUEUE_UNSENT, j->now_ns + JOIN_ORPHAN_NS);
	if (changes & TRACE_PORT)
		meet_earlier(j, f);
}

void join_trace(struct join *j, const struct perf_event *event)
{
	if (flow_table_full(j->config.flows))
		join_evict(j);
	trace_event(j->config.trace, event, wall, trace_changed, j);
}

/* Its packets are nobody else's, although their connect was not seen. */
void join_connecting(struct join *j, const struct tuple *tuple)
{
	struct flow *f = join_flow_new(j);

	f->tuple = *tuple;
	f->seen = FLOW_RESUMED;
	f->start_ns = j->now_ns;
	flow_index_tuple(j->config.flows, f);
	flow_enqueue(j->config.flows, f, FLOW_QUEUE_CONNECT, j->now_ns + JOIN_RECHECK_NS);
}

/* The flow that this packet is of: a retransmission of it, or the one that waits for it. */
static struct flow *packet_flow(struct join *j, const struct nflog_packet *packet, bool *again)
{
	const struct packet *p = &packet->packet;
	struct flow *f, *waiting = NULL;
	unsigned int connects = 0;

	*again = false;
	for (f = flow_by_tuple(j->config.flows, &p->tuple); f;
	     f = flow_next_by_tuple(j->config.flows, f)) {
		if (f->seen & FLOW_PACKET) {
			*again = p->tuple.protocol == IPPROTO_TCP ? f->tcp_seq == p->tcp_seq :
								    !(f->seen & FLOW_DESTROY);
			if (*again)
				return f;
			continue;
		}
		if (f->seen & FLOW_CONNECT) {
			if (!join_may_send(j, f, packet->hook) || connects++)
				continue;
			waiting = f;
		} else if (!waiting) {
			waiting = f;
		}
	}
	/* Several: settle.c tells them apart, or leaves it. */
	if (connects > 1)
		return NULL;
	if (connects == 1 && !join_surely_first(j, waiting, packet->hook, join_sent_after(j)))
		return NULL;
	return waiting;
}

static void fill_from_packet(struct join *j, struct flow *f, const struct nflog_packet *packet)
{
	j->undecided++;
	f->seen |= FLOW_PACKET;
	f->packet_ns = 0;
	if (!(f->seen & FLOW_CONNECT)) {
		f->sent_after_ns = join_sent_after(j);
		f->seen |= join_is_behind(j) ? FLOW_LATE : 0;
	}
	if (!(f->seen & FLOW_CONNECT)) {
		f->start_ns = j->now_ns;
		f->start_real_ns = j->now_real_ns;
	}
	f->tcp_seq = packet->packet.tcp_seq;
	f->mark = packet->mark;
	f->ifindex_out = packet->ifindex_out;
	f->hook = packet->hook;
	f->prefix = prefix_number(j, packet->prefix);
	if (packet->has_uid) {
		f->seen |= FLOW_UID;
		f->uid = packet->uid;
	}
	if (packet->has_gid) {
		f->seen |= FLOW_GID;
		f->gid = packet->gid;
	}
	if (packet->has_ct) {
		f->seen |= FLOW_CT_ID;
		f->ct_id = packet->ct_id;
		f->ct_zone = packet->ct_zone;
	}
	if (packet->hook == NF_INET_LOCAL_IN)
		f->seen |= FLOW_INGRESS;
	if (j->config.untracked_prefix && strcmp(packet->prefix, j->config.untracked_prefix) == 0)
		f->seen |= FLOW_UNTRACKED;
}

/* What conntrack alone has told of this packet's connection, the oldest first: packets are logged
 * in the order of their entries. */
static struct flow *find_orphan(struct join *j, const struct flow *f)
{
	struct flow *other = flow_by_tuple(j->config.flows, &f->tuple), *orphan = NULL;

	for (; other; other = flow_next_by_tuple(j->config.flows, other)) {
		if (other->queue != FLOW_QUEUE_ORPHAN || other == f)
			continue;
		if (f->seen & FLOW_CT_ID && (f->ct_id != other->ct_id || f->ct_zone != other->ct_zone))
			continue;
		if (other->start_real_ns + DRAIN_NS >= f->start_real_ns)
			orphan = other;
	}
	return orphan;
}

/* conntrack is read last, up to a later instant than the trace, so that its word can come before
 * that of the connect, when there is no flow yet to take it. */
static void adopt_orphan(struct join *j, struct flow *f)
{
	struct flow *orphan;

	if (f->seen & (FLOW_NEW | FLOW_DESTROY | FLOW_UNTRACKED))
		return;
	orphan = find_orphan(j, f);
	if (!orphan)
		return;
	absorb_conntrack(f, orphan);
	if (!f->end_ns)
		f->end_ns = orphan->end_ns;
	join_flow_free(j, orphan);
}

void join_packet(struct join *j, const struct nflog_packet *packet)
{
	const struct packet *p = &packet->packet;
	struct flow *f;
	bool again;

	if (packet->status != PACKET_OK || !p->ports_known) {
		j->undecodable++;
		return;
	}
	if (p->tuple.protocol == IPPROTO_TCP &&
	    (p->tcp_flags & (PACKET_TCP_SYN | PACKET_TCP_ACK)) != PACKET_TCP_SYN) {
		j->config.ledger->midstream++;
		return;
	}

	f = packet_flow(j, packet, &again);
	if (again) {
		if (f->hook == packet->hook) {
			j->config.ledger->retransmits++;
			if (f->syn_retransmits < UINT16_MAX)
				f->syn_retransmits++;
		} else {
			j->config.ledger->filtered++;
		}
		return;
	}
	if (!f) {
		f = join_flow_new(j);
		f->tuple = p->tuple;
		flow_index_tuple(j->config.flows, f);
	}
	fill_from_packet(j, f, packet);
	adopt_orphan(j, f);
	look_later(j, f);
}

static bool lacks_entry(const struct flow *f, const struct ct_entry *entry)
{
	if (f->seen & (FLOW_DESTROY | FLOW_UNTRACKED))
		return false;
	if (f->seen & FLOW_CT_ID && (f->ct_id != entry->id || f->ct_zone != entry->zone))
		return false;
	return entry->kind == CT_DESTROY || !(f->seen & FLOW_NEW);
}

/* After a loss the order says nothing; when the entry was made does. */
static struct flow *nearest_flow(struct join *j, const struct ct_entry *entry)
{
	uint64_t made_ns = entry->has_timestamps ? entry->start_real_ns : j->now_real_ns;
	uint64_t nearest_ns = UINT64_MAX, distance_ns;
	struct flow *f, *found = NULL;

	for (f = flow_by_tuple(j->config.flows, &entry->original); f;
	     f = flow_next_by_tuple(j->config.flows, f)) {
		if (!lacks_entry(f, entry))
			continue;
		distance_ns = made_ns > f->start_real_ns ? made_ns - f->start_real_ns :
							   f->start_real_ns - made_ns;
		if (distance_ns >= nearest_ns)
			continue;
		nearest_ns = distance_ns;
		found = f;
	}
	if (!entry->has_timestamps && entry->kind == CT_DESTROY)
		found->seen |= FLOW_UNCOUNTED;
	return found;
}

/* conntrack's events of one tuple come in order, so each goes to the oldest flow that still lacks
 * it; chains are newest first. */
static struct flow *conntrack_flow(struct join *j, const struct ct_entry *entry)
{
	struct flow *f, *found = NULL;
	unsigned int count = 0;
	bool lost = false;

	for (f = flow_by_tuple(j->config.flows, &entry->original); f;
	     f = flow_next_by_tuple(j->config.flows, f)) {
		if (!lacks_entry(f, entry))
			continue;
		found = f;
		count++;
		lost |= f->start_ns && f->start_ns <= j->ct_lost_ns;
	}
	return count > 1 && lost ? nearest_flow(j, entry) : found;
}

void join_fill_reply(struct flow *f, const struct ct_entry *entry)
{
	f->reply_src = entry->reply.src;
	f->reply_dst = entry->reply.dst;
	f->reply_sport = entry->reply.sport;
	f->reply_dport = entry->reply.dport;
	f->seen |= FLOW_REPLY | FLOW_CT_ID;
	f->ct_id = entry->id;
	f->ct_zone = entry->zone;
	f->ct_status = (uint16_t)entry->status;
}

/* Whether entries have counted for this flow whose counts we never got. Its first packet makes its
 * entry; one made much later follows one that was removed by hand. */
static bool has_gap(const struct join *j, const struct flow *f, const struct ct_entry *entry)
{
	if (f->seen & FLOW_UNCOUNTED)
		return true;
	if (f->seen & FLOW_REMOVED)
		return f->start_ns <= j->ct_lost_ns;
	return entry->has_timestamps && !f->syn_retransmits && f->start_real_ns &&
	       entry->start_real_ns > f->start_real_ns + REMADE_NS;
}

/* Counters are added, not set: an entry removed by hand is followed by another one while the
 * connection goes on. */
void join_fill_last_word(struct join *j, struct flow *f, const struct ct_entry *entry)
{
	if (has_gap(j, f, entry)) {
		f->seen |= FLOW_UNCOUNTED;
		f->seen &= ~(uint32_t)FLOW_COUNTERS;
	} else if (entry->has_counters) {
		for (unsigned int way = 0; way < 2; way++) {
			f->bytes[way] += entry->bytes[way];
			f->packets[way] += entry->packets[way];
		}
		f->seen |= FLOW_COUNTERS;
	}
	if (entry->has_tcp_state) {
		f->tcp_state = entry->tcp_state;
		f->seen |= FLOW_TCP_STATE;
	}
}

/* When the last packet went by, if only conntrack can tell: its entry is kept for a fixed time
 * after that. Not for an entry that somebody removed. */
static void estimate_end(struct join *j, struct flow *f, const struct ct_entry *entry)
{
	uint64_t kept_ns = (uint64_t)entry->idle_s * 1000000000;
	uint64_t ended_real_ns;

	if (f->end_ns || !entry->has_timestamps || !entry->stop_real_ns || entry->removed_by_hand ||
	    !kept_ns)
		return;
	ended_real_ns = entry->stop_real_ns - kept_ns;
	if (ended_real_ns < entry->start_real_ns)
		ended_real_ns = entry->stop_real_ns;	/* a RST took it at once */
	if (ended_real_ns < f->start_real_ns)
		ended_real_ns = f->start_real_ns;	/* its packet was read late */
	if (ended_real_ns <= j->now_real_ns)
		f->end_ns = j->now_ns - (j->now_real_ns - ended_real_ns);
}

/* `conntrack -D` and -F remove an entry under a living connection; its next packet makes another. */
static bool lives_on(struct join *j, struct flow *f, const struct ct_entry *entry)
{
	if (!entry->removed_by_hand)
		return false;
	f->seen |= FLOW_REMOVED;
	return f->seen & FLOW_PACKET && join_lives(j, f);
}

/* A tuple that is used again before conntrack has seen the RST of its last use goes on in the same
 * entry: no NEW comes for it, and the counters are of both. Nobody's, then. */
static void share_entry(struct join *j, struct flow *f, const struct ct_entry *entry)
{
	const uint32_t known = FLOW_NEW | FLOW_CT_ID | FLOW_DESTROY | FLOW_UNTRACKED | FLOW_ENDED;
	uint64_t stop_ns = entry->stop_real_ns ? entry->stop_real_ns : j->now_real_ns;
	struct flow *other = flow_by_tuple(j->config.flows, &f->tuple);

	for (; other; other = flow_next_by_tuple(j->config.flows, other)) {
		if (other == f || !(other->seen & FLOW_PACKET) || other->seen & known ||
		    other->start_real_ns + NEW_IS_READ_NS > stop_ns)
			continue;
		f->seen &= ~(uint32_t)FLOW_COUNTERS;
		other->seen |= FLOW_DESTROY;
		look_later(j, other);
	}
}

void join_conntrack(struct join *j, const struct ct_entry *entry)
{
	struct flow *f;

	if (entry->zone)
		j->foreign_zone = true;
	if (entry->kind != CT_DUMPED)
		*confirmed_slot(j, &entry->original) = (uint32_t)(j->now_ns / 1000000);
	f = conntrack_flow(j, entry);
	if (!f) {
		if (entry->kind == CT_DUMPED)
			return;
		f = join_flow_new(j);
		f->tuple = entry->original;
		f->start_real_ns = j->now_real_ns;
		flow_index_tuple(j->config.flows, f);
		flow_enqueue(j->config.flows, f, FLOW_QUEUE_ORPHAN, j->now_ns + JOIN_ORPHAN_NS);
	}
	join_fill_reply(f, entry);
	if (entry->kind != CT_DESTROY) {
		f->seen |= FLOW_NEW;
		return;
	}
	join_fill_last_word(j, f, entry);
	if (lives_on(j, f, entry)) {
		f->seen &= ~(uint32_t)(FLOW_NEW | FLOW_CT_ID);
		/* The next entry may not live to be assured. */
		if (f->ct_status & IPS_ASSURED)
			f->seen |= FLOW_ANSWERED;
		look_later(j, f);
		return;
	}
	f->seen |= FLOW_DESTROY;
	if (tuple_is_datagram(&f->tuple) && entry->status & IPS_SEEN_REPLY)
		f->seen |= FLOW_ANSWERED;
	share_entry(j, f, entry);
	estimate_end(j, f, entry);
	if (f->seen & FLOW_PACKET)
		look_later(j, f);
}
