// SPDX-License-Identifier: GPL-2.0-or-later
#include "sample.h"

#include "tracefs.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

/* Numbers are as wide as the kernel has them (until Linux 5.6 protocol had one byte), but for those
 * that their value would not fit. */
enum kind { NUMBER, BYTES, DATA_LOC };

/* What each tracepoint calls its fields, and how long they must be: numbers at least. */
static const struct expected {
	enum sample_source source;
	enum sample_field field;
	const char *name;
	enum kind kind;
	uint16_t size;
} expected[] = {
	{ SAMPLE_SOCKET_STATE, SAMPLE_SKADDR, "skaddr", NUMBER, 4 },
	{ SAMPLE_SOCKET_STATE, SAMPLE_OLD_STATE, "oldstate", NUMBER, 1 },
	{ SAMPLE_SOCKET_STATE, SAMPLE_NEW_STATE, "newstate", NUMBER, 1 },
	{ SAMPLE_SOCKET_STATE, SAMPLE_SPORT, "sport", NUMBER, 2 },
	{ SAMPLE_SOCKET_STATE, SAMPLE_DPORT, "dport", NUMBER, 2 },
	{ SAMPLE_SOCKET_STATE, SAMPLE_FAMILY, "family", NUMBER, 1 },
	{ SAMPLE_SOCKET_STATE, SAMPLE_PROTOCOL, "protocol", NUMBER, 1 },
	{ SAMPLE_SOCKET_STATE, SAMPLE_SADDR, "saddr", BYTES, 4 },
	{ SAMPLE_SOCKET_STATE, SAMPLE_DADDR, "daddr", BYTES, 4 },
	{ SAMPLE_SOCKET_STATE, SAMPLE_SADDR6, "saddr_v6", BYTES, 16 },
	{ SAMPLE_SOCKET_STATE, SAMPLE_DADDR6, "daddr_v6", BYTES, 16 },
	{ SAMPLE_SOCKET_ERROR, SAMPLE_ERROR, "error", NUMBER, 4 },
	{ SAMPLE_SOCKET_ERROR, SAMPLE_SPORT, "sport", NUMBER, 2 },
	{ SAMPLE_SOCKET_ERROR, SAMPLE_DPORT, "dport", NUMBER, 2 },
	{ SAMPLE_SOCKET_ERROR, SAMPLE_FAMILY, "family", NUMBER, 1 },
	{ SAMPLE_SOCKET_ERROR, SAMPLE_PROTOCOL, "protocol", NUMBER, 1 },
	{ SAMPLE_SOCKET_ERROR, SAMPLE_SADDR, "saddr", BYTES, 4 },
	{ SAMPLE_SOCKET_ERROR, SAMPLE_DADDR, "daddr", BYTES, 4 },
	{ SAMPLE_SOCKET_ERROR, SAMPLE_SADDR6, "saddr_v6", BYTES, 16 },
	{ SAMPLE_SOCKET_ERROR, SAMPLE_DADDR6, "daddr_v6", BYTES, 16 },
	{ SAMPLE_ROUTE, SAMPLE_PROTOCOL, "proto", NUMBER, 1 },
	{ SAMPLE_ROUTE, SAMPLE_SPORT, "sport", NUMBER, 2 },
	{ SAMPLE_ROUTE, SAMPLE_DPORT, "dport", NUMBER, 2 },
	{ SAMPLE_ROUTE, SAMPLE_SADDR, "src", BYTES, 4 },
	{ SAMPLE_ROUTE, SAMPLE_DADDR, "dst", BYTES, 4 },
	{ SAMPLE_EXEC, SAMPLE_FILENAME, "filename", DATA_LOC, 4 },
	{ SAMPLE_EXEC, SAMPLE_OLD_PID, "old_pid", NUMBER, 4 },
};

static bool is_as_expected(const struct expected *e, const struct tracefs_field *field)
{
	if (field->data_loc != (e->kind == DATA_LOC))
		return false;
	if (e->kind != NUMBER)
		return field->size == e->size;
	return field->size >= e->size && (field->size == 1 || field->size == 2 ||
					  field->size == 4 || field->size == 8);
}

int sample_layout_parse(struct sample_layout *layout, enum sample_source source,
			const char *format, size_t len)
{
	struct sample_format *out = &layout->format[source];
	struct tracefs_field field;
	int error;

	out->raw_min = 0;
	for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
		const struct expected *e = &expected[i];

		if (e->source != source)
			continue;
		error = tracefs_format_field(format, len, e->name, &field);
		if (error || !is_as_expected(e, &field))
			return -EBADMSG;
		out->offset[e->field] = field.offset;
		out->size[e->field] = (uint8_t)field.size;
		if (field.offset + field.size > out->raw_min)
			out->raw_min = field.offset + field.size;
	}
	return 0;
}

/* The parts of PERF_RECORD_SAMPLE for SAMPLE_TYPE_BASE, and the sample_id at the end of all other
 * records. */
struct sample_head {
	struct perf_event_header header;
	uint64_t id;
	uint32_t pid, tid;
	uint64_t time_ns;
};

struct sample_id {
	uint32_t pid, tid;
	uint64_t time_ns;
	uint64_t id;
};

size_t sample_time_offset(const struct perf_event_header *header)
{
	if (header->type == PERF_RECORD_SAMPLE)
		return header->size < sizeof(struct sample_head) ? 0 :
		       offsetof(struct sample_head, time_ns);
	if (header->size < sizeof(*header) + sizeof(struct sample_id))
		return 0;
	return header->size - sizeof(struct sample_id) + offsetof(struct sample_id, time_ns);
}

/* The raw data of one sample with where its fields lie. */
struct raw {
	const uint8_t *data;
	uint32_t len;
	const struct sample_format *format;
};

static const uint8_t *raw_bytes(const struct raw *raw, enum sample_field field)
{
	return raw->data + raw->format->offset[field];
}

static uint64_t raw_number(const struct raw *raw, enum sample_field field)
{
	const uint8_t *at = raw_bytes(raw, field);
	uint16_t two;
	uint32_t four;
	uint64_t eight;

	switch (raw->format->size[field]) {
	case 1:
		return *at;
	case 2:
		memcpy(&two, at, sizeof(two));
		return two;
	case 4:
		memcpy(&four, at, sizeof(four));
		return four;
	default:
		memcpy(&eight, at, sizeof(eight));
		return eight;
	}
}

static void raw_tuple(const struct raw *raw, uint8_t family, uint8_t protocol, struct tuple *t)
{
	bool ip6 = family == AF_INET6;

	tuple_set_addresses(t, family,
			    raw_bytes(raw, ip6 ? SAMPLE_SADDR6 : SAMPLE_SADDR),
			    raw_bytes(raw, ip6 ? SAMPLE_DADDR6 : SAMPLE_DADDR));
	t->sport = htons((uint16_t)raw_number(raw, SAMPLE_SPORT));
	t->dport = htons((uint16_t)raw_number(raw, SAMPLE_DPORT));
	t->protocol = protocol;
	t->pad = 0;
}

static int socket_state_decode(const struct raw *raw, struct perf_event *event)
{
	uint64_t family = raw_number(raw, SAMPLE_FAMILY);

	if (family != AF_INET && family != AF_INET6)
		return 1;
	event->kind = PERF_SOCKET_STATE;
	event->socket.skaddr = raw_number(raw, SAMPLE_SKADDR);
	event->socket.protocol = raw_number(raw, SAMPLE_PROTOCOL);
	event->socket.old_state = raw_number(raw, SAMPLE_OLD_STATE);
	event->socket.new_state = raw_number(raw, SAMPLE_NEW_STATE);
	/* The tuple is that of the packets: MPTCP's are TCP's. */
	raw_tuple(raw, family, event->socket.protocol == IPPROTO_SCTP ? IPPROTO_SCTP : IPPROTO_TCP,
		  &event->socket.tuple);
	return 0;
}

static int socket_error_decode(const struct raw *raw, struct perf_event *event)
{
	uint64_t family = raw_number(raw, SAMPLE_FAMILY);
	int error = raw_number(raw, SAMPLE_ERROR);

	if (family != AF_INET && family != AF_INET6)
		return 1;
	event->kind = PERF_SOCKET_ERROR;
	event->error.error = error < 0 && error > INT32_MIN ? -error : error;
	raw_tuple(raw, family, raw_number(raw, SAMPLE_PROTOCOL), &event->error.tuple);
	return 0;
}

static int exec_decode(const struct raw *raw, struct perf_event *event)
{
	uint32_t place = raw_number(raw, SAMPLE_FILENAME);
	uint32_t offset = place & 0xffff, len = place >> 16;

	if (len == 0 || offset + len > raw->len || raw->data[offset + len - 1] != '\0')
		return -EBADMSG;
	event->kind = PERF_EXEC;
	event->exec.filename = (const char *)raw->data + offset;
	event->exec.old_tid = raw_number(raw, SAMPLE_OLD_PID);
	return 0;
}

static int raw_decode(enum sample_source source, const struct raw *raw, struct perf_event *event)
{
	switch (source) {
	case SAMPLE_SOCKET_STATE:
		return socket_state_decode(raw, event);
	case SAMPLE_ROUTE:
		event->kind = PERF_ROUTE;
		raw_tuple(raw, AF_INET, raw_number(raw, SAMPLE_PROTOCOL), &event->route.tuple);
		return 0;
	case SAMPLE_SOCKET_ERROR:
		return socket_error_decode(raw, event);
	case SAMPLE_EXEC:
		return exec_decode(raw, event);
	default:
		return 1;
	}
}

/* The kernel says -1 for a task that has left the pid table (it closes its sockets as it dies), 0
 * for one that this pid namespace does not see. Neither is anybody. */
static uint32_t known_pid(uint32_t pid)
{
	return pid == UINT32_MAX ? 0 : pid;
}

static int sample_record_decode(const struct sample_layout *layout, enum sample_source source,
				const struct perf_event_header *header, struct perf_event *event)
{
	const struct sample_head *head = (const struct sample_head *)header;
	const uint8_t *at = (const uint8_t *)(head + 1);
	size_t left = header->size - sizeof(*head), need;
	struct raw raw;

	if (source == SAMPLE_WAKE || source == SAMPLE_PROCESS)
		return 1;
	need = layout->cgroup ? sizeof(event->cgroup_id) : 0;
	if (left < sizeof(raw.len) + need)
		return -EBADMSG;
	memcpy(&raw.len, at, sizeof(raw.len));
	raw.data = at + sizeof(raw.len);
	left -= sizeof(raw.len) + need;
	raw.format = &layout->format[source];
	if (raw.len > left || raw.len < raw.format->raw_min)
		return -EBADMSG;

	event->time_ns = head->time_ns;
	event->pid = known_pid(head->pid);
	event->tid = known_pid(head->tid);
	event->cgroup_id = 0;
	if (need)
		memcpy(&event->cgroup_id, raw.data + raw.len, need);
	return raw_decode(source, &raw, event);
}

/* FORK and EXIT: the task the record is about, not the one that wrote it. */
struct task_record {
	struct perf_event_header header;
	uint32_t pid, ppid, tid, ptid;
	uint64_t time_ns;
};

struct comm_record {
	struct perf_event_header header;
	uint32_t pid, tid;
	char comm[];	/* padded with zeros to a multiple of 8 */
};

struct lost_record {
	struct perf_event_header header;
	uint64_t id, lost;
};

static int task_decode(const struct perf_event_header *header, struct perf_event *event)
{
	const struct task_record *task = (const struct task_record *)header;

	if (header->size < sizeof(*task) + sizeof(struct sample_id))
		return -EBADMSG;
	event->kind = header->type == PERF_RECORD_FORK ? PERF_FORK : PERF_EXIT;
	event->pid = known_pid(task->pid);
	event->tid = known_pid(task->tid);
	event->fork.parent_pid = known_pid(task->ppid);
	event->fork.parent_tid = known_pid(task->ptid);
	return 0;
}

static int comm_decode(const struct perf_event_header *header, struct perf_event *event)
{
	const struct comm_record *record = (const struct comm_record *)header;
	size_t len;

	if (header->size <= sizeof(*record) + sizeof(struct sample_id))
		return -EBADMSG;
	len = header->size - offsetof(struct comm_record, comm) - sizeof(struct sample_id);
	if (record->comm[len - 1] != '\0')
		return -EBADMSG;
	event->kind = PERF_COMM;
	event->pid = known_pid(record->pid);
	event->tid = known_pid(record->tid);
	event->comm.comm = record->comm;
	return 0;
}

static int lost_decode(const struct perf_event_header *header, struct perf_event *event)
{
	const struct lost_record *record = (const struct lost_record *)header;

	if (header->size < sizeof(*record) + sizeof(struct sample_id))
		return -EBADMSG;
	event->kind = PERF_LOST;
	event->lost.count = record->lost;
	return 0;
}

int sample_decode(const struct sample_layout *layout, enum sample_source source,
		  const struct perf_event_header *header, struct perf_event *event)
{
	const struct sample_id *id;

	if (!sample_time_offset(header))
		return -EBADMSG;
	if (header->type == PERF_RECORD_SAMPLE)
		return sample_record_decode(layout, source, header, event);

	id = (const struct sample_id *)((const uint8_t *)header + header->size - sizeof(*id));
	event->time_ns = id->time_ns;
	event->pid = known_pid(id->pid);
	event->tid = known_pid(id->tid);
	event->cgroup_id = 0;
	switch (header->type) {
	case PERF_RECORD_FORK:
	case PERF_RECORD_EXIT:
		return task_decode(header, event);
	case PERF_RECORD_COMM:
		return comm_decode(header, event);
	case PERF_RECORD_LOST:
		return lost_decode(header, event);
	default:
		return 1;
	}
}
