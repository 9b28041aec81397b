// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The owner ladder, best rung first: the trace (match.c), then the process that holds the socket's
 * inode, and so on down (lib/owner). First sure answer wins, and starts the flow.
 */
#include "ladder.h"

#include "ending.h"
#include "match.h"

#include <linux/netfilter.h>

/* A look at /proc takes a dozen system calls: for a process that connects again and again they must
 * not be most of the work. */
#define PROCESS_OLD_NS		10000000ull
#define PROCESS_STEADY_OLD_NS	500000000ull

#define AWAITED_MAX 3		/* each JOIN_CONFIRM_NS */

/* How long what was read of it holds. The trace tells of programs, names and cgroups as they
 * change; of ids it does not, but a process makes its sockets with the ids it has. So what has been
 * true for a while is taken to be true for as long again, within bounds. */
static uint64_t holds_ns(const struct join *j, const struct flow *f)
{
	const struct process *p = f->process;
	uint64_t held_ns = p->checked_ns > p->read_end_ns ? p->checked_ns - p->read_end_ns : 0;

	if (!j->config.trace || !(f->seen & FLOW_UID) || !(p->known & PROCESS_IDS) ||
	    f->uid != p->uid || (f->seen & FLOW_GID && f->gid != p->gid) || held_ns < PROCESS_OLD_NS)
		return PROCESS_OLD_NS;
	return held_ns < PROCESS_STEADY_OLD_NS ? held_ns : PROCESS_STEADY_OLD_NS;
}

void ladder_look_at_process(struct join *j, const struct flow *f)
{
	struct process *p = f->process;

	if (!p)
		return;
	process_read(j->config.processes, p);
	if (!p->exit_ns && p->checked_ns + holds_ns(j, f) < j->now_ns)
		process_refresh(j->config.processes, p);
}

static void start(struct join *j, struct flow *f, enum owner_rung rung)
{
	struct ledger *ledger = j->config.ledger;

	ladder_look_at_process(j, f);
	j->undecided--;
	if (!(f->seen & FLOW_CONNECT))
		f->answer_ns = 0;
	f->owner = (uint8_t)rung;
	f->seen |= FLOW_STARTED;
	ending_crowd_out(j, f);
	if (f->ct_zone)
		j->foreign_zone = true;
	if (join_filtered(j, f)) {
		f->seen |= FLOW_END_UNTOLD;
		ledger->filtered++;
	} else if (j->config.start(f, j->config.data)) {
		ledger->started++;
		ledger->owner[rung]++;
	} else {
		f->seen |= FLOW_SUPPRESSED;
		ledger->suppressed++;
	}
	if (j->config.starts_only)
		f->seen |= FLOW_END_UNTOLD;
	ending_follow(j, f, !j->finishing);
}

/* Where records were lost the table asks /proc, which may show the program that the process has run
 * since it connected. */
static bool is_shown_since(const struct flow *f)
{
	return f->process && !f->process->seen_ns && f->process->read_begin_ns > f->start_ns;
}

/* /proc has shown its process later than the trace has been read, or while nobody knows whether all
 * was: the next reading tells whether it was another program. */
static bool is_ahead_of_trace(struct join *j, struct flow *f)
{
	if (j->finishing || j->evicting || !f->process)
		return false;
	process_read(j->config.processes, f->process);
	return process_is_ahead(f->process, j->now_ns) ||
	       (is_shown_since(f) && trace_in_doubt(j->config.trace));
}

/* The exec of another program is told of afterwards, unless that was lost, too. */
static bool has_connected(const struct join *j, const struct flow *f)
{
	if (!f->process)
		return true;
	return process_ran_at(j->config.processes, f->process, f->start_ns) &&
	       (!is_shown_since(f) || trace_complete_since(j->config.trace, f->start_ns));
}

/* False: who it was cannot be told by the trace. */
static bool start_traced(struct join *j, struct flow *f)
{
	if (!(f->seen & FLOW_CONNECT) || (!f->process && !(f->seen & FLOW_KERNEL)))
		return false;
	if (is_ahead_of_trace(j, f)) {
		flow_enqueue(j->config.flows, f, FLOW_QUEUE_HELD, j->now_ns + JOIN_HELD_NS);
	} else if (has_connected(j, f)) {
		start(j, f, f->seen & FLOW_KERNEL ? OWNER_KERNEL : OWNER_TRACE);
	} else {
		process_unref(f->process);
		f->process = NULL;
		return false;
	}
	return true;
}

/* NFLOG tells both ids or neither: a user without a group was the lookup's word. */
static void forget_answer(struct join *j, struct flow *f)
{
	join_forget_holders(j, f);
	if (!(f->seen & FLOW_GID))
		f->seen &= ~(uint32_t)FLOW_UID;
}

/* What the lookup said is another socket's. */
static void take_back(struct join *j, struct flow *f)
{
	process_unref(f->process);
	f->process = NULL;
	f->cgroup_id = 0;
	forget_answer(j, f);
}

static void start_by_packet(struct join *j, struct flow *f)
{
	take_back(j, f);
	start(j, f, f->seen & FLOW_UID ? OWNER_UID : OWNER_NONE);
}

/* The earliest that its packet can have been sent. */
static uint64_t sent_after(const struct join *j, const struct flow *f)
{
	uint64_t read_ns = j->config.read_before_ns;

	if (read_ns > JOIN_CONFIRM_NS && read_ns - JOIN_CONFIRM_NS > f->sent_after_ns)
		return read_ns - JOIN_CONFIRM_NS;
	return f->sent_after_ns;
}

/* The next user of a datagram's tuple cannot be told by its packets: they are taken for more of
 * this flow. But who began after its packet has not sent it; nor, as far as is known, who began
 * while it stood in the queue. */
static bool may_have_sent(const struct join *j, const struct flow *f,
			  const struct owner_query *query)
{
	struct process *p = query->process;

	if (!tuple_is_datagram(&f->tuple) || f->seen & FLOW_CONNECT)
		return true;
	if (!f->stood)
		return !p || !process_starts_after(j->config.processes, p, f->start_ns);
	if (!p)
		return query->rung != OWNER_CGROUP;
	return !process_may_begin_after(j->config.processes, p, sent_after(j, f));
}

/* Connects fit, and nobody was found who has the socket. If that has gone since the trace was read,
 * which would have told its port, the next reading tells; if there was no time to find who has it, as
 * where dozens connect at once, there is a little more soon. */
static bool wait_for_word(struct join *j, struct flow *f, const struct owner_query *query)
{
	enum match_verdict verdict;

	if (f->awaited == AWAITED_MAX || j->finishing || !j->config.trace ||
	    f->seen & (FLOW_CONNECT | FLOW_EARLIER) || query->rung == OWNER_SOCKET ||
	    (!query->unfinished && (query->rung == OWNER_CGROUP ||
				    !trace_complete_since(j->config.trace, f->sent_after_ns))))
		return false;
	verdict = match_connect(j, f, false);
	if (verdict == MATCH_UNSURE) {
		f->awaited++;
		flow_enqueue(j->config.flows, f, FLOW_QUEUE_CONFIRM, j->now_ns + JOIN_CONFIRM_NS);
	}
	return verdict != MATCH_NOBODY;	/* taken: it is looked at anew */
}

void ladder_answer(struct join *j, struct flow *f, struct owner_query *query)
{
	bool again = query->unfinished && !j->finishing &&
		     j->now_ns - f->packet_ns < JOIN_UNSURE_NS;

	if (!again && !may_have_sent(j, f, query)) {
		start_by_packet(j, f);
		return;
	}
	if (!again && wait_for_word(j, f, query))
		return;
	if (query->process) {
		process_unref(f->process);
		f->process = process_ref(query->process);
		f->tid = 0;	/* of a connect whose process is not known: another's */
		if (query->holder_count > 1)
			join_remember_holders(j, f, query);
	}
	if (query->socket_found && !query->socket_orphan) {
		f->uid = query->socket_uid;
		f->seen |= FLOW_UID;
	}
	if (query->cgroup_id)
		f->cgroup_id = query->cgroup_id;
	if (query->rung == OWNER_SOCKET || (query->rung == OWNER_CGROUP && !again)) {
		f->owner = (uint8_t)query->rung;
	} else if (again) {
		forget_answer(j, f);
	} else {
		start(j, f, query->rung);
		return;
	}
	flow_enqueue(j->config.flows, f, FLOW_QUEUE_CONFIRM, j->now_ns + JOIN_CONFIRM_NS);
}

/* Whether `other` may have had the tuple after f. Both clocks are needed: a packet has the time at
 * which it was read, a connect the time at which it was made. */
static bool may_be_later(const struct flow *f, const struct flow *other)
{
	uint64_t since_ns = f->seen & FLOW_CONNECT ? f->start_ns : f->sent_after_ns;

	if (other->seen & FLOW_PACKET)
		return !other->packet_ns || other->packet_ns >= f->packet_ns;
	return other->seen & FLOW_CONNECT && other->start_ns >= since_ns;
}

void ladder_cut_short(struct join *j, struct flow *f)
{
	if (f->owner == OWNER_UNDECIDED && start_traced(j, f))
		return;
	if (f->owner != OWNER_UNDECIDED)
		take_back(j, f);
	start(j, f, f->seen & FLOW_UID ? OWNER_UID : OWNER_NONE);
}

/* The tuple was looked up a while after its packet was sent. A port can be in use again by then,
 * by another process: then that one's packet has been logged too, and is read by now. A datagram's
 * is not told apart: see may_have_sent(). */
void ladder_confirm(struct join *j, struct flow *f)
{
	struct flow *other = flow_by_tuple(j->config.flows, &f->tuple);
	bool used_again = f->packet_ns <= j->nflog_lost_ns;

	for (; other && !used_again; other = flow_next_by_tuple(j->config.flows, other))
		used_again = other != f && may_be_later(f, other);
	if (used_again)
		ladder_cut_short(j, f);
	else
		start(j, f, f->owner);
}

void ladder_lookups_answer(struct join *j, struct ladder_lookups *l)
{
	if (l->count)
		owner_lookup(j->config.owner, l->queries, l->count);
	for (unsigned int i = 0; i < l->count; i++) {
		/* No witness answered. */
		if (l->queries[i].rung == OWNER_UNDECIDED)
			l->queries[i].rung = l->queries[i].has_uid ? OWNER_UID : OWNER_NONE;
		if (l->flows[i]->seen & FLOW_STARTED)
			continue;	/* it was among them twice */
		ladder_answer(j, l->flows[i], &l->queries[i]);
	}
	l->count = 0;
}

void ladder_lookups_add(struct join *j, struct ladder_lookups *l, struct flow *f)
{
	if (l->count == LADDER_LOOKUPS_MAX)
		ladder_lookups_answer(j, l);
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

/* Nobody on this host connected it, as far as can be told here; unsure: it may be somebody's. */
static void start_unowned(struct join *j, struct flow *f, bool unsure)
{
	if (f->hook == NF_INET_PRE_ROUTING && !unsure && !(f->seen & FLOW_CONNECT)) {
		/* The hook is there for containers' connections; this one came from outside. */
		j->undecided--;
		j->config.ledger->filtered++;
		join_flow_free(j, f);
		return;
	}
	start(j, f, OWNER_NONE);
}

/* A holder or cgroup was found while several connects fitted. If one of them has told its port
 * since, its word counts, and not what was found. */
static bool connect_is_told(struct join *j, struct flow *f)
{
	if (!j->config.trace || f->seen & (FLOW_CONNECT | FLOW_EARLIER) ||
	    match_connect(j, f, false) != MATCH_TAKEN)
		return false;
	f->owner = OWNER_UNDECIDED;
	forget_answer(j, f);
	return true;
}

void ladder_decide(struct join *j, struct flow *f, struct ladder_lookups *l, bool last_chance)
{
	bool held = f->queue == FLOW_QUEUE_HELD;
	enum match_verdict verdict = MATCH_NOBODY;

	if (f->owner != OWNER_UNDECIDED && !connect_is_told(j, f)) {
		flow_enqueue(j->config.flows, f, FLOW_QUEUE_CONFIRM, j->now_ns + JOIN_CONFIRM_NS);
		return;
	}
	if (start_traced(j, f))
		return;
	if (f->seen & FLOW_INGRESS) {
		start(j, f, OWNER_NONE);
		return;
	}
	if (j->config.trace && !(f->seen & (FLOW_CONNECT | FLOW_EARLIER)))
		verdict = match_connect(j, f, held || last_chance);
	if (verdict == MATCH_UNSURE)
		j->unmatched_ns = j->now_ns;
	if (verdict == MATCH_TAKEN && start_traced(j, f))
		return;
	if (verdict == MATCH_UNSURE && (join_is_behind(j) || (held && !last_chance)))
		flow_enqueue(j->config.flows, f, FLOW_QUEUE_UNSURE, j->now_ns + JOIN_UNSURE_NS);
	else if (verdict == MATCH_UNSURE && !last_chance)
		flow_enqueue(j->config.flows, f, FLOW_QUEUE_HELD, j->now_ns + JOIN_HELD_NS);
	else if (match_is_forwarded(f))
		start_unowned(j, f, verdict == MATCH_UNSURE);
	else
		ladder_lookups_add(j, l, f);
}
