// SPDX-License-Identifier: GPL-2.0-or-later
/* Every file of /proc/PID that we parse: the same bytes are offered to each parser. */
#include "cgroup.h"
#include "fuzz.h"
#include "procfs.h"

#include <assert.h>
#include <string.h>

static void check_place(const struct cgroup_place *place)
{
	assert(memchr(place->unit, '\0', sizeof(place->unit)));
	assert(memchr(place->container_id, '\0', sizeof(place->container_id)));
	assert((place->container_id[0] != '\0') == (place->container_runtime != NULL));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *bytes = (const char *)data, *path;
	struct procfs_status status;
	struct procfs_stat stat;
	struct cgroup_place place;
	uint64_t inode;
	uint32_t number;
	bool deleted;
	size_t len;

	if (procfs_parse_stat(bytes, size, &stat) == 0)
		assert(memchr(stat.comm, '\0', sizeof(stat.comm)));
	if (procfs_parse_status(bytes, size, &status) == 0)
		assert(memchr(status.comm, '\0', sizeof(status.comm)));
	procfs_parse_number(bytes, size, &number);
	procfs_parse_namespace(bytes, size, &inode);
	len = procfs_parse_command_line(bytes, size, &number);
	assert(len <= size && number <= len + 1 && (len == 0) == (number == 0));
	assert(procfs_parse_link(bytes, size, &deleted) <= size);

	len = cgroup_choose(bytes, size, &path);
	assert(!len || (path >= bytes && path + len <= bytes + size && path[0] == '/'));
	cgroup_describe(path, len, &place);
	check_place(&place);
	cgroup_describe(bytes, size, &place);
	check_place(&place);
	return 0;
}
