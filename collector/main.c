// SPDX-License-Identifier: GPL-2.0-or-later
#include "check.h"
#include "log.h"
#include "option.h"
#include "rules.h"
#include "run.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

static int run_command(int argc, char **argv);
static int check_command(int argc, char **argv);

static const struct {
	const char *name, *help;
	int (*call)(int argc, char **argv);
} commands[] = {
	{ "run", "collect until told to stop", run_command },
	{ "check", "can this host do it? proves it, and tries each output", check_command },
	{ "rules", "install|remove|show: the static ruleset", rules_command },
};

#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

static void usage(FILE *to)
{
	fputs("usage: nfwho COMMAND [OPTION]...\n"
	      "Who on this machine opened that connection, where it went and what became of "
	      "it.\n\n", to);
	for (size_t i = 0; i < COMMANDS; i++)
		fprintf(to, "  nfwho %-8s  %s\n", commands[i].name, commands[i].help);
}

static int help(void)
{
	usage(stdout);
	puts("\nOptions, and lines of " OPTIONS_CONFIG " [default]:");
	options_help();
	return 0;
}

static int version(void)
{
	puts("nfwho " NFWHO_VERSION);
	return 0;
}

/* The trace takes seven for each CPU: most of us start with 1,024, for the sake of select(2), which
 * is not called here. Where a service manager refuses, its own limit is what there is. */
static void allow_descriptors(void)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) < 0 || files.rlim_cur == files.rlim_max)
		return;
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
}

static int with_options(int argc, char **argv, int (*act)(struct options *options))
{
	struct options options;
	char error[512];
	int result = options_read(&options, argc, argv, error, sizeof(error)), status = 2;

	switch (result) {
	case OPTION_RUN:
		log_set_level((enum log_level)options.log_level);
		allow_descriptors();
		status = act(&options);
		break;
	case OPTION_HELP:
		status = help();
		break;
	case OPTION_VERSION:
		status = version();
		break;
	default:
		log_error("%s", result == -EINVAL ? error : strerror(-result));
	}
	options_free(&options);
	return status;
}

static int run_command(int argc, char **argv)
{
	return with_options(argc, argv, run_collect);
}

static int check_command(int argc, char **argv)
{
	return with_options(argc, argv, check);
}

int main(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : NULL;

	/* A reader of stdout that goes away is an EPIPE, and a limit of a file's size an EFBIG; no
	 * death. */
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	if (!name) {
		usage(stderr);
		return 2;
	}
	if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0)
		return help();
	if (strcmp(name, "--version") == 0 || strcmp(name, "-V") == 0)
		return version();
	for (size_t i = 0; i < COMMANDS; i++) {
		if (strcmp(name, commands[i].name) == 0)
			return commands[i].call(argc - 1, argv + 1);
	}
	log_error("\"%.80s\" is not a command; --help lists them", name);
	return 2;
}
