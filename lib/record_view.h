/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NFWHO_RECORD_VIEW_H
#define NFWHO_RECORD_VIEW_H

#include "record_internal.h"

/* A connection's values that several members repeat, made once. Everything is borrowed: valid as
 * long as flow and context are, and until the next passwd_update(). */
struct view {
	const struct flow *flow;
	const struct record_context *context;
	const struct process *process;	/* NULL: not to be named */
	enum record_action action;
	char src[TUPLE_ADDRESS_MAX], dst[TUPLE_ADDRESS_MAX];
	char nat_src[TUPLE_ADDRESS_MAX], nat_dst[TUPLE_ADDRESS_MAX];	/* "": no NAT known */
	const char *user;		/* of the socket; "" unknown */
	bool ports;			/* the tuple has them; ICMP's id and type are none */
	bool source_port, source;	/* the source's port, its address are known */
	uint64_t end_real_ns;		/* 0 unknown */
};

static inline bool view_has(const struct view *v, enum flow_seen what)
{
	return v->flow->seen & what;
}

void view_init(struct view *v, const struct record *r, enum record_action action,
	       const struct flow *flow, const struct record_context *context);

/* source, destination */
void view_add_ends(struct json *j, const struct view *v);

/* network */
void view_add_network(struct json *j, const struct view *v);

/* related: every address and user name that stands elsewhere in the record, once */
void view_add_related(struct record *r, struct json *j, const struct view *v);

#endif
