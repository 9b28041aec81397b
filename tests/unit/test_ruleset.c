// SPDX-License-Identifier: GPL-2.0-or-later
#include "ruleset.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static char text[64 * 1024];

static struct ruleset_config defaults(void)
{
	return (struct ruleset_config){
		.group = 617, .snaplen_bytes = RULESET_SNAPLEN_BYTES, .hooks = RULESET_OUTPUT,
		.protocols = RULESET_TCP, .conntrack = true, .prefix = RULESET_PREFIX,
		.untracked_prefix = RULESET_PREFIX_UNTRACKED,
	};
}

static const char *print(const struct ruleset_config *config)
{
	int len = ruleset_print(config, text, sizeof(text));

	assert_true(len > 0);
	assert_int_equal(strlen(text), len);
	return text;
}

static unsigned int count(const char *haystack, const char *needle)
{
	unsigned int n = 0;

	for (; (haystack = strstr(haystack, needle)); haystack += strlen(needle))
		n++;
	return n;
}

static void the_default_is_the_file_we_ship(void **state)
{
	static char shipped[4096];
	struct ruleset_config config = defaults();
	FILE *file = fopen("nft/nfwho.nft", "re");
	size_t len;

	(void)state;
	assert_non_null(file);
	len = fread(shipped, 1, sizeof(shipped) - 1, file);
	fclose(file);
	shipped[len] = '\0';
	assert_string_equal(print(&config), shipped);
}

static void nobody_elses_ruleset_is_flushed_and_nothing_is_dropped(void **state)
{
	struct ruleset_config config = defaults();

	(void)state;
	config.hooks = 0x1f;
	config.protocols = 0xf;
	config.limit_per_second = 1000;
	print(&config);
	assert_int_equal(count(text, "flush "), 1);
	assert_int_equal(count(text, "flush table inet nfwho\n"), 1);
	assert_null(strstr(text, "drop"));
	assert_null(strstr(text, "reject"));
	assert_int_equal(count(text, "policy accept;"), 5);
	assert_int_equal(count(text, "group 617"), 5 * 6 + 1);
	assert_int_equal(count(text, "limit rate over 1000/second"), 5 * 6);
}

static void each_option_shows_in_the_rule(void **state)
{
	struct ruleset_config config = defaults();

	(void)state;
	assert_non_null(strstr(print(&config), "oif != \"lo\""));
	assert_non_null(strstr(text, "ct state invalid,established,related,new oif"));
	assert_non_null(strstr(text, "ct state untracked oif"));
	config.loopback = true;
	assert_null(strstr(print(&config), "\"lo\""));
	config.conntrack = false;
	assert_null(strstr(print(&config), "ct state"));
	config.group = 65535;
	config.prefix = "who is it? ";
	config.snaplen_bytes = 128;
	assert_non_null(strstr(print(&config),
			       "log prefix \"who is it? \" group 65535 snaplen 128"));
	config.hooks = RULESET_PREROUTING;
	config.loopback = false;
	assert_non_null(strstr(print(&config), "iif != \"lo\""));
}

static void what_no_rule_can_say_is_refused(void **state)
{
	static char long_prefix[129];
	struct ruleset_config good = defaults(), bad[14];
	size_t n = 0;

	(void)state;
	memset(long_prefix, 'x', 128);
	bad[n] = good, bad[n++].hooks = 0;
	bad[n] = good, bad[n++].hooks = 1 << 5;
	bad[n] = good, bad[n++].protocols = 0;
	bad[n] = good, bad[n++].protocols = 1 << 4;
	bad[n] = good, bad[n].conntrack = false, bad[n++].protocols |= RULESET_UDP;
	bad[n] = good, bad[n++].snaplen_bytes = 0;
	bad[n] = good, bad[n++].limit_per_second = 10000001;
	bad[n] = good, bad[n++].prefix = NULL;
	bad[n] = good, bad[n++].prefix = "";
	bad[n] = good, bad[n++].prefix = long_prefix;
	bad[n] = good, bad[n++].prefix = "a\"b";
	bad[n] = good, bad[n++].prefix = "$x";
	bad[n] = good, bad[n++].prefix = "a\nb";
	bad[n] = good, bad[n++].prefix = "\xc3\xa4";
	for (size_t i = 0; i < n; i++) {
		struct ruleset *r;

		assert_int_equal(ruleset_print(&bad[i], text, sizeof(text)), -EINVAL);
		assert_int_equal(ruleset_open(&r, &bad[i]), -EINVAL);
	}
	long_prefix[127] = '\0';
	good.prefix = long_prefix;
	assert_non_null(strstr(print(&good), long_prefix));
}

static void a_buffer_too_small_is_said(void **state)
{
	struct ruleset_config config = defaults();
	int len = ruleset_print(&config, text, sizeof(text));

	(void)state;
	assert_int_equal(ruleset_print(&config, text, 0), -ENOSPC);
	assert_int_equal(ruleset_print(&config, text, (size_t)len), -ENOSPC);
	assert_int_equal(ruleset_print(&config, text, (size_t)len + 1), len);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_default_is_the_file_we_ship),
		cmocka_unit_test(nobody_elses_ruleset_is_flushed_and_nothing_is_dropped),
		cmocka_unit_test(each_option_shows_in_the_rule),
		cmocka_unit_test(what_no_rule_can_say_is_refused),
		cmocka_unit_test(a_buffer_too_small_is_said),
	};

	return cmocka_run_group_tests_name("ruleset", tests, NULL, NULL);
}
