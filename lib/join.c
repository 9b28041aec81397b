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
 * conntrack's part is entry.c's. A flow that only the trace knows is loopback, another namespace's,
 * or one whose packet never came: settle.c decides.
 */
#include "entry.h"
#include "join.h"

#include <errno.h>
#include <linux/netfilter.h>
#include <stdlib.h>
#include <string.h>

/* An entry for which there is no memory is not added; see hh.tbl. */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

struct join_holders {
	uint64_t number;	/* of the flow */
	unsigned int count;
	uint32_t pids[OWNER_HOLDERS_MAX];
	UT_hash_handle hh;
};

int join_init(struct join *j, const struct join_config *config)
{
	*j = (struct join) { .config = *config, .prefix_count = 1 };
	j->confirmed = calloc(ENTRY_SLOTS, sizeof(*j->confirmed));
	j->crowded = calloc(ENTRY_SLOTS, sizeof(*j->crowded));
	if (j->confirmed && j->crowded)
		return 0;
	free(j->confirmed);
	free(j->crowded);
	return -ENOMEM;
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
	free(j->crowded);
}

void join_clock(struct join *j, uint64_t now_ns, uint64_t now_real_ns)
{
	j->now_ns = now_ns;
	j->now_real_ns = now_real_ns;
}

void join_nflog_lost(struct join *j, uint64_t until_ns)
{
	j->nflog_lost_ns = until_ns;
}

void join_conntrack_lost(struct join *j, uint64_t until_ns)
{
	j->ct_lost_ns = until_ns;
	resync_begin(j);
}

void join_rules_changed(struct join *j)
{
	j->unmatched_ns = j->now_ns;
	j->unlogged_ns = 0;
}

void join_rules_gone(struct join *j, uint64_t since_ns)
{
	if (!j->unlogged_ns || since_ns < j->unlogged_ns)
		j->unlogged_ns = since_ns;
}

bool join_is_logged(const struct join *j, uint8_t protocol)
{
	return j->config.protocol_count &&
	       memchr(j->config.protocols, protocol, j->config.protocol_count);
}

bool join_filtered(const struct join *j, const struct flow *f)
{
	return j->config.filtered && j->config.filtered(f, j->config.data);
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
	h->count = query->holder_count < OWNER_HOLDERS_MAX ?
		   query->holder_count : OWNER_HOLDERS_MAX;
	memcpy(h->pids, query->holders, h->count * sizeof(h->pids[0]));
	HASH_ADD(hh, j->holders, number, sizeof(h->number), h);
	if (h->hh.tbl)
		f->seen |= FLOW_SHARED;
	else
		free(h);
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
uint8_t join_prefix_number(struct join *j, const char *prefix)
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

void join_look_later(struct join *j, struct flow *f)
{
	if (f->queue != FLOW_QUEUE_FRESH)
		flow_enqueue(j->config.flows, f, FLOW_QUEUE_FRESH, j->now_ns);
}

void join_absorb(struct join *j, struct flow *f, struct flow *connect)
{
	const uint32_t witnessed = FLOW_CONNECT | FLOW_PORT | FLOW_ANSWERED | FLOW_ERROR |
				   FLOW_CLOSED | FLOW_PEER_CLOSED | FLOW_RST | FLOW_KERNEL;
	uint64_t skaddr = connect->skaddr;

	entry_absorb(j, f, connect);
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
	join_look_later(j, f);
}

/* A connect whose tuple has become complete: a packet that is held may be waiting for it, or a flow
 * that has started without it will hear of its fate. */
static void meet_earlier(struct join *j, struct flow *connect)
{
	struct flow *f = flow_by_tuple(j->config.flows, &connect->tuple);

	for (; f; f = flow_next_by_tuple(j->config.flows, f)) {
		if (f == connect || f->seen & (FLOW_CONNECT | FLOW_ENDED | FLOW_INGRESS))
			continue;
		if (!(f->seen & FLOW_PACKET) ||
		    (f->packet_ns && f->packet_ns < connect->start_ns) ||
		    !join_may_send(j, connect, f->hook))
			continue;
		if (!(f->seen & FLOW_STARTED)) {
			join_look_later(j, f);
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
			join_look_later(j, f);
		return;
	}
	if (changes & TRACE_CLOSED || (changes & TRACE_ANSWERED && j->config.starts_only))
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
	struct flow *f = flow_by_tuple(j->config.flows, tuple);

	if (f && f->seen & FLOW_RESUMED)
		return;
	f = join_flow_new(j);
	f->tuple = *tuple;
	f->seen = FLOW_EARLIER;
	f->start_ns = j->now_ns;
	flow_index_tuple(j->config.flows, f);
	flow_enqueue(j->config.flows, f, FLOW_QUEUE_CONNECT, j->now_ns + JOIN_RECHECK_NS);
}

void join_connecting_listed(struct join *j)
{
	j->listed_ns = j->now_ns;
}

/* Sent again, by what was started by it. For what was open before this run no packet is known: if
 * it has no answer yet, and no other entry, this is one of its. */
static bool is_again(const struct flow *f, const struct nflog_packet *packet)
{
	if (f->tuple.protocol != IPPROTO_TCP)
		return !(f->seen & FLOW_DESTROY);
	if (f->seen & FLOW_PACKET || f->syn_retransmits)
		return f->tcp_seq == packet->packet.tcp_seq;
	return !(f->seen & (FLOW_ANSWERED | FLOW_DESTROY | FLOW_ENDED)) &&
	       (!packet->has_ct || !(f->seen & FLOW_CT_ID) || f->ct_id == packet->ct_id);
}

/* The flow that this packet is of: a retransmission of it, or the one that waits for it. */
static struct flow *packet_flow(struct join *j, const struct nflog_packet *packet, bool *again)
{
	const struct packet *p = &packet->packet;
	struct flow *f, *waiting = NULL, *earlier = NULL;
	unsigned int connects = 0;

	*again = false;
	for (f = flow_by_tuple(j->config.flows, &p->tuple); f;
	     f = flow_next_by_tuple(j->config.flows, f)) {
		if (f->seen & (FLOW_PACKET | FLOW_STARTED)) {
			*again = is_again(f, packet) && !(waiting && join_lacks_number(f));
			if (*again)
				return f;
			if (join_lacks_number(f))
				earlier = f;
			continue;
		}
		if (f->seen & FLOW_EARLIER)
			earlier = f;
		if (f->seen & FLOW_CONNECT) {
			if (join_was_over(f, join_sent_after(j)) ||
			    !join_may_send(j, f, packet->hook) || connects++)
				continue;
			waiting = f;
		} else if (!waiting && f->queue != FLOW_QUEUE_ORPHAN &&
			   !entry_is_older(j, f, join_sent_after(j), false)) {
			waiting = f;	/* what conntrack alone has told is adopted: oldest first */
		}
	}
	/* Several: settle.c tells them apart, or leaves it. So it does where another network
	 * namespace may be its: what connected here may be in a ring that was read before. */
	if (connects > 1)
		return NULL;
	if (connects == 1 && (!join_surely_from_here(j, waiting) ||
			      join_is_another(earlier, waiting) ||
			      !join_surely_first(j, waiting, packet->hook, join_sent_after(j))))
		return NULL;
	return waiting;
}

/* Packets that were not all read for so long may have stood since they last were, or since we woke. */
static bool has_stood(const struct join *j)
{
	uint64_t since_ns = join_sent_after(j);

	if (since_ns < j->woken_ns)
		since_ns = j->woken_ns;
	return since_ns + JOIN_TIMER_LATE_NS < j->now_ns;
}

/* What is read after a sleep has woken us by the timer, or came since. */
static uint64_t datagram_sent_after(const struct join *j)
{
	uint64_t after_ns = join_sent_after(j);

	return after_ns + JOIN_TIMER_LATE_NS < j->woken_ns ? j->woken_ns - JOIN_TIMER_LATE_NS : after_ns;
}

static void fill_from_packet(struct join *j, struct flow *f, const struct nflog_packet *packet)
{
	j->undecided++;
	/* A candidate of lib/resume: not at all. */
	if (f->seen & FLOW_RESUMED)
		f->seen &= ~(uint32_t)(FLOW_RESUMED | FLOW_ANSWERED | FLOW_UID);
	f->seen |= FLOW_PACKET;
	f->packet_ns = 0;
	f->stood = has_stood(j);
	if (!(f->seen & FLOW_CONNECT)) {
		f->sent_after_ns = tuple_is_datagram(&f->tuple) ? datagram_sent_after(j) :
								  join_sent_after(j);
		f->seen |= join_is_behind(j) ? FLOW_LATE : 0;
		f->start_ns = j->now_ns;
		f->start_real_ns = j->now_real_ns;
	}
	f->tcp_seq = packet->packet.tcp_seq;
	f->mark = packet->mark;
	f->ifindex_out = packet->ifindex_out;
	f->hook = packet->hook;
	f->prefix = join_prefix_number(j, packet->prefix);
	if (packet->has_uid) {
		f->seen |= FLOW_UID;
		f->uid = packet->uid;
	}
	if (packet->has_gid) {
		f->seen |= FLOW_GID;
		f->gid = packet->gid;
	}
	if (packet->has_ct)
		entry_attached(j, f, packet->ct_id, packet->ct_zone, packet->ct_unconfirmed);
	if (packet->hook == NF_INET_LOCAL_IN)
		f->seen |= FLOW_INGRESS;
	if (j->config.untracked_prefix && strcmp(packet->prefix, j->config.untracked_prefix) == 0)
		f->seen |= FLOW_UNTRACKED;
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
			if (!(f->seen & FLOW_PACKET))
				f->tcp_seq = p->tcp_seq;
			if (f->syn_retransmits < UINT16_MAX)
				f->syn_retransmits++;
			entry_sent_again(j, f, packet);
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
	entry_adopt(j, f);
	join_look_later(j, f);
}
