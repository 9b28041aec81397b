/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NFWHO_MERGE_H
#define NFWHO_MERGE_H

#include "watch.h"

/* The rings of all CPUs read as one stream. Opens nothing: works on any watches whose `cpu`, `id`
 * and `ring` are filled. */

struct merge_head {
	uint64_t time_ns;
	struct watch *watch;
};

/* Zeroed before first use; `layout` is filled by the owner. */
struct merge {
	struct sample_layout layout;
	struct watch **watches;
	struct merge_head *heap;		/* as much room as watches */
	uint32_t count, heap_count;
	struct perf_stats stats;
	uint8_t scratch[RING_RECORD_MAX];
};

/* Borrows w until it is removed (by its index in `watches`; the last one takes its place). Returns
 * 0 or -ENOMEM. */
int merge_add(struct merge *m, struct watch *w);
void merge_remove(struct merge *m, uint32_t i);

/* Frees what it allocated; the watches are the owner's. */
void merge_fini(struct merge *m);

/* Hands on a PERF_LOST of this moment (count 0: not known whether any). */
void merge_tell_lost(struct merge *m, uint32_t cpu, uint64_t count, perf_handler *handler,
		     void *data);

/* w, which is in doubt, has nothing to say that would settle it: hands on the PERF_WHOLE that ends
 * it, and a PERF_LOST. */
void merge_end_doubt(struct merge *m, struct watch *w, perf_handler *handler, void *data);

/* As perf_read. Allocates nothing. The handler must not call it. */
int merge_read(struct merge *m, uint64_t until_ns, perf_handler *handler, void *data);

#endif
