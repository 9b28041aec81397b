// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A configuration file of any bytes: read or refused with one line, nothing leaked. If a line "--"
 * stands in it, arguments follow, one in a line, and the file is read once more as /etc/nfwho.conf
 * (and as any other that they may name) before them.
 */
#include "files.h"
#include "fuzz.h"
#include "option.h"
#include "setting.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ARGUMENTS_MAX 16

static void check(const struct options *options, int ret, const char *error)
{
	assert(ret >= 0 || ret == -EINVAL || ret == -ENOMEM);
	assert(ret != -EINVAL || (*error && !strchr(error, '\n')));
	assert(options->output_count <= OPTIONS_OUTPUTS_MAX);
	assert(options->label_count <= OPTIONS_LABELS_MAX);
	assert(ret != OPTION_RUN || options->output_count > 0);
}

/* As a run does it that was begun with nothing but the defaults. */
static void keep_what_is_fixed(struct options *options)
{
	struct options begun;

	assert(options_init(&begun) == 0);
	for (unsigned int i = 0; i < setting_count; i++) {
		if (!settings[i].fixed)
			continue;
		setting_keep(&settings[i], options, &begun);
		assert(!setting_keep(&settings[i], options, &begun));
	}
	options_free(&begun);
}

/* How much of the input is the file; what is behind it, cut into arguments, in *text. */
static size_t split(const uint8_t *data, size_t size, char **text, char *argv[], int *argc)
{
	const uint8_t *mark = size ? memmem(data, size, "\n--\n", 4) : NULL;
	size_t len = mark ? (size_t)(mark - data) + 1 : size;
	const uint8_t *rest = mark ? mark + 4 : data + size;
	char *line;

	*text = strndup((const char *)rest, (size_t)(data + size - rest));
	assert(*text);
	*argc = 0;
	argv[(*argc)++] = (char *)"nfwho";
	for (line = strtok(*text, "\n"); line && *argc < ARGUMENTS_MAX; line = strtok(NULL, "\n"))
		argv[(*argc)++] = line;
	argv[*argc] = NULL;
	return len;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char error[512] = "", *text, *argv[ARGUMENTS_MAX + 1];
	struct options options;
	size_t len;
	int argc, ret;

	len = split(data, size, &text, argv, &argc);
	assert(options_init(&options) == 0);
	ret = options_parse(&options, (const char *)data, len, "fuzz", error, sizeof(error));
	check(&options, ret, error);
	assert(ret != -EINVAL || strncmp(error, "fuzz:", 5) == 0);
	options_free(&options);

	if (len < size) {
		files_begin(data, len);
		ret = options_read(&options, argc, argv, error, sizeof(error));
		files_end();
		check(&options, ret, error);
		keep_what_is_fixed(&options);
		options_free(&options);
	}
	free(text);
	return 0;
}
