/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NFWHO_RECORD_H
#define NFWHO_RECORD_H

#include "flow.h"
#include "host.h"
#include "ledger.h"

/* One JSON object per record, as nfwho(8) promises: valid UTF-8 whatever a process calls itself,
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
	const char *cgroup_path;	/* under OWNER_CGROUP: what the cgroup id means; "" unknown.
					 * Unit and container are read from it */
	const char *thread_name;	/* "" unknown */
	const uint32_t *holders;	/* pids that share the socket; NULL if one or none */
	unsigned int holder_count;
};

struct record;

/* Returns 0, -ENOMEM, or -E2BIG if labels and tags take more than about 1,200 bytes of each record.
 * The caller owns *out. One for each process table: what it prints is kept in struct process. */
int record_new(struct record **out, const struct record_config *config);
void record_free(struct record *r);

/* Another configuration from the next record on; the numbering goes on. Returns as record_new(); on
 * failure nothing has changed. */
int record_change(struct record *r, const struct record_config *config);

/* How many records of connections lack their process, for want of memory. */
uint64_t record_incomplete(const struct record *r);

/* Prints one connection record, newline and NUL included in `size`. Takes the next event.sequence.
 * Without memory for what there is to say of its process it has none of that
 * (record_incomplete). Returns the length without NUL, or -ENOSPC. */
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
	const char *what;			/* as nfwho(8) lists them */
	uint32_t pid;				/* who changed the ruleset; 0 unknown */
	const char *program;			/* "" unknown */
	bool restored;
};

int record_ruleset_gap(struct record *r, const struct record_gap *gap, uint64_t now_real_ns,
		       char *buf, size_t size);

/* Most destinations that a summary lists. */
#define RECORD_TOP_MAX 16

struct record_destination {
	union address ip;
	uint8_t family;
	be16 port;		/* 0: none, as in ICMP */
	uint64_t count;
};

/* What the rate limit held back of one owner in one interval. */
struct record_suppressed {
	struct process *process;	/* borrowed: if all of it was one process's; else NULL */
	const char *executable;		/* of the owner, if process is NULL; "" unknown */
	const char *container_id, *container_runtime;	/* the same; "" none */
	uint64_t cgroup_id;		/* under OWNER_CGROUP */
	const char *cgroup_path;	/* what it means: unit and container are read from it; ""
					 * unknown */
	uint32_t uid;			/* of the sockets */
	bool has_uid;
	bool foreign_userns;		/* uid has no name here */
	bool others;			/* of all owners for which there was no summary left */
	uint8_t owner;			/* enum owner_rung, the worst of them */

	uint64_t count;			/* starts held back: exact */
	uint64_t ended;			/* their ends held back in this interval, by reason: */
	uint64_t reasons[REASON_ABORTED + 1];	/* REASON_NONE: not known */
	uint64_t successes, failures;	/* of those ended; the rest is not known */
	uint64_t bytes[2];		/* of those ended with counters: [0] sent, [1] received */
	bool has_bytes;
	uint64_t destinations, ports;	/* different addresses and ports */
	bool destinations_estimated;
	struct record_destination top[RECORD_TOP_MAX];	/* most frequent first, counts exact */
	unsigned int top_count;
	uint64_t first_real_ns, last_real_ns;	/* connects */
	uint64_t interval_end_real_ns;	/* @timestamp */
};

/* connections_suppressed. Returns as record_connection does, or -ENOMEM: it is whole or none. */
int record_suppressed(struct record *r, const struct record_suppressed *s, uint64_t now_real_ns,
		      char *buf, size_t size);

/* The connection as one flat object with ulogd2's own key names (format=ulogd): those of its packet
 * records for a start, those of its flow records for an end, and pid, comm, exe, cmdline, ppid,
 * uid, username and hostname for the owner. Times are UTC, without a zone as ulogd2 writes them.
 * Takes no event.sequence. Returns as record_connection does. */
int record_ulogd(struct record *r, enum record_action action, const struct flow *flow,
		 const struct record_context *context, char *buf, size_t size);

/* The same connection as one aligned line for people (format=text). Control characters are
 * escaped. colour: ANSI sequences of our own. */
int record_text(struct record *r, enum record_action action, const struct flow *flow,
		const struct record_context *context, bool colour, char *buf, size_t size);

/* The same as one aligned line for people (format=text). */
int record_suppressed_text(struct record *r, const struct record_suppressed *s, uint64_t now_ns,
			   bool colour, char *buf, size_t size);

/* Base names used in several places: Zeek's conn_state ("" unknown), reason and rung as written. */
const char *record_conn_state(const struct flow *flow);
const char *record_reason(enum flow_reason reason);
const char *record_rung(enum owner_rung rung);

/* event.outcome: "success", "failure", or NULL where it is not known. */
const char *record_outcome(const struct flow *flow);

/* Whether both ends of its time are known: not of a packet that was read late. */
bool record_lasted(const struct flow *flow);

/* Whether ports (not ICMP's id and type) stand in the tuple. */
bool record_has_ports(const struct tuple *t);

#endif
