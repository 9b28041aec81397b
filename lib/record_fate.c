// SPDX-License-Identifier: GPL-2.0-or-later
#include "record_internal.h"

#include <errno.h>
#include <linux/netfilter/nf_conntrack_tcp.h>
#include <string.h>
#include <sys/socket.h>

const char *record_reason(enum flow_reason reason)
{
	static const char *const names[] = {
		[REASON_NONE] = "", [REASON_CLOSED] = "closed", [REASON_RESET] = "reset",
		[REASON_EXPIRED] = "expired", [REASON_REFUSED] = "refused",
		[REASON_UNREACHABLE] = "unreachable", [REASON_TIMED_OUT] = "timed_out",
		[REASON_BLOCKED] = "blocked", [REASON_UNSENT] = "unsent",
		[REASON_ABORTED] = "aborted",
	};

	return (size_t)reason < sizeof(names) / sizeof(names[0]) ? names[reason] : "";
}

const char *record_rung(enum owner_rung rung)
{
	static const char *const names[] = {
		[OWNER_UNDECIDED] = "", [OWNER_NONE] = "none", [OWNER_KERNEL] = "kernel",
		[OWNER_UID] = "uid", [OWNER_CGROUP] = "cgroup", [OWNER_SOCKET] = "socket",
		[OWNER_TRACE] = "trace",
	};

	return (size_t)rung < sizeof(names) / sizeof(names[0]) ? names[rung] : "";
}

const char *record_outcome(const struct flow *flow)
{
	switch ((enum flow_reason)flow->reason) {
	case REASON_CLOSED:
	case REASON_RESET:
	case REASON_EXPIRED:
		return "success";
	case REASON_REFUSED:
	case REASON_UNREACHABLE:
	case REASON_TIMED_OUT:
	case REASON_BLOCKED:
	case REASON_UNSENT:
	case REASON_ABORTED:
		return "failure";
	case REASON_NONE:
		break;
	}
	return flow->seen & FLOW_ANSWERED ? "success" : NULL;
}

/* Established, and one side has said FIN while the other has not. */
static bool half_closed(const struct flow *flow)
{
	return flow->seen & FLOW_TCP_STATE && (flow->tcp_state == TCP_CONNTRACK_FIN_WAIT ||
					       flow->tcp_state == TCP_CONNTRACK_CLOSE_WAIT);
}

static const char *answered_state(const struct flow *flow)
{
	if (flow->seen & FLOW_RST || flow->reason == REASON_RESET) {
		/* conntrack does not say whose RST it was; the socket's error does. */
		if (flow->seen & FLOW_ERROR && flow->error == ECONNRESET)
			return "RSTR";
		return "";
	}
	if (flow->reason == REASON_CLOSED)
		return "SF";
	if (half_closed(flow))
		return flow->seen & FLOW_PEER_CLOSED ? "S3" :
		       flow->seen & FLOW_CLOSED ? "S2" : "";
	/* Over, and nobody told how. */
	return flow->reason == REASON_NONE && flow->seen & FLOW_DESTROY ? "" : "S1";
}

const char *record_conn_state(const struct flow *flow)
{
	if (flow->seen & FLOW_ANSWERED || flow->reason == REASON_CLOSED ||
	    flow->reason == REASON_RESET) {
		if (flow->tuple.protocol == IPPROTO_TCP)
			return answered_state(flow);
		return "SF";
	}
	switch ((enum flow_reason)flow->reason) {
	case REASON_REFUSED:
		return "REJ";
	case REASON_BLOCKED:
	case REASON_UNSENT:
		/* Nothing went out: there was no connection on the wire. */
		return "";
	case REASON_EXPIRED:
		return "";
	default:
		return "S0";
	}
}

bool record_names_process(const struct flow *flow)
{
	return flow->process && (flow->owner == OWNER_TRACE || flow->owner == OWNER_SOCKET);
}

const char *record_transport(uint8_t protocol)
{
	switch (protocol) {
	case IPPROTO_TCP:
		return "tcp";
	case IPPROTO_UDP:
		return "udp";
	case IPPROTO_ICMP:
		return "icmp";
	case IPPROTO_ICMPV6:
		return "ipv6-icmp";
	case IPPROTO_SCTP:
		return "sctp";
	case IPPROTO_DCCP:
		return "dccp";
	case IPPROTO_UDPLITE:
		return "udplite";
	case IPPROTO_GRE:
		return "gre";
	case IPPROTO_ESP:
		return "esp";
	default:
		return NULL;
	}
}

bool record_has_ports(const struct tuple *t)
{
	switch (t->protocol) {
	case IPPROTO_TCP:
	case IPPROTO_UDP:
	case IPPROTO_SCTP:
	case IPPROTO_DCCP:
	case IPPROTO_UDPLITE:
		return t->sport || t->dport;	/* both 0: not captured */
	default:
		return false;
	}
}

bool record_source_known(const struct flow *flow)
{
	static const union address none;

	return memcmp(&flow->tuple.src, &none, sizeof(none)) != 0;
}

bool record_source_port_known(const struct flow *flow)
{
	return flow->seen & (FLOW_PACKET | FLOW_PORT | FLOW_NEW | FLOW_DESTROY);
}

uint64_t record_end_real_ns(const struct flow *flow, const struct record_context *context)
{
	uint64_t ago_ns = context->now_ns - flow->end_ns;

	if (!flow->end_ns || flow->end_ns > context->now_ns || ago_ns > context->now_real_ns)
		return 0;
	return context->now_real_ns - ago_ns;
}

bool record_lasted(const struct flow *flow)
{
	return flow->start_ns && flow->start_real_ns && flow->end_ns &&
	       flow->end_ns >= flow->start_ns && !(flow->seen & FLOW_LATE);
}
