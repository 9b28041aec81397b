// SPDX-License-Identifier: GPL-2.0-or-later
#include "sink.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

static char directory[64], error[512];

static int make_directory(void **state)
{
	(void)state;
	signal(SIGPIPE, SIG_IGN);
	strcpy(directory, "/tmp/nfwho-test-sink-XXXXXX");
	return mkdtemp(directory) ? 0 : -1;
}

static int remove_directory(void **state)
{
	char command[96];

	(void)state;
	snprintf(command, sizeof(command), "rm -r %s", directory);
	return system(command);
}

static struct sockaddr_un address(void)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };

	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s/socket", directory);
	return sun;
}

static int bind_unix(int type)
{
	struct sockaddr_un sun = address();
	int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);

	unlink(sun.sun_path);
	assert_int_equal(bind(fd, (struct sockaddr *)&sun, sizeof(sun)), 0);
	if (type == SOCK_STREAM)
		assert_int_equal(listen(fd, 5), 0);
	return fd;
}

static struct sinks *open_sinks(const char *text)
{
	struct output output;
	struct sinks *s;

	assert_int_equal(output_parse(&output, text, error, sizeof(error)), 0);
	assert_int_equal(sinks_open(&s, &output, 1, error, sizeof(error)), 0);
	output_fini(&output);
	return s;
}

static struct sinks *open_unix(const char *kind)
{
	char text[256];

	snprintf(text, sizeof(text), "%s:%s,queue=256K", kind, address().sun_path);
	return open_sinks(text);
}

static void write_line(struct sinks *s, const char *line)
{
	sinks_write(s, FORMAT_ECS, line, strlen(line));
}

static struct record_sink report(const struct sinks *s)
{
	struct record_sink r;

	assert_int_equal(sinks_report(s, &r, 1), 1);
	return r;
}

/* Flushes whenever the sinks ask for it, until nothing is queued. */
static void flush_all(struct sinks *s)
{
	struct pollfd wait = { .fd = sinks_fd(s), .events = POLLIN };

	sinks_flush(s);
	while (report(s).queued) {
		assert_int_equal(poll(&wait, 1, 5000), 1);
		sinks_flush(s);
	}
}

static const char *receive(int fd)
{
	static char text[65536];
	struct pollfd wait = { .fd = fd, .events = POLLIN };
	ssize_t n;

	assert_int_equal(poll(&wait, 1, 5000), 1);
	n = recv(fd, text, sizeof(text) - 1, 0);
	assert_true(n >= 0);
	text[n] = '\0';
	return text;
}

static void each_datagram_is_one_line_without_its_end(void **state)
{
	int fd = bind_unix(SOCK_DGRAM);
	struct sinks *s = open_unix("unix");

	(void)state;
	write_line(s, "{1}\n");
	write_line(s, "{2}\n");
	flush_all(s);
	assert_string_equal(receive(fd), "{1}");
	assert_string_equal(receive(fd), "{2}");
	assert_int_equal(report(s).written, 2);
	assert_int_equal(report(s).dropped, 0);
	sinks_close(s);
	close(fd);
}

static void datagrams_wait_for_a_slow_reader(void **state)
{
	enum { LINES = 2000 };
	int fd = bind_unix(SOCK_DGRAM);
	struct sinks *s = open_unix("unix");
	char line[32];

	(void)state;
	for (int i = 0; i < LINES; i++) {
		snprintf(line, sizeof(line), "{%d}\n", i);
		write_line(s, line);
	}
	for (int i = 0; i < LINES; i++) {
		sinks_flush(s);
		snprintf(line, sizeof(line), "{%d}", i);
		assert_string_equal(receive(fd), line);
	}
	assert_int_equal(report(s).written, LINES);
	sinks_close(s);
	close(fd);
}

static void a_datagram_reader_may_come_late_and_come_back(void **state)
{
	struct sinks *s;
	int fd;

	(void)state;
	unlink(address().sun_path);
	s = open_unix("unix");
	write_line(s, "{1}\n");
	assert_int_equal(sinks_flush(s), 0);
	assert_int_equal(report(s).queued, 1);
	fd = bind_unix(SOCK_DGRAM);
	flush_all(s);
	assert_string_equal(receive(fd), "{1}");
	close(fd);
	write_line(s, "{2}\n");
	assert_int_equal(sinks_flush(s), 0);
	assert_int_equal(report(s).queued, 1);
	fd = bind_unix(SOCK_DGRAM);
	flush_all(s);
	assert_string_equal(receive(fd), "{2}");
	sinks_close(s);
	close(fd);
}

static void a_stream_begins_again_with_a_whole_line(void **state)
{
	int listener = bind_unix(SOCK_STREAM), peer, small = 4096;
	struct sinks *s = open_unix("stream");
	char line[8001], *rest;
	const char *got;

	(void)state;
	peer = accept(listener, NULL, NULL);
	setsockopt(peer, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	for (int i = 0; i < 30; i++) {
		snprintf(line, sizeof(line), "{%07d%*s}\n", i, 7989, "");
		write_line(s, line);
	}
	sinks_flush(s);
	assert_true(report(s).queued > 0 || report(s).written == 30);
	close(peer);
	write_line(s, "{last}\n");
	sinks_flush(s);
	for (int tries = 0; tries < 100 && report(s).queued; tries++) {
		struct pollfd wait = { .fd = sinks_fd(s), .events = POLLIN };

		poll(&wait, 1, 100);
		sinks_flush(s);
	}
	peer = accept(listener, NULL, NULL);
	got = receive(peer);
	assert_int_equal(got[0], '{');
	rest = strchr(got, '\n');
	assert_non_null(rest);
	assert_int_equal(report(s).dropped, 0);
	sinks_close(s);
	close(peer);
	close(listener);
}

/* Whether our socket that is connected there drops what it has sent, if the peer does not read it
 * soon: it has been counted as written. */
static bool gives_up(const struct sockaddr_in *there)
{
	for (int fd = 3; fd < 64; fd++) {
		struct sockaddr_in sin = { .sin_family = AF_INET };
		unsigned int ms = 0;
		socklen_t len = sizeof(sin);

		if (getpeername(fd, (struct sockaddr *)&sin, &len) || sin.sin_port != there->sin_port)
			continue;
		len = sizeof(ms);
		return getsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &ms, &len) || ms;
	}
	return true;
}

static void a_tcp_peer_gets_lines_and_may_go_and_come_back(void **state)
{
	struct sockaddr_in sin = { .sin_family = AF_INET };
	socklen_t len = sizeof(sin);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), peer, one = 1;
	struct sinks *s;
	char text[64];

	(void)state;
	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	assert_int_equal(bind(listener, (struct sockaddr *)&sin, sizeof(sin)), 0);
	assert_int_equal(listen(listener, 5), 0);
	getsockname(listener, (struct sockaddr *)&sin, &len);
	snprintf(text, sizeof(text), "tcp:127.0.0.1:%d", ntohs(sin.sin_port));
	s = open_sinks(text);
	write_line(s, "{1}\n");
	flush_all(s);
	peer = accept(listener, NULL, NULL);
	assert_string_equal(receive(peer), "{1}\n");
	assert_false(gives_up(&sin));
	close(peer);

	/* The close is seen before the next line is written into a dead connection. */
	write_line(s, "{2}\n");
	flush_all(s);
	peer = accept(listener, NULL, NULL);
	assert_string_equal(receive(peer), "{2}\n");
	assert_int_equal(report(s).written, 2);
	sinks_close(s);
	close(peer);
	close(listener);
}

/* After a refusal the next attempt is not answered: the queue of whoever listens now is full. */
static void an_attempt_under_way_does_not_keep_us_busy(void **state)
{
	struct sockaddr_in sin = { .sin_family = AF_INET };
	socklen_t len = sizeof(sin);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), first, second;
	struct pollfd wait = { .events = POLLIN };
	struct sinks *s;
	char text[64];

	(void)state;
	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(listener, (struct sockaddr *)&sin, sizeof(sin)), 0);
	getsockname(listener, (struct sockaddr *)&sin, &len);
	snprintf(text, sizeof(text), "tcp:127.0.0.1:%d", ntohs(sin.sin_port));
	s = open_sinks(text);
	wait.fd = sinks_fd(s);
	write_line(s, "{1}\n");
	sinks_flush(s);
	assert_int_equal(listen(listener, 0), 0);
	first = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(first, (struct sockaddr *)&sin, len), 0);
	assert_int_equal(poll(&wait, 1, 5000), 1);	/* it is time to try again */
	sinks_flush(s);
	assert_int_equal(poll(&wait, 1, 300), 0);
	close(accept(listener, NULL, NULL));
	flush_all(s);
	second = accept(listener, NULL, NULL);
	assert_string_equal(receive(second), "{1}\n");
	sinks_close(s);
	close(first);
	close(second);
	close(listener);
}

static void a_name_that_cannot_be_found_is_refused(void **state)
{
	struct output output;
	struct sinks *s;

	(void)state;
	assert_int_equal(output_parse(&output, "tcp:256.256.256.256:1", error, sizeof(error)), 0);
	assert_true(sinks_open(&s, &output, 1, error, sizeof(error)) < 0);
	assert_non_null(strstr(error, "tcp:256.256.256.256:1: "));
	output_fini(&output);
}

static void syslog_lines_carry_the_local_header(void **state)
{
	int fd = bind_unix(SOCK_DGRAM), day, hour, minute, second, pid, end = 0;
	struct output output = {
		.kind = OUTPUT_SYSLOG, .format = FORMAT_ECS, .target = (char *)"syslog",
		.path = address().sun_path, .queue_bytes = 65536,
	};
	char month[4], path[128];
	struct sinks *s;

	(void)state;
	strcpy(path, address().sun_path);
	output.path = path;
	assert_int_equal(sinks_open(&s, &output, 1, error, sizeof(error)), 0);
	write_line(s, "{1}\n");
	flush_all(s);
	assert_int_equal(sscanf(receive(fd), "<30>%3s %d %d:%d:%d nfwho[%d]: @cee: {1}%n", month,
				&day, &hour, &minute, &second, &pid, &end), 6);
	assert_true(end > 0);
	assert_int_equal(pid, getpid());
	sinks_close(s);
	close(fd);
}

static void say_dropped(struct sinks *s, char *said, size_t size)
{
	int ends[2], before = dup(STDERR_FILENO);
	ssize_t len;

	assert_int_equal(pipe2(ends, O_NONBLOCK), 0);
	dup2(ends[1], STDERR_FILENO);
	sinks_say_dropped(s);
	dup2(before, STDERR_FILENO);
	len = read(ends[0], said, size - 1);
	said[len > 0 ? len : 0] = '\0';
	close(before);
	close(ends[0]);
	close(ends[1]);
}

static void what_a_slow_reader_costs_is_said_once(void **state)
{
	int fd = bind_unix(SOCK_DGRAM);
	struct sinks *s = open_unix("unix");
	char line[1025], said[512];

	(void)state;
	memset(line, 'x', sizeof(line) - 2);
	strcpy(line + sizeof(line) - 2, "\n");
	say_dropped(s, said, sizeof(said));
	assert_string_equal(said, "");
	while (report(s).dropped < 10)
		write_line(s, line);
	say_dropped(s, said, sizeof(said));
	assert_non_null(strstr(said, "/socket: 10 records dropped since"));
	say_dropped(s, said, sizeof(said));
	assert_string_equal(said, "");
	sinks_close(s);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_datagram_is_one_line_without_its_end),
		cmocka_unit_test(datagrams_wait_for_a_slow_reader),
		cmocka_unit_test(what_a_slow_reader_costs_is_said_once),
		cmocka_unit_test(a_datagram_reader_may_come_late_and_come_back),
		cmocka_unit_test(a_stream_begins_again_with_a_whole_line),
		cmocka_unit_test(a_tcp_peer_gets_lines_and_may_go_and_come_back),
		cmocka_unit_test(an_attempt_under_way_does_not_keep_us_busy),
		cmocka_unit_test(a_name_that_cannot_be_found_is_refused),
		cmocka_unit_test(syslog_lines_carry_the_local_header),
	};

	return cmocka_run_group_tests_name("sink_socket", tests, make_directory,
					   remove_directory);
}
