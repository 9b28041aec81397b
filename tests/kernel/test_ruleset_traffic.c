// SPDX-License-Identifier: GPL-2.0-or-later
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
	stage_run("nft flush ruleset");
	return 0;
}

static uint64_t matched(struct ruleset *r)
{
	uint64_t packets, limited;

	assert_int_equal(ruleset_counters(r, &packets, &limited), 0);
	return packets;
}

static struct ruleset *create(const struct ruleset_config *config)
{
	struct ruleset *r = stage_open(config);

	assert_int_equal(ruleset_create(r, true), 0);
	return r;
}

static void each_attempt_of_either_family_counts_once(void **state)
{
	struct ruleset_config config = stage_config();
	struct ruleset *r = create(&config);

	(void)state;
	for (int i = 0; i < 3; i++)
		assert_int_equal(stage_connect(STAGE_PEER4, STAGE_PORT, true), 0);
	assert_int_equal(matched(r), 3);
	for (int i = 0; i < 2; i++)
		assert_int_equal(stage_connect(STAGE_PEER6, STAGE_PORT, true), 0);
	assert_int_equal(matched(r), 5);
	assert_int_equal(stage_connect(STAGE_PEER4, STAGE_PORT + 1, true), ECONNREFUSED);
	assert_int_equal(stage_connect(STAGE_PEER6, STAGE_PORT + 1, true), ECONNREFUSED);
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
	inet_pton(AF_INET, STAGE_PEER4, &to.sin_addr);
	assert_int_equal(sendto(fd, "x", 1, 0, (struct sockaddr *)&to, sizeof(to)), 1);
	stage_run("ping -q -c 1 -W 1 " STAGE_PEER4 " >/dev/null && "
		  "ping -q -c 1 -W 1 " STAGE_PEER6 " >/dev/null");
	assert_int_equal(matched(r), 0);
	ruleset_close(r);

	config.protocols = RULESET_UDP | RULESET_ICMP;
	r = create(&config);
	close(fd);
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_int_equal(sendto(fd, "x", 1, 0, (struct sockaddr *)&to, sizeof(to)), 1);
	assert_int_equal(matched(r), 1);
	stage_run("ping -q -c 2 -i 0.01 -W 1 " STAGE_PEER4 " >/dev/null && "
		  "ping -q -c 2 -i 0.01 -W 1 " STAGE_PEER6 " >/dev/null");
	assert_int_equal(matched(r), 3);
	assert_int_equal(stage_connect(STAGE_PEER4, STAGE_PORT, true), 0);
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
		   "tcp dport 8080 notrack\n}\nchain in { type filter hook prerouting "
		   "priority -300;\ntcp sport 8080 notrack\n}\n}\n");
	r = create(&config);
	assert_int_equal(stage_connect(STAGE_PEER4, STAGE_PORT, true), 0);
	assert_int_equal(stage_connect(STAGE_PEER6, STAGE_PORT, true), 0);
	assert_int_equal(matched(r), 2);
	ruleset_close(r);
	config.conntrack = false;
	r = create(&config);
	assert_int_equal(stage_connect(STAGE_PEER4, STAGE_PORT, true), 0);
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
	uint64_t logged, limited;
	struct ruleset *r;

	(void)state;
	config.limit_per_second = LIMIT;
	r = create(&config);
	for (int i = 0; i < ATTEMPTS; i++)
		assert_int_equal(stage_connect(i & 1 ? STAGE_PEER6 : STAGE_PEER4, STAGE_PORT,
					       true), 0);
	assert_int_equal(ruleset_counters(r, &logged, &limited), 0);
	assert_int_equal(logged + limited, ATTEMPTS);
	assert_true(logged >= LIMIT);
	assert_true(limited > 0);
	ruleset_close(r);
}

/* Values alone would not tell: two were counted before, three after. */
static void a_table_that_others_made_anew_is_told_from_the_old_one(void **state)
{
	static char text[64 * 1024];
	struct ruleset_config config = stage_config();
	struct ruleset *r = stage_open(&config);

	(void)state;
	assert_int_equal(ruleset_create(r, false), 0);
	assert_int_equal(stage_state(r), RULESET_STANDS);
	for (int i = 0; i < 2; i++)
		assert_int_equal(stage_connect(STAGE_PEER4, STAGE_PORT, true), 0);
	assert_int_equal(matched(r), 2);
	stage_run("nft delete table inet nfwho");
	assert_true(ruleset_print(&config, text, sizeof(text)) > 0);
	stage_load(text);
	for (int i = 0; i < 3; i++)
		assert_int_equal(stage_connect(STAGE_PEER4, STAGE_PORT, true), 0);
	assert_int_equal(stage_state(r), RULESET_STANDS);
	assert_int_equal(matched(r), 5);
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
	stage_run("nft 'add table ip a; add chain ip a b; add rule ip a b log group %u'",
		  config.group);
	stage_run("nft add rule ip a b log group %u", config.group + 1u);
	stage_run("nft add rule ip a b log prefix '\"no group\"'");
	assert_int_equal(loggers(r), 1);
	assert_int_equal(ruleset_create(r, false), 0);
	assert_true(loggers(r) > 1);
	stage_run("nft flush ruleset");
	assert_int_equal(loggers(r), 0);
	ruleset_close(r);
}

static void the_counter_only_grows(void **state)
{
	struct ruleset_config config = stage_config();
	struct ruleset *r = stage_open(&config);
	uint64_t logged, limited;

	(void)state;
	assert_int_equal(ruleset_create(r, false), 0);
	assert_int_equal(stage_connect(STAGE_PEER4, STAGE_PORT, true), 0);
	assert_int_equal(stage_connect(STAGE_PEER4, STAGE_PORT, true), 0);
	assert_int_equal(matched(r), 2);
	stage_run("nft reset counters >/dev/null");
	assert_int_equal(stage_connect(STAGE_PEER4, STAGE_PORT, true), 0);
	assert_int_equal(matched(r), 3);
	assert_int_equal(ruleset_create(r, false), 0);
	assert_int_equal(matched(r), 3);
	assert_int_equal(stage_connect(STAGE_PEER4, STAGE_PORT, true), 0);
	assert_int_equal(matched(r), 4);
	stage_run("nft flush chain inet nfwho output");
	assert_int_equal(ruleset_counters(r, &logged, &limited), -ENOENT);
	stage_run("nft flush ruleset");
	assert_int_equal(ruleset_counters(r, &logged, &limited), -ENOENT);
	ruleset_close(r);
}

static void silenced_rules_leave_their_last_count(void **state)
{
	struct ruleset_config config = stage_config();
	struct ruleset *r = create(&config);

	(void)state;
	assert_int_equal(stage_connect(STAGE_PEER4, STAGE_PORT, true), 0);
	assert_int_equal(ruleset_silence(r), 0);
	assert_int_equal(stage_connect(STAGE_PEER4, STAGE_PORT, true), 0);
	assert_int_equal(matched(r), 1);
	assert_int_equal(ruleset_create(r, true), 0);
	assert_int_equal(stage_connect(STAGE_PEER4, STAGE_PORT, true), 0);
	assert_int_equal(matched(r), 2);
	ruleset_close(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(each_attempt_of_either_family_counts_once, flush),
		cmocka_unit_test_setup(other_protocols_count_only_when_asked_for, flush),
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
