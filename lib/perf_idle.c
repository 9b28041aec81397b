// SPDX-License-Identifier: GPL-2.0-or-later
#include "perf.h"
#include "tracefs.h"

#include <errno.h>
#include <linux/perf_event.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define NAP_NS 1000000
#define NAPS_MAX 100
#define ENTRIES_NEEDED 10

static int switch_id(uint32_t *id)
{
	char *format = malloc(TRACEFS_FORMAT_MAX);
	int fd, len;

	if (!format)
		return -ENOMEM;
	fd = tracefs_open();
	len = fd;
	if (fd >= 0) {
		len = tracefs_read_format(fd, "sched/sched_switch", format, TRACEFS_FORMAT_MAX);
		close(fd);
	}
	if (len >= 0)
		len = tracefs_format_id(format, len, id);
	free(format);
	return len;
}

/* It counts from when it has its filter. */
static int switch_open(uint32_t id, uint32_t cpu, const char *filter)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_TRACEPOINT,
		.size = sizeof(attr),
		.config = id,
		.sample_period = 1,
		.sample_type = PERF_SAMPLE_TIME,
		.disabled = 1,
	};
	int fd = syscall(SYS_perf_event_open, &attr, -1, (int)cpu, -1, PERF_FLAG_FD_CLOEXEC);
	int error;

	if (fd < 0)
		return -errno;
	if (ioctl(fd, PERF_EVENT_IOC_SET_FILTER, filter) < 0 ||
	    ioctl(fd, PERF_EVENT_IOC_ENABLE, 0) < 0) {
		error = -errno;
		close(fd);
		return error;
	}
	return fd;
}

/* Sleeps on this CPU until its idle task was entered often enough, or back from it was seen. */
static int nap(int in, int out, uint64_t *entered, uint64_t *left)
{
	const struct timespec nap = { .tv_nsec = NAP_NS };

	*entered = *left = 0;
	for (int i = 0; i < NAPS_MAX && *entered < ENTRIES_NEEDED && !*left; i++) {
		nanosleep(&nap, NULL);
		if (read(in, entered, sizeof(*entered)) != sizeof(*entered) ||
		    read(out, left, sizeof(*left)) != sizeof(*left))
			return -EIO;
	}
	return 0;
}

static int nap_on(uint32_t cpu, int in, int out, uint64_t *entered, uint64_t *left)
{
	size_t size = CPU_ALLOC_SIZE(cpu + 1);
	cpu_set_t before, *one;
	int error;

	if (sched_getaffinity(0, sizeof(before), &before) < 0)
		return -errno;
	one = CPU_ALLOC(cpu + 1);
	if (!one)
		return -ENOMEM;
	CPU_ZERO_S(size, one);
	CPU_SET_S(cpu, size, one);
	if (sched_setaffinity(0, size, one) < 0)
		error = -errno;
	else
		error = nap(in, out, entered, left);
	CPU_FREE(one);
	sched_setaffinity(0, sizeof(before), &before);
	return error;
}

int perf_probe_idle(uint32_t cpu)
{
	uint64_t entered = 0, left = 0;
	uint32_t id = 0;
	int in = -1, out = -1, error;

	error = switch_id(&id);
	if (error)
		return error;
	/* The switch to the idle task is reported by the task before it, the one back by itself. */
	in = switch_open(id, cpu, "next_pid == 0");
	out = in < 0 ? in : switch_open(id, cpu, "prev_pid == 0");
	error = out < 0 ? out : nap_on(cpu, in, out, &entered, &left);
	if (out >= 0)
		close(out);
	if (in >= 0)
		close(in);
	if (error)
		return error;
	if (left)
		return 0;
	return entered >= ENTRIES_NEEDED ? PERF_IDLE_SILENT : PERF_IDLE_UNKNOWN;
}
