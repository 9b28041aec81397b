// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Waking. A descriptor of an event is readable when its ring's watermark (half of it) is passed,
 * or when an event with wakeup_events fires. Beside the exec event that carries the data there is
 * one on the same tracepoint that carries nothing and wakes; it alone is switched off and on, so
 * that no exec is missed or doubled by it.
 */
#include "perf.h"

#include "cpulist.h"
#include "merge.h"
#include "points.h"
#include "procfs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#define RING_BYTES_DEFAULT (512 * 1024)	/* with its control page just kernel.perf_event_mlock_kb */
#define RING_BYTES_MAX (64 * 1024 * 1024)
#define ONLINE "/sys/devices/system/cpu/online"
#define ONLINE_BYTES 512		/* of a longer list this much is compared */

struct perf {
	int epoll;
	bool wake_on_exec;
	struct watch_config config;
	uint64_t passed_before;		/* by watches closed since */
	bool came_late;			/* a CPU was online before it was watched */
	bool incomplete;		/* a CPU is online and cannot be watched */
	bool coming;			/* one is in the list and not ready: it comes, or goes */
	int online_fd;
	char online[ONLINE_BYTES];	/* the list as it was when all was last brought up to date */
	struct merge merge;
};

static void watches_remove(struct perf *p, uint32_t i)
{
	struct watch *w = p->merge.watches[i];

	p->passed_before += watch_passed(w);
	merge_remove(&p->merge, i);
	watch_close(w);
}

int perf_read(struct perf *p, uint64_t until_ns, perf_handler *handler, void *data)
{
	int handed_on;

	if (p->came_late || p->incomplete) {
		merge_tell_lost(&p->merge, 0, 0, handler, data);
		p->came_late = false;
	}
	handed_on = merge_read(&p->merge, until_ns, handler, data);
	for (uint32_t i = p->merge.count; i-- > 0;) {
		struct watch *w = p->merge.watches[i];

		if (!w->gone || w->ring.at != w->ring.end)
			continue;
		if (w->in_doubt)
			merge_end_doubt(&p->merge, w, handler, data);
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
	for (uint32_t i = 0; i < p->merge.count; i++) {
		error = watch_wake_on_exec(p->merge.watches[i], on);
		if (error)
			return error;
	}
	p->wake_on_exec = on;
	return 0;
}

uint64_t perf_passed(const struct perf *p)
{
	uint64_t sum = p->passed_before;

	for (uint32_t i = 0; i < p->merge.count; i++)
		sum += watch_passed(p->merge.watches[i]);
	return sum;
}

int perf_count_connects(struct perf *p)
{
	int error = 0;

	for (uint32_t i = 0; i < p->merge.count && !error; i++)
		if (!p->merge.watches[i]->gone)
			error = watch_count(p->merge.watches[i]);
	return error;
}

unsigned int perf_counters(const struct perf *p, int *fds, unsigned int max)
{
	unsigned int count = 0;

	for (uint32_t i = 0; i < p->merge.count; i++) {
		if (p->merge.watches[i]->gone)
			continue;
		if (count < max)
			fds[count] = p->merge.watches[i]->counter;
		count++;
	}
	return count;
}

int perf_counted(int fd, uint64_t *count)
{
	uint64_t reading[2];

	/* A counter's reading is that long and no longer. */
	if (read(fd, reading, sizeof(reading)) != sizeof(reading[0]))
		return -EBADF;
	*count = reading[0];
	return 0;
}

bool perf_cpu(const struct perf *p, unsigned int i, uint32_t *cpu)
{
	if (i >= p->merge.count)
		return false;
	*cpu = p->merge.watches[i]->cpu;
	return true;
}

bool perf_reports_errors(const struct perf *p)
{
	return p->config.source[SAMPLE_SOCKET_ERROR].wanted;
}

const struct perf_stats *perf_stats(const struct perf *p)
{
	return &p->merge.stats;
}

static int watches_add(struct perf *p, uint32_t cpu, const char **why)
{
	struct epoll_event event = { .events = EPOLLIN };
	struct watch *w;
	int error = watch_open(&w, &p->config, cpu, why);

	if (error)
		return error;
	if (!p->wake_on_exec)
		error = watch_wake_on_exec(w, false);
	if (!error && epoll_ctl(p->epoll, EPOLL_CTL_ADD, watch_fd(w), &event) < 0)
		error = -errno;
	if (!error)
		error = merge_add(&p->merge, w);
	if (error) {
		watch_close(w);
		return error;
	}
	return 0;
}

static int online_read(bool online[static CPULIST_MAX])
{
	char text[CPULIST_BYTES];
	ssize_t len = procfs_read(AT_FDCWD, ONLINE, text, sizeof(text));

	return len < 0 ? (int)len : cpulist_parse(text, (size_t)len, online);
}

/* Takes those that stopped out of the set that wakes us; perf_read closes them once empty. */
static void watches_retire(struct perf *p)
{
	for (uint32_t i = 0; i < p->merge.count; i++) {
		struct watch *w = p->merge.watches[i];

		if (w->gone || watch_is_alive(w))
			continue;
		epoll_ctl(p->epoll, EPOLL_CTL_DEL, watch_fd(w), NULL);
		watch_stop(w);
		w->gone = true;
	}
}

/* Text of zeroes if it cannot be read. */
static void online_list(const struct perf *p, char list[static ONLINE_BYTES])
{
	ssize_t len = pread(p->online_fd, list, ONLINE_BYTES, 0);

	len = len < 0 ? 0 : len;
	memset(list + len, 0, ONLINE_BYTES - (size_t)len);
}

bool perf_cpus_changed(const struct perf *p)
{
	char list[ONLINE_BYTES];

	online_list(p, list);
	return memcmp(list, p->online, ONLINE_BYTES) != 0;
}

static int watch_new_cpus(struct perf *p)
{
	bool online[CPULIST_MAX];
	const char *why;
	int missing = 0, error = online_read(online);

	if (error)
		return error;
	watches_retire(p);
	for (uint32_t i = 0; i < p->merge.count; i++)
		if (!p->merge.watches[i]->gone)
			online[p->merge.watches[i]->cpu] = false;
	for (uint32_t cpu = 0; cpu < CPULIST_MAX; cpu++) {
		if (!online[cpu])
			continue;
		error = watches_add(p, cpu, &why);
		if (error == -ENOMEM)
			return error;
		if (error == -ENODEV)
			p->coming = true;
		if (error) {
			missing++;
			continue;
		}
		p->came_late = true;
		p->merge.stats.late++;
	}
	return missing;
}

int perf_update_cpus(struct perf *p)
{
	int missing;

	/* Before, so that a change meanwhile is one for the next time. */
	online_list(p, p->online);
	p->coming = false;
	missing = watch_new_cpus(p);
	if (missing < 0 || p->coming)	/* perf_cpus_changed() says so until it is known */
		memset(p->online, 0, ONLINE_BYTES);
	p->incomplete = missing != 0;
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
	bool online[CPULIST_MAX];
	int error = online_read(online);

	if (error) {
		*why = ONLINE " cannot be read";
		return error;
	}
	for (uint32_t cpu = 0; cpu < CPULIST_MAX && !error; cpu++) {
		if (!online[cpu])
			continue;
		error = watches_add(p, cpu, why);
		if (error != -ENODEV)
			continue;
		p->coming = p->incomplete = true;
		error = 0;
	}
	if (p->coming)
		memset(p->online, 0, ONLINE_BYTES);
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
	p->online_fd = error ? -1 : open(ONLINE, O_RDONLY | O_CLOEXEC);
	if (!error && p->online_fd < 0) {
		error = -errno;
		*why = ONLINE " cannot be read";
	}
	if (!error)
		error = points_load(&p->config, &p->merge.layout, config, why);
	if (!error) {
		online_list(p, p->online);
		error = watches_open(p, why);
	}
	if (error) {
		perf_close(p);
		return error;
	}
	*why = p->config.lacks;
	*out = p;
	return 0;
}

void perf_close(struct perf *p)
{
	if (!p)
		return;
	for (uint32_t i = p->merge.count; i-- > 0;)
		watch_close(p->merge.watches[i]);
	if (p->online_fd >= 0)
		close(p->online_fd);
	if (p->epoll >= 0)
		close(p->epoll);
	merge_fini(&p->merge);
	free(p);
}
