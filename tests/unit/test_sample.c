// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Tracepoints as another kernel may have them: the formats of Linux 6.18, with fields made wider,
 * narrower, moved, added and taken away. A record is laid out as such a text says it, with all of
 * it that is in no field of ours set to ones, and decoded by what was understood of the text.
 */
#include "sample.h"

#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define FORMATS "tests/fuzz/corpus/tracefs/"
#define SKADDR 0xffff888112345678
#define PROGRAM "/usr/bin/program"

static const struct {
	enum sample_source source;
	const char *event;
} points[] = {
	{ SAMPLE_SOCKET_STATE, "inet_sock_set_state" },
	{ SAMPLE_SOCKET_ERROR, "inet_sk_error_report" },
	{ SAMPLE_ROUTE, "fib_table_lookup" },
	{ SAMPLE_EXEC, "sched_process_exec" },
};
#define POINTS (sizeof(points) / sizeof(points[0]))

/* What we read of them, and the least bytes in which that fits; of numbers, others will do. */
static const struct ours {
	enum sample_source source;
	const char *name;
	unsigned int bytes;
	bool number;
} ours[] = {
	{ SAMPLE_SOCKET_STATE, "skaddr", 4, true },
	{ SAMPLE_SOCKET_STATE, "oldstate", 1, true }, { SAMPLE_SOCKET_STATE, "newstate", 1, true },
	{ SAMPLE_SOCKET_STATE, "sport", 2, true }, { SAMPLE_SOCKET_STATE, "dport", 2, true },
	{ SAMPLE_SOCKET_STATE, "family", 1, true }, { SAMPLE_SOCKET_STATE, "protocol", 1, true },
	{ SAMPLE_SOCKET_STATE, "saddr", 4, false }, { SAMPLE_SOCKET_STATE, "daddr", 4, false },
	{ SAMPLE_SOCKET_STATE, "saddr_v6", 16, false },
	{ SAMPLE_SOCKET_STATE, "daddr_v6", 16, false },
	{ SAMPLE_SOCKET_ERROR, "error", 4, true },
	{ SAMPLE_SOCKET_ERROR, "sport", 2, true }, { SAMPLE_SOCKET_ERROR, "dport", 2, true },
	{ SAMPLE_SOCKET_ERROR, "family", 1, true }, { SAMPLE_SOCKET_ERROR, "protocol", 1, true },
	{ SAMPLE_SOCKET_ERROR, "saddr", 4, false }, { SAMPLE_SOCKET_ERROR, "daddr", 4, false },
	{ SAMPLE_SOCKET_ERROR, "saddr_v6", 16, false },
	{ SAMPLE_SOCKET_ERROR, "daddr_v6", 16, false },
	{ SAMPLE_ROUTE, "proto", 1, true }, { SAMPLE_ROUTE, "sport", 2, true },
	{ SAMPLE_ROUTE, "dport", 2, true }, { SAMPLE_ROUTE, "src", 4, false },
	{ SAMPLE_ROUTE, "dst", 4, false },
	{ SAMPLE_EXEC, "filename", 4, false }, { SAMPLE_EXEC, "old_pid", 4, true },
};
#define OURS (sizeof(ours) / sizeof(ours[0]))

struct field {
	char declaration[64];
	unsigned int offset, size, is_signed;
};

/* One tracepoint of a kernel. */
struct kernel {
	enum sample_source source;
	unsigned int count;
	struct field field[32];
	char text[4096];
	size_t text_len;
};

static void field_name(const struct field *f, char name[static 32])
{
	const char *last = strrchr(f->declaration, ' ');

	assert_non_null(last);
	snprintf(name, 32, "%.*s", (int)strcspn(last + 1, "["), last + 1);
}

static struct field *field_of(struct kernel *k, const char *wanted)
{
	char name[32];

	for (unsigned int i = 0; i < k->count; i++) {
		field_name(&k->field[i], name);
		if (strcmp(name, wanted) == 0)
			return &k->field[i];
	}
	return NULL;
}

/* The text itself follows from the fields: write_text(). */
static void kernel_load(struct kernel *k, unsigned int point)
{
	char path[128], line[2048];
	FILE *file;

	memset(k, 0, sizeof(*k));
	k->source = points[point].source;
	snprintf(path, sizeof(path), FORMATS "%s", points[point].event);
	file = fopen(path, "re");
	assert_non_null(file);
	while (fgets(line, sizeof(line), file)) {
		struct field *f = &k->field[k->count];

		if (sscanf(line, " field:%63[^;]; offset:%u; size:%u; signed:%u;", f->declaration,
			   &f->offset, &f->size, &f->is_signed) == 4)
			k->count++;
	}
	fclose(file);
}

static void write_text(struct kernel *k)
{
	size_t at = (size_t)snprintf(k->text, sizeof(k->text), "name: x\nID: 1\nformat:\n");

	for (unsigned int i = 0; i < k->count; i++) {
		const struct field *f = &k->field[i];

		at += (size_t)snprintf(k->text + at, sizeof(k->text) - at,
				       "\tfield:%s;\toffset:%u;\tsize:%u;\tsigned:%u;\n",
				       f->declaration, f->offset, f->size, f->is_signed);
		assert_true(at < sizeof(k->text));
	}
	k->text_len = at;
}

/* One behind the other, numbers aligned to themselves. */
static void lay_out(struct kernel *k)
{
	unsigned int at = 0;

	for (unsigned int i = 0; i < k->count; i++) {
		struct field *f = &k->field[i];
		unsigned int step = f->size == 2 || f->size == 4 || f->size == 8 ? f->size : 1;

		at = (at + step - 1) / step * step;
		f->offset = at;
		at += f->size;
	}
}

static void insert(struct kernel *k, unsigned int at, unsigned int size)
{
	struct field *f = &k->field[at];

	assert_true(at <= k->count && k->count < 32);
	memmove(f + 1, f, (k->count++ - at) * sizeof(*f));
	*f = (struct field) { .size = size };
	snprintf(f->declaration, sizeof(f->declaration), "__u8 sports[%u]", size);
}

static int understand(struct kernel *k, struct sample_layout *layout)
{
	write_text(k);
	memset(layout, 0, sizeof(*layout));
	return sample_layout_parse(layout, k->source, k->text, k->text_len);
}

static void resize(struct kernel *k, const char *name, unsigned int size)
{
	struct field *f = field_of(k, name);

	assert_non_null(f);
	f->size = size;
	lay_out(k);
}

struct record {
	struct perf_event_header header;
	uint64_t id;
	uint32_t pid, tid;
	uint64_t time_ns;
	uint32_t raw_len;
	uint8_t raw[1024];
};

static void put_number(struct kernel *k, struct record *r, const char *name, uint64_t value)
{
	const struct field *f = field_of(k, name);
	const uint8_t one = (uint8_t)value;
	const uint16_t two = (uint16_t)value;
	const uint32_t four = (uint32_t)value;
	const void *bytes = f->size == 1 ? &one : f->size == 2 ? (const void *)&two :
			    f->size == 4 ? (const void *)&four : &value;

	assert_true(f->size == 1 || f->size == 2 || f->size == 4 || f->size == 8);
	memcpy(r->raw + f->offset, bytes, f->size);
}

static void put_address(struct kernel *k, struct record *r, const char *name, int family,
			const char *address)
{
	assert_int_equal(inet_pton(family, address, r->raw + field_of(k, name)->offset), 1);
}

static void put_addresses(struct kernel *k, struct record *r)
{
	put_address(k, r, "saddr", AF_INET, "198.51.100.1");
	put_address(k, r, "daddr", AF_INET, "203.0.113.9");
	put_address(k, r, "saddr_v6", AF_INET6, "2001:db8::1");
	put_address(k, r, "daddr_v6", AF_INET6, "2001:db8::9");
}

static void put_fields(struct kernel *k, struct record *r, int family)
{
	if (k->source == SAMPLE_EXEC) {
		put_number(k, r, "filename", sizeof(PROGRAM) << 16 | (r->raw_len - 32));
		strcpy((char *)r->raw + r->raw_len - 32, PROGRAM);
		put_number(k, r, "old_pid", 4711);
		return;
	}
	put_number(k, r, "sport", 40000);
	put_number(k, r, "dport", 443);
	if (k->source == SAMPLE_ROUTE) {
		put_number(k, r, "proto", IPPROTO_TCP);
		put_address(k, r, "src", AF_INET, "198.51.100.1");
		put_address(k, r, "dst", AF_INET, "203.0.113.9");
		return;
	}
	put_addresses(k, r);
	put_number(k, r, "family", (uint64_t)family);
	put_number(k, r, "protocol", IPPROTO_TCP);
	if (k->source == SAMPLE_SOCKET_ERROR) {
		put_number(k, r, "error", ECONNREFUSED);
		return;
	}
	put_number(k, r, "skaddr", SKADDR);
	put_number(k, r, "oldstate", TCP_CLOSE);
	put_number(k, r, "newstate", TCP_SYN_SENT);
}

static int decode(struct kernel *k, const struct sample_layout *layout, struct record *r,
		  struct perf_event *event)
{
	r->header = (struct perf_event_header) {
		.type = PERF_RECORD_SAMPLE,
		.size = (uint16_t)(offsetof(struct record, raw) + r->raw_len),
	};
	memset(event, 0, sizeof(*event));
	return sample_decode(layout, k->source, &r->header, event);
}

/* With 32 bytes behind the last field, where an executed name stands. */
static void record_make(struct kernel *k, struct record *r, int family)
{
	*r = (struct record) { .id = 1, .pid = 77, .tid = 78, .time_ns = 1000 };
	memset(r->raw, 0xff, sizeof(r->raw));
	for (unsigned int i = 0; i < k->count; i++)
		if (r->raw_len < k->field[i].offset + k->field[i].size)
			r->raw_len = k->field[i].offset + k->field[i].size;
	r->raw_len = (r->raw_len + 32 + 7) / 8 * 8 + 4;
	assert_true(r->raw_len <= sizeof(r->raw));
	put_fields(k, r, family);
}

static void assert_tuple(const struct tuple *t, int family)
{
	char text[TUPLE_ADDRESS_MAX];
	bool six = family == AF_INET6;

	assert_int_equal(t->family, family);
	assert_int_equal(t->protocol, IPPROTO_TCP);
	assert_int_equal(ntohs(t->sport), 40000);
	assert_int_equal(ntohs(t->dport), 443);
	assert_string_equal(tuple_address(t->family, &t->src, text),
			    six ? "2001:db8::1" : "198.51.100.1");
	assert_string_equal(tuple_address(t->family, &t->dst, text),
			    six ? "2001:db8::9" : "203.0.113.9");
}

static void assert_event(struct kernel *k, const struct perf_event *e, int family)
{
	assert_int_equal(e->pid, 77);
	assert_int_equal(e->tid, 78);
	assert_true(e->time_ns == 1000);
	if (k->source == SAMPLE_EXEC) {
		assert_int_equal(e->kind, PERF_EXEC);
		assert_string_equal(e->exec.filename, PROGRAM);
		assert_int_equal(e->exec.old_tid, 4711);
	} else if (k->source == SAMPLE_ROUTE) {
		assert_int_equal(e->kind, PERF_ROUTE);
		assert_tuple(&e->route.tuple, AF_INET);
	} else if (k->source == SAMPLE_SOCKET_ERROR) {
		assert_int_equal(e->kind, PERF_SOCKET_ERROR);
		assert_int_equal(e->error.error, ECONNREFUSED);
		assert_tuple(&e->error.tuple, family);
	} else {
		assert_int_equal(e->kind, PERF_SOCKET_STATE);
		assert_true(e->socket.skaddr == (field_of(k, "skaddr")->size == 4 ?
						 (uint32_t)SKADDR : SKADDR));
		assert_int_equal(e->socket.protocol, IPPROTO_TCP);
		assert_int_equal(e->socket.old_state, TCP_CLOSE);
		assert_int_equal(e->socket.new_state, TCP_SYN_SENT);
		assert_tuple(&e->socket.tuple, family);
	}
}

static void assert_decoded(struct kernel *k)
{
	static const int families[] = { AF_INET, AF_INET6 };
	struct sample_layout layout;
	struct perf_event event;
	struct record record;

	assert_int_equal(understand(k, &layout), 0);
	for (int i = 0; i < 2; i++) {
		record_make(k, &record, families[i]);
		assert_int_equal(decode(k, &layout, &record, &event), 0);
		assert_event(k, &event, families[i]);
	}
}

static void assert_refused(struct kernel *k)
{
	struct sample_layout layout;

	assert_int_equal(understand(k, &layout), -EBADMSG);
}

static unsigned int point_of(enum sample_source source)
{
	unsigned int i = 0;

	while (points[i].source != source)
		i++;
	return i;
}

static void each_is_decoded_as_linux_6_18_has_it(void **state)
{
	struct kernel k;

	(void)state;
	for (unsigned int i = 0; i < POINTS; i++) {
		kernel_load(&k, i);
		assert_true(k.count > 6);
		assert_decoded(&k);
	}
}

/* Until Linux 5.6 protocol had one byte, with a hole behind it. */
static void a_number_may_be_as_wide_as_it_likes_if_its_value_fits(void **state)
{
	struct kernel k;

	(void)state;
	for (size_t i = 0; i < OURS; i++)
		for (unsigned int bytes = ours[i].bytes; ours[i].number && bytes <= 8; bytes *= 2) {
			kernel_load(&k, point_of(ours[i].source));
			resize(&k, ours[i].name, bytes);
			assert_decoded(&k);
		}
}

static void all_numbers_may_be_wide_at_once(void **state)
{
	struct kernel k;

	(void)state;
	for (unsigned int point = 0; point < POINTS; point++) {
		kernel_load(&k, point);
		for (size_t i = 0; i < OURS; i++)
			if (ours[i].number && ours[i].source == k.source)
				resize(&k, ours[i].name, 8);
		assert_decoded(&k);
	}
}

/* In front of the header, inside of it, between any two, and behind the last. */
static void a_new_field_may_stand_anywhere(void **state)
{
	static const unsigned int sizes[] = { 1, 4, 64, 300 };
	struct kernel k;

	(void)state;
	for (unsigned int point = 0; point < POINTS; point++) {
		kernel_load(&k, point);
		for (unsigned int at = k.count + 1; at-- > 0;)
			for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
				kernel_load(&k, point);
				insert(&k, at, sizes[i]);
				lay_out(&k);
				assert_decoded(&k);
			}
	}
}

static void fields_may_stand_in_any_order(void **state)
{
	struct kernel k, turned;

	(void)state;
	for (unsigned int point = 0; point < POINTS; point++) {
		kernel_load(&k, point);
		for (unsigned int turn = 0; turn < k.count; turn++) {
			turned = k;
			for (unsigned int i = 0; i < k.count; i++)
				turned.field[i] = k.field[(2 * k.count - 1 - i + turn) % k.count];
			lay_out(&turned);
			assert_decoded(&turned);
			turned = k;	/* and only the places, not the lines */
			for (unsigned int i = 0; i < k.count; i++)
				turned.field[i].offset = 400 - k.field[i].offset -
							 k.field[i].size;
			assert_decoded(&turned);
		}
	}
}

static void what_nobody_reads_may_be_missing(void **state)
{
	struct kernel k;

	(void)state;
	for (unsigned int point = 0; point < POINTS; point++) {
		kernel_load(&k, point);
		for (unsigned int i = k.count; i-- > 0;) {
			bool wanted = false;
			char name[32];

			field_name(&k.field[i], name);
			for (size_t o = 0; o < OURS; o++)
				wanted |= ours[o].source == k.source &&
					  strcmp(ours[o].name, name) == 0;
			if (!wanted)
				memmove(&k.field[i], &k.field[i + 1],
					(--k.count - i) * sizeof(k.field[0]));
		}
		lay_out(&k);
		assert_decoded(&k);
	}
}

static void a_format_that_lacks_a_field_is_refused(void **state)
{
	struct kernel k;

	(void)state;
	for (size_t i = 0; i < OURS; i++) {
		struct field *f;

		kernel_load(&k, point_of(ours[i].source));
		f = field_of(&k, ours[i].name);
		assert_non_null(f);
		*strstr(f->declaration, ours[i].name) = 'x';
		assert_refused(&k);
	}
}

static void a_width_that_a_field_cannot_have_is_refused(void **state)
{
	struct kernel k;

	(void)state;
	for (size_t i = 0; i < OURS; i++)
		for (unsigned int bytes = 0; bytes <= 32; bytes++) {
			const struct ours *o = &ours[i];

			if (o->number ? bytes >= o->bytes && (bytes == 1 || bytes == 2 ||
							      bytes == 4 || bytes == 8) :
					bytes == o->bytes)
				continue;
			kernel_load(&k, point_of(o->source));
			resize(&k, o->name, bytes);
			assert_refused(&k);
		}
}

/* There is __rel_loc as well, which counts from the field's own end. */
static void only_the_name_may_stand_elsewhere_in_the_record(void **state)
{
	struct kernel k;
	struct field *f;

	(void)state;
	for (size_t i = 0; i < OURS; i++) {
		kernel_load(&k, point_of(ours[i].source));
		f = field_of(&k, ours[i].name);
		f->size = 4;
		snprintf(f->declaration, sizeof(f->declaration), "__data_loc char[] %s",
			 ours[i].name);
		if (strcmp(ours[i].name, "filename") == 0)
			assert_decoded(&k);
		else
			assert_refused(&k);
		snprintf(f->declaration, sizeof(f->declaration), "__rel_loc char[] filename");
		assert_refused(&k);
	}
}

static void a_record_that_ends_before_its_last_field_is_refused(void **state)
{
	struct sample_layout layout;
	struct perf_event event;
	struct record record;
	struct kernel k;

	(void)state;
	for (size_t i = 0; i < OURS; i++) {
		const struct field *f;

		kernel_load(&k, point_of(ours[i].source));
		field_of(&k, ours[i].name)->offset = 400;
		f = field_of(&k, ours[i].name);
		assert_int_equal(understand(&k, &layout), 0);
		record_make(&k, &record, AF_INET);
		record.raw_len = f->offset + f->size - 1;
		assert_int_equal(decode(&k, &layout, &record, &event), -EBADMSG);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_is_decoded_as_linux_6_18_has_it),
		cmocka_unit_test(a_number_may_be_as_wide_as_it_likes_if_its_value_fits),
		cmocka_unit_test(all_numbers_may_be_wide_at_once),
		cmocka_unit_test(a_new_field_may_stand_anywhere),
		cmocka_unit_test(fields_may_stand_in_any_order),
		cmocka_unit_test(what_nobody_reads_may_be_missing),
		cmocka_unit_test(a_format_that_lacks_a_field_is_refused),
		cmocka_unit_test(a_width_that_a_field_cannot_have_is_refused),
		cmocka_unit_test(only_the_name_may_stand_elsewhere_in_the_record),
		cmocka_unit_test(a_record_that_ends_before_its_last_field_is_refused),
	};

	return cmocka_run_group_tests_name("formats of tracepoints", tests, NULL, NULL);
}
