// SPDX-License-Identifier: GPL-2.0-or-later
#include "example.h"

#include <arpa/inet.h>
#include <cjson/cJSON.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct world {
	struct example example;
	struct record *record;
	struct record_suppressed *s;
	char line[RECORD_MAX + 1];
};

static int set_up(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	if (!w)
		return -1;
	example_init(&w->example);
	w->s = &w->example.suppressed;
	w->s->others = false;
	*state = w;
	return record_new(&w->record, &w->example.config);
}

static int tear_down(void **state)
{
	struct world *w = *state;

	example_fini(&w->example);
	record_free(w->record);
	free(w);
	return 0;
}

static cJSON *printed(struct world *w)
{
	cJSON *root;

	assert_true(record_suppressed(w->record, w->s, w->s->interval_end_real_ns, w->line,
				      sizeof(w->line)) > 0);
	root = cJSON_Parse(w->line);
	assert_non_null(root);
	return root;
}

static void expect_message(struct world *w, const char *expected)
{
	cJSON *root = printed(w);

	assert_string_equal(cJSON_GetObjectItem(root, "message")->valuestring, expected);
	cJSON_Delete(root);
}

static const char *nfwho(const cJSON *root, const char *key)
{
	const cJSON *item = cJSON_GetObjectItem(cJSON_GetObjectItem(root, "nfwho"), key);

	return item ? item->valuestring : NULL;
}

static void a_port_scan_says_so(void **state)
{
	struct world *w = *state;

	w->s->count = w->s->ports = 10000;
	w->s->destinations = 1;
	expect_message(w, "curl[812] 10,000 connections held back: to 203.0.113.9, 10,000 ports");
}

static void a_scan_of_addresses_says_so(void **state)
{
	struct world *w = *state;

	w->s->count = 1234567;
	w->s->destinations = 65000;
	w->s->destinations_estimated = true;
	w->s->ports = 1;
	expect_message(w, "curl[812] 1,234,567 connections held back: to \u224865,000 addresses, "
		       "port 443");
}

static void one_is_one(void **state)
{
	struct world *w = *state;

	w->s->count = w->s->destinations = w->s->ports = 1;
	expect_message(w, "curl[812] 1 connection held back: to 203.0.113.9, port 443");
}

static void ends_alone_are_told_too(void **state)
{
	struct world *w = *state;

	w->s->count = w->s->destinations = w->s->ports = w->s->top_count = 0;
	w->s->ended = 1500;
	expect_message(w, "curl[812] 1,500 connections held back before have ended");
}

static void several_processes_are_known_by_their_program(void **state)
{
	struct world *w = *state;
	const cJSON *process;
	cJSON *root;

	w->s->process = NULL;
	w->s->count = 2;
	expect_message(w, "curl 2 connections held back: to 2 addresses, 10,000 ports");
	root = printed(w);
	process = cJSON_GetObjectItem(root, "process");
	assert_string_equal(cJSON_GetObjectItem(process, "name")->valuestring, "curl");
	assert_string_equal(cJSON_GetObjectItem(process, "executable")->valuestring,
			    "/usr/bin/curl");
	assert_null(cJSON_GetObjectItem(process, "pid"));
	cJSON_Delete(root);
}

static void a_cgroup_tells_its_unit(void **state)
{
	struct world *w = *state;
	cJSON *root;

	w->s->process = NULL;
	w->s->executable = w->s->container_id = w->s->container_runtime = "";
	w->s->cgroup_path = "/system.slice/cron.service";
	w->s->owner = OWNER_CGROUP;
	root = printed(w);
	assert_string_equal(nfwho(root, "owner"), "cgroup");
	assert_string_equal(nfwho(root, "unit"), "cron.service");
	assert_string_equal(nfwho(root, "cgroup"), "/system.slice/cron.service");
	assert_null(cJSON_GetObjectItem(root, "container"));
	assert_null(cJSON_GetObjectItem(root, "process"));
	cJSON_Delete(root);
}

/* ICMP has neither, and a port of 0 would be a lie. */
static void where_there_are_no_ports_none_are_named(void **state)
{
	struct world *w = *state;
	cJSON *root;

	w->s->count = 50;
	w->s->destinations = 1;
	w->s->ports = 0;
	w->s->top[0].port = 0;
	w->s->top_count = 1;
	expect_message(w, "curl[812] 50 connections held back: to 203.0.113.9");
	root = printed(w);
	assert_null(strstr(w->line, "\"port\""));
	cJSON_Delete(root);
}

static void the_line_for_people_is_aligned(void **state)
{
	struct world *w = *state;
	char line[RECORD_MAX + 1];

	w->s->count = w->s->ports = 10000;
	w->s->destinations = 1;
	assert_true(record_suppressed_text(w->record, w->s, 0, false, line, sizeof(line)) > 0);
	assert_string_equal(line, "2026-01-02 03:04:15.000 root           812 curl            "
			    "10,000 connections held back: to 203.0.113.9, 10,000 ports\n");
	w->s->others = true;
	w->s->process = NULL;
	w->s->has_uid = false;
	assert_true(record_suppressed_text(w->record, w->s, 0, false, line, sizeof(line)) > 0);
	assert_string_equal(line, "2026-01-02 03:04:15.000 -                - (others)        "
			    "10,000 connections held back: to 203.0.113.9, 10,000 ports\n");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(a_port_scan_says_so),
		TEST(a_scan_of_addresses_says_so),
		TEST(one_is_one),
		TEST(ends_alone_are_told_too),
		TEST(several_processes_are_known_by_their_program),
		TEST(a_cgroup_tells_its_unit),
		TEST(where_there_are_no_ports_none_are_named),
		TEST(the_line_for_people_is_aligned),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
