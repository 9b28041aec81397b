// SPDX-License-Identifier: GPL-2.0-or-later
#include "queue.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

int queue_init(struct queue *q, size_t limit_bytes)
{
	void *data = mmap(NULL, 2 * limit_bytes, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	*q = (struct queue){ 0 };
	if (data == MAP_FAILED)
		return -ENOMEM;
	q->data = data;
	q->limit = limit_bytes;
	return 0;
}

void queue_fini(struct queue *q)
{
	if (q->data)
		munmap(q->data, 2 * q->limit);
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
	if (q->start < q->end)
		return;
	if (q->end > QUEUE_KEPT_BYTES)
		madvise(q->data + QUEUE_KEPT_BYTES, 2 * q->limit - QUEUE_KEPT_BYTES, MADV_DONTNEED);
	q->start = q->end = 0;
}
