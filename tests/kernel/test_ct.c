// SPDX-License-Identifier: GPL-2.0-or-later
/* What conntrack tells, on this kernel: each test in network namespaces of its own. */
#include "ct.h"
#include "netns.h"

#include <errno.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netlink.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define RECEIVE_BUFFER (4 << 20)

static const uint8_t tcp[] = { IPPROTO_TCP }, udp[] = { IPPROTO_UDP };

struct seen {
	unsigned int count;
	struct ct_entry entries[16];
};

static void see(const struct ct_entry *entry, void *data)
{
	struct seen *seen = data;

	if (seen->count < 16)
		seen->entries[seen->count] = *entry;
	seen->count++;
}

static int setup(void **state)
{
	static struct netns_pair pair;

	netns_pair_open(&pair);
	netns_run("nft 'add table inet t; add chain inet t r { type filter hook output "
		  "priority -300; }; add chain inet t o { type filter hook output priority -150; };"
		  "add rule inet t o ct state new counter'");
	netns_run("for s in acct=1 timestamp=1 tcp_timeout_time_wait=1 tcp_timeout_close=1 "
		  "udp_timeout=1; do sysctl -qw net.netfilter.nf_conntrack_$s || exit 1; done");
	*state = &pair;
	return 0;
}

static int teardown(void **state)
{
	netns_pair_close(*state);
	return 0;
}

static struct ct *must_open(const uint8_t *protocols, unsigned int count, uint32_t bytes)
{
	struct ct *ct;

	assert_int_equal(ct_open(&ct, protocols, count, bytes), 0);
	return ct;
}

static void read_all(struct ct *ct, struct seen *seen, unsigned int want, int timeout_ms)
{
	while (seen->count < want && netns_wait(ct_fd(ct), timeout_ms))
		assert_true(ct_read(ct, 1000, see, seen) >= 0);
}

static void ignore(const struct ct_entry *entry, void *data)
{
	(void)entry;
	(void)data;
}

/* An entry whose time is over goes when the kernel comes across it: a dump makes it look. */
static void read_until_expired(struct ct *ct, struct seen *seen, unsigned int want)
{
	for (unsigned int i = 0; i < 100 && seen->count < want; i++) {
		assert_int_equal(ct_dump(ct, ignore, NULL), 0);
		read_all(ct, seen, want, 50);
	}
}

/* Exactly this many bytes through an accepted connection, one way. */
static void pump(int from, int to, size_t bytes)
{
	static char buf[16384];
	size_t sent = 0, got = 0;
	ssize_t n;

	while (got < bytes) {
		if (sent < bytes) {
			n = send(from, buf, bytes - sent < sizeof(buf) ? bytes - sent : sizeof(buf),
				 MSG_DONTWAIT | MSG_NOSIGNAL);
			sent += n > 0 ? (size_t)n : 0;
		}
		n = recv(to, buf, sizeof(buf), sent < bytes ? MSG_DONTWAIT : 0);
		assert_true(n != 0);
		got += n > 0 ? (size_t)n : 0;
	}
}

/* A connection that carries so many bytes up and down and is closed by both. */
static void converse(int listener, const char *address, size_t up, size_t down)
{
	int client = netns_connect(address, 8000), server = accept(listener, NULL, NULL);
	char byte;

	assert_true(server >= 0);
	pump(client, server, up);
	pump(server, client, down);
	shutdown(client, SHUT_WR);
	assert_int_equal(recv(server, &byte, 1, 0), 0);
	close(server);
	assert_int_equal(recv(client, &byte, 1, 0), 0);
	close(client);
}

/* conntrack(8) as a second listener. */
struct reference {
	FILE *out;
	pid_t pid;
};

static bool somebody_listens_to_destroy_alone(void)
{
	FILE *list = popen("awk '$2 == 12 && $4 == \"00000004\"' /proc/net/netlink", "r");
	bool found;

	assert_non_null(list);
	found = fgetc(list) != EOF;
	pclose(list);
	return found;
}

static void reference_start(struct reference *r)
{
	int pipe_fd[2];

	assert_int_equal(pipe(pipe_fd), 0);
	r->pid = fork();
	assert_true(r->pid >= 0);
	if (r->pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(pipe_fd[1], STDOUT_FILENO);
		execlp("conntrack", "conntrack", "-E", "-e", "DESTROY", "-o", "id", (char *)NULL);
		_exit(127);
	}
	close(pipe_fd[1]);
	r->out = fdopen(pipe_fd[0], "r");
	for (unsigned int i = 0; i < 500 && !somebody_listens_to_destroy_alone(); i++)
		usleep(10000);
}

static void reference_stop(struct reference *r)
{
	kill(r->pid, SIGTERM);
	waitpid(r->pid, NULL, 0);
	fclose(r->out);
}

static uint64_t number_after(const char **line, const char *key)
{
	const char *at = strstr(*line, key);

	assert_non_null(at);
	*line = at + strlen(key);
	return strtoull(*line, NULL, 10);
}

static void an_end_has_the_figures_that_conntrack_itself_prints(void **state)
{
	static const char *const addresses[] = { NETNS_PEER4, NETNS_PEER6 };
	struct ct *ct = must_open(tcp, 1, RECEIVE_BUFFER);
	struct seen seen = { 0 };
	struct reference reference;
	char text[512];
	int listener = netns_listen(*state, 8000);

	reference_start(&reference);
	for (unsigned int i = 0; i < 2; i++) {
		const struct ct_entry *e = &seen.entries[2 * i + 1];
		const char *line = text;

		converse(listener, addresses[i], 1 << 20, 3 << 20);
		read_until_expired(ct, &seen, 2 * i + 2);
		assert_int_equal(seen.count, 2 * i + 2);
		assert_int_equal(e[-1].kind, CT_NEW);
		assert_int_equal(e->kind, CT_DESTROY);
		assert_true(tuple_equal(&e->original, &e[-1].original));
		assert_int_equal(e->id, e[-1].id);
		assert_true(e->has_counters && e->has_timestamps);
		assert_true(e->bytes[0] > 1 << 20 && e->bytes[1] > 3 << 20);
		assert_true(e->stop_real_ns > e->start_real_ns);
		assert_true(e->status & IPS_SEEN_REPLY && e->status & IPS_ASSURED);

		assert_non_null(fgets(text, sizeof(text), reference.out));
		assert_int_equal(number_after(&line, "sport="), ntohs(e->original.sport));
		assert_int_equal(number_after(&line, "packets="), e->packets[0]);
		assert_int_equal(number_after(&line, "bytes="), e->bytes[0]);
		assert_int_equal(number_after(&line, "packets="), e->packets[1]);
		assert_int_equal(number_after(&line, "bytes="), e->bytes[1]);
		assert_int_equal(number_after(&line, "id="), e->id);
	}
	reference_stop(&reference);
	assert_int_equal(ct_read(ct, 100, see, &seen), 0);
	assert_int_equal(ct_stats(ct)->received, 4);
	ct_close(ct);
	close(listener);
}

static void the_kernel_keeps_other_protocols_to_itself(void **state)
{
	struct ct *ct = must_open(tcp, 1, RECEIVE_BUFFER), *all = must_open(NULL, 0, RECEIVE_BUFFER);
	struct seen seen = { 0 }, everything = { 0 };
	int listener = netns_listen(*state, 8000), fd = -1, fd4, fd6;

	for (uint16_t port = 7000; port < 7010; port++)
		netns_send(&fd, port, 10);
	fd4 = netns_connect(NETNS_PEER4, 8000);
	fd6 = netns_connect(NETNS_PEER6, 8000);
	read_all(all, &everything, 12, 1000);
	assert_int_equal(everything.count, 12);
	read_all(ct, &seen, 2, 1000);
	assert_int_equal(ct_stats(ct)->received, 2);
	assert_int_equal(seen.entries[0].original.family, AF_INET);
	assert_int_equal(seen.entries[1].original.family, AF_INET6);
	assert_int_equal(ntohs(seen.entries[1].original.dport), 8000);
	ct_close(ct);
	ct_close(all);
	close(fd);
	close(fd4);
	close(fd6);
	close(listener);
}

static void a_dump_finds_the_entry_with_its_id_zone_and_state(void **state)
{
	struct ct *ct = must_open(tcp, 1, RECEIVE_BUFFER);
	struct seen events = { 0 }, dumped = { 0 };
	int listener = netns_listen(*state, 8000), fd = -1, fd4, fd6;

	netns_run("nft add rule inet t r tcp dport 8000 ct zone set 7");
	netns_send(&fd, 7000, 10);
	fd4 = netns_connect(NETNS_PEER4, 8000);
	fd6 = netns_connect(NETNS_PEER6, 8000);
	read_all(ct, &events, 2, 1000);
	assert_int_equal(events.count, 2);
	assert_int_equal(ct_dump(ct, see, &dumped), 0);
	assert_int_equal(dumped.count, 2);
	for (unsigned int i = 0; i < 2; i++) {
		const struct ct_entry *e = &dumped.entries[i];
		const struct ct_entry *event = &events.entries[e->id == events.entries[1].id];

		assert_int_equal(e->kind, CT_DUMPED);
		assert_int_equal(e->id, event->id);
		assert_true(tuple_equal(&e->original, &event->original));
		assert_int_equal(e->zone, 7);
		assert_true(e->has_tcp_state && e->has_timeout && e->has_counters);
		assert_true(e->has_timestamps && e->stop_real_ns == 0);
	}
	ct_close(ct);
	close(fd);
	close(fd4);
	close(fd6);
	close(listener);
}

static void what_a_full_socket_loses_is_counted_exactly(void **state)
{
	const unsigned int flows = 3000;
	struct ct *ct = must_open(udp, 1, 4096);
	struct seen seen = { 0 };
	int fd = -1;

	(void)state;
	netns_run("sysctl -qw net.netfilter.nf_conntrack_udp_timeout=120");
	for (unsigned int i = 0; i < flows; i++)
		netns_send(&fd, (uint16_t)(10000 + i), 10);
	while (ct_read(ct, 1000, see, &seen) > 0)
		;
	assert_true(ct_stats(ct)->enobufs > 0);
	assert_true(ct_stats(ct)->dropped > 0);
	assert_int_equal(ct_stats(ct)->received, seen.count);
	assert_int_equal(ct_stats(ct)->received + ct_stats(ct)->dropped, flows);
	ct_close(ct);
	close(fd);
}

static void nat_shows_in_the_reply(void **state)
{
	struct ct *ct = must_open(tcp, 1, RECEIVE_BUFFER);
	struct seen seen = { 0 };
	int listener = netns_listen(*state, 8000), fd;

	netns_run("nft 'add chain inet t n { type nat hook output priority -100; }; "
		  "add rule inet t n ip daddr 203.0.113.9 tcp dport 80 "
		  "dnat ip to " NETNS_PEER4 ":8000'");
	netns_run("ip route add 203.0.113.0/24 dev eth0");
	fd = netns_connect("203.0.113.9", 80);
	read_all(ct, &seen, 1, 1000);
	assert_int_equal(seen.count, 1);
	assert_int_equal(ntohs(seen.entries[0].original.dport), 80);
	assert_int_equal(ntohs(seen.entries[0].reply.sport), 8000);
	assert_true(seen.entries[0].status & IPS_DST_NAT);
	ct_close(ct);
	close(fd);
	close(listener);
}

static void the_table_tells_how_full_it_is(void **state)
{
	uint32_t count, max;
	int fd = -1;

	(void)state;
	assert_int_equal(ct_load(), 0);
	assert_int_equal(ct_count(&count, &max), 0);
	assert_int_equal(count, 0);
	assert_true(max > 0);
	netns_send(&fd, 7000, 10);
	netns_send(&fd, 7001, 10);
	assert_int_equal(ct_count(&count, &max), 0);
	assert_int_equal(count, 2);
	close(fd);
}

static int try_open(void *data)
{
	struct ct *ct;

	(void)data;
	return -ct_open(&ct, tcp, 1, RECEIVE_BUFFER);
}

static void without_the_capability_it_is_not_permitted(void **state)
{
	(void)state;
	assert_int_equal(netns_without_capabilities(try_open, NULL), EPERM);
}

static void a_socket_handed_over_goes_on(void **state)
{
	struct ct *ct = must_open(udp, 1, RECEIVE_BUFFER), *heir;
	struct seen seen = { 0 }, dumped = { 0 };
	int kept = dup(ct_fd(ct)), fd = -1;

	(void)state;
	ct_close(ct);
	netns_send(&fd, 7000, 10);
	assert_int_equal(ct_adopt(&heir, kept, RECEIVE_BUFFER, NULL), 0);
	netns_send(&fd, 7001, 10);
	read_all(heir, &seen, 2, 1000);
	assert_int_equal(seen.count, 2);
	assert_int_equal(ct_dump(heir, see, &dumped), 0);
	assert_int_equal(dumped.count, 2);
	ct_close(heir);
	close(fd);
}

/* The last run hung, or nobody ran for a while. */
static void what_is_lost_between_two_runs_is_counted_by_the_next(void **state)
{
	const unsigned int flows = 3000;
	struct ct *ct = must_open(udp, 1, 4096), *heir;
	uint32_t drops = ct_stats(ct)->drops;
	int kept = dup(ct_fd(ct)), fd = -1, bytes = 0;
	socklen_t len = sizeof(bytes);
	struct seen seen = { 0 };

	(void)state;
	netns_run("sysctl -qw net.netfilter.nf_conntrack_udp_timeout=120");
	ct_close(ct);
	for (unsigned int i = 0; i < flows; i++)
		netns_send(&fd, (uint16_t)(10000 + i), 10);
	assert_int_equal(ct_adopt(&heir, kept, RECEIVE_BUFFER, &drops), 0);
	assert_int_equal(getsockopt(kept, SOL_SOCKET, SO_RCVBUF, &bytes, &len), 0);
	assert_int_equal(bytes, 2 * RECEIVE_BUFFER);	/* as the kernel tells of it: socket(7) */
	while (ct_read(heir, 1000, see, &seen) > 0)
		;
	assert_true(ct_stats(heir)->dropped > 0);
	assert_int_equal(ct_stats(heir)->received + ct_stats(heir)->dropped, flows);
	ct_close(heir);
	close(fd);
}

#define kernel_test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		kernel_test(an_end_has_the_figures_that_conntrack_itself_prints),
		kernel_test(the_kernel_keeps_other_protocols_to_itself),
		kernel_test(a_dump_finds_the_entry_with_its_id_zone_and_state),
		kernel_test(what_a_full_socket_loses_is_counted_exactly),
		kernel_test(nat_shows_in_the_reply),
		kernel_test(the_table_tells_how_full_it_is),
		kernel_test(without_the_capability_it_is_not_permitted),
		kernel_test(a_socket_handed_over_goes_on),
		kernel_test(what_is_lost_between_two_runs_is_counted_by_the_next),
	};

	if (geteuid() != 0) {
		puts("needs root");
		return 77;
	}
	return cmocka_run_group_tests_name("ct", tests, NULL, NULL);
}
