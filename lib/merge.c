// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * How it works. Every online CPU has one ring, into which all our events on that CPU write: the
 * socket tracepoints, exec, and the kernel's own FORK, COMM and EXIT records. Filters run in the
 * kernel, so that accepted connections, listening sockets and incoming route lookups cost nothing
 * here. merge_read looks once how far each ring is written, then takes the oldest record of all
 * rings until none is older than the given instant: a heap holds one entry per ring, keyed by the
 * time of its next record.
 *
 * What order is given. Two records of one CPU come as they stand in its ring, which is the order
 * in which they were written; what one thread did on one CPU is never exchanged. Records of
 * different CPUs come in the order of their times. A time is taken a little before its record is
 * written: an interrupt in between puts a newer record first in the same ring (then both come as
 * written, and the older time comes second), and a record that was being written while the rings
 * were looked at comes with the next call although its time lies before `until_ns` (it is handed
 * on then, late rather than lost). So a handler must not take times as never going back.
 *
 * What loss is told. The kernel's own LOST record stands where the next record found room, with the
 * exact number, but that can be late. So a ring that was found nearly full is told at once, as a
 * PERF_DOUBT: maybe something is lost, maybe nothing. The next record in that ring settles it: it
 * is that LOST record, or nothing was. A CPU may be quiet from then on, while others wait for what
 * it has to say: after DOUBT_MAX_NS something is taken to be lost.
 */
#include "merge.h"
#include "clock.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define DOUBT_MAX_NS 200000000ull

static void heap_sift(struct merge *m, uint32_t i)
{
	struct merge_head moving = m->heap[i];
	uint32_t child;

	while ((child = 2 * i + 1) < m->heap_count) {
		if (child + 1 < m->heap_count &&
		    m->heap[child + 1].time_ns < m->heap[child].time_ns)
			child++;
		if (m->heap[child].time_ns >= moving.time_ns)
			break;
		m->heap[i] = m->heap[child];
		i = child;
	}
	m->heap[i] = moving;
}

static void heap_pop(struct merge *m)
{
	m->heap[0] = m->heap[--m->heap_count];
	if (m->heap_count)
		heap_sift(m, 0);
}

void merge_tell_lost(struct merge *m, uint32_t cpu, uint64_t count, perf_handler *handler,
		     void *data)
{
	struct perf_event event = { .kind = PERF_LOST, .cpu = cpu, .lost.count = count };

	/* What was lost may be as new as this moment. */
	event.time_ns = clock_ns(CLOCK_MONOTONIC);
	m->stats.lost += count;
	m->stats.records++;
	handler(&event, data);
}

static void tell_doubt(struct watch *w, bool on, perf_handler *handler, void *data)
{
	struct perf_event event = { .kind = on ? PERF_DOUBT : PERF_WHOLE, .cpu = w->cpu };

	w->in_doubt = on;
	handler(&event, data);
}

void merge_end_doubt(struct merge *m, struct watch *w, perf_handler *handler, void *data)
{
	tell_doubt(w, false, handler, data);
	merge_tell_lost(m, w->cpu, 0, handler, data);
}

/* What stood there cannot be understood, or not even be a record, so that the ring was emptied: it
 * is as lost as what found no room. How much an emptied ring held is not known. */
static void unread_hand_on(struct merge *m, const struct watch *w, perf_handler *handler,
			   void *data)
{
	m->stats.invalid++;
	merge_tell_lost(m, w->cpu, 1, handler, data);
}

/* Finds the time of the ring's next record that has one. Returns false if there is none. */
static bool head_find(struct merge *m, struct watch *w, uint64_t *time_ns, perf_handler *handler,
		      void *data)
{
	const struct perf_event_header *header;
	size_t offset;
	bool broken;

	while ((header = ring_peek(&w->ring, &broken))) {
		offset = sample_time_offset(header);
		if (offset) {
			*time_ns = ring_word(&w->ring, offset);
			return true;
		}
		unread_hand_on(m, w, handler, data);
		ring_next(&w->ring);
	}
	if (broken)
		unread_hand_on(m, w, handler, data);
	return false;
}

static void heap_fill(struct merge *m, perf_handler *handler, void *data)
{
	m->heap_count = 0;
	for (uint32_t i = 0; i < m->count; i++) {
		struct merge_head *head = &m->heap[m->heap_count];
		struct watch *w = m->watches[i];

		if (!ring_begin(&w->ring))
			unread_hand_on(m, w, handler, data);
		if (head_find(m, w, &head->time_ns, handler, data)) {
			head->watch = w;
			m->heap_count++;
		}
	}
	for (uint32_t i = m->heap_count / 2; i-- > 0;)
		heap_sift(m, i);
}

/* Hands on the record that stands next in w's ring. Returns 1 if there was one to hand on. */
static int record_hand_on(struct merge *m, struct watch *w, perf_handler *handler, void *data)
{
	const struct perf_event_header *header = ring_record(&w->ring, m->scratch);
	enum sample_source source = SAMPLE_PROCESS;
	struct perf_event event;
	int result;

	if (w->in_doubt && w->ring.at >= w->ring.full_at)
		tell_doubt(w, false, handler, data);
	if (header->type == PERF_RECORD_SAMPLE) {
		source = watch_source(w, ring_word(&w->ring, SAMPLE_ID_OFFSET));
		if (source == SAMPLE_SOURCES) {
			unread_hand_on(m, w, handler, data);
			return 0;
		}
	}
	result = sample_decode(&m->layout, source, header, &event);
	if (result < 0)
		unread_hand_on(m, w, handler, data);
	if (result)
		return 0;
	event.cpu = w->cpu;
	m->stats.records++;
	if (event.kind == PERF_LOST)
		m->stats.lost += event.lost.count;
	else if (event.kind == PERF_SOCKET_STATE)
		m->stats.transitions++;
	handler(&event, data);
	return 1;
}

int merge_read(struct merge *m, uint64_t until_ns, perf_handler *handler, void *data)
{
	int handed_on = 0;

	heap_fill(m, handler, data);
	while (m->heap_count && m->heap[0].time_ns <= until_ns) {
		struct watch *w = m->heap[0].watch;

		handed_on += record_hand_on(m, w, handler, data);
		ring_next(&w->ring);
		if (!head_find(m, w, &m->heap[0].time_ns, handler, data))
			heap_pop(m);
		else
			heap_sift(m, 0);
	}
	for (uint32_t i = 0; i < m->count; i++) {
		struct watch *w = m->watches[i];

		ring_release(&w->ring);
		if (w->in_doubt && until_ns - w->doubt_ns > DOUBT_MAX_NS)
			merge_end_doubt(m, w, handler, data);
		if (w->ring.was_full && w->ring.at <= w->ring.full_at && !w->in_doubt) {
			tell_doubt(w, true, handler, data);
			w->doubt_ns = until_ns;
		}
		w->ring.was_full = false;
	}
	return handed_on;
}

int merge_add(struct merge *m, struct watch *w)
{
	struct watch **watches = reallocarray(m->watches, m->count + 1, sizeof(*watches));
	struct merge_head *heap;

	if (!watches)
		return -ENOMEM;
	m->watches = watches;
	heap = reallocarray(m->heap, m->count + 1, sizeof(*heap));
	if (!heap)
		return -ENOMEM;
	m->heap = heap;
	m->watches[m->count++] = w;
	return 0;
}

void merge_remove(struct merge *m, uint32_t i)
{
	m->watches[i] = m->watches[--m->count];
}

void merge_fini(struct merge *m)
{
	free(m->heap);
	free(m->watches);
}
