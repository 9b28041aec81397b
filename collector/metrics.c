// SPDX-License-Identifier: GPL-2.0-or-later
#include "metrics.h"

#include "fate.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SECOND_NS 1000000000ull

/* From a neighbour in the rack to a SYN that was sent three times. */
static const struct {
	uint64_t ns;
	const char *seconds;
} bounds[METRICS_BUCKETS] = {
	{ 100000, "0.0001" }, { 500000, "0.0005" }, { 1000000, "0.001" }, { 5000000, "0.005" },
	{ 10000000, "0.01" }, { 50000000, "0.05" }, { 100000000, "0.1" }, { 500000000, "0.5" },
	{ 1000000000, "1" }, { 5000000000, "5" },
};

struct text {
	char *buf;
	size_t len;
};

__attribute__((format(printf, 2, 3)))
static void add(struct text *t, const char *format, ...)
{
	size_t room = METRICS_TEXT_MAX - t->len;
	va_list arguments;

	va_start(arguments, format);
	t->len += (size_t)vsnprintf(t->buf + t->len, room, format, arguments);
	va_end(arguments);
	if (t->len > METRICS_TEXT_MAX - 1)
		t->len = METRICS_TEXT_MAX;
}

static void add_head(struct text *t, const char *name, const char *type, const char *help)
{
	add(t, "# HELP nfwho_%s %s\n# TYPE nfwho_%s %s\n", name, help, name, type);
}

static void add_one(struct text *t, const char *name, const char *type, uint64_t value,
		    const char *help)
{
	add_head(t, name, type, help);
	add(t, "nfwho_%s %" PRIu64 "\n", name, value);
}

static void add_counter(struct text *t, const char *name, uint64_t value, const char *help)
{
	add_one(t, name, "counter", value, help);
}

static void add_gauge(struct text *t, const char *name, uint64_t value, const char *help)
{
	add_one(t, name, "gauge", value, help);
}

static void add_labelled(struct text *t, const char *name, const char *label, const char *of,
			 uint64_t value)
{
	add(t, "nfwho_%s{%s=\"%s\"} %" PRIu64 "\n", name, label, of, value);
}

static void add_packets(struct text *t, const struct ledger *l)
{
	if (l->matched_known)
		add_counter(t, "packets_matched_total", l->matched,
			    "Packets that the rules meant to log.");
	add_counter(t, "packets_limited_total", l->limited, "Held back by rule-limit.");
	add_counter(t, "packets_received_total", l->received, "Packets that arrived here.");
	add_counter(t, "packets_filtered_by_rule_total", l->filtered_by_rule,
		    "Left out by the part of the filters that stands in the rules.");
	add_head(t, "packets_lost_total", "counter", "Logged by the kernel, never received.");
	add_labelled(t, "packets_lost_total", "place", "sequence", l->sequence_gap);
	add_labelled(t, "packets_lost_total", "place", "tail", l->lost_tail);
	add_head(t, "packets_total", "counter", "What became of those received.");
	add_labelled(t, "packets_total", "result", "started", l->started);
	add_labelled(t, "packets_total", "result", "suppressed", l->suppressed);
	add_labelled(t, "packets_total", "result", "retransmitted", l->retransmits);
	add_labelled(t, "packets_total", "result", "midstream", l->midstream);
	add_labelled(t, "packets_total", "result", "filtered", l->filtered);
	add_labelled(t, "packets_total", "result", "undecodable", l->undecodable);
	add_labelled(t, "packets_total", "result", "evicted", l->evicted);
	add_gauge(t, "packets_pending", l->pending, "Received, not decided yet.");
	add_counter(t, "netlink_overruns_total", l->enobufs,
		    "Times that the kernel reported a full receive buffer.");
}

static void add_connections(struct text *t, const struct metrics *m, const struct ledger *l)
{
	static const char *const rungs[] = {
		[OWNER_NONE] = "none", [OWNER_KERNEL] = "kernel", [OWNER_UID] = "uid",
		[OWNER_CGROUP] = "cgroup", [OWNER_SOCKET] = "socket", [OWNER_TRACE] = "trace",
	};
	const char *reason;

	add_head(t, "connections_total", "counter",
		 "Connections started, by how their owner is known.");
	for (size_t i = OWNER_NONE; i < sizeof(rungs) / sizeof(rungs[0]); i++)
		add_labelled(t, "connections_total", "owner", rungs[i], l->owner[i]);
	add_head(t, "connections_ended_total", "counter", "Connections ended, by reason.");
	for (unsigned int i = 0; i < METRICS_REASONS; i++) {
		reason = record_reason((enum flow_reason)i);
		add_labelled(t, "connections_ended_total", "reason", *reason ? reason : "unknown",
			     m->ended[i]);
	}
	if (l->trace_missed_known)
		add_counter(t, "connects_missed_total", l->trace_missed,
			    "Connects between the last run's trace and this one's.");
	add_counter(t, "connects_without_packet_total", l->trace_only,
		    "Connects seen that no packet followed, loopback and other namespaces too.");
	add_counter(t, "connects_without_packet_filtered_total", l->trace_filtered,
		    "The same, left out by a filter.");
	add_counter(t, "connections_resumed_total", l->resumed,
		    "Connections that were open before the start, of which the end is told.");
	add_counter(t, "ends_evicted_total", l->ends_evicted,
		    "Ends given up for want of room, or of anybody who would tell.");
	add_counter(t, "ends_uncertain_total", l->ends_uncertain,
		    "Ends of connections while which conntrack messages were lost.");
}

static void add_latency(struct text *t, const struct metrics *m)
{
	static const char name[] = "connect_duration_seconds";
	uint64_t sum = 0;

	add_head(t, name, "histogram", "From connect to its answer, of connections that ended.");
	for (unsigned int i = 0; i < METRICS_BUCKETS; i++) {
		sum += m->connect[i];
		add(t, "nfwho_%s_bucket{le=\"%s\"} %" PRIu64 "\n", name, bounds[i].seconds, sum);
	}
	sum += m->connect[METRICS_BUCKETS];
	add(t, "nfwho_%s_bucket{le=\"+Inf\"} %" PRIu64 "\n", name, sum);
	add(t, "nfwho_%s_sum %llu.%09llu\n", name,
	    (unsigned long long)(m->connect_sum_ns / SECOND_NS),
	    (unsigned long long)(m->connect_sum_ns % SECOND_NS));
	add(t, "nfwho_%s_count %" PRIu64 "\n", name, sum);
}

/* A target may hold an address: outputs are told by their place in the configuration. */
static void add_outputs(struct text *t, const struct metrics_view *v)
{
	static const struct {
		const char *name, *type, *help;
		size_t at;
	} figures[] = {
		{ "output_records_total", "counter", "Records written to an output.",
		  offsetof(struct record_sink, written) },
		{ "output_dropped_total", "counter", "Records that an output had no room for.",
		  offsetof(struct record_sink, dropped) },
		{ "output_bytes_total", "counter", "Bytes written to an output.",
		  offsetof(struct record_sink, bytes) },
		{ "output_queue_records", "gauge", "Records that wait for an output.",
		  offsetof(struct record_sink, queued) },
	};

	for (size_t i = 0; i < sizeof(figures) / sizeof(figures[0]); i++) {
		add_head(t, figures[i].name, figures[i].type, figures[i].help);
		for (unsigned int j = 0; j < v->sink_count; j++) {
			const char *target = v->sinks[j].target;
			uint64_t value;

			memcpy(&value, (const char *)&v->sinks[j] + figures[i].at, sizeof(value));
			add(t, "nfwho_%s{output=\"%u\",kind=\"%.*s\"} %" PRIu64 "\n",
			    figures[i].name, j + 1, (int)strcspn(target, ":"), target, value);
		}
	}
}

static void add_sources(struct text *t, const struct metrics *m, const struct metrics_view *v)
{
	const struct ledger *l = v->ledger;

	add_counter(t, "trace_lost_total", l->trace_lost, "Records that trace rings lost, connects given up for want of room.");
	add_counter(t, "conntrack_lost_total", l->conntrack_lost,
		    "Messages of conntrack dropped by the kernel, or unreadable.");
	if (l->conntrack_known) {
		add_gauge(t, "conntrack_entries", l->conntrack_count, "Entries of conntrack.");
		add_gauge(t, "conntrack_entries_limit", l->conntrack_max,
			  "As many as there may be.");
	}
	add_gauge(t, "flows", v->flows, "Connections that are followed.");
	add_gauge(t, "start_time_seconds", m->start_real_ns / SECOND_NS,
		  "When this run began, in seconds since 1970.");
	add_head(t, "build_info", "gauge", "Always 1.");
	add_labelled(t, "build_info", "version", v->version, 1);
}

int metrics_print(const struct metrics *m, const struct metrics_view *view,
		  char text[static METRICS_TEXT_MAX])
{
	struct text t = { .buf = text };

	add_packets(&t, view->ledger);
	add_connections(&t, m, view->ledger);
	add_latency(&t, m);
	add_outputs(&t, view);
	add_sources(&t, m, view);
	return t.len < METRICS_TEXT_MAX ? (int)t.len : -ENOSPC;
}

int metrics_open(struct metrics *m, const char *path, uint64_t now_real_ns)
{
	const char *slash;
	char *copy;

	*m = (struct metrics) { .directory = -1, .start_real_ns = now_real_ns };
	if (!path)
		return 0;
	slash = strrchr(path, '/');
	copy = strdup(path);
	m->name = strdup(slash ? slash + 1 : path);
	if (!copy || !m->name || asprintf(&m->temporary, ".%s.new", m->name) < 0) {
		m->temporary = NULL;
		free(copy);
		return -ENOMEM;
	}
	m->directory = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	free(copy);
	if (m->directory < 0)
		return -errno;
	return *m->name ? 0 : -EISDIR;
}

void metrics_close(struct metrics *m)
{
	if (m->directory >= 0)
		close(m->directory);
	m->directory = -1;
	free(m->name);
	free(m->temporary);
	m->name = m->temporary = NULL;
}

void metrics_end(struct metrics *m, const struct flow *f)
{
	uint64_t connect_ns = f->answer_ns - f->start_ns;
	unsigned int i = 0;

	m->ended[f->reason < METRICS_REASONS ? f->reason : REASON_NONE]++;
	if (!f->start_ns || f->answer_ns < f->start_ns || !fate_answered(f))
		return;
	while (i < METRICS_BUCKETS && connect_ns > bounds[i].ns)
		i++;
	m->connect[i]++;
	m->connect_sum_ns += connect_ns;
}

/* Always a new file: one that lies there already may be somebody's trap. */
static int replace(struct metrics *m, const char *text, size_t len)
{
	int fd, err = 0;
	ssize_t n;

	if (unlinkat(m->directory, m->temporary, 0) < 0 && errno != ENOENT)
		return -errno;
	fd = openat(m->directory, m->temporary,
		    O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (fd < 0)
		return -errno;
	/* Whatever the umask: node_exporter is another user. */
	if (fchmod(fd, 0644) < 0)
		err = -errno;
	if (!err) {
		n = write(fd, text, len);
		err = n == (ssize_t)len ? 0 : n < 0 ? -errno : -ENOSPC;
	}
	close(fd);
	if (!err && renameat(m->directory, m->temporary, m->directory, m->name) < 0)
		err = -errno;
	if (err)
		unlinkat(m->directory, m->temporary, 0);
	return err;
}

int metrics_write(struct metrics *m, const struct metrics_view *view)
{
	char text[METRICS_TEXT_MAX];
	int len, err, before = m->error;

	if (m->directory < 0)
		return 0;
	len = metrics_print(m, view, text);
	err = len < 0 ? len : replace(m, text, (size_t)len);
	m->error = err;
	return err && err == before ? 1 : err;
}
