// SPDX-License-Identifier: GPL-2.0-or-later
#include "queue.h"

#include <stdlib.h>
#include <string.h>

#define CAPACITY_FIRST (64 << 10)

void queue_init(struct queue *q, size_t limit_bytes)
{
	*q = (struct queue){ .limit = limit_bytes };
}

void queue_fini(struct queue *q)
{
	free(q->data);
	*q = (struct queue){ 0 };
}

static bool grow(struct queue *q, size_t needed)
{
	size_t capacity = q->capacity ? q->capacity : CAPACITY_FIRST;
	char *data;

	while (capacity < needed)
		capacity *= 2;
	if (capacity > q->limit)
		capacity = q->limit;
	data = realloc(q->data, capacity);
	if (!data)
		return false;
	q->data = data;
	q->capacity = capacity;
	return true;
}

bool queue_push(struct queue *q, const void *bytes, size_t len)
{
	size_t waiting = queue_len(q);

	if (len > q->limit - waiting)
		return false;
	if (len > q->capacity - q->end) {
		/* Moved only when at least half is free: each byte moves at most once or twice. */
		if (q->start >= q->capacity / 2 || q->capacity == q->limit) {
			memmove(q->data, queue_head(q), waiting);
			q->start = 0;
			q->end = waiting;
		}
		if (len > q->capacity - q->end && !grow(q, q->end + len))
			return false;
		if (len > q->capacity - q->end) {
			memmove(q->data, queue_head(q), waiting);
			q->start = 0;
			q->end = waiting;
		}
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
