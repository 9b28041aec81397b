// SPDX-License-Identifier: GPL-2.0-or-later
#include "unsent.h"

#include "match.h"

#include <errno.h>
#include <linux/netfilter.h>
#include <netinet/tcp.h>

/* A packet whose connect was not found has this one's tuple, and can be its: it did leave. */
static bool may_have_left(struct join *j, const struct flow *f)
{
	struct flow *other = flow_by_tuple(j->config.flows, &f->tuple);

	for (; other; other = flow_next_by_tuple(j->config.flows, other))
		if (other != f && other->seen & FLOW_PACKET && !(other->seen & FLOW_CONNECT) &&
		    other->start_ns >= f->start_ns)
			return true;
	return false;
}

static void pass_over(struct join *j, struct flow *f)
{
	if (join_filtered(j, f))
		j->config.ledger->trace_filtered++;
	else
		j->trace_only++;
	join_flow_free(j, f);
}

/* Nothing that its packet could be in was lost, or is not logged; it was made here, to leave this
 * host. */
static bool surely_never_left(struct join *j, struct flow *f)
{
	if (!join_is_logged(j, f->tuple.protocol) || !j->config.output_logged ||
	    !(f->seen & FLOW_CLOSED) || f->seen & (FLOW_ANSWERED | FLOW_NEW | FLOW_DESTROY) ||
	    f->start_ns <= j->nflog_lost_ns || f->start_ns <= j->unmatched_ns ||
	    j->config.rules_limit || (j->unlogged_ns && f->start_ns >= j->unlogged_ns))
		return false;
	return trace_complete_since(j->config.trace, f->start_ns) && match_is_from_here(j, f) &&
	       !tuple_is_loopback(&f->tuple) &&
	       route_is_local(j->config.route, &f->tuple) == 0 && !may_have_left(j, f);
}

/* A connect without a packet, over or still silent. */
void unsent_decide(struct join *j, struct flow *f)
{
	unsigned int newer;

	if (!j->finishing && match_undecided(j, &f->tuple, 0, &newer)) {
		flow_enqueue(j->config.flows, f, FLOW_QUEUE_UNSENT, j->now_ns + JOIN_ORPHAN_NS);
		return;
	}
	if (!surely_never_left(j, f)) {
		pass_over(j, f);
		return;
	}
	/* It has just been read, perhaps as its next program (see ladder.c). */
	if (!j->finishing && f->process && process_is_ahead(f->process, j->now_ns)) {
		flow_enqueue(j->config.flows, f, FLOW_QUEUE_UNSENT, j->now_ns + JOIN_HELD_NS);
		return;
	}
	if (f->process && !process_ran_at(j->config.processes, f->process, f->start_ns)) {
		process_unref(f->process);
		f->process = NULL;
	}
	if (join_filtered(j, f)) {
		pass_over(j, f);
		return;
	}
	f->hook = NF_INET_LOCAL_OUT;
	f->owner = f->process || f->seen & FLOW_KERNEL ? OWNER_TRACE : OWNER_NONE;
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

/* Its end may never be told (a CPU that is silent while idle, a loss): where its port is known the
 * socket is asked for, otherwise no connect takes longer than this. */
static bool is_over(struct join *j, struct flow *f)
{
	struct owner_query query;

	if (j->now_ns - f->start_ns > JOIN_CONNECT_MAX_NS)
		return true;
	if (!(f->seen & FLOW_PORT) || !match_surely_sends(j, f, NF_INET_LOCAL_OUT))
		return false;
	return match_ask_socket(j, f, &query) == -ENOENT;
}

/* No packet yet. Established without one: it does not pass our hook. Otherwise it may be a connect
 * whose packets are dropped before it, and its end is worth a record. */
void unsent_recheck(struct join *j, struct flow *f)
{
	bool elsewhere = !join_may_send(j, f, NF_INET_LOCAL_OUT);
	struct owner_query query;
	int err;

	if (f->seen & FLOW_EARLIER) {
		err = match_ask_socket(j, f, &query);
		if (err ? err != -ENOENT : query.socket_state == TCP_SYN_SENT)
			flow_enqueue(j->config.flows, f, FLOW_QUEUE_CONNECT,
				     j->now_ns + JOIN_RECHECK_NS);
		else
			join_flow_free(j, f);
		return;
	}
	if (f->seen & FLOW_ANSWERED || (elsewhere && j->config.output_logged)) {
		pass_over(j, f);
		return;
	}
	if (is_over(j, f)) {
		f->seen |= FLOW_CLOSED;
		flow_enqueue(j->config.flows, f, FLOW_QUEUE_UNSENT, j->now_ns + JOIN_ORPHAN_NS);
		return;
	}
	flow_enqueue(j->config.flows, f, FLOW_QUEUE_CONNECT, j->now_ns + JOIN_RECHECK_NS);
}
