// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * How it works. Every online CPU has one ring, into which all our events on that CPU write: the
 * socket tracepoints, exec, and the kernel's own FORK, COMM and EXIT records. Filters run in the
 * kernel, so that accepted connections, listening sockets and incoming route lookups cost nothing
 * here. perf_read looks once how far each ring is written, then takes the oldest record of all
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
 * Waking. A descriptor of an event is readable when its ring's watermark (half of it) is passed,
 * or when an event with wakeup_events fires. Beside the exec event that carries the data there is
 * one on the same tracepoint that carries nothing and wakes; it alone is switched off and on, so
 * that no exec is missed or doubled by it.
 */
#include "perf.h"

#include "points.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#define RING_BYTES_DEFAULT (512 * 1024)	/* with its control page just kernel.perf_event_mlock_kb */
#define RING_BYTES_MAX (64 * 1024 * 1024)
#define CPU_MAX 8192			/* the most that Linux can be built for */

struct head {
	uint64_t time_ns;
	struct watch *watch;
};

struct perf {
	int epoll;
	bool wake_on_exec;
	struct watch_config config;
	struct sample_layout layout;
	struct watch **watches;
	struct head *heap;		/* as much room as watches */
	uint32_t count, heap_count;
	uint64_t passed_before;		/* by watches closed since */
	struct perf_stats stats;
	uint8_t scratch[RING_RECORD_MAX];
};

static void heap_sift(struct perf *p, uint32_t i)
{
	struct head moving = p->heap[i];
	uint32_t child;

	while ((child = 2 * i + 1) < p->heap_count) {
		if (child + 1 < p->heap_count &&
		    p->heap[child + 1].time_ns < p->heap[child].time_ns)
			child++;
		if (p->heap[child].time_ns >= moving.time_ns)
			break;
		p->heap[i] = p->heap[child];
		i = child;
	}
	p->heap[i] = moving;
}

static void heap_pop(struct perf *p)
{
	p->heap[0] = p->heap[--p->heap_count];
	if (p->heap_count)
		heap_sift(p, 0);
}

static void lost_hand_on(struct perf *p, const struct watch *w, uint64_t time_ns, uint64_t count,
			 perf_handler *handler, void *data)
{
	struct perf_event event = {
		.kind = PERF_LOST, .time_ns = time_ns, .cpu = w->cpu, .lost.count = count,
	};

	p->stats.lost += count;
	p->stats.records++;
	handler(&event, data);
}

/* Finds the time of the ring's next record that has one. Returns false if there is none. */
static bool head_find(struct perf *p, struct watch *w, uint64_t *time_ns, perf_handler *handler,
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
		p->stats.invalid++;
		ring_next(&w->ring);
	}
	if (broken) {
		p->stats.invalid++;
		lost_hand_on(p, w, 0, 1, handler, data);
	}
	return false;
}

static void heap_fill(struct perf *p, perf_handler *handler, void *data)
{
	p->heap_count = 0;
	for (uint32_t i = 0; i < p->count; i++) {
		struct head *head = &p->heap[p->heap_count];
		struct watch *w = p->watches[i];

		if (!ring_begin(&w->ring)) {
			p->stats.invalid++;
			lost_hand_on(p, w, 0, 1, handler, data);
		}
		if (head_find(p, w, &head->time_ns, handler, data)) {
			head->watch = w;
			p->heap_count++;
		}
	}
	for (uint32_t i = p->heap_count / 2; i-- > 0;)
		heap_sift(p, i);
}

/* Hands on the record that stands next in w's ring. Returns 1 if there was one to hand on. */
static int record_hand_on(struct perf *p, struct watch *w, perf_handler *handler, void *data)
{
	const struct perf_event_header *header = ring_record(&w->ring, p->scratch);
	enum sample_source source = SAMPLE_PROCESS;
	struct perf_event event;
	int result;

	if (header->type == PERF_RECORD_SAMPLE) {
		source = watch_source(w, ring_word(&w->ring, SAMPLE_ID_OFFSET));
		if (source == SAMPLE_SOURCES) {
			p->stats.invalid++;
			return 0;
		}
	}
	result = sample_decode(&p->layout, source, header, &event);
	if (result < 0)
		p->stats.invalid++;
	if (result)
		return 0;
	event.cpu = w->cpu;
	p->stats.records++;
	if (event.kind == PERF_LOST)
		p->stats.lost += event.lost.count;
	else if (event.kind == PERF_SOCKET_STATE)
		p->stats.transitions++;
	handler(&event, data);
	return 1;
}

static void watches_remove(struct perf *p, uint32_t i)
{
	struct watch *w = p->watches[i];

	p->passed_before += watch_passed(w);
	watch_close(w);
	p->watches[i] = p->watches[--p->count];
}

int perf_read(struct perf *p, uint64_t until_ns, perf_handler *handler, void *data)
{
	int handed_on = 0;

	heap_fill(p, handler, data);
	while (p->heap_count && p->heap[0].time_ns <= until_ns) {
		struct watch *w = p->heap[0].watch;

		handed_on += record_hand_on(p, w, handler, data);
		ring_next(&w->ring);
		if (!head_find(p, w, &p->heap[0].time_ns, handler, data))
			heap_pop(p);
		else
			heap_sift(p, 0);
	}
	for (uint32_t i = p->count; i-- > 0;) {
		struct ring *ring = &p->watches[i]->ring;

		ring_release(ring);
		if (p->watches[i]->gone && ring->at == ring->end)
			watches_remove(p, i);
	}
	return handed_on;
}

int perf_fd(const struct perf *p)
{
	return p->epoll;
}

int perf_wake_on_exec(struct perf *p, bool on)
{
	int error;

	if (p->wake_on_exec == on)
		return 0;
	for (uint32_t i = 0; i < p->count; i++) {
		error = watch_wake_on_exec(p->watches[i], on);
		if (error)
			return error;
	}
	p->wake_on_exec = on;
	return 0;
}

uint64_t perf_passed(const struct perf *p)
{
	uint64_t sum = p->passed_before;

	for (uint32_t i = 0; i < p->count; i++)
		sum += watch_passed(p->watches[i]);
	return sum;
}

const struct perf_stats *perf_stats(const struct perf *p)
{
	return &p->stats;
}

/* Room for one more watch in both arrays. */
static int watches_grow(struct perf *p)
{
	struct watch **watches = reallocarray(p->watches, p->count + 1, sizeof(*watches));
	struct head *heap;

	if (!watches)
		return -ENOMEM;
	p->watches = watches;
	heap = reallocarray(p->heap, p->count + 1, sizeof(*heap));
	if (!heap)
		return -ENOMEM;
	p->heap = heap;
	return 0;
}

static int watches_add(struct perf *p, uint32_t cpu, const char **why)
{
	struct epoll_event event = { .events = EPOLLIN };
	struct watch *w;
	int error = watches_grow(p);

	if (!error)
		error = watch_open(&w, &p->config, cpu, why);
	if (error)
		return error;
	if (!p->wake_on_exec)
		error = watch_wake_on_exec(w, false);
	if (!error && epoll_ctl(p->epoll, EPOLL_CTL_ADD, watch_fd(w), &event) < 0)
		error = -errno;
	if (error) {
		watch_close(w);
		return error;
	}
	watch_is_alive(w);
	p->watches[p->count++] = w;
	return 0;
}

/* Reads the list of online CPUs ("0-3,6") into one bool each. */
static int online_read(bool online[static CPU_MAX])
{
	FILE *file = fopen("/sys/devices/system/cpu/online", "re");
	unsigned int first, last;
	int n, result = 0;
	char separator;

	if (!file)
		return -errno;
	memset(online, 0, CPU_MAX * sizeof(*online));
	do {
		separator = '\n';
		n = fscanf(file, "%u%c", &first, &separator);
		last = first;
		if (n >= 1 && separator == '-')
			n = fscanf(file, "%u%c", &last, &separator);
		if (n < 1 || first > last || last >= CPU_MAX) {
			result = -EBADMSG;
			break;
		}
		memset(online + first, 1, (last - first + 1) * sizeof(*online));
	} while (separator == ',');
	fclose(file);
	return result;
}

/* Takes those that stopped out of the set that wakes us; perf_read closes them once empty. */
static void watches_retire(struct perf *p)
{
	for (uint32_t i = 0; i < p->count; i++) {
		struct watch *w = p->watches[i];

		if (w->gone || watch_is_alive(w))
			continue;
		w->gone = true;
		epoll_ctl(p->epoll, EPOLL_CTL_DEL, watch_fd(w), NULL);
	}
}

int perf_update_cpus(struct perf *p)
{
	bool online[CPU_MAX];
	const char *why;
	int missing = 0, error = online_read(online);

	if (error)
		return error;
	watches_retire(p);
	for (uint32_t i = 0; i < p->count; i++)
		if (!p->watches[i]->gone)
			online[p->watches[i]->cpu] = false;
	for (uint32_t cpu = 0; cpu < CPU_MAX; cpu++) {
		if (!online[cpu])
			continue;
		error = watches_add(p, cpu, &why);
		if (error == -ENOMEM)
			return error;
		if (error && error != -ENODEV)
			missing++;
	}
	return missing;
}

static size_t ring_bytes(uint32_t wanted)
{
	size_t bytes = sysconf(_SC_PAGESIZE);

	if (wanted == 0)
		wanted = RING_BYTES_DEFAULT;
	while (bytes < wanted && bytes < RING_BYTES_MAX)
		bytes *= 2;
	return bytes;
}

static int watches_open(struct perf *p, const char **why)
{
	bool online[CPU_MAX];
	int error = online_read(online);

	if (error) {
		*why = "/sys/devices/system/cpu/online cannot be read";
		return error;
	}
	for (uint32_t cpu = 0; cpu < CPU_MAX && !error; cpu++) {
		if (!online[cpu])
			continue;
		error = watches_add(p, cpu, why);
		if (error == -ENODEV)	/* it left just now */
			error = 0;
	}
	return error;
}

int perf_open(struct perf **out, const struct perf_config *config, const char **why)
{
	const char *unused;
	struct perf *p = calloc(1, sizeof(*p));
	int error;

	why = why ? why : &unused;
	*why = "out of memory";
	if (!p)
		return -ENOMEM;
	p->wake_on_exec = true;
	p->config.ring_bytes = ring_bytes(config->ring_bytes);
	p->epoll = epoll_create1(EPOLL_CLOEXEC);
	error = p->epoll < 0 ? -errno : 0;
	if (error)
		*why = "too few file descriptors (RLIMIT_NOFILE)";
	if (!error)
		error = points_load(&p->config, &p->layout, config, why);
	if (!error)
		error = watches_open(p, why);
	if (error) {
		perf_close(p);
		return error;
	}
	*why = "";
	*out = p;
	return 0;
}

void perf_close(struct perf *p)
{
	if (!p)
		return;
	for (uint32_t i = p->count; i-- > 0;)
		watch_close(p->watches[i]);
	if (p->epoll >= 0)
		close(p->epoll);
	free(p->heap);
	free(p->watches);
	free(p);
}
