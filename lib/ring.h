/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NFWHO_RING_H
#define NFWHO_RING_H

#include <linux/perf_event.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A reader of one perf ring: a control page followed by a power of two of data bytes, written by
 * the kernel (or a test), read here. Knows the framing of records and nothing of their content.
 *
 *	ring_begin(r);
 *	while ((header = ring_peek(r))) {
 *		use(ring_record(r, scratch));
 *		ring_next(r);
 *	}
 *	ring_release(r);
 */

#define RING_NEARLY_FULL 8192	/* bytes left, or half of a smaller ring */
#define RING_RECORD_MAX 65536	/* a record's size has 16 bits */

struct ring {
	struct perf_event_mmap_page *control;
	const uint8_t *data;
	uint64_t size;		/* of data, bytes */
	uint64_t at, end;	/* next record to read; where the kernel had written up to */
	uint64_t released;	/* up to here the kernel may write again */
	bool was_full;		/* or nearly: something may not have found room. Never reset here */
	uint64_t full_at;	/* where the next record stands that found room, then */
};

/* `memory` holds page_bytes of control page and then data_bytes (a power of two, at least 8); it
 * stays the caller's. */
void ring_init(struct ring *r, void *memory, size_t page_bytes, size_t data_bytes);

/* Looks once how far the kernel has written. Returns false if what stands there is impossible (more
 * than the ring holds): the ring has then been emptied and something is lost. */
bool ring_begin(struct ring *r);

/* The next record's header, NULL if there is none. *broken becomes true (and the ring is emptied)
 * if the header cannot be one: shorter than itself, not a multiple of 8, or longer than what was
 * written. The header never wraps; what follows it may. */
const struct perf_event_header *ring_peek(struct ring *r, bool *broken);

/* The 8 bytes at `offset` (a multiple of 8, inside the record) of the record just peeked at. */
uint64_t ring_word(const struct ring *r, size_t offset);

/* The record just peeked at in one piece: in the ring itself, or copied to scratch if it wraps.
 * Valid until ring_next. */
const void *ring_record(const struct ring *r, uint8_t scratch[static RING_RECORD_MAX]);

/* Steps over the record just peeked at. Gives the kernel back what was read whenever a quarter of
 * the ring has come together, so that a long drain does not itself cause loss. */
void ring_next(struct ring *r);

/* Gives back all that was read. The kernel tells a loss only with the next record that finds room
 * in this very ring, which may be much later; so every time, just before there is room again, it is
 * looked whether there was little left, and was_full says so at once. */
void ring_release(struct ring *r);

#endif
