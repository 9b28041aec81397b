// SPDX-License-Identifier: GPL-2.0-or-later
/* Many idle processes, many short ones: nearly all are named, none wrongly. */
#include "world.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define IDLE 500
#define DESCRIPTORS 40
#define PER_SECOND 100
#define CONNECTIONS 300
#define HOLD_MS 20	/* found by sock_diag */
#define HOLD_PROC_MS 200	/* reading /proc/net/tcp alone takes 7 ms where the kernel has
				 * 262144 hash buckets, whatever is in them, and it is read twice */
#define BATCH_MS 10	/* as packets come from NFLOG */
#define BATCH_MAX 64

struct truth {
	uint64_t connect_ns;
	uint32_t pid;
	struct tuple tuple;
};

struct tally {
	unsigned int asked, named, wrong, late, rungs[OWNER_TRACE + 1];
	uint64_t lookup_ns, worst_ns, batches;
};

static void sleep_ms(unsigned int ms)
{
	struct timespec ts = { ms / 1000, ms % 1000 * 1000000L };

	while (nanosleep(&ts, &ts) < 0 && errno == EINTR)
		;
}

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

static void connect_and_hold(const struct pair *p, int report, unsigned int hold_ms)
{
	struct sockaddr_storage to;
	socklen_t len = sizeof(to);
	struct truth truth = { .pid = getpid() };
	int fd;

	if (getsockname(p->listener, (void *)&to, &len) < 0)
		_exit(1);
	fd = socket(to.ss_family, SOCK_STREAM, 0);
	if (fd < 0 || connect(fd, (void *)&to, len) < 0)
		_exit(1);
	truth.connect_ns = clock_ns(CLOCK_MONOTONIC);
	truth.tuple = tuple_of(fd, IPPROTO_TCP);
	if (write(report, &truth, sizeof(truth)) != sizeof(truth))
		_exit(1);
	sleep_ms(hold_ms);
	_exit(0);
}

static void be_idle(int report)
{
	close(report);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (int i = 0; i < DESCRIPTORS; i++) {
		int fd = i % 4 ? open("/dev/null", O_RDONLY) : socket(AF_INET, SOCK_STREAM, 0);

		if (fd < 0)
			_exit(1);
	}
	for (;;)
		pause();
}

/* Runs beside the test; its children end with it. */
static pid_t start_load(const struct pair *p, int report, unsigned int hold_ms)
{
	pid_t load = fork();

	if (load != 0)
		return load;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (int i = 0; i < IDLE; i++) {
		if (fork() == 0)
			be_idle(report);
	}
	signal(SIGCHLD, SIG_IGN);
	sleep_ms(500);
	for (int i = 0; i < CONNECTIONS; i++) {
		if (fork() == 0)
			connect_and_hold(p, report, hold_ms);
		sleep_ms(1000 / PER_SECOND * world_slow());
	}
	sleep_ms(hold_ms);
	_exit(0);
}

/* Unnamed counts as late if this machine let us answer only when the process had ended. */
static void judge(struct tally *tally, const struct truth *truth, const struct owner_query *q,
		  bool late)
{
	tally->asked++;
	tally->rungs[q->rung]++;
	if (!q->process)
		tally->late += late;
	else if (q->process->pid == truth->pid)
		tally->named++;
	else
		tally->wrong++;
}

static void ask_batch(struct world *w, const struct truth *truth, unsigned int n,
		      unsigned int hold_ms, struct tally *tally)
{
	struct owner_query q[BATCH_MAX];
	uint64_t begin, spent;

	memset(q, 0, sizeof(q));
	for (unsigned int i = 0; i < n; i++) {
		q[i].tuple = truth[i].tuple;
		q[i].uid = geteuid();
		q[i].has_uid = q[i].from_packet = true;
	}
	begin = clock_ns(CLOCK_MONOTONIC);
	assert_int_equal(owner_lookup(w->owner, q, n), 0);
	spent = clock_ns(CLOCK_MONOTONIC) - begin;
	tally->batches++;
	tally->lookup_ns += spent;
	if (spent > tally->worst_ns)
		tally->worst_ns = spent;
	for (unsigned int i = 0; i < n; i++)
		judge(tally, &truth[i], &q[i],
		      begin + spent > truth[i].connect_ns + hold_ms * 1000000ULL);
}

static void follow(struct world *w, int reports, unsigned int hold_ms, struct tally *tally)
{
	struct truth truth[BATCH_MAX];
	ssize_t n;

	for (;;) {
		struct pollfd p = { .fd = reports, .events = POLLIN };

		assert_int_equal(poll(&p, 1, 10000), 1);
		sleep_ms(BATCH_MS);
		n = read(reports, truth, sizeof(truth));
		if (n <= 0)
			return;
		ask_batch(w, truth, n / sizeof(truth[0]), hold_ms, tally);
	}
}

static void report(const struct world *w, const struct tally *t, uint64_t cpu_ns, uint64_t wall_ns)
{
	const struct owner_stats *s = owner_stats(w->owner);

	printf("%u asked, %u named, %u wrong, %u late, %u cgroup, %u uid, %u none; per connection "
	       "%.0f us, longest batch %.1f ms, %.0f us of CPU in searching; CPU %.1f %%; "
	       "%llu walks (%llu cut), %llu processes and "
	       "%llu descriptors looked at\n", t->asked, t->named, t->wrong, t->late,
	       t->rungs[OWNER_CGROUP], t->rungs[OWNER_UID], t->rungs[OWNER_NONE],
	       t->lookup_ns / 1e3 / (t->asked ? t->asked : 1), t->worst_ns / 1e6,
	       s->walk_ns / 1e3 / (t->asked ? t->asked : 1), 100.0 * cpu_ns / wall_ns,
	       (unsigned long long)s->walks,
	       (unsigned long long)s->walks_cut, (unsigned long long)s->walk_pids,
	       (unsigned long long)s->walk_descriptors);
}

static void check_load(struct world *w, unsigned int hold_ms)
{
	struct pair p = pair_open(AF_INET, SOCK_STREAM);
	struct tally tally = { 0 };
	uint64_t cpu, wall;
	int reports[2];
	pid_t load;

	assert_int_equal(listen(p.listener, CONNECTIONS + 1), 0);
	assert_int_equal(pipe2(reports, O_CLOEXEC), 0);
	load = start_load(&p, reports[1], hold_ms);
	assert_true(load > 0);
	close(reports[1]);
	cpu = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
	wall = clock_ns(CLOCK_MONOTONIC);
	follow(w, reports[0], hold_ms, &tally);
	report(w, &tally, clock_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu,
	       clock_ns(CLOCK_MONOTONIC) - wall);
	child_end(load);
	close(reports[0]);
	pair_close(&p);

	assert_int_equal(tally.asked, CONNECTIONS);
	assert_int_equal(tally.wrong, 0);
	assert_true(tally.named * 100 >= (tally.asked - tally.late) * 99);
	assert_true(tally.late * 20 <= tally.asked);
}

static void short_processes_are_named_among_many(void **state)
{
	check_load(*state, HOLD_MS * world_slow());
}

static void without_sock_diag_they_must_stay_longer(void **state)
{
	check_load(*state, HOLD_PROC_MS * world_slow());
}

static int with_diag(void **state)
{
	return world_open((struct world **)state, OWNER_LOOKUP_DIAG);
}

static int with_proc(void **state)
{
	return world_open((struct world **)state, OWNER_LOOKUP_PROC);
}

static int close_world(void **state)
{
	world_close(*state);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(short_processes_are_named_among_many, with_diag,
						close_world),
		cmocka_unit_test_setup_teardown(without_sock_diag_they_must_stay_longer, with_proc,
						close_world),
	};

	const struct sched_param priority = { .sched_priority = 5 };
	int missing = world_enter();

	if (missing)
		return missing;
	/* Mostly asleep. It measures the search, not who else is busy on this machine; without
	 * permission it does. */
	sched_setscheduler(0, SCHED_RR, &priority);
	return cmocka_run_group_tests_name("owner under load", tests, NULL, NULL);
}
