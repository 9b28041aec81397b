// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The format files of tracefs, the list of CPUs to watch, and what leads to the one and to cgroups:
 * /proc/self/mountinfo, then /proc/self/cgroup and cgroup.procs. The same bytes stand in each.
 */
#include "cgroupfs.h"
#include "cpulist.h"
#include "files.h"
#include "fuzz.h"
#include "points.h"
#include "tracefs.h"

#include <assert.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>

/* A cgroup's id that is opened by its handle, and one that is searched for (files.c). */
#define CGROUP_OPENED 617
#define CGROUP_REFUSED 616

/* Whatever a mountinfo calls tracefs is one. */
int fstatfs(int fd, struct statfs *fs)
{
	(void)fd;
	*fs = (struct statfs){ .f_type = TRACEFS_MAGIC };
	return 0;
}

/* Whether it tells where tracefs is, by a name that leads there (files.c). */
static bool try_mountinfo_line(const char *line)
{
	char path[64];
	bool is_debugfs, is_tracefs = tracefs_mountinfo_line(line, path, sizeof(path), &is_debugfs);

	assert(!is_tracefs || strnlen(path, sizeof(path)) < sizeof(path));
	if (cgroupfs_mount_point(line, path, sizeof(path)))
		assert(strnlen(path, sizeof(path)) < sizeof(path));
	return is_tracefs && path[0] == '/';
}

static bool try_mountinfo(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1), *line = text, *newline;
	bool found = false;

	assert(text);
	memcpy(text, data, size);
	text[size] = '\0';
	for (; line < text + size; line = newline ? newline + 1 : text + size) {
		newline = memchr(line, '\n', (size_t)(text + size - line));
		if (newline)
			*newline = '\0';
		found |= try_mountinfo_line(line);
	}
	free(text);
	return found;
}

/* Without a mount it would make one, which is no parsing. */
static void load_points(void)
{
	const struct perf_config config = { .ends = true };
	struct watch_config watch;
	struct sample_layout layout;
	const char *why = NULL;

	if (points_load(&watch, &layout, &config, &why) == 0)
		assert(watch.source[SAMPLE_EXEC].wanted &&
		       watch.source[SAMPLE_SOCKET_STATE].wanted);
	else
		assert(why);
}

static void try_cpus(const char *text, size_t size)
{
	bool cpus[CPULIST_MAX];

	if (cpulist_parse(text, size, cpus) == 0)
		assert(memchr(cpus, 1, sizeof(cpus)));
}

static void look_for_cgroups(void)
{
	struct cgroupfs fs;
	uint32_t pids[4];
	const char *path;

	cgroupfs_init(&fs, FILES_DIRECTORY);
	path = cgroupfs_path(&fs, CGROUP_OPENED);
	assert(strnlen(path, CGROUPFS_PATH_MAX) < CGROUPFS_PATH_MAX);
	assert(!strcmp(cgroupfs_path(&fs, CGROUP_OPENED), path));
	assert(!*cgroupfs_path(&fs, CGROUP_REFUSED));
	assert(cgroupfs_members(&fs, CGROUP_OPENED, pids, 4) <= 4);
	cgroupfs_fini(&fs);
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
	try_cpus(text, size);
	files_begin(data, size);
	files_directories(1);
	if (try_mountinfo(data, size))
		load_points();
	if (size % 4 == 1)	/* not always: what takes time is to open them */
		look_for_cgroups();
	files_end();
	return 0;
}
