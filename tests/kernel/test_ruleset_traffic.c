// SPDX-License-Identifier: GPL-2.0-or-later
#include "filter.h"
#include "skip.h"
#include "stage.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

static int flush(void **state)
{
	(void)state;
	netns_run("nft flush ruleset");
	return 0;
}

static uint64_t matched(struct ruleset *r)
{
	struct ruleset_counts counts;

	assert_int_equal(ruleset_counters(r, &counts), 0);
	return counts.matched;
}

/* Owned, where tables can be (Linux 5.12). */
static void stand(struct ruleset *r)
{
	int err = ruleset_create(r, true);

	if (err == -EOPNOTSUPP)
		err = ruleset_create(r, false);
	assert_int_equal(err, 0);
}

static struct ruleset *create(const struct ruleset_config *config)
{
	struct ruleset *r = stage_open(config);

	stand(r);
	return r;
}

static void each_attempt_of_either_family_counts_once(void **state)
{
	struct ruleset_config config = stage_config();
	struct ruleset *r = create(&config);

	(void)state;
	for (int i = 0; i < 3; i++)
		assert_int_equal(stage_connect(NETNS_PEER4, STAGE_PORT, true), 0);
	assert_int_equal(matched(r), 3);
	for (int i = 0; i < 2; i++)
		assert_int_equal(stage_connect(NETNS_PEER6, STAGE_PORT, true), 0);
	assert_int_equal(matched(r), 5);
	assert_int_equal(stage_connect(NETNS_PEER4, STAGE_PORT + 1, true), ECONNREFUSED);
	assert_int_equal(stage_connect(NETNS_PEER6, STAGE_PORT + 1, true), ECONNREFUSED);
	assert_int_equal(matched(r), 7);
	ruleset_close(r);
}

static void other_protocols_count_only_when_asked_for(void **state)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(53) };
	struct ruleset_config config = stage_config();
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ruleset *r = create(&config);

	(void)state;
	inet_pton(AF_INET, NETNS_PEER4, &to.sin_addr);
	assert_int_equal(sendto(fd, "x", 1, 0, (struct sockaddr *)&to, sizeof(to)), 1);
	netns_run("ping -q -c 1 -W 1 " NETNS_PEER4 " >/dev/null && "
		  "ping -q -c 1 -W 1 " NETNS_PEER6 " >/dev/null");
	assert_int_equal(matched(r), 0);
	ruleset_close(r);

	config.protocols = RULESET_UDP | RULESET_ICMP;
	r = create(&config);
	close(fd);
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_int_equal(sendto(fd, "x", 1, 0, (struct sockaddr *)&to, sizeof(to)), 1);
	assert_int_equal(matched(r), 1);
	netns_run("ping -q -c 2 -i 0.01 -W 1 " NETNS_PEER4 " >/dev/null && "
		  "ping -q -c 2 -i 0.01 -W 1 " NETNS_PEER6 " >/dev/null");
	assert_int_equal(matched(r), 3);
	assert_int_equal(stage_connect(NETNS_PEER4, STAGE_PORT, true), 0);
	assert_int_equal(matched(r), 3);
	close(fd);
	ruleset_close(r);
}

static int listen_here(int family, struct sockaddr_storage *at)
{
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	socklen_t len = sizeof(*at);

	memset(at, 0, sizeof(*at));
	at->ss_family = family;
	if (family == AF_INET6)
		((struct sockaddr_in6 *)at)->sin6_addr = in6addr_loopback;
	else
		((struct sockaddr_in *)at)->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(fd, (struct sockaddr *)at, len), 0);
	assert_int_equal(listen(fd, 16), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)at, &len), 0);
	return fd;
}

static void loopback_counts_only_when_asked_for(void **state)
{
	struct ruleset_config config = stage_config();
	struct sockaddr_storage at4, at6;
	int fd4 = listen_here(AF_INET, &at4), fd6 = listen_here(AF_INET6, &at6);

	(void)state;
	for (int asked = 0; asked < 2; asked++) {
		struct ruleset *r;

		config.loopback = asked;
		r = create(&config);
		assert_int_equal(stage_connect("127.0.0.1",
				 ntohs(((struct sockaddr_in *)&at4)->sin_port), true), 0);
		assert_int_equal(stage_connect("::1",
				 ntohs(((struct sockaddr_in6 *)&at6)->sin6_port), true), 0);
		/* An address of this host is reached over loopback, too. */
		assert_int_equal(stage_connect("198.51.100.1", STAGE_PORT, true), ECONNREFUSED);
		assert_int_equal(matched(r), asked ? 3 : 0);
		ruleset_close(r);
	}
	close(fd4);
	close(fd6);
}

static void what_is_not_tracked_counts_too(void **state)
{
	struct ruleset_config config = stage_config();
	struct ruleset *r;

	(void)state;
	stage_load("table inet raw { chain output { type filter hook output priority -300;\n"
		   "tcp dport 8080 notrack\n}\nchain prerouting { type filter hook prerouting "
		   "priority -300;\ntcp sport 8080 notrack\n}\n}\n");
	r = create(&config);
	assert_int_equal(stage_connect(NETNS_PEER4, STAGE_PORT, true), 0);
	assert_int_equal(stage_connect(NETNS_PEER6, STAGE_PORT, true), 0);
	assert_int_equal(matched(r), 2);
	ruleset_close(r);
	config.conntrack = false;
	r = create(&config);
	assert_int_equal(stage_connect(NETNS_PEER4, STAGE_PORT, true), 0);
	assert_int_equal(matched(r), 1);
	ruleset_close(r);
}

static void a_retransmitted_syn_counts_again(void **state)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(STAGE_PORT) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	struct ruleset_config config = stage_config();
	struct ruleset *r = create(&config);
	struct timespec now, end;

	(void)state;
	inet_pton(AF_INET, STAGE_NOBODY4, &to.sin_addr);
	connect(fd, (struct sockaddr *)&to, sizeof(to));
	assert_int_equal(matched(r), 1);
	clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_sec += 5;
	do {
		poll(NULL, 0, 20);
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while (matched(r) < 2 && now.tv_sec < end.tv_sec);
	assert_int_equal(matched(r), 2);
	close(fd);
	ruleset_close(r);
}

static void what_is_over_the_limit_is_counted_and_still_goes_out(void **state)
{
	enum { LIMIT = 4, ATTEMPTS = 40 };
	struct ruleset_config config = stage_config();
	struct ruleset_counts counts;
	struct ruleset *r;

	(void)state;
	config.limit_per_second = LIMIT;
	r = create(&config);
	for (int i = 0; i < ATTEMPTS; i++)
		assert_int_equal(stage_connect(i & 1 ? NETNS_PEER6 : NETNS_PEER4, STAGE_PORT,
					       true), 0);
	assert_int_equal(ruleset_counters(r, &counts), 0);
	assert_int_equal(counts.matched + counts.limited, ATTEMPTS);
	assert_true(counts.matched >= LIMIT);
	assert_true(counts.limited > 0);
	ruleset_close(r);
}

/* Values alone would not tell: two were counted before, one in the new table that nobody has looked
 * at, where it may as well have been loaded with it, and three after. */
static void a_table_that_others_made_anew_is_told_from_the_old_one(void **state)
{
	static char text[64 * 1024];
	struct ruleset_config config = stage_config();
	struct ruleset *r = stage_open(&config);
	struct ruleset_counts gone;

	(void)state;
	assert_int_equal(ruleset_create(r, false), 0);
	assert_int_equal(stage_state(r), RULESET_STANDS);
	for (int i = 0; i < 2; i++)
		assert_int_equal(stage_connect(NETNS_PEER4, STAGE_PORT, true), 0);
	assert_int_equal(matched(r), 2);
	netns_run("nft delete table inet nfwho");
	assert_true(ruleset_print(&config, text, sizeof(text)) > 0);
	stage_load(text);
	assert_int_equal(stage_connect(NETNS_PEER4, STAGE_PORT, true), 0);
	assert_int_equal(stage_state(r), RULESET_STANDS);
	assert_int_equal(matched(r), 2);
	for (int i = 0; i < 3; i++)
		assert_int_equal(stage_connect(NETNS_PEER4, STAGE_PORT, true), 0);
	assert_int_equal(matched(r), 5);
	ruleset_counted_before(r, &gone);
	assert_int_equal(5 - gone.matched, 1 + 3);
	assert_int_equal(ruleset_remove(r), 0);
	ruleset_close(r);
}

static uint32_t loggers(struct ruleset *r)
{
	uint32_t rules;

	assert_int_equal(ruleset_loggers(r, &rules), 0);
	return rules;
}

static void others_rules_that_log_to_our_group_are_counted(void **state)
{
	struct ruleset_config config = stage_config();
	struct ruleset *r = stage_open(&config);

	(void)state;
	assert_int_equal(loggers(r), 0);
	netns_run("nft 'add table ip a; add chain ip a b; add rule ip a b log group %u'",
		  config.group);
	netns_run("nft add rule ip a b log group %u", config.group + 1u);
	netns_run("nft add rule ip a b log prefix '\"no group\"'");
	assert_int_equal(loggers(r), 1);
	assert_int_equal(ruleset_create(r, false), 0);
	assert_true(loggers(r) > 1);
	netns_run("nft flush ruleset");
	assert_int_equal(loggers(r), 0);
	ruleset_close(r);
}

static void the_counter_only_grows(void **state)
{
	struct ruleset_config config = stage_config();
	struct ruleset *r = stage_open(&config);
	struct ruleset_counts counts;

	(void)state;
	assert_int_equal(ruleset_create(r, false), 0);
	assert_int_equal(stage_connect(NETNS_PEER4, STAGE_PORT, true), 0);
	assert_int_equal(stage_connect(NETNS_PEER4, STAGE_PORT, true), 0);
	assert_int_equal(matched(r), 2);
	netns_run("nft reset counters >/dev/null");
	assert_int_equal(stage_connect(NETNS_PEER4, STAGE_PORT, true), 0);
	assert_int_equal(matched(r), 3);
	assert_int_equal(ruleset_create(r, false), 0);
	assert_int_equal(matched(r), 3);
	assert_int_equal(stage_connect(NETNS_PEER4, STAGE_PORT, true), 0);
	assert_int_equal(matched(r), 4);
	netns_run("nft flush chain inet nfwho output");
	assert_int_equal(ruleset_counters(r, &counts), -ENOENT);
	netns_run("nft flush ruleset");
	assert_int_equal(ruleset_counters(r, &counts), -ENOENT);
	ruleset_close(r);
}

static void silenced_rules_leave_their_last_count(void **state)
{
	struct ruleset_config config = stage_config();
	struct ruleset *r = create(&config);

	(void)state;
	assert_int_equal(stage_connect(NETNS_PEER4, STAGE_PORT, true), 0);
	assert_int_equal(ruleset_silence(r), 0);
	assert_int_equal(stage_connect(NETNS_PEER4, STAGE_PORT, true), 0);
	assert_int_equal(matched(r), 1);
	stand(r);
	assert_int_equal(stage_connect(NETNS_PEER4, STAGE_PORT, true), 0);
	assert_int_equal(matched(r), 2);
	ruleset_close(r);
}

/* Skips the test where no table can have a filter. */
static void filter_by(struct ruleset *r, const char *const *only, const char *const *except)
{
	struct filter whole = { .count = { 0 } }, part;
	char why[256];
	int ret;

	for (; only && *only; only++)
		assert_int_equal(filter_add(&whole, FILTER_ONLY, *only, why, sizeof(why)), 0);
	for (; except && *except; except++)
		assert_int_equal(filter_add(&whole, FILTER_EXCEPT, *except, why, sizeof(why)), 0);
	filter_part(&whole, FILTER_PACKET_KEYS | FILTER_USER, &part);
	ret = ruleset_filter(r, &part);
	filter_clear(&whole, FILTER_ONLY);
	filter_clear(&whole, FILTER_EXCEPT);
	if (ret == RULESET_NOT_OWNED && ruleset_may_own(r) == 0)
		skip_because(STAGE_NO_OWNER);
	assert_int_equal(ret, 0);
}

static void counted(struct ruleset *r, uint64_t matched, uint64_t filtered)
{
	struct ruleset_counts counts;

	assert_int_equal(ruleset_counters(r, &counts), 0);
	assert_int_equal(counts.matched, matched);
	assert_int_equal(counts.filtered, filtered);
}

static void connect_all(void)
{
	assert_int_equal(stage_connect(NETNS_PEER4, STAGE_PORT, true), 0);
	assert_int_equal(stage_connect(NETNS_PEER6, STAGE_PORT, true), 0);
	assert_int_equal(stage_connect(NETNS_PEER4, STAGE_PORT + 1, true), ECONNREFUSED);
	assert_int_equal(stage_connect(NETNS_PEER6, STAGE_PORT + 1, true), ECONNREFUSED);
}

/* The port is 8080: each time four connections are tried. */
static void a_filter_leaves_out_and_counts_and_changes_without_a_gap(void **state)
{
	static const struct {
		const char *only[3], *except[3];
		unsigned int left_out;
	} cases[] = {
		{ { NULL }, { "port=8080" }, 2 }, { { NULL }, { "port=8079-8081" }, 4 },
		{ { NULL }, { "port=8082-9000", "port=1-8079" }, 0 },
		{ { "net=" NETNS_PEER4 }, { NULL }, 2 }, { { "net=2001:db8::/32" }, { NULL }, 2 },
		{ { "net=" NETNS_PEER4 ",port=8080", "net=::/0,port=8081" }, { NULL }, 2 },
		{ { NULL }, { "user=0" }, 4 }, { { "user=0" }, { "port=8081" }, 2 },
		{ { "user=1" }, { NULL }, 4 }, { { "protocol=tcp" }, { "protocol=udp" }, 0 },
		{ { "protocol=icmp" }, { NULL }, 4 }, { { NULL }, { NULL }, 0 },
		{ { "net=198.51.100.0/25" }, { "net=198.51.100.3", "net=198.51.100.0/31" }, 2 },
	};
	struct ruleset_config config = stage_config();
	struct ruleset *r = create(&config);
	uint64_t matched = 0, filtered = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		filter_by(r, cases[i].only, cases[i].except);
		counted(r, matched, filtered);
		connect_all();
		matched += 4 - cases[i].left_out;
		filtered += cases[i].left_out;
		counted(r, matched, filtered);
	}
	filter_by(r, NULL, (const char *const []) { "port=8080", NULL });
	assert_int_equal(ruleset_silence(r), 0);
	connect_all();
	counted(r, matched, filtered);
	assert_int_equal(ruleset_create(r, true), 0);
	connect_all();
	counted(r, matched + 2, filtered + 2);
	ruleset_close(r);
}

/* Where a port stands elsewhere, ICMP has its checksum. */
static void a_filter_knows_protocols_apart(void **state)
{
	struct ruleset_config config = stage_config();
	struct ruleset *r;

	(void)state;
	config.protocols = RULESET_TCP | RULESET_ICMP;
	r = create(&config);
	filter_by(r, NULL, (const char *const []) { "port=1-65535", NULL });
	netns_run("ping -q -c 2 -i 0.01 -W 1 " NETNS_PEER4 " >/dev/null && "
		  "ping -q -c 2 -i 0.01 -W 1 " NETNS_PEER6 " >/dev/null");
	connect_all();
	counted(r, 2, 4);
	filter_by(r, NULL, (const char *const []) { "protocol=icmp", NULL });
	netns_run("ping -q -c 2 -i 0.01 -W 1 " NETNS_PEER4 " >/dev/null && "
		  "ping -q -c 2 -i 0.01 -W 1 " NETNS_PEER6 " >/dev/null");
	connect_all();
	counted(r, 6, 6);
	filter_by(r, (const char *const []) { "protocol=icmp,net=::/0", NULL }, NULL);
	netns_run("ping -q -c 2 -i 0.01 -W 1 " NETNS_PEER4 " >/dev/null && "
		  "ping -q -c 2 -i 0.01 -W 1 " NETNS_PEER6 " >/dev/null");
	counted(r, 7, 7);
	ruleset_close(r);
}

/* A copy that the kernel makes belongs to no socket. */
static void a_packet_without_a_user_is_not_left_out_for_its_user(void **state)
{
	struct ruleset_config config = stage_config();
	struct ruleset *r = create(&config);

	(void)state;
	if (system("nft 'add table ip copies; add chain ip copies output { type filter hook output "
		   "priority -300; }; add rule ip copies output tcp dport 8080 dup to " NETNS_PEER4
		   " device \"eth0\"' 2>/dev/null")) {
		ruleset_close(r);
		skip_because("nft(8) cannot make a rule with dup");
	}
	filter_by(r, (const char *const []) { "user=1", NULL }, NULL);
	assert_int_equal(stage_connect(NETNS_PEER4, STAGE_PORT, true), 0);
	counted(r, 1, 1);
	filter_by(r, (const char *const []) { "net=203.0.113.0/24", NULL }, NULL);
	assert_int_equal(stage_connect(NETNS_PEER4, STAGE_PORT, true), 0);
	counted(r, 1, 3);
	ruleset_close(r);
}

static void only_an_owned_table_has_a_filter(void **state)
{
	struct ruleset_config config = stage_config();
	struct ruleset *r = stage_open(&config);
	struct filter filter = { .count = { 0 } };

	(void)state;
	assert_int_equal(ruleset_filter(r, &filter), RULESET_NOT_OWNED);
	assert_int_equal(ruleset_create(r, false), 0);
	assert_int_equal(ruleset_filter(r, &filter), RULESET_NOT_OWNED);
	assert_int_equal(stage_state(r), RULESET_STANDS);
	counted(r, 0, 0);
	assert_int_equal(ruleset_remove(r), 0);
	ruleset_close(r);
}

static void the_largest_filter_fits(void **state)
{
	static const char clause[] = "net=2001:db8::/33,port=1-2,protocol=tcp,user=7";
	static const char icmp[] = "port=1-2,protocol=icmp,user=7";
	const char *only[FILTER_CLAUSES_MAX + 1] = { NULL };
	const char *except[FILTER_CLAUSES_MAX + 1] = { NULL };
	struct ruleset_config config = stage_config();
	struct ruleset *r;

	(void)state;
	config.hooks = RULESET_OUTPUT | RULESET_FORWARD | RULESET_PREROUTING | RULESET_INPUT |
		       RULESET_POSTROUTING;
	config.protocols = RULESET_TCP | RULESET_UDP | RULESET_SCTP | RULESET_ICMP;
	config.limit_per_second = 1000;
	r = create(&config);
	for (int i = 0; i < FILTER_CLAUSES_MAX; i++) {
		only[i] = i & 1 ? clause : icmp;
		except[i] = icmp;
	}
	filter_by(r, only, except);
	counted(r, 0, 0);
	ruleset_close(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(each_attempt_of_either_family_counts_once, flush),
		cmocka_unit_test_setup(other_protocols_count_only_when_asked_for, flush),
		cmocka_unit_test_setup(a_filter_leaves_out_and_counts_and_changes_without_a_gap,
				       flush),
		cmocka_unit_test_setup(a_filter_knows_protocols_apart, flush),
		cmocka_unit_test_setup(a_packet_without_a_user_is_not_left_out_for_its_user,
				       flush),
		cmocka_unit_test_setup(only_an_owned_table_has_a_filter, flush),
		cmocka_unit_test_setup(the_largest_filter_fits, flush),
		cmocka_unit_test_setup(loopback_counts_only_when_asked_for, flush),
		cmocka_unit_test_setup(what_is_not_tracked_counts_too, flush),
		cmocka_unit_test_setup(a_retransmitted_syn_counts_again, flush),
		cmocka_unit_test_setup(what_is_over_the_limit_is_counted_and_still_goes_out,
				       flush),
		cmocka_unit_test_setup(a_table_that_others_made_anew_is_told_from_the_old_one, flush),
		cmocka_unit_test_setup(others_rules_that_log_to_our_group_are_counted, flush),
		cmocka_unit_test_setup(the_counter_only_grows, flush),
		cmocka_unit_test_setup(silenced_rules_leave_their_last_count, flush),
	};

	if (stage_enter() < 0)
		return 77;
	return cmocka_run_group_tests_name("ruleset_traffic", tests, NULL, NULL);
}
