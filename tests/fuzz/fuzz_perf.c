// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Two rings filled with whatever comes, and each record of the first one by itself, in just its
 * size. Input: where the rings start (8 bytes each step), how much of the rest is the first ring's
 * (in 256ths), whether the clock is limited, how the kernel lays records out (1: no cgroup; 2: the
 * fields are where the next bytes say, one for each; 4: and numbers as wide as the lowest two bits of
 * it do); then the rings' bytes.
 */
#include "fuzz.h"
#include "merge.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define PAGE 4096
#define RING 8192

/* As laid out by 6.18. */
static const struct sample_layout real = {
	.cgroup = true,
	.format = {
		[SAMPLE_EXEC] = {
			.offset = { [SAMPLE_FILENAME] = 8, [SAMPLE_OLD_PID] = 16 }, .raw_min = 20,
		},
		[SAMPLE_SOCKET_STATE] = {
			.offset = {
				[SAMPLE_SKADDR] = 8,
				[SAMPLE_OLD_STATE] = 16, [SAMPLE_NEW_STATE] = 20,
				[SAMPLE_SPORT] = 24, [SAMPLE_DPORT] = 26, [SAMPLE_FAMILY] = 28,
				[SAMPLE_PROTOCOL] = 30, [SAMPLE_SADDR] = 32, [SAMPLE_DADDR] = 36,
				[SAMPLE_SADDR6] = 40, [SAMPLE_DADDR6] = 56,
			},
			.raw_min = 72,
		},
		[SAMPLE_ROUTE] = {
			.offset = {
				[SAMPLE_PROTOCOL] = 24, [SAMPLE_SADDR] = 28, [SAMPLE_DADDR] = 32,
				[SAMPLE_SPORT] = 56, [SAMPLE_DPORT] = 58,
			},
			.raw_min = 60,
		},
		[SAMPLE_SOCKET_ERROR] = {
			.offset = {
				[SAMPLE_ERROR] = 8, [SAMPLE_SPORT] = 12, [SAMPLE_DPORT] = 14,
				[SAMPLE_FAMILY] = 16, [SAMPLE_PROTOCOL] = 18, [SAMPLE_SADDR] = 20,
				[SAMPLE_DADDR] = 24, [SAMPLE_SADDR6] = 28, [SAMPLE_DADDR6] = 44,
			},
			.raw_min = 60,
		},
	},
};

/* As laid out by 6.18, but for a route's protocol. */
static const uint8_t field_sizes[SAMPLE_FIELDS] = {
	[SAMPLE_SKADDR] = 8, [SAMPLE_OLD_STATE] = 4, [SAMPLE_NEW_STATE] = 4, [SAMPLE_ERROR] = 4,
	[SAMPLE_FILENAME] = 4, [SAMPLE_OLD_PID] = 4, [SAMPLE_FAMILY] = 2, [SAMPLE_PROTOCOL] = 2,
	[SAMPLE_SPORT] = 2, [SAMPLE_DPORT] = 2, [SAMPLE_SADDR] = 4, [SAMPLE_DADDR] = 4,
	[SAMPLE_SADDR6] = 16, [SAMPLE_DADDR6] = 16,
};

static bool is_address(int field)
{
	return field >= SAMPLE_SADDR && field <= SAMPLE_DADDR6;
}

/* Another kernel's tracepoints: each field at its byte of `places`. */
static void move_fields(struct sample_format *format, const uint8_t places[static SAMPLE_FIELDS],
			bool resize)
{
	format->raw_min = 0;
	for (int i = 0; i < SAMPLE_FIELDS; i++) {
		if (!format->offset[i])
			continue;	/* none of this tracepoint */
		format->offset[i] = places[i];
		if (resize && !is_address(i))
			format->size[i] = (uint8_t)(1 << (places[i] & 3));
		if (format->raw_min < places[i] + format->size[i])
			format->raw_min = places[i] + format->size[i];
	}
}

/* Returns how many bytes it took of the input. */
static size_t take_layout(struct sample_layout *layout, uint8_t what, const uint8_t *data,
			  size_t size)
{
	*layout = real;
	layout->cgroup = !(what & 1);
	for (int source = 0; source < SAMPLE_SOURCES; source++)
		memcpy(layout->format[source].size, field_sizes, sizeof(field_sizes));
	layout->format[SAMPLE_ROUTE].size[SAMPLE_PROTOCOL] = 1;
	if (!(what & 2) || size < SAMPLE_FIELDS)
		return 0;
	for (int source = 0; source < SAMPLE_SOURCES; source++)
		move_fields(&layout->format[source], data, what & 4);
	return SAMPLE_FIELDS;
}

struct ring_memory {
	struct perf_event_mmap_page control;
	uint8_t rest[PAGE - sizeof(struct perf_event_mmap_page)];
	uint8_t data[RING];
};

static void check(const struct perf_event *event, void *data)
{
	uint64_t *handed_on = data;

	(*handed_on)++;
	assert(event->kind <= PERF_LOST && event->cpu < 2);
	if (event->kind == PERF_EXEC)
		assert(strlen(event->exec.filename) < RING_RECORD_MAX);
	if (event->kind == PERF_COMM)
		assert(strlen(event->comm.comm) < RING_RECORD_MAX);
	if (event->kind == PERF_SOCKET_STATE)
		assert(event->socket.tuple.pad == 0 && (event->socket.tuple.family == AF_INET ||
							event->socket.tuple.family == AF_INET6));
}

static size_t fill(struct watch *w, struct ring_memory *memory, uint64_t start,
		   const uint8_t *data, size_t size)
{
	size = size > RING ? RING : size / 8 * 8;
	memory->control.data_tail = start;
	memory->control.data_head = start + size;
	for (size_t i = 0; i < size; i++)
		memory->data[(start + i) % RING] = data[i];
	ring_init(&w->ring, memory, PAGE, RING);
	return size;
}

/* What is read beyond a record's end is another one in the ring, and told only here. */
static void decode_alone(const struct sample_layout *layout, const uint8_t *data, size_t size)
{
	struct perf_event_header header, *record;
	struct perf_event event;
	uint64_t handed_on = 0;
	int sources;

	for (size_t at = 0; size - at >= sizeof(header); at += header.size) {
		memcpy(&header, data + at, sizeof(header));
		if (header.size < sizeof(header) || header.size % 8 || header.size > size - at)
			return;
		record = malloc(header.size);
		assert(record);
		memcpy(record, data + at, header.size);
		sources = header.type == PERF_RECORD_SAMPLE ? SAMPLE_SOURCES : 1;
		for (int source = 0; source < sources; source++) {
			event.cpu = 0;
			if (sample_decode(layout, source, record, &event) == 0)
				check(&event, &handed_on);
		}
		free(record);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct ring_memory memory[2];
	static struct merge merge;
	struct watch watch[2] = { { .cpu = 0 }, { .cpu = 1 } };
	uint64_t handed_on = 0;
	uint8_t head[4];
	size_t taken, first;

	if (size < sizeof(head))
		return 0;
	memcpy(head, data, sizeof(head));
	data += sizeof(head);
	size -= sizeof(head);
	taken = take_layout(&merge.layout, head[3], data, size);
	data += taken;
	size -= taken;
	merge.stats = (struct perf_stats){ 0 };
	for (int i = 0; i < 2; i++) {
		for (uint64_t source = 0; source < SAMPLE_SOURCES; source++)
			watch[i].id[source] = source + 1;
		assert(merge_add(&merge, &watch[i]) == 0);
	}
	first = fill(&watch[0], &memory[0], head[0] * 8, data, size * head[1] / 256);
	fill(&watch[1], &memory[1], RING - head[0] * 8, data + first, size - first);
	decode_alone(&merge.layout, data, first);
	if (head[2])
		merge_read(&merge, (uint64_t)head[2] << 32, check, &handed_on);
	merge_read(&merge, UINT64_MAX, check, &handed_on);
	assert(handed_on == merge.stats.records);
	for (int i = 0; i < 2; i++)
		assert(watch[i].ring.at == watch[i].ring.end &&
		       memory[i].control.data_tail == memory[i].control.data_head);
	merge.count = 0;
	return 0;
}
