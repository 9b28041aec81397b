// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What the join of packets and processes takes for granted of the kernel, one sentence each: which
 * port is true when, and what follows what.
 */
#include "nflog.h"
#include "recorder.h"
#include "skip.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

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

static void at_the_connect_the_source_port_is_not_yet_true(void **state)
{
	struct recorder *r = *state;
	uint16_t first = recorder_fresh_port(), second = recorder_fresh_port(), true_port;
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
	uint16_t port = recorder_fresh_port(), own;
	int fd = recorder_socket(AF_INET, SOCK_NONBLOCK);
	const struct perf_event *e;

	assert_int_equal(recorder_connect_to(fd, RECORDER_VOID4, port), -EINPROGRESS);
	own = recorder_port(fd);
	recorder_read(r);
	close(fd);
	e = recorder_connect(r, 0, port);
	assert_non_null(e);
	e = recorder_find(r, e, PERF_ROUTE, gettid());
	assert_non_null(e);
	assert_int_equal(ntohs(e->route.tuple.sport), own);
	assert_int_equal(ntohs(e->route.tuple.dport), port);
	assert_int_equal(e->route.tuple.protocol, IPPROTO_TCP);
}

/* Which is how they are left out: the filter keeps what is not looked up for a received packet. */
static void a_servers_own_lookups_for_its_answer_are_made_in_a_softirq(void **state)
{
	struct recorder *r = *state;
	uint16_t port;
	int listener = recorder_listen(AF_INET, &port), fd = recorder_socket(AF_INET, 0);
	const struct perf_event *e = NULL;
	unsigned int lookups = 0;

	recorder_forget(r);
	assert_int_equal(recorder_connect_to(fd, "127.0.0.1", port), 0);
	recorder_read(r);
	close(fd);
	close(listener);
	while ((e = recorder_find(r, e, PERF_ROUTE, gettid()))) {
		assert_int_equal(ntohs(e->route.tuple.dport), port);
		lookups++;
	}
	assert_int_equal(lookups, 1);
}

/* The lookup with that port came before: the port was no secret then. So where the port at the
 * connect is neither 0 nor corrected by a lookup, it is true. */
static void a_bound_port_is_true_at_the_connect_and_no_lookup_follows(void **state)
{
	struct recorder *r = *state;
	uint16_t port = recorder_fresh_port();
	int fd = recorder_socket(AF_INET, SOCK_NONBLOCK);
	struct sockaddr_in own = { .sin_family = AF_INET, .sin_port = htons(5000) };
	const struct perf_event *e, *route = NULL;

	assert_int_equal(bind(fd, (void *)&own, sizeof(own)), 0);
	assert_int_equal(recorder_connect_to(fd, RECORDER_VOID4, port), -EINPROGRESS);
	recorder_read(r);
	close(fd);
	e = recorder_connect(r, 0, port);
	assert_non_null(e);
	assert_int_equal(ntohs(e->socket.tuple.sport), 5000);
	assert_null(recorder_find(r, e, PERF_ROUTE, gettid()));
	while ((route = recorder_find(r, route, PERF_ROUTE, gettid())))
		if (tuple_equal(&route->route.tuple, &e->socket.tuple))
			break;
	assert_non_null(route);
}

static void a_stale_port_is_corrected_by_the_lookup_that_follows(void **state)
{
	struct recorder *r = *state;
	uint16_t first = recorder_fresh_port(), second = recorder_fresh_port();
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
		skip_because("the same port was chosen again");
	route = recorder_find(r, e, PERF_ROUTE, gettid());
	assert_non_null(route);
	assert_true(tuple_equal(&route->route.tuple, &ended->socket.tuple));
}

static void the_lookup_is_reported_through_policy_rules_and_from_a_bound_device(void **state)
{
	struct recorder *r = *state;
	uint16_t port = recorder_fresh_port(), own;
	int fd = recorder_socket(AF_INET, SOCK_NONBLOCK);
	const struct perf_event *e;

	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, "void", 4), 0);
	if (system("ip rule add to " RECORDER_VOID4 " lookup 100 pref 50") != 0)
		skip_because("no policy rules");
	assert_int_equal(system("ip route add 198.51.100.0/24 dev void table 100"), 0);
	recorder_forget(r);
	assert_int_equal(recorder_connect_to(fd, RECORDER_VOID4, port), -EINPROGRESS);
	own = recorder_port(fd);
	recorder_read(r);
	close(fd);
	assert_int_equal(system("ip rule del pref 50"), 0);
	e = recorder_connect(r, 0, port);
	assert_non_null(e);
	e = recorder_find(r, e, PERF_ROUTE, gettid());
	assert_non_null(e);
	assert_int_equal(ntohs(e->route.tuple.sport), own);
}

static void a_refusal_is_followed_by_its_errno(void **state)
{
	static const char *const addresses[] = { "127.0.0.1", "::1" };
	struct recorder *r = *state;

	if (!perf_reports_errors(r->perf))
		skip_because("no tracepoint sock:inet_sk_error_report, which came with Linux 5.14");
	for (size_t i = 0; i < 2; i++) {
		int fd = recorder_socket(i ? AF_INET6 : AF_INET, 0);
		uint16_t port = recorder_fresh_port();
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
		assert_non_null(e);
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

	if (system("nft 'table ip guarantees { chain output { type filter hook output priority -150;"
		   " ip daddr " RECORDER_VOID4
		   " tcp flags & (syn|ack) == syn log group 618; }; }'") != 0)
		skip_because("nft(8) cannot make a rule that logs");
	assert_int_equal(nflog_group_open(&n, &config), 0);
	recorder_forget(*state);
	for (unsigned int i = 0; i < 2000; i++) {
		struct pollfd readable = { .fd = nflog_group_fd(n), .events = POLLIN };

		recorder_attempt(RECORDER_VOID4, recorder_fresh_port());
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

static void a_connects_time_lies_between_call_and_return(void **state)
{
	struct recorder *r = *state;
	uint16_t port = recorder_fresh_port();
	uint64_t before = recorder_now_ns(), after;
	const struct perf_event *e;

	recorder_attempt(RECORDER_VOID4, port);
	after = recorder_now_ns();
	recorder_read(r);
	e = recorder_connect(r, 0, port);
	assert_non_null(e);
	assert_in_range(e->time_ns, before, after);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(at_the_connect_the_source_port_is_not_yet_true),
		TEST(the_next_transition_carries_the_true_port),
		TEST(a_route_lookup_with_the_true_port_follows_in_the_same_thread),
		TEST(a_servers_own_lookups_for_its_answer_are_made_in_a_softirq),
		TEST(a_bound_port_is_true_at_the_connect_and_no_lookup_follows),
		TEST(a_stale_port_is_corrected_by_the_lookup_that_follows),
		TEST(the_lookup_is_reported_through_policy_rules_and_from_a_bound_device),
		TEST(a_refusal_is_followed_by_its_errno),
		TEST(all_transitions_of_one_socket_have_the_same_address),
		TEST(the_connect_is_there_before_its_packet_comes_by_nflog),
		TEST(a_connects_time_lies_between_call_and_return),
	};
	int missing = recorder_world();

	if (missing)
		return missing;
	return cmocka_run_group_tests_name("guarantees of the kernel: ports", tests, NULL, NULL);
}
