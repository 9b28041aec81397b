/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NFWHO_FIELDS_H
#define NFWHO_FIELDS_H

/*
 * Compares records with the lists of fields: ECS's own, and ours for nfwho.*. For one unit test:
 * included after cmocka.h, whose assertions it uses.
 */

#define FIELDS_MAX 512

struct field {
	char *name, *type, *about;
	char *line;
	bool used;
};

struct fields {
	struct field field[FIELDS_MAX];
	unsigned int count;
};

static void fields_read(struct fields *fields, const char *path)
{
	FILE *file = fopen(path, "re");
	char line[4096];

	assert_non_null(file);
	while (fgets(line, sizeof(line), file)) {
		struct field *f = &fields->field[fields->count];
		char *rest;

		if (line[0] == '#')
			continue;
		assert_true(++fields->count < FIELDS_MAX);
		line[strcspn(line, "\n")] = '\0';
		rest = f->line = strdup(line);
		f->name = strsep(&rest, "\t");
		f->type = strsep(&rest, "\t");
		f->about = rest;
		assert_non_null(f->about);
	}
	fclose(file);
}

static void fields_open(struct fields *fields)
{
	memset(fields, 0, sizeof(*fields));
	fields_read(fields, "tests/unit/data/ecs-9.4.0-fields.tsv");
	fields_read(fields, "collector/doc/fields.tsv");
}

static void fields_close(struct fields *fields)
{
	for (unsigned int i = 0; i < fields->count; i++)
		free(fields->field[i].line);
}

static bool fields_is_date(const char *text)
{
	static const char form[] = "0000-00-00T00:00:00.000000Z";

	if (strlen(text) != strlen(form))
		return false;
	for (size_t i = 0; form[i]; i++) {
		if (form[i] == '0' ? text[i] < '0' || text[i] > '9' : text[i] != form[i])
			return false;
	}
	return true;
}

static bool fields_is_ip(const char *text)
{
	uint8_t address[16];

	return inet_pton(AF_INET, text, address) == 1 || inet_pton(AF_INET6, text, address) == 1;
}

static bool fields_is_of_type(const cJSON *item, const char *type, size_t len)
{
	const char *text = cJSON_GetStringValue(item);

	if (strncmp(type, "long", len) == 0)
		return cJSON_IsNumber(item) && item->valuedouble >= 0;
	if (strncmp(type, "boolean", len) == 0)
		return cJSON_IsBool(item);
	if (!text || !text[0] || strcmp(text, "unknown") == 0)
		return false;
	if (strncmp(type, "ip", len) == 0)
		return fields_is_ip(text);
	if (strncmp(type, "date", len) == 0)
		return fields_is_date(text);
	return strncmp(type, "keyword", len) == 0 || strncmp(type, "wildcard", len) == 0 ||
	       strncmp(type, "match_only_text", len) == 0;
}

static bool fields_is_allowed(const cJSON *item, const struct field *f)
{
	const char *list = strstr(f->about, "ALLOWED=") ? strstr(f->about, "ALLOWED=") :
			   strstr(f->about, "EXPECTED="), *at;
	const char *value = cJSON_GetStringValue(item);

	if (!list || !value)
		return true;
	list = strchr(list, '=');
	for (at = strstr(list, value); at; at = strstr(at + 1, value)) {
		if (strchr("=,", at[-1]) && strchr(", \t", at[strlen(value)]))
			return true;
	}
	return false;
}

static struct field *fields_find(struct fields *fields, const char *name)
{
	for (unsigned int i = 0; i < fields->count; i++) {
		if (strcmp(fields->field[i].name, name) == 0)
			return &fields->field[i];
	}
	return NULL;
}

static void fields_check_leaf(struct fields *fields, const char *name, const cJSON *item,
			      bool in_array)
{
	struct field *f;
	size_t len;
	bool array;

	if (strncmp(name, "labels.", 7) == 0) {
		assert_true(cJSON_IsString(item));
		return;
	}
	f = fields_find(fields, name);
	if (!f)
		print_error("%s is in no list\n", name);
	assert_non_null(f);
	f->used = true;
	len = strcspn(f->type, "[");
	array = f->type[len] == '[';
	if (!fields_is_of_type(item, f->type, len) || array != in_array ||
	    !fields_is_allowed(item, f))
		print_error("%s is no %s\n", name, f->type);
	assert_int_equal(array, in_array);
	assert_true(fields_is_of_type(item, f->type, len));
	assert_true(fields_is_allowed(item, f));
}

static void fields_walk(struct fields *fields, const char *path, const cJSON *object)
{
	const cJSON *item, *element, *other;
	char name[256];

	cJSON_ArrayForEach(item, object) {
		snprintf(name, sizeof(name), "%s%s%s", path, path[0] ? "." : "", item->string);
		assert_null(strchr(item->string, '.'));
		for (other = item->next; other; other = other->next)
			assert_string_not_equal(other->string, item->string);
		assert_true(!(cJSON_IsArray(item) || cJSON_IsObject(item)) || item->child);
		if (cJSON_IsObject(item)) {
			fields_walk(fields, name, item);
			continue;
		}
		if (!cJSON_IsArray(item)) {
			fields_check_leaf(fields, name, item, false);
			continue;
		}
		cJSON_ArrayForEach(element, item) {
			if (cJSON_IsObject(element))
				fields_walk(fields, name, element);
			else
				fields_check_leaf(fields, name, element, true);
		}
	}
}

static void fields_check(struct fields *fields, const cJSON *root)
{
	static const char *const always[] = { "@timestamp", "message", "event", "ecs", "host",
					      "agent", "nfwho" };

	fields_walk(fields, "", root);
	for (size_t i = 0; i < sizeof(always) / sizeof(always[0]); i++)
		assert_non_null(cJSON_GetObjectItemCaseSensitive(root, always[i]));
}

static void fields_check_line(struct fields *fields, const char *line, int len)
{
	cJSON *root;

	assert_true(len > 0);
	root = cJSON_Parse(line);
	assert_non_null(root);
	fields_check(fields, root);
	cJSON_Delete(root);
}

/* The list names nothing that no record has. */
static void fields_expect_all_of_ours(const struct fields *fields)
{
	for (unsigned int i = 0; i < fields->count; i++) {
		if (strncmp(fields->field[i].name, "nfwho.", 6) == 0 && !fields->field[i].used)
			print_error("%s is in no record\n", fields->field[i].name);
		assert_true(strncmp(fields->field[i].name, "nfwho.", 6) != 0 ||
			    fields->field[i].used);
	}
}

#endif
