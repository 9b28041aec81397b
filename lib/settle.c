// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Decisions are made when a batch is complete, that is when everything the kernel had queued before
 * one instant has gone in, so that "nobody else fits" and "no such event" mean something. Here is
 * when; what is decided stands in ladder.c, ending.c and unsent.c.
 */
#include "ending.h"
#include "entry.h"
#include "join.h"
#include "ladder.h"
#include "match.h"
#include "unsent.h"

#include <errno.h>
#include <netinet/tcp.h>

/* Six retransmissions of a SYN, by default: where nobody says what became of it, and nobody wants
 * to know, it is let go after that, unless its socket is still connecting. */
#define SENT_AGAIN_NS 130000000000ull

/* It has sent all its SYNs: an ICMP error in answer to the last would have ended it before the
 * second look. */
static void note_waiting(const struct join *j, struct flow *f)
{
	if (j->config.syn_retries && f->syn_retransmits >= j->config.syn_retries && f->waited < 2)
		f->waited++;
}

/* err: why its socket was not found. What could not be asked for may be connecting. */
static bool is_let_go(const struct join *j, const struct flow *f, int err)
{
	uint64_t after_ns = err && err != -ENOENT ? JOIN_CONNECT_MAX_NS : SENT_AGAIN_NS;

	return j->config.starts_only && j->now_ns - f->start_ns > after_ns;
}

/* Nobody has told of an end, and nobody will: no socket of this host connected it, nor one that the trace
 * follows; and conntrack does not tell, or never confirmed an entry of this tuple. It was dropped on
 * this host, behind our hook; or it lives on, with another address (the hook saw what DNAT had made of
 * its first). */
static bool ends_unheard(struct join *j, const struct flow *f)
{
	bool traced = f->skaddr && j->config.trace &&
		      trace_complete_since(j->config.trace, f->start_ns);

	if (traced || !(match_is_forwarded(f) || f->seen & FLOW_INGRESS) ||
	    j->now_ns - f->start_ns <= SENT_AGAIN_NS)
		return false;
	return !ending_told_by_conntrack(j, f) ||
	       (!flow_has_entry(f) && j->conntrack_current &&
		ct_lookup(j->config.ct, &f->tuple, f->ct_zone, NULL) != 0);
}

static void recheck_unanswered(struct join *j, struct flow *f)
{
	const struct flow *newest = flow_by_tuple(j->config.flows, &f->tuple);
	bool datagram = tuple_is_datagram(&f->tuple), connecting;
	struct owner_query query;
	int err;

	/* conntrack's last word has the answer, and the bytes; its entry outlives the socket. */
	if (datagram && f->seen & FLOW_NEW && !(f->seen & FLOW_REMOVED)) {
		flow_enqueue(j->config.flows, f, FLOW_QUEUE_OPEN, j->now_ns);
		return;
	}
	if (ends_unheard(j, f)) {
		j->config.ledger->ends_evicted += flow_owes_end(f);
		f->seen |= FLOW_END_UNTOLD;
		join_end(j, f);
		return;
	}
	err = match_ask_socket(j, f, &query);
	if (newest != f && newest->seen & FLOW_PACKET) {
		query.socket_found = false;	/* that one's: this one's is gone */
		err = -ENOENT;
	}
	connecting = query.socket_found && !datagram && query.socket_state == TCP_SYN_SENT;
	if (!connecting && is_let_go(j, f, err)) {
		f->seen |= FLOW_CLOSED;
		ending_follow(j, f, false);
		return;
	}
	if (match_is_forwarded(f) || f->seen & FLOW_INGRESS || (err && err != -ENOENT) ||
	    connecting || (query.socket_found && datagram)) {
		if (query.socket_found)
			note_waiting(j, f);
		flow_enqueue(j->config.flows, f, FLOW_QUEUE_UNANSWERED,
			     j->now_ns + JOIN_RECHECK_NS);
		return;
	}
	if (query.socket_found)
		f->seen |= FLOW_ANSWERED;
	else
		f->seen |= FLOW_CLOSED;
	ending_follow(j, f, false);
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
	if (!j->config.ct || ct_lookup(j->config.ct, &f->tuple, f->ct_zone, &entry) != 0) {
		f->seen |= FLOW_CT_LOST;
		join_end(j, f);
	} else if (f->seen & FLOW_REMOVED && f->seen & FLOW_CT_ID && f->ct_id == entry.id) {
		entry_fill_last_word(j, f, &entry);
		f->seen &= ~(uint32_t)FLOW_TCP_STATE;
		f->seen |= FLOW_DESTROY;
		join_end(j, f);
	} else {
		flow_enqueue(j->config.flows, f, FLOW_QUEUE_CLOSED, j->now_ns + JOIN_DESTROY_NS);
	}
}

/* What absence decides must wait until everything before it was read: how long, if it was not. */
static const uint64_t behind_ns[FLOW_QUEUES] = {
	[FLOW_QUEUE_ENDED] = JOIN_CONFIRM_NS,
	[FLOW_QUEUE_ORPHAN] = JOIN_ORPHAN_NS,
	[FLOW_QUEUE_UNSENT] = JOIN_ORPHAN_NS,
	[FLOW_QUEUE_CONNECT] = JOIN_RECHECK_NS,
	[FLOW_QUEUE_CONFIRM] = JOIN_CONFIRM_NS,
};

/* One that is left out ends with its answer, and has its socket still. As long as it is here nobody
 * who had the tuple before it, and is looked up this late, takes that for its own. */
static bool guards_its_socket(struct join *j, const struct flow *f)
{
	unsigned int newer;

	return f->seen & FLOW_END_UNTOLD && j->undecided &&
	       match_undecided(j, &f->tuple, 0, &newer) > 0;
}

static void expire(struct join *j, struct flow *f, struct ladder_lookups *l)
{
	enum flow_queue queue = f->queue;

	if (behind_ns[queue] && join_is_behind(j)) {
		flow_enqueue(j->config.flows, f, queue, j->now_ns + behind_ns[queue]);
		return;
	}
	switch (queue) {
	case FLOW_QUEUE_ENDED:
		if (guards_its_socket(j, f)) {
			flow_enqueue(j->config.flows, f, queue, j->now_ns + JOIN_CONFIRM_NS);
			return;
		}
		/* fall through */
	case FLOW_QUEUE_ORPHAN:
		join_flow_free(j, f);
		break;
	case FLOW_QUEUE_UNSENT:
		unsent_decide(j, f);
		break;
	case FLOW_QUEUE_CONNECT:
		unsent_recheck(j, f);
		break;
	case FLOW_QUEUE_CLOSED:
		recheck_closed(j, f);
		break;
	case FLOW_QUEUE_UNANSWERED:
		recheck_unanswered(j, f);
		break;
	case FLOW_QUEUE_CONFIRM:
		if (f->owner != OWNER_UNDECIDED)
			ladder_confirm(j, f);
		else
			ladder_decide(j, f, l, true);	/* its holder was not found yet */
		break;
	case FLOW_QUEUE_HELD:
	case FLOW_QUEUE_UNSURE:
		if (f->seen & FLOW_STARTED)
			ending_follow(j, f, false);
		else
			ladder_decide(j, f, l, queue == FLOW_QUEUE_UNSURE);
		break;
	case FLOW_QUEUE_FRESH:
	case FLOW_QUEUE_OPEN:
	case FLOW_QUEUE_WATCHED:
	case FLOW_QUEUE_RESUMED:
	case FLOW_QUEUE_NONE:
	case FLOW_QUEUES:
		break;
	}
}

static void settle_fresh(struct join *j, struct ladder_lookups *l, bool last_chance)
{
	struct flow *f;

	while ((f = flow_first(j->config.flows, FLOW_QUEUE_FRESH))) {
		/* The clock was read before the packets, and once more since. */
		if (f->seen & FLOW_PACKET && !f->packet_ns)
			f->packet_ns = j->now_ns;
		if (f->seen & FLOW_STARTED)
			ending_follow(j, f, !last_chance);
		else if (f->seen & FLOW_PACKET)
			ladder_decide(j, f, l, last_chance ||
				      j->now_ns - f->packet_ns > JOIN_UNSURE_NS);
		else
			flow_enqueue(j->config.flows, f, FLOW_QUEUE_ORPHAN,
				     j->now_ns + JOIN_ORPHAN_NS);
	}
}

void join_settle(struct join *j)
{
	struct ladder_lookups lookups = { .count = 0 };
	struct flow *f;

	settle_fresh(j, &lookups, false);
	ladder_lookups_answer(j, &lookups);
	/* What an answer has made fresh again is due at once, and the next call's. */
	for (unsigned int q = FLOW_QUEUE_NONE + 1; q < FLOW_QUEUE_OPEN; q++)
		while (q != FLOW_QUEUE_FRESH && (f = flow_first(j->config.flows, q)) &&
		       flow_is_due(f, j->now_ns))
			expire(j, f, &lookups);
	ladder_lookups_answer(j, &lookups);
	resync_step(j);
	resume_step(j);
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
	uint64_t next_ns = resync_next_ns(j), resume_ns = resume_next_ns(j);

	for (unsigned int q = FLOW_QUEUE_NONE + 1; q < FLOW_QUEUE_OPEN; q++) {
		const struct flow *f = flow_first(j->config.flows, q);

		if (f && flow_due_ns(f, j->now_ns) + slack_ns[q] < next_ns)
			next_ns = flow_due_ns(f, j->now_ns) + slack_ns[q];
	}
	return resume_ns < next_ns ? resume_ns : next_ns;
}

/* The table is full: a packet still undecided, and an end that waits for its counters, are written
 * with what is known now rather than lost; everything else is let go and counted. It happens in the
 * middle of a batch, when what has not been read says nothing. */
void join_evict(struct join *j)
{
	struct flow *f = flow_victim(j->config.flows);

	j->evicting = true;
	if ((f->seen & (FLOW_CONNECT | FLOW_PACKET)) == FLOW_CONNECT) {
		trace_forgotten(j->config.trace, j->now_ns);
		j->connects_evicted++;
	}
	if (f->seen & FLOW_PACKET && !(f->seen & FLOW_STARTED))
		ladder_cut_short(j, f);
	if ((f->seen & (FLOW_STARTED | FLOW_CLOSED | FLOW_ENDED)) == (FLOW_STARTED | FLOW_CLOSED))
		join_end(j, f);
	j->evicting = false;
	j->config.ledger->ends_evicted += flow_owes_end(f);
	join_flow_free(j, f);
}

void join_finish(struct join *j, bool packets_follow)
{
	static const enum flow_queue waiting[] = { FLOW_QUEUE_HELD, FLOW_QUEUE_UNSURE };
	static const enum flow_queue open[] = { FLOW_QUEUE_UNANSWERED, FLOW_QUEUE_OPEN,
						FLOW_QUEUE_WATCHED, FLOW_QUEUE_CLOSED };
	struct ladder_lookups lookups = { .count = 0 };
	struct flow *f;

	j->finishing = true;
	settle_fresh(j, &lookups, true);
	ladder_lookups_answer(j, &lookups);
	for (size_t i = 0; i < sizeof(waiting) / sizeof(waiting[0]); i++)
		while ((f = flow_first(j->config.flows, waiting[i])))
			join_look_later(j, f);
	settle_fresh(j, &lookups, true);
	ladder_lookups_answer(j, &lookups);
	while ((f = flow_first(j->config.flows, FLOW_QUEUE_CONFIRM))) {
		if (f->owner != OWNER_UNDECIDED) {
			ladder_confirm(j, f);
			continue;
		}
		ladder_decide(j, f, &lookups, true);
		ladder_lookups_answer(j, &lookups);
	}
	while (!packets_follow && (f = flow_first(j->config.flows, FLOW_QUEUE_UNSENT)))
		unsent_decide(j, f);
	j->config.ledger->pending = j->undecided;
	for (size_t i = 0; i < sizeof(open) / sizeof(open[0]); i++)
		for (f = flow_first(j->config.flows, open[i]); f;
		     f = flow_following(j->config.flows, f))
			if (!(f->seen & (FLOW_ENDED | FLOW_END_UNTOLD)))
				j->config.open(f, j->config.data);
}
