// SPDX-License-Identifier: GPL-2.0-or-later
#include "sink.h"

#include "clock.h"
#include "log.h"
#include "sink_kind.h"

#include <endian.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

static const struct sink_kind *const kinds[] = {
	[OUTPUT_STDOUT] = &sink_stdout,
	[OUTPUT_FILE] = &sink_file,
	[OUTPUT_UNIX] = &sink_datagram,
	[OUTPUT_STREAM] = &sink_stream,
	[OUTPUT_TCP] = &sink_stream,
	[OUTPUT_SYSLOG] = &sink_datagram,
	[OUTPUT_ULOGD] = &sink_stream,
};

size_t sink_message(const struct sink *s, const char *data, size_t len)
{
	const char *newline;
	uint16_t size;

	if (s->output.kind == OUTPUT_ULOGD) {
		/* u32 signature, u16 size from itself to the end. */
		if (len < 6)
			return 0;
		memcpy(&size, data + 4, sizeof(size));
		return be16toh(size) + 4U <= len ? be16toh(size) + 4U : 0;
	}
	newline = memchr(data, '\n', len);
	return newline ? (size_t)(newline - data) + 1 : 0;
}

size_t sink_messages(const struct sink *s, size_t max)
{
	const char *data = queue_head(&s->queue);
	size_t len = queue_len(&s->queue), whole = 0, one;

	if (len <= max)
		return len;
	while ((one = sink_message(s, data + whole, len - whole)) && (!whole || whole + one <= max))
		whole += one;
	return whole;
}

void sink_sent(struct sink *s, size_t len)
{
	size_t one;

	s->sent += len;
	s->bytes += len;
	while (s->sent) {
		one = sink_message(s, queue_head(&s->queue), s->sent);
		if (!one)
			break;
		queue_pop(&s->queue, one);
		s->sent -= one;
		s->queued--;
		s->written++;
	}
}

void sink_drop_first(struct sink *s)
{
	queue_pop(&s->queue, sink_message(s, queue_head(&s->queue), queue_len(&s->queue)));
	s->sent = 0;
	s->queued--;
	s->dropped++;
}

/* Nobody writes to us. Whoever made our stdout may have said so already (systemd shuts the
 * journal's stream down that way), which there is no sign that its reader is gone. */
static uint32_t hangups(const struct sink *s)
{
	return s->output.kind == OUTPUT_STDOUT ? 0 : EPOLLRDHUP;
}

int sink_watch(struct sink *s)
{
	struct epoll_event event = { .events = hangups(s), .data.ptr = s };

	s->blocked = false;
	s->hangup = false;
	return epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, s->fd, &event) < 0 ? -errno : 0;
}

void sink_disconnect(struct sink *s)
{
	/* Of stdout there may be a copy of ours, with which the kernel would keep this one's events. */
	if (s->fd >= 0) {
		epoll_ctl(s->epoll_fd, EPOLL_CTL_DEL, s->fd, NULL);
		close(s->fd);
	}
	s->fd = -1;
	/* The other side has seen a part of this message, without its end. */
	s->bytes -= s->sent;
	s->sent = 0;
	s->blocked = false;
	s->hangup = false;
}

static void wait_writable(struct sink *s, bool wait)
{
	struct epoll_event event = { .events = hangups(s), .data.ptr = s };

	if (s->blocked == wait || s->fd < 0)
		return;
	if (wait)
		event.events |= EPOLLOUT;
	if (epoll_ctl(s->epoll_fd, EPOLL_CTL_MOD, s->fd, &event) == 0)
		s->blocked = wait;
}

static void failed(struct sink *s, int error)
{
	if (!s->error) {
		log_warning("%s: %s; trying again, up to %llu KiB may wait", s->output.target,
			    strerror(error), (unsigned long long)s->output.queue_bytes >> 10);
		s->dropped_before = s->dropped;
	}
	s->error = error;
	if (!s->retry_ms)
		s->retry_ms = s->kind->retry_ms;
	s->retry_ns = clock_ns(CLOCK_MONOTONIC) + (uint64_t)s->retry_ms * 1000000;
	s->retry_ms = s->retry_ms * 2 < s->kind->retry_max_ms ? s->retry_ms * 2 :
		s->kind->retry_max_ms;
}

static void works(struct sink *s)
{
	if (s->error)
		log_info("%s: works again; %llu records were dropped", s->output.target,
			 (unsigned long long)(s->dropped - s->dropped_before));
	s->error = 0;
	s->retry_ns = 0;
	s->retry_ms = 0;
}

static int flush_one(struct sink *s)
{
	uint64_t written = s->written;
	int ret;

	if (!s->queued && !s->hangup && !s->blocked)
		return 0;
	if (s->retry_ns && clock_ns(CLOCK_MONOTONIC) < s->retry_ns)
		return 0;
	ret = s->kind->flush(s);
	if (ret == 0 || s->written != written)
		works(s);
	if (s->output.kind == OUTPUT_STDOUT && ret == -EPIPE) {
		sink_disconnect(s);
		s->hangup = true;	/* for good */
		return ret;
	}
	if (ret < 0 && ret != -EAGAIN)
		failed(s, -ret);
	if (ret == -EAGAIN && s->fd >= 0)
		s->retry_ns = 0;	/* the descriptor tells, not the clock */
	wait_writable(s, ret == -EAGAIN);
	return 0;
}

static void collect_events(struct sinks *s)
{
	struct epoll_event events[16];
	uint64_t expirations;
	struct sink *sink;
	int n;

	n = epoll_wait(s->epoll_fd, events, 16, 0);
	for (int i = 0; i < n; i++) {
		sink = events[i].data.ptr;
		if (sink && events[i].events & (EPOLLHUP | EPOLLERR | EPOLLRDHUP))
			sink->hangup = true;
		if (!sink && read(s->timer_fd, &expirations, sizeof(expirations)) > 0)
			s->timer_ns = 0;
	}
}

/* Set only while something waits for a try: an idle collector has no timer here. */
static void set_timer(struct sinks *s)
{
	struct itimerspec at = { 0 };
	uint64_t next = 0;

	for (unsigned int i = 0; i < s->count; i++) {
		if (s->sinks[i]->queued && s->sinks[i]->retry_ns &&
		    (!next || s->sinks[i]->retry_ns < next))
			next = s->sinks[i]->retry_ns;
	}
	if (next == s->timer_ns)
		return;
	at.it_value.tv_sec = (time_t)(next / 1000000000);
	at.it_value.tv_nsec = (long)(next % 1000000000);
	if (timerfd_settime(s->timer_fd, TFD_TIMER_ABSTIME, &at, NULL) == 0)
		s->timer_ns = next;
}

int sinks_flush(struct sinks *s)
{
	int ret = 0;

	collect_events(s);
	for (unsigned int i = 0; i < s->count; i++) {
		if (flush_one(s->sinks[i]) == -EPIPE)
			ret = -EPIPE;
	}
	set_timer(s);
	return ret;
}

/* A burst larger than the queue: what can go out goes out before anything is dropped. */
static void queue_line(struct sink *s, const char *line, size_t len)
{
	bool queued = queue_push(&s->queue, line, len);

	if (!queued && !s->blocked && !s->error) {
		flush_one(s);
		queued = queue_push(&s->queue, line, len);
	}
	if (queued)
		s->queued++;
	else
		s->dropped++;
	/* Before the queue touches memory that it would give back: page faults cost more. */
	if (queue_len(&s->queue) >= QUEUE_KEPT_BYTES / 2 && !s->blocked && !s->error)
		flush_one(s);
}

void sinks_write(struct sinks *s, enum output_format format, const char *line, size_t len)
{
	for (unsigned int i = 0; i < s->count; i++) {
		struct sink *sink = s->sinks[i];

		if (sink->output.format == format)
			queue_line(sink, line, len);
	}
}

void sinks_lose(struct sinks *s, enum output_format format)
{
	for (unsigned int i = 0; i < s->count; i++)
		s->sinks[i]->dropped += s->sinks[i]->output.format == format;
}

void sinks_say_dropped(struct sinks *s)
{
	for (unsigned int i = 0; i < s->count; i++) {
		struct sink *sink = s->sinks[i];

		if (sink->dropped != sink->dropped_said)
			log_warning("%s: %llu records dropped since this was last said: it does not "
				    "take them as fast as they come", sink->output.target,
				    (unsigned long long)(sink->dropped - sink->dropped_said));
		sink->dropped_said = sink->dropped;
	}
}

enum output_format sink_format(const struct sink *s, enum output_format wanted)
{
	if (wanted == FORMAT_DEFAULT)
		wanted = s->terminal ? FORMAT_TEXT : FORMAT_ECS;
	return wanted == FORMAT_TEXT && s->terminal && !getenv("NO_COLOR") ? FORMAT_COLOUR :
									      wanted;
}

int sink_open(struct sink **out, const struct output *output, int epoll_fd, char *error,
	      size_t error_size)
{
	struct sink *s = calloc(1, sizeof(*s));
	int ret = s ? output_copy(&s->output, output) : -ENOMEM;

	if (ret == 0)
		ret = queue_init(&s->queue, output->queue_bytes);
	if (ret < 0) {
		snprintf(error, error_size, "%s: out of memory", output->target);
		sink_close(s);
		return ret;
	}
	s->fd = -1;
	s->epoll_fd = epoll_fd;
	s->kind = kinds[output->kind];
	/* Asked once, before we are confined: with which ioctl isatty(3) asks is the C library's
	 * affair. */
	s->terminal = output->kind == OUTPUT_STDOUT && isatty(STDOUT_FILENO);
	s->output.format = sink_format(s, output->format);
	ret = s->kind->open(s, error, error_size);
	if (ret < 0)
		sink_close(s);
	else
		*out = s;
	return ret;
}

void sink_close(struct sink *s)
{
	if (!s)
		return;
	if (s->queued || s->dropped)
		log_warning("%s: %llu records dropped, %llu never written", s->output.target,
			    (unsigned long long)s->dropped, (unsigned long long)s->queued);
	if (s->kind)
		s->kind->close(s);
	queue_fini(&s->queue);
	output_fini(&s->output);
	free(s);
}

static int open_waiting(struct sinks *s)
{
	struct epoll_event event = { .events = EPOLLIN };

	s->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	s->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	if (s->epoll_fd < 0 || s->timer_fd < 0 ||
	    epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, s->timer_fd, &event) < 0)
		return -errno;
	return 0;
}

int sinks_open(struct sinks **out, const struct output *outputs, unsigned int count, char *error,
	       size_t error_size)
{
	struct sinks *s = calloc(1, sizeof(*s));
	int ret;

	if (!s) {
		snprintf(error, error_size, "out of memory");
		return -ENOMEM;
	}
	ret = open_waiting(s);
	if (ret < 0)
		snprintf(error, error_size, "epoll, timerfd: %s", strerror(-ret));
	while (ret == 0 && s->count < count) {
		ret = sink_open(&s->sinks[s->count], &outputs[s->count], s->epoll_fd, error,
				error_size);
		s->count += ret == 0;
	}
	if (ret < 0) {
		sinks_close(s);
		return ret;
	}
	*out = s;
	return 0;
}

unsigned int sinks_formats(const struct sinks *s)
{
	unsigned int formats = 0;

	for (unsigned int i = 0; i < s->count; i++)
		formats |= 1U << s->sinks[i]->output.format;
	return formats;
}

int sinks_fd(const struct sinks *s)
{
	return s->epoll_fd;
}

/* For somebody who may yet take it. */
static bool anything_queued(const struct sinks *s)
{
	for (unsigned int i = 0; i < s->count; i++) {
		const struct sink *sink = s->sinks[i];

		if (sink->queued && !(sink->output.kind == OUTPUT_STDOUT && sink->hangup))
			return true;
	}
	return false;
}

void sinks_drain(struct sinks *s, unsigned int timeout_ms)
{
	uint64_t end = clock_ns(CLOCK_MONOTONIC) + (uint64_t)timeout_ms * 1000000, now;
	struct pollfd wait = { .fd = s->epoll_fd, .events = POLLIN };

	for (;;) {
		sinks_flush(s);
		if (!anything_queued(s))
			return;
		now = clock_ns(CLOCK_MONOTONIC);
		if (now >= end)
			return;
		poll(&wait, 1, (int)((end - now) / 1000000) + 1);
	}
}

void sinks_reopen(struct sinks *s)
{
	sinks_flush(s);
	for (unsigned int i = 0; i < s->count; i++) {
		if (s->sinks[i]->kind->reopen)
			s->sinks[i]->kind->reopen(s->sinks[i]);
	}
}

unsigned int sinks_report(const struct sinks *s, struct record_sink *report, unsigned int max)
{
	for (unsigned int i = 0; i < s->count && i < max; i++) {
		const struct sink *sink = s->sinks[i];

		report[i] = (struct record_sink){
			.target = sink->output.target,
			.written = sink->written,
			.dropped = sink->dropped,
			.queued = sink->queued,
			.bytes = sink->bytes,
		};
	}
	return s->count;
}

void sinks_close(struct sinks *s)
{
	if (!s)
		return;
	while (s->count)
		sink_close(s->sinks[--s->count]);
	if (s->timer_fd >= 0)
		close(s->timer_fd);
	if (s->epoll_fd >= 0)
		close(s->epoll_fd);
	free(s);
}
