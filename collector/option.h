/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NFWHO_OPTION_H
#define NFWHO_OPTION_H

#include "filter.h"
#include "output.h"
#include "owner.h"
#include "record.h"
#include "ruleset.h"

/*
 * What the user asked for. One table, in setting.c, is the source of the command line, of
 * configuration files, of --help and of the lists in the manual pages.
 */

#define OPTIONS_CONFIG "/etc/nfwho.conf"

enum choice { CHOICE_AUTO, CHOICE_ON, CHOICE_OFF };

enum ruleset_mode { RULESET_MODE_AUTO, RULESET_MODE_OWNED, RULESET_MODE_STATIC, RULESET_MODE_NONE };

#define OPTIONS_OUTPUTS_MAX 16
#define OPTIONS_LABELS_MAX 32
#define OPTIONS_TAGS_MAX 32

struct options {
	int argc;		/* of the command line, to read it all again */
	char **argv;
	struct output outputs[OPTIONS_OUTPUTS_MAX];
	unsigned int output_count;
	uint16_t group;
	enum ruleset_mode ruleset;
	uint32_t hooks, protocols;	/* enum ruleset_hook, enum ruleset_protocol */
	bool loopback;
	uint32_t rule_limit;	/* packets per second and rule; 0: no limit */
	struct filter filter;
	bool events_start, events_end;
	uint32_t rate, burst, rate_total;	/* connections per second; 0: no limit */
	uint32_t summary_interval_s, ledger_interval_s;
	enum choice trace;
	uint32_t receive_buffer_bytes;	/* of each netlink socket */
	uint32_t trace_buffer_bytes;	/* per CPU */
	enum owner_lookup_mode lookup;
	bool conntrack, sysctl;
	uint32_t max_flows, max_processes;
	enum record_command_line command_line;
	struct record_label labels[OPTIONS_LABELS_MAX];
	unsigned int label_count;
	const char *tags[OPTIONS_TAGS_MAX];	/* owned */
	unsigned int tag_count;
	uint32_t priority_boost;	/* nice(2), negated */
	char *metrics;		/* file; NULL: none */
	char *user;		/* NULL: stay who we are */
	bool final;
	int log_level;		/* enum log_level */
};

enum option_result { OPTION_RUN = 1, OPTION_HELP, OPTION_VERSION };

/* Defaults, then the configuration file (--config, else /etc/nfwho.conf if it is there), then the
 * command line, which wins: --output, --only and --except there replace those of the file, a
 * --label the one with the same key. argv[0] is skipped. Returns OPTION_*, -ENOMEM, or -EINVAL
 * after writing one line that quotes what was wrong and says what would be right into `error`. The
 * caller owns the content of *options in every case: options_free(). */
int options_read(struct options *options, int argc, char **argv, char *error, size_t error_size);

/* Only the defaults. 0 or -ENOMEM. */
int options_init(struct options *options);

/* Applies the text of a configuration file; `name` stands for it in messages. `text` may be any
 * bytes. Returns as options_read(), 0 for success. */
int options_parse(struct options *options, const char *text, size_t len, const char *name,
		  char *error, size_t error_size);

void options_free(struct options *options);

/* --help: every option with its default, to stdout. */
void options_help(void);

/* One option, for documents and tests that must name them all. */
struct option_info {
	const char *name, *argument, *preset;	/* preset NULL: none */
	bool in_file;				/* may stand in a configuration file */
	bool fixed;				/* cannot change while running */
};

/* The index-th; false when there are no more. */
bool option_info(unsigned int index, struct option_info *info);

#endif
