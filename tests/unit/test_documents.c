// SPDX-License-Identifier: GPL-2.0-or-later
/* Run from the project's root: the documents say what the option table says. */
#include "option.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static char error[512];

static char *read_text(const char *path)
{
	FILE *file = fopen(path, "re");
	char *text = calloc(1, 1 << 18);
	size_t len;

	assert_non_null(file);
	assert_non_null(text);
	len = fread(text, 1, (1 << 18) - 1, file);
	assert_true(len < (1 << 18) - 1);
	fclose(file);
	return text;
}

/* Manual pages write a hyphen that is to be copied as "\-". */
static char *read_manual(const char *path)
{
	char *text = read_text(path), *to = text;

	for (const char *from = text; *from; from++) {
		if (from[0] == '\\' && from[1] == '-')
			continue;
		*to++ = *from;
	}
	*to = '\0';
	return text;
}

static void the_manual_page_lists_every_option_with_its_default(void **state)
{
	char *text = read_manual("collector/nfwho.8"), wanted[256], *at, *next;
	struct option_info info;

	(void)state;
	for (unsigned int i = 0; option_info(i, &info); i++) {
		snprintf(wanted, sizeof(wanted), "\n.BI --%s \" ", info.name);
		at = strstr(text, wanted);
		if (!at)
			fail_msg("--%s is not in the manual page", info.name);
		if (!info.preset || !info.in_file)
			continue;
		next = strstr(at, "\n.TP");
		snprintf(wanted, sizeof(wanted), "\nDefault: %s.\n", info.preset);
		at = strstr(at, wanted);
		if (!at || at > next)
			fail_msg("--%s: its default is not %s in the manual page", info.name,
				 info.preset);
	}
	free(text);
}

static void the_manual_page_lists_what_only_a_restart_changes(void **state)
{
	char *text = read_manual("collector/nfwho.8"), wanted[1024];
	struct option_info info;
	size_t len = 0;

	(void)state;
	for (unsigned int i = 0; option_info(i, &info); i++) {
		if (info.fixed)
			len += (size_t)snprintf(wanted + len, sizeof(wanted) - len, "%s%s",
						len ? ", " : "", info.name);
	}
	snprintf(wanted + len, sizeof(wanted) - len, ".\n");
	if (!strstr(text, wanted))
		fail_msg("not in the manual page: %s", wanted);
	free(text);
}

static void the_manual_page_lists_no_option_that_is_not_there(void **state)
{
	char *text = read_manual("collector/nfwho.8"), *at = text, name[64];
	struct option_info info;

	(void)state;
	while ((at = strstr(at, "\n.BI --"))) {
		bool found = false;

		at += strlen("\n.BI --");
		snprintf(name, sizeof(name), "%.*s", (int)strcspn(at, " "), at);
		for (unsigned int i = 0; !found && option_info(i, &info); i++)
			found = strcmp(info.name, name) == 0;
		if (!found)
			fail_msg("the manual page has --%s", name);
	}
	free(text);
}

static void the_manual_page_lists_every_field(void **state)
{
	char *text = read_manual("collector/nfwho.8"), *fields, *line, *rest, wanted[256];

	(void)state;
	fields = rest = read_text("collector/doc/fields.tsv");
	while ((line = strsep(&rest, "\n"))) {
		size_t type = strcspn(line, "\t"), about;

		if (!*line || *line == '#')
			continue;
		about = type + 1 + strcspn(line + type + 1, "\t");
		snprintf(wanted, sizeof(wanted), "\n%.*s\tT{\n", (int)about, line);
		if (!strstr(text, wanted))
			fail_msg("%.*s is not in the manual page", (int)about, line);
	}
	free(fields);
	free(text);
}

static void the_file_manual_lists_every_name_with_its_default(void **state)
{
	char *text = read_manual("collector/nfwho.conf.5"), wanted[64], *at, *end, *preset;
	struct option_info info;

	(void)state;
	for (unsigned int i = 0; option_info(i, &info); i++) {
		snprintf(wanted, sizeof(wanted), "\n%s\t", info.name);
		at = strstr(text, wanted);
		if (!info.in_file) {
			assert_null(at);
			continue;
		}
		if (!at)
			fail_msg("%s is not in nfwho.conf.5", info.name);
		end = strchr(at + 1, '\n');
		*end = '\0';
		preset = strrchr(at, '\t') + 1;
		assert_string_equal(preset, info.preset ? info.preset : "");
		*end = '\n';
	}
	free(text);
}

/* Takes the # from lines that look like `#name = value`, and only those. */
static void uncomment(char *text)
{
	char *line, *rest = text;

	while ((line = rest)) {
		size_t name = strspn(line + 1, "abcdefghijklmnopqrstuvwxyz-");

		rest = strchr(line, '\n');
		rest = rest ? rest + 1 : NULL;
		if (line[0] == '#' && name && strncmp(line + 1 + name, " = ", 3) == 0)
			line[0] = ' ';
	}
}

static void the_sample_is_in_comments_and_its_values_are_the_defaults(void **state)
{
	char *text = read_text("collector/nfwho.conf"), wanted[256], *at;
	struct options options;
	struct option_info info;

	(void)state;
	assert_int_equal(options_init(&options), 0);
	assert_int_equal(options_parse(&options, text, strlen(text), "sample", error,
				       sizeof(error)), 0);
	assert_int_equal(options.output_count + options.label_count + options.tag_count, 0);
	for (unsigned int i = 0; option_info(i, &info); i++) {
		snprintf(wanted, sizeof(wanted), "\n#%s = %s%s", info.name,
			 info.preset ? info.preset : "", info.preset ? "\n" : "");
		at = strstr(text, wanted);
		if (info.in_file && !at)
			fail_msg("the sample has not %s", wanted + 1);
		if (!info.in_file)
			assert_null(at);
	}
	options_free(&options);

	uncomment(text);
	assert_int_equal(options_init(&options), 0);
	if (options_parse(&options, text, strlen(text), "sample", error, sizeof(error)) < 0)
		fail_msg("%s", error);
	assert_int_equal(options.output_count, 2);
	options_free(&options);
	free(text);
}

static void the_completion_knows_every_option(void **state)
{
	char *text = read_text("collector/nfwho.bash"), *options, wanted[64];
	struct option_info info;

	(void)state;
	options = strstr(text, "options='");
	assert_non_null(options);
	*strchr(options + strlen("options='"), '\'') = '\0';
	for (char *c = options; *c; c++) {
		if (strchr("'\n\t", *c))
			*c = ' ';
	}
	for (unsigned int i = 0; option_info(i, &info); i++) {
		snprintf(wanted, sizeof(wanted), " --%s ", info.name);
		if (!strstr(options, wanted))
			fail_msg("the completion does not know%s", wanted);
	}
	free(text);
}

/* nfwho.a.b is mappings.properties.nfwho.properties.a.properties.b. Returns its type and takes it
 * out, so that what is left over can be found. */
static char *take_type(cJSON *mappings, char *name)
{
	cJSON *at = mappings, *type;
	char *part, *text;

	while ((part = strsep(&name, "."))) {
		at = cJSON_GetObjectItemCaseSensitive(at, "properties");
		at = cJSON_GetObjectItemCaseSensitive(at, part);
	}
	type = cJSON_DetachItemFromObjectCaseSensitive(at, "type");
	text = cJSON_IsString(type) ? strdup(type->valuestring) : NULL;
	cJSON_Delete(type);
	return text;
}

static void the_index_template_has_every_field_with_its_type(void **state)
{
	char *text = read_text("collector/pipelines/elasticsearch-template.json"), *left, *found;
	char *fields, *line, *rest, *name, *type;
	cJSON *template = cJSON_Parse(text), *mappings;

	(void)state;
	mappings = cJSON_GetObjectItem(cJSON_GetObjectItem(template, "template"), "mappings");
	assert_non_null(mappings);
	fields = rest = read_text("collector/doc/fields.tsv");
	while ((line = strsep(&rest, "\n"))) {
		if (!*line || *line == '#')
			continue;
		name = strsep(&line, "\t");
		type = strsep(&line, "\t");
		/* An array has the type of its elements. */
		type[strcspn(type, "[")] = '\0';
		found = take_type(mappings, name);
		if (!found || strcmp(found, type) != 0)
			fail_msg("the index template has %s for %s", found ? found : "nothing", type);
		free(found);
	}
	left = cJSON_PrintUnformatted(cJSON_GetObjectItem(
		cJSON_GetObjectItem(mappings, "properties"), "nfwho"));
	if (strstr(left, "\"type\""))
		fail_msg("the index template has what is no field: %s", left);
	cJSON_free(left);
	cJSON_Delete(template);
	free(fields);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_manual_page_lists_every_option_with_its_default),
		cmocka_unit_test(the_manual_page_lists_what_only_a_restart_changes),
		cmocka_unit_test(the_manual_page_lists_no_option_that_is_not_there),
		cmocka_unit_test(the_manual_page_lists_every_field),
		cmocka_unit_test(the_file_manual_lists_every_name_with_its_default),
		cmocka_unit_test(the_sample_is_in_comments_and_its_values_are_the_defaults),
		cmocka_unit_test(the_completion_knows_every_option),
		cmocka_unit_test(the_index_template_has_every_field_with_its_type),
	};

	return cmocka_run_group_tests_name("documents", tests, NULL, NULL);
}
