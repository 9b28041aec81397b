// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The proof: this very program, run as users run it, in a network namespace where nothing is but
 * loopback. The connection is made again and again until its record comes, as a collector that is
 * still starting has not seen the first ones.
 */
#include "check.h"
#include "clock.h"

#include <arpa/inet.h>
#include <cjson/cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PATIENCE_MS	10000
#define INTERVAL_MS	100
#define END_MS		5000
#define TEXT_SIZE	65536

struct trial {
	pid_t pid;		/* of the collector; 0: it has ended */
	int status;
	struct pollfd pipes[2];	/* its stdout and stderr */
	char *text[2];		/* what came and is no whole line yet; of stderr: all */
	size_t len[2];
	int listener;
	uint16_t port;		/* network byte order */
	bool proved;
	uint32_t named;		/* the pid in the record, 0 none */
	char owner[16];
};

static uint64_t now_ms(void)
{
	return clock_ns(CLOCK_MONOTONIC) / 1000000;
}

static int make_namespace(void)
{
	struct ifreq request = { .ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING };
	int fd, err = 0;

	if (unshare(CLONE_NEWNET) < 0)
		return -errno;
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (ioctl(fd, SIOCSIFFLAGS, &request) < 0)
		err = -errno;
	close(fd);
	return err;
}

static int listen_loopback(struct trial *t)
{
	struct sockaddr_in sin = { .sin_family = AF_INET };
	socklen_t len = sizeof(sin);

	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	t->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (t->listener < 0 || bind(t->listener, (struct sockaddr *)&sin, sizeof(sin)) < 0 ||
	    listen(t->listener, 16) < 0 ||
	    getsockname(t->listener, (struct sockaddr *)&sin, &len) < 0)
		return -errno;
	t->port = sin.sin_port;
	return 0;
}

static void run_collector(const struct options *options, int out, int err)
{
	static const char *const trace[] = { "auto", "on", "off" };
	static const char *const lookup[] = { "auto", "diag", "proc" };
	char group[8];

	snprintf(group, sizeof(group), "%u", options->group);
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	dup2(out, STDOUT_FILENO);
	dup2(err, STDERR_FILENO);
	execl("/proc/self/exe", "nfwho", "run", "--config", "/dev/null", "--group", group,
	      "--loopback", "yes", "--rate", "0", "--output", "stdout,format=ecs",
	      "--log-level", "warning", "--conntrack", options->conntrack ? "yes" : "no",
	      "--trace", trace[options->trace], "--lookup", lookup[options->lookup], NULL);
	_exit(127);
}

static int start(struct trial *t, const struct options *options)
{
	int out[2], err[2];

	for (int i = 0; i < 2; i++) {
		t->text[i] = malloc(TEXT_SIZE);
		if (!t->text[i])
			return -ENOMEM;
	}
	if (pipe2(out, O_CLOEXEC) < 0)
		return -errno;
	if (pipe2(err, O_CLOEXEC) < 0) {
		close(out[0]);
		close(out[1]);
		return -errno;
	}
	t->pid = fork();
	if (t->pid == 0)
		run_collector(options, out[1], err[1]);
	close(out[1]);
	close(err[1]);
	fcntl(out[0], F_SETFL, O_NONBLOCK);
	fcntl(err[0], F_SETFL, O_NONBLOCK);
	t->pipes[0] = (struct pollfd){ .fd = out[0], .events = POLLIN };
	t->pipes[1] = (struct pollfd){ .fd = err[0], .events = POLLIN };
	return t->pid < 0 ? -errno : 0;
}

static void connect_once(const struct trial *t)
{
	struct sockaddr_in sin = { .sin_family = AF_INET, .sin_port = t->port };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), peer;

	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&sin, sizeof(sin)) == 0) {
		peer = accept(t->listener, NULL, NULL);
		if (peer >= 0)
			close(peer);
	}
	if (fd >= 0)
		close(fd);
}

static const cJSON *member(const cJSON *object, const char *first, const char *second)
{
	return cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(object, first),
						second);
}

static void read_record(struct trial *t, const char *line)
{
	const cJSON *action, *port, *pid, *owner;
	cJSON *root = cJSON_Parse(line);

	action = member(root, "event", "action");
	port = member(root, "destination", "port");
	if (cJSON_IsString(action) && strcmp(action->valuestring, "connection_attempted") == 0 &&
	    cJSON_IsNumber(port) && port->valueint == ntohs(t->port)) {
		pid = member(root, "process", "pid");
		owner = member(root, "nfwho", "owner");
		t->named = cJSON_IsNumber(pid) ? (uint32_t)pid->valuedouble : 0;
		snprintf(t->owner, sizeof(t->owner), "%s",
			 cJSON_IsString(owner) ? owner->valuestring : "none");
		t->proved = true;
	}
	cJSON_Delete(root);
}

static void read_records(struct trial *t)
{
	char *line = t->text[0], *end;

	while (!t->proved && (end = memchr(line, '\n', t->len[0] - (size_t)(line - t->text[0])))) {
		*end = '\0';
		read_record(t, line);
		line = end + 1;
	}
	t->len[0] -= (size_t)(line - t->text[0]);
	memmove(t->text[0], line, t->len[0]);
}

/* Waits for output. What does not fit any more is read and forgotten. */
static void take_output(struct trial *t, unsigned int wait_ms)
{
	char spare[4096];
	ssize_t n;

	poll(t->pipes, 2, (int)wait_ms);
	for (int i = 0; i < 2; i++) {
		size_t room = TEXT_SIZE - 1 - t->len[i];

		if (t->pipes[i].fd < 0 || !t->pipes[i].revents)
			continue;
		n = room ? read(t->pipes[i].fd, t->text[i] + t->len[i], room) :
			read(t->pipes[i].fd, spare, sizeof(spare));
		if (n > 0 && room)
			t->len[i] += (size_t)n;
		if (n == 0) {
			close(t->pipes[i].fd);
			t->pipes[i].fd = -1;
		}
	}
	read_records(t);
}

static bool has_ended(struct trial *t)
{
	if (t->pid && waitpid(t->pid, &t->status, WNOHANG) == t->pid)
		t->pid = 0;
	return !t->pid;
}

/* Asks the collector to stop, and makes it if it does not. */
static void stop(struct trial *t)
{
	uint64_t end = now_ms() + END_MS;

	if (t->pid)
		kill(t->pid, SIGTERM);
	while (!has_ended(t) && now_ms() < end)
		take_output(t, 20);
	if (t->pid) {
		kill(t->pid, SIGKILL);
		waitpid(t->pid, &t->status, 0);
		t->pid = 0;
	}
}

/* The last line it wrote to stderr, without its prefix. */
static const char *last_words(struct trial *t)
{
	char *text = t->text[1], *line;

	text[t->len[1]] = '\0';
	while (t->len[1] && text[t->len[1] - 1] == '\n')
		text[--t->len[1]] = '\0';
	line = strrchr(text, '\n');
	line = line ? line + 1 : text;
	return strncmp(line, "nfwho: ", 7) == 0 ? line + 7 : line;
}

static void judge(struct checklist *c, struct trial *t, bool ended, uint64_t elapsed_ms)
{
	static const char what[] = "the whole way";

	if (!t->proved && ended)
		checklist_say(c, VERDICT_NOT, what, "the collector ended: %s", last_words(t));
	else if (!t->proved)
		checklist_say(c, VERDICT_NOT, what, "no record came within %d s: %s",
			      PATIENCE_MS / 1000, last_words(t));
	else if (t->named && t->named != (uint32_t)getpid())
		checklist_say(c, VERDICT_NOT, what, "pid %u was named for a connection of pid %d: "
			      "this is a bug, please report it", t->named, (int)getpid());
	else if (!t->named)
		checklist_say(c, VERDICT_LESS, what, "a record came, but its owner is only known "
			      "as \"%s\"", t->owner);
	else if (!WIFEXITED(t->status) || WEXITSTATUS(t->status))
		checklist_say(c, VERDICT_LESS, what, "the record came, but the collector did not "
			      "end in order: %s", last_words(t));
	else
		checklist_say(c, VERDICT_WORKS, what, "a connection of pid %u was recorded as its "
			      "own, by %s, %llu ms after the start", t->named, t->owner,
			      (unsigned long long)elapsed_ms);
}

void check_whole_way(struct checklist *c, const struct options *options)
{
	struct trial t = { .listener = -1, .pipes = { { .fd = -1 }, { .fd = -1 } } };
	uint64_t begin, next = 0, now;
	bool ended = false;
	int err = make_namespace();

	if (!err)
		err = listen_loopback(&t);
	if (!err)
		err = start(&t, options);
	if (err) {
		checklist_say(c, VERDICT_LESS, "the whole way", "not proved, as no network "
			      "namespace can be made for it: %s", strerror(-err));
		goto out;
	}
	begin = now = now_ms();
	while (!t.proved && !ended && now < begin + PATIENCE_MS) {
		if (now >= next) {
			connect_once(&t);
			next = now + INTERVAL_MS;
		}
		take_output(&t, INTERVAL_MS / 4);
		ended = has_ended(&t);
		now = now_ms();
	}
	stop(&t);
	judge(c, &t, ended, now - begin);
out:
	for (int i = 0; i < 2; i++) {
		if (t.pipes[i].fd >= 0)
			close(t.pipes[i].fd);
		free(t.text[i]);
	}
	if (t.listener >= 0)
		close(t.listener);
}
