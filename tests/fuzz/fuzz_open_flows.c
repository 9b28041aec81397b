// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The list of open connections of an earlier run: what is valid is handed on as often as it says,
 * and a list of the same that is written and read again has the same content.
 */
#include "fuzz.h"
#include "open_flows.h"
#include "process.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

struct seen {
	struct open_flows_writer *writer;	/* NULL: the second time */
	uint32_t count;
	uint64_t sum;				/* of what must be the same */
};

static uint64_t sum_of(const char *text)
{
	uint64_t sum = 5381;

	while (text && *text)
		sum = sum * 33 + (unsigned char)*text++;
	return sum;
}

static void look(const struct flow *f, const char *prefix, void *data)
{
	const struct process *p = f->process;
	struct seen *seen = data;

	assert(f->tuple.family == AF_INET || f->tuple.family == AF_INET6);
	assert(f->tuple.pad == 0 && f->seen & FLOW_STARTED && !(f->seen & FLOW_CONNECT));
	assert(f->owner > OWNER_UNDECIDED && f->owner <= OWNER_TRACE);
	seen->count++;
	seen->sum = seen->sum * 31 + sum_of(prefix) + f->number + f->seen + f->start_ns +
		    f->tuple.sport + f->bytes[0] + f->owner + f->mark;
	if (p)
		seen->sum += sum_of(p->executable) + sum_of(p->comm) + p->pid + p->known +
			     p->command_line_len + sum_of(p->unit);
	if (p && p->parent)
		seen->sum += sum_of(p->parent->executable) + p->parent->pid;
	if (seen->writer)
		assert(open_flows_add(seen->writer, f, prefix) == 0);
}

static void look_again(const char *list, size_t size, const struct open_flows *first,
		       const struct seen *before)
{
	struct open_flows about;
	struct seen seen = { 0 };

	assert(open_flows_read(list, size, &about, look, &seen) == 0);
	assert(about.count == first->count && about.next_number == first->next_number &&
	       strcmp(about.series, first->series) == 0);
	assert(seen.count == before->count && seen.sum == before->sum);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char list[1 << 20];
	struct open_flows about;
	struct seen seen = { 0 };
	FILE *file;
	long len;

	/* Nothing is handed on of a list that is not whole. */
	if (open_flows_read(data, size, &about, look, &seen) < 0) {
		assert(seen.count == 0);
		return 0;
	}
	assert(seen.count == about.count);
	seen = (struct seen){ 0 };
	file = fmemopen(list, sizeof(list), "w");
	assert(file && open_flows_begin(&seen.writer, file, &about) == 0);
	assert(open_flows_read(data, size, &about, look, &seen) == 0);
	assert(open_flows_end(seen.writer) == 0);
	len = ftell(file);
	fclose(file);
	assert(len > 0 && (size_t)len < sizeof(list));
	look_again(list, (size_t)len, &about, &seen);
	return 0;
}
