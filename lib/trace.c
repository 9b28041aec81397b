// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Who connected: the trace's half of the join.
 *
 * At CLOSE -> SYN_SENT the current task is the one that called connect(): this is the witness
 * that everything here rests on. What the event cannot tell is the source port, which is chosen
 * only afterwards: the field holds 0, a bound port, or the port of an earlier connect on the same
 * descriptor, which may be another socket's by now. So a connect is *pending*, known by its socket
 * address and by everything but its port, until a true port arrives:
 *
 *  - IPv4 looks up its route again right after choosing the port, in the same thread. The thread's
 *    last connect is remembered for this. If a port stood in the event and no such lookup follows,
 *    it was the port already (bound, or chosen again). But whoever has a port before it connects
 *    looks up its route before, too, and that may be the thread's next connect, to the same place:
 *    it tells by having that very port.
 *  - Every later transition of the same socket carries it. The second one is often reported by the
 *    CPU that handles the answer, and some idle CPUs never report at all, so any will do: the one
 *    at close() runs in the process itself.
 *  - Or the packet itself tells, where the join can be sure (lib/join).
 *
 * Sockets are named by kernel address. It is reused after a socket is freed, possibly without our
 * having heard of its end; every event is therefore held against the addresses that are known, and
 * one that does not fit ends the old flow's claim.
 *
 * Limits: connects of other network namespaces look the same; who cares must ask the process.
 * Threads are remembered in a table that a newer connect may overwrite: then only the shortcut by
 * the route lookup is lost.
 */
#include "trace.h"

#include <errno.h>
#include <stdlib.h>

#define THREADS 4096

/* The connect that a thread has begun last; the number tells a flow freed since. Lookups that came
 * with another port than its event are its own, or the next one's, before that connects. */
struct thread {
	uint32_t tid;
	be16 sport;		/* of the last of them */
	uint16_t lookups;	/* how many there were: 0, 1, or more */
	uint64_t number;
	struct flow *flow;
};

struct trace {
	struct trace_config config;
	struct trace_stats stats;
	uint64_t lost_ns;
	unsigned int doubts;	/* CPUs of which records may be missing */
	bool routes;		/* route lookups have been seen: this kernel reports them */
	struct thread threads[THREADS];
};

int trace_new(struct trace **out, const struct trace_config *config)
{
	struct trace *t = calloc(1, sizeof(*t));

	if (!t)
		return -ENOMEM;
	t->config = *config;
	t->lost_ns = config->begun_ns;
	*out = t;
	return 0;
}

void trace_free(struct trace *t)
{
	free(t);
}

const struct trace_stats *trace_stats(const struct trace *t)
{
	return &t->stats;
}

static struct thread *thread_slot(struct trace *t, uint32_t tid)
{
	return &t->threads[tid % THREADS];
}

static void remember_thread(struct trace *t, uint32_t tid, struct flow *f)
{
	struct thread *thread = thread_slot(t, tid);
	struct flow *last = thread->flow;

	if (last && thread->number == last->number) {
		if (thread->tid != tid)
			last->seen |= FLOW_ROUTE_MISSED;
		else if (thread->lookups == 1 && thread->sport == f->tuple.sport)
			last->seen &= ~(uint32_t)FLOW_ROUTE_MISSED;	/* it was this one's */
	}
	*thread = (struct thread) { .tid = tid, .number = f->number, .flow = f };
}

/* Everything but the source port; and the source port too where it is known. */
static bool same_socket(const struct flow *f, const struct tuple *tuple)
{
	struct tuple other = *tuple;

	if (!(f->seen & FLOW_PORT))
		other.sport = f->tuple.sport;
	return tuple_equal(&f->tuple, &other);
}

void trace_learn_port(struct trace *t, struct flow *connect, be16 sport)
{
	flow_unindex_pending(t->config.flows, connect);
	connect->tuple.sport = sport;
	connect->seen |= FLOW_PORT;
	flow_index_tuple(t->config.flows, connect);
}

bool trace_complete_since(const struct trace *t, uint64_t time_ns)
{
	return !t->doubts && time_ns > t->lost_ns;
}

bool trace_in_doubt(const struct trace *t)
{
	return t->doubts;
}

bool trace_port_possible(const struct trace *t, const struct flow *connect, be16 sport)
{
	if (connect->tuple.family != AF_INET || connect->seen & FLOW_ROUTE_MISSED || !t->routes ||
	    !trace_complete_since(t, connect->start_ns))
		return true;
	return connect->tuple.sport == sport;
}

/* Without a port there is only the address to go by, and the end of its socket and the connect of
 * the next one there, often to the same place, can both have been lost. If that one closes, this
 * one has too, sooner or later; nothing else that it does says anything. */
static bool may_be_another(const struct trace *t, const struct flow *f)
{
	return !(f->seen & FLOW_PORT) && !trace_complete_since(t, f->start_ns);
}

static void name_owner(struct trace *t, struct flow *f, const struct perf_event *event)
{
	struct process *process = process_get(t->config.processes, event->pid);

	if (!process && event->pid)
		process = process_find(t->config.processes, event->pid, 0);
	if (process && process->kernel_thread)
		f->seen |= FLOW_KERNEL;
	else if (process)
		f->process = process_ref(process);
	if (process && event->cgroup_id)
		process_set_cgroup(process, event->cgroup_id);
}

/* A socket that connects anew, or whose address now names another socket. */
static void forget_socket(struct trace *t, struct flow *f, trace_handler *handler, void *data)
{
	flow_unindex_socket(t->config.flows, f);
	if (f->seen & FLOW_CLOSED)
		return;
	/* When is not known; what conntrack has reckoned would pass for the process's own close. */
	f->end_ns = 0;
	f->seen |= FLOW_CLOSED;
	handler(f, TRACE_CLOSED, data);
}

static void connect_begins(struct trace *t, const struct perf_event *event, trace_wall *wall,
			   trace_handler *handler, void *data)
{
	struct flow *f = flow_by_socket(t->config.flows, event->socket.skaddr);

	t->stats.connects++;
	if (f)
		forget_socket(t, f, handler, data);
	if (!t->config.loopback && tuple_is_loopback(&event->socket.tuple)) {
		t->stats.loopback++;
		return;
	}

	f = flow_new(t->config.flows);
	if (!f)
		return;
	f->tuple = event->socket.tuple;
	f->seen = FLOW_CONNECT;
	f->start_ns = event->time_ns;
	f->start_real_ns = wall(event->time_ns, data);
	f->cgroup_id = event->cgroup_id;
	f->tid = event->tid;
	name_owner(t, f, event);
	flow_index_socket(t->config.flows, f, event->socket.skaddr);
	flow_index_pending(t->config.flows, f);
	remember_thread(t, event->tid, f);
	handler(f, TRACE_CONNECT, data);
}

/* Gone without having seen the FINs of both sides: reset, or it gave up (lib/fate). */
static bool is_cut_off(uint8_t old_state)
{
	switch (old_state) {
	case TCP_ESTABLISHED:
	case TCP_SYN_RECV:
	case TCP_FIN_WAIT1:
	case TCP_CLOSE_WAIT:
		return true;
	default:
		return false;
	}
}

static unsigned int follow_state(struct flow *f, const struct perf_event *event)
{
	uint8_t old_state = event->socket.old_state;
	unsigned int changes = 0;

	if (event->socket.new_state == TCP_ESTABLISHED && !(f->seen & FLOW_ANSWERED))
		f->answer_ns = event->time_ns;
	if ((event->socket.new_state == TCP_ESTABLISHED ||
	     (old_state != TCP_SYN_SENT && old_state != TCP_SYN_RECV)) &&
	    !(f->seen & FLOW_ANSWERED)) {
		f->seen |= FLOW_ANSWERED;
		changes |= TRACE_ANSWERED;
	}

	switch (event->socket.new_state) {
	case TCP_CLOSE_WAIT:
		f->seen |= FLOW_PEER_CLOSED;
		/* fall through */
	case TCP_FIN_WAIT1:
	case TCP_LAST_ACK:
		f->end_ns = event->time_ns;
		return changes | TRACE_CLOSING;
	case TCP_CLOSE:
		if (is_cut_off(old_state))
			f->seen |= FLOW_RST;
		f->seen |= FLOW_CLOSED;
		f->end_ns = event->time_ns;
		return changes | TRACE_CLOSED;
	default:
		return changes;
	}
}

static void socket_changes(struct trace *t, const struct perf_event *event, trace_wall *wall,
			   trace_handler *handler, void *data)
{
	struct flow *f;
	unsigned int changes = 0;

	if (event->socket.new_state == TCP_SYN_SENT) {
		connect_begins(t, event, wall, handler, data);
		return;
	}
	f = flow_by_socket(t->config.flows, event->socket.skaddr);
	if (!f)
		return;
	if (!same_socket(f, &event->socket.tuple)) {
		forget_socket(t, f, handler, data);
		return;
	}
	if (may_be_another(t, f)) {
		if (event->socket.new_state == TCP_CLOSE)
			forget_socket(t, f, handler, data);
		return;
	}

	if (!(f->seen & FLOW_PORT) && event->socket.tuple.sport) {
		trace_learn_port(t, f, event->socket.tuple.sport);
		changes |= TRACE_PORT;
	}
	changes |= follow_state(f, event);
	if (changes & TRACE_CLOSED)
		flow_unindex_socket(t->config.flows, f);
	handler(f, changes, data);
}

/* IPv4: the lookup that follows SYN_SENT in the same thread has the port that was chosen; but not
 * for certain where a port stood in the event, and it is another. */
static void route_found(struct trace *t, const struct perf_event *event, trace_handler *handler,
			void *data)
{
	struct thread *thread = thread_slot(t, event->tid);
	struct flow *f = thread->flow;

	t->routes = true;
	if (!f || thread->tid != event->tid || thread->number != f->number ||
	    f->seen & (FLOW_PORT | FLOW_CLOSED) || !same_socket(f, &event->route.tuple))
		return;
	if (f->tuple.sport && f->tuple.sport != event->route.tuple.sport) {
		f->seen |= FLOW_ROUTE_MISSED;
		if (thread->lookups < 2)
			thread->lookups++;
		thread->sport = event->route.tuple.sport;
		return;
	}
	*thread = (struct thread) { 0 };
	trace_learn_port(t, f, event->route.tuple.sport);
	handler(f, TRACE_PORT, data);
}

/* Another connect with the same tuple that may have failed as well, in another namespace: neither
 * then knows why it ended (error 0), if it does. */
static bool is_ambiguous(struct trace *t, const struct flow *f)
{
	const uint32_t over = FLOW_ERROR | FLOW_ANSWERED | FLOW_ENDED;
	bool found = false;
	struct flow *other;

	if (!(f->seen & FLOW_PORT))
		return false;
	for (other = flow_by_tuple(t->config.flows, &f->tuple); other;
	     other = flow_next_by_tuple(t->config.flows, other)) {
		if (other == f || !(other->seen & FLOW_CONNECT) || other->seen & over)
			continue;
		other->seen |= FLOW_ERROR;
		other->error = 0;
		found = true;
	}
	return found;
}

/* An error may be of another connect than this one, which has had its own and is over. */
static bool has_failed(const struct flow *f)
{
	return (f->seen & (FLOW_ENDED | FLOW_ERROR)) == (FLOW_ENDED | FLOW_ERROR);
}

/* The error report names no socket: it is the newest connect with its tuple, or the only one
 * pending to there, unless its port is known to be another one or it may be a socket's that is not
 * known: older than the trace, or lost. */
static void error_reported(struct trace *t, const struct perf_event *event, trace_handler *handler,
			   void *data)
{
	struct flow *f = flow_by_tuple(t->config.flows, &event->error.tuple);
	bool older = false;

	for (; f && (!(f->seen & FLOW_CONNECT) || has_failed(f));
	     f = flow_next_by_tuple(t->config.flows, f))
		older |= f->seen & (FLOW_EARLIER | FLOW_RESUMED);
	if (!f && older)
		return;
	if (!f) {
		f = flow_by_pending(t->config.flows, &event->error.tuple);
		if (!f || flow_next_by_pending(t->config.flows, f) ||
		    !trace_complete_since(t, f->start_ns) ||
		    !trace_port_possible(t, f, event->error.tuple.sport))
			return;
	}
	if (f->seen & FLOW_ERROR || event->error.error <= 0 || event->error.error > UINT8_MAX)
		return;
	f->seen |= FLOW_ERROR;
	f->error = is_ambiguous(t, f) ? 0 : (uint8_t)event->error.error;
	if (f->error == ECONNREFUSED && !f->answer_ns)
		f->answer_ns = f->end_ns ? f->end_ns : event->time_ns;
	handler(f, TRACE_FAILED, data);
}

void trace_forgotten(struct trace *t, uint64_t time_ns)
{
	if (time_ns > t->lost_ns)
		t->lost_ns = time_ns;
}

void trace_event(struct trace *t, const struct perf_event *event, trace_wall *wall,
		 trace_handler *handler, void *data)
{
	switch (event->kind) {
	case PERF_SOCKET_STATE:
		socket_changes(t, event, wall, handler, data);
		break;
	case PERF_ROUTE:
		route_found(t, event, handler, data);
		break;
	case PERF_SOCKET_ERROR:
		error_reported(t, event, handler, data);
		break;
	case PERF_LOST:
		trace_forgotten(t, event->time_ns);
		break;
	case PERF_DOUBT:
		t->doubts++;
		break;
	case PERF_WHOLE:
		t->doubts--;
		break;
	default:
		break;
	}
}
