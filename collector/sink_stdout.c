// SPDX-License-Identifier: GPL-2.0-or-later
#include "sink.h"
#include "sink_kind.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* A description of our own; -1: there is none. */
static int prepared = -1;

static bool is_shared_and_blocks(mode_t mode)
{
	return S_ISFIFO(mode) || S_ISCHR(mode);
}

static int open_own(void)
{
	return open("/proc/self/fd/1", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
}

void sink_stdout_prepare(void)
{
	struct stat st;

	if (prepared < 0 && fstat(STDOUT_FILENO, &st) == 0 && is_shared_and_blocks(st.st_mode))
		prepared = open_own();
}

/*
 * stdout belongs to others too: O_NONBLOCK on it would be seen by the user's shell and by every
 * program that writes to the same pipe. A pipe or terminal is opened once more through /proc, which
 * gives a file description of our own; a socket is written with MSG_DONTWAIT; a regular file never
 * blocks.
 */
static int open_stdout(struct sink *s, char *error, size_t size)
{
	struct stat st;

	if (fstat(STDOUT_FILENO, &st) < 0) {
		snprintf(error, size, "stdout: %s", strerror(errno));
		return -errno;
	}
	s->hangs_up = S_ISCHR(st.st_mode);
	if (is_shared_and_blocks(st.st_mode)) {
		s->fd = prepared >= 0 ? prepared : open_own();
		prepared = -1;
		if (s->fd < 0 && errno == ENXIO)
			return 0;	/* a pipe without a reader: flush says so */
	}
	if (s->fd < 0) {
		s->fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
		s->may_block = !S_ISREG(st.st_mode) && !S_ISSOCK(st.st_mode);
	}
	if (s->fd < 0) {
		snprintf(error, size, "stdout: %s", strerror(errno));
		return -errno;
	}
	sink_watch(s);	/* refused for a regular file, which needs none */
	return 0;
}

static ssize_t write_some(const struct sink *s, const char *data, size_t len)
{
	struct pollfd writable = { .fd = s->fd, .events = POLLOUT };
	ssize_t n;

	if (s->may_block) {
		if (poll(&writable, 1, 0) == 0) {
			errno = EAGAIN;
			return -1;
		}
		/* A pipe that can be written has room for as much: pipe(7). A terminal need not. */
		return write(s->fd, data, len < PIPE_BUF ? len : PIPE_BUF);
	}
	n = send(s->fd, data, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	return n < 0 && errno == ENOTSOCK ? write(s->fd, data, len) : n;
}

static int flush_stdout(struct sink *s)
{
	size_t len;
	ssize_t n;

	if (s->hangup || s->fd < 0)
		return -EPIPE;
	while ((len = queue_len(&s->queue) - s->sent) > 0) {
		n = write_some(s, queue_head(&s->queue) + s->sent, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return (errno == EIO && s->hangs_up) || errno == ECONNRESET ?
			       -EPIPE : -errno;
		sink_sent(s, (size_t)n);
	}
	return 0;
}

static void close_stdout(struct sink *s)
{
	sink_disconnect(s);
}

const struct sink_kind sink_stdout = {
	.open = open_stdout,
	.flush = flush_stdout,
	.close = close_stdout,
	.retry_ms = 1000,
	.retry_max_ms = 1000,
};
