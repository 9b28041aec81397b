// SPDX-License-Identifier: GPL-2.0-or-later
#include "option.h"

#include "setting.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CONFIG_SIZE_USUAL (16 << 10)
#define CONFIG_SIZE_MAX (1 << 20)

int options_init(struct options *options)
{
	char why[SETTING_WHY_SIZE];
	int ret;

	*options = (struct options){ 0 };
	for (unsigned int i = 0; i < setting_count; i++) {
		/* A preset output would stand beside those that are asked for. */
		if (!settings[i].set || !settings[i].preset || settings[i].repeats)
			continue;
		ret = settings[i].set(&settings[i], options, settings[i].preset, why, sizeof(why));
		if (ret < 0)
			return ret;
	}
	return 0;
}

void options_free(struct options *options)
{
	for (unsigned int i = 0; i < setting_count; i++) {
		if (settings[i].forget)
			settings[i].forget(&settings[i], options);
	}
	while (options->label_count) {
		options->label_count--;
		free((char *)options->labels[options->label_count].key);
		free((char *)options->labels[options->label_count].value);
	}
	while (options->tag_count)
		free((char *)options->tags[--options->tag_count]);
	free(options->metrics);
	free(options->user);
	options->metrics = options->user = NULL;
}

/* One line, its end replaced by NUL. The caller has seen that it holds no other NUL. */
static int parse_line(struct options *options, char *line, const char *name, unsigned int number,
		      char *error, size_t error_size)
{
	char why[SETTING_WHY_SIZE], nearest[64];
	char *value, *end, *key = line + strspn(line, " \t\r");
	const struct setting *setting;
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
	setting = setting_find(key);
	if (!setting || !setting->set) {
		setting_suggest(key, nearest, sizeof(nearest));
		snprintf(error, error_size, "%s:%u: \"%.80s\" is not the name of an option%s", name,
			 number, key, setting ? " for a file" : nearest);
		return -EINVAL;
	}
	ret = setting->set(setting, options, value, why, sizeof(why));
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

/* Up to one byte more than a configuration may have. Returns 0 or -errno; *text is the caller's. */
static int read_text(int fd, char **text, size_t *len)
{
	size_t size = CONFIG_SIZE_USUAL;
	char *more;
	ssize_t n;

	*text = NULL;
	for (*len = 0; *len <= CONFIG_SIZE_MAX; *len += (size_t)n) {
		if (!*text || *len == size) {
			size = *text ? 2 * size : size;
			more = realloc(*text, size);
			if (!more)
				return -ENOMEM;
			*text = more;
		}
		n = read(fd, *text + *len, size - *len);
		if (n <= 0)
			return n ? -errno : 0;
	}
	return 0;
}

/* must: named by the user, so that it has to be there. */
static int read_config(struct options *options, const char *name, bool must, char *error,
		       size_t error_size)
{
	int fd = open(name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY), ret;
	size_t len;
	char *text;

	if (fd < 0)
		return errno == ENOENT && !must ? 0 :
			refuse_file(name, strerror(errno), error, error_size);
	ret = read_text(fd, &text, &len);
	if (ret && ret != -ENOMEM)
		ret = refuse_file(name, strerror(-ret), error, error_size);
	else if (len > CONFIG_SIZE_MAX)
		ret = refuse_file(name, "larger than 1 MiB: not a configuration", error,
				  error_size);
	else if (!ret)
		ret = options_parse(options, text, len, name, error, error_size);
	free(text);
	close(fd);
	return ret;
}

enum { SHORT_HELP = 'h', SHORT_VERSION = 'V', LONG_FIRST = 256 };

static void make_longs(struct option longs[static SETTINGS_MAX + 3])
{
	unsigned int i;

	for (i = 0; i < setting_count; i++)
		longs[i] = (struct option){ settings[i].name, required_argument, NULL,
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
	setting_suggest(name, nearest, sizeof(nearest));
	snprintf(error, error_size, "\"%.80s\" is not an option%s", text,
		 *nearest ? nearest : "; --help lists them");
	return -EINVAL;
}

/* Goes over the command line. With options NULL only finds --config, --help and --version. */
static int read_arguments(struct options *options, int argc, char **argv, const char **config,
			  char *error, size_t error_size)
{
	struct option longs[SETTINGS_MAX + 3];
	const struct setting *setting;
	bool begun[SETTINGS_MAX] = { false };
	char why[SETTING_WHY_SIZE];
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
		setting = &settings[found - LONG_FIRST];
		if (!setting->set)
			*config = optarg;
		if (!setting->set || !options)
			continue;
		if (setting->forget && !begun[setting - settings])
			setting->forget(setting, options);
		begun[setting - settings] = true;
		ret = setting->set(setting, options, optarg, why, sizeof(why));
		if (ret == -EINVAL)
			snprintf(error, error_size, "--%s: %s", setting->name, why);
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
	const struct setting *output;
	char why[SETTING_WHY_SIZE];
	int ret;

	ret = options_init(options);
	if (ret < 0)
		return ret;
	options->argc = argc;
	options->argv = argv;
	ret = read_arguments(NULL, argc, argv, &config, error, error_size);
	if (ret != OPTION_RUN)
		return ret;
	ret = read_config(options, config ? config : OPTIONS_CONFIG, config, error, error_size);
	if (ret < 0)
		return ret;
	ret = read_arguments(options, argc, argv, &config, error, error_size);
	if (ret < 0 || options->output_count)
		return ret;
	output = setting_find("output");
	ret = output->set(output, options, output->preset, why, sizeof(why));
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

	for (unsigned int i = 0; i < setting_count; i++) {
		snprintf(head, sizeof(head), "  --%s %s", settings[i].name, settings[i].argument);
		snprintf(text, sizeof(text), "%s%s%s%s", settings[i].help,
			 settings[i].preset ? " [" : "",
			 settings[i].preset ? settings[i].preset : "",
			 settings[i].preset ? "]" : "");
		printf("%-26s%s", head, strlen(head) > 25 ? "\n" : "");
		printf("%*s", strlen(head) > 25 ? 26 : 0, "");
		print_wrapped(text, 26);
	}
}

bool option_info(unsigned int index, struct option_info *info)
{
	if (index >= setting_count)
		return false;
	*info = (struct option_info){ settings[index].name, settings[index].argument,
				      settings[index].preset, settings[index].set,
				      settings[index].fixed };
	return true;
}
