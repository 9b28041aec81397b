// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Two rings filled with whatever comes. Input: where the rings start (8 bytes each step), how much
 * of the rest is the first ring's (in 256ths), whether the clock is limited, one byte unused; then
 * the rings' bytes.
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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct ring_memory memory[2];
	static struct merge merge;
	struct watch watch[2] = { { .cpu = 0 }, { .cpu = 1 } };
	uint64_t handed_on = 0;
	size_t first;

	if (size < 4)
		return 0;
	merge.layout = real;
	merge.stats = (struct perf_stats){ 0 };
	for (int i = 0; i < 2; i++) {
		for (uint64_t source = 0; source < SAMPLE_SOURCES; source++)
			watch[i].id[source] = source + 1;
		assert(merge_add(&merge, &watch[i]) == 0);
	}
	first = (size - 4) * data[1] / 256;
	first = fill(&watch[0], &memory[0], data[0] * 8, data + 4, first);
	fill(&watch[1], &memory[1], RING - data[0] * 8, data + 4 + first, size - 4 - first);
	if (data[2])
		merge_read(&merge, (uint64_t)data[2] << 32, check, &handed_on);
	merge_read(&merge, UINT64_MAX, check, &handed_on);
	assert(handed_on == merge.stats.records);
	for (int i = 0; i < 2; i++)
		assert(watch[i].ring.at == watch[i].ring.end &&
		       memory[i].control.data_tail == memory[i].control.data_head);
	merge.count = 0;
	return 0;
}
