// SPDX-License-Identifier: GPL-2.0-or-later
#include "option.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char error[512];

/* No file of the machine that runs the tests has a say. */
static int read_words(struct options *options, const char *const *words)
{
	char *argv[16] = { (char *)"run", (char *)"--config=/dev/null" };
	int argc = 2;

	for (error[0] = '\0'; *words; words++)
		argv[argc++] = (char *)*words;
	return options_read(options, argc, argv, error, sizeof(error));
}

#define READ(options, ...) read_words(options, (const char *const[]){ __VA_ARGS__, NULL })

static int parse_text(struct options *options, const char *text)
{
	error[0] = '\0';
	assert_int_equal(options_init(options), 0);
	return options_parse(options, text, strlen(text), "x.conf", error, sizeof(error));
}

static void defaults_are_those_that_help_prints(void **state)
{
	struct options options;

	(void)state;
	assert_int_equal(READ(&options, NULL), OPTION_RUN);
	assert_int_equal(options.group, 617);
	assert_int_equal(options.output_count, 1);
	assert_int_equal(options.outputs[0].kind, OUTPUT_STDOUT);
	assert_int_equal(options.hooks, RULESET_OUTPUT);
	assert_int_equal(options.protocols, RULESET_TCP);
	assert_int_equal(options.trace_buffer_bytes, 2 << 20);
	assert_int_equal(options.max_flows, 131072);
	assert_int_equal(options.log_level, 2);
	assert_true(options.conntrack && options.sysctl && options.events_start &&
		    options.events_end);
	assert_false(options.loopback || options.final);
	assert_null(options.user);
	options_free(&options);
}

static void what_is_wrong_is_quoted_and_what_is_right_is_said(void **state)
{
	static const struct { const char *argument, *error; } cases[] = {
		{ "--group=70000", "--group: \"70000\" is not a number from 0 to 65535" },
		{ "--group=-1", "--group: \"-1\" is not a number from 0 to 65535" },
		{ "--group=0x10", "--group: \"0x10\" is not a number from 0 to 65535" },
		{ "--group=", "--group: \"\" is not a number from 0 to 65535" },
		{ "--group=99999999999999999999999",
		  "--group: \"99999999999999999999999\" is not a number from 0 to 65535" },
		{ "--loopback=maybe", "--loopback: \"maybe\" is none of yes, no" },
		{ "--hooks=output,in",
		  "--hooks: \"in\" is none of output, forward, prerouting, input, postrouting" },
		{ "--events=", "--events: \"\" is none of start, end" },
		{ "--trace-buffer=1X",
		  "--trace-buffer: \"1X\" is not a size from 8K to 64M, such as 16M" },
		{ "--trace-buffer=128M",
		  "--trace-buffer: \"128M\" is not a size from 8K to 64M, such as 16M" },
		{ "--trace-buffer=17179869184G",
		  "--trace-buffer: \"17179869184G\" is not a size from 8K to 64M, such as 16M" },
		{ "--gruop=1", "\"--gruop=1\" is not an option (did you mean \"group\"?)" },
		{ "--colour", "\"--colour\" is not an option; --help lists them" },
		{ "-xh", "\"-x\" is not an option; --help lists them" },
		{ "--group", "--group: its value is missing" },
		{ "here", "\"here\" is left over: options begin with --" },
		{ "--only=port=80,host=a", "--only: \"host=a\" is not KEY=VALUE with one of the keys "
		  "user, program, unit, container, net, port, protocol" },
		{ "--except=port=x",
		  "--except: \"x\" is not a port from 1 to 65535 or a range such as 1000-2000" },
		{ "--tag=", "--tag: \"\" is not a tag of 1 to 255 bytes" },
		{ "--label=a.b=c", "--label: \"a.b=c\" is not KEY=VALUE with a key of letters, "
		  "digits, _ and - and a value of at most 256 bytes" },
		{ "--config=/nonexistent/x", "/nonexistent/x: No such file or directory" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct options options;

		assert_int_equal(READ(&options, cases[i].argument), -EINVAL);
		assert_string_equal(error, cases[i].error);
		options_free(&options);
	}
}

static void outputs_are_taken_apart(void **state)
{
	const struct output *output;
	struct options options;

	(void)state;
	assert_int_equal(READ(&options, "--output",
			      "file:/a\\,b,size=5M,keep=3,mode=0600,group=adm",
			      "--output=tcp:[2001:db8::1]:514,format=ulogd,queue=1M",
			      "--output=syslog", "--output=ulogd:/run/u"), OPTION_RUN);
	assert_int_equal(options.output_count, 4);
	output = &options.outputs[0];
	assert_string_equal(output->path, "/a,b");
	assert_string_equal(output->target, "file:/a,b");
	assert_int_equal(output->size_bytes, 5 << 20);
	assert_int_equal(output->keep, 3);
	assert_int_equal(output->mode, 0600);
	assert_string_equal(output->group, "adm");
	output = &options.outputs[1];
	assert_string_equal(output->host, "2001:db8::1");
	assert_string_equal(output->port, "514");
	assert_int_equal(output->format, FORMAT_ULOGD);
	assert_int_equal(output->queue_bytes, 1 << 20);
	assert_string_equal(options.outputs[2].path, "/dev/log");
	assert_int_equal(options.outputs[3].format, FORMAT_PACKET);
	options_free(&options);
}

static void a_wrong_output_is_refused(void **state)
{
	static const char *const wrong[] = {
		"", "stdin", "file:", "file", "unix:", "tcp:", "tcp:host", "tcp::514", "tcp:h:0",
		"tcp:2001:db8::1:514", "tcp:[]:5", "stdout,size=1M", "stdout,format=xml",
		"syslog,format=text", "ulogd:/x,format=ecs", "file:/x,mode=0888", "file:/x,keep=-1",
		"file:/x,size=1", "file:/x,colour=red", "file:/x,", "unix:/"
		"1234567890123456789012345678901234567890123456789012345678901234567890"
		"1234567890123456789012345678901234567890",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		struct options options;

		assert_int_equal(READ(&options, "--output", wrong[i]), -EINVAL);
		assert_true(strncmp(error, "--output: \"", 11) == 0 || strchr(error, '='));
		options_free(&options);
	}
}

static void a_file_is_read_line_by_line(void **state)
{
	struct options options;

	(void)state;
	assert_int_equal(parse_text(&options, "# nothing\n\n  group = 32 # ours\r\n"
				    "output=file:/var/log/a#b\n\toutput = stdout , \n"), -EINVAL);
	assert_true(strncmp(error, "x.conf:5: output: ", 18) == 0);
	assert_int_equal(options.group, 32);
	assert_string_equal(options.outputs[0].path, "/var/log/a#b");
	options_free(&options);

	assert_int_equal(parse_text(&options, "label = site=Berlin Mitte\nloopback = yes"), 0);
	assert_string_equal(options.labels[0].value, "Berlin Mitte");
	assert_true(options.loopback);
	options_free(&options);
}

static void a_wrong_line_is_named(void **state)
{
	static const struct { const char *text, *error; } cases[] = {
		{ "\n\ngroup 32\n", "x.conf:3: \"group 32\" is not `name = value`" },
		{ "gruop = 32", "x.conf:1: \"gruop\" is not the name of an option "
		  "(did you mean \"group\"?)" },
		{ "= 32", "x.conf:1: \"\" is not the name of an option" },
		{ "config = /x", "x.conf:1: \"config\" is not the name of an option for a file" },
		{ "rate = many", "x.conf:1: rate: \"many\" is not a number from 0 to 1000000" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct options options;

		assert_int_equal(parse_text(&options, cases[i].text), -EINVAL);
		assert_string_equal(error, cases[i].error);
		options_free(&options);
	}
}

static void a_zero_byte_is_refused(void **state)
{
	struct options options;

	(void)state;
	assert_int_equal(options_init(&options), 0);
	assert_int_equal(options_parse(&options, "group = 3\0", 10, "x.conf", error,
				       sizeof(error)), -EINVAL);
	assert_string_equal(error, "x.conf:1: a zero byte: this is not a text file");
	options_free(&options);
}

static void the_command_line_wins(void **state)
{
	char name[] = "/tmp/nfwho-test-option-XXXXXX", config[64];
	struct options options;
	static const char text[] = "group = 32\noutput = syslog\noutput = unix:/a\nrate = 7\n"
		"label = a=1\nlabel = b=2\ntag = x\nonly = port=1\nonly = port=2\nexcept = port=3\n";
	int fd = mkstemp(name);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, sizeof(text) - 1), sizeof(text) - 1);
	close(fd);
	snprintf(config, sizeof(config), "--config=%s", name);
	assert_int_equal(READ(&options, "--output=unix:/b", config, "--group=5", "--label=a=3",
			      "--tag=y", "--tag=x", "--only=port=4", "--only=user=0"),
			 OPTION_RUN);
	unlink(name);
	assert_int_equal(options.group, 5);
	assert_int_equal(options.rate, 7);
	assert_int_equal(options.output_count, 1);
	assert_string_equal(options.outputs[0].path, "/b");
	assert_int_equal(options.label_count, 2);
	assert_string_equal(options.labels[0].value, "3");
	assert_int_equal(options.tag_count, 2);
	assert_string_equal(options.tags[1], "y");
	assert_int_equal(options.filter.count[FILTER_ONLY], 2);
	assert_string_equal(options.filter.clauses[FILTER_ONLY][0].text, "port=4");
	assert_int_equal(options.filter.count[FILTER_EXCEPT], 1);
	options_free(&options);
}

static void too_many_are_refused(void **state)
{
	char text[64 * 40] = "", line[40];
	struct options options;

	(void)state;
	for (int i = 0; i < OPTIONS_LABELS_MAX + 1; i++) {
		snprintf(line, sizeof(line), "label = k%d=v\n", i);
		strcat(text, line);
	}
	assert_int_equal(parse_text(&options, text), -EINVAL);
	assert_string_equal(error, "x.conf:33: label: \"k32=v\" is one label too many: at most 32");
	options_free(&options);
}

static void help_and_version_win_over_the_rest(void **state)
{
	struct options options;

	(void)state;
	assert_int_equal(READ(&options, "--group=5", "--help", "--nonsense"), OPTION_HELP);
	options_free(&options);
	assert_int_equal(READ(&options, "-V"), OPTION_VERSION);
	options_free(&options);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults_are_those_that_help_prints),
		cmocka_unit_test(what_is_wrong_is_quoted_and_what_is_right_is_said),
		cmocka_unit_test(outputs_are_taken_apart),
		cmocka_unit_test(a_wrong_output_is_refused),
		cmocka_unit_test(a_file_is_read_line_by_line),
		cmocka_unit_test(a_wrong_line_is_named),
		cmocka_unit_test(a_zero_byte_is_refused),
		cmocka_unit_test(the_command_line_wins),
		cmocka_unit_test(too_many_are_refused),
		cmocka_unit_test(help_and_version_win_over_the_rest),
	};

	return cmocka_run_group_tests_name("option", tests, NULL, NULL);
}
