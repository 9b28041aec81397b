/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NFWHO_RECORD_INTERNAL_H
#define NFWHO_RECORD_INTERNAL_H

#include "iso8601.h"
#include "json.h"
#include "passwd.h"
#include "record.h"

#include <cjson/cJSON.h>

/* What the files of lib/record share. */

/* Most that a connection's own fields can take, all of them known and as long as they can be; the
 * test of hostile maximums measures it. */
#define RECORD_CONNECTION_MAX 3600
/* Most that labels, tags and the host may take: leaves a process more than 2,400. */
#define RECORD_COMMON_MAX 2000
/* Room to print a process before it is cut. */
#define RECORD_FRAGMENT_MAX 32768
/* A command line is read up to this, then made to fit. */
#define RECORD_LINE_MAX 16384

struct record {
	struct record_config config;
	struct passwd *users;
	struct iso8601 times;
	uint64_t sequence;	/* of the last record; event.id is "RUN:SEQUENCE" */
	uint64_t incomplete;	/* records of connections without their process */
	uint32_t revision;		/* of the configuration: what processes keep is of one */
	size_t process_max;		/* bytes for one process's fragments */
	size_t common_len;
	char common[RECORD_COMMON_MAX];	/* members that every record repeats */
	char fragment[2][RECORD_FRAGMENT_MAX];	/* printed here, then kept by the process */
	char line[RECORD_LINE_MAX];
};

/* A process's members: its object, left open for the thread; then its container and the nfwho
 * object, left open for the connection. */
struct record_process {
	const char *process, *nfwho;
	size_t process_len, nfwho_len;
};

/* From the process's cache, printed anew if more became known since. Valid until the next call.
 * Returns 0, or -ENOMEM: nothing of it is known to be whole. */
int record_process(struct record *r, struct process *p, struct record_process *fragments);

/* Puts the command line, as far as the configuration wants it, into r->line, any bytes; 0 if there
 * is none to show. Sets *cut if it is known to be incomplete. */
size_t record_command_line(struct record *r, const struct process *p, bool *cut);

/* The name of the program for people and process.name: base name of the executable, else of what
 * was executed; NULL if neither is known. */
const char *record_program(const struct process *p);

/* "" for ids of a user namespace that is not ours. p may be NULL. */
const char *record_user(const struct record *r, const struct process *p, uint32_t uid);

/* Whether this flow's process is known well enough to be named. */
bool record_names_process(const struct flow *flow);

/* The lower case name of a transport protocol; NULL if it has none here. */
const char *record_transport(uint8_t protocol);

/* The part of a path after its last slash; all of it if it ends in one. */
const char *record_base_name(const char *path);

/* "12,345 connections held back: to 203.0.113.9, 10,000 ports", and whose program they were: NULL
 * unknown, any bytes. */
#define RECORD_HELD_BACK_MAX 192
void record_held_back(const struct record_suppressed *s, char text[static RECORD_HELD_BACK_MAX]);
const char *record_held_back_program(const struct record_suppressed *s);

/* Whether the source's address is known; whether its port is true. */
bool record_source_known(const struct flow *flow);
bool record_source_port_known(const struct flow *flow);

/* end_ns, as the wall clock is now; 0 unknown. */
uint64_t record_end_real_ns(const struct flow *flow, const struct record_context *context);

/* Shared by the records that are made seldom, with cJSON: @timestamp, event's common members and
 * the members every record repeats. *event is the event object, to be added to. */
void record_add_types(cJSON *event, const char *category, const char *type, const char *more);
cJSON *record_begin(struct record *r, const char *action, const char *kind, const char *dataset,
		    uint64_t timestamp_ns, uint64_t now_real_ns, cJSON **event);
/* Exact, as cJSON's own numbers are doubles. */
void record_add_number(cJSON *object, const char *key, uint64_t value);
void record_add_time(struct record *r, cJSON *object, const char *key, uint64_t real_ns);
void record_add_text(cJSON *object, const char *key, const void *bytes, size_t len, size_t max);
/* Add an item, or free it if there is no memory to do so; of the second its own name is the key. */
void record_append(cJSON *array, cJSON *item);
void record_take(cJSON *root, cJSON *item);

/* Prints with its newline and frees it. Returns as record_connection does, or -ENOMEM. */
int record_print(cJSON *root, char *buf, size_t size);

#endif
