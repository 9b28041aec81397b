// SPDX-License-Identifier: GPL-2.0-or-later
#include "setting.h"

#include "log.h"
#include "value.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static setting_set set_flag, set_choice, set_bits, set_u16, set_u32, set_bytes;
static setting_set set_events, set_filter, set_output, set_label, set_tag, set_text;
static void forget_filters(const struct setting *setting, struct options *options);
static void forget_outputs(const struct setting *setting, struct options *options);

#define AT(member) offsetof(struct options, member)

static const struct value_word yes_no[] = { { "yes", true }, { "no", false }, { NULL } };

static const struct value_word ruleset_modes[] = {
	{ "auto", RULESET_MODE_AUTO }, { "owned", RULESET_MODE_OWNED },
	{ "static", RULESET_MODE_STATIC }, { "none", RULESET_MODE_NONE }, { NULL },
};

static const struct value_word hooks[] = {
	{ "output", RULESET_OUTPUT }, { "forward", RULESET_FORWARD },
	{ "prerouting", RULESET_PREROUTING }, { "input", RULESET_INPUT },
	{ "postrouting", RULESET_POSTROUTING }, { NULL },
};

static const struct value_word protocols[] = {
	{ "tcp", RULESET_TCP }, { "udp", RULESET_UDP }, { "sctp", RULESET_SCTP },
	{ "icmp", RULESET_ICMP }, { NULL },
};

enum { EVENTS_START = 1, EVENTS_END = 2 };
static const struct value_word events[] = {
	{ "start", EVENTS_START }, { "end", EVENTS_END }, { NULL },
};

static const struct value_word choices[] = {
	{ "auto", CHOICE_AUTO }, { "on", CHOICE_ON }, { "off", CHOICE_OFF }, { NULL },
};

static const struct value_word lookups[] = {
	{ "auto", OWNER_LOOKUP_AUTO }, { "diag", OWNER_LOOKUP_DIAG },
	{ "proc", OWNER_LOOKUP_PROC }, { NULL },
};

static const struct value_word command_lines[] = {
	{ "redact", RECORD_COMMAND_REDACT }, { "full", RECORD_COMMAND_FULL },
	{ "program", RECORD_COMMAND_PROGRAM }, { "none", RECORD_COMMAND_NONE }, { NULL },
};

static const struct value_word log_levels[] = {
	{ "error", LEVEL_ERROR }, { "warning", LEVEL_WARNING }, { "info", LEVEL_INFO },
	{ "debug", LEVEL_DEBUG }, { NULL },
};

const struct setting settings[] = {
	{ "config", "FILE", OPTIONS_CONFIG,
	  "configuration: a line `name = value` for each option" },
	{ "output", "TARGET[,KEY=VALUE]...", "stdout",
	  "where records go, repeatable: stdout, file:PATH, unix:PATH, stream:PATH, tcp:HOST:PORT, "
	  "syslog, ulogd:PATH; keys: format=ecs|ulogd|text, queue=32M, and for files size=100M, "
	  "keep=10, mode=0640, group=NAME", set_output, .repeats = true, .forget = forget_outputs },
	{ "group", "N", "617", "NFLOG group", set_u16, AT(group), 0, UINT16_MAX, .fixed = true },
	{ "ruleset", "auto|owned|static|none", "auto",
	  "whose rules log: our own while we run, the static ones, or somebody else's",
	  set_choice, AT(ruleset), .words = ruleset_modes, .fixed = true },
	{ "hooks", "HOOK,...", "output",
	  "hooks of our rules: output, forward, prerouting, input, postrouting",
	  set_bits, AT(hooks), .words = hooks, .fixed = true },
	{ "protocols", "PROTOCOL,...", "tcp", "protocols of our rules: tcp, udp, sctp, icmp",
	  set_bits, AT(protocols), .words = protocols, .fixed = true },
	{ "loopback", "yes|no", "no", "log connections of this host to itself too",
	  set_flag, AT(loopback), .words = yes_no, .fixed = true },
	{ "rule-limit", "N", "0",
	  "packets per second that each rule logs; what is over is only counted; 0: no limit",
	  set_u32, AT(rule_limit), 0, 10000000, .fixed = true },
	{ "events", "start,end", "start,end", "which records of a connection are written",
	  set_events, .words = events },
	{ "only", "KEY=VALUE[,KEY=VALUE]...", NULL,
	  "record nothing but connections for which all of these hold, or those of another --only: "
	  "user=, program=, unit=, container=, net= and port= (the destination's), protocol=",
	  set_filter, .min = FILTER_ONLY, .repeats = true, .forget = forget_filters },
	{ "except", "KEY=VALUE[,KEY=VALUE]...", NULL,
	  "do not record connections for which all of these hold, repeatable; keys as of --only",
	  set_filter, .min = FILTER_EXCEPT, .repeats = true, .forget = forget_filters },
	{ "rate", "N", "100", "connections per second and owner; 0: no limit",
	  set_u32, AT(rate), 0, 1000000 },
	{ "burst", "N", "1000", "connections of an owner at once after a silence",
	  set_u32, AT(burst), 1, 10000000 },
	{ "rate-total", "N", "5000", "connections per second of all owners; 0: no limit",
	  set_u32, AT(rate_total), 0, 10000000 },
	{ "summary-interval", "SECONDS", "10", "how often the rate limit says what it held back",
	  set_u32, AT(summary_interval_s), 1, 86400 },
	{ "ledger-interval", "SECONDS", "60", "how often the ledger is written",
	  set_u32, AT(ledger_interval_s), 1, 86400 },
	{ "trace", "auto|on|off", "auto",
	  "read the kernel's socket trace; on: do not start without it",
	  set_choice, AT(trace), .words = choices, .fixed = true },
	{ "trace-buffer", "SIZE", "2M", "trace memory for each CPU",
	  set_bytes, AT(trace_buffer_bytes), 8 << 10, 64 << 20, .fixed = true },
	{ "receive-buffer", "SIZE", "32M",
	  "what the kernel may queue for us, of packets and of conntrack events each",
	  set_bytes, AT(receive_buffer_bytes), 64 << 10, 1 << 30, .fixed = true },
	{ "lookup", "auto|diag|proc", "auto", "how sockets are looked up: sock_diag or /proc/net",
	  set_choice, AT(lookup), .words = lookups, .fixed = true },
	{ "conntrack", "yes|no", "yes", "use conntrack: NAT, bytes and what became of a connection",
	  set_flag, AT(conntrack), .words = yes_no, .fixed = true },
	{ "sysctl", "yes|no", "yes", "switch conntrack accounting, timestamps, events on while running",
	  set_flag, AT(sysctl), .words = yes_no, .fixed = true },
	{ "flows", "N", "131072", "connections followed at once",
	  set_u32, AT(max_flows), 1024, 1 << 24, .fixed = true },
	{ "processes", "N", "16384", "processes remembered, living and dead",
	  set_u32, AT(max_processes), 256, 1 << 22, .fixed = true },
	{ "command-line", "redact|full|program|none", "redact",
	  "what is written of a command line; redact: all but values that look secret",
	  set_choice, AT(command_line), .words = command_lines },
	{ "label", "KEY=VALUE", NULL, "put into every record, repeatable", set_label,
	  .repeats = true },
	{ "tag", "TEXT", NULL, "put into every record's list of tags, repeatable", set_tag,
	  .repeats = true },
	{ "metrics", "FILE", NULL,
	  "figures for Prometheus, written at each ledger (node_exporter's textfile collector)",
	  set_text, AT(metrics), .fixed = true },
	{ "priority-boost", "N", "10",
	  "how far we put ourselves before others when the CPU is scarce (nice -N); 0: not at all",
	  set_u32, AT(priority_boost), 0, 20, .fixed = true },
	{ "user", "NAME", NULL, "become this user before outputs are opened", set_text,
	  AT(user), .fixed = true },
	{ "final", "yes|no", "no", "at exit write the connections that are still open",
	  set_flag, AT(final), .words = yes_no },
	{ "log-level", "error|warning|info|debug", "info", "diagnostics on stderr",
	  set_choice, AT(log_level), .words = log_levels },
};

const unsigned int setting_count = sizeof(settings) / sizeof(settings[0]);
static_assert(sizeof(settings) / sizeof(settings[0]) <= SETTINGS_MAX, "raise SETTINGS_MAX");

static void *place(const struct setting *setting, struct options *options)
{
	return (char *)options + setting->at;
}

static int set_flag(const struct setting *setting, struct options *options, const char *value,
		    char *why, size_t size)
{
	uint32_t flag;
	int ret = value_word(value, setting->words, &flag, why, size);

	if (ret == 0)
		*(bool *)place(setting, options) = flag;
	return ret;
}

static_assert(sizeof(enum choice) == sizeof(uint32_t), "set_choice() writes enums");

static int set_choice(const struct setting *setting, struct options *options, const char *value,
		      char *why, size_t size)
{
	return value_word(value, setting->words, place(setting, options), why, size);
}

static int set_bits(const struct setting *setting, struct options *options, const char *value,
		    char *why, size_t size)
{
	return value_words(value, setting->words, place(setting, options), why, size);
}

static int set_u16(const struct setting *setting, struct options *options, const char *value,
		   char *why, size_t size)
{
	uint64_t number;
	int ret = value_number(value, setting->min, setting->max, &number, why, size);

	if (ret == 0)
		*(uint16_t *)place(setting, options) = (uint16_t)number;
	return ret;
}

static int set_u32(const struct setting *setting, struct options *options, const char *value,
		   char *why, size_t size)
{
	uint64_t number;
	int ret = value_number(value, setting->min, setting->max, &number, why, size);

	if (ret == 0)
		*(uint32_t *)place(setting, options) = (uint32_t)number;
	return ret;
}

static int set_bytes(const struct setting *setting, struct options *options, const char *value,
		     char *why, size_t size)
{
	uint64_t bytes;
	int ret = value_size(value, setting->min, setting->max, &bytes, why, size);

	if (ret == 0)
		*(uint32_t *)place(setting, options) = (uint32_t)bytes;
	return ret;
}

static int set_events(const struct setting *setting, struct options *options, const char *value,
		      char *why, size_t size)
{
	uint32_t bits;
	int ret = value_words(value, setting->words, &bits, why, size);

	if (ret < 0)
		return ret;
	options->events_start = bits & EVENTS_START;
	options->events_end = bits & EVENTS_END;
	return 0;
}

static int set_filter(const struct setting *setting, struct options *options, const char *value,
		      char *why, size_t size)
{
	return filter_add(&options->filter, (enum filter_list)setting->min, value, why, size);
}

static void forget_filters(const struct setting *setting, struct options *options)
{
	filter_clear(&options->filter, (enum filter_list)setting->min);
}

static int set_output(const struct setting *setting, struct options *options, const char *value,
		      char *why, size_t size)
{
	struct output *output = &options->outputs[options->output_count];
	int ret;

	(void)setting;
	if (options->output_count == OPTIONS_OUTPUTS_MAX) {
		snprintf(why, size, "\"%.80s\" is one output too many: at most %d", value,
			 OPTIONS_OUTPUTS_MAX);
		return -EINVAL;
	}
	ret = output_parse(output, value, why, size);
	if (ret < 0)
		return ret;
	for (unsigned int i = 0; i < options->output_count; i++) {
		if (strcmp(options->outputs[i].target, output->target) != 0)
			continue;
		snprintf(why, size, "\"%.80s\" is given twice", output->target);
		output_fini(output);
		return -EINVAL;
	}
	options->output_count++;
	return 0;
}

static void forget_outputs(const struct setting *setting, struct options *options)
{
	(void)setting;
	while (options->output_count)
		output_fini(&options->outputs[--options->output_count]);
}

/* Keys become names of JSON fields: a dot would make another object of them. */
static bool is_label_key(const char *key, size_t len)
{
	if (!len || len > 64)
		return false;
	for (size_t i = 0; i < len; i++) {
		if (!isalnum((unsigned char)key[i]) && !strchr("_-", key[i]))
			return false;
	}
	return true;
}

static int set_label(const struct setting *setting, struct options *options, const char *value,
		     char *why, size_t size)
{
	const char *equals = strchr(value, '=');
	size_t len = equals ? (size_t)(equals - value) : 0;
	unsigned int i;
	char *key, *text;

	(void)setting;
	if (!is_label_key(value, len) || strlen(equals + 1) > 256) {
		snprintf(why, size, "\"%.80s\" is not KEY=VALUE with a key of letters, digits, "
			 "_ and - and a value of at most 256 bytes", value);
		return -EINVAL;
	}
	for (i = 0; i < options->label_count; i++) {
		if (strncmp(options->labels[i].key, value, len) == 0 &&
		    !options->labels[i].key[len])
			break;
	}
	if (i == OPTIONS_LABELS_MAX) {
		snprintf(why, size, "\"%.80s\" is one label too many: at most %d", value,
			 OPTIONS_LABELS_MAX);
		return -EINVAL;
	}
	key = strndup(value, len);
	text = strdup(equals + 1);
	if (!key || !text) {
		free(key);
		free(text);
		return -ENOMEM;
	}
	free((char *)options->labels[i].key);
	free((char *)options->labels[i].value);
	options->labels[i] = (struct record_label){ key, text };
	if (i == options->label_count)
		options->label_count++;
	return 0;
}

static int set_tag(const struct setting *setting, struct options *options, const char *value,
		   char *why, size_t size)
{
	char *tag;

	(void)setting;
	if (!*value || strlen(value) > 255) {
		snprintf(why, size, "\"%.80s\" is not a tag of 1 to 255 bytes", value);
		return -EINVAL;
	}
	for (unsigned int i = 0; i < options->tag_count; i++)
		if (strcmp(options->tags[i], value) == 0)
			return 0;
	if (options->tag_count == OPTIONS_TAGS_MAX) {
		snprintf(why, size, "\"%.80s\" is one tag too many: at most %d", value,
			 OPTIONS_TAGS_MAX);
		return -EINVAL;
	}
	tag = strdup(value);
	if (!tag)
		return -ENOMEM;
	options->tags[options->tag_count++] = tag;
	return 0;
}

static int set_text(const struct setting *setting, struct options *options, const char *value,
		    char *why, size_t size)
{
	char **text = place(setting, options), *copy;

	if (!*value) {
		snprintf(why, size, "\"\" is not a %s", setting->argument);
		return -EINVAL;
	}
	copy = strdup(value);
	if (!copy)
		return -ENOMEM;
	free(*text);
	*text = copy;
	return 0;
}

/* What it takes in struct options; 0: more than plain bytes. */
static size_t size_of(const struct setting *setting)
{
	if (setting->set == set_flag)
		return sizeof(bool);
	if (setting->set == set_u16)
		return sizeof(uint16_t);
	return setting->set == set_choice || setting->set == set_bits ||
	       setting->set == set_u32 || setting->set == set_bytes ? sizeof(uint32_t) : 0;
}

static bool keep_text(char **text, const char *before)
{
	if (*text == before || (*text && before && strcmp(*text, before) == 0))
		return false;
	free(*text);
	*text = before ? strdup(before) : NULL;
	return true;
}

bool setting_keep(const struct setting *setting, struct options *options,
		  const struct options *before)
{
	const void *from = (const char *)before + setting->at;
	size_t size = size_of(setting);

	if (setting->set == set_text)
		return keep_text(place(setting, options), *(char *const *)from);
	if (memcmp(place(setting, options), from, size) == 0)
		return false;
	memcpy(place(setting, options), from, size);
	return true;
}

const struct setting *setting_find(const char *name)
{
	for (unsigned int i = 0; i < setting_count; i++) {
		if (strcmp(settings[i].name, name) == 0)
			return &settings[i];
	}
	return NULL;
}

void setting_suggest(const char *name, char *text, size_t size)
{
	unsigned int distance, best = 3;

	text[0] = '\0';
	for (unsigned int i = 0; i < setting_count; i++) {
		distance = value_distance(name, settings[i].name);
		if (distance >= best)
			continue;
		best = distance;
		snprintf(text, size, " (did you mean \"%s\"?)", settings[i].name);
	}
}
