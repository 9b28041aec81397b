// SPDX-License-Identifier: GPL-2.0-or-later
#include "mounts.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

/* As in <linux/mount.h>, which older ones lack and which cannot stand beside <sys/mount.h>. */
#define CALL_MOUNT_SETATTR 442
#define ATTRIBUTE_READ_ONLY 0x1
#define ATTRIBUTE_NO_DEVICES 0x4

struct attributes {
	uint64_t set, clear, propagation, userns_fd;
};

static int set_attributes(const char *path, const struct attributes *attributes)
{
	return syscall(CALL_MOUNT_SETATTR, AT_FDCWD, path, AT_RECURSIVE, attributes,
		       sizeof(*attributes)) < 0 ? -errno : 0;
}

/* A device is written in spite of a file system that is read-only. */
static const struct attributes nothing, writable = { .clear = ATTRIBUTE_READ_ONLY },
	read_only = { .set = ATTRIBUTE_READ_ONLY | ATTRIBUTE_NO_DEVICES };

/* A mount of its own, that stays writable. */
static int keep_writable(const char *directory)
{
	char path[PATH_MAX];

	if (!realpath(directory, path))
		return errno == ENOENT ? 0 : -errno;
	if (mount(path, path, NULL, MS_BIND | MS_REC, NULL) < 0)
		return -errno;
	return set_attributes(path, &writable);
}

static int is_root(const char *directory)
{
	char path[PATH_MAX];

	return realpath(directory, path) && strcmp(path, "/") == 0;
}

/* The working directory is one below the new mount until it is looked up again. */
static int enter_again(const char *directory)
{
	return chdir(directory) < 0 ? -errno : 0;
}

int mounts_close(const char *const *directories, unsigned int count)
{
	char working[PATH_MAX];
	int err;

	for (unsigned int i = 0; i < count; i++) {
		if (is_root(directories[i]))
			return -EINVAL;
	}
	if (!getcwd(working, sizeof(working)))
		return -errno;
	err = set_attributes("/", &nothing);
	if (err)
		return err;
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0)
		return -errno;
	err = set_attributes("/", &read_only);
	for (unsigned int i = 0; i < count && !err; i++)
		err = keep_writable(directories[i]);
	if (!err)
		err = enter_again(working);
	if (err)
		set_attributes("/", &writable);
	return err;
}
