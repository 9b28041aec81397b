// SPDX-License-Identifier: GPL-2.0-or-later
#include "portid.h"
#include "skip.h"
#include "stage.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <linux/netlink.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static char text[64 * 1024];

/* Tables that resemble ours in everything but what counts. */
static const char neighbours[] =
	"table ip nfwho {\n\tcomment \"nfwho: not this one\"\n"
	"\tchain output { type filter hook output priority -150; counter; }\n}\n"
	"table ip6 nfwho { }\n"
	"table inet nfwho2 {\n\tset s { type ipv4_addr; elements = { 203.0.113.1 }; }\n}\n"
	"table inet filter {\n\tcounter matched { packets 5 bytes 300 }\n"
	"\tchain output { type filter hook output priority 0; policy accept;\n"
	"\t\tct state new log prefix \"nfwho\" group 617\n\t}\n}\n";

static int flush(void **state)
{
	(void)state;
	netns_run("nft flush ruleset");
	return 0;
}

/* From the smallest ruleset to the largest. */
static void vary(struct ruleset_config *config, unsigned int variant)
{
	*config = stage_config();
	config->loopback = variant & 1;
	if (variant & 2)
		config->hooks = 0x1f;
	if (variant & 4)
		config->limit_per_second = 1000;
	if (variant & 8)
		config->conntrack = false;
	else if (variant & 2)
		config->protocols = 0xf;
}

static void nft_loads_exactly_what_libnftnl_builds(void **state)
{
	(void)state;
	for (unsigned int variant = 0; variant < 16; variant++) {
		struct ruleset_config config;
		char *built, *loaded;
		struct ruleset *r;

		vary(&config, variant);
		r = stage_open(&config);
		assert_int_equal(ruleset_create(r, false), 0);
		assert_int_equal(stage_state(r), RULESET_STANDS);
		built = stage_ruleset();
		netns_run("nft flush ruleset");
		assert_int_equal(stage_state(r), RULESET_ABSENT);
		assert_true(ruleset_print(&config, text, sizeof(text)) > 0);
		stage_load(text);
		assert_int_equal(stage_state(r), RULESET_STANDS);
		loaded = stage_ruleset();
		assert_string_equal(built, loaded);
		free(built);
		free(loaded);
		assert_int_equal(ruleset_remove(r), 0);
		ruleset_close(r);
	}
}

static void loading_the_file_again_changes_nothing(void **state)
{
	struct ruleset_config config = stage_config();
	char *before, *after;

	(void)state;
	stage_load(neighbours);
	assert_true(ruleset_print(&config, text, sizeof(text)) > 0);
	stage_load(text);
	netns_run("nft add table inet younger");
	assert_int_equal(stage_connect(NETNS_PEER4, STAGE_PORT, true), 0);
	before = stage_ruleset();
	assert_non_null(strstr(before, "packets 1 bytes 60"));
	stage_load(text);
	after = stage_ruleset();
	assert_string_equal(before, after);
	free(before);
	free(after);
}

/* Whether this kernel knows tables with an owner (Linux 5.12). Asking changes nothing. */
static bool may_own(void)
{
	struct ruleset_config config = stage_config();
	struct ruleset *r = stage_open(&config);
	char *before = stage_ruleset(), *after;
	int may = ruleset_may_own(r);

	after = stage_ruleset();
	assert_string_equal(before, after);
	assert_true(may == 0 || may == 1);
	if (!may)
		assert_int_equal(ruleset_create(r, true), -EOPNOTSUPP);
	free(before);
	free(after);
	ruleset_close(r);
	return may;
}

static void nobody_elses_table_is_touched(void **state)
{
	struct ruleset_config config = stage_config();
	bool owned = may_own();
	char *before, *after;
	struct ruleset *r;

	(void)state;
	stage_load(neighbours);
	before = stage_ruleset();
	r = stage_open(&config);
	assert_int_equal(stage_state(r), RULESET_ABSENT);
	assert_int_equal(ruleset_remove(r), 0);
	assert_int_equal(ruleset_create(r, false), 0);
	assert_int_equal(ruleset_create(r, owned), 0);
	assert_int_equal(ruleset_create(r, false), 0);
	assert_int_equal(ruleset_remove(r), 0);
	if (owned)
		assert_int_equal(ruleset_create(r, true), 0);
	ruleset_close(r);
	after = stage_ruleset();
	assert_string_equal(before, after);
	free(before);
	free(after);
}

static void an_owned_table_lives_as_long_as_its_socket(void **state)
{
	struct ruleset_config config = stage_config();
	struct ruleset *r = stage_open(&config), *other = stage_open(&config);

	(void)state;
	if (!may_own())
		skip_because(STAGE_NO_OWNER);
	assert_int_equal(ruleset_create(r, true), 0);
	assert_int_equal(stage_state(r), RULESET_OWNED);
	netns_run("nft flush ruleset");
	assert_int_equal(stage_state(r), RULESET_OWNED);
	/* What Debian's nftables.service does on stop, start and reload, with its own file. */
	for (int i = 0; i < 3; i++) {
		netns_run("nft flush ruleset");
		stage_load("flush ruleset\ntable inet filter {\n"
			   "chain input { type filter hook input priority filter; }\n"
			   "chain forward { type filter hook forward priority filter; }\n"
			   "chain output { type filter hook output priority filter; }\n}\n");
	}
	assert_int_equal(stage_state(r), RULESET_OWNED);
	netns_run("! nft delete table inet nfwho 2>/dev/null");
	netns_run("! nft flush chain inet nfwho output 2>/dev/null");
	assert_int_equal(stage_state(r), RULESET_OWNED);
	ruleset_close(r);
	assert_int_equal(stage_state(other), RULESET_ABSENT);
	ruleset_close(other);
}

static void a_foreign_table_of_our_name_is_left_alone(void **state)
{
	static const char *const foreign[] = {
		"table inet nfwho { }",
		"table inet nfwho { comment \"who is it\"; chain output { counter; }; }",
		"table inet nfwho { comment \"nfwho\"; }",
	};
	struct ruleset_config config = stage_config();
	struct ruleset *r = stage_open(&config);

	(void)state;
	for (size_t i = 0; i < sizeof(foreign) / sizeof(foreign[0]); i++) {
		char *before, *after;

		stage_load(foreign[i]);
		before = stage_ruleset();
		assert_int_equal(stage_state(r), RULESET_FOREIGN);
		assert_int_equal(ruleset_create(r, true), -EEXIST);
		assert_int_equal(ruleset_create(r, false), -EEXIST);
		assert_int_equal(ruleset_remove(r), -EEXIST);
		after = stage_ruleset();
		assert_string_equal(before, after);
		free(before);
		free(after);
		netns_run("nft flush ruleset");
	}
	ruleset_close(r);
}

static void a_table_that_another_owns_is_left_alone(void **state)
{
	struct ruleset_config config = stage_config();
	struct ruleset *owner = stage_open(&config), *r = stage_open(&config);
	int proc_fd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	enum ruleset_state found;
	char comm[PORTID_COMM_MAX];
	uint32_t portid, pid;

	(void)state;
	if (!may_own())
		skip_because(STAGE_NO_OWNER);
	assert_int_equal(ruleset_create(owner, true), 0);
	assert_int_equal(ruleset_inspect(r, &found, &portid), 0);
	assert_int_equal(found, RULESET_OWNED);
	assert_int_equal(portid_process(proc_fd, NETLINK_NETFILTER, portid, &pid, comm), 0);
	assert_int_equal(pid, getpid());
	assert_string_equal(comm, "test_ruleset");
	assert_int_equal(ruleset_create(r, true), -EBUSY);
	assert_int_equal(ruleset_create(r, false), -EBUSY);
	assert_int_equal(ruleset_remove(r), -EBUSY);
	assert_int_equal(stage_state(owner), RULESET_OWNED);
	ruleset_close(owner);
	assert_int_equal(portid_process(proc_fd, NETLINK_NETFILTER, portid, &pid, comm), -ENOENT);
	assert_int_equal(ruleset_create(r, true), 0);
	ruleset_close(r);
	close(proc_fd);
}

static void a_leftover_is_taken_over(void **state)
{
	struct ruleset_config config = stage_config();
	struct ruleset *crashed, *r;
	struct ruleset_counts counts;
	bool owned = may_own();

	(void)state;
	for (int altered = 0; altered < 2; altered++) {
		crashed = stage_open(&config);
		assert_int_equal(ruleset_create(crashed, false), 0);
		ruleset_close(crashed);
		assert_int_equal(stage_connect(NETNS_PEER4, STAGE_PORT, true), 0);
		if (altered)
			netns_run("nft add rule inet nfwho output counter");
		r = stage_open(&config);
		assert_int_equal(stage_state(r), altered ? RULESET_ALTERED : RULESET_STANDS);
		assert_int_equal(ruleset_create(r, owned), 0);
		assert_int_equal(stage_state(r), owned ? RULESET_OWNED : RULESET_STANDS);
		assert_int_equal(ruleset_counters(r, &counts), 0);
		assert_int_equal(counts.matched, 0);
		if (!owned)
			assert_int_equal(ruleset_remove(r), 0);
		ruleset_close(r);
	}
}

static void what_is_altered_is_noticed(void **state)
{
	static const char *const changes[] = {
		"flush chain inet nfwho output",
		"add rule inet nfwho output counter",
		"insert rule inet nfwho output accept",
		"add chain inet nfwho output { policy drop; }",
		"add chain inet nfwho more",
		"add table inet nfwho { flags dormant; }",
		"delete rule inet nfwho output handle 4",
		"replace rule inet nfwho output handle 4 tcp flags & (fin|syn|rst|ack) == syn "
		"ct state invalid,established,related,new oif != lo "
		"counter name matched "
		"log prefix nfwho group 618 snaplen 256",
		"replace rule inet nfwho output handle 4 tcp flags & (fin|syn|rst) == syn "
		"ct state invalid,established,related,new oif != lo "
		"counter name matched "
		"log prefix nfwho group 617 snaplen 256",
		"replace rule inet nfwho output handle 4 tcp flags & (fin|syn|rst|ack) == syn "
		"ct state new oif != lo counter name matched "
		"log prefix nfwho group 617 snaplen 256",
		"replace rule inet nfwho output handle 4 tcp flags & (fin|syn|rst|ack) == syn "
		"ct state invalid,established,related,new oif != lo "
		"counter name matched "
		"log prefix nfwh group 617 snaplen 256",
		"replace rule inet nfwho output handle 4 tcp flags & (fin|syn|rst|ack) == syn "
		"ct state invalid,established,related,new oif != lo "
		"counter name matched "
		"log prefix nfwho group 617 snaplen 256 accept",
	};
	struct ruleset_config config = stage_config();
	struct ruleset *r = stage_open(&config);

	(void)state;
	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		assert_int_equal(ruleset_create(r, false), 0);
		assert_int_equal(stage_state(r), RULESET_STANDS);
		netns_run("nft '%s'", changes[i]);
		if (stage_state(r) != RULESET_ALTERED)
			fail_msg("not noticed: %s", changes[i]);
	}
	/* Somebody's own words do not matter. */
	assert_int_equal(ruleset_create(r, false), 0);
	netns_run("nft 'replace rule inet nfwho output handle 4 "
		  "tcp flags & (fin|syn|rst|ack) == syn ct state invalid,established,related,new oif != lo "
		  "counter name matched log prefix nfwho group 617 snaplen 256 comment mine'");
	assert_int_equal(stage_state(r), RULESET_STANDS);
	config.group = 618;
	ruleset_close(r);
	r = stage_open(&config);
	assert_int_equal(stage_state(r), RULESET_ALTERED);
	ruleset_close(r);
}

static void it_comes_about_while_others_change_the_ruleset(void **state)
{
	struct ruleset_config config = stage_config();
	struct ruleset *r = stage_open(&config);
	unsigned int created = 0;
	bool owned = may_own();
	char *after;
	int status;
	pid_t child = fork();

	(void)state;
	if (child == 0) {
		execlp("sh", "sh", "-c", "for i in $(seq 80); do "
		       "nft 'add table ip busy; delete table ip busy' || exit 1; done", NULL);
		_exit(127);
	}
	while (waitpid(child, &status, WNOHANG) == 0) {
		assert_int_equal(ruleset_create(r, owned && created & 1), 0);
		created++;
	}
	assert_int_equal(status, 0);
	assert_true(created > 10);
	assert_int_equal(ruleset_remove(r), 0);
	after = stage_ruleset();
	assert_string_equal(after, "");
	free(after);
	ruleset_close(r);
}

static void the_socket_can_be_handed_over(void **state)
{
	struct ruleset_config config = stage_config();
	struct ruleset *first = stage_open(&config), *second, *watcher = stage_open(&config);
	int not_ours[2] = { open("/dev/null", O_RDONLY), socket(AF_NETLINK, SOCK_RAW, 0) };

	(void)state;
	if (!may_own())
		skip_because(STAGE_NO_OWNER);
	assert_int_equal(ruleset_create(first, true), 0);
	assert_int_equal(ruleset_adopt(&second, &config, dup(ruleset_fd(first))), 0);
	ruleset_close(first);
	assert_int_equal(stage_state(second), RULESET_OWNED);
	assert_int_equal(ruleset_create(second, true), 0);
	assert_int_equal(stage_state(watcher), RULESET_OWNED);
	ruleset_close(second);
	assert_int_equal(stage_state(watcher), RULESET_ABSENT);
	ruleset_close(watcher);
	assert_int_equal(ruleset_adopt(&second, &config, not_ours[0]), -ENOTSOCK);
	assert_int_equal(ruleset_adopt(&second, &config, not_ours[1]), -EPROTOTYPE);
	/* They are still the caller's. */
	assert_int_equal(close(not_ours[0]), 0);
	assert_int_equal(close(not_ours[1]), 0);
}

static void without_permission_that_is_said(void **state)
{
	struct ruleset_config config = stage_config();
	struct ruleset *r;
	int status;
	pid_t child = fork();

	(void)state;
	if (child == 0)
		_exit(setresuid(65534, 65534, 65534) < 0 ? 2 :
		      ruleset_open(&r, &config) == -EPERM ? 0 : 1);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(nft_loads_exactly_what_libnftnl_builds, flush),
		cmocka_unit_test_setup(loading_the_file_again_changes_nothing, flush),
		cmocka_unit_test_setup(nobody_elses_table_is_touched, flush),
		cmocka_unit_test_setup(an_owned_table_lives_as_long_as_its_socket, flush),
		cmocka_unit_test_setup(a_foreign_table_of_our_name_is_left_alone, flush),
		cmocka_unit_test_setup(a_table_that_another_owns_is_left_alone, flush),
		cmocka_unit_test_setup(a_leftover_is_taken_over, flush),
		cmocka_unit_test_setup(what_is_altered_is_noticed, flush),
		cmocka_unit_test_setup(it_comes_about_while_others_change_the_ruleset, flush),
		cmocka_unit_test_setup(the_socket_can_be_handed_over, flush),
		cmocka_unit_test_setup(without_permission_that_is_said, flush),
	};

	if (stage_enter() < 0)
		return 77;
	return cmocka_run_group_tests_name("ruleset", tests, NULL, NULL);
}
