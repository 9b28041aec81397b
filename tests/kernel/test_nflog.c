// SPDX-License-Identifier: GPL-2.0-or-later
/* What NFLOG promises, on this kernel: each test in network namespaces of its own. */
#include "netns.h"
#include "nflog.h"

#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netlink.h>
#include <net/if.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define GROUP 617

static const struct nflog_config config = {
	.group = GROUP, .copy_range_bytes = 128, .buffer_bytes = 65536, .queue_threshold = 1,
	.flush_timeout_10ms = 1, .receive_buffer_bytes = 1 << 20,
};

struct seen {
	unsigned int count;
	struct nflog_packet packets[16];
	char prefix[64];
};

static void see(const struct nflog_packet *packet, void *data)
{
	struct seen *seen = data;

	if (seen->count < 16)
		seen->packets[seen->count] = *packet;
	seen->count++;
	snprintf(seen->prefix, sizeof(seen->prefix), "%s", packet->prefix);
}

static int setup(void **state)
{
	static struct netns_pair pair;

	netns_pair_open(&pair);
	netns_run("nft 'add table inet t; add chain inet t o "
		  "{ type filter hook output priority -150; }'");
	*state = &pair;
	return 0;
}

static int teardown(void **state)
{
	netns_pair_close(*state);
	return 0;
}

static void log_udp(void)
{
	netns_run("nft add rule inet t o udp dport 7000-7999 counter log group %d", GROUP);
}

static struct nflog *must_open(const struct nflog_config *c)
{
	struct nflog *n;

	assert_int_equal(nflog_group_open(&n, c), 0);
	return n;
}

/* Reads until that many came, or nothing came for a second. */
static void read_all(struct nflog *n, struct seen *seen, unsigned int want)
{
	while (seen->count < want && netns_wait(nflog_group_fd(n), 1000))
		assert_true(nflog_read(n, 1000, see, seen) >= 0);
}

static unsigned long long rule_counter(void)
{
	unsigned long long packets = 0;
	char line[256];
	const char *at;
	FILE *nft = popen("nft list chain inet t o", "r");

	assert_non_null(nft);
	while (fgets(line, sizeof(line), nft)) {
		at = strstr(line, "counter packets ");
		if (at)
			assert_int_equal(sscanf(at, "counter packets %llu", &packets), 1);
	}
	pclose(nft);
	return packets;
}

static void a_connection_is_logged_with_its_user_prefix_and_interface(void **state)
{
	struct netns_pair *pair = *state;
	struct nflog *n = must_open(&config);
	struct seen seen = { 0 };
	int listener = netns_listen(pair, 8000), fd4, fd6;

	netns_run("nft 'add rule inet t o tcp flags & (syn|ack) == syn ct state new "
		  "log prefix \"nfwho: out\" group %d'", GROUP);
	fd4 = netns_connect(NETNS_PEER4, 8000);
	fd6 = netns_connect(NETNS_PEER6, 8000);
	read_all(n, &seen, 2);
	assert_int_equal(nflog_unbind(n), 0);
	assert_int_equal(nflog_read(n, 1000, see, &seen), 0);
	assert_int_equal(seen.count, 2);
	for (unsigned int i = 0; i < 2; i++) {
		const struct nflog_packet *p = &seen.packets[i];

		assert_int_equal(p->status, PACKET_OK);
		assert_int_equal(p->packet.tuple.family, i ? AF_INET6 : AF_INET);
		assert_int_equal(p->packet.tuple.protocol, IPPROTO_TCP);
		assert_int_equal(ntohs(p->packet.tuple.dport), 8000);
		assert_int_equal(p->packet.tcp_flags, PACKET_TCP_SYN);
		assert_int_equal(p->hook, NF_INET_LOCAL_OUT);
		assert_int_equal(p->ifindex_out, if_nametoindex("eth0"));
		assert_true(p->has_uid && p->has_gid);
		assert_int_equal(p->uid, geteuid());
	}
	assert_string_equal(seen.prefix, "nfwho: out");
	assert_int_equal(nflog_stats(n)->invalid, 0);
	nflog_group_close(n);
	close(fd4);
	close(fd6);
	close(listener);
}

static void the_mark_comes_and_the_snap_length_holds(void **state)
{
	struct nflog_config c = config;
	struct seen seen = { 0 };
	struct nflog *n;
	int fd = -1;

	(void)state;
	c.copy_range_bytes = 64;
	n = must_open(&c);
	netns_run("nft 'add rule inet t o udp dport 7000 meta mark set 0x2a'");
	log_udp();
	netns_send(&fd, 7000, 1000);
	read_all(n, &seen, 1);
	assert_int_equal(seen.count, 1);
	assert_int_equal(seen.packets[0].mark, 0x2a);
	assert_int_equal(seen.packets[0].payload_len, 64);
	assert_int_equal(seen.packets[0].packet.length_bytes, 1028);
	assert_true(seen.packets[0].packet.ports_known);
	nflog_group_close(n);
	close(fd);
}

static int open_group(void *data)
{
	struct nflog *n;

	(void)data;
	return -nflog_group_open(&n, &config);
}

static void a_taken_group_is_busy_and_its_holder_known(void **state)
{
	struct sockaddr_nl address;
	socklen_t len = sizeof(address);
	struct nflog *n = must_open(&config), *second;
	uint32_t holder;

	(void)state;
	assert_int_equal(nflog_group_open(&second, &config), -EBUSY);
	assert_int_equal(getsockname(nflog_group_fd(n), (struct sockaddr *)&address, &len), 0);
	assert_int_equal(nflog_group_holder(GROUP, &holder), 0);
	assert_int_equal(holder, address.nl_pid);
	assert_int_equal(nflog_group_holder(GROUP + 1, &holder), 0);
	assert_int_equal(holder, 0);
	nflog_group_close(n);
	assert_int_equal(nflog_group_holder(GROUP, &holder), 0);
	assert_int_equal(holder, 0);
	nflog_group_close(must_open(&config));
}

static void without_the_capability_it_is_not_permitted_taken_or_free(void **state)
{
	struct nflog *n;

	(void)state;
	assert_int_equal(netns_without_capabilities(open_group, NULL), EPERM);
	n = must_open(&config);
	assert_int_equal(netns_without_capabilities(open_group, NULL), EPERM);
	nflog_group_close(n);
}

static void what_a_full_socket_loses_is_counted_exactly(void **state)
{
	struct nflog_config c = config;
	const unsigned int sent = 3000;
	struct seen seen = { 0 };
	struct nflog *n;
	int fd = -1;

	(void)state;
	c.receive_buffer_bytes = 4096;
	n = must_open(&c);
	log_udp();
	for (unsigned int i = 0; i < sent; i++)
		netns_send(&fd, 7000, 10);
	assert_true(nflog_read(n, sent, see, &seen) > 0);
	/* The loss shows with the next packet that comes through. */
	netns_send(&fd, 7000, 10);
	read_all(n, &seen, seen.count + 1);
	assert_int_equal(rule_counter(), sent + 1);
	assert_true(nflog_stats(n)->enobufs > 0);
	assert_true(nflog_stats(n)->sequence_gap > 0);
	assert_int_equal(seen.count, nflog_stats(n)->received);
	assert_int_equal(nflog_stats(n)->received + nflog_stats(n)->sequence_gap, sent + 1);
	nflog_group_close(n);
	close(fd);
}

/* Datagrams of no kernel's until no more fit. */
static void fill(const struct nflog *n)
{
	struct sockaddr_nl to;
	socklen_t len = sizeof(to);
	static const char rubbish[16];
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);

	assert_int_equal(getsockname(nflog_group_fd(n), (struct sockaddr *)&to, &len), 0);
	while (sendto(fd, rubbish, sizeof(rubbish), MSG_DONTWAIT, (struct sockaddr *)&to, len) > 0)
		;
	close(fd);
}

static void what_is_lost_before_the_first_packet_counts_too(void **state)
{
	struct nflog_config c = config;
	struct seen seen = { 0 };
	struct nflog *n;
	int fd = -1;

	(void)state;
	c.receive_buffer_bytes = 4096;
	n = must_open(&c);
	fill(n);
	log_udp();
	for (unsigned int i = 0; i < 100; i++)
		netns_send(&fd, 7000, 10);
	assert_int_equal(nflog_read(n, 1000, see, &seen), 0);
	netns_send(&fd, 7000, 10);
	read_all(n, &seen, 1);
	assert_int_equal(nflog_stats(n)->received, 1);
	assert_int_equal(nflog_stats(n)->sequence_gap, 100);
	nflog_group_close(n);
	close(fd);
}

/* Less than a batch, and more of it all the time. */
static void no_packet_waits_longer_than_the_flush_timeout(void **state)
{
	struct nflog_config c = config;
	unsigned int sent = 0;
	struct nflog *n;
	int fd = -1;

	(void)state;
	c.queue_threshold = 100;
	c.flush_timeout_10ms = 10;
	n = must_open(&c);
	log_udp();
	while (sent < 90 && !netns_wait(nflog_group_fd(n), 10)) {
		netns_send(&fd, 7000, 10);
		sent++;
	}
	assert_in_range(sent, 1, 89);
	nflog_group_close(n);
	close(fd);
}

static void packets_come_in_the_order_in_which_they_were_sent(void **state)
{
	struct nflog_config c = config;
	struct seen seen = { 0 };
	struct nflog *n;
	int fd = -1;

	(void)state;
	c.queue_threshold = 5;
	n = must_open(&c);
	log_udp();
	for (unsigned int i = 0; i < 16; i++)
		netns_send(&fd, 7000, i + 1);
	read_all(n, &seen, 16);
	assert_int_equal(seen.count, 16);
	for (unsigned int i = 0; i < 16; i++)
		assert_int_equal(seen.packets[i].packet.length_bytes, 20 + 8 + i + 1);
	nflog_group_close(n);
	close(fd);
}

static void a_group_that_is_bound_anew_is_numbered_anew(void **state)
{
	int fd = -1;

	(void)state;
	log_udp();
	for (unsigned int turn = 0; turn < 2; turn++) {
		struct nflog *n = must_open(&config);
		struct seen seen = { 0 };

		for (unsigned int i = 0; i < 3; i++)
			netns_send(&fd, 7000, 10);
		read_all(n, &seen, 3);
		assert_int_equal(seen.count, 3);
		assert_int_equal(nflog_stats(n)->sequence_gap, 0);
		nflog_group_close(n);
	}
	close(fd);
}

static void unbinding_flushes_the_batch_and_ends_the_stream(void **state)
{
	struct nflog_config c = config;
	struct seen seen = { 0 };
	struct nflog *n;
	int fd = -1;

	(void)state;
	c.queue_threshold = 100;
	c.flush_timeout_10ms = 1000;
	n = must_open(&c);
	log_udp();
	for (unsigned int i = 0; i < 5; i++)
		netns_send(&fd, 7000, 10);
	assert_int_equal(nflog_read(n, 1000, see, &seen), 0);
	assert_int_equal(nflog_unbind(n), 0);
	assert_int_equal(nflog_read(n, 1000, see, &seen), 5);
	netns_send(&fd, 7000, 10);
	assert_int_equal(nflog_read(n, 1000, see, &seen), 0);
	assert_int_equal(rule_counter(), 6);
	assert_int_equal(nflog_stats(n)->sequence_gap, 0);
	nflog_group_close(n);
	close(fd);
}

static void a_batch_is_as_large_as_asked_for(void **state)
{
	struct nflog_config c = config;
	const unsigned int sent = 1000;
	struct seen seen = { 0 };
	struct nflog *n;
	int fd = -1, most = 0, got;

	(void)state;
	c.queue_threshold = 200;
	n = must_open(&c);
	log_udp();
	for (unsigned int i = 0; i < sent; i++)
		netns_send(&fd, 7000, 10);
	while (seen.count < sent && netns_wait(nflog_group_fd(n), 1000)) {
		got = nflog_read(n, 1, see, &seen);
		assert_true(got >= 0);
		most = got > most ? got : most;
	}
	assert_int_equal(seen.count, sent);
	assert_int_equal(most, 200);
	nflog_group_close(n);
	close(fd);
}

static void a_socket_handed_over_goes_on(void **state)
{
	struct seen seen = { 0 };
	struct nflog *n = must_open(&config), *heir;
	int fd = -1, pipe_fd[2], kept = dup(nflog_group_fd(n)), bytes = 0;
	struct nflog_config other = config;
	socklen_t len = sizeof(bytes);

	(void)state;
	other.receive_buffer_bytes *= 2;
	log_udp();
	netns_send(&fd, 7000, 10);
	read_all(n, &seen, 1);
	nflog_group_close(n);
	netns_send(&fd, 7000, 10);
	assert_int_equal(nflog_adopt(&heir, &other, kept), 0);
	read_all(heir, &seen, 2);
	assert_int_equal(seen.count, 2);
	assert_int_equal(nflog_stats(heir)->sequence_gap, 0);
	assert_int_equal(getsockopt(kept, SOL_SOCKET, SO_RCVBUF, &bytes, &len), 0);
	assert_int_equal(bytes, 2 * other.receive_buffer_bytes);

	assert_int_equal(pipe(pipe_fd), 0);
	assert_int_equal(nflog_adopt(&n, &config, pipe_fd[0]), -ENOTSOCK);
	assert_int_equal(nflog_adopt(&n, &config, fd), -EPROTOTYPE);
	close(pipe_fd[0]);
	close(pipe_fd[1]);
	nflog_group_close(heir);
	close(fd);
}

static void what_another_process_sends_reaches_nobody(void **state)
{
	struct seen seen = { 0 };
	struct nflog *n = must_open(&config);

	(void)state;
	fill(n);
	assert_true(netns_wait(nflog_group_fd(n), 1000));
	assert_int_equal(nflog_read(n, 1, see, &seen), 0);
	assert_int_equal(nflog_stats(n)->received, 0);
	assert_false(netns_wait(nflog_group_fd(n), 0));
	nflog_group_close(n);
}

#define kernel_test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		kernel_test(a_connection_is_logged_with_its_user_prefix_and_interface),
		kernel_test(the_mark_comes_and_the_snap_length_holds),
		kernel_test(a_taken_group_is_busy_and_its_holder_known),
		kernel_test(without_the_capability_it_is_not_permitted_taken_or_free),
		kernel_test(what_a_full_socket_loses_is_counted_exactly),
		kernel_test(what_is_lost_before_the_first_packet_counts_too),
		kernel_test(no_packet_waits_longer_than_the_flush_timeout),
		kernel_test(packets_come_in_the_order_in_which_they_were_sent),
		kernel_test(a_group_that_is_bound_anew_is_numbered_anew),
		kernel_test(unbinding_flushes_the_batch_and_ends_the_stream),
		kernel_test(a_batch_is_as_large_as_asked_for),
		kernel_test(a_socket_handed_over_goes_on),
		kernel_test(what_another_process_sends_reaches_nobody),
	};

	if (geteuid() != 0) {
		puts("needs root");
		return 77;
	}
	return cmocka_run_group_tests_name("nflog", tests, NULL, NULL);
}
