// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What the fate of a connection takes for granted of conntrack, one sentence each: what a message
 * means, and what it means that none comes. Where one of these fails, nfwho may say that a
 * connection was blocked, refused or closed which was not: see lib/fate and lib/entry before
 * changing the test.
 */
#include "ct.h"
#include "netns.h"
#include "skip.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_conntrack_tcp.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define PORT 8000
#define NOBODY4 "198.51.100.99"

static struct world {
	struct netns_pair pair;
	struct ct *ct;
	unsigned int count;
	struct ct_entry entries[16];
} world;

static void see(const struct ct_entry *entry, void *data)
{
	struct world *w = data;

	if (w->count < 16)
		w->entries[w->count] = *entry;
	w->count++;
}

/* Until so many messages are there. */
static void expect(struct world *w, unsigned int count)
{
	while (w->count < count && netns_wait(ct_fd(w->ct), 1000))
		assert_true(ct_read(w->ct, 100, see, w) >= 0);
	assert_int_equal(w->count, count);
}

/* A datagram of ours has its message when all that went before it has; and nothing else came. */
static void expect_no_more(struct world *w)
{
	unsigned int before = w->count;
	int fd = -1;

	netns_send(&fd, 9, 1);
	expect(w, before + 1);
	assert_int_equal(w->entries[before].original.protocol, IPPROTO_UDP);
	close(fd);
}

static int set_up(void **state)
{
	static const uint8_t protocols[] = { IPPROTO_TCP, IPPROTO_UDP };

	memset(&world, 0, sizeof(world));
	netns_pair_open(&world.pair);
	netns_run("nft 'add table inet t; add chain inet t o { type filter hook output priority -150; };"
		  "add rule inet t o ct state new counter;"
		  "add chain inet t late { type filter hook output priority 10; }'");
	netns_run("sysctl -qw net.netfilter.nf_conntrack_acct=1 net.netfilter.nf_conntrack_timestamp=1");
	*state = &world;
	return ct_open(&world.ct, protocols, sizeof(protocols), 4 << 20);
}

static int tear_down(void **state)
{
	struct world *w = *state;

	ct_close(w->ct);
	netns_pair_close(&w->pair);
	return 0;
}

/* From the port, or any; returns the socket, with the errno of the connect in *error. */
static int attempt(const char *address, uint16_t from, int flags, int *error)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(PORT) };
	struct sockaddr_in source = { .sin_family = AF_INET, .sin_port = htons(from) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | flags, 0), one = 1;

	assert_true(fd >= 0);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	assert_int_equal(bind(fd, (struct sockaddr *)&source, sizeof(source)), 0);
	inet_pton(AF_INET, address, &to.sin_addr);
	*error = connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0 ? errno : 0;
	return fd;
}

static void a_packet_dropped_on_its_way_out_is_never_confirmed(void **state)
{
	struct world *w = *state;
	int error;

	netns_run("nft add rule inet t late tcp dport %u drop", PORT);
	close(attempt(NETNS_PEER4, 0, SOCK_NONBLOCK, &error));
	assert_int_equal(error, EINPROGRESS);
	expect_no_more(w);
}

static void a_tuple_tried_again_has_the_entry_of_its_last_attempt(void **state)
{
	struct world *w = *state;
	struct ct_entry found;
	int error;

	netns_run("ip neigh replace " NOBODY4 " lladdr 02:00:00:00:00:99 dev eth0");
	close(attempt(NOBODY4, 40000, SOCK_NONBLOCK, &error));
	expect(w, 1);
	assert_int_equal(w->entries[0].kind, CT_NEW);
	close(attempt(NOBODY4, 40000, SOCK_NONBLOCK, &error));
	expect_no_more(w);
	assert_int_equal(ct_lookup(w->ct, &w->entries[0].original, 0, &found), 0);
	assert_int_equal(found.id, w->entries[0].id);
}

static void a_refusal_destroys_the_entry_at_once_as_closed_and_unanswered(void **state)
{
	struct world *w = *state;
	const struct ct_entry *e = &w->entries[1];
	int error;

	close(attempt(NETNS_PEER4, 0, 0, &error));
	assert_int_equal(error, ECONNREFUSED);
	expect(w, 2);
	assert_int_equal(w->entries[0].kind, CT_NEW);
	assert_int_equal(e->kind, CT_DESTROY);
	assert_int_equal(e->id, w->entries[0].id);
	/* Linux 5.10 leaves the state out; that the RST is counted but not seen tells as much. */
	assert_true(!e->has_tcp_state || e->tcp_state == TCP_CONNTRACK_CLOSE);
	assert_true(e->has_counters);
	assert_false(e->status & (IPS_ASSURED | IPS_SEEN_REPLY));
	assert_int_equal(e->packets[0], 1);
	assert_int_equal(e->packets[1], 1);
}

static void the_entries_of_a_tuple_are_told_one_after_the_other(void **state)
{
	struct world *w = *state;
	int error;

	for (int i = 0; i < 8; i++) {
		close(attempt(NETNS_PEER4, 40000, 0, &error));
		assert_int_equal(error, ECONNREFUSED);
	}
	expect(w, 16);
	for (int i = 0; i < 16; i += 2) {
		assert_int_equal(w->entries[i].kind, CT_NEW);
		assert_int_equal(w->entries[i + 1].kind, CT_DESTROY);
		assert_int_equal(w->entries[i].id, w->entries[i + 1].id);
		assert_true(tuple_equal(&w->entries[i].original, &w->entries[0].original));
		assert_true(tuple_equal(&w->entries[i + 1].original, &w->entries[0].original));
	}
}

static bool in_time_wait(struct world *w)
{
	struct ct_entry found;

	assert_int_equal(ct_lookup(w->ct, &w->entries[0].original, 0, &found), 0);
	return found.has_tcp_state && found.tcp_state == TCP_CONNTRACK_TIME_WAIT;
}

/* From port 40000, closed by the peer first: here the port is free again at once. */
static void connect_and_be_closed(struct world *w, int listener)
{
	int error, fd = attempt(NETNS_PEER4, 40000, 0, &error);
	char byte;

	assert_int_equal(error, 0);
	close(accept(listener, NULL, NULL));
	assert_int_equal(read(fd, &byte, 1), 0);
	close(fd);
	expect(w, 1);
	for (int tries = 0; tries < 1000 && !in_time_wait(w); tries++)
		poll(NULL, 0, 1);
	assert_true(in_time_wait(w));
}

static void a_syn_that_finds_its_entry_in_time_wait_has_it_replaced(void **state)
{
	struct world *w = *state;
	int listener = netns_listen(&w->pair, PORT), fd, error;

	connect_and_be_closed(w, listener);
	fd = attempt(NETNS_PEER4, 40000, 0, &error);
	assert_int_equal(error, 0);
	expect(w, 3);
	assert_int_equal(w->entries[1].kind, CT_DESTROY);
	assert_int_equal(w->entries[1].id, w->entries[0].id);
	assert_int_equal(w->entries[2].kind, CT_NEW);
	assert_true(tuple_equal(&w->entries[2].original, &w->entries[0].original));
	close(fd);
	close(listener);
}

static uint64_t real_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* However much later conntrack comes to remove it. */
static void an_entry_stops_its_timeout_after_its_last_packet(void **state)
{
	const uint64_t second = 1000000000, slack = 100000000;	/* lib/entry.c, SLACK_NS */
	struct world *w = *state;
	const struct ct_entry *e = &w->entries[1];
	uint64_t before = real_ns(), after;
	int listener;

	netns_run("sysctl -qw net.netfilter.nf_conntrack_tcp_timeout_time_wait=1");
	listener = netns_listen(&w->pair, PORT);
	connect_and_be_closed(w, listener);
	after = real_ns();
	while (real_ns() < after + 2 * second)
		poll(NULL, 0, 100);
	netns_run("conntrack -L >/dev/null 2>&1");	/* removes what has expired */
	expect(w, 2);
	assert_int_equal(e->kind, CT_DESTROY);
	assert_true(e->has_timestamps);
	assert_in_range(e->stop_real_ns, before + second - slack, after + second + slack);
	close(listener);
}

static void a_handshake_makes_the_entry_assured_before_a_byte_is_sent(void **state)
{
	struct world *w = *state;
	int listener = netns_listen(&w->pair, PORT), fd = netns_connect(NETNS_PEER4, PORT);
	struct ct_entry found;

	expect(w, 1);
	assert_int_equal(ct_lookup(w->ct, &w->entries[0].original, 0, &found), 0);
	assert_true(found.status & IPS_ASSURED);
	close(fd);
	close(listener);
}

static void who_gives_up_before_an_answer_leaves_the_entry_unclosed(void **state)
{
	struct world *w = *state;
	struct ct_entry found;
	int error;

	netns_run("ip neigh replace " NOBODY4 " lladdr 02:00:00:00:00:99 dev eth0");
	close(attempt(NOBODY4, 0, SOCK_NONBLOCK, &error));
	expect(w, 1);
	assert_int_equal(ct_lookup(w->ct, &w->entries[0].original, 0, &found), 0);
	assert_true(found.has_tcp_state);
	assert_int_equal(found.tcp_state, TCP_CONNTRACK_SYN_SENT);
	assert_false(found.status & IPS_SEEN_REPLY);
	expect_no_more(w);
}

static void an_entry_that_somebody_removes_names_the_remover(void **state)
{
	struct world *w = *state;
	int listener = netns_listen(&w->pair, PORT), fd = netns_connect(NETNS_PEER4, PORT), error;

	expect(w, 1);
	netns_run("conntrack -D -p tcp --dport %u >/dev/null 2>&1", PORT);
	expect(w, 2);
	assert_int_equal(w->entries[1].kind, CT_DESTROY);
	assert_true(w->entries[1].removed_by_hand);
	close(fd);
	close(listener);
	/* And the kernel's own removal does not. */
	w->count = 0;
	while (ct_read(w->ct, 100, see, w) > 0)
		;
	w->count = 0;
	close(attempt(NETNS_PEER4, 0, 0, &error));
	expect(w, 2);
	assert_false(w->entries[1].removed_by_hand);
}

static void an_entry_made_before_accounting_never_counts(void **state)
{
	struct world *w = *state;
	int listener = netns_listen(&w->pair, PORT), fd;

	netns_run("sysctl -qw net.netfilter.nf_conntrack_acct=0 net.netfilter.nf_conntrack_timestamp=0");
	fd = netns_connect(NETNS_PEER4, PORT);
	netns_run("sysctl -qw net.netfilter.nf_conntrack_acct=1 net.netfilter.nf_conntrack_timestamp=1");
	expect(w, 1);
	netns_run("conntrack -D -p tcp --dport %u >/dev/null 2>&1", PORT);
	expect(w, 2);
	assert_false(w->entries[1].has_counters);
	assert_false(w->entries[1].has_timestamps);
	close(fd);
	close(listener);
}

static void what_is_not_tracked_has_no_message(void **state)
{
	struct world *w = *state;
	int error;

	netns_run("nft 'add chain inet t r { type filter hook output priority -300; };"
		  "add rule inet t r tcp dport %u notrack'", PORT);
	close(attempt(NETNS_PEER4, 0, 0, &error));
	assert_int_equal(error, ECONNREFUSED);
	expect_no_more(w);
}

/* With net.netfilter.nf_conntrack_events at 2, the default since Linux 5.19. Before, it has one. */
static void an_entry_made_while_nobody_listens_ends_without_a_word(void **state)
{
	struct world *w = *state;
	static const uint8_t protocols[] = { IPPROTO_TCP, IPPROTO_UDP };
	int listener, fd;

	if (system("test $(cat /proc/sys/net/netfilter/nf_conntrack_events) = 2"))
		skip_because("net.netfilter.nf_conntrack_events is not 2, the default since Linux 5.19");
	listener = netns_listen(&w->pair, PORT);
	ct_close(w->ct);
	fd = netns_connect(NETNS_PEER4, PORT);
	assert_int_equal(ct_open(&w->ct, protocols, sizeof(protocols), 4 << 20), 0);
	netns_run("conntrack -D -p tcp --dport %u >/dev/null 2>&1", PORT);
	expect_no_more(w);
	close(fd);
	close(listener);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_packet_dropped_on_its_way_out_is_never_confirmed),
		TEST(a_tuple_tried_again_has_the_entry_of_its_last_attempt),
		TEST(a_refusal_destroys_the_entry_at_once_as_closed_and_unanswered),
		TEST(the_entries_of_a_tuple_are_told_one_after_the_other),
		TEST(a_syn_that_finds_its_entry_in_time_wait_has_it_replaced),
		TEST(an_entry_stops_its_timeout_after_its_last_packet),
		TEST(a_handshake_makes_the_entry_assured_before_a_byte_is_sent),
		TEST(who_gives_up_before_an_answer_leaves_the_entry_unclosed),
		TEST(an_entry_that_somebody_removes_names_the_remover),
		TEST(an_entry_made_before_accounting_never_counts),
		TEST(what_is_not_tracked_has_no_message),
		TEST(an_entry_made_while_nobody_listens_ends_without_a_word),
	};

	if (geteuid() != 0) {
		puts("needs root");
		return 77;
	}
	return cmocka_run_group_tests_name("guarantees of conntrack", tests, NULL, NULL);
}
