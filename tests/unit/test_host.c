// SPDX-License-Identifier: GPL-2.0-or-later
#include "host.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static void every_start_is_a_run_of_its_own_on_the_same_host(void **state)
{
	struct host a, b;

	(void)state;
	assert_int_equal(host_init(&a, NULL), 0);
	assert_int_equal(host_init(&b, NULL), 0);
	assert_int_equal(strlen(a.run_id), 32);
	assert_string_not_equal(a.run_id, b.run_id);
	assert_string_equal(a.id, b.id);
	assert_string_equal(a.boot_id, b.boot_id);
	assert_int_equal(strlen(a.boot_id), 36);
	assert_true(a.ticks_per_second > 0);
}

static void names_and_namespaces_are_those_of_the_system(void **state)
{
	char name[256];
	struct stat st;
	struct host h;

	(void)state;
	assert_int_equal(host_init(&h, NULL), 0);
	assert_int_equal(gethostname(name, sizeof(name)), 0);
	assert_string_equal(h.name, name);
	assert_null(strchr(h.hostname, '.'));
	assert_int_equal(strncmp(h.name, h.hostname, strlen(h.hostname)), 0);
	assert_int_equal(stat("/proc/self/ns/net", &st), 0);
	assert_int_equal(h.net_ns, st.st_ino);
	assert_int_equal(stat("/proc/self/ns/user", &st), 0);
	assert_int_equal(h.user_ns, st.st_ino);
}

static void the_machine_id_is_the_host_id(void **state)
{
	FILE *file = fopen("/etc/machine-id", "re");
	char line[64] = "";
	struct host h;

	(void)state;
	if (!file)
		skip();
	assert_non_null(fgets(line, sizeof(line), file));
	fclose(file);
	line[strcspn(line, "\n")] = '\0';
	assert_int_equal(host_init(&h, "/nonexistent/nfwho"), 0);
	if (strlen(line) == 32)
		assert_string_equal(h.id, line);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_start_is_a_run_of_its_own_on_the_same_host),
		cmocka_unit_test(names_and_namespaces_are_those_of_the_system),
		cmocka_unit_test(the_machine_id_is_the_host_id),
	};

	return cmocka_run_group_tests_name("host", tests, NULL, NULL);
}
