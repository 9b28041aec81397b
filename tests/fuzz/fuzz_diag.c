// SPDX-License-Identifier: GPL-2.0-or-later
#include "diag.h"
#include "fuzz.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct tuple tuple;
	struct sock sock;

	if (diag_decode(data, size, IPPROTO_TCP, &tuple, &sock) < 0)
		return 0;
	assert(size >= 72);
	assert(tuple.family == AF_INET || tuple.family == AF_INET6);
	assert(tuple.pad == 0 && tuple.protocol == IPPROTO_TCP);
	if (tuple.family == AF_INET) {
		for (int i = 4; i < 16; i++)
			assert(tuple.src.bytes[i] == 0 && tuple.dst.bytes[i] == 0);
	}
	return 0;
}
