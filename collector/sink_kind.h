/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NFWHO_SINK_KIND_H
#define NFWHO_SINK_KIND_H

#include "option.h"
#include "output.h"
#include "queue.h"

#include <stdbool.h>
#include <stdint.h>

/* What the kinds of sink share: sink.c keeps queues, counters and waiting; a kind only knows how
 * to open and to write. */

struct sink {
	struct output output;
	const struct sink_kind *kind;
	struct queue queue;		/* whole messages, the first perhaps sent in part */
	size_t sent;			/* bytes of the first message that are out already */
	int fd;				/* -1: not open or connected */
	int epoll_fd;			/* of the set; borrowed */
	void *own;			/* the kind's */

	uint64_t written, dropped, queued;	/* messages */
	uint64_t bytes;			/* written */

	uint64_t retry_ns;		/* CLOCK_MONOTONIC of the next try; 0: any time */
	unsigned int retry_ms;		/* how long the next wait is */
	int error;			/* why it does not work at present; 0 it does */
	uint64_t dropped_before;	/* dropped when it stopped working */
	uint64_t dropped_said;		/* dropped when sinks_say_dropped() said so */
	bool blocked;			/* waits for EPOLLOUT */
	bool hangup;			/* the other side went away */
	bool may_block;			/* stdout: the descriptor is others' too, and blocks */
	bool hangs_up;			/* stdout: a terminal, whose going is EIO */
	bool terminal;			/* stdout: people look at it */
};

struct sink_kind {
	/* First opening. 0, or -errno after one line in `error`: only for what waiting will not
	 * mend. May leave fd at -1 when the other side is not there yet. */
	int (*open)(struct sink *s, char *error, size_t size);
	/* Writes what is queued; calls sink_sent() for what is out. Returns 0, -EAGAIN when the
	 * descriptor has to become writable first, or -errno when it failed and has to be tried
	 * again later. */
	int (*flush)(struct sink *s);
	/* SIGHUP. NULL: nothing to do. */
	void (*reopen)(struct sink *s);
	void (*close)(struct sink *s);
	unsigned int retry_ms, retry_max_ms;
};

struct sinks {
	unsigned int count;
	int epoll_fd, timer_fd;
	uint64_t timer_ns;		/* when the timer is set to; 0: not set */
	struct sink *sinks[OPTIONS_OUTPUTS_MAX];
};

extern const struct sink_kind sink_stdout, sink_file, sink_datagram, sink_stream;

/* Opens one. 0, or -errno after one line in `error`. NULL may be closed. */
int sink_open(struct sink **out, const struct output *output, int epoll_fd, char *error,
	      size_t error_size);
void sink_close(struct sink *s);

/* What `wanted` comes down to there. */
enum output_format sink_format(const struct sink *s, enum output_format wanted);

/* Length of the first message in `data`, 0 if it is not there as a whole. */
size_t sink_message(const struct sink *s, const char *data, size_t len);

/* Whole messages at the front of the queue that fit into max bytes; at least one if there is one.
 * Returns their bytes. */
size_t sink_messages(const struct sink *s, size_t max);

/* len bytes more of the queue are out. */
void sink_sent(struct sink *s, size_t len);

/* Gives the first message up and counts it. */
void sink_drop_first(struct sink *s);

/* Puts s->fd into the epoll set. 0 or -errno. */
int sink_watch(struct sink *s);

/* Closes s->fd, if it is open, so that the next message begins a new stream. */
void sink_disconnect(struct sink *s);

#endif
