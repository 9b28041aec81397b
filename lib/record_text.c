// SPDX-License-Identifier: GPL-2.0-or-later
/* The aligned line for people: time, user, pid, program, source, destination, fate. */
#include "record_internal.h"

#include "utf8.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#define USER_COLUMN 10
#define PROGRAM_COLUMN 15
#define END_COLUMN 21
#define PROGRAM_BYTES 48

struct line {
	char *buf;
	size_t len, size;
	bool full, colour;
};

__attribute__((format(printf, 2, 3)))
static void add(struct line *l, const char *format, ...)
{
	va_list args;
	int n;

	if (l->full)
		return;
	va_start(args, format);
	n = vsnprintf(l->buf + l->len, l->size - l->len, format, args);
	va_end(args);
	l->full = n < 0 || (size_t)n >= l->size - l->len;
	if (!l->full)
		l->len += n;
}

static void paint(struct line *l, const char *sgr)
{
	if (l->colour)
		add(l, "\033[%sm", sgr);
}

/* Characters, not bytes, decide about the column; wide ones count as one. */
static void add_column(struct line *l, const char *text, int width)
{
	for (const char *c = text; *c; c++)
		width -= (*c & 0xc0) != 0x80;
	add(l, "%s%*s ", text, width > 0 ? width : 0, "");
}

/* The number where there is no name. */
static void add_user(struct line *l, const char *name, const char *number)
{
	char text[PROGRAM_BYTES];

	utf8_clean_text(text, sizeof(text), name, strlen(name), NULL);
	add_column(l, text[0] ? text : number, USER_COLUMN);
}

/* pid 0: no process, or several. program NULL: how the owner is known, instead. */
static void add_program(struct line *l, uint32_t pid, const char *program, uint8_t owner)
{
	char text[PROGRAM_BYTES];

	if (pid)
		add(l, "%7u ", pid);
	else
		add(l, "%7s ", "-");
	if (program)
		utf8_clean_text(text, sizeof(text), program, strlen(program), NULL);
	else
		snprintf(text, sizeof(text), "(%s)",
			 owner == OWNER_UNDECIDED ? "?" : record_rung(owner));
	paint(l, "1");
	add_column(l, text, PROGRAM_COLUMN);
	paint(l, "0");
}

static void add_owner(struct line *l, const struct record *r, const struct flow *flow)
{
	const struct process *p = record_names_process(flow) ? flow->process : NULL;
	const char *program = p ? record_program(p) : NULL, *name = "";
	char number[16] = "-";

	if (flow->seen & FLOW_UID || (p && p->known & PROCESS_IDS)) {
		uint32_t uid = flow->seen & FLOW_UID ? flow->uid : p->uid;

		snprintf(number, sizeof(number), "%u", uid);
		name = record_user(r, p, uid);
	}
	add_user(l, name, number);
	if (p && !program && p->known & PROCESS_COMM)
		program = p->comm;
	add_program(l, p ? p->pid : 0, program, flow->owner);
}

static void add_end(struct line *l, uint8_t family, const union address *address, be16 port,
		    bool port_known)
{
	char text[TUPLE_ADDRESS_MAX], end[TUPLE_ADDRESS_MAX + 8];

	tuple_address(family, address, text);
	if (!port_known)
		snprintf(end, sizeof(end), "%s", text);
	else
		snprintf(end, sizeof(end), family == AF_INET6 ? "[%s]:%u" : "%s:%u", text,
			 ntohs(port));
	add_column(l, end, END_COLUMN);
}

static void add_duration(struct line *l, uint64_t ns)
{
	if (ns < 1000000)
		add(l, " %u us", (unsigned int)(ns / 1000));
	else if (ns < 1000000000)
		add(l, " %u ms", (unsigned int)(ns / 1000000));
	else
		add(l, " %llu.%u s", (unsigned long long)(ns / 1000000000),
		    (unsigned int)(ns / 100000000 % 10));
}

static void add_fate(struct line *l, enum record_action action, const struct flow *flow)
{
	const char *outcome = record_outcome(flow);

	if (action != RECORD_CONNECTION_ENDED) {
		add(l, action == RECORD_CONNECTION_OPEN ? "open" : "start");
		return;
	}
	paint(l, outcome && strcmp(outcome, "failure") == 0 ? "31" : "32");
	add(l, "%s", flow->reason != REASON_NONE ? record_reason(flow->reason) : "ended");
	paint(l, "0");
	if (flow->seen & FLOW_COUNTERS)
		add(l, " %llu/%llu B", (unsigned long long)flow->bytes[0],
		    (unsigned long long)flow->bytes[1]);
	if (record_lasted(flow))
		add_duration(l, flow->end_ns - flow->start_ns);
}

int record_text(struct record *r, enum record_action action, const struct flow *flow,
		const struct record_context *context, bool colour, char *buf, size_t size)
{
	struct line l = { .buf = buf, .size = size, .colour = colour };
	uint64_t real_ns = flow->start_real_ns;
	char time[ISO8601_MAX];

	passwd_update(r->users, context->now_ns);
	if (action == RECORD_CONNECTION_ENDED)
		real_ns = record_end_real_ns(flow, context);
	iso8601_format(&r->times, real_ns ? real_ns : context->now_real_ns, time);
	add(&l, "%.10s %.12s ", time, time + 11);
	add_owner(&l, r, flow);
	add_end(&l, flow->tuple.family, &flow->tuple.src, flow->tuple.sport,
		record_has_ports(&flow->tuple) && record_source_port_known(flow));
	add(&l, "-> ");
	add_end(&l, flow->tuple.family, &flow->tuple.dst, flow->tuple.dport,
		record_has_ports(&flow->tuple));
	add_fate(&l, action, flow);
	add(&l, "\n");
	return l.full ? -ENOSPC : (int)l.len;
}

int record_suppressed_text(struct record *r, const struct record_suppressed *s, uint64_t now_ns,
			   bool colour, char *buf, size_t size)
{
	struct line l = { .buf = buf, .size = size, .colour = colour };
	const char *program = record_held_back_program(s), *name = "";
	char text[RECORD_HELD_BACK_MAX], time[ISO8601_MAX], number[16] = "-";

	passwd_update(r->users, now_ns);
	iso8601_format(&r->times, s->interval_end_real_ns, time);
	add(&l, "%.10s %.12s ", time, time + 11);
	if (s->has_uid) {
		snprintf(number, sizeof(number), "%u", s->uid);
		name = s->foreign_userns ? "" : passwd_name(r->users, s->uid);
	}
	add_user(&l, name, number);
	add_program(&l, s->process ? s->process->pid : 0, program, s->owner);
	paint(&l, "33");
	record_held_back(s, text);
	add(&l, "%s", text);
	paint(&l, "0");
	add(&l, "\n");
	return l.full ? -ENOSPC : (int)l.len;
}
