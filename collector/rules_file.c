// SPDX-License-Identifier: GPL-2.0-or-later
#include "rules_file.h"
#include "ruleset.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CONTENT_MAX (1024 * 1024)

/* The directory of `path`, made if `make`; the rest of it into `name`. */
static int open_directory(const char *path, bool make, char *name, size_t size)
{
	const char *slash = strrchr(path, '/');
	const char *base = slash ? slash + 1 : path;
	char *directory;
	int fd;

	if (!*base || strcmp(base, ".") == 0 || strcmp(base, "..") == 0)
		return -EINVAL;
	/* A dot and six letters are to fit beside it. */
	if (strlen(base) + 16 > size)
		return -ENAMETOOLONG;
	strcpy(name, base);
	directory = slash ? strndup(path, slash == path ? 1 : (size_t)(slash - path)) :
			    strdup(".");
	if (!directory)
		return -ENOMEM;
	if (make)
		mkdir(directory, 0755);
	fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		fd = -errno;
	free(directory);
	return fd;
}

static int write_all(int fd, const char *text, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, text, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		text += n;
		len -= (size_t)n;
	}
	return fchmod(fd, 0644) < 0 || fsync(fd) < 0 ? -errno : 0;
}

static int open_temporary(struct rules_file *file)
{
	int fd;

	for (unsigned int i = 0; i < 100; i++) {
		snprintf(file->temporary, sizeof(file->temporary), ".%.240s.%u", file->name, i);
		fd = openat(file->directory, file->temporary,
			    O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
		if (fd >= 0)
			return fd;
		if (errno != EEXIST)
			break;
	}
	return -errno;
}

/* The content of a regular file with NUL behind it; NULL with errno set. */
static char *read_file(int directory, const char *name, int flags)
{
	int fd = openat(directory, name, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC | flags);
	char *content = fd < 0 ? NULL : malloc(CONTENT_MAX + 1);
	ssize_t n = 0;
	size_t len = 0;
	int error;

	while (content && len < CONTENT_MAX &&
	       (n = read(fd, content + len, CONTENT_MAX - len)) > 0)
		len += (size_t)n;
	error = errno;
	if (content && n < 0) {
		free(content);
		content = NULL;
	}
	if (content)
		content[len] = '\0';
	if (fd >= 0)
		close(fd);
	errno = error;
	return content;
}

/* 0: we wrote it. -ENOENT, -EEXIST: somebody else's, whatever it is, or -errno. */
static int is_ours(int directory, const char *name)
{
	char *content = read_file(directory, name, O_NOFOLLOW);
	int err = 0;

	if (!content)
		err = errno == ELOOP ? -EEXIST : -errno;
	else if (!strstr(content, "\nflush table inet " RULESET_TABLE "\n"))
		err = -EEXIST;
	free(content);
	return err;
}

int rules_file_write(struct rules_file *file, const char *path, const char *text, size_t len)
{
	int fd, err;

	file->directory = open_directory(path, true, file->name, sizeof(file->name));
	if (file->directory < 0)
		return file->directory;
	err = is_ours(file->directory, file->name);
	if (err && err != -ENOENT)
		goto out_directory;
	fd = open_temporary(file);
	err = fd;
	if (fd < 0)
		goto out_directory;
	err = write_all(fd, text, len);
	if (close(fd) < 0 && !err)
		err = -errno;
	if (!err)
		return 0;
	unlinkat(file->directory, file->temporary, 0);
out_directory:
	close(file->directory);
	return err;
}

int rules_file_commit(struct rules_file *file)
{
	int err = 0;

	if (renameat(file->directory, file->temporary, file->directory, file->name) < 0) {
		err = -errno;
		unlinkat(file->directory, file->temporary, 0);
	}
	fsync(file->directory);
	close(file->directory);
	return err;
}

void rules_file_abandon(struct rules_file *file)
{
	unlinkat(file->directory, file->temporary, 0);
	close(file->directory);
}

int rules_file_remove(const char *path)
{
	char name[256];
	int directory = open_directory(path, false, name, sizeof(name)), err;

	if (directory < 0)
		return directory == -ENOENT ? 0 : directory;
	err = is_ours(directory, name);
	if (!err && unlinkat(directory, name, 0) < 0)
		err = -errno;
	close(directory);
	return err == -ENOENT ? 0 : err;
}

const char *rules_file_boot(void)
{
	static const char *const red_hat = "/etc/sysconfig/nftables.conf";

	return access(red_hat, F_OK) == 0 ? red_hat : "/etc/nftables.conf";
}

bool rules_file_is_included(const char *path)
{
	char *content = read_file(AT_FDCWD, rules_file_boot(), 0);
	bool found = content && strstr(content, path);

	free(content);
	return found;
}
