// SPDX-License-Identifier: GPL-2.0-or-later
#include "fate.h"

#include <errno.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_conntrack_tcp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define PACKET (FLOW_PACKET | FLOW_STARTED)
#define TRACED (PACKET | FLOW_CONNECT | FLOW_PORT)
#define CONFIRMED (FLOW_NEW | FLOW_CT_ID | FLOW_REPLY)
#define STATELESS (CONFIRMED | FLOW_DESTROY | FLOW_COUNTERS)
#define FORGOTTEN (STATELESS | FLOW_TCP_STATE)
#define CUT_OFF (TRACED | FLOW_ANSWERED | FLOW_CLOSED | FLOW_RST)

/* Everything that could speak against `blocked` is absent, and everything is read. */
#define OURS { .conntrack = true, .tracked = true, .errors_reported = true }

static const struct {
	const char *title;
	struct flow flow;
	struct fate_signs signs;
	enum flow_reason reason;
} fates[] = {
	{ "closed by both sides, as the trace says",
	  { .seen = TRACED | CONFIRMED | FLOW_ANSWERED | FLOW_CLOSED, .end_ns = 1 },
	  OURS, REASON_CLOSED },
	{ "reset, as the trace says",
	  { .seen = TRACED | CONFIRMED | FLOW_ANSWERED | FLOW_CLOSED | FLOW_RST, .end_ns = 1 },
	  OURS, REASON_RESET },
	{ "reset after the FIN, as conntrack says",
	  { .seen = TRACED | FORGOTTEN | FLOW_ANSWERED | FLOW_CLOSED, .end_ns = 1,
	    .tcp_state = TCP_CONNTRACK_CLOSE }, OURS, REASON_RESET },
	{ "given up by the socket, and conntrack has seen no RST",
	  { .seen = CUT_OFF | FORGOTTEN | FLOW_ERROR, .error = ETIMEDOUT, .end_ns = 1,
	    .tcp_state = TCP_CONNTRACK_ESTABLISHED }, OURS, REASON_EXPIRED },
	{ "the same after its FIN, of which nobody took notice",
	  { .seen = CUT_OFF | FORGOTTEN | FLOW_ERROR, .error = EHOSTUNREACH, .end_ns = 1,
	    .tcp_state = TCP_CONNTRACK_FIN_WAIT }, OURS, REASON_EXPIRED },
	{ "the same, without conntrack's last word: keepalive sends a RST",
	  { .seen = CUT_OFF | CONFIRMED | FLOW_ERROR, .error = ETIMEDOUT, .end_ns = 1 }, OURS,
	  REASON_NONE },
	{ "given up by keepalive, whose RST conntrack has seen",
	  { .seen = CUT_OFF | FORGOTTEN | FLOW_ERROR, .error = ETIMEDOUT, .end_ns = 1,
	    .tcp_state = TCP_CONNTRACK_CLOSE }, OURS, REASON_RESET },
	{ "gone after its FIN: given up without a report, or a RST that conntrack did not see",
	  { .seen = CUT_OFF | FORGOTTEN, .end_ns = 1, .tcp_state = TCP_CONNTRACK_FIN_WAIT }, OURS,
	  REASON_NONE },
	{ "the same, and the socket says that it was reset",
	  { .seen = CUT_OFF | FORGOTTEN | FLOW_ERROR, .error = ECONNRESET, .end_ns = 1,
	    .tcp_state = TCP_CONNTRACK_FIN_WAIT }, OURS, REASON_RESET },
	{ "gone after its FIN, and the entry had been removed by hand before",
	  { .seen = CUT_OFF | FORGOTTEN | FLOW_REMOVED, .end_ns = 1,
	    .tcp_state = TCP_CONNTRACK_FIN_WAIT }, OURS, REASON_RESET },
	{ "reset, and conntrack waits for the other side to object",
	  { .seen = CUT_OFF | FORGOTTEN, .end_ns = 1, .tcp_state = TCP_CONNTRACK_ESTABLISHED },
	  OURS, REASON_RESET },
	{ "closed, by conntrack alone",
	  { .seen = PACKET | FORGOTTEN, .ct_status = IPS_ASSURED | IPS_SEEN_REPLY,
	    .tcp_state = TCP_CONNTRACK_TIME_WAIT }, OURS, REASON_CLOSED },
	{ "idle for longer than conntrack remembers",
	  { .seen = PACKET | FORGOTTEN, .ct_status = IPS_ASSURED | IPS_SEEN_REPLY,
	    .tcp_state = TCP_CONNTRACK_ESTABLISHED }, OURS, REASON_EXPIRED },
	{ "refused, as the socket says",
	  { .seen = TRACED | CONFIRMED | FLOW_CLOSED | FLOW_ERROR, .error = ECONNREFUSED,
	    .end_ns = 1 }, OURS, REASON_REFUSED },
	{ "no route", { .seen = TRACED | CONFIRMED | FLOW_CLOSED | FLOW_ERROR,
	    .error = EHOSTUNREACH, .end_ns = 1 }, OURS, REASON_UNREACHABLE },
	{ "no answer, as the socket says",
	  { .seen = TRACED | CONFIRMED | FLOW_CLOSED | FLOW_ERROR, .error = ETIMEDOUT,
	    .end_ns = 1 }, OURS, REASON_TIMED_OUT },
	{ "given up by its process",
	  { .seen = TRACED | CONFIRMED | FLOW_CLOSED, .end_ns = 1 }, OURS, REASON_ABORTED },
	{ "given up, where no kernel reports errors",
	  { .seen = TRACED | CONFIRMED | FLOW_CLOSED, .end_ns = 1 },
	  { .conntrack = true, .tracked = true }, REASON_NONE },
	{ "gone in silence, having waited on after its last SYN",
	  { .seen = TRACED | CONFIRMED | FLOW_CLOSED, .syn_retransmits = 2, .waited = 2 }, OURS,
	  REASON_TIMED_OUT },
	{ "gone in silence, perhaps by an ICMP error in answer to the last",
	  { .seen = TRACED | CONFIRMED | FLOW_CLOSED, .syn_retransmits = 2, .waited = 1 }, OURS,
	  REASON_NONE },
	{ "forgotten by conntrack without an answer",
	  { .seen = PACKET | FORGOTTEN, .tcp_state = TCP_CONNTRACK_SYN_SENT,
	    .packets = { 3, 0 } }, OURS, REASON_TIMED_OUT },
	{ "the same, from a kernel that does not tell its state",
	  { .seen = PACKET | STATELESS, .packets = { 3, 0 } }, OURS, REASON_TIMED_OUT },
	{ "the same, and it did not count",
	  { .seen = PACKET | CONFIRMED | FLOW_DESTROY }, OURS, REASON_NONE },
	{ "refused, without a state: the RST is counted, but not seen",
	  { .seen = PACKET | STATELESS, .packets = { 1, 1 } }, OURS, REASON_REFUSED },
	{ "the same, and the trace knows that it is over",
	  { .seen = TRACED | STATELESS | FLOW_CLOSED, .packets = { 1, 1 }, .end_ns = 1 },
	  { .conntrack = true, .tracked = true }, REASON_REFUSED },
	{ "answered, but never established, without a state",
	  { .seen = PACKET | STATELESS, .packets = { 1, 1 }, .ct_status = IPS_SEEN_REPLY }, OURS,
	  REASON_NONE },
	{ "forgotten by conntrack, without a state",
	  { .seen = PACKET | STATELESS, .ct_status = IPS_ASSURED | IPS_SEEN_REPLY }, OURS,
	  REASON_NONE },
	{ "the same, and its socket is still open",
	  { .seen = TRACED | STATELESS, .ct_status = IPS_ASSURED | IPS_SEEN_REPLY },
	  { .conntrack = true, .tracked = true, .socket_open = true }, REASON_EXPIRED },
	{ "forgotten, but the entry was another use of the tuple's",
	  { .seen = PACKET | FLOW_DESTROY }, OURS, REASON_NONE },
	{ "no packet of it came", { .seen = FLOW_CONNECT | FLOW_PORT | FLOW_CLOSED, .end_ns = 1 },
	  OURS, REASON_UNSENT },
	{ "stopped on this host", { .seen = TRACED | FLOW_CLOSED, .end_ns = 1 }, OURS,
	  REASON_BLOCKED },
	{ "the same, and the packet came with the entry that it would have begun",
	  { .seen = TRACED | FLOW_CLOSED | FLOW_CT_ID, .ct_unconfirmed = true, .end_ns = 1 }, OURS,
	  REASON_BLOCKED },
	{ "rejected on this host: blocked wins over refused",
	  { .seen = TRACED | FLOW_CLOSED | FLOW_ERROR, .error = ECONNREFUSED, .end_ns = 1 },
	  OURS, REASON_BLOCKED },
};

static void each_sign_means_what_it_can_mean(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(fates) / sizeof(fates[0]); i++)
		if (fate_decide(&fates[i].flow, &fates[i].signs) != fates[i].reason)
			fail_msg("%s: %d, not %d", fates[i].title,
				 fate_decide(&fates[i].flow, &fates[i].signs), fates[i].reason);
}

/* A missing NEW proves nothing by itself: each of these alone takes the claim back. */
static void blocked_is_said_only_if_nothing_speaks_against_it(void **state)
{
	static const uint32_t excuses[] = {
		FLOW_NEW, FLOW_CT_ID, FLOW_DESTROY, FLOW_UNTRACKED, FLOW_CT_LOST, FLOW_LATE,
		FLOW_RESUMED, FLOW_ANSWERED,
	};
	const struct fate_signs ours = OURS;
	struct fate_signs signs;
	struct flow flow;

	(void)state;
	for (size_t i = 0; i < sizeof(excuses) / sizeof(excuses[0]); i++) {
		flow = (struct flow) { .seen = TRACED | FLOW_CLOSED | excuses[i], .end_ns = 1 };
		if (fate_decide(&flow, &ours) == REASON_BLOCKED)
			fail_msg("blocked in spite of %#x", excuses[i]);
	}
	flow = (struct flow) { .seen = TRACED, .end_ns = 1 };
	assert_int_not_equal(fate_decide(&flow, &ours), REASON_BLOCKED);
	flow.seen |= FLOW_CLOSED;
	assert_int_equal(fate_decide(&flow, &ours), REASON_BLOCKED);
	signs = ours, signs.entry_exists = true;
	assert_int_not_equal(fate_decide(&flow, &signs), REASON_BLOCKED);
	signs = ours, signs.conntrack = false;
	assert_int_not_equal(fate_decide(&flow, &signs), REASON_BLOCKED);
	signs = ours, signs.tracked = false;
	assert_int_not_equal(fate_decide(&flow, &signs), REASON_BLOCKED);
}

static void answered_is_what_either_witness_says(void **state)
{
	struct flow flow = { .seen = TRACED | CONFIRMED };

	(void)state;
	assert_false(fate_answered(&flow));
	flow.ct_status = IPS_SEEN_REPLY;
	assert_false(fate_answered(&flow));
	flow.ct_status |= IPS_ASSURED;
	assert_true(fate_answered(&flow));
	flow.ct_status = 0;
	flow.seen |= FLOW_ANSWERED;
	assert_true(fate_answered(&flow));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_sign_means_what_it_can_mean),
		cmocka_unit_test(blocked_is_said_only_if_nothing_speaks_against_it),
		cmocka_unit_test(answered_is_what_either_witness_says),
	};

	return cmocka_run_group_tests_name("fate", tests, NULL, NULL);
}
