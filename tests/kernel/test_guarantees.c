// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What the join of packets and processes takes for granted of the kernel, one sentence each. Where
 * one of these fails, nfwho may name nobody or, worse, somebody else: see lib/trace before changing
 * the test.
 */
#include "nflog.h"
#include "recorder.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <poll.h>
#include <unistd.h>

#ifdef HAVE_URING
#include <liburing.h>
#endif

#include <cmocka.h>

#define VOID4 "198.51.100.9"
#define VOID6 "2001:db8::9"
#define GROUP 618
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

/* Each attempt has a destination port of its own, by which it is found again. */
static uint16_t port_of_our_own(void)
{
	static uint16_t port = 20000;

	return ++port;
}

static uint32_t thread_id(void)
{
	return syscall(SYS_gettid);
}

static void attempt(const char *address, uint16_t port)
{
	int fd = recorder_socket(strchr(address, ':') ? AF_INET6 : AF_INET, SOCK_NONBLOCK);

	assert_int_equal(recorder_connect_to(fd, address, port), -EINPROGRESS);
	close(fd);
}

static void the_connect_is_reported_in_the_task_that_called_it(void **state)
{
	struct recorder *r = *state;
	uint16_t four = port_of_our_own(), six = port_of_our_own();
	const struct perf_event *e;

	attempt(VOID4, four);
	attempt(VOID6, six);
	recorder_read(r);
	for (int i = 0; i < 2; i++) {
		e = recorder_connect(r, 0, i ? six : four);
		assert_non_null(e);
		assert_int_equal(e->pid, getpid());
		assert_int_equal(e->tid, thread_id());
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

	t->tid = thread_id();
	attempt(VOID4, t->port);
	return NULL;
}

static void a_threads_connect_carries_process_and_thread(void **state)
{
	struct recorder *r = *state;
	struct in_thread t = { .port = port_of_our_own() };
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
	uint16_t port = port_of_our_own();
	int fd = recorder_socket(AF_INET, SOCK_NONBLOCK);
	const struct perf_event *e;
	pid_t child = fork();

	if (child == 0) {
		recorder_connect_to(fd, VOID4, port);
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
		uint16_t port = port_of_our_own();
		const struct perf_event *e;
		struct io_uring_sqe *sqe;
		struct io_uring_cqe *cqe;
		struct io_uring ring;

		if (io_uring_queue_init(4, &ring, setups[i]) < 0)
			skip();
		inet_pton(AF_INET, VOID4, &to.sin_addr);
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
	skip();
#endif
}

static void at_the_connect_the_source_port_is_not_yet_true(void **state)
{
	struct recorder *r = *state;
	uint16_t first = port_of_our_own(), second = port_of_our_own(), true_port;
	int fd = recorder_socket(AF_INET, 0);
	const struct perf_event *e, *ended;

	/* Nobody listens: the same descriptor can connect again. */
	assert_int_equal(recorder_connect_to(fd, "127.0.0.1", first), -ECONNREFUSED);
	assert_int_equal(recorder_connect_to(fd, "127.0.0.1", second), -ECONNREFUSED);
	recorder_read(r);
	close(fd);
	e = recorder_connect(r, 0, first);
	assert_non_null(e);
	assert_int_equal(e->socket.tuple.sport, 0);
	ended = recorder_next(r, e);
	assert_non_null(ended);
	true_port = ended->socket.tuple.sport;
	assert_int_not_equal(true_port, 0);
	e = recorder_connect(r, 0, second);
	assert_non_null(e);
	/* Stale here; were it ever true or zero, the join would not mind. */
	assert_true(e->socket.tuple.sport == true_port || e->socket.tuple.sport == 0);
}

static void the_next_transition_carries_the_true_port(void **state)
{
	static const struct { int listen, connect; const char *address; } cases[] = {
		{ AF_INET, AF_INET, "127.0.0.1" }, { AF_INET6, AF_INET6, "::1" },
		{ AF_INET, AF_INET6, "::ffff:127.0.0.1" },
	};
	struct recorder *r = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint16_t port, own;
		int listener = recorder_listen(cases[i].listen, &port);
		int fd = recorder_socket(cases[i].connect, 0);
		const struct perf_event *e;

		recorder_forget(r);
		assert_int_equal(recorder_connect_to(fd, cases[i].address, port), 0);
		own = recorder_port(fd);
		close(fd);
		close(listener);
		recorder_read(r);
		e = recorder_connect(r, 0, port);
		assert_non_null(e);
		e = recorder_next(r, e);
		assert_non_null(e);
		assert_int_equal(e->socket.old_state, TCP_SYN_SENT);
		assert_int_equal(e->socket.new_state, TCP_ESTABLISHED);
		assert_int_equal(ntohs(e->socket.tuple.sport), own);
		assert_int_equal(e->socket.tuple.family, cases[i].listen);
	}
}

static void a_route_lookup_with_the_true_port_follows_in_the_same_thread(void **state)
{
	struct recorder *r = *state;
	uint16_t port = port_of_our_own(), own;
	int fd = recorder_socket(AF_INET, SOCK_NONBLOCK);
	const struct perf_event *e;

	assert_int_equal(recorder_connect_to(fd, VOID4, port), -EINPROGRESS);
	own = recorder_port(fd);
	recorder_read(r);
	close(fd);
	e = recorder_connect(r, 0, port);
	assert_non_null(e);
	e = recorder_find(r, e, PERF_ROUTE, thread_id());
	assert_non_null(e);
	assert_int_equal(ntohs(e->route.tuple.sport), own);
	assert_int_equal(ntohs(e->route.tuple.dport), port);
	assert_int_equal(e->route.tuple.protocol, IPPROTO_TCP);
}

/* The lookup with that port came before: the port was no secret then. So where the port at the
 * connect is neither 0 nor corrected by a lookup, it is true. */
static void a_bound_port_is_true_at_the_connect_and_no_lookup_follows(void **state)
{
	struct recorder *r = *state;
	uint16_t port = port_of_our_own();
	int fd = recorder_socket(AF_INET, SOCK_NONBLOCK);
	struct sockaddr_in own = { .sin_family = AF_INET, .sin_port = htons(5000) };
	const struct perf_event *e, *route = NULL;

	assert_int_equal(bind(fd, (void *)&own, sizeof(own)), 0);
	assert_int_equal(recorder_connect_to(fd, VOID4, port), -EINPROGRESS);
	recorder_read(r);
	close(fd);
	e = recorder_connect(r, 0, port);
	assert_non_null(e);
	assert_int_equal(ntohs(e->socket.tuple.sport), 5000);
	assert_null(recorder_find(r, e, PERF_ROUTE, thread_id()));
	while ((route = recorder_find(r, route, PERF_ROUTE, thread_id())))
		if (tuple_equal(&route->route.tuple, &e->socket.tuple))
			break;
	assert_non_null(route);
}

static void a_stale_port_is_corrected_by_the_lookup_that_follows(void **state)
{
	struct recorder *r = *state;
	uint16_t first = port_of_our_own(), second = port_of_our_own();
	int fd = recorder_socket(AF_INET, 0);
	const struct perf_event *e, *route, *ended;

	assert_int_equal(recorder_connect_to(fd, "127.0.0.1", first), -ECONNREFUSED);
	assert_int_equal(recorder_connect_to(fd, "127.0.0.1", second), -ECONNREFUSED);
	recorder_read(r);
	close(fd);
	e = recorder_connect(r, 0, second);
	assert_non_null(e);
	ended = recorder_next(r, e);
	assert_non_null(ended);
	if (ended->socket.tuple.sport == e->socket.tuple.sport)
		skip();		/* the same port was chosen again */
	route = recorder_find(r, e, PERF_ROUTE, thread_id());
	assert_non_null(route);
	assert_true(tuple_equal(&route->route.tuple, &ended->socket.tuple));
}

static void the_lookup_is_reported_through_policy_rules_and_from_a_bound_device(void **state)
{
	struct recorder *r = *state;
	uint16_t port = port_of_our_own(), own;
	int fd = recorder_socket(AF_INET, SOCK_NONBLOCK);
	const struct perf_event *e;

	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, "void", 4), 0);
	if (system("ip rule add to " VOID4 " lookup 100 pref 50 && "
		   "ip route add 198.51.100.0/24 dev void table 100") != 0)
		skip();
	recorder_forget(r);
	assert_int_equal(recorder_connect_to(fd, VOID4, port), -EINPROGRESS);
	own = recorder_port(fd);
	recorder_read(r);
	close(fd);
	assert_int_equal(system("ip rule del pref 50"), 0);
	e = recorder_connect(r, 0, port);
	assert_non_null(e);
	e = recorder_find(r, e, PERF_ROUTE, thread_id());
	assert_non_null(e);
	assert_int_equal(ntohs(e->route.tuple.sport), own);
}

static void a_refusal_is_followed_by_its_errno(void **state)
{
	static const char *const addresses[] = { "127.0.0.1", "::1" };
	struct recorder *r = *state;

	for (size_t i = 0; i < 2; i++) {
		int fd = recorder_socket(i ? AF_INET6 : AF_INET, 0);
		uint16_t port = port_of_our_own();
		const struct perf_event *e, *closed;

		assert_int_equal(recorder_connect_to(fd, addresses[i], port), -ECONNREFUSED);
		close(fd);
		recorder_read(r);
		e = recorder_connect(r, 0, port);
		assert_non_null(e);
		closed = recorder_next(r, e);
		assert_non_null(closed);
		assert_int_equal(closed->socket.new_state, TCP_CLOSE);
		e = recorder_find(r, closed, PERF_SOCKET_ERROR, 0);
		while (e && e->error.tuple.sport != closed->socket.tuple.sport)
			e = recorder_find(r, e, PERF_SOCKET_ERROR, 0);
		if (!e)
			skip();	/* the tracepoint came with 5.14 */
		assert_int_equal(e->error.error, ECONNREFUSED);
		assert_true(tuple_equal(&e->error.tuple, &closed->socket.tuple));
	}
}

static void all_transitions_of_one_socket_have_the_same_address(void **state)
{
	struct recorder *r = *state;
	uint16_t port;
	int listener = recorder_listen(AF_INET, &port), fd = recorder_socket(AF_INET, 0);
	const struct perf_event *e;
	struct tuple tuple;
	char byte;
	int accepted;

	assert_int_equal(recorder_connect_to(fd, "127.0.0.1", port), 0);
	accepted = accept(listener, NULL, NULL);
	shutdown(fd, SHUT_WR);
	assert_int_equal(read(accepted, &byte, 1), 0);
	close(accepted);
	close(fd);
	close(listener);
	recorder_read(r);
	e = recorder_connect(r, 0, port);
	assert_non_null(e);
	e = recorder_next(r, e);
	assert_non_null(e);
	assert_int_equal(e->socket.new_state, TCP_ESTABLISHED);
	tuple = e->socket.tuple;
	e = recorder_next(r, e);
	assert_non_null(e);
	assert_int_equal(e->socket.new_state, TCP_FIN_WAIT1);
	assert_true(tuple_equal(&e->socket.tuple, &tuple));
	e = recorder_next(r, e);
	assert_non_null(e);
	assert_int_equal(e->socket.new_state, TCP_CLOSE);
	assert_true(tuple_equal(&e->socket.tuple, &tuple));
}

static void multipath_tcp_is_reported_by_its_subflow_only(void **state)
{
	struct recorder *r = *state;
	uint16_t port = port_of_our_own();
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 262 /* IPPROTO_MPTCP */);
	const struct perf_event *e = NULL;

	if (fd < 0)
		skip();
	assert_int_equal(recorder_connect_to(fd, VOID4, port), -EINPROGRESS);
	recorder_read(r);
	close(fd);
	while ((e = recorder_find(r, e, PERF_SOCKET_STATE, 0)))
		assert_int_equal(e->socket.protocol, IPPROTO_TCP);
	e = recorder_connect(r, 0, port);
	assert_non_null(e);
	assert_int_equal(e->pid, getpid());
}

struct logged {
	struct recorder *recorder;
	unsigned int packets, early;
};

static void packet_came(const struct nflog_packet *packet, void *data)
{
	struct logged *l = data;

	l->packets++;
	if (!recorder_connect(l->recorder, 0, ntohs(packet->packet.tuple.dport)))
		l->early++;
}

static void the_connect_is_there_before_its_packet_comes_by_nflog(void **state)
{
	static const struct nflog_config config = {
		.group = GROUP, .copy_range_bytes = 128, .buffer_bytes = 65536,
		.queue_threshold = 1, .flush_timeout_10ms = 1, .receive_buffer_bytes = 1 << 20,
	};
	struct logged logged = { .recorder = *state };
	struct nflog *n;

	if (system("nft 'table ip guarantees { chain out { type filter hook output priority -150;"
		   " ip daddr " VOID4 " tcp flags & (syn|ack) == syn log group 618; }; }'") != 0)
		skip();
	if (nflog_group_open(&n, &config) != 0)
		skip();
	recorder_forget(*state);
	for (unsigned int i = 0; i < 2000; i++) {
		struct pollfd readable = { .fd = nflog_group_fd(n), .events = POLLIN };

		attempt(VOID4, port_of_our_own());
		if (poll(&readable, 1, i % 2 ? 0 : 100) == 0)
			continue;
		/* The packet can be read: whatever belongs to it has been written. */
		recorder_read(logged.recorder);
		nflog_read(n, 1, packet_came, &logged);
	}
	nflog_group_close(n);
	assert_int_equal(system("nft delete table ip guarantees"), 0);
	assert_true(logged.packets >= 1000);
	assert_int_equal(logged.early, 0);
}

/* The id of our own cgroup in version 2, by its file handle. */
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
	if (name_to_handle_at(AT_FDCWD, path, &h.handle, &mount_id, 0) < 0)
		return 0;
	return h.id;
}

static void a_record_carries_the_cgroup_of_its_task(void **state)
{
	struct recorder *r = *state;
	uint16_t port = port_of_our_own();
	uint64_t id = own_cgroup();
	const struct perf_event *e;

	if (!id)
		skip();
	attempt(VOID4, port);
	recorder_read(r);
	e = recorder_connect(r, 0, port);
	assert_non_null(e);
	if (!e->cgroup_id)
		skip();	/* PERF_SAMPLE_CGROUP came with 5.7 */
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

static void a_connects_time_lies_between_call_and_return(void **state)
{
	struct recorder *r = *state;
	uint16_t port = port_of_our_own();
	uint64_t before = recorder_now_ns(), after;
	const struct perf_event *e;

	attempt(VOID4, port);
	after = recorder_now_ns();
	recorder_read(r);
	e = recorder_connect(r, 0, port);
	assert_non_null(e);
	assert_in_range(e->time_ns, before, after);
}

/* Told, not asserted: the join does not depend on it, `nfwho check` says it. */
static void which_idle_tasks_deliver_is_known(void **state)
{
	static const char *const answers[] = { "delivers", "is silent", "was never idle" };
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);

	(void)state;
	for (long cpu = 0; cpu < cpus; cpu++) {
		int answer = perf_probe_idle(cpu);

		assert_in_range(answer, 0, PERF_IDLE_UNKNOWN);
		printf("# the idle task of CPU %ld %s\n", cpu, answers[answer]);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_connect_is_reported_in_the_task_that_called_it),
		TEST(a_threads_connect_carries_process_and_thread),
		TEST(a_child_that_connects_its_parents_socket_is_the_one_reported),
		TEST(a_connect_by_io_uring_is_reported_in_the_submitting_process),
		TEST(at_the_connect_the_source_port_is_not_yet_true),
		TEST(the_next_transition_carries_the_true_port),
		TEST(a_route_lookup_with_the_true_port_follows_in_the_same_thread),
		TEST(a_bound_port_is_true_at_the_connect_and_no_lookup_follows),
		TEST(a_stale_port_is_corrected_by_the_lookup_that_follows),
		TEST(the_lookup_is_reported_through_policy_rules_and_from_a_bound_device),
		TEST(a_refusal_is_followed_by_its_errno),
		TEST(all_transitions_of_one_socket_have_the_same_address),
		TEST(multipath_tcp_is_reported_by_its_subflow_only),
		TEST(the_connect_is_there_before_its_packet_comes_by_nflog),
		TEST(a_record_carries_the_cgroup_of_its_task),
		TEST(a_life_is_told_in_order_from_fork_to_exit),
		TEST(a_connects_time_lies_between_call_and_return),
		cmocka_unit_test(which_idle_tasks_deliver_is_known),
	};

	if (recorder_world() != 0)
		return 77;
	return cmocka_run_group_tests_name("guarantees of the kernel", tests, NULL, NULL);
}
