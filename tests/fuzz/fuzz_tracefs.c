// SPDX-License-Identifier: GPL-2.0-or-later
#include "cgroupfs.h"
#include "fuzz.h"
#include "sample.h"
#include "tracefs.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static void try_mountinfo(const uint8_t *data, size_t size)
{
	char path[64], *line = malloc(size + 1);
	bool is_debugfs;

	assert(line);
	memcpy(line, data, size);
	line[size] = '\0';
	if (tracefs_mountinfo_line(line, path, sizeof(path), &is_debugfs))
		assert(strnlen(path, sizeof(path)) < sizeof(path));
	if (cgroupfs_mount_point(line, path, sizeof(path)))
		assert(strnlen(path, sizeof(path)) < sizeof(path));
	free(line);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const names[] = { "skaddr", "saddr", "filename", "a", "" };
	const char *text = (const char *)data;
	struct sample_layout layout;
	struct tracefs_field field;
	uint32_t id;

	tracefs_format_id(text, size, &id);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (tracefs_format_field(text, size, names[i], &field) == 0)
			assert(field.offset + field.size <= UINT16_MAX);
	for (int source = 0; source < SAMPLE_SOURCES; source++)
		if (sample_layout_parse(&layout, source, text, size) == 0)
			for (int i = 0; i < SAMPLE_FIELDS; i++)
				assert(layout.format[source].raw_min <= UINT16_MAX);
	try_mountinfo(data, size);
	return 0;
}
