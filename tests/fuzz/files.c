// SPDX-License-Identifier: GPL-2.0-or-later
#include "files.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

static struct {
	bool ours;
	const uint8_t *content;
	size_t len, give;
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
	files.content = content;
	files.len = len;
	files.give = 0;
}

void files_end(void)
{
	files.ours = false;
}

void files_give(size_t bytes)
{
	files.give = bytes;
}

static int reopen(void)
{
	int fd = fcntl(content_fd, F_DUPFD_CLOEXEC, 0);

	assert(fd >= 0 && lseek(fd, 0, SEEK_SET) == 0);
	return fd;
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
	if ((flags & (O_ACCMODE | O_CREAT)) == O_RDONLY && !(flags & O_DIRECTORY))
		return reopen();
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
	if (size > files.len)
		size = files.len;
	memcpy(buf, files.content, size);
	return (ssize_t)size;
}
