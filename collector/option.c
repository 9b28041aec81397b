// SPDX-License-Identifier: GPL-2.0-or-later
#include "option.h"

#include "log.h"
#include "value.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WHY_SIZE 384
#define CONFIG_SIZE_MAX (1 << 20)

struct rule;
typedef int set_value(const struct rule *rule, struct options *options, const char *value,
		      char *why, size_t size);

static set_value set_flag, set_choice, set_bits, set_u16, set_u32, set_bytes;
static set_value set_events, set_output, set_label, set_user;

struct rule {
	const char *name, *argument, *preset, *help;
	set_value *set;		/* NULL: the command line only */
	size_t at;		/* where in struct options */
	uint64_t min, max;
	const struct value_word *words;
};

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

static const struct rule rules[] = {
	{ "config", "FILE", OPTIONS_CONFIG, "configuration: a line `name = value` for each option" },
	{ "output", "TARGET[,KEY=VALUE]...", "stdout",
	  "where records go, repeatable: stdout, file:PATH, unix:PATH, stream:PATH, tcp:HOST:PORT, "
	  "syslog, ulogd:PATH; keys: format=ecs|ulogd|text, queue=32M, and for files size=100M, "
	  "keep=10, mode=0640, group=NAME", set_output },
	{ "group", "N", "617", "NFLOG group", set_u16, AT(group), 0, UINT16_MAX },
	{ "ruleset", "auto|owned|static|none", "auto",
	  "whose rules log: our own while we run, the static ones, or somebody else's",
	  set_choice, AT(ruleset), .words = ruleset_modes },
	{ "hooks", "HOOK,...", "output",
	  "hooks of our rules: output, forward, prerouting, input, postrouting",
	  set_bits, AT(hooks), .words = hooks },
	{ "protocols", "PROTOCOL,...", "tcp", "protocols of our rules: tcp, udp, sctp, icmp",
	  set_bits, AT(protocols), .words = protocols },
	{ "loopback", "yes|no", "no", "log connections of this host to itself too",
	  set_flag, AT(loopback), .words = yes_no },
	{ "rule-limit", "N", "0",
	  "packets per second that each rule logs; what is over is only counted; 0: no limit",
	  set_u32, AT(rule_limit), 0, 10000000 },
	{ "events", "start,end", "start,end", "which records of a connection are written",
	  set_events, .words = events },
	{ "rate", "N", "100", "records per second and owner; 0: no limit",
	  set_u32, AT(rate), 0, 1000000 },
	{ "burst", "N", "1000", "records an owner may have at once",
	  set_u32, AT(burst), 1, 10000000 },
	{ "rate-total", "N", "5000", "records per second of all owners; 0: no limit",
	  set_u32, AT(rate_total), 0, 10000000 },
	{ "summary-interval", "SECONDS", "10", "how often the rate limit says what it held back",
	  set_u32, AT(summary_interval_s), 1, 86400 },
	{ "ledger-interval", "SECONDS", "60", "how often the ledger is written",
	  set_u32, AT(ledger_interval_s), 1, 86400 },
	{ "trace", "auto|on|off", "auto",
	  "read the kernel's socket trace; on: do not start without it",
	  set_choice, AT(trace), .words = choices },
	{ "trace-buffer", "SIZE", "2M", "trace memory for each CPU",
	  set_bytes, AT(trace_buffer_bytes), 8 << 10, 1 << 30 },
	{ "lookup", "auto|diag|proc", "auto", "how sockets are looked up: sock_diag or /proc/net",
	  set_choice, AT(lookup), .words = lookups },
	{ "conntrack", "yes|no", "yes", "use conntrack: NAT, bytes and what became of a connection",
	  set_flag, AT(conntrack), .words = yes_no },
	{ "sysctl", "yes|no", "yes", "switch conntrack accounting and timestamps on while running",
	  set_flag, AT(sysctl), .words = yes_no },
	{ "flows", "N", "131072", "connections followed at once",
	  set_u32, AT(max_flows), 1024, 1 << 24 },
	{ "processes", "N", "16384", "processes remembered, living and dead",
	  set_u32, AT(max_processes), 256, 1 << 22 },
	{ "command-line", "redact|full|program|none", "redact",
	  "what is written of a command line; redact: all but values that look secret",
	  set_choice, AT(command_line), .words = command_lines },
	{ "label", "KEY=VALUE", NULL, "put into every record, repeatable", set_label },
	{ "user", "NAME", NULL, "become this user once everything is open", set_user },
	{ "final", "yes|no", "no", "at exit write the connections that are still open",
	  set_flag, AT(final), .words = yes_no },
	{ "log-level", "error|warning|info|debug", "info", "diagnostics on stderr",
	  set_choice, AT(log_level), .words = log_levels },
};

#define RULES (sizeof(rules) / sizeof(rules[0]))

static void *place(const struct rule *rule, struct options *options)
{
	return (char *)options + rule->at;
}

static int set_flag(const struct rule *rule, struct options *options, const char *value, char *why,
		    size_t size)
{
	uint32_t flag;
	int ret = value_word(value, rule->words, &flag, why, size);

	if (ret == 0)
		*(bool *)place(rule, options) = flag;
	return ret;
}

static_assert(sizeof(enum choice) == sizeof(uint32_t), "set_choice() writes enums");

static int set_choice(const struct rule *rule, struct options *options, const char *value,
		      char *why, size_t size)
{
	return value_word(value, rule->words, place(rule, options), why, size);
}

static int set_bits(const struct rule *rule, struct options *options, const char *value, char *why,
		    size_t size)
{
	return value_words(value, rule->words, place(rule, options), why, size);
}

static int set_u16(const struct rule *rule, struct options *options, const char *value, char *why,
		   size_t size)
{
	uint64_t number;
	int ret = value_number(value, rule->min, rule->max, &number, why, size);

	if (ret == 0)
		*(uint16_t *)place(rule, options) = (uint16_t)number;
	return ret;
}

static int set_u32(const struct rule *rule, struct options *options, const char *value, char *why,
		   size_t size)
{
	uint64_t number;
	int ret = value_number(value, rule->min, rule->max, &number, why, size);

	if (ret == 0)
		*(uint32_t *)place(rule, options) = (uint32_t)number;
	return ret;
}

static int set_bytes(const struct rule *rule, struct options *options, const char *value,
		     char *why, size_t size)
{
	uint64_t bytes;
	int ret = value_size(value, rule->min, rule->max, &bytes, why, size);

	if (ret == 0)
		*(uint32_t *)place(rule, options) = (uint32_t)bytes;
	return ret;
}

static int set_events(const struct rule *rule, struct options *options, const char *value,
		      char *why, size_t size)
{
	uint32_t bits;
	int ret = value_words(value, rule->words, &bits, why, size);

	if (ret < 0)
		return ret;
	options->events_start = bits & EVENTS_START;
	options->events_end = bits & EVENTS_END;
	return 0;
}

static int set_output(const struct rule *rule, struct options *options, const char *value,
		      char *why, size_t size)
{
	struct output *output = &options->outputs[options->output_count];
	int ret;

	(void)rule;
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

static int set_label(const struct rule *rule, struct options *options, const char *value, char *why,
		     size_t size)
{
	const char *equals = strchr(value, '=');
	size_t len = equals ? (size_t)(equals - value) : 0;
	unsigned int i;
	char *key, *text;

	(void)rule;
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

static int set_user(const struct rule *rule, struct options *options, const char *value, char *why,
		    size_t size)
{
	char *name;

	(void)rule;
	if (!*value) {
		snprintf(why, size, "\"\" is not the name of a user");
		return -EINVAL;
	}
	name = strdup(value);
	if (!name)
		return -ENOMEM;
	free(options->user);
	options->user = name;
	return 0;
}

static void forget_outputs(struct options *options)
{
	while (options->output_count)
		output_fini(&options->outputs[--options->output_count]);
}

int options_init(struct options *options)
{
	char why[WHY_SIZE];
	int ret;

	*options = (struct options){ 0 };
	for (size_t i = 0; i < RULES; i++) {
		/* A preset output would stand beside those that are asked for. */
		if (!rules[i].set || !rules[i].preset || rules[i].set == set_output)
			continue;
		ret = rules[i].set(&rules[i], options, rules[i].preset, why, sizeof(why));
		if (ret < 0)
			return ret;
	}
	return 0;
}

void options_free(struct options *options)
{
	forget_outputs(options);
	while (options->label_count) {
		options->label_count--;
		free((char *)options->labels[options->label_count].key);
		free((char *)options->labels[options->label_count].value);
	}
	free(options->user);
	options->user = NULL;
}

static const struct rule *find_rule(const char *name)
{
	for (size_t i = 0; i < RULES; i++) {
		if (strcmp(rules[i].name, name) == 0)
			return &rules[i];
	}
	return NULL;
}

/* " (did you mean ...?)", or nothing if no name is near. */
static void suggest(const char *name, char *text, size_t size)
{
	unsigned int distance, best = 3;

	text[0] = '\0';
	for (size_t i = 0; i < RULES; i++) {
		distance = value_distance(name, rules[i].name);
		if (distance >= best)
			continue;
		best = distance;
		snprintf(text, size, " (did you mean \"%s\"?)", rules[i].name);
	}
}

/* One line, its end replaced by NUL. The caller has seen that it holds no other NUL. */
static int parse_line(struct options *options, char *line, const char *name, unsigned int number,
		      char *error, size_t error_size)
{
	char why[WHY_SIZE], nearest[64];
	char *value, *end, *key = line + strspn(line, " \t\r");
	const struct rule *rule;
	int ret;

	for (end = key; *end && !(*end == '#' && (end == key || isblank((unsigned char)end[-1])));)
		end++;
	while (end > key && strchr(" \t\r", end[-1]))
		end--;
	*end = '\0';
	if (!*key)
		return 0;
	value = strchr(key, '=');
	if (!value) {
		snprintf(error, error_size, "%s:%u: \"%.80s\" is not `name = value`", name, number,
			 key);
		return -EINVAL;
	}
	for (end = value++; end > key && strchr(" \t", end[-1]);)
		end--;
	*end = '\0';
	value += strspn(value, " \t");
	rule = find_rule(key);
	if (!rule || !rule->set) {
		suggest(key, nearest, sizeof(nearest));
		snprintf(error, error_size, "%s:%u: \"%.80s\" is not the name of an option%s", name,
			 number, key, rule ? " for a file" : nearest);
		return -EINVAL;
	}
	ret = rule->set(rule, options, value, why, sizeof(why));
	if (ret == -EINVAL)
		snprintf(error, error_size, "%s:%u: %s: %s", name, number, key, why);
	return ret;
}

int options_parse(struct options *options, const char *text, size_t len, const char *name,
		  char *error, size_t error_size)
{
	const char *end = text + len, *next;
	unsigned int number = 0;
	char *line;
	int ret = 0;

	for (; text < end && ret == 0; text = next + 1) {
		number++;
		next = memchr(text, '\n', (size_t)(end - text));
		if (!next)
			next = end;
		if (memchr(text, '\0', (size_t)(next - text))) {
			snprintf(error, error_size, "%s:%u: a zero byte: this is not a text file",
				 name, number);
			return -EINVAL;
		}
		line = strndup(text, (size_t)(next - text));
		if (!line)
			return -ENOMEM;
		ret = parse_line(options, line, name, number, error, error_size);
		free(line);
	}
	return ret;
}

static int refuse_file(const char *name, const char *why, char *error, size_t error_size)
{
	snprintf(error, error_size, "%s: %s", name, why);
	return -EINVAL;
}

/* must: named by the user, so that it has to be there. */
static int read_config(struct options *options, const char *name, bool must, char *error,
		       size_t error_size)
{
	int fd = open(name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY), ret;
	size_t len = 0;
	ssize_t n = 0;
	char *text;

	if (fd < 0)
		return errno == ENOENT && !must ? 0 :
			refuse_file(name, strerror(errno), error, error_size);
	text = malloc(CONFIG_SIZE_MAX + 1);
	ret = -ENOMEM;
	if (!text)
		goto out;
	while (len <= CONFIG_SIZE_MAX && (n = read(fd, text + len, CONFIG_SIZE_MAX + 1 - len)) > 0)
		len += (size_t)n;
	if (n < 0)
		ret = refuse_file(name, strerror(errno), error, error_size);
	else if (len > CONFIG_SIZE_MAX)
		ret = refuse_file(name, "larger than 1 MiB: not a configuration", error,
				  error_size);
	else
		ret = options_parse(options, text, len, name, error, error_size);
out:
	free(text);
	close(fd);
	return ret;
}

enum { SHORT_HELP = 'h', SHORT_VERSION = 'V', LONG_FIRST = 256 };

static void make_longs(struct option longs[static RULES + 3])
{
	size_t i;

	for (i = 0; i < RULES; i++)
		longs[i] = (struct option){ rules[i].name, required_argument, NULL,
					    LONG_FIRST + (int)i };
	longs[i++] = (struct option){ "help", no_argument, NULL, SHORT_HELP };
	longs[i++] = (struct option){ "version", no_argument, NULL, SHORT_VERSION };
	longs[i] = (struct option){ NULL };
}

/* What getopt did not like: a letter, or the argument before the one it would read next. */
static int refuse_argument(int found, const char *text, char *error, size_t error_size)
{
	char nearest[64], name[32], letter[3] = { '-', (char)optopt };
	const char *word;

	if (found == ':') {
		snprintf(error, error_size, "%.80s: its value is missing", text);
		return -EINVAL;
	}
	/* --help=x leaves the letter of --help there. */
	if (optopt > 0 && optopt < LONG_FIRST && !strchr("hV", optopt))
		text = letter;
	word = text + strspn(text, "-");
	snprintf(name, sizeof(name), "%.*s", (int)strcspn(word, "="), word);
	suggest(name, nearest, sizeof(nearest));
	snprintf(error, error_size, "\"%.80s\" is not an option%s", text,
		 *nearest ? nearest : "; --help lists them");
	return -EINVAL;
}

/* Goes over the command line. With options NULL only finds --config, --help and --version. */
static int read_arguments(struct options *options, int argc, char **argv, const char **config,
			  char *error, size_t error_size)
{
	struct option longs[RULES + 3];
	const struct rule *rule;
	bool own_outputs = false;
	char why[WHY_SIZE];
	int found, ret;

	make_longs(longs);
	opterr = 0;
	optind = 0;
	while ((found = getopt_long(argc, argv, ":hV", longs, NULL)) != -1) {
		if (found == SHORT_HELP)
			return OPTION_HELP;
		if (found == SHORT_VERSION)
			return OPTION_VERSION;
		if (found < LONG_FIRST)
			return refuse_argument(found, argv[optind - 1], error, error_size);
		rule = &rules[found - LONG_FIRST];
		if (!rule->set)
			*config = optarg;
		if (!rule->set || !options)
			continue;
		if (rule->set == set_output && !own_outputs) {
			forget_outputs(options);
			own_outputs = true;
		}
		ret = rule->set(rule, options, optarg, why, sizeof(why));
		if (ret == -EINVAL)
			snprintf(error, error_size, "--%s: %s", rule->name, why);
		if (ret < 0)
			return ret;
	}
	if (optind < argc) {
		snprintf(error, error_size, "\"%.80s\" is left over: options begin with --",
			 argv[optind]);
		return -EINVAL;
	}
	return OPTION_RUN;
}

int options_read(struct options *options, int argc, char **argv, char *error, size_t error_size)
{
	const char *config = NULL;
	char why[WHY_SIZE];
	int ret;

	ret = options_init(options);
	if (ret < 0)
		return ret;
	ret = read_arguments(NULL, argc, argv, &config, error, error_size);
	if (ret != OPTION_RUN)
		return ret;
	ret = read_config(options, config ? config : OPTIONS_CONFIG, config, error, error_size);
	if (ret < 0)
		return ret;
	ret = read_arguments(options, argc, argv, &config, error, error_size);
	if (ret < 0 || options->output_count)
		return ret;
	ret = set_output(NULL, options, find_rule("output")->preset, why, sizeof(why));
	return ret < 0 ? ret : OPTION_RUN;
}

/* Words of `text` from column `column` on, in lines of 80. */
static void print_wrapped(const char *text, int column)
{
	int at = column, len;

	for (; *text; text += len + strspn(text + len, " ")) {
		len = (int)strcspn(text, " ");
		if (at > column && at + 1 + len > 80) {
			printf("\n%*s", column, "");
			at = column;
		}
		at += printf("%s%.*s", at > column ? " " : "", len, text);
	}
	putchar('\n');
}

void options_help(void)
{
	char head[64], text[512];

	for (size_t i = 0; i < RULES; i++) {
		snprintf(head, sizeof(head), "  --%s %s", rules[i].name, rules[i].argument);
		snprintf(text, sizeof(text), "%s%s%s%s", rules[i].help,
			 rules[i].preset ? " [" : "", rules[i].preset ? rules[i].preset : "",
			 rules[i].preset ? "]" : "");
		printf("%-26s%s", head, strlen(head) > 25 ? "\n" : "");
		printf("%*s", strlen(head) > 25 ? 26 : 0, "");
		print_wrapped(text, 26);
	}
}

bool option_info(unsigned int index, struct option_info *info)
{
	if (index >= RULES)
		return false;
	*info = (struct option_info){ rules[index].name, rules[index].argument,
				      rules[index].preset, rules[index].set };
	return true;
}
