/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NFWHO_BENCH_TRUTH_H
#define NFWHO_BENCH_TRUTH_H

#include <stdint.h>
#include <stdio.h>
#include <netinet/in.h>
#include <sys/types.h>

/* What really happened, told by those who did it: one row per connect(), in memory shared by all
 * workers, so that writing a row costs a few stores. Printed as TSV at the end. */

enum truth_state { TRUTH_UNUSED, TRUTH_DONE };

struct truth_row {
	uint32_t state;
	int32_t error;		/* errno of connect(), 0 connected */
	uint32_t pid, ppid, uid;
	uint16_t family;
	in_port_t sport, dport;	/* network order */
	uint8_t src[16], dst[16];
	uint64_t start_ns, start_real_ns;	/* just before connect() */
	uint64_t latency_ns;	/* of connect() */
	uint64_t close_ns;	/* just before close() */
};

struct truth {
	int fd;			/* inherited by spawned programs */
	uint64_t rows_max;
	uint64_t *taken;	/* shared by all workers */
	struct truth_row *rows;
};

/* 0 or -errno. Memory is used only for rows that are written. */
int truth_new(struct truth *truth, uint64_t rows_max);

/* The number of the next free row, or -1 when all are taken. */
int64_t truth_take(struct truth *truth);

/* For a program that has only the descriptor: 0 or -errno. */
int truth_write(int fd, int64_t number, const struct truth_row *row);

/* What a row itself does not say. */
struct truth_names {
	const char *executable, *command_line, *parent_executable;
	/* Spawned programs: "executable row-number arguments destination", instead. */
	const char *arguments;
	const char *const *destinations;	/* used in turn */
	unsigned int destination_count;
};

/* One line per row that was written, after a line of column names. 0 or -errno. */
int truth_print(const struct truth *truth, const struct truth_names *names, FILE *to);

#endif
