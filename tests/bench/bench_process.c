// SPDX-License-Identifier: GPL-2.0-or-later
/* What the process table costs: life records alone, and reading /proc. */
#include "process.h"

#include <fcntl.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define CYCLES 1000000u
#define READS 2000u
#define FIRST_PID 5000000u
#define PIDS 30000u

static uint64_t clock_ns(clockid_t id)
{
	struct timespec now;

	clock_gettime(id, &now);
	return now.tv_sec * 1000000000ull + now.tv_nsec;
}

static uint64_t cpu_ns(void)
{
	return clock_ns(CLOCK_PROCESS_CPUTIME_ID);
}

static void report(const char *what, uint64_t begin_ns, uint64_t count)
{
	printf("%-44s %8.2f us of CPU\n", what, (cpu_ns() - begin_ns) / 1e3 / count);
}

static void bench_cycles(struct process_table *t, uint32_t parent)
{
	uint64_t begin = cpu_ns(), first_ns = clock_ns(CLOCK_MONOTONIC);

	for (uint32_t i = 0; i < CYCLES; i++) {
		uint64_t time_ns = first_ns + i * 1000ull;
		uint32_t pid = FIRST_PID + i % PIDS;

		process_fork(t, time_ns, pid, pid, parent, parent);
		process_comm(t, time_ns, pid, pid, "program");
		process_exec(t, time_ns, pid, "/usr/bin/program");
		process_exit(t, time_ns, pid, pid);
	}
	report("fork, rename, exec, exit", begin, CYCLES);
}

static void bench_forks(struct process_table *t, uint32_t parent)
{
	uint64_t begin = cpu_ns(), first_ns = clock_ns(CLOCK_MONOTONIC);

	for (uint32_t i = 0; i < CYCLES; i++) {
		uint32_t pid = FIRST_PID + i % PIDS;

		process_fork(t, first_ns + i * 1000ull, pid, pid, parent, parent);
		process_exit(t, first_ns + i * 1000ull, pid, pid);
	}
	report("fork, exit", begin, CYCLES);
}

static void bench_refresh(struct process_table *t, struct process *p)
{
	uint64_t begin = cpu_ns();

	for (uint32_t i = 0; i < READS; i++)
		p = process_refresh(t, p);
	report("look again at a process", begin, READS);
}

int main(void)
{
	struct process_config config = {
		.max_processes = 65536, .linger_ns = 10000000000ull,
		.command_line_max_bytes = 4096, .proc_fd = open("/proc", O_PATH | O_DIRECTORY),
	};
	struct process_table *t;
	struct process *self;
	uint64_t begin;

	if (config.proc_fd < 0 || process_table_new(&t, &config)) {
		perror("process table");
		return 1;
	}
	begin = cpu_ns();
	if (process_scan(t))
		return 1;
	report("read a process, all of them, first time", begin, process_stats(t)->reads);
	self = process_get(t, getpid());
	begin = cpu_ns();
	for (uint32_t i = 0; i < READS; i++) {
		self->known &= ~(uint32_t)PROCESS_READ;
		process_read(t, self);
	}
	report("read one process", begin, READS);
	bench_refresh(t, self);
	bench_forks(t, getpid());
	bench_cycles(t, getpid());
	printf("%-44s %8zu bytes\n", "an image without its strings", sizeof(*self));
	process_table_free(t);
	close(config.proc_fd);
	return 0;
}
