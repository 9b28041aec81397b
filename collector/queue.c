// SPDX-License-Identifier: GPL-2.0-or-later
#include "queue.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int queue_init(struct queue *q, size_t limit_bytes)
{
	*q = (struct queue){ .data = malloc(2 * limit_bytes), .limit = limit_bytes };
	return q->data ? 0 : -ENOMEM;
}

void queue_fini(struct queue *q)
{
	free(q->data);
	*q = (struct queue){ 0 };
}

bool queue_push(struct queue *q, const void *bytes, size_t len)
{
	size_t waiting = queue_len(q);

	if (len > q->limit - waiting)
		return false;
	if (len > 2 * q->limit - q->end) {
		/* Each time at least as many bytes have come in as move now. */
		memmove(q->data, queue_head(q), waiting);
		q->start = 0;
		q->end = waiting;
	}
	memcpy(q->data + q->end, bytes, len);
	q->end += len;
	return true;
}

void queue_pop(struct queue *q, size_t len)
{
	q->start += len;
	if (q->start == q->end)
		q->start = q->end = 0;
}
