/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NFWHO_METRICS_H
#define NFWHO_METRICS_H

#include "flow.h"
#include "ledger.h"
#include "record.h"

/* Figures for Prometheus in a file, as node_exporter's textfile collector reads them. Names follow
 * its conventions; no label has a value that a stranger could choose or that grows without bound:
 * no address, no pid, no name. */

#define METRICS_BUCKETS 10
#define METRICS_REASONS (REASON_ABORTED + 1)
#define METRICS_TEXT_MAX 16384

struct metrics {
	int directory;		/* -1: nobody wants them */
	char *name, *temporary;	/* in it */
	uint64_t start_real_ns;
	uint64_t ended[METRICS_REASONS];	/* by enum flow_reason */
	uint64_t connect[METRICS_BUCKETS + 1];	/* by upper bound, the last without one */
	uint64_t connect_sum_ns;
	int error;		/* why the file could not be written the last time; 0 it was */
};

/* What is told beside what was counted here. */
struct metrics_view {
	const char *version;
	const struct ledger *ledger;
	const struct record_sink *sinks;
	unsigned int sink_count;
	uint32_t flows;
};

/* path NULL: nothing is written. Returns 0 or -errno (its directory). */
int metrics_open(struct metrics *m, const char *path, uint64_t now_real_ns);
void metrics_close(struct metrics *m);

/* A connection has ended. */
void metrics_end(struct metrics *m, const struct flow *f);

/* The text. Returns its length or -ENOSPC. */
int metrics_print(const struct metrics *m, const struct metrics_view *view,
		  char text[static METRICS_TEXT_MAX]);

/* Into the file, by rename: who reads it sees the old one or the new one. Returns 0, or -errno;
 * positive: it fails as it failed before. */
int metrics_write(struct metrics *m, const struct metrics_view *view);

#endif
