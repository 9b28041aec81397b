/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NFWHO_QUEUE_H
#define NFWHO_QUEUE_H

#include <stdbool.h>
#include <stddef.h>

/* Bytes that wait to be written, first in, first out, always in one piece. */

/* What stays with an empty queue; more is given back. */
#define QUEUE_KEPT_BYTES (1 << 20)

struct queue {
	char *data;
	size_t start, end, limit;
};

/* Takes address space of twice the limit, memory only as it is used: a burst's is given back when
 * the queue is empty again. 0 or -ENOMEM. */
int queue_init(struct queue *q, size_t limit_bytes);
void queue_fini(struct queue *q);

/* Adds all of it or, if there is no room, nothing: false. */
bool queue_push(struct queue *q, const void *bytes, size_t len);

/* What waits; valid until the next call. */
static inline char *queue_head(const struct queue *q)
{
	return q->data + q->start;
}

static inline size_t queue_len(const struct queue *q)
{
	return q->end - q->start;
}

/* Removes len bytes, at most queue_len(), from the front. */
void queue_pop(struct queue *q, size_t len);

#endif
