// SPDX-License-Identifier: GPL-2.0-or-later
#include "log.h"
#include "sink_kind.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

/* unix:PATH, one line without its newline in each datagram, and syslog's local socket. */

#define BATCH 64

static int connect_datagram(struct sink *s)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	int ret;

	memcpy(to.sun_path, s->output.path, strlen(s->output.path));
	s->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (s->fd < 0)
		return -errno;
	if (connect(s->fd, (struct sockaddr *)&to, sizeof(to)) < 0)
		ret = -errno;
	else
		ret = sink_watch(s);
	if (ret < 0)
		sink_disconnect(s);
	return ret;
}

static int open_datagram(struct sink *s, char *error, size_t size)
{
	int ret = connect_datagram(s);

	(void)error;
	(void)size;
	if (ret < 0)
		log_warning("%s: %s; tried again, with pauses of up to 5 s", s->output.target,
			    strerror(-ret));
	return 0;
}

/* RFC 3164 as a local daemon sends it, with the mark that says JSON follows. */
static size_t syslog_header(char *buf, size_t size)
{
	static const char months[12][4] = {
		"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
	};
	time_t now = time(NULL);
	struct tm tm;

	localtime_r(&now, &tm);
	return (size_t)snprintf(buf, size, "<%d>%s %2d %02d:%02d:%02d nfwho[%d]: @cee: ",
				LOG_DAEMON | LOG_INFO, months[tm.tm_mon], tm.tm_mday, tm.tm_hour,
				tm.tm_min, tm.tm_sec, (int)getpid());
}

/* Sends up to BATCH lines with one call. Returns how many, or -errno. */
static int send_batch(struct sink *s)
{
	struct mmsghdr messages[BATCH] = { 0 };
	struct iovec parts[BATCH][2];
	const char *data = queue_head(&s->queue);
	size_t left = queue_len(&s->queue), len, header_len = 0;
	unsigned int count;
	char header[80];
	int n;

	if (s->output.kind == OUTPUT_SYSLOG)
		header_len = syslog_header(header, sizeof(header));
	for (count = 0; count < BATCH && (len = sink_message(s, data, left)); count++) {
		parts[count][0] = (struct iovec){ header, header_len };
		parts[count][1] = (struct iovec){ (char *)data, len - 1 };
		messages[count].msg_hdr.msg_iov = header_len ? parts[count] : &parts[count][1];
		messages[count].msg_hdr.msg_iovlen = header_len ? 2 : 1;
		data += len;
		left -= len;
	}
	n = sendmmsg(s->fd, messages, count, MSG_DONTWAIT | MSG_NOSIGNAL);
	return n < 0 ? -errno : n;
}

static int flush_datagram(struct sink *s)
{
	int ret = 0;

	if (s->hangup)
		sink_disconnect(s);
	if (s->fd < 0)
		ret = connect_datagram(s);
	while (ret == 0 && queue_len(&s->queue)) {
		ret = send_batch(s);
		for (; ret > 0; ret--)
			sink_sent(s, sink_message(s, queue_head(&s->queue), queue_len(&s->queue)));
		if (ret == -EMSGSIZE) {
			sink_drop_first(s);
			ret = 0;
		}
	}
	if (ret < 0 && ret != -EAGAIN && ret != -ENOBUFS)
		sink_disconnect(s);
	return ret;
}

static void close_datagram(struct sink *s)
{
	sink_disconnect(s);
}

const struct sink_kind sink_datagram = {
	.open = open_datagram,
	.flush = flush_datagram,
	.close = close_datagram,
	.retry_ms = 100,
	.retry_max_ms = 5000,
};
