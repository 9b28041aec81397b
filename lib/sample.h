/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NFWHO_SAMPLE_H
#define NFWHO_SAMPLE_H

#include "perf.h"

#include <linux/perf_event.h>

/* What the records in a perf ring mean: bytes in, struct perf_event out. Pure. */

/* Which of our events a record came from. */
enum sample_source {
	SAMPLE_PROCESS,		/* no samples: carries FORK, COMM and EXIT */
	SAMPLE_EXEC,
	SAMPLE_WAKE,		/* beside each exec, empty: only there to wake the reader */
	SAMPLE_SOCKET_STATE,
	SAMPLE_ROUTE,
	SAMPLE_SOCKET_ERROR,
	SAMPLE_SOURCES,
};

/* The fields read of each source; the order within a source is fixed by sample.c. */
enum sample_field {
	SAMPLE_SKADDR, SAMPLE_OLD_STATE, SAMPLE_NEW_STATE, SAMPLE_ERROR, SAMPLE_FILENAME,
	SAMPLE_OLD_PID, SAMPLE_FAMILY, SAMPLE_PROTOCOL, SAMPLE_SPORT, SAMPLE_DPORT,
	SAMPLE_SADDR, SAMPLE_DADDR, SAMPLE_SADDR6, SAMPLE_DADDR6,
	SAMPLE_FIELDS,
};

struct sample_format {
	uint16_t offset[SAMPLE_FIELDS];		/* in the raw data */
	uint8_t size[SAMPLE_FIELDS];		/* of a number: 1, 2, 4 or 8 */
	uint16_t raw_min;			/* shorter raw data lacks a field */
};

struct sample_layout {
	bool cgroup;				/* PERF_SAMPLE_CGROUP was accepted */
	struct sample_format format[SAMPLE_SOURCES];
};

/* The sample type of every event but SAMPLE_WAKE's, and what all records end with. */
#define SAMPLE_TYPE_BASE (PERF_SAMPLE_IDENTIFIER | PERF_SAMPLE_TID | PERF_SAMPLE_TIME)
#define SAMPLE_TYPE_FULL (SAMPLE_TYPE_BASE | PERF_SAMPLE_RAW)

#define SAMPLE_ID_OFFSET 8	/* of the identifier in a PERF_RECORD_SAMPLE */

/* Takes the fields' places from the text of a format file. Returns 0, or -EBADMSG if a field is
 * missing or has a size that is none for what it holds, or the text is not understood. */
int sample_layout_parse(struct sample_layout *layout, enum sample_source source,
			const char *format, size_t len);

/* Where in a record its time stands, 0 if the record is too short to have one. */
size_t sample_time_offset(const struct perf_event_header *header);

/* Decodes one whole record (header->size bytes from `header`, as ring_record gives it). `source`
 * matters for PERF_RECORD_SAMPLE only. event->cpu is left as it is. Strings in *event point into
 * the record. Returns 0, 1 if the record is of a kind that tells us nothing, -EBADMSG if it is
 * shorter than its fields. */
int sample_decode(const struct sample_layout *layout, enum sample_source source,
		  const struct perf_event_header *header, struct perf_event *event);

#endif
