// SPDX-License-Identifier: GPL-2.0-or-later
#include "record_internal.h"

#include "utf8.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ECS_VERSION "9.4.0"

void record_append(cJSON *array, cJSON *item)
{
	if (!cJSON_AddItemToArray(array, item))
		cJSON_Delete(item);
}

void record_take(cJSON *root, cJSON *item)
{
	if (!cJSON_AddItemToObject(root, item->string, item))
		cJSON_Delete(item);
}

uint64_t record_incomplete(const struct record *r)
{
	return r->incomplete;
}

static void add_host(cJSON *root, const struct record_config *config)
{
	const struct host *host = config->host;
	cJSON *object = cJSON_AddObjectToObject(root, "host");

	record_add_text(object, "name", host->name, strlen(host->name), 255);
	record_add_text(object, "hostname", host->hostname, strlen(host->hostname), 64);
	record_add_text(object, "id", host->id, strlen(host->id), 64);
	if (host->boot_id[0])
		cJSON_AddStringToObject(cJSON_AddObjectToObject(object, "boot"), "id",
					host->boot_id);
	object = cJSON_AddObjectToObject(root, "agent");
	cJSON_AddStringToObject(object, "type", "nfwho");
	record_add_text(object, "version", config->version, strlen(config->version), 64);
	record_add_text(object, "id", host->id, strlen(host->id), 64);
	cJSON_AddStringToObject(object, "ephemeral_id", host->run_id);
}

static void add_labels(cJSON *root, const struct record_config *config)
{
	cJSON *object;

	if (config->label_count) {
		object = cJSON_AddObjectToObject(root, "labels");
		for (unsigned int i = 0; i < config->label_count; i++) {
			char key[256];

			utf8_clean(key, sizeof(key), config->labels[i].key,
				   strlen(config->labels[i].key), NULL);
			cJSON_DeleteItemFromObjectCaseSensitive(object, key);
			record_add_text(object, key, config->labels[i].value,
					strlen(config->labels[i].value), RECORD_COMMON_MAX);
		}
	}
	if (!config->tag_count)
		return;
	object = cJSON_AddArrayToObject(root, "tags");
	for (unsigned int i = 0; i < config->tag_count; i++) {
		char tag[256];

		utf8_clean(tag, sizeof(tag), config->tags[i], strlen(config->tags[i]), NULL);
		record_append(object, cJSON_CreateString(tag));
	}
}

/* The members that every record repeats, without the outer braces. */
static int print_common(struct record *r)
{
	cJSON *root = cJSON_CreateObject();
	char common[RECORD_COMMON_MAX];
	size_t len;
	char *text;
	int err = 0;

	cJSON_AddStringToObject(cJSON_AddObjectToObject(root, "ecs"), "version", ECS_VERSION);
	add_host(root, &r->config);
	add_labels(root, &r->config);
	text = cJSON_PrintUnformatted(root);
	cJSON_Delete(root);
	if (!text)
		return -ENOMEM;
	len = strlen(text) - 2;
	snprintf(common, sizeof(common), "%.*s", (int)len, text + 1);
	/* If it fits, and not before: what is refused leaves what there was. */
	if (len < sizeof(common) && json_escape_controls(common, sizeof(common))) {
		r->common_len = strlen(common);
		memcpy(r->common, common, r->common_len);
		r->process_max = RECORD_MAX - RECORD_CONNECTION_MAX - r->common_len;
	} else {
		err = -E2BIG;
	}
	cJSON_free(text);
	return err;
}

int record_new(struct record **out, const struct record_config *config)
{
	struct record *r = calloc(1, sizeof(*r));
	int err;

	if (!r)
		return -ENOMEM;
	r->config = *config;
	err = passwd_new(&r->users, "/etc/passwd");
	if (!err)
		err = print_common(r);
	if (err) {
		record_free(r);
		return err;
	}
	*out = r;
	return 0;
}

int record_change(struct record *r, const struct record_config *config)
{
	struct record_config before = r->config;
	int err;

	r->config = *config;
	err = print_common(r);
	if (err)
		r->config = before;
	else
		r->revision++;
	return err;
}

void record_free(struct record *r)
{
	if (!r)
		return;
	passwd_free(r->users);
	free(r);
}

void record_add_number(cJSON *object, const char *key, uint64_t value)
{
	char text[24];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
	cJSON_AddRawToObject(object, key, text);
}

void record_add_time(struct record *r, cJSON *object, const char *key, uint64_t real_ns)
{
	char text[ISO8601_MAX];

	iso8601_format(&r->times, real_ns, text);
	cJSON_AddStringToObject(object, key, text);
}

static void add_word(cJSON *array, const char *word)
{
	if (word)
		record_append(array, cJSON_CreateString(word));
}

void record_add_types(cJSON *event, const char *category, const char *type, const char *more)
{
	cJSON *types;

	if (category)
		add_word(cJSON_AddArrayToObject(event, "category"), category);
	types = cJSON_AddArrayToObject(event, "type");
	add_word(types, type);
	add_word(types, more);
}

cJSON *record_begin(struct record *r, const char *action, const char *kind, const char *dataset,
		    uint64_t timestamp_ns, uint64_t now_real_ns, cJSON **event)
{
	char id[64], members[RECORD_COMMON_MAX + 2];
	cJSON *root, *common, *item;

	errno = 0;	/* see record_print() */
	root = cJSON_CreateObject();
	snprintf(id, sizeof(id), "%s:%llu", r->config.host->run_id,
		 (unsigned long long)++r->sequence);
	record_add_time(r, root, "@timestamp", timestamp_ns);
	*event = cJSON_AddObjectToObject(root, "event");
	cJSON_AddStringToObject(*event, "kind", kind);
	cJSON_AddStringToObject(*event, "action", action);
	cJSON_AddStringToObject(*event, "module", "nfwho");
	cJSON_AddStringToObject(*event, "dataset", dataset);
	cJSON_AddStringToObject(*event, "id", id);
	record_add_number(*event, "sequence", r->sequence);
	record_add_time(r, *event, "created", now_real_ns);
	members[0] = '{';
	memcpy(members + 1, r->common, r->common_len);
	memcpy(members + 1 + r->common_len, "}", 2);
	common = cJSON_Parse(members);
	while (common && common->child) {
		item = cJSON_DetachItemViaPointer(common, common->child);
		record_take(root, item);
	}
	cJSON_Delete(common);
	return root;
}

int record_print(cJSON *root, char *buf, size_t size)
{
	size_t len;

	if (size > RECORD_MAX + 1)
		size = RECORD_MAX + 1;
	/* cJSON leaves out what it has no memory for and does not say so; malloc(3) does. */
	if (errno == ENOMEM) {
		cJSON_Delete(root);
		return -ENOMEM;
	}
	/* The spare bytes are cJSON's own wish, beside the newline's. */
	if (!root || size < 8 || !cJSON_PrintPreallocated(root, buf, size - 1, false) ||
	    !json_escape_controls(buf, size - 1)) {
		cJSON_Delete(root);
		return -ENOSPC;
	}
	cJSON_Delete(root);
	len = strlen(buf);
	memcpy(buf + len, "\n", 2);
	return len + 1;
}
