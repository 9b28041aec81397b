// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Key names and their meaning as ulogd2's JSON output has them (checked against 2.0.8): those of
 * its NFLOG stack for a start, those of its NFCT stack for an end.
 */
#include "record_internal.h"

#include "utf8.h"

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <string.h>
#include <sys/socket.h>

#define TEXT_BYTES 4352
#define COMMAND_LINE_PRINTED_MAX 4000
#define EXECUTABLE_PRINTED_MAX 1000
#define PREFIX_BYTES 127
#define NAME_BYTES 15

/* NFCT_T_DESTROY as ulogd2 prints it. */
#define EVENT_DESTROY 4

static void add_text(struct json *j, const char *key, const char *text, size_t max)
{
	json_text(j, key, text, strnlen(text, max));
}

static void add_time(struct json *j, const char *seconds, const char *microseconds,
		     uint64_t real_ns)
{
	json_number(j, seconds, real_ns / 1000000000);
	json_number(j, microseconds, real_ns % 1000000000 / 1000);
}

/* With microseconds for packets, without for flows, and never a zone. */
static void add_timestamp(struct record *r, struct json *j, uint64_t real_ns, bool microseconds)
{
	char text[ISO8601_MAX];

	iso8601_format(&r->times, real_ns, text);
	text[microseconds ? strlen("2026-01-02T03:04:05.000006") :
	     strlen("2026-01-02T03:04:05")] = '\0';
	json_word(j, "timestamp", text);
	json_word(j, "dvc", "Netfilter");
}

static void add_addresses(struct json *j, const struct flow *flow)
{
	const struct tuple *t = &flow->tuple;
	char text[TUPLE_ADDRESS_MAX];

	if (record_source_known(flow))
		json_word(j, "src_ip", tuple_address(t->family, &t->src, text));
	json_word(j, "dest_ip", tuple_address(t->family, &t->dst, text));
}

static void add_packet(struct json *j, const struct flow *flow,
		       const struct record_context *context)
{
	const struct tuple *t = &flow->tuple;
	const char *prefix = context->prefix ? context->prefix : "";
	const char *out = context->interface_out ? context->interface_out : "";

	if (flow->seen & FLOW_PACKET) {
		add_text(j, "oob.prefix", prefix, PREFIX_BYTES);
		json_number(j, "oob.hook", flow->hook);
		json_number(j, "oob.mark", flow->mark);
		if (flow->ifindex_out)
			json_number(j, "oob.ifindex_out", flow->ifindex_out);
	}
	add_time(j, "oob.time.sec", "oob.time.usec", flow->start_real_ns);
	json_number(j, "oob.family", t->family);
	json_number(j, "oob.protocol", t->family == AF_INET ? ETH_P_IP : ETH_P_IPV6);
	if (flow->seen & FLOW_UID)
		json_number(j, "oob.uid", flow->uid);
	if (flow->seen & FLOW_GID)
		json_number(j, "oob.gid", flow->gid);
	json_number(j, "ip.protocol", t->protocol);
	if (record_has_ports(t)) {
		if (record_source_port_known(flow))
			json_number(j, "src_port", ntohs(t->sport));
		json_number(j, "dest_port", ntohs(t->dport));
	}
	if (t->protocol == IPPROTO_TCP && flow->seen & FLOW_PACKET) {
		json_number(j, "tcp.seq", flow->tcp_seq);
		json_number(j, "tcp.syn", 1);
		json_number(j, "tcp.ack", 0);
	}
	if (out[0])
		add_text(j, "oob.out", out, NAME_BYTES);
	add_addresses(j, flow);
}

static void add_reply(struct json *j, const struct flow *flow)
{
	const struct tuple *t = &flow->tuple;
	char text[TUPLE_ADDRESS_MAX];

	json_number(j, "reply.ip.protocol", t->protocol);
	if (record_has_ports(t)) {
		json_number(j, "reply.l4.sport", ntohs(flow->reply_sport));
		json_number(j, "reply.l4.dport", ntohs(flow->reply_dport));
	}
	json_word(j, "reply.ip.saddr.str", tuple_address(t->family, &flow->reply_src, text));
	json_word(j, "reply.ip.daddr.str", tuple_address(t->family, &flow->reply_dst, text));
}

static void add_flow(struct json *j, const struct flow *flow, uint64_t end_real_ns)
{
	const struct tuple *t = &flow->tuple;

	json_number(j, "orig.ip.protocol", t->protocol);
	if (record_has_ports(t)) {
		if (record_source_port_known(flow))
			json_number(j, "orig.l4.sport", ntohs(t->sport));
		json_number(j, "orig.l4.dport", ntohs(t->dport));
	}
	if (flow->seen & FLOW_REPLY)
		add_reply(j, flow);
	if (flow->seen & FLOW_COUNTERS) {
		json_number(j, "orig.raw.pktlen", flow->bytes[0]);
		json_number(j, "orig.raw.pktcount", flow->packets[0]);
		json_number(j, "reply.raw.pktlen", flow->bytes[1]);
		json_number(j, "reply.raw.pktcount", flow->packets[1]);
	}
	if (flow->seen & FLOW_CT_ID) {
		json_number(j, "ct.id", flow->ct_id);
		json_number(j, "ct.mark", flow->mark);
	}
	if (flow->seen & FLOW_DESTROY)
		json_number(j, "ct.event", EVENT_DESTROY);
	if (flow->start_real_ns)
		add_time(j, "flow.start.sec", "flow.start.usec", flow->start_real_ns);
	if (end_real_ns)
		add_time(j, "flow.end.sec", "flow.end.usec", end_real_ns);
	json_number(j, "oob.family", t->family);
	json_number(j, "oob.protocol", 0);
	add_addresses(j, flow);
}

static void add_fitted(struct json *j, const char *key, const char *bytes, size_t len, size_t max)
{
	char text[TEXT_BYTES];

	if (!len)
		return;
	utf8_clean(text, sizeof(text), bytes, len, NULL);
	json_fit(text, max);
	json_text(j, key, text, strlen(text));
}

static void add_owner(struct record *r, struct json *j, const struct flow *flow)
{
	const struct process *p = record_names_process(flow) ? flow->process : NULL;
	const char *name;
	bool cut = false;

	if (p) {
		json_number(j, "pid", p->pid);
		if (p->known & PROCESS_COMM)
			add_text(j, "comm", p->comm, NAME_BYTES);
		if (p->known & PROCESS_EXECUTABLE && p->executable)
			add_fitted(j, "exe", p->executable, strlen(p->executable),
				   EXECUTABLE_PRINTED_MAX);
		add_fitted(j, "cmdline", r->line, record_command_line(r, p, &cut),
			   COMMAND_LINE_PRINTED_MAX);
		if (p->known & PROCESS_PARENT && p->ppid)
			json_number(j, "ppid", p->ppid);
	}
	if (flow->seen & FLOW_UID) {
		json_number(j, "uid", flow->uid);
		name = record_user(r, p, flow->uid);
		if (name[0])
			json_text(j, "username", name, strlen(name));
	}
	name = r->config.host->name;
	if (name[0])
		json_text(j, "hostname", name, strlen(name));
}

int record_ulogd(struct record *r, enum record_action action, const struct flow *flow,
		 const struct record_context *context, char *buf, size_t size)
{
	uint64_t end_real_ns = record_end_real_ns(flow, context);
	struct json j;

	passwd_update(r->users, context->now_ns);
	json_init(&j, buf, size > RECORD_MAX + 1 ? RECORD_MAX + 1 : size);
	json_open(&j, NULL);
	if (action == RECORD_CONNECTION_ENDED) {
		add_timestamp(r, &j, end_real_ns ? end_real_ns : context->now_real_ns, false);
		add_flow(&j, flow, end_real_ns);
	} else {
		add_timestamp(r, &j, flow->start_real_ns, true);
		add_packet(&j, flow, context);
	}
	add_owner(r, &j, flow);
	json_close(&j);
	return json_finish(&j);
}
