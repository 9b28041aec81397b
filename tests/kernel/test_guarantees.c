// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What the join of packets and processes takes for granted of the kernel, one sentence each: who is
 * reported. Where one of these fails, nfwho may name nobody or, worse, somebody else: see lib/trace
 * before changing the test.
 */
#include "points.h"
#include "recorder.h"
#include "skip.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifdef HAVE_URING
#include <liburing.h>
#endif

#include <cmocka.h>

#define MPTCP 262	/* IPPROTO_MPTCP of newer headers */
#define RING (4 * 1024 * 1024)

static int set_up(void **state)
{
	*state = recorder_open(RING);
	return 0;
}

static int tear_down(void **state)
{
	recorder_close(*state);
	return 0;
}

static void the_connect_is_reported_in_the_task_that_called_it(void **state)
{
	struct recorder *r = *state;
	uint16_t four = recorder_fresh_port(), six = recorder_fresh_port();
	const struct perf_event *e;

	recorder_attempt(RECORDER_VOID4, four);
	recorder_attempt(RECORDER_VOID6, six);
	recorder_read(r);
	for (int i = 0; i < 2; i++) {
		e = recorder_connect(r, 0, i ? six : four);
		assert_non_null(e);
		assert_int_equal(e->pid, getpid());
		assert_int_equal(e->tid, gettid());
		assert_int_equal(e->socket.old_state, TCP_CLOSE);
		assert_int_equal(e->socket.protocol, IPPROTO_TCP);
	}
}

struct in_thread {
	uint16_t port;
	uint32_t tid;
};

static void *attempt_in_thread(void *data)
{
	struct in_thread *t = data;

	t->tid = gettid();
	recorder_attempt(RECORDER_VOID4, t->port);
	return NULL;
}

static void a_threads_connect_carries_process_and_thread(void **state)
{
	struct recorder *r = *state;
	struct in_thread t = { .port = recorder_fresh_port() };
	const struct perf_event *e;
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, attempt_in_thread, &t), 0);
	pthread_join(thread, NULL);
	recorder_read(r);
	e = recorder_connect(r, 0, t.port);
	assert_non_null(e);
	assert_int_equal(e->pid, getpid());
	assert_int_equal(e->tid, t.tid);
	assert_true(e->tid != (uint32_t)getpid());
}

static void a_child_that_connects_its_parents_socket_is_the_one_reported(void **state)
{
	struct recorder *r = *state;
	uint16_t port = recorder_fresh_port();
	int fd = recorder_socket(AF_INET, SOCK_NONBLOCK);
	const struct perf_event *e;
	pid_t child = fork();

	if (child == 0) {
		recorder_connect_to(fd, RECORDER_VOID4, port);
		_exit(0);
	}
	assert_int_equal(waitpid(child, NULL, 0), child);
	recorder_read(r);
	close(fd);
	e = recorder_connect(r, 0, port);
	assert_non_null(e);
	assert_int_equal(e->pid, child);
}

static void a_connect_by_io_uring_is_reported_in_the_submitting_process(void **state)
{
#ifdef HAVE_URING
	static const unsigned int setups[] = { 0, IORING_SETUP_SQPOLL };
	struct recorder *r = *state;

	for (size_t i = 0; i < 2; i++) {
		struct sockaddr_in to = { .sin_family = AF_INET };
		int fd = recorder_socket(AF_INET, SOCK_NONBLOCK);
		uint16_t port = recorder_fresh_port();
		const struct perf_event *e;
		struct io_uring_sqe *sqe;
		struct io_uring_cqe *cqe;
		struct io_uring ring;
		int error = io_uring_queue_init(4, &ring, setups[i]);

		if (error == -ENOSYS || error == -EPERM)
			skip_because("io_uring: %s", strerror(-error));
		assert_int_equal(error, 0);
		inet_pton(AF_INET, RECORDER_VOID4, &to.sin_addr);
		to.sin_port = htons(port);
		sqe = io_uring_get_sqe(&ring);
		io_uring_prep_connect(sqe, fd, (void *)&to, sizeof(to));
		sqe->flags |= i == 0 ? IOSQE_ASYNC : 0;
		io_uring_submit(&ring);
		for (int tries = 0; tries < 100; tries++) {
			recorder_read(r);
			if (recorder_connect(r, 0, port))
				break;
			usleep(10000);
		}
		e = recorder_connect(r, 0, port);
		assert_non_null(e);
		assert_int_equal(e->pid, getpid());
		shutdown(fd, SHUT_RDWR);
		close(fd);
		io_uring_peek_cqe(&ring, &cqe);
		io_uring_queue_exit(&ring);
	}
#else
	(void)state;
	skip_because("built without liburing");
#endif
}

static void multipath_tcp_is_reported_by_its_subflow_only(void **state)
{
	struct recorder *r = *state;
	uint16_t port = recorder_fresh_port();
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, MPTCP);
	const struct perf_event *e = NULL;

	if (fd < 0 && (errno == EPROTONOSUPPORT || errno == ENOPROTOOPT))
		skip_because("no multipath TCP, or it is switched off");
	assert_true(fd >= 0);
	assert_int_equal(recorder_connect_to(fd, RECORDER_VOID4, port), -EINPROGRESS);
	recorder_read(r);
	close(fd);
	while ((e = recorder_find(r, e, PERF_SOCKET_STATE, 0)))
		assert_int_equal(e->socket.protocol, IPPROTO_TCP);
	e = recorder_connect(r, 0, port);
	assert_non_null(e);
	assert_int_equal(e->pid, getpid());
}

/* The id of our own cgroup in version 2, by its file handle; 0 where that is not to be seen. */
static uint64_t own_cgroup(void)
{
	struct {
		struct file_handle handle;
		uint64_t id;
	} h = { .handle.handle_bytes = sizeof(uint64_t) };
	char line[512], path[1024] = "", mount[512] = "";
	FILE *f = fopen("/proc/self/cgroup", "re");
	int mount_id;

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "0::%511[^\n]", path) == 1)
			break;
	if (f)
		fclose(f);
	f = fopen("/proc/self/mountinfo", "re");
	while (f && fgets(line, sizeof(line), f))
		if (strstr(line, " - cgroup2 ") && sscanf(line, "%*s %*s %*s / %511s", mount) == 1)
			break;
	if (f)
		fclose(f);
	if (!*mount || !*path)
		return 0;
	snprintf(line, sizeof(line), "%s", path);
	snprintf(path, sizeof(path), "%s%s", mount, line);
	if (name_to_handle_at(AT_FDCWD, path, &h.handle, &mount_id, 0) < 0) {
		assert_int_equal(errno, ENOENT);	/* we are outside of our cgroup namespace */
		return 0;
	}
	return h.id;
}

/* Linux 5.7 with CONFIG_CGROUP_PERF, and perf_event no controller of version 1. */
static bool cgroups_are_told(void)
{
	struct watch_config watch = { 0 };
	struct perf_config config = { 0 };
	struct sample_layout layout;
	const char *why;

	assert_int_equal(points_load(&watch, &layout, &config, &why), 0);
	return layout.cgroup;
}

static void a_record_carries_the_cgroup_of_its_task(void **state)
{
	struct recorder *r = *state;
	uint16_t port = recorder_fresh_port();
	const struct perf_event *e;
	uint64_t id;

	if (!cgroups_are_told())
		skip_because("perf's records carry no cgroup of version 2");
	id = own_cgroup();
	if (!id)
		skip_because("our cgroup of version 2 is not to be seen");
	recorder_attempt(RECORDER_VOID4, port);
	recorder_read(r);
	e = recorder_connect(r, 0, port);
	assert_non_null(e);
	assert_true(e->cgroup_id == id);
}

static void a_life_is_told_in_order_from_fork_to_exit(void **state)
{
	static const enum perf_kind order[] = { PERF_FORK, PERF_COMM, PERF_EXEC, PERF_EXIT };
	struct recorder *r = *state;
	const struct perf_event *e = NULL;
	pid_t child = fork();

	if (child == 0) {
		execl("/bin/true", "true", NULL);
		_exit(1);
	}
	assert_int_equal(waitpid(child, NULL, 0), child);
	recorder_read(r);
	for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
		e = recorder_find(r, e, order[i], child);
		assert_non_null(e);
		if (order[i] == PERF_FORK)
			assert_int_equal(e->fork.parent_pid, getpid());
		if (order[i] == PERF_EXEC)
			assert_string_equal(r->text[e - r->event], "/bin/true");
		if (order[i] == PERF_COMM)
			assert_string_equal(r->text[e - r->event], "true");
	}
}

static void run_on(int cpu)
{
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	assert_int_equal(sched_setaffinity(0, sizeof(one), &one), 0);
}

/* Each CPU has a ring of its own, and the clock is one. */
static void what_a_thread_does_on_several_cpus_is_told_in_its_order(void **state)
{
	enum { ATTEMPTS = 500 };
	struct recorder *r = *state;
	const struct perf_event *e = NULL;
	uint16_t port = recorder_fresh_port();
	unsigned int told = 0;
	uint64_t last_ns = 0;
	cpu_set_t all;
	int cpu = -1;

	assert_int_equal(sched_getaffinity(0, sizeof(all), &all), 0);
	for (unsigned int i = 0; i < ATTEMPTS; i++) {
		do
			cpu = (cpu + 1) % CPU_SETSIZE;
		while (!CPU_ISSET(cpu, &all));
		run_on(cpu);
		recorder_attempt(RECORDER_VOID4, i ? recorder_fresh_port() : port);
	}
	sched_setaffinity(0, sizeof(all), &all);
	recorder_read(r);
	while ((e = recorder_find(r, e, PERF_SOCKET_STATE, gettid()))) {
		assert_true(e->time_ns >= last_ns);
		last_ns = e->time_ns;
		if (e->socket.new_state == TCP_SYN_SENT)
			assert_int_equal(ntohs(e->socket.tuple.dport), port + told++);
	}
	assert_int_equal(told, ATTEMPTS);
}

/* In the first process of a pid namespace: reads what happened outside until it may go on. */
static int connect_is_nobodys(int ready, int go_on, uint16_t port)
{
	struct recorder *r = calloc(1, sizeof(*r));
	struct perf_config config = { .ring_bytes = RING };
	const struct perf_event *e;
	char byte;

	if (!r || perf_open(&r->perf, &config, NULL) || write(ready, "", 1) != 1 ||
	    read(go_on, &byte, 1) != 1)
		return 1;
	recorder_read(r);
	e = recorder_connect(r, 0, port);
	if (!e)
		return 2;
	return e->pid || e->tid ? 3 : 0;
}

static void who_is_outside_of_our_pid_namespace_is_nobody(void **state)
{
	uint16_t port = recorder_fresh_port();
	int ready[2], go_on[2], status;
	pid_t child;
	char byte;

	(void)state;
	assert_int_equal(pipe(ready) | pipe(go_on), 0);
	child = syscall(SYS_clone, CLONE_NEWPID | SIGCHLD, NULL, NULL, NULL, NULL);
	if (child == 0)
		_exit(connect_is_nobodys(ready[1], go_on[0], port));
	assert_true(child > 0);
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	recorder_attempt(RECORDER_VOID4, port);
	assert_int_equal(write(go_on[1], "", 1), 1);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	close(ready[0]);
	close(go_on[0]);
	close(go_on[1]);
}

/* Who holds it may be another process, which has opened nothing. */
static void a_counter_goes_on_when_only_its_descriptor_is_left(void **state)
{
	struct recorder *r = recorder_open(RING);
	int fds[1024];
	unsigned int cpus = perf_counters(r->perf, fds, 1024);
	uint64_t before = 0, after = 0, count;

	(void)state;
	assert_in_range(cpus, 1, 1024);
	assert_int_equal(perf_count_connects(r->perf), 0);
	recorder_attempt(RECORDER_VOID4, recorder_fresh_port());
	for (unsigned int i = 0; i < cpus; i++) {
		assert_int_equal(perf_counted(fds[i], &count), 0);
		before += count;
		fds[i] = dup(fds[i]);
	}
	assert_true(before >= 1);
	recorder_close(r);
	for (unsigned int i = 0; i < 100; i++)
		recorder_attempt(RECORDER_VOID4, recorder_fresh_port());
	for (unsigned int i = 0; i < cpus; i++) {
		assert_int_equal(perf_counted(fds[i], &count), 0);
		after += count;
		close(fds[i]);
	}
	assert_true(after >= before + 100);
}

/* The join does not depend on it and `nfwho check` says it: where it is not so, that is told. */
static void each_cpus_idle_task_delivers(void **state)
{
	static const char *const answers[] = { "delivers", "is silent", "was never idle" };
	struct recorder *r = *state;
	char others[256] = "";
	uint32_t cpu;

	for (unsigned int i = 0; perf_cpu(r->perf, i, &cpu); i++) {
		int answer = perf_probe_idle(cpu);
		size_t used = strlen(others);

		assert_in_range(answer, 0, PERF_IDLE_UNKNOWN);
		if (answer)
			snprintf(others + used, sizeof(others) - used, "%s that of CPU %u %s",
				 used ? "," : "", cpu, answers[answer]);
	}
	if (*others)
		skip_because("not every one does:%s", others);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_connect_is_reported_in_the_task_that_called_it),
		TEST(a_threads_connect_carries_process_and_thread),
		TEST(a_child_that_connects_its_parents_socket_is_the_one_reported),
		TEST(a_connect_by_io_uring_is_reported_in_the_submitting_process),
		TEST(multipath_tcp_is_reported_by_its_subflow_only),
		TEST(a_record_carries_the_cgroup_of_its_task),
		TEST(a_life_is_told_in_order_from_fork_to_exit),
		TEST(what_a_thread_does_on_several_cpus_is_told_in_its_order),
		cmocka_unit_test(who_is_outside_of_our_pid_namespace_is_nobody),
		cmocka_unit_test(a_counter_goes_on_when_only_its_descriptor_is_left),
		TEST(each_cpus_idle_task_delivers),
	};
	int missing = recorder_world();

	if (missing)
		return missing;
	return cmocka_run_group_tests_name("guarantees of the kernel", tests, NULL, NULL);
}
