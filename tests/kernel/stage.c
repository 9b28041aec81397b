// SPDX-License-Identifier: GPL-2.0-or-later
#include "stage.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

void stage_run(const char *format, ...)
{
	char command[1024];
	va_list args;

	va_start(args, format);
	vsnprintf(command, sizeof(command), format, args);
	va_end(args);
	if (system(command) != 0)
		fail_msg("%s", command);
}

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

static int listen_on(int family)
{
	struct sockaddr_in6 any6 = { .sin6_family = AF_INET6, .sin6_port = htons(STAGE_PORT) };
	struct sockaddr_in any4 = { .sin_family = AF_INET, .sin_port = htons(STAGE_PORT) };
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;

	if (family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one));
	if (bind(fd, family == AF_INET ? (struct sockaddr *)&any4 : (struct sockaddr *)&any6,
		 family == AF_INET ? sizeof(any4) : sizeof(any6)) < 0)
		return -1;
	return listen(fd, 1024);
}

int stage_enter(void)
{
	int peer;

	if (geteuid() != 0 || unshare(CLONE_NEWNET) < 0) {
		puts("needs root");
		return -1;
	}
	/* The listening sockets and this descriptor keep the peer's namespace alive. */
	peer = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	if (peer < 0 || listen_on(AF_INET) < 0 || listen_on(AF_INET6) < 0 ||
	    unshare(CLONE_NEWNET) < 0) {
		perror("network namespace");
		return -1;
	}
	if (system("nft list ruleset >/dev/null") != 0) {
		puts("needs nf_tables and nft");
		return -1;
	}
	stage_run("sysctl -qw net.ipv6.conf.default.accept_dad=0 && ip link set lo up && "
		  "ip link add eth0 type veth peer name peer && "
		  "ip link set peer netns /proc/%d/fd/%d && "
		  "ip addr add 198.51.100.1/24 dev eth0 && "
		  "ip addr add 2001:db8::1/64 dev eth0 nodad && ip link set eth0 up && "
		  "ip neigh add " STAGE_NOBODY4 " lladdr 02:00:00:00:00:99 dev eth0",
		  getpid(), peer);
	stage_run("nsenter --net=/proc/%d/fd/%d sh -c 'ip link set lo up && "
		  "ip addr add " STAGE_PEER4 "/24 dev peer && "
		  "ip addr add " STAGE_PEER6 "/64 dev peer nodad && ip link set peer up'",
		  getpid(), peer);
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
