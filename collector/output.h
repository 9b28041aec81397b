/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NFWHO_OUTPUT_H
#define NFWHO_OUTPUT_H

#include <stddef.h>
#include <stdint.h>

/* One --output as the user wrote it, TARGET[,key=value...], taken apart. */

enum output_kind {
	OUTPUT_STDOUT, OUTPUT_FILE, OUTPUT_UNIX, OUTPUT_STREAM, OUTPUT_TCP, OUTPUT_SYSLOG,
	OUTPUT_ULOGD,
};

enum output_format {
	FORMAT_DEFAULT, FORMAT_ECS, FORMAT_ULOGD,
	FORMAT_TEXT, FORMAT_COLOUR,	/* on a terminal text is coloured */
	FORMAT_PACKET,		/* frames for ulogd2's UNIXSOCK: what OUTPUT_ULOGD takes */
};

struct output {
	enum output_kind kind;
	enum output_format format;
	char *target;		/* as given, without options: names it in messages and the ledger */
	char *path;		/* file or socket; NULL for stdout and tcp */
	char *host, *port;	/* tcp */
	uint64_t size_bytes;	/* file: rotate at this size; 0 never */
	unsigned int keep;	/* file: rotated files kept */
	unsigned int mode;	/* file: permission bits */
	char *group;		/* file: group name; NULL unchanged */
	uint64_t queue_bytes;	/* what may wait for it */
};

/* Takes `text` apart. A comma that belongs to a path is written "\,". Returns 0, -ENOMEM, or
 * -EINVAL after saying in `why` what was wrong and what would be right. The caller owns the
 * strings: output_fini(). */
int output_parse(struct output *output, const char *text, char *why, size_t size);

/* A copy of its own. 0 or -ENOMEM. */
int output_copy(struct output *to, const struct output *from);

void output_fini(struct output *output);

#endif
