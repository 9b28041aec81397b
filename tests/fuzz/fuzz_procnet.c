// SPDX-License-Identifier: GPL-2.0-or-later
#include "fuzz.h"
#include "procnet.h"

#include <assert.h>
#include <string.h>

static void decode(const char *line, size_t len, uint8_t family)
{
	struct tuple tuple;
	struct sock sock;

	if (procnet_decode(line, len, family, IPPROTO_TCP, &tuple, &sock) < 0)
		return;
	assert(tuple.family == AF_INET || (tuple.family == AF_INET6 && family == AF_INET6));
	assert(tuple.pad == 0 && tuple.protocol == IPPROTO_TCP);
	assert(sock.cookie == 0 && sock.cgroup_id == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *at = (const char *)data, *end = at + size;

	while (at < end) {
		const char *newline = memchr(at, '\n', end - at);
		size_t len = (newline ? newline : end) - at;

		decode(at, len, AF_INET);
		decode(at, len, AF_INET6);
		at += len + 1;
	}
	return 0;
}
