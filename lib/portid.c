// SPDX-License-Identifier: GPL-2.0-or-later
#include "portid.h"
#include "procfd.h"
#include "procfs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DESCRIPTORS_MAX (1 << 20)

/* "sk Eth Pid Groups Rmem Wmem Dump Locks Drops Inode" */
static bool line_is(const char *line, int protocol, uint32_t portid, uint64_t *inode)
{
	uint32_t found_portid;
	int found_protocol;

	return sscanf(line, "%*s %d %" SCNu32 " %*s %*s %*s %*s %*s %*s %" SCNu64,
		      &found_protocol, &found_portid, inode) == 3 &&
	       found_protocol == protocol && found_portid == portid;
}

static int find_inode(int proc_fd, int protocol, uint32_t portid, uint64_t *inode)
{
	int fd = openat(proc_fd, "self/net/netlink", O_RDONLY | O_CLOEXEC);
	bool found = false;
	char *line = NULL;
	size_t size = 0;
	FILE *file;

	if (fd < 0)
		return -errno;
	file = fdopen(fd, "r");
	if (!file) {
		close(fd);
		return -ENOMEM;
	}
	while (!found && getline(&line, &size, file) >= 0)
		found = line_is(line, protocol, portid, inode);
	free(line);
	fclose(file);
	return found ? 0 : -ENOENT;
}

struct search {
	uint64_t inode;
	bool found;
};

static bool look_at(int fd, uint64_t inode, void *data)
{
	struct search *search = data;

	search->found = fd >= 0 && inode == search->inode;
	return !search->found;
}

static bool holds(int proc_fd, uint32_t pid, uint64_t inode)
{
	struct search search = { .inode = inode };
	int pid_fd = procfs_open(proc_fd, pid);

	if (pid_fd < 0)
		return false;
	procfd_scan(pid_fd, 0, DESCRIPTORS_MAX, look_at, &search);
	close(pid_fd);
	return search.found;
}

static uint32_t pid_of(const char *name)
{
	char *end;
	unsigned long pid = strtoul(name, &end, 10);

	return name[0] < '1' || name[0] > '9' || *end || pid > INT32_MAX ? 0 : (uint32_t)pid;
}

/* /proc lists processes by ascending pid. The first one keeps sockets for those that use them
 * (systemd's descriptor store): it is named if nobody else has it. */
static int find_holder(int proc_fd, uint64_t inode, uint32_t *pid)
{
	int fd = openat(proc_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *directory = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;
	int err = -ESRCH;

	if (!directory) {
		err = -errno;
		if (fd >= 0)
			close(fd);
		return err;
	}
	while (err && (entry = readdir(directory))) {
		uint32_t candidate = pid_of(entry->d_name);

		if (candidate > 1 && holds(proc_fd, candidate, inode)) {
			*pid = candidate;
			err = 0;
		}
	}
	closedir(directory);
	if (err && holds(proc_fd, 1, inode)) {
		*pid = 1;
		err = 0;
	}
	return err;
}

static void read_comm(int proc_fd, uint32_t pid, char comm[static PORTID_COMM_MAX])
{
	char path[32];
	ssize_t n;
	int fd;

	memset(comm, 0, PORTID_COMM_MAX);
	snprintf(path, sizeof(path), "%" PRIu32 "/comm", pid);
	fd = openat(proc_fd, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	n = read(fd, comm, PORTID_COMM_MAX - 1);
	if (n > 0 && comm[n - 1] == '\n')
		comm[n - 1] = '\0';
	close(fd);
}

int portid_process(int proc_fd, int protocol, uint32_t portid, uint32_t *pid,
		   char comm[static PORTID_COMM_MAX])
{
	uint64_t inode;
	int err = find_inode(proc_fd, protocol, portid, &inode);

	if (err)
		return err;
	/* The kernel gives the first socket of a process its pid for a port. */
	if (portid && portid <= INT32_MAX && holds(proc_fd, portid, inode))
		*pid = portid;
	else
		err = find_holder(proc_fd, inode, pid);
	if (!err)
		read_comm(proc_fd, *pid, comm);
	return err;
}
