// SPDX-License-Identifier: GPL-2.0-or-later
#include "rules.h"
#include "log.h"
#include "portid.h"
#include "rules_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <linux/netlink.h>
#include <unistd.h>

#define TEXT_MAX (64 * 1024)	/* ruleset_print(): holds any ruleset */

void rules_config(const struct options *options, struct ruleset_config *config)
{
	*config = (struct ruleset_config){
		.group = options->group,
		.snaplen_bytes = RULESET_SNAPLEN_BYTES,
		.hooks = options->hooks,
		.protocols = options->protocols,
		.loopback = options->loopback,
		.conntrack = options->conntrack,
		.limit_per_second = options->rule_limit,
		.prefix = RULESET_PREFIX,
		.untracked_prefix = RULESET_PREFIX_UNTRACKED,
	};
}

/* "pid 812 (ulogd)", or what is known instead. */
static void describe_owner(uint32_t portid, char *text, size_t size)
{
	int proc_fd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char comm[PORTID_COMM_MAX];
	uint32_t pid;

	if (proc_fd >= 0 &&
	    portid_process(proc_fd, NETLINK_NETFILTER, portid, &pid, comm) == 0)
		snprintf(text, size, "pid %u (%s)", pid, comm);
	else
		snprintf(text, size, "netlink port %u, of a process that is not visible here",
			 portid);
	if (proc_fd >= 0)
		close(proc_fd);
}

static void complain_owner(struct ruleset *r)
{
	enum ruleset_state state;
	uint32_t portid = 0;
	char owner[96] = "another process";

	if (r && ruleset_inspect(r, &state, &portid) == 0 && portid)
		describe_owner(portid, owner, sizeof(owner));
	log_error("table inet " RULESET_TABLE " is owned by %s: stop that first", owner);
}

void rules_complain(int err, struct ruleset *r)
{
	switch (err) {
	case -EBUSY:
		complain_owner(r);
		break;
	case -EEXIST:
		log_error("there is a table inet " RULESET_TABLE " that nfwho did not make: rename "
			  "or delete it, or use --ruleset none");
		break;
	case -EPERM:
	case -EACCES:
		log_error("not permitted to change the nftables ruleset: needs root or "
			  "CAP_NET_ADMIN");
		break;
	case -EPROTONOSUPPORT:
		log_error(r ? "this kernel's nf_tables lacks something the rules need: inet "
			  "tables, log, ct, limit or named counters" :
			  "this kernel has no nf_tables (CONFIG_NF_TABLES, module nf_tables)");
		break;
	case -EINVAL:
		log_error("no such rules can be made: without conntrack only --protocols tcp");
		break;
	case -EOPNOTSUPP:
		log_error("this kernel has no owned tables (needs Linux 5.12): use --ruleset "
			  "static");
		break;
	case -EAGAIN:
		log_error("other programs keep changing the nftables ruleset: try again");
		break;
	default:
		log_error("cannot change the nftables ruleset: %s", strerror(-err));
	}
}

static void say_boot(const char *path)
{
	const char *boot = rules_file_boot();

	if (strcmp(path, RULES_FILE) == 0)
		log_info("to have it loaded at boot, end %s with: include \"/etc/nfwho/*.nft\"",
			 boot);
	else
		log_info("to have it loaded at boot, end %s with: include \"%s\"", boot, path);
}

static void complain_file(int err, const char *path)
{
	log_error("%s: %s", path, err == -EEXIST ? "is not a file that nfwho wrote" :
		  err == -EINVAL ? "is not the name of a file" : strerror(-err));
}

/* The file is written first and moved into its place last: what usually fails (no space, a
 * read-only file system) fails before the kernel has the rules. */
int rules_install(const struct options *options, const char *path)
{
	static char text[TEXT_MAX];
	struct ruleset_config config;
	struct rules_file file;
	struct ruleset *r = NULL;
	int len, err;

	rules_config(options, &config);
	len = ruleset_print(&config, text, sizeof(text));
	err = len < 0 ? len : ruleset_open(&r, &config);
	if (err) {
		rules_complain(err, NULL);
		return 1;
	}
	err = rules_file_write(&file, path, text, (size_t)len);
	if (err) {
		complain_file(err, path);
		goto out;
	}
	err = ruleset_create(r, false);
	if (err) {
		rules_file_abandon(&file);
		rules_complain(err, r);
		goto out;
	}
	err = rules_file_commit(&file);
	if (err) {
		complain_file(err, path);
		goto out;
	}
	log_info("table inet " RULESET_TABLE " is loaded, and written to %s", path);
	say_boot(path);
out:
	ruleset_close(r);
	return err ? 1 : 0;
}

int rules_remove(const struct options *options, const char *path)
{
	struct ruleset_config config;
	struct ruleset *r = NULL;
	int err;

	rules_config(options, &config);
	err = ruleset_open(&r, &config);
	if (!err)
		err = ruleset_remove(r);
	if (err) {
		rules_complain(err, r);
		ruleset_close(r);
		return 1;
	}
	ruleset_close(r);
	/* Without the file, nft would refuse all of the boot's ruleset. */
	if (rules_file_is_included(path)) {
		log_error("%s is still included by %s: take that line out, then remove again",
			  path, rules_file_boot());
		return 1;
	}
	err = rules_file_remove(path);
	if (err) {
		complain_file(err, path);
		return 1;
	}
	log_info("table inet " RULESET_TABLE " and %s are gone", path);
	return 0;
}

static void say_state(const struct ruleset_config *config)
{
	enum ruleset_state state;
	struct ruleset *r = NULL;
	uint32_t portid;
	char owner[96];

	if (ruleset_open(&r, config) < 0)
		return;
	if (ruleset_inspect(r, &state, &portid) == 0) {
		switch (state) {
		case RULESET_ABSENT:
			log_info("not loaded");
			break;
		case RULESET_STANDS:
			log_info("loaded as printed");
			break;
		case RULESET_OWNED:
			describe_owner(portid, owner, sizeof(owner));
			log_info("the loaded table is owned by %s", owner);
			break;
		case RULESET_ALTERED:
			log_info("loaded, but with other rules than these: install puts them "
				 "right");
			break;
		case RULESET_FOREIGN:
			log_info("the loaded table inet " RULESET_TABLE " is not nfwho's");
			break;
		}
	}
	ruleset_close(r);
}

int rules_show(const struct options *options)
{
	static char text[TEXT_MAX];
	struct ruleset_config config;
	int len;

	rules_config(options, &config);
	len = ruleset_print(&config, text, sizeof(text));
	if (len < 0) {
		rules_complain(len, NULL);
		return 1;
	}
	if (fwrite(text, 1, (size_t)len, stdout) != (size_t)len || fflush(stdout) != 0) {
		if (errno == EPIPE)
			return 0;
		log_error("stdout: %s", strerror(errno));
		return 1;
	}
	say_state(&config);
	return 0;
}

/* Takes --file out of the arguments; the rest is the option table's. -EINVAL: its value is
 * missing. */
static int take_file(int *argc, char **argv, const char **path)
{
	int kept = 0;

	for (int i = 0; i < *argc; i++) {
		if (strncmp(argv[i], "--file=", 7) == 0) {
			*path = argv[i] + 7;
		} else if (strcmp(argv[i], "--file") == 0) {
			if (++i >= *argc)
				return -EINVAL;
			*path = argv[i];
		} else {
			argv[kept++] = argv[i];
		}
	}
	*argc = kept;
	return **path ? 0 : -EINVAL;
}

static int act(const char *action, const struct options *options, const char *path)
{
	if (strcmp(action, "install") == 0)
		return rules_install(options, path);
	if (strcmp(action, "remove") == 0)
		return rules_remove(options, path);
	return rules_show(options);
}

static int help(void)
{
	puts("usage: nfwho rules install|remove|show [--file PATH] [OPTION]...\n"
	     "PATH [" RULES_FILE "]; options that shape the rules:");
	options_help();
	return 0;
}

int rules_command(int argc, char **argv)
{
	const char *action = argc > 1 ? argv[1] : "", *path = RULES_FILE;
	struct options options = { 0 };
	char error[1024] = "";
	int ret;

	if (strcmp(action, "--help") == 0 || strcmp(action, "-h") == 0)
		return help();
	if (strcmp(action, "install") != 0 && strcmp(action, "remove") != 0 &&
	    strcmp(action, "show") != 0) {
		log_error("\"%.80s\" is nothing that can be done with rules: install, remove or "
			  "show", action);
		return 2;
	}
	argc--;
	argv++;
	if (take_file(&argc, argv, &path) < 0) {
		log_error("--file: its value is missing");
		return 2;
	}
	ret = options_read(&options, argc, argv, error, sizeof(error));
	if (ret == OPTION_RUN) {
		log_set_level(options.log_level);
		ret = act(action, &options, path);
	} else if (ret == OPTION_HELP) {
		ret = help();
	} else if (ret == OPTION_VERSION) {
		puts("nfwho " NFWHO_VERSION);
		ret = 0;
	} else {
		log_error("%s", ret == -ENOMEM ? strerror(ENOMEM) : error);
		ret = 2;
	}
	options_free(&options);
	return ret;
}
