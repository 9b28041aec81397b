// SPDX-License-Identifier: GPL-2.0-or-later
#include "files.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

static struct {
	bool ours;
	const uint8_t *link;
	size_t link_len, give;
	unsigned int directories;
} files;

/* One for all of them: those who read it do so one after another. */
static int content_fd = -1;

void files_begin(const uint8_t *content, size_t len)
{
	if (content_fd < 0)
		content_fd = memfd_create("fuzz", MFD_CLOEXEC);
	assert(content_fd >= 0 && ftruncate(content_fd, (off_t)len) == 0);
	assert(pwrite(content_fd, content, len, 0) == (ssize_t)len);
	files.ours = true;
	files.link = content;
	files.link_len = len;
	files.give = 0;
	files.directories = 0;
}

void files_end(void)
{
	files.ours = false;
}

void files_give(size_t bytes)
{
	files.give = bytes;
}

void files_link(const char *target)
{
	files.link = (const uint8_t *)target;
	files.link_len = strlen(target);
}

void files_directories(unsigned int end)
{
	files.directories = end;
}

size_t files_content(uint8_t *buf, size_t size)
{
	ssize_t n = pread(content_fd, buf, size, 0);

	assert(n >= 0);
	return (size_t)n;
}

static int reopen(void)
{
	int fd = fcntl(content_fd, F_DUPFD_CLOEXEC, 0);

	assert(fd >= 0 && lseek(fd, 0, SEEK_SET) == 0);
	return fd;
}

/* With a place of its own to read and write at, which may be the end. */
static int open_again(int flags)
{
	char name[32];

	snprintf(name, sizeof(name), "/proc/self/fd/%d", content_fd);
	return (int)syscall(SYS_openat, AT_FDCWD, name, flags & ~O_NOFOLLOW);
}

static int open_directory(const char *name)
{
	char *end;
	unsigned long number = strtoul(name, &end, 10);

	if (!files.directories || (end > name && !*end && number >= files.directories)) {
		errno = ENOENT;
		return -1;
	}
	return (int)syscall(SYS_openat, AT_FDCWD, "/proc/self/fd",
			    O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

int openat(int at, const char *name, int flags, ...)
{
	mode_t mode = 0;
	va_list args;

	va_start(args, flags);
	if (flags & (O_CREAT | __O_TMPFILE))
		mode = va_arg(args, mode_t);
	va_end(args);
	if (!files.ours)
		return (int)syscall(SYS_openat, at, name, flags, mode);
	if (flags & O_DIRECTORY)
		return open_directory(name);
	if ((flags & (O_ACCMODE | O_CREAT)) == O_RDONLY)
		return reopen();
	if ((flags & (O_ACCMODE | O_CREAT)) == O_RDWR)
		return open_again(flags);
	errno = ENOENT;
	return -1;
}

int open(const char *name, int flags, ...)
{
	mode_t mode = 0;
	va_list args;

	va_start(args, flags);
	if (flags & (O_CREAT | __O_TMPFILE))
		mode = va_arg(args, mode_t);
	va_end(args);
	return openat(AT_FDCWD, name, flags, mode);
}

FILE *fopen(const char *restrict name, const char *restrict mode)
{
	bool reads = mode[0] == 'r' && !strchr(mode, '+');
	int flags = reads ? O_RDONLY : mode[0] == 'a' ? O_WRONLY | O_CREAT | O_APPEND :
		    O_WRONLY | O_CREAT | O_TRUNC;
	int fd = openat(AT_FDCWD, name, flags, 0666);

	return fd < 0 ? NULL : fdopen(fd, mode);
}

/* Not used by stdio, whose reads are libc's own. */
ssize_t read(int fd, void *buf, size_t size)
{
	if (files.ours && files.give && size > files.give)
		size = files.give;
	return syscall(SYS_read, fd, buf, size);
}

ssize_t readlinkat(int at, const char *restrict name, char *restrict buf, size_t size)
{
	if (!files.ours)
		return syscall(SYS_readlinkat, at, name, buf, size);
	if (size > files.link_len)
		size = files.link_len;
	memcpy(buf, files.link, size);
	return (ssize_t)size;
}

ssize_t readlink(const char *restrict name, char *restrict buf, size_t size)
{
	return readlinkat(AT_FDCWD, name, buf, size);
}

/* Even ones are refused, as a filter of system calls does it. */
int open_by_handle_at(int mount, struct file_handle *handle, int flags)
{
	(void)mount, (void)flags;
	assert(files.ours);
	if (handle->f_handle[0] % 2)
		return open_directory("");
	errno = EPERM;
	return -1;
}
