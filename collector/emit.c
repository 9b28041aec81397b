// SPDX-License-Identifier: GPL-2.0-or-later
#include "emit.h"
#include "capture.h"
#include "log.h"
#include "passwd.h"
#include "ulogd.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define SINKS_MAX OPTIONS_OUTPUTS_MAX

/* Only while the pid is still this program's; the first thread's name the record knows itself. */
static const char *thread_name(struct collector *c, const struct process *p, uint32_t tid)
{
	if (tid == p->pid || process_get(c->processes, p->pid) != p)
		return "";
	return process_thread_name(c->processes, p->pid, tid);
}

static void fill_context(struct collector *c, const struct flow *f, struct record_context *context)
{
	*context = (struct record_context) {
		.now_real_ns = c->join.now_real_ns,
		.now_ns = c->join.now_ns,
		.prefix = join_prefix(&c->join, f),
		.interface_out = ifname_get(&c->ifnames, f->ifindex_out, c->join.now_ns),
		.cgroup_path = "",
		.thread_name = "",
	};
	if (f->owner == OWNER_CGROUP && f->cgroup_id)
		context->cgroup_path = owner_cgroup_path(c->owner, f->cgroup_id);
	if (f->owner == OWNER_TRACE && f->process && f->tid)
		context->thread_name = thread_name(c, f->process, f->tid);
	context->holders = join_shared_with(&c->join, f, &context->holder_count);
}

/* A record that could not be made is dropped, and counted where it would have gone. */
static void hand_on(struct collector *c, enum output_format format, const char *line, int len)
{
	if (len > 0)
		sinks_write(c->sinks, format, line, (size_t)len);
	else
		sinks_lose(c->sinks, format);
}

static void emit(struct collector *c, enum record_action action, const struct flow *f)
{
	unsigned int formats = sinks_formats(c->sinks);
	struct record_context context;
	char line[RECORD_MAX + 1];
	int len;

	/* Of what is open ulogd2's form has no record: this would be one more packet. */
	if (action == RECORD_CONNECTION_OPEN)
		formats &= ~(1u << FORMAT_ULOGD);
	fill_context(c, f, &context);
	if (formats & 1u << FORMAT_ECS) {
		len = record_connection(c->record, action, f, &context, line, sizeof(line));
		hand_on(c, FORMAT_ECS, line, len);
	}
	if (formats & 1u << FORMAT_ULOGD) {
		len = record_ulogd(c->record, action, f, &context, line, sizeof(line));
		hand_on(c, FORMAT_ULOGD, line, len);
	}
	for (unsigned int text = FORMAT_TEXT; text <= FORMAT_COLOUR; text++) {
		if (!(formats & 1u << text))
			continue;
		len = record_text(c->record, action, f, &context, text == FORMAT_COLOUR, line,
				  sizeof(line));
		hand_on(c, text, line, len);
	}
	c->ledger.written++;
}

static const char *program(const struct process *p)
{
	if (p->known & PROCESS_EXECUTABLE)
		return p->executable;
	return p->known & PROCESS_COMM ? p->comm : NULL;
}

/* Connections that no packet told of (unsent) have none to hand on. */
static void emit_packet(struct collector *c, const struct flow *f)
{
	const struct captured *captured = capture_find(c->capture, &f->tuple);
	char frame[ULOGD_FRAME_MAX], in[IF_NAMESIZE], out[IF_NAMESIZE];
	struct ulogd_packet packet = {
		.prefix = join_prefix(&c->join, f),
		.in = in,
		.out = out,
		.time_s = (uint32_t)(f->start_real_ns / 1000000000),
		.uid = f->uid,
		.has_uid = f->seen & FLOW_UID,
	};
	int len;

	if (!(f->seen & FLOW_PACKET))
		return;
	if (!captured) {
		sinks_lose(c->sinks, FORMAT_PACKET);
		return;
	}
	packet.payload = captured->payload;
	packet.payload_len = captured->len;
	snprintf(in, sizeof(in), "%s",
		 ifname_get(&c->ifnames, captured->ifindex_in, c->join.now_ns));
	snprintf(out, sizeof(out), "%s",
		 ifname_get(&c->ifnames, captured->ifindex_out, c->join.now_ns));
	if (f->process && f->owner >= OWNER_SOCKET)
		packet.application = program(f->process);
	passwd_update(c->users, c->join.now_ns);
	if (packet.has_uid && !(f->process && f->process->foreign_userns))
		packet.user = passwd_name(c->users, f->uid);
	len = ulogd_frame(&packet, frame, sizeof(frame));
	hand_on(c, FORMAT_PACKET, frame, len);
}

bool emit_start(struct flow *f, void *data)
{
	struct collector *c = data;

	/* To be remembered: at its end, or in a summary, it may be gone. */
	if (f->owner == OWNER_CGROUP && f->cgroup_id)
		owner_cgroup_path(c->owner, f->cgroup_id);
	if (!limit_start(c->limit, f, c->join.now_ns))
		return false;
	if (c->options->events_start)
		emit(c, RECORD_CONNECTION_ATTEMPTED, f);
	if (c->capture)
		emit_packet(c, f);
	return true;
}

void emit_end(struct flow *f, void *data)
{
	struct collector *c = data;

	metrics_end(&c->metrics, f);
	if (f->seen & FLOW_SUPPRESSED)
		limit_end(c->limit, f, c->join.now_ns);
	else if (c->options->events_end)
		emit(c, RECORD_CONNECTION_ENDED, f);
}

void emit_open(struct flow *f, void *data)
{
	struct collector *c = data;

	if (c->options->final && !(f->seen & FLOW_SUPPRESSED))
		emit(c, RECORD_CONNECTION_OPEN, f);
}

static void emit_summary(struct record_suppressed *s, void *data)
{
	struct collector *c = data;
	unsigned int formats = sinks_formats(c->sinks);
	char line[RECORD_MAX + 1];
	int len;

	if (s->cgroup_id)
		s->cgroup_path = owner_cgroup_path(c->owner, s->cgroup_id);
	if (formats & 1u << FORMAT_ECS) {
		len = record_suppressed(c->record, s, c->join.now_real_ns, line, sizeof(line));
		hand_on(c, FORMAT_ECS, line, len);
	}
	for (unsigned int text = FORMAT_TEXT; text <= FORMAT_COLOUR; text++) {
		if (!(formats & 1u << text))
			continue;
		len = record_suppressed_text(c->record, s, c->join.now_ns, text == FORMAT_COLOUR,
					     line, sizeof(line));
		hand_on(c, text, line, len);
	}
}

void emit_summaries(struct collector *c)
{
	collector_read_clocks(c);
	limit_tell(c->limit, c->join.now_real_ns, emit_summary, c);
}

static void emit_metrics(struct collector *c, const struct record_sink *sinks, unsigned int count)
{
	struct metrics_view view = {
		.version = NFWHO_VERSION,
		.ledger = &c->ledger,
		.sinks = sinks,
		.sink_count = count,
		.flows = flow_count(c->flows),
	};
	int err = metrics_write(&c->metrics, &view);

	if (err < 0)
		log_warning("--metrics %s: %s; it is tried again with each ledger",
			    c->options->metrics, strerror(-err));
}

/* For those who do not read the ledger, and for formats that have none: once for each. */
static void say_losses(struct collector *c)
{
	const struct ledger *now = &c->ledger, *said = &c->said;
	uint64_t packets = now->sequence_gap + now->lost_tail - said->sequence_gap -
			   said->lost_tail;
	uint64_t connects = now->trace_lost - said->trace_lost;
	uint64_t messages = now->conntrack_lost - said->conntrack_lost;

	if (packets || connects || messages)
		log_warning("lost since this was last said: %" PRIu64 " packets, %" PRIu64
			    " records of the trace, %" PRIu64 " of conntrack's messages", packets,
			    connects, messages);
	c->said = *now;
	sinks_say_dropped(c->sinks);
}

void emit_ledger(struct collector *c)
{
	struct record_sink sinks[SINKS_MAX];
	unsigned int count = sinks_report(c->sinks, sinks, SINKS_MAX);
	char line[RECORD_MAX + 1];
	int len = record_ledger(c->record, &c->ledger, sinks, count, c->join.now_real_ns, line,
				sizeof(line));

	say_losses(c);
	hand_on(c, FORMAT_ECS, line, len);
	if (len > 0) {
		c->losses_told = c->ledger.sequence_gap + c->ledger.lost_tail;
		c->drops_told = c->ct ? ct_stats(c->ct)->dropped : 0;
	} else {
		log_warning("no memory for the ledger: its sums are in the next one");
	}
	emit_metrics(c, sinks, count);
}

void emit_gap(struct collector *c, const struct record_gap *gap)
{
	char line[RECORD_MAX + 1];
	int len = record_ruleset_gap(c->record, gap, c->join.now_real_ns, line, sizeof(line));

	hand_on(c, FORMAT_ECS, line, len);
}
