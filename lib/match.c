// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Which connect a packet belongs to.
 *
 * The one with this very tuple; or the only pending one that fits, if nothing was lost since it
 * began, nor before for as long as a connect may take, its process is in the packet's network
 * namespace and the socket with this tuple exists; or the one candidate whose process holds the
 * socket's inode, unless it may have been forked with it. While several fit nobody is taken: their
 * next transition tells their ports.
 *
 * A SYN is never seen before its connect (the event precedes the packet, and the rings are read
 * after it), so a packet that no connect fits need not wait: its socket is older than the trace, or
 * a record was lost, or nobody called connect(). But packets may be read late, and by then the
 * tuple may have been used again: nothing here rests on when a packet was read.
 */
#include "match.h"

#include <errno.h>
#include <linux/netfilter.h>

#define CANDIDATES_MAX 64

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

bool join_surely_from_here(const struct join *j, const struct flow *connect)
{
	const struct process *p = connect->process;

	return !j->config.net_ns || (p && p->known & PROCESS_NETNS && p->netns == j->config.net_ns);
}

bool join_was_over(const struct flow *connect, uint64_t sent_after_ns)
{
	uint64_t over_ns = connect->answer_ns;

	if (!over_ns && connect->seen & FLOW_CLOSED)
		over_ns = connect->end_ns;
	return over_ns && over_ns + JOIN_TIMER_LATE_NS <= sent_after_ns;
}

/* join_may_send(), but known for certain. */
bool match_surely_sends(struct join *j, struct flow *connect, uint8_t hook)
{
	if (!connect->process)
		return false;
	process_read(j->config.processes, connect->process);
	return connect->process->known & PROCESS_NETNS && join_may_send(j, connect, hook);
}

/* Its parent was here when it was asked, and the address is one of ours. */
static bool seems_from_here(struct join *j, const struct flow *connect)
{
	struct tuple to_source = tuple_reverse(&connect->tuple);
	const struct process *p = connect->process;

	return p && !(p->known & PROCESS_NETNS) && p->netns == j->config.net_ns &&
	       route_is_local(j->config.route, &to_source) == 1;
}

bool match_is_from_here(struct join *j, struct flow *connect)
{
	return match_surely_sends(j, connect, NF_INET_LOCAL_OUT) ||
	       (seems_from_here(j, connect) && connect->process->forked);
}

/* Packets sent a while ago are not read yet, or a CPU's next record has to tell whether connects
 * are missing: that something has not come proves nothing now, and may soon. */
bool join_is_behind(const struct join *j)
{
	if (j->finishing)
		return false;
	return j->packets_read_ns + JOIN_CONFIRM_NS < j->now_ns ||
	       (j->config.trace && trace_in_doubt(j->config.trace));
}

/* NFLOG gives no time of sending for what leaves this host. When the queue was last empty, all
 * that had been sent a flush timeout before was read. Before the first reading there was nobody to
 * send it to. */
uint64_t join_sent_after(const struct join *j)
{
	if (j->packets_read_ns > j->config.bound_ns + JOIN_CONFIRM_NS)
		return j->packets_read_ns - JOIN_CONFIRM_NS;
	return j->config.bound_ns;
}

/* It was connecting before this run, and no SYN of it has been seen since: one that comes with its
 * tuple can be its. */
bool join_lacks_number(const struct flow *f)
{
	return (f->seen & (FLOW_RESUMED | FLOW_STARTED)) == (FLOW_RESUMED | FLOW_STARTED) &&
	       !(f->seen & (FLOW_PACKET | FLOW_ANSWERED | FLOW_DESTROY | FLOW_ENDED)) &&
	       !f->syn_retransmits;
}

/* A socket was connecting with this tuple when those were listed; a connect that began later is
 * another one's. */
bool join_is_another(const struct flow *earlier, const struct flow *connect)
{
	return earlier && earlier->start_ns < connect->start_ns;
}

/* It is, if every connect since the packet can have been sent is known: an earlier user of the
 * tuple, whose packet this could be, would be in the table. Otherwise if it began before, and in
 * the packet's network namespace for certain: there no other can have had the tuple meanwhile.
 * Before the group was bound a connect's first packet was not logged: what comes may be of the next
 * one. */
bool join_surely_first(struct join *j, struct flow *connect, uint8_t hook, uint64_t sent_after_ns)
{
	if (connect->start_ns < j->config.bound_ns)
		return false;
	return trace_complete_since(j->config.trace, sent_after_ns) ||
	       (connect->start_ns <= sent_after_ns && match_surely_sends(j, connect, hook));
}

/* In another network namespace the same tuple can be in use at the same time. */
static bool fits(struct join *j, const struct flow *f, struct flow *connect)
{
	struct process *p = connect->process;

	if (connect->start_ns > f->packet_ns)
		return false;
	if (p && !(p->known & PROCESS_NETNS))
		process_read(j->config.processes, p);
	return join_may_send(j, connect, f->hook);
}

static bool lacks_packet(const struct flow *f)
{
	return (f->seen & (FLOW_CONNECT | FLOW_PACKET)) == FLOW_CONNECT;
}

bool match_is_forwarded(const struct flow *f)
{
	return f->hook == NF_INET_FORWARD || f->hook == NF_INET_PRE_ROUTING;
}

int match_ask_socket(struct join *j, const struct flow *f, struct owner_query *query)
{
	*query = (struct owner_query) { .tuple = f->tuple, .ifindex = f->ifindex_out };
	return match_is_forwarded(f) ? -ENOENT : owner_socket(j->config.owner, query);
}

/* At once, as a name waits for it. */
static bool find_socket(struct join *j, const struct flow *f, struct owner_query *query)
{
	*query = (struct owner_query) { .tuple = f->tuple, .ifindex = f->ifindex_out };
	return !match_is_forwarded(f) && owner_sockets(j->config.owner, query, 1) == 0 &&
	       query->socket_found;
}

bool join_lives(struct join *j, const struct flow *f, bool unknown)
{
	const struct flow *newest = flow_by_tuple(j->config.flows, &f->tuple);
	struct owner_query query;
	int err;

	if (f->seen & FLOW_CLOSED || (newest != f && newest->seen & FLOW_PACKET))
		return false;
	err = match_ask_socket(j, f, &query);
	if (err)
		return err != -ENOENT && unknown;
	return query.socket_state != TCP_TIME_WAIT && query.socket_state != TCP_CLOSE;
}

/* Connects that can be this packet's, newest first. */
struct candidates {
	struct flow *flows[CANDIDATES_MAX];
	unsigned int count;
	bool complete;		/* these are all */
	bool doubtful;		/* or it is of a socket that connected before the trace */
	const struct flow *earlier;	/* one with this very tuple; NULL: none is known */
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
	for (; connect; connect = flow_next_by_tuple(j->config.flows, connect)) {
		if ((connect->seen & FLOW_EARLIER && !(connect->seen & FLOW_PACKET)) ||
		    join_lacks_number(connect))
			c->earlier = connect;
		if (lacks_packet(connect) && !join_was_over(connect, f->sent_after_ns) &&
		    fits(j, f, connect))
			candidates_add(c, connect);
	}
	for (unsigned int i = 0; i < c->count; i++)
		c->doubtful |= join_is_another(c->earlier, c->flows[i]);
}

static void collect_pending(struct join *j, const struct flow *f, struct candidates *c)
{
	struct flow *connect = flow_by_pending(j->config.flows, &f->tuple);

	*c = (struct candidates) { .complete = true, .earlier = c->earlier };
	for (; connect && c->complete; connect = flow_next_by_pending(j->config.flows, connect))
		if (fits(j, f, connect) &&
		    trace_port_possible(j->config.trace, connect, f->tuple.sport))
			candidates_add(c, connect);
}

static void take(struct join *j, struct flow *f, struct flow *connect)
{
	if (!(connect->seen & FLOW_PORT))
		trace_learn_port(j->config.trace, connect, f->tuple.sport);
	join_absorb(j, f, connect);
}

/* The packet can be a SYN that is sent again, whose connect was before the trace or was lost. Those
 * of this namespace were listed at the start (join_connecting()), if that could be done; another's
 * cannot be. */
static bool older_are_known(const struct join *j, const struct flow *f, const struct flow *connect)
{
	uint64_t since_ns = connect->start_ns > JOIN_CONNECT_MAX_NS ?
		connect->start_ns - JOIN_CONNECT_MAX_NS : 0;

	if (!match_is_forwarded(f) && since_ns < j->listed_ns)
		since_ns = j->listed_ns;
	return trace_complete_since(j->config.trace, since_ns);
}

/* The one pending connect there is, if it is surely this packet's. */
static bool take_only(struct join *j, struct flow *f, const struct candidates *c)
{
	struct flow *connect = c->flows[0];
	struct owner_query query;

	if (c->count != 1 || !c->complete || join_is_another(c->earlier, connect) ||
	    connect->start_ns < j->config.bound_ns ||
	    !trace_complete_since(j->config.trace, connect->start_ns) ||
	    !match_surely_sends(j, connect, f->hook))
		return false;
	if (!older_are_known(j, f, connect) || (!match_is_forwarded(f) && !find_socket(j, f, &query)))
		return false;
	take(j, f, connect);
	return true;
}

/* A child holds what its parent had open when it was forked: of those two it may not have connected
 * this. */
static bool may_have_inherited(struct join *j, const struct flow *holder, const struct candidates *c)
{
	for (unsigned int i = 0; i < c->count; i++) {
		const struct flow *other = c->flows[i];

		if (other->process != holder->process &&
		    process_may_begin_after(j->config.processes, holder->process, other->start_ns))
			return true;
	}
	return false;
}

/* The one candidate whose process holds the packet's socket. One that could not be asked may hold
 * it, too. */
static bool take_holder(struct join *j, struct flow *f, const struct candidates *c)
{
	struct flow *holder = NULL;
	struct owner_query query;
	int holds;

	if (!find_socket(j, f, &query) || !query.inode || !c->complete)
		return false;
	for (unsigned int i = 0; i < c->count; i++) {
		struct flow *connect = c->flows[i];

		if (!connect->process)
			continue;
		holds = owner_holds(j->config.owner, connect->process->pid, query.inode);
		if ((holds < 0 && holds != -ENOENT && holds != -ESRCH) || (holds == 1 && holder))
			return false;
		if (holds == 1)
			holder = connect;
	}
	if (!holder || may_have_inherited(j, holder, c))
		return false;
	take(j, f, holder);
	return true;
}

/* Packets of this tuple that have been read and are nobody's yet. */
unsigned int match_undecided(struct join *j, const struct tuple *tuple, uint64_t after,
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
 * other, and nothing was lost, the first belongs to the first. A program that was gone before it could
 * be asked may have entered another namespace since its fork; had that an address of ours, a connect
 * there would have no packet here, and they would not be as many. */
static bool take_in_order(struct join *j, struct flow *f, const struct candidates *c)
{
	unsigned int newer, packets = match_undecided(j, &f->tuple, f->number, &newer);

	for (unsigned int i = 0; i < c->count; i++)
		if (!match_surely_sends(j, c->flows[i], f->hook) &&
		    !(f->hook == NF_INET_LOCAL_OUT && seems_from_here(j, c->flows[i])))
			return false;
	if (!c->complete || packets != c->count || f->sent_after_ns <= j->nflog_lost_ns)
		return false;
	take(j, f, c->flows[newer]);
	return true;
}

enum match_verdict match_connect(struct join *j, struct flow *f, bool ask_holders)
{
	bool complete = trace_complete_since(j->config.trace, f->sent_after_ns);
	struct candidates c;

	collect_exact(j, f, &c);
	if (c.doubtful)
		return MATCH_UNSURE;
	if (c.count == 1 && join_surely_first(j, c.flows[0], f->hook, f->sent_after_ns)) {
		take(j, f, c.flows[0]);
		return MATCH_TAKEN;
	}
	if (c.count > 1 && complete && !join_is_behind(j) && take_in_order(j, f, &c))
		return MATCH_TAKEN;
	if (c.count)
		return MATCH_UNSURE;
	collect_pending(j, f, &c);
	if (!c.count)
		return MATCH_NOBODY;
	if (complete && (take_only(j, f, &c) || (ask_holders && take_holder(j, f, &c))))
		return MATCH_TAKEN;
	return MATCH_UNSURE;
}
