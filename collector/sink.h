/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NFWHO_SINK_H
#define NFWHO_SINK_H

#include "option.h"

/*
 * The outputs: each with its own format and its own bounded queue. A slow or dead one drops and
 * counts for itself; it never delays the others or the reading of the kernel.
 */

struct sinks;

/* Before we become another user, who may not open the terminal or pipe that was given to us: then
 * it is opened now, for the next sinks_open(). Without that a terminal that is held would hold
 * us. */
void sink_stdout_prepare(void);

/* Opens all. On failure one line in `error`. The outputs are copied. The caller owns *out. A name
 * in tcp:HOST:PORT is looked up here, and only here: this may take seconds. */
int sinks_open(struct sinks **out, const struct output *outputs, unsigned int count, char *error,
	       size_t error_size);

/* Which formats are wanted: a bit 1 << enum output_format for each; record only those. */
unsigned int sinks_formats(const struct sinks *s);

/* Queues one line (newline included) for every sink of that format. Never blocks, never fails:
 * what does not fit is counted. FORMAT_PACKET: one whole frame instead of a line. */
void sinks_write(struct sinks *s, enum output_format format, const char *line, size_t len);

/* Counts one line as dropped for every sink of that format: there was none to be had. */
void sinks_lose(struct sinks *s, enum output_format format);

/* A line on stderr for each sink that has dropped something since the last call: one that is slow
 * drops without ever failing. */
void sinks_say_dropped(struct sinks *s);

/* Writes what is queued, as far as it goes without blocking. Once per drained batch, and when
 * sinks_fd() is readable. Returns 0, or -EPIPE when the reader of stdout went away. */
int sinks_flush(struct sinks *s);

/* Descriptor for epoll: readable when a sink can take more or has to reconnect. */
int sinks_fd(const struct sinks *s);

/* At exit: waits up to timeout_ms for queues to empty. */
void sinks_drain(struct sinks *s, unsigned int timeout_ms);

/* SIGHUP: reopens files. */
void sinks_reopen(struct sinks *s);

/* SIGHUP: other outputs. One whose target stays goes on as it is, with its queue and its counters,
 * under new limits and in a new format; others are opened and closed. All or nothing: on failure
 * one line in `error`. Confined as we are, stdout, tcp: and group= can be taken away but not
 * added. */
int sinks_change(struct sinks *s, const struct output *outputs, unsigned int count, char *error,
		 size_t error_size);

/* Fills at most max; returns how many there are. Targets live as long as the sinks. */
unsigned int sinks_report(const struct sinks *s, struct record_sink *report, unsigned int max);

void sinks_close(struct sinks *s);

#endif
