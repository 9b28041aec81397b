// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Connections that were open before a start. Their starts are another run's, or nobody's; their
 * ends are worth a record. A run that ends well hands its own over, with all that is known of them.
 * Of others, and after a run that was killed, conntrack's table tells.
 *
 * What a process here has opened has a socket whose local side is the source of the entry's
 * original direction. What was opened to this host has its socket the other way round, and what
 * passes through has none: neither is found by an exact lookup. What is found is a candidate for
 * a while, until all packets that were under way have been read: if its first packet is among
 * them it is this run's own, with a start, and the packet's flow takes over what the dump told
 * of it. Otherwise the lower rungs name it, and it is followed like any flow that has started.
 * Nobody may tell of its end, though: its socket is asked for now and then, as is that of others of
 * whose end nobody may tell (ending.c).
 *
 * A table may have a million entries while packets are waiting: the dump is read in parts, one
 * for each batch, and stops for candidates that nobody has looked at yet. The sockets of a part are
 * asked for together. Without the trace, while a packet's process is being looked for, each
 * millisecond counts, and the dump goes on slowly. An entry may be gone before its part is read,
 * and its DESTROY have been read before: each is asked for once more at the end, after which its
 * DESTROY can only follow.
 *
 * Limits of the dump: sockets that are bound to a device, UDP sockets that are not connected, SCTP and ICMP
 * are not found; entries in another zone than 0 are left out; who held a socket in TIME_WAIT is
 * gone.
 */
#include "resume.h"
#include "ending.h"
#include "entry.h"
#include "fate.h"
#include "ladder.h"

#include <errno.h>
#include <linux/netfilter.h>
#include <netinet/tcp.h>

/* Longer than packets and connects may stay unread, and than a search for holders takes. */
#define WAIT_NS		100000000ull
/* How long a holder is searched for, a share of the time at a time. */
#define PATIENCE_NS	3000000000ull
#define WAITING_MAX	4096
#define WATCH_MAX	256
#define WATCH_SLACK_NS	250000000ull
#define TRIES_MAX	3
/* A part of the dump has some 100 entries: each is asked for in well under a millisecond, and with
 * /proc/net in ten. */
#define PART_MAX	128
#define GIVE_WAY_NS	100000000ull
/* Of clock ticks, and of the wall clock that both times are told in. */
#define START_SLACK_NS	1000000000ull

/* Never 0, which is before any loss. */
static uint64_t before(const struct join *j, uint64_t time_ns)
{
	return time_ns && time_ns < j->now_ns ? time_ns : j->now_ns;
}

void resume_begin(struct join *j)
{
	j->resume = (struct resume) { .dumping = true, .begun_real_ns = j->now_real_ns };
}

/* Neither start nor end is told of what the rate limit held back: the start stands in the earlier
 * run's summary, the end in nobody's. */
void resume_take_over(struct join *j, const struct flow *from, const char *prefix)
{
	struct flow *f;

	if (flow_table_full(j->config.flows)) {
		j->config.ledger->ends_evicted++;
		return;
	}
	f = flow_new(j->config.flows);
	*f = *from;
	process_ref(f->process);
	f->skaddr = 0;
	f->seen |= FLOW_RESUMED;
	if (f->seen & FLOW_SUPPRESSED)
		f->seen = (f->seen & ~(uint32_t)FLOW_SUPPRESSED) | FLOW_END_UNTOLD;
	f->start_ns = before(j, f->start_ns);
	f->packet_ns = before(j, f->packet_ns);
	f->prefix = join_prefix_number(j, prefix);
	flow_index_tuple(j->config.flows, f);
	if (from->skaddr && !flow_by_socket(j->config.flows, from->skaddr))
		flow_index_socket(j->config.flows, f, from->skaddr);
	if (!(f->seen & FLOW_END_UNTOLD))
		j->config.ledger->resumed++;
	ending_follow(j, f, false);
}

static bool may_be_ours(const struct join *j, const struct ct_entry *entry)
{
	if (entry->zone || !join_is_logged(j, entry->original.protocol))
		return false;
	if (entry->has_timestamps && entry->start_real_ns >= j->resume.begun_real_ns)
		return false;
	return j->config.loopback || !tuple_is_loopback(&entry->original);
}

/* A flow that is there already: of this run, or handed over, or in conntrack's word only, so that
 * its packet is under way. *waiting: one that only sock_diag told of (join_connecting). */
static bool is_known(struct join *j, const struct tuple *tuple, struct flow **waiting)
{
	struct flow *f = flow_by_tuple(j->config.flows, tuple);

	for (*waiting = NULL; f; f = flow_next_by_tuple(j->config.flows, f)) {
		if (!(f->seen & FLOW_EARLIER) || f->queue != FLOW_QUEUE_CONNECT)
			return true;
		*waiting = f;
	}
	return false;
}

/* The socket is here, and what it sends is logged. */
static bool has_socket(const struct join *j, const struct owner_query *query)
{
	if (!query->socket_found || query->socket_state == TCP_TIME_WAIT ||
	    query->socket_state == TCP_CLOSE)
		return false;
	return j->config.loopback || route_is_local(j->config.route, &query->tuple) != 1;
}

static void fill_candidate(struct join *j, struct flow *f, const struct ct_entry *entry,
			   const struct owner_query *query)
{
	uint64_t made_ns = entry->has_timestamps ? entry->start_real_ns : 0;

	f->seen |= FLOW_RESUMED | FLOW_NEW;
	f->start_ns = f->packet_ns = j->now_ns;
	if (made_ns && made_ns <= j->now_real_ns && j->now_real_ns - made_ns < j->now_ns) {
		f->start_real_ns = made_ns;
		f->start_ns = j->now_ns - (j->now_real_ns - made_ns);
	}
	f->hook = NF_INET_LOCAL_OUT;
	entry_fill_reply(f, entry);
	if (!query->socket_orphan) {
		f->uid = query->socket_uid;
		f->seen |= FLOW_UID;
	}
	if (query->socket_state != TCP_SYN_SENT && !tuple_is_datagram(&f->tuple))
		f->seen |= FLOW_ANSWERED;
	flow_enqueue(j->config.flows, f, FLOW_QUEUE_RESUMED, j->now_ns + WAIT_NS);
}

static void consider(struct join *j, const struct ct_entry *entry, const struct owner_query *query)
{
	struct flow *f;

	if (!has_socket(j, query) || is_known(j, &entry->original, &f))
		return;
	if (!f && flow_table_full(j->config.flows)) {
		j->config.ledger->ends_evicted++;
		return;
	}
	if (!f) {
		f = flow_new(j->config.flows);
		f->tuple = entry->original;
		flow_index_tuple(j->config.flows, f);
	}
	fill_candidate(j, f, entry, query);
}

/* Entries that may be ours, whose sockets are not asked for yet. */
struct part {
	struct join *join;
	struct ct_entry entries[PART_MAX];
	unsigned int count;
};

static void part_consider(struct part *p)
{
	struct owner_query queries[PART_MAX];
	struct join *j = p->join;

	for (unsigned int i = 0; i < p->count; i++)
		queries[i] = (struct owner_query) { .tuple = p->entries[i].original };
	if (p->count && owner_sockets(j->config.owner, queries, p->count) == 0)
		for (unsigned int i = 0; i < p->count; i++)
			consider(j, &p->entries[i], &queries[i]);
	p->count = 0;
}

static void part_add(const struct ct_entry *entry, void *data)
{
	struct part *p = data;
	struct flow *waiting;

	if (!may_be_ours(p->join, entry) || is_known(p->join, &entry->original, &waiting))
		return;
	p->entries[p->count++] = *entry;
	if (p->count == PART_MAX)
		part_consider(p);
}

/* No other flow has come for this tuple, and its entry is the same: so was its socket, when it was
 * looked up. */
static bool is_still_that(struct join *j, const struct flow *f)
{
	struct ct_entry entry;
	int err;

	if (flow_by_tuple(j->config.flows, &f->tuple) != f ||
	    flow_next_by_tuple(j->config.flows, f))
		return false;
	if (f->seen & FLOW_DESTROY)
		return true;
	err = ct_lookup(j->config.ct, &f->tuple, f->ct_zone, &entry);
	return err ? err != -ENOENT : entry.id == f->ct_id;
}

/* An entry of datagrams outlives its socket, and another one with its ports goes on in it: that of
 * a process which has begun later than the entry is one. */
static bool may_have_begun(const struct flow *f, const struct process *p)
{
	return !tuple_is_datagram(&f->tuple) || !f->start_real_ns || !(p->known & PROCESS_START) ||
	       p->start_real_ns <= f->start_real_ns + START_SLACK_NS;
}

static void forget_owner(struct flow *f)
{
	f->owner = OWNER_NONE;
	f->cgroup_id = 0;
	f->seen &= ~(uint32_t)FLOW_UID;
}

/* One without an answer stays until it has one: the SYN that it sends again is nobody else's. */
static void leave_out(struct join *j, struct flow *f)
{
	if (fate_answered(f) || tuple_is_datagram(&f->tuple)) {
		join_flow_free(j, f);
		return;
	}
	f->seen |= FLOW_END_UNTOLD;
	ending_follow(j, f, false);
}

/* Not one that was open, as far as can be told. One that was listed (join_connecting) is that
 * again: its socket may be connecting without an entry, or with another one. */
static void let_go(struct join *j, struct flow *f)
{
	if (!(f->seen & FLOW_EARLIER) || f->seen & FLOW_ANSWERED) {
		join_flow_free(j, f);
		return;
	}
	entry_forget(f);
	f->seen = FLOW_EARLIER;
	f->start_ns = j->listed_ns;
	flow_enqueue(j->config.flows, f, FLOW_QUEUE_CONNECT, j->now_ns + JOIN_RECHECK_NS);
}

static void resume(struct join *j, struct flow *f, const struct owner_query *query)
{
	f->owner = (uint8_t)query->rung;
	if (f->owner == OWNER_UNDECIDED)
		f->owner = f->seen & FLOW_UID ? OWNER_UID : OWNER_NONE;
	f->cgroup_id = query->cgroup_id;
	if (query->process && !may_have_begun(f, query->process)) {
		forget_owner(f);
	} else if (query->process) {
		f->process = process_ref(query->process);
		if (query->holder_count > 1)
			join_remember_holders(j, f, query);
	}
	f->seen |= FLOW_STARTED;
	ladder_look_at_process(j, f);
	if (join_filtered(j, f)) {
		leave_out(j, f);
		return;
	}
	j->config.ledger->resumed++;
	ending_follow(j, f, false);
}

/* conntrack gives room for telling of its end to an entry only when it is made, and since Linux
 * 5.19 only if somebody listens then (net.netfilter.nf_conntrack_events is 2:
 * nf_ct_ecache_ext_add). */
static void look_after(struct join *j, struct flow *f)
{
	bool datagram = tuple_is_datagram(&f->tuple);
	struct ct_entry entry;
	bool stands;

	flow_enqueue(j->config.flows, f, FLOW_QUEUE_WATCHED, j->now_ns + RESUME_WATCH_NS);
	/* conntrack may have an entry of it again, and will tell. */
	if (!datagram && join_lives(j, f, true)) {
		ending_follow(j, f, false);
		return;
	}
	/* What the trace says of its close may be read next. */
	if (f->skaddr && j->config.trace && f->waited < 3) {
		f->waited = 3;
		return;
	}
	stands = j->config.ct && ct_lookup(j->config.ct, &f->tuple, f->ct_zone, &entry) == 0 &&
		 f->seen & FLOW_CT_ID && entry.id == f->ct_id;
	if (stands && datagram)
		return;
	if (stands)
		entry_take_as_final(j, f, &entry);
	join_end(j, f);
}

static void watch(struct join *j)
{
	struct flow *f;

	for (unsigned int i = 0; i < WATCH_MAX; i++) {
		f = flow_first(j->config.flows, FLOW_QUEUE_WATCHED);
		if (!f || !flow_is_due(f, j->now_ns))
			return;
		look_after(j, f);
	}
}

/* The candidates whose time has come, up to a batch of them. */
static void decide(struct join *j)
{
	struct ladder_lookups batch = { .count = 0 };
	struct flow *f;

	while (batch.count < LADDER_LOOKUPS_MAX &&
	       (f = flow_first(j->config.flows, FLOW_QUEUE_RESUMED)) && flow_is_due(f, j->now_ns)) {
		flow_enqueue(j->config.flows, f, FLOW_QUEUE_RESUMED, j->now_ns + WAIT_NS);
		if (join_is_behind(j))
			continue;
		batch.queries[batch.count] = (struct owner_query) {
			.tuple = f->tuple, .uid = f->uid, .has_uid = f->seen & FLOW_UID,
		};
		batch.flows[batch.count++] = f;
	}
	if (batch.count)
		owner_lookup(j->config.owner, batch.queries, batch.count);
	for (unsigned int i = 0; i < batch.count; i++) {
		f = batch.flows[i];
		if (!is_still_that(j, f))
			let_go(j, f);
		else if (!batch.queries[i].unfinished || j->now_ns - f->packet_ns > PATIENCE_NS)
			resume(j, f, &batch.queries[i]);
	}
}

static bool has_room(const struct join *j)
{
	return flow_queue_count(j->config.flows, FLOW_QUEUE_RESUMED) < WAITING_MAX;
}

/* Somebody's process is being looked for, who may be gone soon. */
static bool gives_way(const struct join *j)
{
	return j->undecided && j->now_ns < j->resume.read_ns + GIVE_WAY_NS;
}

static void read_part(struct join *j)
{
	struct resume *r = &j->resume;
	struct part part;
	int err;

	part.join = j;
	part.count = 0;
	r->read_ns = j->now_ns;
	err = ct_dump_part(j->config.ct, part_add, &part);
	part_consider(&part);
	/* The table changed under an inconsistent dump: what was seen is known by now. */
	if (err == -EINTR && ++r->tries < TRIES_MAX)
		return;
	r->dumping = err > 0;
}

void resume_step(struct join *j)
{
	watch(j);
	decide(j);
	if (j->resume.dumping && has_room(j) && !gives_way(j))
		read_part(j);
}

uint64_t resume_next_ns(const struct join *j)
{
	const struct flow *f = flow_first(j->config.flows, FLOW_QUEUE_RESUMED);
	const struct flow *watched = flow_first(j->config.flows, FLOW_QUEUE_WATCHED);

	if (j->resume.dumping && has_room(j))
		return gives_way(j) ? j->resume.read_ns + GIVE_WAY_NS : j->now_ns;
	if (f)
		return flow_due_ns(f, j->now_ns);
	return watched ? flow_due_ns(watched, j->now_ns) + WATCH_SLACK_NS : UINT64_MAX;
}
