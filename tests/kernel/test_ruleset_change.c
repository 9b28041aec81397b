// SPDX-License-Identifier: GPL-2.0-or-later
#include "stage.h"

#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static int flush(void **state)
{
	(void)state;
	netns_run("nft flush ruleset");
	return 0;
}

/* Runs nft and returns its pid. */
static pid_t nft(const char *command)
{
	pid_t child = fork();
	int status;

	if (child == 0) {
		execlp("nft", "nft", command, NULL);
		_exit(127);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	if (status != 0)
		fail_msg("nft %s", command);
	return child;
}

static void reported(struct ruleset *r, pid_t pid, bool ours)
{
	struct ruleset_change change;

	assert_int_equal(ruleset_read_change(r, &change), 1);
	assert_int_equal(change.pid, pid);
	assert_string_equal(change.program, "nft");
	assert_int_equal(change.ours, ours);
}

static void nothing_more(struct ruleset *r)
{
	struct ruleset_change change;

	assert_int_equal(ruleset_read_change(r, &change), 0);
}

static void each_change_names_its_process(void **state)
{
	static const struct { const char *command; bool ours; } changes[] = {
		{ "add table inet nfwho2", false },
		{ "add table ip nfwho", false },
		{ "add rule inet nfwho output counter", true },
		{ "add table inet other; add chain inet nfwho more; add table ip after", true },
		{ "delete table ip nfwho", false },
		{ "reset counters", false },
		{ "flush chain inet nfwho output", true },
		{ "flush ruleset", true },
	};
	struct ruleset_config config = stage_config();
	struct ruleset *r = stage_open(&config);
	int fd;

	(void)state;
	nothing_more(r);
	fd = ruleset_watch(r);
	assert_true(fd >= 0);
	assert_int_equal(ruleset_watch(r), fd);
	assert_int_equal(ruleset_create(r, false), 0);
	nothing_more(r);
	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		bool silent = strncmp(changes[i].command, "reset", 5) == 0;
		struct pollfd p = { .fd = fd, .events = POLLIN };
		pid_t pid;

		if (silent) {
			netns_run("nft %s >/dev/null", changes[i].command);
		} else {
			pid = nft(changes[i].command);
			assert_int_equal(poll(&p, 1, 1000), 1);
			reported(r, pid, changes[i].ours);
		}
		nothing_more(r);
		assert_int_equal(poll(&p, 1, 0), 0);
	}
	assert_int_equal(stage_state(r), RULESET_ABSENT);
	ruleset_close(r);
}

static void changes_are_told_apart_and_kept_in_order(void **state)
{
	struct ruleset_config config = stage_config();
	struct ruleset *r = stage_open(&config);
	pid_t first, second, third;

	(void)state;
	assert_int_equal(ruleset_create(r, false), 0);
	assert_true(ruleset_watch(r) >= 0);
	first = nft("add table ip one");
	second = nft("flush table inet nfwho");
	assert_int_equal(ruleset_create(r, false), 0);
	third = nft("add table ip two");
	reported(r, first, false);
	reported(r, second, true);
	reported(r, third, false);
	nothing_more(r);
	ruleset_close(r);
}

static void a_large_set_is_one_change(void **state)
{
	static char command[64 * 1024];
	struct ruleset_config config = stage_config();
	struct ruleset *r = stage_open(&config);
	struct ruleset_change change;
	size_t len;

	(void)state;
	assert_true(ruleset_watch(r) >= 0);
	len = (size_t)snprintf(command, sizeof(command),
			       "table ip t {\nset s { type ipv6_addr; elements = { 2001:db8::1");
	for (int i = 2; i < 2000; i++)
		len += (size_t)snprintf(command + len, sizeof(command) - len, ", 2001:db8::%x", i);
	snprintf(command + len, sizeof(command) - len, " }\n}\n}\n");
	stage_load(command);
	assert_int_equal(ruleset_read_change(r, &change), 1);
	assert_false(change.ours);
	nothing_more(r);
	ruleset_close(r);
}

static void lost_changes_are_said_and_later_ones_arrive(void **state)
{
	struct ruleset_config config = stage_config();
	struct ruleset *r = stage_open(&config);
	int fd = ruleset_watch(r), small = 1, ret, lost = 0;
	struct ruleset_change change;
	pid_t pid;

	(void)state;
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &small, sizeof(small)), 0);
	for (int i = 0; i < 20; i++)
		netns_run("nft add table ip t%d", i);
	while ((ret = ruleset_read_change(r, &change)) != 0) {
		assert_true(ret == 1 || ret == -ENOBUFS);
		lost += ret == -ENOBUFS;
	}
	assert_true(lost > 0);
	pid = nft("add table inet nfwho");
	reported(r, pid, true);
	nothing_more(r);
	ruleset_close(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(each_change_names_its_process, flush),
		cmocka_unit_test_setup(changes_are_told_apart_and_kept_in_order, flush),
		cmocka_unit_test_setup(a_large_set_is_one_change, flush),
		cmocka_unit_test_setup(lost_changes_are_said_and_later_ones_arrive, flush),
	};

	if (stage_enter() < 0)
		return 77;
	return cmocka_run_group_tests_name("ruleset_change", tests, NULL, NULL);
}
