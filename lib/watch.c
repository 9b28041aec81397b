// SPDX-License-Identifier: GPL-2.0-or-later
#include "watch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* The first one owns the ring. Started in this order: lives before connects, and stopped by
 * closing in the reverse order. */
static const enum sample_source order[] = {
	SAMPLE_PROCESS, SAMPLE_EXEC, SAMPLE_WAKE, SAMPLE_SOCKET_ERROR, SAMPLE_ROUTE,
	SAMPLE_SOCKET_STATE,
};
#define ORDER_COUNT (sizeof(order) / sizeof(order[0]))

static void attr_fill(struct perf_event_attr *attr, const struct watch_config *config,
		      enum sample_source source)
{
	*attr = (struct perf_event_attr){
		.type = PERF_TYPE_TRACEPOINT,
		.size = sizeof(*attr),
		.config = config->source[source].id,
		.sample_period = 1,
		.sample_type = config->sample_type,
		.read_format = PERF_FORMAT_TOTAL_TIME_ENABLED,
		.disabled = 1,
		.sample_id_all = 1,
		.use_clockid = 1,
		.clockid = CLOCK_MONOTONIC,
		.watermark = 1,
		.wakeup_watermark = config->ring_bytes / 2,
	};
	if (source == SAMPLE_PROCESS) {
		attr->type = PERF_TYPE_SOFTWARE;
		attr->config = PERF_COUNT_SW_DUMMY;
		attr->sample_period = 0;
		attr->task = 1;
		attr->comm = 1;
		attr->comm_exec = 1;
	} else if (source == SAMPLE_WAKE) {
		attr->sample_type = SAMPLE_TYPE_BASE;
		attr->watermark = 0;
		attr->wakeup_events = 1;
	}
}

static int event_open(struct watch *w, const struct watch_config *config,
		      enum sample_source source, const char **why)
{
	struct perf_event_attr attr;
	int fd;

	attr_fill(&attr, config, source);
	fd = syscall(SYS_perf_event_open, &attr, -1, (int)w->cpu, -1, PERF_FLAG_FD_CLOEXEC);
	if (fd < 0) {
		*why = errno == EMFILE ? "too few file descriptors (RLIMIT_NOFILE)" :
		       errno == ENODEV ? "the CPU is offline" :
		       errno == EACCES || errno == EPERM ?
		       "no permission to read tracepoints (CAP_PERFMON, lockdown)" :
		       "perf_event_open refused the event";
		return -errno;
	}
	w->fd[source] = fd;
	if (ioctl(fd, PERF_EVENT_IOC_ID, &w->id[source]) < 0) {
		*why = "the kernel does not number perf events";
		return -errno;
	}
	return 0;
}

static int ring_map(struct watch *w, const struct watch_config *config, const char **why)
{
	size_t page = sysconf(_SC_PAGESIZE);

	w->memory_bytes = page + config->ring_bytes;
	w->memory = mmap(NULL, w->memory_bytes, PROT_READ | PROT_WRITE, MAP_SHARED,
			 w->fd[SAMPLE_PROCESS], 0);
	if (w->memory == MAP_FAILED) {
		w->memory = NULL;
		*why = errno == EPERM ?
		       "the rings are larger than kernel.perf_event_mlock_kb (or CAP_IPC_LOCK)" :
		       "no memory for the rings";
		return -errno;
	}
	ring_init(&w->ring, w->memory, page, config->ring_bytes);
	return 0;
}

static int event_attach(struct watch *w, const struct watch_config *config,
			enum sample_source source, const char **why)
{
	const char *filter = config->source[source].filter;
	int fd = w->fd[source];

	if (source != SAMPLE_PROCESS &&
	    ioctl(fd, PERF_EVENT_IOC_SET_OUTPUT, w->fd[SAMPLE_PROCESS]) < 0) {
		*why = "the kernel does not let events share a ring";
		return -errno;
	}
	if (*filter && ioctl(fd, PERF_EVENT_IOC_SET_FILTER, filter) < 0) {
		*why = "the kernel refused a tracepoint filter";
		return -errno;
	}
	return 0;
}

/* Counts only, and takes no time until it is told to. */
static int counter_open(struct watch *w, const struct watch_config *config, const char **why)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_TRACEPOINT,
		.size = sizeof(attr),
		.config = config->source[SAMPLE_SOCKET_STATE].id,
		.disabled = 1,
	};

	w->counter = syscall(SYS_perf_event_open, &attr, -1, (int)w->cpu, -1, PERF_FLAG_FD_CLOEXEC);
	if (w->counter < 0 || ioctl(w->counter, PERF_EVENT_IOC_SET_FILTER, config->connects) < 0) {
		*why = errno == EMFILE ? "too few file descriptors (RLIMIT_NOFILE)" :
					 "the kernel refused a tracepoint that counts";
		return -errno;
	}
	return 0;
}

static int events_start(struct watch *w, const char **why)
{
	for (size_t i = 0; i < ORDER_COUNT; i++) {
		if (w->fd[order[i]] >= 0 && ioctl(w->fd[order[i]], PERF_EVENT_IOC_ENABLE, 0) < 0) {
			*why = "the kernel does not start a perf event";
			return -errno;
		}
	}
	return 0;
}

int watch_open(struct watch **out, const struct watch_config *config, uint32_t cpu,
	       const char **why)
{
	struct watch *w = calloc(1, sizeof(*w));
	int error = 0;

	if (!w)
		return -ENOMEM;
	w->cpu = cpu;
	w->counter = -1;
	for (int i = 0; i < SAMPLE_SOURCES; i++)
		w->fd[i] = -1;
	for (size_t i = 0; i < ORDER_COUNT && !error; i++) {
		if (!config->source[order[i]].wanted)
			continue;
		error = event_open(w, config, order[i], why);
		if (!error && order[i] == SAMPLE_PROCESS)
			error = ring_map(w, config, why);
		if (!error)
			error = event_attach(w, config, order[i], why);
	}
	if (!error && config->connects[0])
		error = counter_open(w, config, why);
	if (!error)
		error = events_start(w, why);
	if (error) {
		watch_close(w);
		return error;
	}
	*out = w;
	return 0;
}

void watch_close(struct watch *w)
{
	if (!w)
		return;
	if (w->counter >= 0)
		close(w->counter);
	for (size_t i = ORDER_COUNT; i-- > 0;)
		if (w->fd[order[i]] >= 0)
			close(w->fd[order[i]]);
	if (w->memory)
		munmap(w->memory, w->memory_bytes);
	free(w);
}

int watch_fd(const struct watch *w)
{
	return w->fd[SAMPLE_PROCESS];
}

enum sample_source watch_source(const struct watch *w, uint64_t id)
{
	for (size_t i = ORDER_COUNT; i-- > 0;)
		if (w->id[order[i]] == id)
			return order[i];
	return SAMPLE_SOURCES;
}

int watch_wake_on_exec(struct watch *w, bool on)
{
	unsigned long request = on ? PERF_EVENT_IOC_ENABLE : PERF_EVENT_IOC_DISABLE;

	return ioctl(w->fd[SAMPLE_WAKE], request, 0) < 0 ? -errno : 0;
}

int watch_count(struct watch *w)
{
	return ioctl(w->counter, PERF_EVENT_IOC_ENABLE, 0) < 0 ? -errno : 0;
}

struct reading {
	uint64_t count;
	uint64_t enabled_ns;
};

static bool event_read(int fd, struct reading *out)
{
	return read(fd, out, sizeof(*out)) == sizeof(*out);
}

/* Without a TSC that can be trusted (virtual machines) perf's clock is the timer tick: a hundredth
 * of a second at HZ=100, and a tick may come late. */
#define TICK_NS 11000000
#define TICKS 5

bool watch_is_alive(const struct watch *w)
{
	const struct timespec tick = { .tv_nsec = TICK_NS };
	struct reading first, next;

	if (!event_read(w->fd[SAMPLE_PROCESS], &first))
		return false;
	for (int i = 0; i < TICKS && event_read(w->fd[SAMPLE_PROCESS], &next); i++) {
		if (next.enabled_ns != first.enabled_ns)
			return true;
		nanosleep(&tick, NULL);
	}
	return false;
}

void watch_stop(struct watch *w)
{
	for (size_t i = ORDER_COUNT; i-- > 0;)
		if (w->fd[order[i]] >= 0)
			ioctl(w->fd[order[i]], PERF_EVENT_IOC_DISABLE, 0);
}

uint64_t watch_passed(const struct watch *w)
{
	struct reading reading;

	return event_read(w->fd[SAMPLE_SOCKET_STATE], &reading) ? reading.count : 0;
}
