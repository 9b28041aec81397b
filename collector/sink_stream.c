// SPDX-License-Identifier: GPL-2.0-or-later
#include "log.h"
#include "sink_kind.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

/*
 * stream:PATH, ulogd:PATH and tcp:HOST:PORT. A connection that breaks in the middle of a message
 * sends that message again as a whole over the next one. What the other side's kernel had taken and
 * its program had not read is lost with it: a stream has no receipt.
 */

#define ADDRESSES_MAX 8

struct stream {
	struct sockaddr_storage addresses[ADDRESSES_MAX];
	socklen_t lens[ADDRESSES_MAX];
	unsigned int count, next;	/* next: to be tried */
	bool connecting;
};

static int look_up(struct stream *t, const struct output *output, char *error, size_t size)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV };
	struct addrinfo *list, *at;
	int ret;

	/* A number needs no resolver, which may be slow or away when a machine starts. */
	hints.ai_flags |= AI_NUMERICHOST;
	ret = getaddrinfo(output->host, output->port, &hints, &list);
	if (ret == EAI_NONAME) {
		hints.ai_flags = AI_NUMERICSERV | AI_ADDRCONFIG;
		ret = getaddrinfo(output->host, output->port, &hints, &list);
	}
	if (ret) {
		snprintf(error, size, "%s: %s; a number works without a name server",
			 output->target, gai_strerror(ret));
		return -EINVAL;
	}
	for (at = list; at && t->count < ADDRESSES_MAX; at = at->ai_next) {
		memcpy(&t->addresses[t->count], at->ai_addr, at->ai_addrlen);
		t->lens[t->count++] = at->ai_addrlen;
	}
	freeaddrinfo(list);
	return 0;
}

static void set_path(struct stream *t, const char *path)
{
	struct sockaddr_un *to = (struct sockaddr_un *)&t->addresses[0];

	to->sun_family = AF_UNIX;
	memcpy(to->sun_path, path, strlen(path));
	t->lens[0] = sizeof(*to);
	t->count = 1;
}

/* A peer that is gone without a word is noticed within half a minute while nothing is sent. What has
 * been sent is not given up (TCP_USER_TIMEOUT) while the kernel repeats it (tcp_retries2, a quarter of
 * an hour), or asks a peer that is there but does not read (for ever): it was counted as written. */
static void set_patience(int fd)
{
	static const struct { int level, name, value; } settings[] = {
		{ SOL_SOCKET, SO_KEEPALIVE, 1 },
		{ IPPROTO_TCP, TCP_KEEPIDLE, 15 },
		{ IPPROTO_TCP, TCP_KEEPINTVL, 5 },
		{ IPPROTO_TCP, TCP_KEEPCNT, 3 },
		{ IPPROTO_TCP, TCP_SYNCNT, 4 },	/* 31 s */
	};

	for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++)
		setsockopt(fd, settings[i].level, settings[i].name, &settings[i].value,
			   sizeof(settings[i].value));
}

static void lose(struct sink *s)
{
	struct stream *t = s->own;

	t->connecting = false;
	sink_disconnect(s);
}

/* 0: connected; -EAGAIN: under way. */
static int begin(struct sink *s)
{
	struct stream *t = s->own;
	unsigned int i = t->next;
	int ret;

	t->next = (t->next + 1) % t->count;
	s->fd = socket(t->addresses[i].ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (s->fd < 0)
		return -errno;
	if (t->addresses[i].ss_family != AF_UNIX)
		set_patience(s->fd);
	ret = connect(s->fd, (struct sockaddr *)&t->addresses[i], t->lens[i]) < 0 ? -errno : 0;
	t->connecting = ret == -EINPROGRESS;
	if (ret < 0 && !t->connecting) {
		lose(s);
		/* A listener whose backlog is full has no event to wait for. */
		return ret == -EAGAIN ? -ECONNREFUSED : ret;
	}
	ret = sink_watch(s);
	if (ret < 0)
		lose(s);
	return ret < 0 ? ret : t->connecting ? -EAGAIN : 0;
}

static int finish(struct sink *s)
{
	struct stream *t = s->own;
	struct pollfd wait = { .fd = s->fd, .events = POLLOUT };
	socklen_t len = sizeof(int);
	int error = 0;

	if (poll(&wait, 1, 0) == 0)
		return -EAGAIN;
	if (getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
		error = errno;
	t->connecting = false;
	s->hangup = false;
	if (!error)
		t->next = (t->next + t->count - 1) % t->count;
	else
		lose(s);
	return -error;
}

/* Nothing is expected from the other side but its end. */
static bool peer_closed(int fd)
{
	char ignored[4096];

	return recv(fd, ignored, sizeof(ignored), MSG_DONTWAIT) == 0;
}

/* So much is taken as a whole or not at all by a unix socket (unix_stream_sendmsg), and is a
 * multiple of a frame's size: ulogd2 must not find half a header. */
#define SEND_MAX 65536

static int send_queued(struct sink *s)
{
	size_t len;
	ssize_t n;

	while ((len = queue_len(&s->queue) - s->sent) > 0) {
		n = send(s->fd, queue_head(&s->queue) + s->sent, len < SEND_MAX ? len : SEND_MAX,
			 MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n < 0)
			return -errno;
		sink_sent(s, (size_t)n);
	}
	return 0;
}

static int flush_stream(struct sink *s)
{
	struct stream *t = s->own;
	int ret = 0;

	if (s->fd >= 0 && !t->connecting && (s->hangup || peer_closed(s->fd)))
		lose(s);
	if (s->fd < 0)
		ret = s->queued ? begin(s) : 0;
	else if (t->connecting)
		ret = finish(s);
	if (ret == 0 && s->fd >= 0)
		ret = send_queued(s);
	if (ret < 0 && ret != -EAGAIN)
		lose(s);
	return ret;
}

static int open_stream(struct sink *s, char *error, size_t size)
{
	struct stream *t = calloc(1, sizeof(*t));
	int ret;

	if (!t) {
		snprintf(error, size, "out of memory");
		return -ENOMEM;
	}
	s->own = t;
	if (s->output.kind == OUTPUT_TCP) {
		ret = look_up(t, &s->output, error, size);
		if (ret < 0)
			return ret;
	} else {
		set_path(t, s->output.path);
	}
	ret = begin(s);
	if (ret < 0 && ret != -EAGAIN)
		log_warning("%s: %s; tried again, with pauses of up to 5 s", s->output.target,
			    strerror(-ret));
	return 0;
}

static void close_stream(struct sink *s)
{
	sink_disconnect(s);
	free(s->own);
}

const struct sink_kind sink_stream = {
	.open = open_stream,
	.flush = flush_stream,
	.close = close_stream,
	.retry_ms = 100,
	.retry_max_ms = 5000,
};
