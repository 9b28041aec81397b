/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NFWHO_RECORD_H
#define NFWHO_RECORD_H

#include "flow.h"
#include "host.h"
#include "ledger.h"

/* One JSON object per record, as RECORDS.md promises: valid UTF-8 whatever a process calls itself,
 * exact integers, one line, at most RECORD_MAX bytes with its newline. */

#define RECORD_MAX 8000

enum record_command_line {
	RECORD_COMMAND_REDACT,	/* values that look like secrets are replaced */
	RECORD_COMMAND_FULL,
	RECORD_COMMAND_PROGRAM,	/* the first argument alone */
	RECORD_COMMAND_NONE,
};

enum record_action {
	RECORD_CONNECTION_ATTEMPTED,
	RECORD_CONNECTION_ENDED,
	RECORD_CONNECTION_OPEN,		/* --final: still open at exit */
};

struct record_label {
	const char *key, *value;
};

struct record_config {
	const struct host *host;		/* borrowed */
	const char *version;			/* agent.version */
	enum record_command_line command_line;
	const struct record_label *labels;	/* borrowed */
	unsigned int label_count;
	const char *const *tags;		/* borrowed, may be NULL */
	unsigned int tag_count;
};

/* What a record needs beside the flow. Wall times are as the clock was when the batch was read. */
struct record_context {
	uint64_t now_real_ns;		/* event.created */
	uint64_t now_ns;		/* the same instant, CLOCK_MONOTONIC */
	const char *prefix;		/* rule.name; "" none */
	const char *interface_out;	/* "" unknown */
	const char *cgroup_path;	/* under OWNER_CGROUP: what the cgroup id means; "" unknown */
	const char *thread_name;	/* "" unknown */
	const uint32_t *holders;	/* pids that share the socket; NULL if one or none */
	unsigned int holder_count;
	bool midstream;
};

struct record;

int record_new(struct record **out, const struct record_config *config);
void record_free(struct record *r);

/* Prints one connection record, newline and NUL included in `size`. Takes the next event.sequence.
 * Returns the length without NUL, or -ENOSPC. */
int record_connection(struct record *r, enum record_action action, const struct flow *flow,
		      const struct record_context *context, char *buf, size_t size);

struct record_sink {
	const char *target;
	uint64_t written, dropped, queued, bytes;
};

int record_ledger(struct record *r, const struct ledger *ledger, const struct record_sink *sinks,
		  unsigned int sink_count, uint64_t now_real_ns, char *buf, size_t size);

struct record_gap {
	uint64_t from_real_ns, to_real_ns;	/* to 0: still missing */
	const char *what;			/* "table removed", "rule altered", "group unbound" */
	uint32_t pid;				/* who changed the ruleset; 0 unknown */
	const char *program;			/* "" unknown */
	bool restored;
};

int record_ruleset_gap(struct record *r, const struct record_gap *gap, uint64_t now_real_ns,
		       char *buf, size_t size);

/* The same connection as one aligned line for people (format=text). Control characters are
 * escaped. colour: ANSI sequences of our own. */
int record_text(struct record *r, enum record_action action, const struct flow *flow,
		const struct record_context *context, bool colour, char *buf, size_t size);

/* Base names used in several places: Zeek's conn_state ("" unknown), reason and rung as written. */
const char *record_conn_state(const struct flow *flow);
const char *record_reason(enum flow_reason reason);
const char *record_rung(enum owner_rung rung);

#endif
