// SPDX-License-Identifier: GPL-2.0-or-later
#include "fuzz.h"
#include "redact.h"

#include <assert.h>
#include <string.h>

/* What stands behind an option named like a secret never comes through. */
static void hide(const char *value, size_t size)
{
	static const char head[] = "program\0--password\0";
	static const char line[] = "program --password " REDACT_MARK;
	size_t len = strnlen(value, size);
	char args[4096], out[8192];

	if (len == 0 || len > sizeof(args) - sizeof(head) || value[0] == '-')
		return;
	memcpy(args, head, sizeof(head) - 1);
	memcpy(args + sizeof(head) - 1, value, len);
	len = redact(out, sizeof(out), args, sizeof(head) - 1 + len);
	assert(len == sizeof(line) - 1 && memcmp(out, line, len) == 0);
}

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
	hide((const char *)data + 1, size - 1);
	return 0;
}
