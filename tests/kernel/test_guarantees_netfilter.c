// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What reading and counting packets, keeping the rules and asking for a socket take for granted of
 * NFLOG, nf_tables and sock_diag, one sentence each. (What NFLOG promises of order, of time and of
 * what is lost is in test_nflog.) Where one of these fails, nfwho may bind or change what is
 * another's, believe that rules stand which do not, or take one user or socket for another: see
 * lib/nflog, nft/batch and lib/owner before changing the test.
 */
#include "attr.h"
#include "batch.h"
#include "ct.h"
#include "diag.h"
#include "netns.h"
#include "nflog.h"
#include "skip.h"
#include "table.h"
#include "world.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_log.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define GROUP 617
#define PORT 7000
#define TABLE_OWNER 7	/* NFTA_TABLE_OWNER of newer headers */

static const struct nflog_config config = {
	.group = GROUP, .copy_range_bytes = 128, .buffer_bytes = 65536, .queue_threshold = 1,
	.flush_timeout_10ms = 1, .receive_buffer_bytes = 4 << 20,
};

static struct netns_pair pair;

static int set_up(void **state)
{
	(void)state;
	netns_pair_open(&pair);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	if (seteuid(0))		/* a test may have failed as another user */
		return -1;
	netns_pair_close(&pair);
	return 0;
}

static void log_to_group(const char *match, unsigned int group)
{
	netns_run("nft 'add table inet t; add chain inet t o "
		  "{ type filter hook output priority -150; }; add rule inet t o %s log group %u'",
		  match, group);
}

static void must_open(struct nl *nl, uint32_t groups)
{
	assert_int_equal(nl_open(nl, NETLINK_NETFILTER, groups, 64 * 1024), 0);
}

static struct nflog *must_bind(uint16_t group)
{
	struct nflog_config c = config;
	struct nflog *n;

	c.group = group;
	assert_int_equal(nflog_group_open(&n, &c), 0);
	return n;
}

/* Asks for the group with these flags, and nothing else. */
static int bind_raw(struct nl *nl, uint16_t flags)
{
	const struct nfulnl_msg_config_cmd cmd = { .command = NFULNL_CFG_CMD_BIND };
	_Alignas(struct nlmsghdr) char buf[256];
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct nfgenmsg *nfg = mnl_nlmsg_put_extra_header(nlh, sizeof(*nfg));

	nlh->nlmsg_type = NFNL_SUBSYS_ULOG << 8 | NFULNL_MSG_CONFIG;
	nfg->res_id = htons(GROUP);
	mnl_attr_put(nlh, NFULA_CFG_CMD, sizeof(cmd), &cmd);
	mnl_attr_put_u16(nlh, NFULA_CFG_FLAGS, htons(flags));
	return nl_request(nl, nlh, NULL, NULL);
}

static uint32_t holder(void)
{
	uint32_t portid;

	assert_int_equal(nflog_group_holder(GROUP, &portid), 0);
	return portid;
}

static void a_bound_group_is_not_permitted_to_others_and_busy_for_its_own_socket(void **state)
{
	struct nl first, second;

	(void)state;
	must_open(&first, 0);
	must_open(&second, 0);
	assert_int_equal(bind_raw(&first, NFULNL_CFG_F_SEQ), 0);
	assert_int_equal(holder(), first.portid);
	assert_int_equal(bind_raw(&second, NFULNL_CFG_F_SEQ), -EPERM);
	assert_int_equal(bind_raw(&first, NFULNL_CFG_F_SEQ), -EBUSY);
	assert_int_equal(holder(), first.portid);
	nl_close(&first);
	assert_int_equal(holder(), 0);
	assert_int_equal(bind_raw(&second, NFULNL_CFG_F_SEQ), 0);
	nl_close(&second);
}

/* It is refused where there is no CONFIG_NETFILTER_NETLINK_GLUE_CT, or no module yet. */
static void a_group_whose_flags_are_refused_is_not_bound(void **state)
{
	struct nl nl;
	int err;

	(void)state;
	must_open(&nl, 0);
	err = bind_raw(&nl, NFULNL_CFG_F_SEQ | NFULNL_CFG_F_CONNTRACK);
	assert_int_equal(holder(), err ? 0 : nl.portid);
	nl_close(&nl);
}

struct seen {
	unsigned int count;
	struct nflog_packet last;
};

static void see(const struct nflog_packet *packet, void *data)
{
	struct seen *seen = data;

	seen->last = *packet;
	seen->count++;
}

static void read_packets(struct nflog *n, struct seen *seen, unsigned int count)
{
	while (seen->count < count && netns_wait(nflog_group_fd(n), 1000))
		assert_true(nflog_read(n, 1000, see, seen) >= 0);
	assert_int_equal(seen->count, count);
}

static void each_group_numbers_its_own_packets_from_0_on(void **state)
{
	struct nflog *n[2] = { must_bind(GROUP), must_bind(GROUP + 1) };
	struct seen seen[2] = { 0 };
	uint32_t next;
	int fd = -1;

	(void)state;
	log_to_group("udp dport 7000", GROUP);
	netns_run("nft add rule inet t o udp dport 7001 log group %u", GROUP + 1);
	for (unsigned int i = 0; i < 60; i++)
		netns_send(&fd, PORT + (i % 3 == 0), 10);
	for (int i = 0; i < 2; i++) {
		read_packets(n[i], &seen[i], i ? 20 : 40);
		assert_true(nflog_next_sequence(n[i], &next));
		assert_int_equal(next, seen[i].count);
		assert_int_equal(nflog_stats(n[i])->sequence_gap, 0);
		nflog_group_close(n[i]);
	}
	close(fd);
}

/* A longer one would be cut off, and with it whatever was in it. */
static void no_datagram_is_longer_than_twice_the_buffer(void **state)
{
	struct nflog_config c = config;
	struct seen seen = { 0 };
	ssize_t len, longest = 0;
	struct nflog *n;
	int fd = -1;

	(void)state;
	c.buffer_bytes = 40000;
	c.queue_threshold = 10000;
	c.flush_timeout_10ms = 1000;
	assert_int_equal(nflog_group_open(&n, &c), 0);
	log_to_group("udp dport 7000", GROUP);
	for (unsigned int i = 0; i < 3000; i++)
		netns_send(&fd, PORT, 100);
	assert_int_equal(nflog_unbind(n), 0);
	while ((len = recv(nflog_group_fd(n), NULL, 0, MSG_PEEK | MSG_TRUNC | MSG_DONTWAIT)) > 0) {
		longest = len > longest ? len : longest;
		assert_true(nflog_read(n, 1, see, &seen) >= 0);
	}
	assert_int_equal(seen.count, 3000);
	assert_in_range(longest, 20000, 2 * c.buffer_bytes);
	nflog_group_close(n);
	close(fd);
}

static void a_packets_user_is_who_opened_its_socket_not_who_sends(void **state)
{
	static const uid_t opener[] = { 0, 1001 }, sender[] = { 1001, 0 };
	struct nflog *n = must_bind(GROUP);
	struct seen seen = { 0 };

	(void)state;
	log_to_group("udp dport 7000", GROUP);
	for (unsigned int i = 0; i < 2; i++) {
		int fd;

		assert_int_equal(seteuid(opener[i]), 0);
		fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
		assert_int_equal(seteuid(0), 0);
		assert_int_equal(seteuid(sender[i]), 0);
		netns_send(&fd, PORT, 10);
		assert_int_equal(seteuid(0), 0);
		read_packets(n, &seen, i + 1);
		assert_true(seen.last.has_uid && seen.last.has_gid);
		assert_int_equal(seen.last.uid, opener[i]);
		close(fd);
	}
	nflog_group_close(n);
}

/* The RST of a port where nobody listens. */
static void a_packet_of_the_kernels_own_has_no_user(void **state)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(PORT),
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct nflog *n = must_bind(GROUP);
	struct seen seen = { 0 };

	(void)state;
	log_to_group("tcp sport 7000", GROUP);
	assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), -1);
	assert_int_equal(errno, ECONNREFUSED);
	read_packets(n, &seen, 1);
	assert_false(seen.last.has_uid || seen.last.has_gid);
	nflog_group_close(n);
	close(fd);
}

static void see_entry(const struct ct_entry *entry, void *data)
{
	*(struct ct_entry *)data = *entry;
}

static void the_entry_in_a_packet_is_the_one_whose_events_follow(void **state)
{
	static const uint8_t udp = IPPROTO_UDP;
	struct nflog *n = must_bind(GROUP);
	struct ct_entry entry = { 0 };
	struct seen seen = { 0 };
	struct ct *ct;
	int fd = -1;

	(void)state;
	log_to_group("udp dport 7000 ct state new", GROUP);
	assert_int_equal(ct_open(&ct, &udp, 1, 1 << 20), 0);
	netns_send(&fd, PORT, 10);
	read_packets(n, &seen, 1);
	assert_true(netns_wait(ct_fd(ct), 1000));
	assert_int_equal(ct_read(ct, 100, see_entry, &entry), 1);
	ct_close(ct);
	nflog_group_close(n);
	close(fd);
	if (!seen.last.has_ct)
		skip_because("this kernel puts no conntrack entry into a packet (GLUE_CT)");
	assert_true(tuple_equal(&entry.original, &seen.last.packet.tuple));
	assert_true(seen.last.ct_unconfirmed);
	assert_int_equal(seen.last.ct_id, entry.id);
}

static void put_table(struct batch *batch, uint16_t type, const char *name, uint32_t flags)
{
	bool makes = type == NFT_MSG_NEWTABLE;
	struct nlmsghdr *nlh = batch_message(batch, type, NFPROTO_INET,
					     makes ? NLM_F_CREATE | NLM_F_EXCL : 0);

	mnl_attr_put_strz(nlh, NFTA_TABLE_NAME, name);
	if (makes)
		mnl_attr_put_u32(nlh, NFTA_TABLE_FLAGS, htonl(flags));
	batch_message_end(batch, nlh);
}

static void begin(struct batch *batch, struct nl *nl)
{
	uint32_t generation;

	assert_int_equal(batch_generation(nl, &generation), 0);
	assert_int_equal(batch_init(batch, nl, generation), 0);
}

/* The whole of it. */
static int end(struct batch *batch)
{
	int err = batch_send(batch);

	batch_fini(batch);
	return err;
}

static int change_table(struct nl *nl, uint16_t type, const char *name, uint32_t flags)
{
	struct batch batch;

	begin(&batch, nl);
	put_table(&batch, type, name, flags);
	return end(&batch);
}

struct table {
	uint64_t handle;
	uint32_t owner;
};

static int read_table(const struct nlmsghdr *nlh, void *data)
{
	const struct nlattr *tb[TABLE_OWNER + 1];
	struct table *table = data;

	assert_int_equal(attr_table_of_message(tb, TABLE_OWNER, nlh, sizeof(struct nfgenmsg)), 0);
	attr_be64(tb[NFTA_TABLE_HANDLE], &table->handle);
	attr_be32(tb[TABLE_OWNER], &table->owner);
	return 0;
}

/* 0 or -ENOENT. */
static int find_table(struct nl *nl, const char *name, struct table *out)
{
	_Alignas(struct nlmsghdr) char buf[256];
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct nfgenmsg *nfg = mnl_nlmsg_put_extra_header(nlh, sizeof(*nfg));

	*out = (struct table) { 0 };
	nlh->nlmsg_type = NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETTABLE;
	nfg->nfgen_family = NFPROTO_INET;
	mnl_attr_put_strz(nlh, NFTA_TABLE_NAME, name);
	return nl_request(nl, nlh, read_table, out);
}

static void nf_tables_has_answered_when_send_returns(void **state)
{
	struct nl nl;

	(void)state;
	must_open(&nl, 0);
	for (int i = 0; i < 500; i++) {
		struct batch batch;

		begin(&batch, &nl);
		put_table(&batch, NFT_MSG_NEWTABLE, "a", 0);
		put_table(&batch, NFT_MSG_DELTABLE, "a", 0);
		assert_int_equal(end(&batch), 0);	/* waits for nothing */
		assert_int_equal(nl_receive(&nl), 0);
	}
	nl_close(&nl);
}

static void a_batch_of_which_one_message_is_refused_changes_nothing(void **state)
{
	struct table table;
	struct batch batch;
	struct nl nl;

	(void)state;
	must_open(&nl, 0);
	assert_int_equal(change_table(&nl, NFT_MSG_NEWTABLE, "stays", 0), 0);
	begin(&batch, &nl);
	put_table(&batch, NFT_MSG_DELTABLE, "stays", 0);
	put_table(&batch, NFT_MSG_NEWTABLE, "a", 0);
	put_table(&batch, NFT_MSG_DELTABLE, "none", 0);
	put_table(&batch, NFT_MSG_NEWTABLE, "b", 0);
	assert_int_equal(end(&batch), -ENOENT);
	assert_int_equal(batch.failed_type, NFT_MSG_DELTABLE);
	assert_int_equal(find_table(&nl, "a", &table), -ENOENT);
	assert_int_equal(find_table(&nl, "b", &table), -ENOENT);
	assert_int_equal(find_table(&nl, "stays", &table), 0);
	nl_close(&nl);
}

static void a_batch_for_an_earlier_ruleset_is_to_be_made_again(void **state)
{
	struct table table;
	struct batch batch;
	struct nl nl;

	(void)state;
	must_open(&nl, 0);
	begin(&batch, &nl);
	put_table(&batch, NFT_MSG_NEWTABLE, "a", 0);
	netns_run("nft add table ip another");
	assert_int_equal(end(&batch), -ERESTART);
	assert_int_equal(find_table(&nl, "a", &table), -ENOENT);
	assert_int_equal(change_table(&nl, NFT_MSG_NEWTABLE, "a", 0), 0);
	nl_close(&nl);
}

static void an_owned_table_is_for_its_socket_alone_and_goes_with_it(void **state)
{
	struct nl owner, other;
	struct table table;
	int err, copy;

	(void)state;
	must_open(&owner, 0);
	must_open(&other, 0);
	err = change_table(&owner, NFT_MSG_NEWTABLE, "a", TABLE_FLAG_OWNER);
	if (err == -EINVAL || err == -EOPNOTSUPP)
		skip_because("no tables with an owner, which came with Linux 5.12");
	assert_int_equal(err, 0);
	assert_int_equal(change_table(&other, NFT_MSG_DELTABLE, "a", 0), -EPERM);
	netns_run("! nft add chain inet a c 2>/dev/null && nft flush ruleset");
	assert_int_equal(find_table(&other, "a", &table), 0);
	assert_int_equal(table.owner, owner.portid);
	copy = dup(nl_fd(&owner));
	nl_close(&owner);
	assert_int_equal(find_table(&other, "a", &table), 0);
	close(copy);
	assert_int_equal(find_table(&other, "a", &table), -ENOENT);
	nl_close(&other);
}

static void a_table_made_anew_has_another_handle(void **state)
{
	struct table first, second;
	struct batch batch;
	struct nl nl;

	(void)state;
	must_open(&nl, 0);
	assert_int_equal(change_table(&nl, NFT_MSG_NEWTABLE, "a", 0), 0);
	assert_int_equal(find_table(&nl, "a", &first), 0);
	begin(&batch, &nl);
	put_table(&batch, NFT_MSG_DELTABLE, "a", 0);
	put_table(&batch, NFT_MSG_NEWTABLE, "a", 0);
	assert_int_equal(end(&batch), 0);
	assert_int_equal(find_table(&nl, "a", &second), 0);
	assert_true(first.handle && second.handle);
	assert_true(first.handle != second.handle);
	nl_close(&nl);
}

/* Reads one message of a kind, and that there is no other in front of it. */
static const struct nlmsghdr *next_event(struct nl *nl, const uint8_t **at, size_t *left,
					 uint16_t type, uint32_t portid)
{
	const struct nlmsghdr *nlh = nl_take(at, left);

	if (!nlh) {
		assert_int_equal(nl_wait(nl, 1000), 0);
		*left = (size_t)nl_receive(nl);
		*at = nl->buf;
		nlh = nl_take(at, left);
	}
	assert_non_null(nlh);
	assert_int_equal(nlh->nlmsg_type, NFNL_SUBSYS_NFTABLES << 8 | type);
	assert_int_equal(nlh->nlmsg_pid, portid);
	return nlh;
}

static void a_change_ends_with_the_name_of_its_process_and_a_refused_one_is_not_told(void **state)
{
	const struct nlattr *tb[NFTA_GEN_MAX + 1];
	const uint8_t *at = NULL;
	struct nl watcher, nl;
	struct batch batch;
	size_t left = 0;
	uint32_t pid;

	(void)state;
	must_open(&watcher, 1 << (NFNLGRP_NFTABLES - 1));
	must_open(&nl, 0);
	begin(&batch, &nl);
	put_table(&batch, NFT_MSG_NEWTABLE, "a", 0);
	put_table(&batch, NFT_MSG_DELTABLE, "none", 0);
	assert_int_equal(end(&batch), -ENOENT);
	assert_int_equal(change_table(&nl, NFT_MSG_NEWTABLE, "b", 0), 0);
	next_event(&watcher, &at, &left, NFT_MSG_NEWTABLE, nl.portid);
	assert_int_equal(attr_table_of_message(tb, NFTA_GEN_MAX, next_event(
		&watcher, &at, &left, NFT_MSG_NEWGEN, nl.portid), sizeof(struct nfgenmsg)), 0);
	assert_true(attr_be32(tb[NFTA_GEN_PROC_PID], &pid));
	assert_int_equal(pid, getpid());
	assert_int_equal(left, 0);
	assert_int_equal(nl_receive(&watcher), 0);
	nl_close(&watcher);
	nl_close(&nl);
}

static struct sock_query ask(struct diag *d, const struct tuple *tuple)
{
	struct sock_query query = { .tuple = *tuple };

	assert_int_equal(diag_lookup(d, &query, 1), 0);
	return query;
}

static void assert_is_found(struct diag *d, struct pair p)
{
	struct sock_query query = ask(d, &p.tuple);
	char path[64], link[64] = "", expected[64];
	uint64_t cookie;
	socklen_t len = sizeof(cookie);

	assert_true(query.found);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", p.fd);
	snprintf(expected, sizeof(expected), "socket:[%" PRIu64 "]", query.sock.inode);
	assert_true(readlink(path, link, sizeof(link) - 1) > 0);
	assert_string_equal(link, expected);
	assert_int_equal(getsockopt(p.fd, SOL_SOCKET, SO_COOKIE, &cookie, &len), 0);
	assert_true(query.sock.cookie == cookie);
	assert_int_equal(query.sock.uid, geteuid());
	pair_close(&p);
}

static void a_connection_is_found_with_the_inode_and_the_cookie_of_its_descriptor(void **state)
{
	static const int families[] = { AF_INET, AF_INET6 };
	struct diag *d;

	(void)state;
	assert_int_equal(diag_open(&d), 0);
	for (int i = 0; i < 2; i++) {
		assert_is_found(d, pair_open(families[i], SOCK_STREAM));
		assert_is_found(d, pair_open(families[i], SOCK_DGRAM));
	}
	assert_is_found(d, pair_open_mapped());
	diag_close(d);
}

static void whoever_answers_instead_of_a_connection_says_its_own_tuple(void **state)
{
	struct pair p = pair_open(AF_INET, SOCK_STREAM);
	struct tuple t = tuple_reverse(&p.tuple);	/* of the listener's port */
	struct diag *d;

	(void)state;
	t.dport = htons(9);
	assert_int_equal(diag_open(&d), 0);
	assert_false(ask(d, &t).found);
	assert_int_equal(diag_stats(d)->invalid, 0);
	diag_close(d);
	pair_close(&p);
}

static void a_socket_whose_descriptors_are_closed_has_no_inode(void **state)
{
	struct pair p = pair_open(AF_INET, SOCK_STREAM);
	struct sock_query query;
	struct diag *d;

	(void)state;
	assert_int_equal(diag_open(&d), 0);
	assert_true(ask(d, &p.tuple).sock.inode != 0);
	close(p.fd);
	p.fd = -1;
	query = ask(d, &p.tuple);
	assert_true(query.found);
	assert_int_equal(query.sock.inode, 0);
	diag_close(d);
	pair_close(&p);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_bound_group_is_not_permitted_to_others_and_busy_for_its_own_socket),
		TEST(a_group_whose_flags_are_refused_is_not_bound),
		TEST(each_group_numbers_its_own_packets_from_0_on),
		TEST(no_datagram_is_longer_than_twice_the_buffer),
		TEST(a_packets_user_is_who_opened_its_socket_not_who_sends),
		TEST(a_packet_of_the_kernels_own_has_no_user),
		TEST(the_entry_in_a_packet_is_the_one_whose_events_follow),
		TEST(nf_tables_has_answered_when_send_returns),
		TEST(a_batch_of_which_one_message_is_refused_changes_nothing),
		TEST(a_batch_for_an_earlier_ruleset_is_to_be_made_again),
		TEST(an_owned_table_is_for_its_socket_alone_and_goes_with_it),
		TEST(a_table_made_anew_has_another_handle),
		TEST(a_change_ends_with_the_name_of_its_process_and_a_refused_one_is_not_told),
		TEST(a_connection_is_found_with_the_inode_and_the_cookie_of_its_descriptor),
		TEST(whoever_answers_instead_of_a_connection_says_its_own_tuple),
		TEST(a_socket_whose_descriptors_are_closed_has_no_inode),
	};

	if (geteuid() != 0) {
		puts("needs root");
		return 77;
	}
	return cmocka_run_group_tests_name("guarantees of netfilter and sock_diag", tests, NULL,
					   NULL);
}
