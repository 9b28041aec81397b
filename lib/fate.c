// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Fate: the reason for which a connection ended, as nfwho(8) defines it, from what its socket,
 * conntrack and our own rule saw. Every rule is one that cannot be wrong if its signs are true;
 * where none applies the reason stays unknown.
 *
 * `blocked` rests on an absence, so it asks for the most. conntrack confirms an entry after
 * POSTROUTING and sends NEW: a packet that passed our hook and was never confirmed was stopped on
 * this host. But NEW is missing too when the same tuple has an entry already (an unanswered SYN is
 * remembered for two minutes), when the packet was not tracked, or when messages were lost.
 */
#include "fate.h"

#include <errno.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_conntrack_tcp.h>

bool fate_answered(const struct flow *f)
{
	if (f->seen & FLOW_ANSWERED)
		return true;
	return f->ct_status & IPS_ASSURED;
}

static bool was_blocked(const struct flow *f, const struct fate_signs *signs)
{
	const uint32_t excuses = FLOW_DESTROY | FLOW_UNTRACKED | FLOW_CT_LOST | FLOW_LATE |
				 FLOW_EARLIER | FLOW_RESUMED;

	return signs->conntrack && signs->tracked && !signs->entry_exists && !flow_has_entry(f) &&
	       (f->seen & (FLOW_PACKET | FLOW_CLOSED)) == (FLOW_PACKET | FLOW_CLOSED) &&
	       !(f->seen & excuses);
}

/* conntrack goes from SYN_SENT to CLOSE by RST only, and then deletes the entry without setting
 * IPS_SEEN_REPLY (nf_conntrack_tcp_packet). */
static bool was_reset(const struct flow *f)
{
	return f->seen & FLOW_TCP_STATE && f->tcp_state == TCP_CONNTRACK_CLOSE;
}

/* Linux 5.10 leaves the state out of conntrack's last word, 6.1 does not: then the RST is what was
 * counted but not seen. Any other reply is seen, or not counted. */
static bool only_reply_was_reset(const struct flow *f)
{
	return f->seen & FLOW_TCP_STATE ? was_reset(f) : !(f->ct_status & IPS_SEEN_REPLY);
}

/* RST in answer to the SYN: a reply was counted, and all that this side sent were SYNs. */
static bool was_refused(const struct flow *f)
{
	return f->seen & FLOW_DESTROY && f->seen & FLOW_COUNTERS && only_reply_was_reset(f) &&
	       f->packets[0] == 1u + f->syn_retransmits && f->packets[1] >= 1;
}

/* Neither a reply nor a RST. */
static bool was_unanswered(const struct flow *f)
{
	if (f->ct_status & IPS_SEEN_REPLY)
		return false;
	if (f->seen & FLOW_TCP_STATE)
		return !was_reset(f);
	return f->seen & FLOW_COUNTERS && f->packets[1] == 0;
}

/* The socket is gone and nobody said so: not closed by its process, whose own context is always
 * heard, but ended on a CPU that tells nothing while idle: by the timer, if it went on waiting
 * after its last SYN, or else by an ICMP error, or anything. */
static enum flow_reason vanished(const struct flow *f)
{
	return f->waited >= 2 ? REASON_TIMED_OUT : REASON_NONE;
}

static enum flow_reason failure(const struct flow *f, const struct fate_signs *signs)
{
	if (!(f->seen & (FLOW_PACKET | FLOW_RESUMED)))
		return REASON_UNSENT;
	if (was_blocked(f, signs))
		return REASON_BLOCKED;
	switch (f->seen & FLOW_ERROR ? f->error : 0) {
	case ECONNREFUSED:
		return REASON_REFUSED;
	case EHOSTUNREACH:
	case ENETUNREACH:
		return REASON_UNREACHABLE;
	case ETIMEDOUT:
		return REASON_TIMED_OUT;
	}
	if (was_refused(f))
		return REASON_REFUSED;
	if (f->seen & FLOW_CLOSED && f->seen & FLOW_CONNECT && signs->errors_reported &&
	    !(f->seen & FLOW_ERROR))
		return f->end_ns ? REASON_ABORTED : vanished(f);
	/* Of its own entry, not of one that it shared with another use of the tuple. */
	if (f->seen & FLOW_DESTROY && f->seen & FLOW_CT_ID &&
	    !(f->seen & (FLOW_CLOSED | FLOW_REMOVED | FLOW_CT_LOST)) && was_unanswered(f))
		return REASON_TIMED_OUT;
	return REASON_NONE;
}

/* The socket had waited long enough, perhaps after an ICMP error. No RST goes out then, but where
 * it was keepalive that waited: conntrack sees that one. */
static bool gave_up(const struct flow *f)
{
	if (!(f->seen & FLOW_ERROR))
		return false;
	return f->error == ETIMEDOUT || f->error == EHOSTUNREACH || f->error == ENETUNREACH;
}

/* As conntrack alone tells it. */
static enum flow_reason forgotten(const struct flow *f, const struct fate_signs *signs,
				  bool state_known)
{
	if (!state_known)
		return signs->socket_open ? REASON_EXPIRED : REASON_NONE;
	switch (f->tcp_state) {
	case TCP_CONNTRACK_LAST_ACK:
	case TCP_CONNTRACK_TIME_WAIT:
		return REASON_CLOSED;
	default:
		return f->seen & FLOW_REMOVED ? REASON_NONE : REASON_EXPIRED;
	}
}

/* The socket went without the FINs of both sides: by a RST, or it gave up, and then conntrack has
 * seen none. That it has not is no proof by itself: it keeps ESTABLISHED where the other side might
 * still object to the RST. In FIN_WAIT it takes any, but (before 6.3) that of this host's own
 * REJECT; and a socket that its process has closed gives up without an error report (6.11, and
 * stable kernels since). So that is left open. */
static enum flow_reason cut_off(const struct flow *f, const struct fate_signs *signs,
				bool state_known)
{
	if (gave_up(f))
		return forgotten(f, signs, state_known);
	if (state_known && f->tcp_state == TCP_CONNTRACK_FIN_WAIT &&
	    !(f->seen & (FLOW_ERROR | FLOW_REMOVED)))
		return REASON_NONE;
	return REASON_RESET;
}

static enum flow_reason success(const struct flow *f, const struct fate_signs *signs)
{
	bool state_known = f->seen & FLOW_TCP_STATE && f->seen & FLOW_DESTROY;

	if (state_known && f->tcp_state == TCP_CONNTRACK_CLOSE)
		return REASON_RESET;
	if (f->seen & FLOW_RST)
		return cut_off(f, signs, state_known);
	if (f->seen & FLOW_CLOSED)
		return REASON_CLOSED;
	return forgotten(f, signs, state_known);
}

enum flow_reason fate_decide(const struct flow *f, const struct fate_signs *signs)
{
	return fate_answered(f) ? success(f, signs) : failure(f, signs);
}
