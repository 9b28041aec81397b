// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Ends. conntrack's DESTROY is final and brings the counters. A socket that closed unanswered ends
 * at once, after the short time its error report may take; one of which the trace did not see all, when
 * conntrack says so. Whoever stays silent is asked for by sock_diag every few seconds (settle.c),
 * because the CPU that noticed the end may have told nobody.
 */
#include "ending.h"

#include "fate.h"
#include "match.h"

#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <netinet/tcp.h>

/* Of one tuple: those that have ended, and those that have not. */
#define ENDED_MAX 32
#define OPEN_MAX 32

bool ending_told_by_conntrack(const struct join *j, const struct flow *f)
{
	return j->config.ct && !j->config.ct_silent &&
	       !(f->seen & (FLOW_DESTROY | FLOW_UNTRACKED));
}

/* Nobody may tell of its end: it was open before this run; or conntrack has no entry of it
 * (somebody removed it, and there may never be another one), or one without a voice
 * (net.netfilter.nf_conntrack_events), and what the trace has to say of its close may be lost, or
 * said on a CPU that is silent while idle. Of a socket elsewhere only the trace can tell. */
static bool is_to_be_watched(const struct join *j, const struct flow *f)
{
	if ((f->seen & (FLOW_RESUMED | FLOW_PACKET)) == FLOW_RESUMED)
		return fate_answered(f) || tuple_is_datagram(&f->tuple);
	return fate_answered(f) && !(flow_has_entry(f) && ending_told_by_conntrack(j, f)) &&
	       !(f->skaddr && j->config.trace && match_is_forwarded(f));
}

/* Another flow with this tuple has been confirmed: it may be this one that was meant. */
static bool conntrack_knows(struct join *j, const struct flow *f)
{
	struct flow *other = flow_by_tuple(j->config.flows, &f->tuple);

	while (other && (other == f || !(other->seen & (FLOW_NEW | FLOW_DESTROY))))
		other = flow_next_by_tuple(j->config.flows, other);
	return other;
}

/* Several connects could be this packet's: conntrack's word may have gone to the one that is. */
static bool may_be_elsewhere(const struct join *j, const struct flow *f)
{
	return !(f->seen & FLOW_CONNECT) && f->start_ns <= j->unmatched_ns;
}

/* By the trace, and by the socket itself: a CPU that is silent while idle tells of no RST. */
static bool is_open(struct join *j, const struct flow *f)
{
	return f->seen & FLOW_CONNECT && f->skaddr && !f->end_ns && j->config.trace &&
	       !j->evicting && trace_complete_since(j->config.trace, f->start_ns) &&
	       join_lives(j, f, false);
}

static void gather_signs(struct join *j, const struct flow *f, struct fate_signs *signs)
{
	*signs = (struct fate_signs) {
		.conntrack = j->config.ct && !j->config.ct_silent && !j->foreign_zone &&
			     j->conntrack_current && !j->evicting,
		.tracked = j->config.own_rules && f->hook == NF_INET_LOCAL_OUT,
		.errors_reported = j->config.errors_reported && j->config.trace && !j->evicting &&
				   trace_complete_since(j->config.trace, f->start_ns),
	};
	/* Asked only where it matters: an entry of an earlier attempt keeps NEW from coming. */
	if (signs->conntrack && signs->tracked && f->seen & FLOW_CLOSED &&
	    !(f->seen & (FLOW_NEW | FLOW_DESTROY)))
		signs->entry_exists = may_be_elsewhere(j, f) || conntrack_knows(j, f) ||
				      join_confirmed_since(j, &f->tuple, f->start_ns) ||
				      ct_lookup(j->config.ct, &f->tuple, f->ct_zone,
						NULL) != -ENOENT;
	if ((f->seen & (FLOW_DESTROY | FLOW_TCP_STATE | FLOW_REMOVED)) == FLOW_DESTROY &&
	    fate_answered(f) && f->tuple.protocol == IPPROTO_TCP)
		signs->socket_open = is_open(j, f);
}

typedef bool older_kind(const struct flow *f, const struct flow *older);

/* How many with f's tuple are older and of this kind, and the oldest of them. */
static unsigned int count_older(struct join *j, const struct flow *f, older_kind *is_counted,
				struct flow **oldest)
{
	struct flow *older;
	unsigned int count = 0;

	if (!(f->indexed & FLOW_BY_TUPLE))
		return 0;
	for (older = flow_next_by_tuple(j->config.flows, f); older;
	     older = flow_next_by_tuple(j->config.flows, older)) {
		if (!is_counted(f, older))
			continue;
		*oldest = older;
		count++;
	}
	return count;
}

static bool has_ended(const struct flow *f, const struct flow *older)
{
	(void)f;
	return older->seen & FLOW_ENDED;
}

/* A few explain as much as thousands, which one process makes within seconds if it connects from
 * the same port again and again; and all that is read of that tuple would walk past them. */
static void free_older(struct join *j, const struct flow *f)
{
	struct flow *oldest;

	if (count_older(j, f, has_ended, &oldest) > ENDED_MAX)
		join_flow_free(j, oldest);
}

/* An ended flow stays for a while: its last retransmission may not have been read yet. One that
 * conntrack still remembers stays as long: its entry explains why the same tuple, tried again, gets
 * no NEW. */
static void retire(struct join *j, struct flow *f)
{
	free_older(j, f);
	process_unref(f->process);
	f->process = NULL;
	if (flow_has_entry(f) && ending_told_by_conntrack(j, f))
		flow_enqueue(j->config.flows, f, FLOW_QUEUE_CLOSED, j->now_ns + JOIN_DESTROY_NS);
	else
		flow_enqueue(j->config.flows, f, FLOW_QUEUE_ENDED, j->now_ns + JOIN_CONFIRM_NS);
}

void join_end(struct join *j, struct flow *f)
{
	struct fate_signs signs;

	if (f->seen & FLOW_END_UNTOLD) {
		f->seen |= FLOW_ENDED;
		retire(j, f);
		return;
	}
	if (f->start_ns <= j->ct_lost_ns)
		f->seen |= FLOW_CT_LOST;
	if (f->seen & FLOW_CT_LOST && !(f->seen & FLOW_DESTROY))
		j->config.ledger->ends_uncertain++;
	/* What the next entry counted is missing, or nobody counted on. */
	if (f->seen & FLOW_REMOVED && !(f->seen & FLOW_DESTROY))
		f->seen &= ~(uint32_t)FLOW_COUNTERS;
	gather_signs(j, f, &signs);
	/* Of what conntrack alone knows the record says as much. */
	if (fate_answered(f))
		f->seen |= FLOW_ANSWERED;
	f->reason = (uint8_t)fate_decide(f, &signs);
	f->seen |= FLOW_ENDED;
	if (!(f->seen & FLOW_SUPPRESSED))
		j->config.ledger->ended++;
	j->config.end(f, j->config.data);
	retire(j, f);
}

static bool is_open_in_its_zone(const struct flow *f, const struct flow *older)
{
	return (older->seen & (FLOW_STARTED | FLOW_ENDED)) == FLOW_STARTED &&
	       older->ct_zone == f->ct_zone;
}

void ending_crowd_out(struct join *j, const struct flow *f)
{
	struct flow *oldest;

	if (count_older(j, f, is_open_in_its_zone, &oldest) < OPEN_MAX)
		return;
	oldest->seen |= FLOW_CT_LOST;
	join_end(j, oldest);
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
	return ending_told_by_conntrack(j, f) && !flow_has_entry(f) &&
	       !j->conntrack_current && !j->finishing;
}

/* Closed, and nobody told of an answer: that may be known to conntrack alone, where the trace did
 * not see it connect or has lost something since. Its entry outlives the socket, its last word has
 * the bytes. */
static bool may_be_answered(struct join *j, const struct flow *f)
{
	struct ct_entry entry;

	if (!flow_has_entry(f))
		return false;
	if (f->seen & FLOW_CONNECT && j->config.trace &&
	    trace_complete_since(j->config.trace, f->start_ns))
		return false;
	if (!j->config.ct)
		return f->seen & FLOW_NEW;
	return ct_lookup(j->config.ct, &f->tuple, f->ct_zone, &entry) != 0 ||
	       entry.status & IPS_SEEN_REPLY;
}

/* Its first packet is not sent again. All that is wanted of one that a filter leaves out. */
static bool is_settled(const struct flow *f)
{
	return fate_answered(f) || f->seen & (FLOW_DESTROY | FLOW_CLOSED);
}

/* Where a started flow goes from here, with what is known now. */
void ending_follow(struct join *j, struct flow *f, bool patient)
{
	struct flow_table *flows = j->config.flows;

	if (f->seen & FLOW_ENDED) {
		retire(j, f);
	} else if (f->seen & FLOW_END_UNTOLD && is_settled(f)) {
		join_end(j, f);
	} else if (patient && is_unexplained(f)) {
		flow_enqueue(flows, f, FLOW_QUEUE_HELD, j->now_ns + JOIN_HELD_NS);
	} else if (f->seen & FLOW_DESTROY) {
		join_end(j, f);
	} else if (f->seen & FLOW_CLOSED && !fate_answered(f)) {
		if (awaits_conntrack(j, f))
			flow_enqueue(flows, f, FLOW_QUEUE_HELD, j->now_ns + JOIN_HELD_NS);
		else if (may_be_answered(j, f))
			flow_enqueue(flows, f, FLOW_QUEUE_CLOSED, j->now_ns + JOIN_DESTROY_NS);
		else
			join_end(j, f);
	} else if (f->seen & FLOW_CLOSED) {
		if (ending_told_by_conntrack(j, f))
			flow_enqueue(flows, f, FLOW_QUEUE_CLOSED, j->now_ns + JOIN_DESTROY_NS);
		else
			join_end(j, f);
	} else if (is_to_be_watched(j, f)) {
		flow_enqueue(flows, f, FLOW_QUEUE_WATCHED, j->now_ns + RESUME_WATCH_NS);
	} else if (fate_answered(f)) {
		flow_enqueue(flows, f, FLOW_QUEUE_OPEN, j->now_ns);
	} else {
		flow_enqueue(flows, f, FLOW_QUEUE_UNANSWERED, j->now_ns + JOIN_RECHECK_NS);
	}
}
