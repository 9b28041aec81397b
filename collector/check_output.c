// SPDX-License-Identifier: GPL-2.0-or-later
#include "check.h"

#include "log.h"
#include "metrics.h"
#include "sink.h"
#include "ulogd.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <netinet/ip.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define PATIENCE_MS 2000
#define MESSAGE "test record of nfwho check, no connection"

static void timestamp(char *text, size_t size)
{
	struct timespec now;
	struct tm tm;
	size_t len;

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &tm);
	len = strftime(text, size, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(text + len, size - len, ".%06ldZ", now.tv_nsec / 1000);
}

/* One line with its newline, or NULL without memory. The caller frees it. */
static char *test_record(bool flat)
{
	cJSON *root = cJSON_CreateObject(), *event;
	char now[40], *text = NULL, *line = NULL;

	timestamp(now, sizeof(now));
	if (flat) {
		cJSON_AddStringToObject(root, "timestamp", now);
		cJSON_AddStringToObject(root, "oob.prefix", MESSAGE);
	} else {
		cJSON_AddStringToObject(root, "@timestamp", now);
		cJSON_AddStringToObject(root, "message", MESSAGE);
		event = cJSON_AddObjectToObject(root, "event");
		cJSON_AddStringToObject(event, "kind", "event");
		cJSON_AddStringToObject(event, "module", "nfwho");
		cJSON_AddStringToObject(event, "dataset", "nfwho.test");
		cJSON_AddStringToObject(event, "action", "test");
	}
	text = cJSON_PrintUnformatted(root);
	if (text && asprintf(&line, "%s\n", text) < 0)
		line = NULL;
	free(text);
	cJSON_Delete(root);
	return line;
}

static void write_packet(struct sinks *s)
{
	struct iphdr ip = { .version = 4, .ihl = 5, .ttl = 1, .protocol = IPPROTO_TCP };
	struct ulogd_packet packet = {
		.payload = &ip,
		.payload_len = sizeof(ip),
		.prefix = "nfwho check: test",
		.time_s = (uint32_t)time(NULL),
	};
	char frame[ULOGD_FRAME_MAX];
	int len = ulogd_frame(&packet, frame, sizeof(frame));

	if (len > 0)
		sinks_write(s, FORMAT_PACKET, frame, (size_t)len);
}

static void write_test(struct sinks *s, const struct output *output)
{
	enum output_format format = output->format == FORMAT_DEFAULT ? FORMAT_ECS : output->format;
	char *line;

	if (format == FORMAT_PACKET) {
		write_packet(s);
		return;
	}
	if (format == FORMAT_TEXT) {
		sinks_write(s, format, MESSAGE "\n", sizeof(MESSAGE));
		return;
	}
	line = test_record(format == FORMAT_ULOGD);
	if (line)
		sinks_write(s, format, line, strlen(line));
	free(line);
}

/* systemd makes that directory when the service starts. */
static bool is_of_the_service(const char *path)
{
	static const char directory[] = "/var/log/nfwho";

	return strncmp(path, directory, sizeof(directory) - 1) == 0 &&
	       path[sizeof(directory) - 1] == '/' && !strchr(path + sizeof(directory), '/') &&
	       access(directory, F_OK) < 0;
}

static void check_output(struct checklist *c, const struct output *output)
{
	struct record_sink report = { 0 };
	bool is_new = output->kind == OUTPUT_FILE && access(output->path, F_OK) < 0;
	struct output here = *output;
	struct sinks *s = NULL;
	char error[512];
	int err;

	here.size_bytes = 0;	/* whoever rotates makes the next file: that is run's */
	if (output->kind == OUTPUT_STDOUT) {
		checklist_say(c, VERDICT_WORKS, "output", "stdout: these very lines");
		return;
	}
	if (is_new && is_of_the_service(output->path)) {
		checklist_say(c, VERDICT_LESS, "output", "%s: for nfwho.service, which makes its "
			      "directory; `run` alone needs that made", output->target);
		return;
	}
	err = sinks_open(&s, &here, 1, error, sizeof(error));
	if (err == -EBUSY) {
		checklist_say(c, VERDICT_WORKS, "output", "%s: a running nfwho is writing it; no "
			      "test record sent", output->target);
		return;
	}
	if (err < 0) {
		checklist_say(c, VERDICT_NOT, "output", "%s", error);
		return;
	}
	write_test(s, output);
	sinks_drain(s, PATIENCE_MS);
	sinks_report(s, &report, 1);
	if (report.written)
		checklist_say(c, VERDICT_WORKS, "output", "%s took a test record of %llu bytes",
			      output->target, (unsigned long long)report.bytes);
	else
		checklist_say(c, VERDICT_LESS, "output", "%s did not take a test record within %d "
			      "s: %s", output->target, PATIENCE_MS / 1000,
			      output->path ? "is its reader running?" : "is it there?");
	/* Not root's, before the service's user comes to write it; while nobody else can have
	 * opened it. */
	if (is_new)
		unlink(output->path);
	sinks_close(s);
}

static void check_metrics(struct checklist *c, const char *path)
{
	struct metrics m;
	int err = metrics_open(&m, path, 0);

	metrics_close(&m);
	if (err)
		checklist_say(c, VERDICT_NOT, "metrics", "%s: its directory: %s", path,
			      strerror(-err));
	else
		checklist_say(c, VERDICT_WORKS, "metrics", "%s: its directory is there", path);
}

void check_outputs(struct checklist *c, const struct options *options)
{
	/* What the outputs say of themselves comes out here in lines of our own. */
	log_set_level(LEVEL_ERROR);
	for (unsigned int i = 0; i < options->output_count; i++)
		check_output(c, &options->outputs[i]);
	if (options->metrics)
		check_metrics(c, options->metrics);
	log_set_level((enum log_level)options->log_level);
}
