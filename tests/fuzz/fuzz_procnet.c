// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The tables of /proc/net: each line, the whole file as it may come in pieces, and the two that
 * tell whose a netlink port and a log group are.
 */
#include "files.h"
#include "fuzz.h"
#include "nflog.h"
#include "portid.h"
#include "procnet.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

/* The last socket of a family that stands in a whole line below the heading. */
struct last {
	struct sock_query query[2];
	unsigned int count;
};

static void decode(const char *line, size_t len, uint8_t family, struct sock_query *last)
{
	struct tuple tuple;
	struct sock sock;

	if (procnet_decode(line, len, family, IPPROTO_TCP, &tuple, &sock) < 0)
		return;
	assert(tuple.family == AF_INET || (tuple.family == AF_INET6 && family == AF_INET6));
	assert(tuple.pad == 0 && tuple.protocol == IPPROTO_TCP);
	assert(sock.cookie == 0 && sock.cgroup_id == 0);
	if (last)
		*last = (struct sock_query){ .tuple = tuple, .found = true };
}

static void decode_lines(const char *at, const char *end, struct sock_query last[static 2])
{
	for (bool heading = true; at < end; heading = false) {
		const char *newline = memchr(at, '\n', end - at);
		bool counts = newline && !heading;
		size_t len = (newline ? newline : end) - at;

		decode(at, len, AF_INET, counts ? &last[0] : NULL);
		decode(at, len, AF_INET6, counts ? &last[1] : NULL);
		at += len + 1;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sock_query last[2] = { 0 }, asked[2];
	char comm[PORTID_COMM_MAX];
	uint64_t invalid = 0;
	uint32_t number;

	decode_lines((const char *)data, (const char *)data + size, last);
	memcpy(asked, last, sizeof(last));
	files_begin(data, size);
	if (size % 8 == 1)	/* a read(2) each */
		files_give(16 + size % 64);
	assert(procnet_lookup(FILES_DIRECTORY, asked, 2, &invalid) == 0);
	for (int i = 0; i < 2; i++)
		assert(!last[i].found || asked[i].found);
	if (size % 4 == 1) {	/* not always: what takes time is to open them */
		asked[0].tuple.protocol = IPPROTO_UDP;
		assert(procnet_lookup(FILES_DIRECTORY, asked, 1, NULL) == 0);
		assert(portid_process(FILES_DIRECTORY, 12, 617, &number, comm) < 0);
		assert(nflog_group_holder(617, &number) == 0);
	}
	files_end();
	return 0;
}
