// SPDX-License-Identifier: GPL-2.0-or-later
/* The trace on the real kernel: rings, wake-ups, loss, privileges, CPUs that come and go. */
#include "points.h"
#include "recorder.h"
#include "skip.h"
#include "tracefs.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define RING (16 * 1024 * 1024)
#define PORT 9	/* discard: nobody listens in our namespace */

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

static void refused(unsigned int times)
{
	while (times--) {
		int fd = recorder_socket(AF_INET, 0);

		assert_int_equal(recorder_connect_to(fd, "127.0.0.1", PORT), -ECONNREFUSED);
		close(fd);
	}
}

static pid_t program_run(void)
{
	pid_t child = fork();

	if (child == 0) {
		execl("/bin/true", "true", NULL);
		_exit(1);
	}
	assert_int_equal(waitpid(child, NULL, 0), child);
	return child;
}

static bool woken(struct recorder *r, int timeout_ms)
{
	struct epoll_event event;

	return epoll_wait(perf_fd(r->perf), &event, 1, timeout_ms) == 1;
}

static unsigned int connects_of_ours(const struct recorder *r)
{
	unsigned int n = 0;

	for (const struct perf_event *e = r->event; e < r->event + r->count; e++)
		n += e->kind == PERF_SOCKET_STATE && e->pid == (uint32_t)getpid() &&
		     e->socket.new_state == TCP_SYN_SENT;
	return n;
}

static void every_connect_is_handed_on_and_counted(void **state)
{
	struct recorder *r = *state;

	refused(2000);
	recorder_read(r);
	assert_int_equal(connects_of_ours(r), 2000);
	assert_int_equal(perf_stats(r->perf)->lost, 0);
	assert_int_equal(perf_stats(r->perf)->invalid, 0);
}

static void what_passed_is_what_was_handed_on(void **state)
{
	struct recorder *r = *state;
	uint64_t passed;

	refused(500);
	for (int tries = 0; tries < 100; tries++) {	/* others connect meanwhile */
		recorder_read(r);
		passed = perf_passed(r->perf);
		if (passed == perf_stats(r->perf)->transitions)
			return;
	}
	fail_msg("%lu passed, %lu handed on", (unsigned long)passed,
		 (unsigned long)perf_stats(r->perf)->transitions);
}

static int set_up_without_ends(void **state)
{
	const struct perf_config config = { .ring_bytes = RING };
	struct recorder *r = calloc(1, sizeof(*r));

	*state = r;
	return r ? perf_open(&r->perf, &config, NULL) : -1;
}

/* What followed the connect to this port. */
static const struct perf_event *outcome_of(const struct recorder *r, uint16_t port)
{
	const struct perf_event *e = recorder_connect(r, 0, port);

	assert_non_null(e);
	e = recorder_next(r, e);
	assert_non_null(e);
	return e;
}

static void without_ends_a_connect_and_its_outcome_are_all(void **state)
{
	struct recorder *r = *state;
	uint16_t port;
	int listener = recorder_listen(AF_INET, &port), fd = recorder_socket(AF_INET, 0);
	const struct perf_event *e;

	assert_int_equal(recorder_connect_to(fd, "127.0.0.1", port), 0);
	close(fd);
	close(listener);
	recorder_read(r);
	e = outcome_of(r, port);
	assert_int_equal(e->socket.new_state, TCP_ESTABLISHED);
	assert_null(recorder_next(r, e));
	refused(1);
	recorder_read(r);
	assert_int_equal(outcome_of(r, PORT)->socket.new_state, TCP_CLOSE);
	assert_null(recorder_find(r, NULL, PERF_SOCKET_ERROR, gettid()));
}

static void without_ends_a_close_still_tells_the_port_of_ipv6(void **state)
{
	struct recorder *r = *state;
	uint16_t port, own;
	int listener = recorder_listen(AF_INET6, &port), fd = recorder_socket(AF_INET6, 0);
	const struct perf_event *e;

	assert_int_equal(recorder_connect_to(fd, "::1", port), 0);
	own = recorder_port(fd);
	close(fd);
	recorder_read(r);
	close(listener);
	e = recorder_next(r, outcome_of(r, port));
	assert_non_null(e);
	assert_int_equal(ntohs(e->socket.tuple.sport), own);
}

static void a_ring_too_small_tells_its_loss(void **state)
{
	struct recorder *r = recorder_open(4096);
	const struct perf_stats *stats = perf_stats(r->perf);
	const struct perf_event *e;
	uint64_t unread;
	cpu_set_t all, one;

	(void)state;
	CPU_ZERO(&one);
	CPU_SET(0, &one);
	assert_int_equal(sched_getaffinity(0, sizeof(all), &all), 0);
	assert_int_equal(sched_setaffinity(0, sizeof(one), &one), 0);
	refused(500);
	recorder_read(r);
	/* At once, and before the kernel says how many: that comes with the next that has room. */
	e = recorder_find(r, NULL, PERF_DOUBT, 0);
	assert_non_null(e);
	refused(5);
	recorder_read(r);
	sched_setaffinity(0, sizeof(all), &all);
	assert_non_null(recorder_find(r, NULL, PERF_WHOLE, 0));
	assert_non_null(recorder_find(r, NULL, PERF_LOST, 0));
	assert_true(stats->lost > 0);
	unread = perf_passed(r->perf) - stats->transitions;
	assert_in_range(unread, 1, stats->lost);
	recorder_close(r);
}

static void newer_records_stay(void **state)
{
	struct recorder *r = *state;
	uint64_t between;

	refused(1);
	between = recorder_now_ns();
	refused(1);
	recorder_read_until(r, between);
	assert_int_equal(connects_of_ours(r), 1);
	r->count = 0;
	recorder_read(r);
	assert_int_equal(connects_of_ours(r), 1);
	assert_true(r->event[0].time_ns > between);
}

static void connects_alone_do_not_wake(void **state)
{
	struct recorder *r = *state;

	assert_int_equal(perf_wake_on_exec(r->perf, false), 0);	/* others' programs */
	woken(r, 0);
	refused(200);
	assert_false(woken(r, 50));
	recorder_read(r);
	assert_int_equal(connects_of_ours(r), 200);
}

static void a_program_that_starts_wakes(void **state)
{
	struct recorder *r = *state;
	pid_t child;

	recorder_forget(r);
	while (woken(r, 0))
		;
	child = program_run();
	assert_true(woken(r, 1000));
	recorder_read(r);
	assert_non_null(recorder_find(r, NULL, PERF_EXEC, child));
}

static void programs_wake_no_more_when_told_so_and_are_not_missed(void **state)
{
	struct recorder *r = *state;
	pid_t child;

	assert_int_equal(perf_wake_on_exec(r->perf, false), 0);
	while (woken(r, 0))
		;
	child = program_run();
	assert_false(woken(r, 50));
	recorder_read(r);
	assert_non_null(recorder_find(r, NULL, PERF_EXEC, child));

	assert_int_equal(perf_wake_on_exec(r->perf, true), 0);
	program_run();
	assert_true(woken(r, 1000));
}

static void an_exec_is_handed_on_once(void **state)
{
	struct recorder *r = *state;
	pid_t child = program_run();
	const struct perf_event *e;

	recorder_read(r);
	e = recorder_find(r, NULL, PERF_EXEC, child);
	assert_non_null(e);
	assert_null(recorder_find(r, e, PERF_EXEC, child));
}

static void half_a_ring_wakes(void **state)
{
	struct recorder *r = recorder_open(65536);

	(void)state;
	assert_int_equal(perf_wake_on_exec(r->perf, false), 0);
	while (woken(r, 0))
		;
	refused(400);
	assert_true(woken(r, 1000));
	recorder_close(r);
}

static unsigned int mounts(void)
{
	FILE *f = fopen("/proc/self/mountinfo", "re");
	unsigned int lines = 0;
	int c;

	assert_non_null(f);
	while ((c = fgetc(f)) != EOF)
		lines += c == '\n';
	fclose(f);
	return lines;
}

static void tracefs_is_read_without_leaving_a_mount(void **state)
{
	unsigned int before = mounts();
	char format[TRACEFS_FORMAT_MAX];
	int fd = tracefs_open();
	uint32_t id;
	int len;

	(void)state;
	assert_true(fd >= 0);
	len = tracefs_read_format(fd, "sock/inet_sock_set_state", format, sizeof(format));
	assert_true(len > 0);
	assert_int_equal(tracefs_format_id(format, len, &id), 0);
	assert_true(id > 0);
	assert_int_equal(tracefs_read_format(fd, "sock/no_such_event", format, sizeof(format)),
			 -ENOENT);
	assert_int_equal(mounts(), before);
	close(fd);
}

/* Kernels before 5.2: fsopen is not there. */
static void fsopen_take_away(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_fsopen, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { sizeof(code) / sizeof(code[0]), code };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0)
		_exit(100);
}

static void tracefs_is_read_where_there_is_no_fsopen(void **state)
{
	unsigned int before = mounts();
	int status;
	pid_t child = fork();

	(void)state;
	if (child == 0) {
		char format[TRACEFS_FORMAT_MAX];
		int fd, len;

		fsopen_take_away();
		fd = tracefs_open();
		if (fd < 0 || mounts() != before)
			_exit(1);
		len = tracefs_read_format(fd, "sched/sched_process_exec", format, sizeof(format));
		_exit(len > 0 ? 0 : 2);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	assert_int_equal(mounts(), before);
}

static void capabilities_keep(uint64_t mask)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = {
		{ mask, mask, 0 }, { mask >> 32, mask >> 32, 0 },
	};

	if (syscall(SYS_capset, &header, data) < 0)
		_exit(100);
}

/* Opens the events of CPU 0 in a child that has only these capabilities. Returns -errno. */
static int opened_with(uint64_t capabilities, size_t ring_bytes)
{
	struct watch_config config = { .ring_bytes = ring_bytes };
	struct perf_config wanted = { .ends = true };
	struct sample_layout layout;
	const char *why;
	int status;
	pid_t child;

	assert_int_equal(points_load(&config, &layout, &wanted, &why), 0);
	child = fork();
	if (child == 0) {
		struct watch *w;

		capabilities_keep(capabilities);
		_exit(-watch_open(&w, &config, 0, &why));
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	return -WEXITSTATUS(status);
}

/* Distributions add a level 3, which asks for CAP_SYS_ADMIN whatever else one has. */
static void skip_where_paranoid(void)
{
	FILE *f = fopen("/proc/sys/kernel/perf_event_paranoid", "re");
	int level = 2;

	assert_non_null(f);
	assert_int_equal(fscanf(f, "%d", &level), 1);
	fclose(f);
	if (level > 2)
		skip_because("kernel.perf_event_paranoid is %d", level);
}

static void with_ids_known_perfmon_is_enough(void **state)
{
	(void)state;
	skip_where_paranoid();
	assert_int_equal(opened_with(1ULL << CAP_PERFMON, 128 * 1024), 0);
}

static void without_perfmon_it_is_refused(void **state)
{
	int error = opened_with(0, 128 * 1024);

	(void)state;
	assert_true(error == -EACCES || error == -EPERM);
}

static void a_ring_over_the_limit_needs_ipc_lock(void **state)
{
	(void)state;
	skip_where_paranoid();
	assert_int_equal(opened_with(1ULL << CAP_PERFMON, 64 << 20), -EPERM);
	assert_int_equal(opened_with(1ULL << CAP_PERFMON | 1ULL << CAP_IPC_LOCK, 8 << 20), 0);
}

static void cpu_write(const char *value)
{
	int fd = open("/sys/devices/system/cpu/cpu1/online", O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		skip_because("CPU 1 cannot be taken away: %s", strerror(errno));
	assert_int_equal(write(fd, value, 1), 1);
	close(fd);
}

/* Only when asked for: everybody on the machine feels it. */
static void a_cpu_that_leaves_and_returns_is_watched_again(void **state)
{
	struct recorder *r = *state;

	assert_int_equal(perf_update_cpus(r->perf), 0);
	if (!getenv("NFWHO_TEST_CPU_HOTPLUG"))
		skip_because("NFWHO_TEST_CPU_HOTPLUG is not set");
	refused(10);
	cpu_write("0");
	usleep(20000);
	assert_int_equal(perf_update_cpus(r->perf), 0);
	assert_int_equal(perf_wake_on_exec(r->perf, false), 0);
	woken(r, 0);
	assert_false(woken(r, 50));	/* what is left of it does not spin */
	refused(10);
	assert_false(perf_cpus_changed(r->perf));
	cpu_write("1");
	usleep(20000);
	assert_true(perf_cpus_changed(r->perf));
	assert_int_equal(perf_update_cpus(r->perf), 0);
	assert_false(perf_cpus_changed(r->perf));
	refused(2000);
	recorder_read(r);
	assert_int_equal(connects_of_ours(r), 2020);
	assert_int_equal(perf_stats(r->perf)->lost, 0);
	/* It went and came back unnoticed between two looks. */
	cpu_write("0");
	cpu_write("1");
	usleep(20000);
	assert_int_equal(perf_update_cpus(r->perf), 0);
	recorder_forget(r);
	refused(2000);
	recorder_read(r);
	assert_int_equal(connects_of_ours(r), 2000);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(every_connect_is_handed_on_and_counted),
		TEST(what_passed_is_what_was_handed_on),
		cmocka_unit_test_setup_teardown(without_ends_a_connect_and_its_outcome_are_all,
						set_up_without_ends, tear_down),
		cmocka_unit_test_setup_teardown(without_ends_a_close_still_tells_the_port_of_ipv6,
						set_up_without_ends, tear_down),
		cmocka_unit_test(a_ring_too_small_tells_its_loss),
		TEST(newer_records_stay),
		TEST(connects_alone_do_not_wake),
		TEST(a_program_that_starts_wakes),
		TEST(programs_wake_no_more_when_told_so_and_are_not_missed),
		TEST(an_exec_is_handed_on_once),
		cmocka_unit_test(half_a_ring_wakes),
		cmocka_unit_test(tracefs_is_read_without_leaving_a_mount),
		cmocka_unit_test(tracefs_is_read_where_there_is_no_fsopen),
		cmocka_unit_test(with_ids_known_perfmon_is_enough),
		cmocka_unit_test(without_perfmon_it_is_refused),
		cmocka_unit_test(a_ring_over_the_limit_needs_ipc_lock),
		TEST(a_cpu_that_leaves_and_returns_is_watched_again),
	};
	int missing = recorder_world();

	if (missing)
		return missing;
	return cmocka_run_group_tests_name("perf", tests, NULL, NULL);
}
