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

/* An end is written up to minutes after its start, and the container may be gone by then: what was
 * found is remembered. Sets of WAYS, the last asked for first; room for 4096, of which memory is
 * used for those that there are: some 100 bytes each. */
#define SETS_LOG2 9
#define WAYS 8

struct cgroupfs_known {
	uint64_t id;	/* 0: none, nor any behind it in its set */
	char *path;	/* NULL: gone */
};

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
	for (unsigned int i = 0; fs->known && i < WAYS << SETS_LOG2; i++)
		free(fs->known[i].path);
	free(fs->known);
	fs->known = NULL;
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

/* It is not the one that is looked for, or cannot be; anything else may be over soon, and says
 * nothing of what is there. */
static bool is_passed_by(int error)
{
	return error == ENOENT || error == ESTALE || error == ENOTDIR || error == ELOOP ||
	       error == EACCES || error == EPERM;
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
			fd = is_passed_by(errno) ? -ENOENT : -errno;
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

/* The set that has the id, or will have it. Ids that are made one after the other lie apart by what
 * one cgroup has of files. NULL: no memory. */
static struct cgroupfs_known *set_of(struct cgroupfs *fs, uint64_t id)
{
	if (!fs->known)
		fs->known = calloc(WAYS << SETS_LOG2, sizeof(*fs->known));
	if (!fs->known)
		return NULL;
	return &fs->known[(id * 0x9e3779b97f4a7c15 >> (64 - SETS_LOG2)) * WAYS];
}

/* Takes the path over. One that is gone is remembered in the last place, and costs at most one
 * path. */
static void remember(struct cgroupfs_known *set, uint64_t id, char *path)
{
	unsigned int at = 0;

	while (at < WAYS - 1 && set[at].id)
		at++;
	free(set[at].path);
	if (path) {
		memmove(&set[1], &set[0], at * sizeof(set[0]));
		at = 0;
	}
	set[at] = (struct cgroupfs_known) { .id = id, .path = path };
}

/* NULL: not known; "": gone. */
static const char *recall(struct cgroupfs_known *set, uint64_t id)
{
	struct cgroupfs_known found;
	unsigned int at = 0;

	while (at < WAYS && set[at].id != id)
		at++;
	if (at == WAYS)
		return NULL;
	if (!set[at].path)
		return "";
	found = set[at];
	memmove(&set[1], &set[0], at * sizeof(set[0]));
	set[0] = found;
	return found.path;
}

/* Ids are never given twice in one boot, and a cgroup can be moved nowhere and renamed only in v1:
 * what was found once stays right, and what is gone stays gone. */
const char *cgroupfs_path(struct cgroupfs *fs, uint64_t id)
{
	struct cgroupfs_known *set;
	const char *path;
	char *copy;
	int fd;

	if (id == 0 || fs->mount_fd < 0)
		return "";
	set = set_of(fs, id);
	path = set ? recall(set, id) : NULL;
	if (path)
		return path;
	fd = open_id(fs, id);
	if (fd < 0 && fd != -ENOENT && fd != -ESTALE)
		return "";
	if (fd < 0 || !path_of(fs, fd, fs->path))
		fs->path[0] = '\0';
	if (fd >= 0)
		close(fd);
	copy = set && fs->path[0] ? strdup(fs->path) : NULL;
	if (set && (copy || !fs->path[0]))
		remember(set, id, copy);
	return copy ? copy : fs->path;
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
