// SPDX-License-Identifier: GPL-2.0-or-later
#include "ring.h"

#include <string.h>

static const uint8_t *ring_at(const struct ring *r, uint64_t position)
{
	return r->data + (position & (r->size - 1));
}

void ring_init(struct ring *r, void *memory, size_t page_bytes, size_t data_bytes)
{
	r->control = memory;
	r->data = (const uint8_t *)memory + page_bytes;
	r->size = data_bytes;
	r->at = r->end = r->released = r->control->data_tail;
}

static void ring_empty(struct ring *r)
{
	bool was_full = r->was_full;

	r->at = r->end;
	ring_release(r);
	r->was_full = was_full;		/* the caller knows of a loss anyway */
}

bool ring_begin(struct ring *r)
{
	/* Pairs with the kernel's barrier between the records and data_head. */
	r->end = __atomic_load_n(&r->control->data_head, __ATOMIC_ACQUIRE);
	if (r->end - r->at <= r->size && r->end % 8 == 0)
		return true;
	ring_empty(r);
	return false;
}

const struct perf_event_header *ring_peek(struct ring *r, bool *broken)
{
	const struct perf_event_header *header;

	*broken = false;
	if (r->at == r->end)
		return NULL;
	header = (const struct perf_event_header *)ring_at(r, r->at);
	if (header->size < sizeof(*header) || header->size % 8 ||
	    header->size > r->end - r->at) {
		*broken = true;
		ring_empty(r);
		return NULL;
	}
	return header;
}

uint64_t ring_word(const struct ring *r, size_t offset)
{
	uint64_t word;

	memcpy(&word, ring_at(r, r->at + offset), sizeof(word));
	return word;
}

const void *ring_record(const struct ring *r, uint8_t scratch[static RING_RECORD_MAX])
{
	const uint8_t *start = ring_at(r, r->at);
	size_t size = ((const struct perf_event_header *)start)->size;
	size_t first = r->data + r->size - start;

	if (size <= first)
		return start;
	memcpy(scratch, start, first);
	memcpy(scratch + first, r->data, size - first);
	return scratch;
}

void ring_next(struct ring *r)
{
	r->at += ((const struct perf_event_header *)ring_at(r, r->at))->size;
	if (r->at - r->released >= r->size / 4)
		ring_release(r);
}

void ring_release(struct ring *r)
{
	uint64_t head, margin = r->size / 2 < RING_NEARLY_FULL ? r->size / 2 : RING_NEARLY_FULL;

	if (r->released == r->at)
		return;
	head = __atomic_load_n(&r->control->data_head, __ATOMIC_RELAXED);
	if (head - r->released > r->size - margin) {
		r->was_full = true;
		r->full_at = head;
	}
	/* Our reads of the data come before the kernel sees that it may write there. */
	__atomic_store_n(&r->control->data_tail, r->at, __ATOMIC_RELEASE);
	r->released = r->at;
}
