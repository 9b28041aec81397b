/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NFWHO_OPEN_FLOWS_H
#define NFWHO_OPEN_FLOWS_H

#include "flow.h"

#include <stdio.h>

/* Connections that are open at the end of a run, and whose they are, as a list for the next run of
 * the same boot. What reads it is made for a later version than what wrote it. */

#define OPEN_FLOWS_SERIES 32
#define OPEN_FLOWS_PREFIX_MAX 128

/* Longest list that is written, in flows and in bytes: it is memory until it is read. What is over
 * is left out and counted. */
#define OPEN_FLOWS_MAX (1u << 18)
#define OPEN_FLOWS_BYTES_MAX (128u << 20)

struct open_flows {
	char series[OPEN_FLOWS_SERIES + 1];	/* what ids of connections begin with: [0-9a-f] */
	uint64_t next_number;			/* no flow has had this one, or a higher one */
	uint32_t count;
};

struct open_flows_writer;

/* Writes to `out`, which is the caller's. Returns 0 or -errno; errors of writing come at the end.
 * */
int open_flows_begin(struct open_flows_writer **out, FILE *file, const struct open_flows *about);
/* -ENOSPC: the list is full. */
int open_flows_add(struct open_flows_writer *w, const struct flow *f, const char *prefix);
/* Without this call a list is none. Frees the writer; 0 or -errno. */
int open_flows_end(struct open_flows_writer *w);

/* f: as it was, but in no index or queue, FLOW_CONNECT taken away, and times not held against any
 * clock. It and its process are the caller's for the time of the call: keep a copy and a
 * reference. */
typedef void open_flows_handler(const struct flow *f, const char *prefix, void *data);

/* Hands on a list that is whole and valid, none of any other. Returns 0, -EBADMSG, or -ENOMEM (some
 * may have been handed on). Pure. */
int open_flows_read(const void *list, size_t size, struct open_flows *about,
		    open_flows_handler *handler, void *data);

#endif
