// SPDX-License-Identifier: GPL-2.0-or-later
#include "sink.h"

#include "sink_kind.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static bool same_text(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

static struct sink *find(const struct sinks *s, const struct output *output)
{
	for (unsigned int i = 0; i < s->count; i++) {
		if (same_text(s->sinks[i]->output.target, output->target))
			return s->sinks[i];
	}
	return NULL;
}

/* NULL: it can be. A name of a group or a host is looked up by code that the C library loads, and
 * stdout is opened for writing by a path: neither can be done any more. */
static const char *why_not_added(const struct output *output)
{
	if (output->kind == OUTPUT_STDOUT || output->kind == OUTPUT_TCP)
		return "cannot be added while running";
	return output->group ? "group= cannot be added while running" : NULL;
}

static const char *why_not_changed(const struct output *before, const struct output *output)
{
	if (before->queue_bytes != output->queue_bytes)
		return "queue= cannot change while running";
	return same_text(before->group, output->group) ? NULL :
		"group= cannot change while running";
}

static int refuse(const struct output *output, const char *why, char *error, size_t error_size)
{
	snprintf(error, error_size, "%s: %s: restart for that", output->target, why);
	return -EINVAL;
}

/* The one that goes on, or a new one. */
static int take_or_open(const struct sinks *s, const struct output *output, struct sink **sink,
			char *error, size_t error_size)
{
	const char *why;
	int err;

	*sink = find(s, output);
	why = *sink ? why_not_changed(&(*sink)->output, output) : why_not_added(output);
	if (why)
		return refuse(output, why, error, error_size);
	if (*sink)
		return 0;
	err = sink_open(sink, output, s->epoll_fd, error, error_size);
	if (err == -EROFS)
		return refuse(output, "only the directories known at the start can be written",
			      error, error_size);
	return err;
}

static void adjust(struct sink *sink, const struct output *output)
{
	sink->output.format = sink_format(sink, output->format);
	sink->output.size_bytes = output->size_bytes;
	sink->output.keep = output->keep;
	sink->output.mode = output->mode;
}

static bool is_among(struct sink *const *sinks, unsigned int count, const struct sink *sink)
{
	for (unsigned int i = 0; i < count; i++) {
		if (sinks[i] == sink)
			return true;
	}
	return false;
}

int sinks_change(struct sinks *s, const struct output *outputs, unsigned int count, char *error,
		 size_t error_size)
{
	struct sink *changed[OPTIONS_OUTPUTS_MAX];
	unsigned int n;
	int err = 0;

	for (n = 0; n < count && !err; n++)
		err = take_or_open(s, &outputs[n], &changed[n], error, error_size);
	if (err) {
		for (n--; n-- > 0;) {
			if (!is_among(s->sinks, s->count, changed[n]))
				sink_close(changed[n]);
		}
		return err;
	}
	sinks_flush(s);
	for (unsigned int i = 0; i < s->count; i++) {
		if (!is_among(changed, count, s->sinks[i]))
			sink_close(s->sinks[i]);
	}
	for (unsigned int i = 0; i < count; i++)
		adjust(changed[i], &outputs[i]);
	memcpy(s->sinks, changed, count * sizeof(changed[0]));
	s->count = count;
	return 0;
}
