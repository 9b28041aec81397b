// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What a file of records ends with when it is opened: a torn record is cut off, another line only
 * ended. Input: how long a line stands before the rest (in units of 1,000 bytes), and the rest.
 */
#include "files.h"
#include "fuzz.h"
#include "record.h"
#include "sink_kind.h"

#include <assert.h>
#include <string.h>

#define UNIT 1000
#define LINE_MAX_UNITS 10

static size_t last_line(const uint8_t *content, size_t len)
{
	const uint8_t *newline = memrchr(content, '\n', len);

	return newline ? (size_t)(newline - content) + 1 : 0;
}

static void check(const uint8_t *before, size_t len, const uint8_t *after, size_t after_len)
{
	size_t begin = last_line(before, len), kept = after_len < len ? after_len : len;

	assert(memcmp(before, after, kept) == 0);
	if (begin == len)
		assert(after_len == len);
	else if (before[begin] == '{' && len - begin < RECORD_MAX)
		assert(after_len == begin);
	else if (before[begin] != '{')
		assert(after_len == len + 1);
	assert(after_len == 0 || after[after_len - 1] == '\n');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t before[LINE_MAX_UNITS * UNIT + 65536], after[sizeof(before) + 1];
	struct output output = { .kind = OUTPUT_FILE, .target = (char *)"file:/a",
				 .path = (char *)"/a", .mode = 0640, .queue_bytes = 4096 };
	struct sink *s;
	char error[512];
	size_t len;

	if (size == 0 || size > 65536)
		return 0;
	len = data[0] % (LINE_MAX_UNITS + 1) * UNIT;
	memset(before, 'x', len);
	memcpy(before + len, data + 1, size - 1);
	len += size - 1;
	files_begin(before, len);
	files_directories(1);
	assert(sink_open(&s, &output, -1, error, sizeof(error)) == 0);
	sink_close(s);
	check(before, len, after, files_content(after, sizeof(after)));
	files_end();
	return 0;
}
