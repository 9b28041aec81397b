// SPDX-License-Identifier: GPL-2.0-or-later
#include "fuzz.h"
#include "redact.h"

#include <assert.h>
#include <string.h>

/* The first byte chooses the room; the rest is a command line. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char out[8192];
	size_t room, len;

	if (size == 0)
		return 0;
	room = data[0] ? 1 + data[0] * 32 : 1;
	len = redact(out, room, (const char *)data + 1, size - 1);
	assert(len < room && out[len] == '\0');
	assert(!memchr(out, '\0', len));
	len = redact_nothing(out, room, (const char *)data + 1, size - 1);
	assert(len < room && out[len] == '\0' && len <= size - 1);
	return 0;
}
