/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NFWHO_JOIN_H
#define NFWHO_JOIN_H

#include "ct.h"
#include "flow.h"
#include "ledger.h"
#include "nflog.h"
#include "owner.h"
#include "perf.h"
#include "process.h"
#include "resume.h"
#include "resync.h"
#include "route.h"
#include "trace.h"

/*
 * The join: packets, the trace and conntrack's events become flows; flows get an owner, a start and
 * an end. Evidence goes in as it is read; nothing is decided before join_settle().
 */

/* How long a packet's owner may stay undecided, but for a few JOIN_CONFIRM_NS, or while we are behind;
 * and the first look before that. */
#define JOIN_UNSURE_NS		500000000ull
#define JOIN_HELD_NS		5000000ull
/* How long conntrack's word waits for the packet it belongs to: well over NFLOG's flush timeout. */
#define JOIN_ORPHAN_NS		1000000000ull
/* How long a named holder of a socket is doubted: a packet of a newer socket with the same tuple
 * may still stand in the kernel's batch. Twice NFLOG's flush timeout, and a jiffy. */
#define JOIN_CONFIRM_NS		30000000ull
/* The kernel hands on a batch of packets by a timer, which is late where processors are not given
 * to it (up to 100 ms seen on an emulated machine). */
#define JOIN_TIMER_LATE_NS	250000000ull
/* While we sleep a packet wakes us. (To be kept from running looks like sleep.) */
#define JOIN_ASLEEP_NS		100000000ull
/* How often a silent socket is asked for. */
#define JOIN_RECHECK_NS		5000000000ull
/* A connect sends its SYN again for 127 s by default (six times); an administrator may have asked
 * for more. */
#define JOIN_CONNECT_MAX_NS	600000000000ull

struct join_config {
	struct flow_table *flows;		/* all borrowed */
	struct process_table *processes;
	struct owner *owner;
	struct trace *trace;			/* NULL: no trace */
	struct ct *ct;				/* NULL: conntrack is not read */
	bool ct_silent;				/* but tells of nothing (nf_conntrack_events) */
	struct route *route;
	struct ledger *ledger;

	uint64_t bound_ns;		/* CLOCK_MONOTONIC: no packet that we get was sent before;
					 * 0: not known, the group is an earlier run's */
	uint64_t read_before_ns;	/* every packet queued by then was read by that run; 0: not
					 * known */
	uint32_t net_ns;		/* inode of our network namespace; 0 unknown */
	uint32_t syn_retries;		/* net.ipv4.tcp_syn_retries as we began; 0 unknown */
	bool errors_reported;		/* the trace has inet_sk_error_report */
	bool own_rules;			/* our ruleset logs: it matched by conntrack state */
	bool output_logged;		/* it logs what leaves this host's sockets */
	bool rules_limit;		/* but not more of it than so much a second */
	bool loopback;			/* loopback is logged, too */
	bool starts_only;		/* nothing is told of what becomes of a connection, nor does the
					 * trace tell of closes */
	uint8_t protocols[8];		/* and these */
	unsigned int protocol_count;
	const char *untracked_prefix;	/* of our rule for untracked packets; NULL: none */

	/* A connection's owner is known, or no packet of it came: whether a filter leaves it out
	 * (FLOW_END_UNTOLD from then on). NULL: none does. */
	bool (*filtered)(const struct flow *f, void *data);
	/* One that is not left out: returns false if its record is held back by a limit
	 * (FLOW_SUPPRESSED from then on). */
	bool (*start)(struct flow *f, void *data);
	/* Its fate is known (f->reason); of what start() held back, too. */
	void (*end)(struct flow *f, void *data);
	/* join_finish(): it was still open. */
	void (*open)(struct flow *f, void *data);
	void *data;
};

struct join_holders;

struct join {
	struct join_config config;
	uint64_t now_ns, now_real_ns;	/* the batch's clocks: CLOCK_MONOTONIC, CLOCK_REALTIME */
	uint64_t connects_evicted;	/* that the trace told of, and no packet: as good as lost */
	uint64_t nflog_lost_ns;		/* when packets were last lost: absence proves nothing */
	uint64_t ct_lost_ns;
	uint64_t unmatched_ns;		/* when a packet last fitted several connects, or the rules
					 * were changed: a connect may seem not to have sent any */
	uint64_t unlogged_ns;		/* since when nothing may be logged, so that no connect sends
					 * any; 0: it is */
	struct resume resume;
	struct resync resync;
	uint64_t packets_read_ns;	/* every packet queued by then has been read */
	uint64_t woken_ns;		/* when something woke us from a sleep of JOIN_ASLEEP_NS or more:
					 * packets that are read now were sent since, or shortly
					 * before; 0: we had not slept so long */
	bool conntrack_current;		/* every conntrack message queued before this batch has */
	uint64_t undecodable;		/* packets, of those given */
	uint64_t undecided;		/* packets whose flow has not started yet */
	uint64_t trace_only;		/* connects whose packet never came */
	uint64_t listed_ns;		/* when the sockets that were connecting before the trace had
					 * been listed; 0: not */
	bool foreign_zone;		/* a conntrack zone other than 0 is in use */
	bool finishing;
	bool evicting;			/* in the middle of a batch: absence proves nothing */
	uint32_t *confirmed;		/* by tuple hash: when conntrack last had a word,
					 * CLOCK_MONOTONIC in units of entry.c. A tuple used again
					 * may give it to another flow than the one that lacks it */
	uint32_t *crowded;		/* the same: when a word was dropped */
	uint64_t crowded_ns;		/* when the last was, of any; 0: never */
	char *prefixes[256];		/* [0] stands for none */
	unsigned int prefix_count;
	struct join_holders *holders;
};

/* Returns 0 or -errno. */
int join_init(struct join *j, const struct join_config *config);
void join_fini(struct join *j);

/* The clocks as they are now: before evidence of a batch goes in. */
void join_clock(struct join *j, uint64_t now_ns, uint64_t now_real_ns);

/* Evidence. */
void join_packet(struct join *j, const struct nflog_packet *packet);
void join_trace(struct join *j, const struct perf_event *event);
void join_conntrack(struct join *j, const struct ct_entry *entry);

/* A socket that was connecting at the clock's instant, or a moment later, perhaps since before the
 * trace began; and those were all. */
void join_connecting(struct join *j, const struct tuple *tuple);
void join_connecting_listed(struct join *j);

/* Packets, or conntrack messages, were lost, the last of them perhaps at until_ns
 * (CLOCK_MONOTONIC): an instant after the loss was counted, which is later than the clock of the
 * drain. */
void join_nflog_lost(struct join *j, uint64_t until_ns);
void join_conntrack_lost(struct join *j, uint64_t until_ns);

/* Up to now the rules logged another choice, or nothing; from since_ns on (CLOCK_MONOTONIC) they
 * may log nothing, until they are said to have changed. */
void join_rules_changed(struct join *j);
void join_rules_gone(struct join *j, uint64_t since_ns);

/* Decides what can be decided, hands on starts and ends, lets time pass. All that was queued in
 * the kernel before the clock's instant must have gone in: packets, then trace, then conntrack. */
void join_settle(struct join *j);

/* When join_settle() has something to do even if nothing comes in; UINT64_MAX: never. */
uint64_t join_next_ns(const struct join *j);

/* Decides everything that is still held; hands what is open to config.open. packets_follow: they go
 * on to queue, for somebody else, so that a connect without one says nothing. */
void join_finish(struct join *j, bool packets_follow);

/* Text of a flow's log prefix, "" none, and the number for a text; pids that share its socket, NULL
 * none. */
const char *join_prefix(const struct join *j, const struct flow *f);
uint8_t join_prefix_number(struct join *j, const char *prefix);
const uint32_t *join_shared_with(const struct join *j, const struct flow *f, unsigned int *count);

/* Between the parts of the join: whether conntrack had a word on this tuple since then, or on one
 * that shares its place; the instant after which every packet that is read now was sent;
 * whether packets sent a while ago are not read yet, or a CPU's next record has to tell whether
 * connects are missing: that something has not come proves nothing now, and may soon; whether the
 * only connect with a packet's tuple is the packet's; whether the caller of `connect` can have sent
 * a packet that was logged at this hook (false if its network namespace is known to be the wrong
 * one); whether that is known to be ours; whether it was answered, or its socket closed, before a
 * packet can have been sent; whether it is another one's than the socket that was listed as
 * connecting (NULL: none was); whether the flow's SYN cannot be known by its number. */
bool join_confirmed_since(const struct join *j, const struct tuple *tuple, uint64_t since_ns);
uint64_t join_sent_after(const struct join *j);
bool join_is_behind(const struct join *j);
bool join_surely_first(struct join *j, struct flow *connect, uint8_t hook, uint64_t sent_after_ns);
bool join_may_send(struct join *j, const struct flow *connect, uint8_t hook);
bool join_surely_from_here(const struct join *j, const struct flow *connect);
bool join_was_over(const struct flow *connect, uint64_t sent_after_ns);
bool join_is_another(const struct flow *earlier, const struct flow *connect);
bool join_lacks_number(const struct flow *f);

/* Gives `f` what `connect` has witnessed and frees `connect`; makes room for one more flow; frees
 * one; keeps the list of those who share its socket, and drops it; lets go of what is missed
 * least. */
void join_absorb(struct join *j, struct flow *f, struct flow *connect);
struct flow *join_flow_new(struct join *j);
void join_flow_free(struct join *j, struct flow *f);
void join_remember_holders(struct join *j, struct flow *f, const struct owner_query *query);
void join_forget_holders(struct join *j, struct flow *f);
void join_evict(struct join *j);

/* Has the flow looked at when the batch is complete; whether its socket still stands, connected or
 * connecting (false for what has none here; `unknown` where it cannot be asked); whether its
 * protocol is logged; whether a filter leaves it out; its end, with what is known now. */
void join_look_later(struct join *j, struct flow *f);
bool join_lives(struct join *j, const struct flow *f, bool unknown);
bool join_is_logged(const struct join *j, uint8_t protocol);
bool join_filtered(const struct join *j, const struct flow *f);
void join_end(struct join *j, struct flow *f);

#endif
