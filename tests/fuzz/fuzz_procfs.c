// SPDX-License-Identifier: GPL-2.0-or-later
/* Every file of /proc/PID that we parse, and conntrack's timeouts: the same bytes are offered to
 * each parser, and stand in each file. */
#include "cgroup.h"
#include "ct_timeout.h"
#include "files.h"
#include "fuzz.h"
#include "process.h"
#include "procfd.h"
#include "procfs.h"

#include <assert.h>
#include <string.h>

static void check_place(const struct cgroup_place *place)
{
	assert(memchr(place->unit, '\0', sizeof(place->unit)));
	assert(memchr(place->container_id, '\0', sizeof(place->container_id)));
	assert((place->container_id[0] != '\0') == (place->container_runtime != NULL));
}

#define COMMAND_LINE_MAX 256

static void check_process(const struct process *p, uint32_t pid)
{
	if (!p)
		return;
	assert(p->pid == pid && memchr(p->comm, '\0', sizeof(p->comm)));
	assert(p->command_line_len <= COMMAND_LINE_MAX);
	assert(!p->executable || strcmp(p->executable, "/bin/a") == 0);
	assert(!p->directory || strcmp(p->directory, "/bin/a") == 0);
	assert(!p->container_id == !p->container_runtime);
}

/* All of it is said of whoever is asked for. */
static void look_at_processes(void)
{
	const struct process_config config = {
		.max_processes = 4, .command_line_max_bytes = COMMAND_LINE_MAX,
		.proc_fd = FILES_DIRECTORY,
	};
	struct process_table *t;
	struct process *p;

	files_link("ns:[1]");
	assert(process_table_new(&t, &config) == 0);
	p = process_find(t, 1, 0);
	files_link("/bin/a (deleted)");
	check_process(p ? process_refresh(t, p) : NULL, 1);
	check_process(process_find(t, 2, 0), 2);
	assert(strlen(process_thread_name(t, 1, 2)) < PROCESS_COMM_MAX);
	process_table_free(t);
}

static bool count_socket(int fd, uint64_t inode, void *data)
{
	(void)inode;
	*(int *)data += fd >= 0;
	return true;
}

/* The link of each descriptor says the same. */
static void look_at_descriptors(void)
{
	uint64_t inode;
	int sockets = 0, n = procfd_scan(FILES_DIRECTORY, 0, 64, count_socket, &sockets);

	assert(n > 0 && sockets == (procfd_socket(FILES_DIRECTORY, 3, &inode) == 1 ? n : 0));
}

static void look_at_timeouts(const char *bytes, size_t size)
{
	struct ct_timeout timeout;
	uint32_t number = 0;

	ct_timeout_read(&timeout);
	assert(size > 32 || procfs_parse_number(bytes, size, &number) || number == 0 ||
	       ct_timeout_of(&timeout, 1) == number);
}

/* What is read is what is parsed. */
static void read_files(const char *bytes, size_t size, int stat_result, int status_result)
{
	struct procfd_identity who;
	struct procfs_status status;
	struct procfs_stat stat;
	uint32_t pids[4], number;
	uint64_t inode;
	int n;

	files_begin((const uint8_t *)bytes, size);
	files_directories(8);
	n = procfs_read_stat(FILES_DIRECTORY, &stat);
	assert(size > 1024 || n == stat_result);
	n = procfs_read_status(FILES_DIRECTORY, &status);
	assert(size > 4096 || n == status_result);
	procfs_read_number(FILES_DIRECTORY, "loginuid", &number);
	procfs_read_namespace(FILES_DIRECTORY, "ns/net", &inode);
	if (procfd_identify(FILES_DIRECTORY, FILES_DIRECTORY, &who) == 0)
		assert(who.pid != 0);
	if (procfd_socket(FILES_DIRECTORY, 3, &inode) == 1)
		assert(size >= sizeof("socket:[1]") - 1);
	n = procfd_children(FILES_DIRECTORY, 1, pids, 4);
	assert(n >= 0 && n <= 4);
	if (size % 4 == 1) {	/* not always: what takes time is to open them */
		look_at_descriptors();
		look_at_timeouts(bytes, size);
		look_at_processes();
	}
	files_end();
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
	int stat_result, status_result;
	size_t len;

	stat_result = procfs_parse_stat(bytes, size, &stat);
	if (stat_result == 0)
		assert(memchr(stat.comm, '\0', sizeof(stat.comm)));
	status_result = procfs_parse_status(bytes, size, &status);
	if (status_result == 0)
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
	read_files(bytes, size, stat_result, status_result);
	return 0;
}
