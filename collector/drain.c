// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * One drain: everything that the sources have, in the order that makes absence mean something.
 *
 * The trace is read before the packets, so that most of them find their connect waiting, and once
 * more after them, up to an instant after the last one was read: a connect is in its ring before
 * its packet is logged, so that one which has not been seen by then was never made. conntrack
 * comes last: a NEW that has not been read after the trace told of the socket's end never was.
 */
#include "capture.h"
#include "clock.h"
#include "collector.h"
#include "emit.h"
#include "log.h"
#include "takeover.h"

#include <inttypes.h>
#include <netinet/tcp.h>
#include <string.h>
#include <time.h>

/* Of one drain: the rings fill while packets are worked on, and must not wait long. */
#define PACKETS_MAX 512
#define MESSAGES_MAX 2048
#define CLOCK_STEP_NS 500000000
#define LAST_BATCH_NS 2000000000

/* The two clocks go equally fast whatever adjusts them (adjtimex(2)): they part where one is set,
 * and while the machine sleeps. Not judged where we were kept from running between the readings. */
static void say_clock_step(struct collector *c, uint64_t now_ns, uint64_t now_real_ns)
{
	int64_t step_ns = (int64_t)(now_real_ns - now_ns - c->clocks_apart_ns);
	bool known = c->clocks_apart_ns;

	if (known && step_ns > -CLOCK_STEP_NS && step_ns < CLOCK_STEP_NS)
		return;
	if (clock_ns(CLOCK_MONOTONIC) - now_ns >= CLOCK_STEP_NS / 2)
		return;
	c->clocks_apart_ns = now_real_ns - now_ns;
	if (known)
		log_warning("the clock went by %+.1f s: it was set, or the machine slept; times in "
			    "records are by the new one", (double)step_ns / 1e9);
}

void collector_read_clocks(struct collector *c)
{
	uint64_t now_ns = clock_ns(CLOCK_MONOTONIC), now_real_ns = clock_ns(CLOCK_REALTIME);

	say_clock_step(c, now_ns, now_real_ns);
	join_clock(&c->join, now_ns, now_real_ns);
}

static void take_packet(const struct nflog_packet *packet, void *data)
{
	struct collector *c = data;

	if (c->capture)
		capture_keep(c->capture, packet);
	join_packet(&c->join, packet);
}

static void take_entry(const struct ct_entry *entry, void *data)
{
	join_conntrack(data, entry);
}

static void read_soon(struct collector *c, uint32_t pid)
{
	if (c->unread_count < sizeof(c->unread) / sizeof(c->unread[0]))
		c->unread[c->unread_count++] = pid;
}

/* One that was forked and has not been read: now, so that the trace is read further than /proc
 * before its record is written (ladder.c). */
static void take_connect(struct collector *c, const struct perf_event *event)
{
	const struct process *p;

	if (event->socket.new_state != TCP_SYN_SENT ||
	    (tuple_is_loopback(&event->socket.tuple) && !c->options->loopback))
		return;
	p = process_get(c->processes, event->pid);
	if (p && !(p->known & PROCESS_READ))
		read_soon(c, event->pid);
}

static void take_exec(struct collector *c, const struct perf_event *event)
{
	struct process *p;

	process_exec(c->processes, event->time_ns, event->pid, event->exec.filename);
	p = process_get(c->processes, event->pid);
	if (p && event->cgroup_id)
		process_set_cgroup(p, event->cgroup_id);
	read_soon(c, event->pid);
}

static void take_event(const struct perf_event *event, void *data)
{
	struct collector *c = data;

	switch (event->kind) {
	case PERF_SOCKET_STATE:
		join_trace(&c->join, event);
		take_connect(c, event);
		break;
	case PERF_ROUTE:
	case PERF_SOCKET_ERROR:
		join_trace(&c->join, event);
		break;
	case PERF_FORK:
		process_fork(c->processes, event->time_ns, event->pid, event->tid,
			     event->fork.parent_pid, event->fork.parent_tid);
		break;
	case PERF_EXEC:
		take_exec(c, event);
		break;
	case PERF_COMM:
		process_comm(c->processes, event->time_ns, event->pid, event->tid,
			     event->comm.comm);
		break;
	case PERF_EXIT:
		process_exit(c->processes, event->time_ns, event->pid, event->tid);
		break;
	case PERF_DOUBT:
	case PERF_WHOLE:
		join_trace(&c->join, event);
		break;
	case PERF_LOST:
		process_lost(c->processes, event->time_ns);
		join_trace(&c->join, event);
		break;
	}
}

static int drain_trace(struct collector *c)
{
	int err;

	if (!c->perf)
		return 0;
	err = perf_read(c->perf, c->join.now_ns, take_event, c);
	process_read_new(c->processes, c->unread, c->unread_count);
	c->unread_count = 0;
	return err < 0 ? err : 0;
}

void collector_update_cpus(struct collector *c)
{
	uint64_t late = perf_stats(c->perf)->late;
	int missing = perf_update_cpus(c->perf);

	if (perf_stats(c->perf)->late != late)
		log_warning("a CPU came online: connections made there before it was traced may stay "
			    "unnamed");
	if (missing && !c->untraced_cpus)
		log_warning("CPUs that came online cannot be traced (%s): connections made there "
			    "may stay unnamed", missing < 0 ? strerror(-missing) : "perf events");
	else if (!missing && c->untraced_cpus)
		log_info("all CPUs are traced again");
	c->untraced_cpus = missing;
}

/* Connects that a packet may belong to are missing if they were made on a CPU that came online
 * meanwhile: to be known before anything is concluded. */
static void look_for_cpus(struct collector *c)
{
	if (c->perf && perf_cpus_changed(c->perf))
		collector_update_cpus(c);
}

static int drain_packets(struct collector *c)
{
	const struct nflog_stats *stats = nflog_stats(c->nflog);
	uint64_t lost_before = stats->sequence_gap + stats->enobufs;
	int n = nflog_read(c->nflog, PACKETS_MAX, take_packet, c);

	if (stats->sequence_gap + stats->enobufs != lost_before)
		join_nflog_lost(&c->join, clock_ns(CLOCK_MONOTONIC));
	return n;
}

static uint64_t conntrack_lost(const struct collector *c)
{
	return ct_stats(c->ct)->dropped + ct_stats(c->ct)->invalid;
}

static int drain_conntrack(struct collector *c)
{
	uint64_t lost_before;
	int n;

	if (!c->ct)
		return 0;
	lost_before = conntrack_lost(c) + ct_stats(c->ct)->enobufs;
	n = ct_read(c->ct, MESSAGES_MAX, take_entry, &c->join);
	if (conntrack_lost(c) + ct_stats(c->ct)->enobufs != lost_before)
		join_conntrack_lost(&c->join, clock_ns(CLOCK_MONOTONIC));
	return n;
}

void collector_note(struct collector *c)
{
	const struct nflog_stats *nflog = nflog_stats(c->nflog);
	uint64_t losses = nflog->sequence_gap + c->ledger.lost_tail;
	uint64_t untold = c->ledger.pending + losses - c->losses_told;
	struct account_sums sums = {
		.pending = (uint32_t)untold,
		.known = true,
		.counting = c->counting,
		.owned = c->ruleset_owned,
		.packets_read_ns = c->join.packets_read_ns ? c->join.packets_read_ns :
							     c->join.config.read_before_ns,
	};
	struct ruleset_counts gone;

	if (c->ct) {
		sums.conntrack = true;
		sums.conntrack_drops = ct_stats(c->ct)->drops -
				       (uint32_t)(ct_stats(c->ct)->dropped - c->drops_told);
	}
	sums.numbered = nflog_next_sequence(c->nflog, &sums.next_sequence);
	if (c->ruleset) {
		ruleset_counted_before(c->ruleset, &gone);
		sums.table = ruleset_table(c->ruleset);
		sums.counts = (struct ruleset_counts) {
			.matched = c->before.matched + nflog->received + losses - untold -
				   gone.matched,
			.limited = c->before.limited + c->ledger.limited - gone.limited,
			.filtered = c->before.filtered + c->ledger.filtered_by_rule -
				    gone.filtered,
		};
	}
	handover_note(&c->handover, &sums);
}

int collector_drain(struct collector *c)
{
	int packets, messages, err;

	collector_read_clocks(c);
	err = drain_trace(c);
	if (err)
		return err;
	collector_read_clocks(c);
	packets = drain_packets(c);
	if (packets < 0)
		return packets;
	if (packets < PACKETS_MAX)
		c->join.packets_read_ns = c->join.now_ns;
	collector_read_clocks(c);
	look_for_cpus(c);
	err = drain_trace(c);
	if (err)
		return err;
	messages = drain_conntrack(c);
	if (messages < 0)
		return messages;
	c->packets_read = (unsigned int)packets;
	c->messages_read = (unsigned int)messages;
	c->join.conntrack_current = messages < MESSAGES_MAX;
	join_settle(&c->join);
	process_expire(c->processes, c->join.now_ns);
	if (sinks_flush(c->sinks))
		c->reader_gone = true;
	collector_note(c);
	return packets >= PACKETS_MAX || messages >= MESSAGES_MAX;
}

static void count_sources(struct collector *c)
{
	const struct nflog_stats *nflog = nflog_stats(c->nflog);
	struct ledger *ledger = &c->ledger;
	uint32_t count, max;

	ledger->received = nflog->received;
	ledger->sequence_gap = nflog->sequence_gap;
	ledger->enobufs = nflog->enobufs + (c->ct ? ct_stats(c->ct)->enobufs : 0);
	ledger->undecodable = c->join.undecodable + nflog->invalid;
	if (c->trace) {
		ledger->trace_lost = perf_stats(c->perf)->lost + c->join.connects_evicted;
		ledger->trace_only = c->join.trace_only + trace_stats(c->trace)->loopback;
	}
	if (c->ct)
		ledger->conntrack_lost = conntrack_lost(c);
	ledger->conntrack_known = c->ct && ct_count(&count, &max) == 0;
	if (ledger->conntrack_known) {
		ledger->conntrack_count = count;
		ledger->conntrack_max = max;
	}
}

/* Less than was received, or numbered: a table took its count with it, a static rule counted while
 * we were binding, or somebody set counters back, as anybody may who may change a ruleset. From
 * there on it is exact again. read: the counters were read just now, and are not those of an
 * earlier ledger. */
static void make_up(struct collector *c, uint64_t missing, bool read)
{
	if (!c->ledger.matched_approximate)
		log_warning("the rules' counter says %" PRIu64 " packets less than were received: it "
			    "was set back, or other rules log to group %u", missing,
			    c->options->group);
	c->ledger.matched_approximate = true;
	c->ledger.matched += missing;
	if (read)
		c->before.matched -= missing;
}

static void count_matched(struct collector *c)
{
	struct ledger *ledger = &c->ledger;
	uint64_t known = ledger->received + ledger->sequence_gap + ledger->lost_tail;
	struct ruleset_counts counts;
	bool read;

	if (!c->ruleset)
		return;
	read = ruleset_counters(c->ruleset, &counts) == 0;
	if (read) {
		ledger->matched_known = true;
		ledger->limited = counts.limited - c->before.limited;
		ledger->matched = counts.matched - c->before.matched + ledger->limited;
		ledger->filtered_by_rule = counts.filtered - c->before.filtered;
	}
	if (ledger->matched_known && ledger->matched < known + ledger->limited)
		make_up(c, known + ledger->limited - ledger->matched, read);
}

/* What is missing from records because we could not ask: once for each ledger, while it goes on. */
static void say_failures(struct collector *c)
{
	const struct process_stats *p = process_stats(c->processes);
	const struct owner_stats *o = owner_stats(c->owner);
	uint64_t failures = p->failures + o->walk_failures;
	uint64_t unheard = o->failures + o->invalid;

	if (failures != c->proc_failures)
		log_warning("/proc could not be read %" PRIu64 " times (%s): names and details of "
			    "processes are missing from records", failures - c->proc_failures,
			    strerror(p->failures ? p->last_failure : o->walk_last_failure));
	c->proc_failures = failures;
	if (unheard != c->sock_failures)
		log_warning("sockets could not be looked up %" PRIu64 " times: names of processes may "
			    "be missing from records", unheard - c->sock_failures);
	c->sock_failures = unheard;
	if (record_incomplete(c->record) != c->incomplete)
		log_warning("no memory: %" PRIu64 " records of connections lack their process",
			    record_incomplete(c->record) - c->incomplete);
	c->incomplete = record_incomplete(c->record);
}

void collector_ledger(struct collector *c)
{
	collector_read_clocks(c);
	say_failures(c);
	count_sources(c);
	count_matched(c);
	emit_ledger(c);
	if (sinks_flush(c->sinks))
		c->reader_gone = true;
	collector_note(c);
}

void collector_summaries(struct collector *c)
{
	emit_summaries(c);
	if (sinks_flush(c->sinks))
		c->reader_gone = true;
}

/* The tail: numbered by the kernel after the last packet that we got. */
static void count_tail(struct ledger *ledger)
{
	uint64_t known = ledger->received + ledger->sequence_gap + ledger->lost_tail +
			 ledger->limited;

	if (ledger->matched_known && ledger->matched > known)
		ledger->lost_tail += ledger->matched - known;
}

/* A flood has no last message; but a group that nobody sends to any more has a last packet. */
static void drain_all(struct collector *c, bool unbound)
{
	uint64_t until_ns = clock_ns(CLOCK_MONOTONIC) + LAST_BATCH_NS;

	while (collector_drain(c) > 0 && (clock_ns(CLOCK_MONOTONIC) < until_ns ||
					  (unbound && c->packets_read >= PACKETS_MAX)))
		;
}

/* The kernel holds packets back for that long, to send several at once. What is left of a flood is the
 * next run's. */
static void read_last_batch(struct collector *c)
{
	const struct timespec wait = { .tv_nsec = 2 * COLLECTOR_FLUSH_10MS * 10000000l };

	nanosleep(&wait, NULL);
	drain_all(c, false);
}

/* Nothing is taken down: what is queued from now on is the next run's, in its ledger too. */
static void stop_for_the_next(struct collector *c)
{
	struct ledger *ledger = &c->ledger;

	read_last_batch(c);
	/* Before the rings are read for the last time: a connect made meanwhile may be read and
	 * counted, and none is neither. */
	c->counting = c->perf && perf_count_connects(c->perf) == 0;
	collector_drain(c);	/* what tells of programs that were read in the last one */
	join_finish(&c->join, true);
	takeover_leave(c);
	collector_read_clocks(c);
	count_sources(c);
	count_matched(c);
	if (ledger->matched_known)
		ledger->matched = ledger->received + ledger->sequence_gap + ledger->lost_tail +
				  ledger->limited;
	emit_summaries(c);
	say_failures(c);
	emit_ledger(c);
	sinks_drain(c->sinks, 1000);
	collector_note(c);
}

void collector_stop(struct collector *c)
{
	if (c->handover.kept) {
		stop_for_the_next(c);
		return;
	}
	collector_read_clocks(c);
	join_rules_gone(&c->join, c->join.now_ns);
	if (c->ruleset && c->ruleset_owned)
		ruleset_silence(c->ruleset);
	nflog_unbind(c->nflog);
	drain_all(c, true);
	collector_drain(c);
	join_finish(&c->join, false);
	collector_read_clocks(c);
	count_sources(c);
	count_matched(c);
	count_tail(&c->ledger);
	if (c->ruleset_owned)
		ruleset_remove(c->ruleset);
	emit_summaries(c);
	say_failures(c);
	emit_ledger(c);
	sinks_drain(c->sinks, 1000);
}
