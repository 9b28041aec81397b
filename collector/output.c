// SPDX-License-Identifier: GPL-2.0-or-later
#include "output.h"
#include "comma.h"
#include "value.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#define FILE_SIZE_BYTES		(100ULL << 20)
#define FILE_KEEP		10
#define FILE_MODE		0640
#define QUEUE_BYTES		(32ULL << 20)

static const struct {
	const char *prefix;
	enum output_kind kind;
} kinds[] = {
	{ "file:", OUTPUT_FILE },
	{ "unix:", OUTPUT_UNIX },
	{ "stream:", OUTPUT_STREAM },
	{ "tcp:", OUTPUT_TCP },
	{ "ulogd:", OUTPUT_ULOGD },
};

static const struct value_word formats[] = {
	{ "ecs", FORMAT_ECS },
	{ "ulogd", FORMAT_ULOGD },
	{ "text", FORMAT_TEXT },
	{ NULL },
};

/* HOST:PORT or [ADDRESS]:PORT. */
static int parse_address(struct output *output, const char *text, char *why, size_t size)
{
	const char *colon = strrchr(text, ':'), *host = text;
	size_t len = colon ? (size_t)(colon - text) : 0;
	uint64_t port;

	if (len > 2 && host[0] == '[' && host[len - 1] == ']') {
		host++;
		len -= 2;
	} else if (memchr(host, ':', len)) {
		snprintf(why, size, "\"tcp:%.80s\": an IPv6 address is written "
			 "tcp:[2001:db8::1]:514", text);
		return -EINVAL;
	}
	if (!len || *host == '[') {
		snprintf(why, size, "\"tcp:%.80s\" is not tcp:HOST:PORT", text);
		return -EINVAL;
	}
	if (value_number(colon + 1, 1, 65535, &port, why, size) < 0)
		return -EINVAL;
	output->host = strndup(host, len);
	output->port = strdup(colon + 1);
	return output->host && output->port ? 0 : -ENOMEM;
}

static int parse_path(struct output *output, const char *text, char *why, size_t size)
{
	struct sockaddr_un sun;

	if (!*text) {
		snprintf(why, size, "\"%.80s\" names no path", output->target);
		return -EINVAL;
	}
	if (output->kind != OUTPUT_FILE && strlen(text) >= sizeof(sun.sun_path)) {
		snprintf(why, size, "\"%.80s...\": a socket's path has at most %zu bytes", text,
			 sizeof(sun.sun_path) - 1);
		return -EINVAL;
	}
	output->path = strdup(text);
	return output->path ? 0 : -ENOMEM;
}

static int parse_target(struct output *output, const char *text, char *why, size_t size)
{
	size_t len;

	output->target = strdup(text);
	if (!output->target)
		return -ENOMEM;
	if (strcmp(text, "stdout") == 0) {
		output->kind = OUTPUT_STDOUT;
		return 0;
	}
	if (strcmp(text, "syslog") == 0) {
		output->kind = OUTPUT_SYSLOG;
		output->path = strdup("/dev/log");
		return output->path ? 0 : -ENOMEM;
	}
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		len = strlen(kinds[i].prefix);
		if (strncmp(text, kinds[i].prefix, len) != 0)
			continue;
		output->kind = kinds[i].kind;
		if (output->kind == OUTPUT_TCP)
			return parse_address(output, text + len, why, size);
		return parse_path(output, text + len, why, size);
	}
	snprintf(why, size, "\"%.80s\" is none of stdout, file:PATH, unix:PATH, stream:PATH, "
		 "tcp:HOST:PORT, syslog, ulogd:PATH", text);
	return -EINVAL;
}

static int parse_format(struct output *output, const char *value, char *why, size_t size)
{
	uint32_t format;

	if (output->kind == OUTPUT_ULOGD) {
		snprintf(why, size, "ulogd:PATH sends packets and takes no format=%.80s; ulogd2's "
			 "JSON is format=ulogd with another target", value);
		return -EINVAL;
	}
	if (value_word(value, formats, &format, why, size) < 0)
		return -EINVAL;
	if (output->kind == OUTPUT_SYSLOG && format == FORMAT_TEXT) {
		snprintf(why, size, "syslog carries JSON: format=text is not for it, ecs or ulogd "
			 "are");
		return -EINVAL;
	}
	output->format = format;
	return 0;
}

static int parse_file_key(struct output *output, const char *key, const char *value, char *why,
			  size_t size)
{
	uint64_t number;

	if (output->kind != OUTPUT_FILE) {
		snprintf(why, size, "\"%s=%.80s\" is for file:PATH only", key, value);
		return -EINVAL;
	}
	if (strcmp(key, "size") == 0 && strcmp(value, "0") == 0) {
		output->size_bytes = 0;
		return 0;
	}
	if (strcmp(key, "size") == 0)
		return value_size(value, 64 << 10, 1ULL << 40, &output->size_bytes, why, size);
	if (strcmp(key, "mode") == 0)
		return value_mode(value, &output->mode, why, size);
	if (strcmp(key, "keep") == 0) {
		if (value_number(value, 0, 1000, &number, why, size) < 0)
			return -EINVAL;
		output->keep = (unsigned int)number;
		return 0;
	}
	free(output->group);
	output->group = strdup(value);
	return output->group ? 0 : -ENOMEM;
}

static int parse_key(struct output *output, char *part, char *why, size_t size)
{
	static const char *const file_keys[] = { "size", "keep", "mode", "group" };
	char *value = strchr(part, '=');

	if (value) {
		*value++ = '\0';
		if (strcmp(part, "format") == 0)
			return parse_format(output, value, why, size);
		if (strcmp(part, "queue") == 0)
			return value_size(value, 64 << 10, 1 << 30, &output->queue_bytes, why,
					  size);
		for (size_t i = 0; i < sizeof(file_keys) / sizeof(file_keys[0]); i++) {
			if (strcmp(part, file_keys[i]) == 0)
				return parse_file_key(output, part, value, why, size);
		}
	}
	snprintf(why, size, "\"%.80s\" is none of format=, queue=, size=, keep=, mode=, group= "
		 "(a comma in a path is written \"\\,\")", part);
	return -EINVAL;
}

int output_parse(struct output *output, const char *text, char *why, size_t size)
{
	char *copy = strdup(text), *rest = copy, *part;
	int ret;

	*output = (struct output){
		.size_bytes = FILE_SIZE_BYTES,
		.keep = FILE_KEEP,
		.mode = FILE_MODE,
		.queue_bytes = QUEUE_BYTES,
	};
	if (!copy)
		return -ENOMEM;
	ret = parse_target(output, comma_next(&rest), why, size);
	if (output->kind == OUTPUT_ULOGD)
		output->format = FORMAT_PACKET;
	while (ret == 0 && (part = comma_next(&rest)))
		ret = parse_key(output, part, why, size);
	free(copy);
	if (ret < 0)
		output_fini(output);
	return ret;
}

static int copy_text(char **to, const char *from)
{
	*to = from ? strdup(from) : NULL;
	return from && !*to ? -ENOMEM : 0;
}

int output_copy(struct output *to, const struct output *from)
{
	*to = *from;
	to->target = to->path = to->host = to->port = to->group = NULL;
	if (copy_text(&to->target, from->target) < 0 || copy_text(&to->path, from->path) < 0 ||
	    copy_text(&to->host, from->host) < 0 || copy_text(&to->port, from->port) < 0 ||
	    copy_text(&to->group, from->group) < 0) {
		output_fini(to);
		return -ENOMEM;
	}
	return 0;
}

void output_fini(struct output *output)
{
	free(output->target);
	free(output->path);
	free(output->host);
	free(output->port);
	free(output->group);
	*output = (struct output){ 0 };
}
