/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NFWHO_LEDGER_H
#define NFWHO_LEDGER_H

#include "owner.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * The account of every packet the kernel meant to log. Sums since start. Two equations hold, at
 * exit exactly, before that up to what is still queued:
 *
 *	matched  = received + sequence_gap + lost_tail + limited
 *	received = started + suppressed + retransmits + midstream + filtered + undecodable
 *		 + evicted + pending
 */
struct ledger {
	uint64_t matched;	/* the rules' counters, less their value when we began */
	bool matched_known;
	bool matched_approximate;	/* a static rule counted while we were binding, or a table or
					 * its counters were made anew */
	uint64_t limited;	/* held back by an optional limit in the rule */
	uint64_t received, sequence_gap, enobufs;
	uint64_t lost_tail;	/* matched, not received, after the last number we saw (at exit); or
				 * received by a run that was killed, and not written */
	uint64_t filtered_by_rule;	/* left out by a filter in the rules. Not in `matched` */
	uint64_t undecodable, filtered, retransmits, midstream, evicted, pending;
	uint64_t started, suppressed;
	uint64_t ended, ends_uncertain;	/* uncertain: conntrack messages lost while it lived */
	uint64_t ends_evicted;	/* started or resumed, let go before their end: for want of room, or of
				 * anybody who would tell of it */
	uint64_t resumed;	/* open before this run: their ends are in `ended` */
	uint64_t written;	/* records of connections handed to the outputs */

	uint64_t trace_lost;	/* records lost by perf rings, connects given up for want of room */
	uint64_t trace_missed;	/* connects between the last run's trace and this one's */
	bool trace_missed_known;
	uint64_t trace_only;	/* connects seen that no packet followed, loopback left out too */
	uint64_t trace_filtered;	/* the same, left out by a filter. Not in `trace_only` */
	uint64_t unsent;	/* of those: written as unsent. Not in `started` */
	uint64_t unsent_suppressed;	/* of those: held back as unsent. Not in `suppressed` */
	uint64_t conntrack_lost;	/* messages dropped by the kernel, or unreadable */
	uint64_t conntrack_count, conntrack_max;
	bool conntrack_known;
	uint64_t owner[OWNER_TRACE + 1];	/* by enum owner_rung, of those started */
};

#endif
