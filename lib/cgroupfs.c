// SPDX-License-Identifier: GPL-2.0-or-later
#include "cgroupfs.h"
#include "mountinfo.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* FILEID_KERNFS of include/linux/exportfs.h: the handle is the 64-bit id (5.5). */
#define CGROUPFS_FILEID 0xfe

/* Some 10 us for each: hosts that run hundreds of containers have a few thousand. */
#define CGROUPFS_WALK_MAX 4096

bool cgroupfs_mount_point(const char *line, char *path, size_t size)
{
	struct mountinfo m;

	return mountinfo_split(line, &m) && mountinfo_is(m.type, "cgroup2") &&
	       mountinfo_unescape(m.point, path, size);
}

void cgroupfs_init(struct cgroupfs *fs, int proc_fd)
{
	int fd = openat(proc_fd, "self/mountinfo", O_RDONLY | O_CLOEXEC);
	FILE *file = fd < 0 ? NULL : fdopen(fd, "r");
	char path[CGROUPFS_PATH_MAX], *line = NULL;
	size_t size = 0;

	memset(fs, 0, sizeof(*fs));
	fs->mount_fd = -1;
	if (!file) {
		if (fd >= 0)
			close(fd);
		return;
	}
	while (fs->mount_fd < 0 && getline(&line, &size, file) > 0) {
		if (!cgroupfs_mount_point(line, path, sizeof(path)))
			continue;
		fs->mount_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		fs->root_len = strcmp(path, "/") == 0 ? 0 : strlen(path);
	}
	free(line);
	fclose(file);
}

void cgroupfs_fini(struct cgroupfs *fs)
{
	if (fs->mount_fd >= 0)
		close(fs->mount_fd);
	fs->mount_fd = -1;
}

static int open_handle(struct cgroupfs *fs, uint64_t id)
{
	union {
		struct file_handle handle;
		uint8_t room[sizeof(struct file_handle) + sizeof(id)];
	} h = { .handle = { .handle_bytes = sizeof(id), .handle_type = CGROUPFS_FILEID } };
	int fd;

	memcpy(h.handle.f_handle, &id, sizeof(id));
	fd = open_by_handle_at(fs->mount_fd, &h.handle, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* The directory below `dir` whose inode number is `id`, which is the cgroup's id too, or -errno;
 * takes `dir` over. In no more than *rest directories. */
static int walk(int dir, uint64_t id, unsigned int *rest)
{
	DIR *list = fdopendir(dir);
	struct dirent *entry;
	int fd = -ENOENT;

	if (!list) {
		close(dir);
		return -ENOMEM;
	}
	while (fd == -ENOENT && *rest && (entry = readdir(list))) {
		if (entry->d_type != DT_DIR || entry->d_name[0] == '.')
			continue;
		(*rest)--;
		fd = openat(dir, entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (fd < 0)
			fd = -ENOENT;	/* gone by now */
		else if (entry->d_ino != id)
			fd = walk(fd, id, rest);
	}
	closedir(list);
	return fd;
}

/* Where handles are refused, as a service manager's filter does it. */
static int open_id(struct cgroupfs *fs, uint64_t id)
{
	unsigned int rest = CGROUPFS_WALK_MAX;
	struct stat st;
	int fd;

	if (fs->mount_fd < 0)
		return -ENOENT;
	fd = open_handle(fs, id);
	if (fd != -EPERM && fd != -ENOSYS)
		return fd;
	fd = openat(fs->mount_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	return fstat(fd, &st) == 0 && st.st_ino == id ? fd : walk(fd, id, &rest);
}

/* The kernel says where an open directory is; below the mount point, " (deleted)" if it is not
 * any more. */
static bool path_of(const struct cgroupfs *fs, int fd, char path[static CGROUPFS_PATH_MAX])
{
	static const char deleted[] = " (deleted)";
	char name[40], full[CGROUPFS_PATH_MAX * 2];
	ssize_t n;

	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	n = readlink(name, full, sizeof(full) - 1);
	if (n < (ssize_t)fs->root_len || n - fs->root_len >= CGROUPFS_PATH_MAX)
		return false;
	full[n] = '\0';
	if (n >= (ssize_t)sizeof(deleted) && !strcmp(full + n - (sizeof(deleted) - 1), deleted))
		return false;
	strcpy(path, (size_t)n > fs->root_len ? full + fs->root_len : "/");
	return true;
}

/* Ids are never given twice in one boot, and a cgroup can be moved nowhere and renamed only in v1:
 * what was found once stays right, and what is gone stays gone. */
const char *cgroupfs_path(struct cgroupfs *fs, uint64_t id)
{
	unsigned int slot = id % CGROUPFS_CACHE;
	int fd;

	if (id == 0)
		return "";
	if (fs->cache[slot].id == id)
		return fs->cache[slot].path;
	fd = open_id(fs, id);
	if (fd < 0 && fd != -ENOENT && fd != -ESTALE)
		return "";
	fs->cache[slot].id = id;
	if (fd < 0 || !path_of(fs, fd, fs->cache[slot].path))
		fs->cache[slot].path[0] = '\0';
	if (fd >= 0)
		close(fd);
	return fs->cache[slot].path;
}

int cgroupfs_members(struct cgroupfs *fs, uint64_t id, uint32_t *pids, unsigned int max)
{
	int dir = open_id(fs, id), fd;
	unsigned int count = 0;
	FILE *file;

	if (dir < 0)
		return dir;
	fd = openat(dir, "cgroup.procs", O_RDONLY | O_CLOEXEC);
	close(dir);
	if (fd < 0)
		return -errno;
	file = fdopen(fd, "r");
	if (!file) {
		close(fd);
		return -ENOMEM;
	}
	while (count < max && fscanf(file, "%" SCNu32, &pids[count]) == 1)
		count++;
	fclose(file);
	return count;
}
