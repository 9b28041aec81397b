// SPDX-License-Identifier: GPL-2.0-or-later
/* The ends of a connection as its record shows them. */
#include "record_view.h"

#include "community.h"

#include <arpa/inet.h>
#include <linux/netfilter.h>
#include <string.h>
#include <sys/socket.h>

void view_init(struct view *v, const struct record *r, enum record_action action,
	       const struct flow *flow, const struct record_context *context)
{
	const struct tuple *t = &flow->tuple;

	memset(v, 0, sizeof(*v));
	v->flow = flow;
	v->context = context;
	v->action = action;
	v->process = record_names_process(flow) ? flow->process : NULL;
	v->ports = record_has_ports(t);
	v->source_port = v->ports && record_source_port_known(flow);
	v->source = record_source_known(flow);
	tuple_address(t->family, &t->src, v->src);
	tuple_address(t->family, &t->dst, v->dst);
	v->user = view_has(v, FLOW_UID) ? record_user(r, v->process, flow->uid) : "";
	v->end_real_ns = record_end_real_ns(flow, context);
	if (!view_has(v, FLOW_REPLY))
		return;
	if (memcmp(&flow->reply_dst, &t->src, sizeof(t->src)) != 0 ||
	    (v->ports && flow->reply_dport != t->sport))
		tuple_address(t->family, &flow->reply_dst, v->nat_src);
	if (memcmp(&flow->reply_src, &t->dst, sizeof(t->dst)) != 0 ||
	    (v->ports && flow->reply_sport != t->dport))
		tuple_address(t->family, &flow->reply_src, v->nat_dst);
}

static void add_nat(struct json *j, const char *address, be16 port, bool ports)
{
	if (!address[0])
		return;
	json_open(j, "nat");
	json_word(j, "ip", address);
	if (ports)
		json_number(j, "port", ntohs(port));
	json_close(j);
}

/* Only an end's counters are final, and a start must not differ from its end by half of them. */
static bool counters(const struct view *v)
{
	return v->action != RECORD_CONNECTION_ATTEMPTED && view_has(v, FLOW_COUNTERS);
}

static void add_counters(struct json *j, const struct view *v, unsigned int direction)
{
	if (!counters(v))
		return;
	json_number(j, "bytes", v->flow->bytes[direction]);
	json_number(j, "packets", v->flow->packets[direction]);
}

void view_add_ends(struct json *j, const struct view *v)
{
	const struct flow *flow = v->flow;

	json_open(j, "source");
	if (v->source)
		json_word(j, "ip", v->src);
	if (v->source_port)
		json_number(j, "port", ntohs(flow->tuple.sport));
	add_counters(j, v, 0);
	add_nat(j, v->nat_src, flow->reply_dport, v->ports);
	json_close(j);
	json_open(j, "destination");
	json_word(j, "ip", v->dst);
	if (v->ports)
		json_number(j, "port", ntohs(flow->tuple.dport));
	add_counters(j, v, 1);
	add_nat(j, v->nat_dst, flow->reply_sport, v->ports);
	json_close(j);
}

/* The hook speaks where it was the packet that told us of the flow; NULL: it does not decide. */
static const char *direction(const struct view *v)
{
	if (view_has(v, FLOW_INGRESS))
		return "ingress";
	if (v->process || !view_has(v, FLOW_PACKET) || v->flow->hook == NF_INET_LOCAL_OUT ||
	    v->flow->hook == NF_INET_POST_ROUTING)
		return "egress";
	return v->flow->hook == NF_INET_LOCAL_IN ? "ingress" : NULL;
}

void view_add_network(struct json *j, const struct view *v)
{
	const struct tuple *t = &v->flow->tuple;
	const char *transport = record_transport(t->protocol);
	char id[COMMUNITY_ID_MAX];

	json_open(j, "network");
	json_word(j, "type", t->family == AF_INET ? "ipv4" : "ipv6");
	if (transport)
		json_word(j, "transport", transport);
	json_id(j, "iana_number", t->protocol);
	if (direction(v))
		json_word(j, "direction", direction(v));
	if (v->source && (!v->ports || v->source_port)) {
		community_id(t, 0, id);
		json_word(j, "community_id", id);
	}
	if (counters(v)) {
		json_number(j, "bytes", v->flow->bytes[0] + v->flow->bytes[1]);
		json_number(j, "packets", v->flow->packets[0] + v->flow->packets[1]);
	}
	json_close(j);
}

static void add_once(struct json *j, const char *const *values, unsigned int count)
{
	unsigned int i, k;

	for (i = 0; i < count; i++) {
		for (k = 0; k < i && strcmp(values[k], values[i]) != 0; k++)
			;
		if (k == i && values[i][0])
			json_text(j, NULL, values[i], strlen(values[i]));
	}
}

void view_add_related(struct record *r, struct json *j, const struct view *v)
{
	const struct process *p = v->process;
	const char *ips[] = { v->source ? v->src : "", v->dst, v->nat_src, v->nat_dst };
	const char *users[] = { v->user, "", "", "" };
	unsigned int known = v->user[0] != '\0';

	if (p && p->known & PROCESS_IDS) {
		users[1] = record_user(r, p, p->uid);
		users[2] = record_user(r, p, p->ruid);
	}
	if (p && p->known & PROCESS_LOGIN)
		users[3] = record_user(r, p, p->login_uid);
	for (unsigned int i = 1; i < 4; i++)
		known += users[i][0] != '\0';
	json_open(j, "related");
	json_open_array(j, "ip");
	add_once(j, ips, 4);
	json_close_array(j);
	if (known) {
		json_open_array(j, "user");
		add_once(j, users, 4);
		json_close_array(j);
	}
	json_close(j);
}
