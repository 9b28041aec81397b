// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A load generator that writes the truth: who connected, from which port, when, and how it ended.
 * `compare` holds the collector's records against it.
 */
#include "serve.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <grp.h>
#include <libgen.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define DESTINATIONS_MAX 64
#define WORKERS_MAX 256
#define CHILDREN_MAX 64		/* of one worker at a time */

enum launch { LAUNCH_NONE, LAUNCH_FORK, LAUNCH_EXEC };

static const struct mode {
	const char *name, *about;
	enum launch launch;
	int expected[2];	/* errno of connect() */
} modes[] = {
	{ "busy", "each worker connects again and again", LAUNCH_NONE, { 0, 0 } },
	{ "short", "a fork for each connection", LAUNCH_FORK, { 0, 0 } },
	{ "spawn", "fork and exec for each connection", LAUNCH_EXEC, { 0, 0 } },
	{ "refused", "like busy, and nobody listens", LAUNCH_NONE, { ECONNREFUSED, ECONNREFUSED } },
	{ "blackhole", "like busy, and nobody answers", LAUNCH_NONE, { EINPROGRESS, ETIMEDOUT } },
};

struct load {
	const struct mode *mode;
	struct destination to[DESTINATIONS_MAX];
	const char *to_text[DESTINATIONS_MAX];
	unsigned int to_count;
	struct destination halfway;	/* len 0: none */
	struct attempt attempt;
	unsigned int workers, rate, seconds, addresses;
	uint64_t count;
	uid_t uids[WORKERS_MAX];
	unsigned int uid_count;
	bool close_at_once;
	const char *truth_path;
	char self[PATH_MAX], child[PATH_MAX];
	struct truth truth;
	uint64_t deadline_ns;
};

static void help(void)
{
	puts("load MODE --to ADDRESS:PORT… --truth FILE [options]\n"
	     "load serve --to ADDRESS:PORT… [--close-at-once]\n");
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++)
		printf("  %-10s %s\n", modes[i].name, modes[i].about);
	puts("\n"
	     "  --to ADDRESS:PORT   repeatable, used in turn; [2001:db8::2]:80 for IPv6\n"
	     "  --addresses N       busy, short: IPv4 addresses from each of these on, in turn (1)\n"
	     "  --halfway ADDRESS:PORT  busy: where one connection goes, in the middle of all\n"
	     "  --truth FILE        one line per connection, TSV\n"
	     "  --workers N         processes (1)\n"
	     "  --count N           connections in all (1000)\n"
	     "  --seconds N         stop after that time (10)\n"
	     "  --rate N            connections per second in all (0: as fast as they come)\n"
	     "  --hold-ms N         between connect and close (0)\n"
	     "  --timeout-ms N      connect gives up (0: when the kernel does)\n"
	     "  --end HOW           reset, close, wait: for the other side to close (reset)\n"
	     "  --uid N             repeatable, workers take them in turn");
}

static bool expected(const struct mode *mode, int error)
{
	return error == mode->expected[0] || error == mode->expected[1];
}

static struct destination destination_of(const struct load *load, int64_t number)
{
	struct destination to = load->to[number % load->to_count];
	struct sockaddr_in *four = (struct sockaddr_in *)&to.address;

	if (load->halfway.len && (uint64_t)number == load->count / 2)
		return load->halfway;
	if (four->sin_family == AF_INET)
		four->sin_addr.s_addr = htonl(ntohl(four->sin_addr.s_addr) +
					      number / load->to_count % load->addresses);
	return to;
}

/* Status 0 made, 1 failed otherwise than the mode expects. A row nobody used stays empty. */
static int attempt_here(struct load *load, int64_t number)
{
	struct destination to = destination_of(load, number);
	struct truth_row row = { 0 };
	int result;

	result = attempt_run(&load->attempt, &to, &row);
	if (result)
		return 1;
	load->truth.rows[number] = row;
	return expected(load->mode, row.error) ? 0 : 1;
}

static void exec_child(const struct load *load, int64_t number)
{
	char row[24], fd[12], end[2] = { load->attempt.end }, hold[12], timeout[12];

	snprintf(row, sizeof(row), "%lld", (long long)number);
	snprintf(fd, sizeof(fd), "%d", load->truth.fd);
	snprintf(hold, sizeof(hold), "%u", load->attempt.hold_ms);
	snprintf(timeout, sizeof(timeout), "%u", load->attempt.timeout_ms);
	execl(load->child, load->child, row, fd, end, hold, timeout,
	      load->to_text[number % load->to_count], NULL);
	_exit(127);
}

static int reap(unsigned int *running, unsigned int allowed)
{
	int status, failed = 0;
	pid_t pid;

	while (*running && (pid = waitpid(-1, &status, *running > allowed ? 0 : WNOHANG)) > 0) {
		(*running)--;
		failed += !WIFEXITED(status) || WEXITSTATUS(status);
	}
	return failed;
}

static int launch(struct load *load, int64_t number, unsigned int *running)
{
	pid_t pid;

	if (load->mode->launch == LAUNCH_NONE)
		return attempt_here(load, number);
	pid = fork();
	if (pid < 0)
		return 1;
	if (pid == 0) {
		if (load->mode->launch == LAUNCH_EXEC)
			exec_child(load, number);
		_exit(attempt_here(load, number));
	}
	(*running)++;
	return reap(running, CHILDREN_MAX - 1);
}

static void become(uid_t uid)
{
	if (uid && (setgroups(0, NULL) || setresgid(uid, uid, uid) || setresuid(uid, uid, uid)))
		_exit(126);
}

/* The number of failed connections, at most 100: an exit status. */
static int work(struct load *load, unsigned int worker)
{
	uint64_t interval_ns = load->rate ? 1000000000ULL * load->workers / load->rate : 0;
	uint64_t next_ns = clock_ns(CLOCK_MONOTONIC) + interval_ns * worker / load->workers;
	unsigned int running = 0;
	int failed = 0;
	int64_t number;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (load->uid_count)
		become(load->uids[worker % load->uid_count]);
	while (clock_ns(CLOCK_MONOTONIC) < load->deadline_ns) {
		if (interval_ns) {
			sleep_until_ns(next_ns);
			next_ns += interval_ns;
		}
		number = truth_take(&load->truth);
		if (number < 0)
			break;
		failed += launch(load, number, &running);
	}
	while (running)
		failed += reap(&running, 0);
	return failed < 100 ? failed : 100;
}

static int run_workers(struct load *load)
{
	int failed = 0, status;

	for (unsigned int i = 0; i < load->workers; i++) {
		pid_t pid = fork();

		if (pid < 0)
			return -errno;
		if (pid == 0)
			_exit(work(load, i));
	}
	while (wait(&status) > 0)
		failed += WIFEXITED(status) ? WEXITSTATUS(status) : 100;
	return failed;
}

static void command_line(char *text, size_t size)
{
	FILE *f = fopen("/proc/self/cmdline", "r");
	size_t n = f ? fread(text, 1, size - 1, f) : 0;

	if (f)
		fclose(f);
	while (n && !text[n - 1])
		n--;
	for (size_t i = 0; i < n; i++)
		if (!text[i])
			text[i] = ' ';
	text[n] = '\0';
}

static int print_truth(const struct load *load)
{
	char command[4096], arguments[256];
	struct truth_names names = {
		.executable = load->self, .command_line = command, .parent_executable = load->self,
	};
	FILE *f = fopen(load->truth_path, "w");
	int result;

	if (!f)
		return -errno;
	command_line(command, sizeof(command));
	if (load->mode->launch == LAUNCH_EXEC) {
		snprintf(arguments, sizeof(arguments), "%d %c %u %u", load->truth.fd,
			 load->attempt.end, load->attempt.hold_ms, load->attempt.timeout_ms);
		names.executable = load->child;
		names.arguments = arguments;
		names.destinations = load->to_text;
		names.destination_count = load->to_count;
	}
	result = truth_print(&load->truth, &names, f);
	fclose(f);
	return result;
}

enum { OPT_TO = 1, OPT_ADDRESSES, OPT_HALFWAY, OPT_TRUTH, OPT_WORKERS, OPT_COUNT, OPT_SECONDS, OPT_RATE,
       OPT_HOLD, OPT_TIMEOUT, OPT_END, OPT_UID, OPT_CLOSE };

static const struct option long_options[] = {
	{ "to", required_argument, NULL, OPT_TO },
	{ "addresses", required_argument, NULL, OPT_ADDRESSES },
	{ "halfway", required_argument, NULL, OPT_HALFWAY },
	{ "truth", required_argument, NULL, OPT_TRUTH },
	{ "workers", required_argument, NULL, OPT_WORKERS },
	{ "count", required_argument, NULL, OPT_COUNT },
	{ "seconds", required_argument, NULL, OPT_SECONDS },
	{ "rate", required_argument, NULL, OPT_RATE },
	{ "hold-ms", required_argument, NULL, OPT_HOLD },
	{ "timeout-ms", required_argument, NULL, OPT_TIMEOUT },
	{ "end", required_argument, NULL, OPT_END }, { "uid", required_argument, NULL, OPT_UID },
	{ "close-at-once", no_argument, NULL, OPT_CLOSE }, { 0 },
};

static int number_parse(const char *text, uint64_t max, uint64_t *number)
{
	char *end;

	errno = 0;
	*number = strtoull(text, &end, 10);
	return errno || *end || end == text || *number > max ? -EINVAL : 0;
}

static int option_numeric(struct load *load, int option, const char *text)
{
	uint64_t number;

	if (number_parse(text, 100000000, &number))
		return -EINVAL;
	switch (option) {
	case OPT_WORKERS:
		load->workers = number;
		return number && number <= WORKERS_MAX ? 0 : -EINVAL;
	case OPT_ADDRESSES:
		load->addresses = number;
		return number ? 0 : -EINVAL;
	case OPT_COUNT:
		load->count = number;
		return number ? 0 : -EINVAL;
	case OPT_SECONDS:
		load->seconds = number;
		return 0;
	case OPT_RATE:
		load->rate = number;
		return 0;
	case OPT_HOLD:
		load->attempt.hold_ms = number;
		return 0;
	case OPT_TIMEOUT:
		load->attempt.timeout_ms = number;
		return 0;
	case OPT_UID:
		if (load->uid_count == WORKERS_MAX)
			return -EINVAL;
		load->uids[load->uid_count++] = number;
		return 0;
	}
	return -EINVAL;
}

static int option(struct load *load, int option, const char *text)
{
	switch (option) {
	case OPT_TO:
		if (load->to_count == DESTINATIONS_MAX)
			return -EINVAL;
		load->to_text[load->to_count] = text;
		return destination_parse(&load->to[load->to_count++], text);
	case OPT_HALFWAY:
		return destination_parse(&load->halfway, text);
	case OPT_TRUTH:
		load->truth_path = text;
		return 0;
	case OPT_END:
		load->attempt.end = text[0];
		return strcmp(text, "reset") && strcmp(text, "close") && strcmp(text, "wait")
			? -EINVAL : 0;
	case OPT_CLOSE:
		load->close_at_once = true;
		return 0;
	case '?':
		return -EINVAL;
	}
	return option_numeric(load, option, text);
}

static int options(struct load *load, int argc, char **argv)
{
	int c;

	while ((c = getopt_long(argc, argv, "", long_options, NULL)) != -1)
		if (option(load, c, optarg)) {
			fprintf(stderr, "load: %s is not understood\n", argv[optind - 1]);
			return -EINVAL;
		}
	if (optind >= argc)
		return -EINVAL;
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++)
		if (strcmp(argv[optind], modes[i].name) == 0)
			load->mode = &modes[i];
	return load->to_count ? 0 : -EINVAL;
}

static int run(struct load *load)
{
	ssize_t n = readlink("/proc/self/exe", load->self, sizeof(load->self) - 16);
	char directory[PATH_MAX];
	int result;

	if (n < 0)
		return -errno;
	memcpy(directory, load->self, n + 1);
	snprintf(load->child, sizeof(load->child), "%.*s/load-child", PATH_MAX - 16,
		 dirname(directory));
	result = truth_new(&load->truth, load->count);
	if (result)
		return result;
	load->deadline_ns = clock_ns(CLOCK_MONOTONIC) + load->seconds * 1000000000ULL;
	result = run_workers(load);
	if (result > 0)
		fprintf(stderr, "load: %d or more connections failed otherwise than expected\n",
			result);
	return print_truth(load) ?: result;
}

int main(int argc, char **argv)
{
	static struct load load = {
		.attempt = { .end = ATTEMPT_RESET }, .workers = 1, .addresses = 1, .count = 1000, .seconds = 10,
	};
	int result;

	if (argc < 2 || options(&load, argc, argv)) {
		help();
		return 2;
	}
	if (strcmp(argv[optind], "serve") == 0) {
		result = serve(load.to, load.to_count, load.close_at_once);
	} else if (load.mode && load.truth_path) {
		result = run(&load);
	} else {
		help();
		return 2;
	}
	if (result < 0)
		fprintf(stderr, "load: %s\n", strerror(-result));
	return result ? 1 : 0;
}
