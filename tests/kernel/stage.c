// SPDX-License-Identifier: GPL-2.0-or-later
#include "stage.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

char *stage_output(const char *command)
{
	FILE *pipe = popen(command, "re");
	char *text = calloc(1, 1 << 20);
	size_t len;

	assert_non_null(pipe);
	assert_non_null(text);
	len = fread(text, 1, (1 << 20) - 1, pipe);
	text[len] = '\0';
	assert_int_equal(pclose(pipe), 0);
	return text;
}

char *stage_ruleset(void)
{
	return stage_output("nft list ruleset");
}

void stage_load(const char *text)
{
	FILE *pipe = popen("nft -f -", "we");

	assert_non_null(pipe);
	assert_int_equal(fputs(text, pipe) >= 0, 1);
	if (pclose(pipe) != 0)
		fail_msg("nft -f: %.200s", text);
}

int stage_enter(void)
{
	static struct netns_pair pair;

	if (geteuid() != 0) {
		puts("needs root");
		return -1;
	}
	netns_pair_open(&pair);
	if (system("nft list ruleset >/dev/null") != 0) {
		puts("needs nf_tables and nft");
		return -1;
	}
	netns_listen(&pair, STAGE_PORT);
	netns_run("ip neigh add " STAGE_NOBODY4 " lladdr 02:00:00:00:00:99 dev eth0");
	return 0;
}

int stage_connect(const char *address, uint16_t port, bool wait)
{
	struct sockaddr_in6 to6 = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
	struct sockaddr_in to4 = { .sin_family = AF_INET, .sin_port = htons(port) };
	bool v4 = inet_pton(AF_INET, address, &to4.sin_addr) == 1;
	int fd = socket(v4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	struct pollfd p = { .fd = fd, .events = POLLOUT };
	socklen_t len = sizeof(int);
	int err = 0;

	assert_true(fd >= 0);
	assert_true(v4 || inet_pton(AF_INET6, address, &to6.sin6_addr) == 1);
	if (connect(fd, v4 ? (struct sockaddr *)&to4 : (struct sockaddr *)&to6,
		    v4 ? sizeof(to4) : sizeof(to6)) < 0 && errno != EINPROGRESS)
		err = errno;
	else if (wait && poll(&p, 1, 1000) != 1)
		err = ETIMEDOUT;
	else if (wait)
		getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len);
	close(fd);
	return err;
}

struct ruleset_config stage_config(void)
{
	return (struct ruleset_config){
		.group = 617, .snaplen_bytes = RULESET_SNAPLEN_BYTES, .hooks = RULESET_OUTPUT,
		.protocols = RULESET_TCP, .conntrack = true, .prefix = RULESET_PREFIX,
		.untracked_prefix = RULESET_PREFIX_UNTRACKED,
	};
}

struct ruleset *stage_open(const struct ruleset_config *config)
{
	struct ruleset *r = NULL;

	assert_int_equal(ruleset_open(&r, config), 0);
	return r;
}

enum ruleset_state stage_state(struct ruleset *r)
{
	enum ruleset_state state;

	assert_int_equal(ruleset_inspect(r, &state, NULL), 0);
	return state;
}
