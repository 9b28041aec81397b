/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NFWHO_OPTION_H
#define NFWHO_OPTION_H

#include "owner.h"
#include "record.h"
#include "ruleset.h"

/*
 * What the user asked for. One table in option.c is the source of the command line, of
 * configuration files, of --help and of the lists in the manual pages.
 */

enum choice { CHOICE_AUTO, CHOICE_ON, CHOICE_OFF };

enum ruleset_mode { RULESET_MODE_AUTO, RULESET_MODE_OWNED, RULESET_MODE_STATIC, RULESET_MODE_NONE };

enum output_kind {
	OUTPUT_STDOUT, OUTPUT_FILE, OUTPUT_UNIX, OUTPUT_STREAM, OUTPUT_TCP, OUTPUT_SYSLOG,
	OUTPUT_ULOGD,
};

enum output_format { FORMAT_DEFAULT, FORMAT_ECS, FORMAT_ULOGD, FORMAT_TEXT };

/* One --output, taken apart. */
struct output {
	enum output_kind kind;
	enum output_format format;
	char *target;		/* as given, without options: names it in messages and the ledger */
	char *path;		/* file or socket; NULL for stdout, tcp, syslog */
	char *host, *port;	/* tcp */
	uint64_t size_bytes;	/* file: rotate at this size; 0 never */
	unsigned int keep;	/* file: rotated files kept */
	unsigned int mode;	/* file: permission bits */
	char *group;		/* file: group name; NULL unchanged */
};

#define OPTIONS_OUTPUTS_MAX 16
#define OPTIONS_LABELS_MAX 32

struct options {
	struct output outputs[OPTIONS_OUTPUTS_MAX];
	unsigned int output_count;
	uint16_t group;
	enum ruleset_mode ruleset;
	uint32_t hooks, protocols;	/* enum ruleset_hook, enum ruleset_protocol */
	bool loopback;
	bool events_start, events_end;
	uint32_t rate, burst, rate_total;	/* records per second; 0: no limit */
	uint32_t summary_interval_s, ledger_interval_s;
	enum choice trace;
	uint32_t trace_buffer_bytes;	/* per CPU */
	enum owner_lookup_mode lookup;
	bool conntrack, sysctl;
	uint32_t max_flows, max_processes;
	enum record_command_line command_line;
	struct record_label labels[OPTIONS_LABELS_MAX];
	unsigned int label_count;
	char *user;
	bool final;
	int log_level;		/* 0 error, 1 warning, 2 info, 3 debug */
};

enum option_result { OPTION_RUN = 1, OPTION_HELP, OPTION_VERSION };

/* Defaults, then the configuration file (--config, else /etc/nfwho.conf if it is there), then the
 * command line, which wins. Returns OPTION_*, or -EINVAL after writing one line that quotes what
 * was wrong and says what would be right into `error`. */
int options_read(struct options *options, int argc, char **argv, char *error, size_t error_size);

void options_free(struct options *options);

/* --help: every option with its default, to stdout. */
void options_help(void);

#endif
