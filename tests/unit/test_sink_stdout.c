// SPDX-License-Identifier: GPL-2.0-or-later
#include "log.h"
#include "queue.h"
#include "sink.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

static char error[512];

/* Replaces stdout by `fd` until give_back(); cmocka's own output goes there too, so that no
 * assertion stands between the two. */
static int take_stdout(int fd)
{
	int before = dup(STDOUT_FILENO);

	fflush(stdout);
	dup2(fd, STDOUT_FILENO);
	return before;
}

static void give_back(int before)
{
	dup2(before, STDOUT_FILENO);
	close(before);
}

static struct sinks *open_sinks(void)
{
	struct sinks *s = NULL;
	struct output output;

	if (output_parse(&output, "stdout", error, sizeof(error)) == 0) {
		sinks_open(&s, &output, 1, error, sizeof(error));
		output_fini(&output);
	}
	return s;
}

static void a_full_pipe_waits_and_keeps_its_flags(void **state)
{
	static char line[5001], got[65536];
	int ends[2], before, flags;
	size_t total = 0;
	struct record_sink report;
	struct sinks *s;
	ssize_t n;

	(void)state;
	memset(line, 'x', sizeof(line));
	strcpy(line + 4999, "\n");
	assert_int_equal(pipe(ends), 0);
	before = take_stdout(ends[1]);
	s = open_sinks();
	for (int i = 0; i < 100; i++)
		sinks_write(s, FORMAT_ECS, line, 5000);
	sinks_flush(s);
	flags = fcntl(ends[1], F_GETFL);
	fcntl(ends[0], F_SETFL, O_NONBLOCK);
	for (int i = 0; i < 100; i++) {
		while ((n = read(ends[0], got, sizeof(got))) > 0)
			total += (size_t)n;
		sinks_flush(s);
	}
	sinks_report(s, &report, 1);
	sinks_close(s);
	give_back(before);
	assert_int_equal(flags & O_NONBLOCK, 0);
	assert_int_equal(total, 500000);
	assert_int_equal(report.written, 100);
	close(ends[0]);
	close(ends[1]);
}

static void a_reader_that_went_away_is_reported(void **state)
{
	int ends[2], before, first, second;
	struct sinks *s;

	(void)state;
	assert_int_equal(pipe(ends), 0);
	before = take_stdout(ends[1]);
	s = open_sinks();
	sinks_write(s, FORMAT_ECS, "{1}\n", 4);
	first = sinks_flush(s);
	close(ends[0]);
	second = sinks_flush(s);	/* with nothing to write */
	sinks_close(s);
	give_back(before);
	assert_int_equal(first, 0);
	assert_int_equal(second, -EPIPE);
	close(ends[1]);
}

static void a_socket_is_written_without_blocking(void **state)
{
	static char line[5001];
	int ends[2], before;
	struct record_sink report;
	struct sinks *s;

	(void)state;
	memset(line, 'x', sizeof(line));
	strcpy(line + 4999, "\n");
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	before = take_stdout(ends[1]);
	s = open_sinks();
	for (int i = 0; i < 1000; i++)
		sinks_write(s, FORMAT_ECS, line, 5000);
	sinks_flush(s);
	sinks_report(s, &report, 1);
	sinks_close(s);
	give_back(before);
	assert_true(report.written > 0 && report.queued > 0);
	assert_int_equal(report.written + report.queued, 1000);
	close(ends[0]);
	close(ends[1]);
}

/* As systemd makes the journal's stream. */
static void a_socket_that_is_not_to_be_read_from_is_written(void **state)
{
	char got[16];
	int ends[2], before, first, second;
	struct sinks *s;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	assert_int_equal(shutdown(ends[1], SHUT_RD), 0);
	before = take_stdout(ends[1]);
	s = open_sinks();
	sinks_write(s, FORMAT_ECS, "{1}\n", 4);
	first = sinks_flush(s);
	close(ends[1]);
	second = first == 0 && read(ends[0], got, sizeof(got)) == 4 ? 0 : -1;
	close(ends[0]);
	if (!second)
		second = sinks_flush(s);
	sinks_close(s);
	give_back(before);
	assert_int_equal(first, 0);
	assert_int_equal(second, -EPIPE);
}

/* A pager, or a terminal that is held. */
static void a_reader_of_stderr_that_stops_is_not_waited_for(void **state)
{
	char got[8192];
	int ends[2], before = dup(STDERR_FILENO);
	ssize_t len;

	(void)state;
	assert_int_equal(pipe(ends), 0);
	dup2(ends[1], STDERR_FILENO);
	alarm(20);
	for (int i = 0; i < 10000; i++)
		log_warning("line %d", i);
	len = read(ends[0], got, 100);
	while (fcntl(ends[0], F_SETFL, O_NONBLOCK) == 0 && read(ends[0], got, sizeof(got)) > 0)
		;
	log_warning("the last");
	alarm(0);
	len = read(ends[0], got, sizeof(got) - 1);
	dup2(before, STDERR_FILENO);
	close(before);
	assert_in_range(len, 1, sizeof(got) - 1);
	got[len] = '\0';
	assert_non_null(strstr(got, " lines could not be said here\nnfwho: the last\n"));
	close(ends[0]);
	close(ends[1]);
}

/* The path of an output, taken apart, to be freed. */
static struct output parsed(const char *text)
{
	struct output output;

	assert_int_equal(output_parse(&output, text, error, sizeof(error)), 0);
	return output;
}

/* Takes the first datagrams late, and ends with 0 when it has had all. */
static pid_t read_late(int fd, unsigned int count)
{
	const struct timespec late = { .tv_nsec = 200000000 };
	pid_t pid = fork();
	char got[16];

	if (pid)
		return pid;
	alarm(20);
	nanosleep(&late, NULL);
	while (count && read(fd, got, sizeof(got)) > 0)
		count--;
	_exit(count ? 1 : 0);
}

static void others_are_waited_for_when_the_reader_of_stdout_is_gone(void **state)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int ends[2], before, status, fd = socket(AF_UNIX, SOCK_DGRAM, 0);
	struct output outputs[2];
	char text[128], directory[] = "/tmp/nfwho-test-XXXXXX";
	struct sinks *s = NULL;
	pid_t reader;

	(void)state;
	assert_non_null(mkdtemp(directory));
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/socket", directory);
	snprintf(text, sizeof(text), "unix:%s", address.sun_path);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	outputs[0] = parsed("stdout");
	outputs[1] = parsed(text);
	reader = read_late(fd, 100);
	assert_int_equal(pipe(ends), 0);
	before = take_stdout(ends[1]);
	sinks_open(&s, outputs, 2, error, sizeof(error));
	close(ends[0]);
	for (int i = 0; i < 100; i++)
		sinks_write(s, FORMAT_ECS, "{1}\n", 4);
	sinks_drain(s, 10000);
	sinks_close(s);
	give_back(before);
	assert_int_equal(waitpid(reader, &status, 0), reader);
	assert_int_equal(status, 0);
	close(ends[1]);
	close(fd);
	unlink(address.sun_path);
	rmdir(directory);
	output_fini(&outputs[0]);
	output_fini(&outputs[1]);
}

/* fd 1 goes on as a copy of it, and the kernel with its events. */
static void stdout_taken_away_is_heard_of_no_more(void **state)
{
	struct output outputs[2] = { parsed("stdout"), parsed("unix:/tmp/nfwho-never") };
	int ends[2], before, changed, blocked, readable[2] = { -1, -1 };
	static char line[5001], got[65536];
	struct pollfd wait = { .events = POLLIN };
	struct record_sink reports[2] = { 0 };
	struct sinks *s = NULL;

	(void)state;
	memset(line, 'x', sizeof(line) - 2);
	line[sizeof(line) - 2] = '\n';
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	fcntl(ends[0], F_SETFL, O_NONBLOCK);
	before = take_stdout(ends[1]);
	close(ends[1]);
	changed = sinks_open(&s, outputs, 1, error, sizeof(error));
	for (int i = 0; !changed && i < 200; i++)
		sinks_write(s, FORMAT_ECS, line, sizeof(line) - 1);
	sinks_flush(s);
	sinks_report(s, reports, 2);
	blocked = reports[0].queued > 0;
	changed = sinks_change(s, &outputs[1], 1, error, sizeof(error));
	wait.fd = sinks_fd(s);
	while (read(ends[0], got, sizeof(got)) > 0)
		;
	readable[0] = poll(&wait, 1, 0);
	close(ends[0]);
	readable[1] = poll(&wait, 1, 0);
	sinks_close(s);
	give_back(before);
	assert_int_equal(changed, 0);
	assert_true(blocked);
	assert_int_equal(readable[0], 0);
	assert_int_equal(readable[1], 0);
	output_fini(&outputs[0]);
	output_fini(&outputs[1]);
}

static int open_terminal(int *master)
{
	int terminal;

	*master = posix_openpt(O_RDWR | O_NOCTTY);
	assert_int_equal(grantpt(*master) | unlockpt(*master), 0);
	terminal = open(ptsname(*master), O_RDWR | O_NOCTTY);
	assert_true(terminal >= 0);
	return terminal;
}

/* Nobody reads it, and it can be opened by its path no more, as by another user. Each line is one
 * more byte there, so that what a pipe would take at once is too much for it. */
static void a_held_terminal_that_was_prepared_is_not_waited_for(void **state)
{
	enum output_format format = getenv("NO_COLOR") ? FORMAT_TEXT : FORMAT_COLOUR;
	int master, terminal = open_terminal(&master), before, flags, again;
	struct record_sink report;
	struct sinks *s;

	(void)state;
	before = take_stdout(terminal);
	sink_stdout_prepare();
	ioctl(master, TIOCSPTLCK, &(int){ 1 });
	alarm(20);
	s = open_sinks();
	ioctl(master, TIOCSPTLCK, &(int){ 0 });
	again = open(ptsname(master), O_RDWR | O_NOCTTY);	/* ends the error of one refused */
	for (int i = 0; i < 50000; i++)
		sinks_write(s, format, "{1}\n", 4);
	for (int i = 0; i < 100; i++)
		sinks_flush(s);
	alarm(0);
	flags = fcntl(terminal, F_GETFL);
	sinks_report(s, &report, 1);
	sinks_close(s);
	give_back(before);
	assert_true(again >= 0);
	assert_int_equal(flags & O_NONBLOCK, 0);
	assert_int_equal(report.dropped, 0);
	assert_true(report.written > 0 && report.queued > 0);
	close(again);
	close(terminal);
	close(master);
}

static void colours_are_for_a_terminal_alone(void **state)
{
	static const char *const texts[] = { "stdout", "stdout,format=text", "stdout,format=ecs",
					     "unix:/tmp/nfwho-never,format=text" };
	int master, terminal = open_terminal(&master), before;
	unsigned int found[2][4] = { { 0 } };
	struct output output;
	struct sinks *s;

	(void)state;
	before = take_stdout(terminal);
	for (int plain = 0; plain < 2; plain++) {
		plain ? setenv("NO_COLOR", "1", 1) : unsetenv("NO_COLOR");
		for (int i = 0; i < 4; i++) {
			output = parsed(texts[i]);
			if (sinks_open(&s, &output, 1, error, sizeof(error)))
				continue;
			sinks_change(s, &output, 1, error, sizeof(error));
			found[plain][i] = sinks_formats(s);
			sinks_close(s);
			output_fini(&output);
		}
	}
	unsetenv("NO_COLOR");
	give_back(before);
	assert_int_equal(found[0][0], 1u << FORMAT_COLOUR);
	assert_int_equal(found[0][1], 1u << FORMAT_COLOUR);
	assert_int_equal(found[0][2], 1u << FORMAT_ECS);
	assert_int_equal(found[0][3], 1u << FORMAT_TEXT);
	assert_int_equal(found[1][0], 1u << FORMAT_TEXT);
	assert_int_equal(found[1][1], 1u << FORMAT_TEXT);
	close(terminal);
	close(master);
}

static void a_queue_gives_back_what_was_put_in(void **state)
{
	char piece[3000];
	size_t in = 0, out = 0;
	struct queue q;

	(void)state;
	assert_int_equal(queue_init(&q, 1000000), 0);
	for (unsigned int i = 0; i < 8000; i++) {
		size_t len = i * 7919 % sizeof(piece), take;

		for (size_t j = 0; j < len; j++)
			piece[j] = (char)(in + j);
		if (queue_push(&q, piece, len))
			in += len;
		else
			assert_true(queue_len(&q) + len > 1000000);
		take = i % 2000 < 1000 ? i * 104729 % 2000 : i * 104729 % 4000;
		if (take > queue_len(&q))
			take = queue_len(&q);
		for (size_t j = 0; j < take; j++)
			assert_int_equal(queue_head(&q)[j], (char)(out + j));
		queue_pop(&q, take);
		out += take;
	}
	assert_int_equal(queue_len(&q), in - out);
	queue_fini(&q);
}

static void diagnostics_escape_what_a_terminal_would_obey(void **state)
{
	char text[16];

	(void)state;
	assert_int_equal(log_escape("a\033[2J\n", text, sizeof(text)), 12);
	assert_string_equal(text, "a\\x1b[2J\\x0a");
	assert_int_equal(log_escape("\xc2\x9b", text, sizeof(text)), 8);
	assert_string_equal(text, "\\xc2\\x9b");
	log_escape("12345678901234\n", text, sizeof(text));
	assert_string_equal(text, "12345678901234");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_full_pipe_waits_and_keeps_its_flags),
		cmocka_unit_test(a_reader_that_went_away_is_reported),
		cmocka_unit_test(a_socket_is_written_without_blocking),
		cmocka_unit_test(a_socket_that_is_not_to_be_read_from_is_written),
		cmocka_unit_test(a_reader_of_stderr_that_stops_is_not_waited_for),
		cmocka_unit_test(others_are_waited_for_when_the_reader_of_stdout_is_gone),
		cmocka_unit_test(stdout_taken_away_is_heard_of_no_more),
		cmocka_unit_test(a_held_terminal_that_was_prepared_is_not_waited_for),
		cmocka_unit_test(colours_are_for_a_terminal_alone),
		cmocka_unit_test(a_queue_gives_back_what_was_put_in),
		cmocka_unit_test(diagnostics_escape_what_a_terminal_would_obey),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests_name("sink_stdout", tests, NULL, NULL);
}
