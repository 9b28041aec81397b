// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Decisions: who owns a flow, and what became of it. Made when a batch is complete, that is when
 * everything the kernel had queued before one instant has gone in, so that "nobody else fits" and
 * "no such event" mean something.
 *
 * The owner ladder, best rung first:
 *
 *  trace   The connect with this very tuple; or the only pending connect that fits, if nothing was
 *          lost since it began, its process is in the packet's network namespace and the socket
 *          with this tuple exists; or the one candidate that holds the socket's inode. While
 *          several fit, the flow is held: their next transition tells their ports.
 *  socket  The process that holds the socket's inode, and so on down: lib/owner.
 *
 * A SYN is never seen before its connect (the event precedes the packet, and the rings are read
 * after it), so a packet that no connect fits need not wait: its socket is older than the trace, or
 * a record was lost, or nobody called connect().
 *
 * Ends: conntrack's DESTROY is final and brings the counters. A socket that closed unanswered ends
 * at once, after the short time its error report may take. Whoever stays silent is asked for by
 * sock_diag every few seconds, because the CPU that noticed the end may have told nobody.
 */
#include "fate.h"
#include "join.h"

#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <string.h>

#define BATCH 64
#define CANDIDATES_MAX 64
#define PROCESS_OLD_NS 10000000ull

/* Longest sensible wait for DESTROY after the close: TIME_WAIT's 120 s, and some. */
#define DESTROY_NS 150000000000ull

bool join_may_send(struct join *j, const struct flow *connect, uint8_t hook)
{
	const struct process *p = connect->process;
	bool ours;

	if (hook == NF_INET_LOCAL_IN)
		return false;
	if (!p || !(p->known & PROCESS_NETNS) || !j->config.net_ns)
		return true;
	ours = p->netns == j->config.net_ns;
	return hook == NF_INET_LOCAL_OUT || hook == NF_INET_POST_ROUTING ? ours : !ours;
}

/* The same, but known for certain. */
static bool surely_sends(struct join *j, struct flow *connect, uint8_t hook)
{
	if (!connect->process)
		return false;
	process_read(j->config.processes, connect->process);
	return connect->process->known & PROCESS_NETNS && join_may_send(j, connect, hook);
}

/* Packets sent a while ago are not read yet, or a CPU's next record has to tell whether connects are
 * missing: that something has not come proves nothing now, and may soon. */
static bool is_behind(const struct join *j)
{
	if (j->finishing)
		return false;
	return j->packets_read_ns + JOIN_CONFIRM_NS < j->now_ns ||
	       (j->config.trace && trace_in_doubt(j->config.trace));
}

/* NFLOG gives no time of sending for what leaves this host. When the queue was last empty, all
 * that had been sent a flush timeout before was read. */
uint64_t join_sent_after(const struct join *j)
{
	return j->packets_read_ns > JOIN_CONFIRM_NS ? j->packets_read_ns - JOIN_CONFIRM_NS : 0;
}

/* It is, if it began before the packet was sent, or if every connect since then is known: an
 * earlier user of the tuple, whose packet this could be, would be in the table. */
bool join_surely_first(const struct join *j, const struct flow *connect, uint64_t sent_after_ns)
{
	return connect->start_ns <= sent_after_ns ||
	       trace_complete_since(j->config.trace, sent_after_ns);
}

static bool lacks_packet(const struct flow *f)
{
	return (f->seen & (FLOW_CONNECT | FLOW_PACKET)) == FLOW_CONNECT;
}

static bool is_forwarded(const struct flow *f)
{
	return f->hook == NF_INET_FORWARD || f->hook == NF_INET_PRE_ROUTING;
}

static void ask_socket(struct join *j, const struct flow *f, struct owner_query *query)
{
	*query = (struct owner_query) { .tuple = f->tuple, .ifindex = f->ifindex_out };
	if (!is_forwarded(f))
		owner_socket(j->config.owner, query);
}

bool join_lives(struct join *j, const struct flow *f)
{
	const struct flow *newest = flow_by_tuple(j->config.flows, &f->tuple);
	struct owner_query query;

	if (f->seen & FLOW_CLOSED || (newest != f && newest->seen & FLOW_PACKET))
		return false;
	ask_socket(j, f, &query);
	return query.socket_found && query.socket_state != TCP_TIME_WAIT &&
	       query.socket_state != TCP_CLOSE;
}

/* Connects that can be this packet's, newest first. */
struct candidates {
	struct flow *flows[CANDIDATES_MAX];
	unsigned int count;
	bool complete;		/* these are all */
};

static void candidates_add(struct candidates *c, struct flow *connect)
{
	if (c->count < CANDIDATES_MAX)
		c->flows[c->count++] = connect;
	else
		c->complete = false;
}

static void collect_exact(struct join *j, const struct flow *f, struct candidates *c)
{
	struct flow *connect = flow_by_tuple(j->config.flows, &f->tuple);

	*c = (struct candidates) { .complete = true };
	for (; connect; connect = flow_next_by_tuple(j->config.flows, connect))
		if (lacks_packet(connect) && connect->start_ns <= f->packet_ns &&
		    join_may_send(j, connect, f->hook))
			candidates_add(c, connect);
}

static void collect_pending(struct join *j, const struct flow *f, struct candidates *c)
{
	struct flow *connect = flow_by_pending(j->config.flows, &f->tuple);

	*c = (struct candidates) { .complete = true };
	for (; connect && c->complete; connect = flow_next_by_pending(j->config.flows, connect))
		if (connect->start_ns <= f->packet_ns && join_may_send(j, connect, f->hook) &&
		    trace_port_possible(j->config.trace, connect, f->tuple.sport))
			candidates_add(c, connect);
}

static void take(struct join *j, struct flow *f, struct flow *connect)
{
	if (!(connect->seen & FLOW_PORT))
		trace_learn_port(j->config.trace, connect, f->tuple.sport);
	join_absorb(j, f, connect);
}

/* The one pending connect there is, if it is surely this packet's. */
static bool take_only(struct join *j, struct flow *f, const struct candidates *c)
{
	struct flow *connect = c->flows[0];
	struct owner_query query;

	if (c->count != 1 || !c->complete ||
	    !trace_complete_since(j->config.trace, connect->start_ns) ||
	    !surely_sends(j, connect, f->hook))
		return false;
	ask_socket(j, f, &query);
	if (!query.socket_found && !is_forwarded(f))
		return false;
	take(j, f, connect);
	return true;
}

/* The one candidate whose process holds the packet's socket. */
static bool take_holder(struct join *j, struct flow *f, const struct candidates *c)
{
	struct flow *holder = NULL;
	struct owner_query query;

	ask_socket(j, f, &query);
	if (!query.socket_found || !query.inode || !c->complete)
		return false;
	for (unsigned int i = 0; i < c->count; i++) {
		struct flow *connect = c->flows[i];

		if (!connect->process ||
		    owner_holds(j->config.owner, connect->process->pid, query.inode) != 1)
			continue;
		if (holder)
			return false;
		holder = connect;
	}
	if (!holder)
		return false;
	take(j, f, holder);
	return true;
}

/* Packets of this tuple that have been read and are nobody's yet. */
static unsigned int undecided_packets(struct join *j, const struct tuple *tuple, uint64_t after,
				      unsigned int *newer)
{
	struct flow *f = flow_by_tuple(j->config.flows, tuple);
	unsigned int count = 0;

	*newer = 0;
	for (; f; f = flow_next_by_tuple(j->config.flows, f)) {
		if ((f->seen & (FLOW_PACKET | FLOW_CONNECT | FLOW_STARTED)) != FLOW_PACKET)
			continue;
		count++;
		*newer += f->number > after;
	}
	return count;
}

/* One tuple, used several times before we came to read its packets. Within one namespace its
 * connects follow one another, and so do its packets; if there are as many of the one as of the
 * other, and nothing was lost, the first belongs to the first. */
static bool take_in_order(struct join *j, struct flow *f, const struct candidates *c)
{
	unsigned int newer, packets = undecided_packets(j, &f->tuple, f->number, &newer);

	for (unsigned int i = 0; i < c->count; i++)
		if (!surely_sends(j, c->flows[i], f->hook))
			return false;
	if (!c->complete || packets != c->count || f->sent_after_ns <= j->nflog_lost_ns)
		return false;
	take(j, f, c->flows[newer]);
	return true;
}

enum verdict { VERDICT_TAKEN, VERDICT_NOBODY, VERDICT_UNSURE };

static enum verdict find_connect(struct join *j, struct flow *f, bool ask_holders)
{
	bool complete = trace_complete_since(j->config.trace, f->sent_after_ns);
	struct candidates c;

	collect_exact(j, f, &c);
	if (c.count == 1 && join_surely_first(j, c.flows[0], f->sent_after_ns)) {
		take(j, f, c.flows[0]);
		return VERDICT_TAKEN;
	}
	if (c.count > 1 && complete && !is_behind(j) && take_in_order(j, f, &c))
		return VERDICT_TAKEN;
	if (c.count)
		return VERDICT_UNSURE;
	collect_pending(j, f, &c);
	if (!c.count)
		return VERDICT_NOBODY;
	if (complete && (take_only(j, f, &c) || (ask_holders && take_holder(j, f, &c))))
		return VERDICT_TAKEN;
	return VERDICT_UNSURE;
}

static bool conntrack_will_tell(const struct join *j, const struct flow *f)
{
	return j->config.ct && !(f->seen & (FLOW_DESTROY | FLOW_UNTRACKED));
}

/* Another flow with this tuple has been confirmed: it may be this one that was meant. */
static bool conntrack_knows(struct join *j, const struct flow *f)
{
	struct flow *other = flow_by_tuple(j->config.flows, &f->tuple);

	while (other && (other == f || !(other->seen & (FLOW_NEW | FLOW_DESTROY))))
		other = flow_next_by_tuple(j->config.flows, other);
	return other;
}

static void gather_signs(struct join *j, const struct flow *f, struct fate_signs *signs)
{
	*signs = (struct fate_signs) {
		.conntrack = j->config.ct && !j->foreign_zone,
		.tracked = j->config.own_rules && f->hook == NF_INET_LOCAL_OUT,
		.syn_retries = j->config.syn_retries,
		.errors_reported = j->config.errors_reported && j->config.trace &&
				   trace_complete_since(j->config.trace, f->start_ns),
	};
	/* Asked only where it matters: an entry of an earlier attempt keeps NEW from coming. */
	if (signs->conntrack && signs->tracked && f->seen & FLOW_CLOSED &&
	    !(f->seen & (FLOW_NEW | FLOW_DESTROY)))
		signs->entry_exists = conntrack_knows(j, f) ||
				      ct_lookup(j->config.ct, &f->tuple, NULL) != -ENOENT;
}

/* An ended flow stays for a while: its last retransmission may not have been read yet. One that
 * conntrack still remembers stays as long: its entry explains why the same tuple, tried again, gets
 * no NEW. */
static void retire(struct join *j, struct flow *f)
{
	process_unref(f->process);
	f->process = NULL;
	if (f->seen & (FLOW_NEW | FLOW_CT_ID) && conntrack_will_tell(j, f))
		flow_enqueue(j->config.flows, f, FLOW_QUEUE_CLOSED, j->now_ns + DESTROY_NS);
	else
		flow_enqueue(j->config.flows, f, FLOW_QUEUE_ENDED, j->now_ns + JOIN_CONFIRM_NS);
}

void join_end(struct join *j, struct flow *f)
{
	struct fate_signs signs;

	if (f->start_ns <= j->ct_lost_ns)
		f->seen |= FLOW_CT_LOST;
	if (f->seen & FLOW_CT_LOST && !(f->seen & FLOW_DESTROY))
		j->config.ledger->ends_uncertain++;
	/* What the next entry counted is missing, or nobody counted on. */
	if (f->seen & FLOW_REMOVED && !(f->seen & FLOW_DESTROY))
		f->seen &= ~(uint32_t)FLOW_COUNTERS;
	gather_signs(j, f, &signs);
	f->reason = (uint8_t)fate_decide(f, &signs);
	f->seen |= FLOW_ENDED;
	if (!(f->seen & FLOW_SUPPRESSED))
		j->config.ledger->ended++;
	j->config.end(f, j->config.data);
	retire(j, f);
}

/* Over, but the trace has not told why yet: conntrack hears of a RST just before the socket does,
 * and the error report comes just after the close. */
static bool is_unexplained(const struct flow *f)
{
	if (fate_answered(f) || !(f->seen & FLOW_CONNECT) || f->seen & FLOW_ERROR)
		return false;
	return f->seen & (FLOW_DESTROY | FLOW_CLOSED);
}

/* A missing NEW means something only when all there was has been read. */
static bool awaits_conntrack(const struct join *j, const struct flow *f)
{
	return conntrack_will_tell(j, f) && !(f->seen & (FLOW_NEW | FLOW_CT_ID)) &&
	       !j->conntrack_current && !j->finishing;
}

/* Its entry was removed by hand, and there may never be another one; nor does the trace know it. */
static bool is_forgotten(const struct flow *f)
{
	return f->seen & FLOW_REMOVED && !(f->seen & FLOW_NEW) && !f->skaddr;
}

/* Where a started flow goes from here, with what is known now. */
static void follow(struct join *j, struct flow *f, bool patient)
{
	struct flow_table *flows = j->config.flows;

	if (f->seen & FLOW_ENDED) {
		retire(j, f);
	} else if (patient && is_unexplained(f)) {
		flow_enqueue(flows, f, FLOW_QUEUE_HELD, j->now_ns + JOIN_HELD_NS);
	} else if (f->seen & FLOW_DESTROY) {
		join_end(j, f);
	} else if (f->seen & FLOW_CLOSED && !fate_answered(f)) {
		if (awaits_conntrack(j, f))
			flow_enqueue(flows, f, FLOW_QUEUE_HELD, j->now_ns + JOIN_HELD_NS);
		else
			join_end(j, f);
	} else if (f->seen & FLOW_CLOSED) {
		if (conntrack_will_tell(j, f))
			flow_enqueue(flows, f, FLOW_QUEUE_CLOSED, j->now_ns + DESTROY_NS);
		else
			join_end(j, f);
	} else if (fate_answered(f) && !is_forgotten(f)) {
		flow_enqueue(flows, f, FLOW_QUEUE_OPEN, j->now_ns);
	} else {
		flow_enqueue(flows, f, FLOW_QUEUE_UNANSWERED, j->now_ns + JOIN_RECHECK_NS);
	}
}

/* What was read at its exec may be old: its file deleted since, its user another one. */
static void look_at_process(struct join *j, const struct flow *f)
{
	struct process *p = f->process;

	if (!p)
		return;
	process_read(j->config.processes, p);
	if (!p->exit_ns && p->checked_ns + PROCESS_OLD_NS < j->now_ns)
		process_refresh(j->config.processes, p);
}

static void start(struct join *j, struct flow *f, enum owner_rung rung)
{
	struct ledger *ledger = j->config.ledger;

	look_at_process(j, f);
	j->undecided--;
	if (!(f->seen & FLOW_CONNECT))
		f->answer_ns = 0;
	f->owner = (uint8_t)rung;
	f->seen |= FLOW_STARTED;
	if (f->ct_zone)
		j->foreign_zone = true;
	if (j->config.start(f, j->config.data)) {
		ledger->started++;
		ledger->owner[rung]++;
	} else {
		f->seen |= FLOW_SUPPRESSED;
		ledger->suppressed++;
	}
	follow(j, f, !j->finishing);
}

static void start_traced(struct join *j, struct flow *f)
{
	if (f->seen & FLOW_KERNEL)
		start(j, f, OWNER_KERNEL);
	else
		start(j, f, OWNER_TRACE);
}

static void apply_answer(struct join *j, struct flow *f, struct owner_query *query)
{
	if (query->process) {
		process_unref(f->process);
		f->process = process_ref(query->process);
		if (query->holder_count > 1)
			join_remember_holders(j, f, query);
	}
	if (query->socket_found && !query->socket_orphan) {
		f->uid = query->socket_uid;
		f->seen |= FLOW_UID;
	}
	if (query->cgroup_id)
		f->cgroup_id = query->cgroup_id;
	if (query->rung == OWNER_SOCKET)
		f->owner = OWNER_SOCKET;
	else if (!query->unfinished || j->finishing ||
		 j->now_ns - f->packet_ns >= JOIN_UNSURE_NS) {
		start(j, f, query->rung);
		return;
	}
	flow_enqueue(j->config.flows, f, FLOW_QUEUE_CONFIRM, j->now_ns + JOIN_CONFIRM_NS);
}

/* The tuple was looked up a while after its packet was sent. A port can be in use again by then,
 * by another process: then that one's packet has been logged too, and is read by now. */
static void confirm_holder(struct join *j, struct flow *f)
{
	struct flow *other = flow_by_tuple(j->config.flows, &f->tuple);
	bool used_again = f->packet_ns <= j->nflog_lost_ns;

	if (is_behind(j)) {
		flow_enqueue(j->config.flows, f, FLOW_QUEUE_CONFIRM, j->now_ns + JOIN_CONFIRM_NS);
		return;
	}
	for (; other && !used_again; other = flow_next_by_tuple(j->config.flows, other))
		used_again = other != f && other->start_ns >= f->start_ns &&
			     other->seen & (FLOW_PACKET | FLOW_CONNECT);
	if (!used_again) {
		start(j, f, OWNER_SOCKET);
		return;
	}
	process_unref(f->process);
	f->process = NULL;
	start(j, f, f->seen & FLOW_UID ? OWNER_UID : OWNER_NONE);
}

/* Questions for the lower rungs, answered together: one walk of /proc serves all. */
struct lookups {
	struct flow *flows[BATCH];
	struct owner_query queries[BATCH];
	unsigned int count;
};

static void lookups_answer(struct join *j, struct lookups *l)
{
	if (l->count)
		owner_lookup(j->config.owner, l->queries, l->count);
	for (unsigned int i = 0; i < l->count; i++)
		apply_answer(j, l->flows[i], &l->queries[i]);
	l->count = 0;
}

static void lookups_add(struct join *j, struct lookups *l, struct flow *f)
{
	if (l->count == BATCH)
		lookups_answer(j, l);
	l->queries[l->count] = (struct owner_query) {
		.tuple = f->tuple,
		.ifindex = f->ifindex_out,
		.uid = f->uid,
		.has_uid = f->seen & FLOW_UID,
		.from_packet = f->seen & FLOW_PACKET,
	};
	l->flows[l->count++] = f;
	/* Out of the queue that is being worked through. */
	flow_enqueue(j->config.flows, f, FLOW_QUEUE_UNSURE, j->now_ns + JOIN_UNSURE_NS);
}

/* Nobody on this host connected it, as far as can be told here. */
static void start_unowned(struct join *j, struct flow *f)
{
	if (f->hook == NF_INET_PRE_ROUTING) {
		/* The hook is there for containers' connections; this one came from outside. */
		j->undecided--;
		j->config.ledger->filtered++;
		join_flow_free(j, f);
		return;
	}
	start(j, f, OWNER_NONE);
}

static void decide_owner(struct join *j, struct flow *f, struct lookups *l, bool last_chance)
{
	bool held = f->queue == FLOW_QUEUE_HELD;
	enum verdict verdict = VERDICT_NOBODY;

	if (f->seen & FLOW_CONNECT && (f->process || f->seen & FLOW_KERNEL)) {
		start_traced(j, f);
		return;
	}
	if (f->seen & FLOW_INGRESS) {
		start(j, f, OWNER_NONE);
		return;
	}
	if (f->owner == OWNER_SOCKET) {
		flow_enqueue(j->config.flows, f, FLOW_QUEUE_CONFIRM, j->now_ns + JOIN_CONFIRM_NS);
		return;
	}
	if (j->config.trace && !(f->seen & (FLOW_CONNECT | FLOW_RESUMED)))
		verdict = find_connect(j, f, held || last_chance);
	if (verdict == VERDICT_UNSURE)
		j->unmatched_ns = j->now_ns;
	if (verdict == VERDICT_TAKEN && (f->process || f->seen & FLOW_KERNEL))
		start_traced(j, f);
	else if (verdict == VERDICT_UNSURE && (is_behind(j) || (held && !last_chance)))
		flow_enqueue(j->config.flows, f, FLOW_QUEUE_UNSURE, j->now_ns + JOIN_UNSURE_NS);
	else if (verdict == VERDICT_UNSURE && !last_chance)
		flow_enqueue(j->config.flows, f, FLOW_QUEUE_HELD, j->now_ns + JOIN_HELD_NS);
	else if (is_forwarded(f))
		start_unowned(j, f);
	else
		lookups_add(j, l, f);
}

/* A child that ended before it could be asked for its network namespace had its parent's, if the
 * address it connected from is one of ours. */
static bool is_from_here(struct join *j, struct flow *f)
{
	struct tuple to_source = tuple_reverse(&f->tuple);

	if (surely_sends(j, f, NF_INET_LOCAL_OUT))
		return true;
	return f->process && !(f->process->known & PROCESS_NETNS) && f->process->forked &&
	       f->process->netns == j->config.net_ns &&
	       route_is_local(j->config.route, &to_source) == 1;
}

/* A connect without a packet, over or still silent. */
static void decide_unsent(struct join *j, struct flow *f)
{
	unsigned int newer;
	bool logged = false;

	if (!j->finishing && undecided_packets(j, &f->tuple, 0, &newer)) {
		flow_enqueue(j->config.flows, f, FLOW_QUEUE_UNSENT, j->now_ns + JOIN_ORPHAN_NS);
		return;
	}

	for (unsigned int i = 0; i < j->config.protocol_count; i++)
		logged |= j->config.protocols[i] == f->tuple.protocol;
	if (!logged || !j->config.output_logged || !(f->seen & FLOW_CLOSED) ||
	    f->start_ns <= j->nflog_lost_ns || f->start_ns <= j->unmatched_ns ||
	    !trace_complete_since(j->config.trace, f->start_ns) || !is_from_here(j, f) ||
	    tuple_is_loopback(&f->tuple) || route_is_local(j->config.route, &f->tuple) != 0) {
		j->trace_only++;
		join_flow_free(j, f);
		return;
	}
	f->hook = NF_INET_LOCAL_OUT;
	f->owner = OWNER_TRACE;
	f->seen |= FLOW_STARTED;
	j->trace_only++;
	if (j->config.start(f, j->config.data)) {
		j->config.ledger->unsent++;
	} else {
		f->seen |= FLOW_SUPPRESSED;
		j->config.ledger->unsent_suppressed++;
	}
	f->reason = REASON_UNSENT;
	f->seen |= FLOW_ENDED;
	j->config.end(f, j->config.data);
	join_flow_free(j, f);
}

/* No packet yet. Established without one: it does not pass our hook. Otherwise it may be a connect
 * whose packets are dropped before it, and its end is worth a record. */
static void recheck_connect(struct join *j, struct flow *f)
{
	bool elsewhere = !join_may_send(j, f, NF_INET_LOCAL_OUT);
	struct owner_query query;

	if (f->seen & FLOW_RESUMED) {
		ask_socket(j, f, &query);
		if (query.socket_found && query.socket_state == TCP_SYN_SENT)
			flow_enqueue(j->config.flows, f, FLOW_QUEUE_CONNECT,
				     j->now_ns + JOIN_RECHECK_NS);
		else
			join_flow_free(j, f);
		return;
	}
	if (f->seen & FLOW_ANSWERED || (elsewhere && j->config.output_logged)) {
		j->trace_only++;
		join_flow_free(j, f);
		return;
	}
	flow_enqueue(j->config.flows, f, FLOW_QUEUE_CONNECT, j->now_ns + JOIN_RECHECK_NS);
}

static void recheck_unanswered(struct join *j, struct flow *f)
{
	struct owner_query query;

	ask_socket(j, f, &query);
	if (is_forwarded(f) || f->seen & FLOW_INGRESS ||
	    (query.socket_found && query.socket_state == TCP_SYN_SENT)) {
		flow_enqueue(j->config.flows, f, FLOW_QUEUE_UNANSWERED, j->now_ns + JOIN_RECHECK_NS);
		return;
	}
	if (query.socket_found)
		f->seen |= FLOW_ANSWERED;
	else
		f->seen |= FLOW_CLOSED;
	follow(j, f, false);
}

/* DESTROY should have come. An entry that was made in the middle of a connection, after another one
 * was removed by hand, may have missed its end and stand for days: its counters are final. */
static void recheck_closed(struct join *j, struct flow *f)
{
	struct ct_entry entry;

	if (f->seen & FLOW_ENDED) {
		join_flow_free(j, f);
		return;
	}
	if (ct_lookup(j->config.ct, &f->tuple, &entry) != 0) {
		f->seen |= FLOW_CT_LOST;
		join_end(j, f);
	} else if (f->seen & FLOW_REMOVED && f->seen & FLOW_CT_ID && f->ct_id == entry.id) {
		join_fill_last_word(j, f, &entry);
		f->seen &= ~(uint32_t)FLOW_TCP_STATE;
		f->seen |= FLOW_DESTROY;
		join_end(j, f);
	} else {
		flow_enqueue(j->config.flows, f, FLOW_QUEUE_CLOSED, j->now_ns + DESTROY_NS);
	}
}

static void expire(struct join *j, struct flow *f, struct lookups *l)
{
	switch ((enum flow_queue)f->queue) {
	case FLOW_QUEUE_ENDED:
		if (is_behind(j))
			flow_enqueue(j->config.flows, f, FLOW_QUEUE_ENDED,
				     j->now_ns + JOIN_CONFIRM_NS);
		else
			join_flow_free(j, f);
		break;
	case FLOW_QUEUE_ORPHAN:
		if (is_behind(j))
			flow_enqueue(j->config.flows, f, FLOW_QUEUE_ORPHAN,
				     j->now_ns + JOIN_ORPHAN_NS);
		else
			join_flow_free(j, f);
		break;
	case FLOW_QUEUE_UNSENT:
		if (is_behind(j))
			flow_enqueue(j->config.flows, f, FLOW_QUEUE_UNSENT,
				     j->now_ns + JOIN_ORPHAN_NS);
		else
			decide_unsent(j, f);
		break;
	case FLOW_QUEUE_CONNECT:
		if (is_behind(j))
			flow_enqueue(j->config.flows, f, FLOW_QUEUE_CONNECT,
				     j->now_ns + JOIN_RECHECK_NS);
		else
			recheck_connect(j, f);
		break;
	case FLOW_QUEUE_CLOSED:
		recheck_closed(j, f);
		break;
	case FLOW_QUEUE_UNANSWERED:
		recheck_unanswered(j, f);
		break;
	case FLOW_QUEUE_CONFIRM:
		if (f->owner == OWNER_SOCKET)
			confirm_holder(j, f);
		else
			lookups_add(j, l, f);	/* the search for its holder had to stop */
		break;
	case FLOW_QUEUE_HELD:
	case FLOW_QUEUE_UNSURE:
		if (f->seen & FLOW_STARTED)
			follow(j, f, false);
		else
			decide_owner(j, f, l, f->queue == FLOW_QUEUE_UNSURE);
		break;
	case FLOW_QUEUE_FRESH:
	case FLOW_QUEUE_OPEN:
	case FLOW_QUEUE_NONE:
	case FLOW_QUEUES:
		break;
	}
}

static void settle_fresh(struct join *j, struct lookups *l, bool last_chance)
{
	struct flow *f;

	while ((f = flow_first(j->config.flows, FLOW_QUEUE_FRESH))) {
		/* The clock was read before the packets, and once more since. */
		if (f->seen & FLOW_PACKET && !f->packet_ns)
			f->packet_ns = j->now_ns;
		if (f->seen & FLOW_STARTED)
			follow(j, f, !last_chance);
		else if (f->seen & FLOW_PACKET)
			decide_owner(j, f, l, last_chance);
		else
			flow_enqueue(j->config.flows, f, FLOW_QUEUE_ORPHAN,
				     j->now_ns + JOIN_ORPHAN_NS);
	}
}

void join_settle(struct join *j)
{
	struct lookups lookups = { .count = 0 };
	struct flow *f;

	settle_fresh(j, &lookups, false);
	lookups_answer(j, &lookups);
	for (unsigned int q = FLOW_QUEUE_NONE + 1; q < FLOW_QUEUE_OPEN; q++)
		while ((f = flow_first(j->config.flows, q)) && flow_is_due(f, j->now_ns))
			expire(j, f, &lookups);
	lookups_answer(j, &lookups);
	resync_step(j);
	j->config.ledger->pending = j->undecided;
}

/* How late a queue's deadline may be met when nothing else wakes us: thousands of flows, each with
 * its own, are one wake-up. Short where a record waits, long where only memory does. */
static const uint64_t slack_ns[FLOW_QUEUES] = {
	[FLOW_QUEUE_ENDED] = 250000000,
	[FLOW_QUEUE_ORPHAN] = 250000000,
	[FLOW_QUEUE_UNSENT] = 250000000,
	[FLOW_QUEUE_CONNECT] = 250000000,
	[FLOW_QUEUE_CLOSED] = 1000000000,
	[FLOW_QUEUE_UNANSWERED] = 250000000,
	[FLOW_QUEUE_HELD] = 2000000,
	[FLOW_QUEUE_CONFIRM] = 5000000,
	[FLOW_QUEUE_UNSURE] = 5000000,
};

uint64_t join_next_ns(const struct join *j)
{
	uint64_t next_ns = resync_next_ns(j);

	for (unsigned int q = FLOW_QUEUE_NONE + 1; q < FLOW_QUEUE_OPEN; q++) {
		const struct flow *f = flow_first(j->config.flows, q);

		if (f && flow_due_ns(f, j->now_ns) + slack_ns[q] < next_ns)
			next_ns = flow_due_ns(f, j->now_ns) + slack_ns[q];
	}
	return next_ns;
}

/* The table is full: a packet still undecided, and an end that waits for its counters, are written
 * with what is known now rather than lost; everything else is let go and counted. */
void join_evict(struct join *j)
{
	struct flow *f = flow_victim(j->config.flows);
	uint64_t number = f->number;

	if (f->seen & FLOW_PACKET && !(f->seen & FLOW_STARTED)) {
		struct owner_query query = { .rung = f->seen & FLOW_UID ? OWNER_UID : OWNER_NONE };

		apply_answer(j, f, &query);
	}
	if (f->number == number &&
	    (f->seen & (FLOW_STARTED | FLOW_CLOSED | FLOW_ENDED)) == (FLOW_STARTED | FLOW_CLOSED))
		join_end(j, f);
	if (f->number != number)
		return;
	if (f->seen & FLOW_STARTED && !(f->seen & FLOW_ENDED))
		j->config.ledger->ends_evicted++;
	join_flow_free(j, f);
}

void join_finish(struct join *j, bool packets_follow)
{
	static const enum flow_queue waiting[] = { FLOW_QUEUE_HELD, FLOW_QUEUE_UNSURE };
	static const enum flow_queue open[] = { FLOW_QUEUE_UNANSWERED, FLOW_QUEUE_OPEN,
						FLOW_QUEUE_CLOSED };
	struct lookups lookups = { .count = 0 };
	struct flow *f;

	j->finishing = true;
	settle_fresh(j, &lookups, true);
	for (size_t i = 0; i < sizeof(waiting) / sizeof(waiting[0]); i++)
		while ((f = flow_first(j->config.flows, waiting[i])))
			flow_enqueue(j->config.flows, f, FLOW_QUEUE_FRESH, j->now_ns);
	settle_fresh(j, &lookups, true);
	lookups_answer(j, &lookups);
	while ((f = flow_first(j->config.flows, FLOW_QUEUE_CONFIRM))) {
		if (f->owner == OWNER_SOCKET) {
			confirm_holder(j, f);
			continue;
		}
		lookups_add(j, &lookups, f);
		lookups_answer(j, &lookups);
	}
	while (!packets_follow && (f = flow_first(j->config.flows, FLOW_QUEUE_UNSENT)))
		decide_unsent(j, f);
	j->config.ledger->pending = j->undecided;
	for (size_t i = 0; i < sizeof(open) / sizeof(open[0]); i++)
		for (f = flow_first(j->config.flows, open[i]); f;
		     f = flow_following(j->config.flows, f))
			if (!(f->seen & FLOW_ENDED))
				j->config.open(f, j->config.data);
}
