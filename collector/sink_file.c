// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Records in a file that never ends in half a line. Every batch is one write(2); when it was cut
 * short (disk full, quota) the file is truncated back to its last whole line, the rest stays queued
 * and is tried again. What a crash left behind is cut off when the file is opened.
 *
 * Limits: nobody else may write to the file. A lock keeps a second collector out; it stays with the
 * file when that is renamed, so that rotating does not open a gap.
 */
#include "log.h"
#include "record.h"
#include "sink_kind.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define WRITE_MAX (1 << 20)
#define NAME_SIZE (NAME_MAX + 16)

struct file {
	int directory;		/* its directory, so that rotating needs no search */
	char *name;		/* the last part of the path */
	gid_t group;		/* (gid_t)-1: unchanged */
};

/* Exact, whatever the umask; the group first: chown clears bits. */
static bool set_rights(int fd, gid_t group, mode_t mode)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return false;
	if (group != (gid_t)-1 && group != st.st_gid && fchown(fd, (uid_t)-1, group) < 0)
		return false;
	return fchmod(fd, mode) == 0;
}

static int create(const struct sink *s, const struct file *f)
{
	int fd = openat(f->directory, f->name, O_RDWR | O_APPEND | O_CREAT | O_EXCL | O_NOFOLLOW |
			O_CLOEXEC, s->output.mode);

	if (fd < 0)
		return -errno;
	if (!set_rights(fd, f->group, s->output.mode))
		log_warning("%s: group or mode: %s", s->output.target, strerror(errno));
	return fd;
}

/* Cuts off a last line without an end, if it looks like a record; else only ends it. */
static int repair(int fd, off_t size)
{
	char tail[RECORD_MAX];
	size_t len = size < (off_t)sizeof(tail) ? (size_t)size : sizeof(tail);
	const char *newline;
	size_t torn;

	if (!size)
		return 0;
	if (pread(fd, tail, len, size - (off_t)len) != (ssize_t)len)
		return -EIO;
	if (tail[len - 1] == '\n')
		return 0;
	newline = memrchr(tail, '\n', len);
	torn = newline ? len - (size_t)(newline + 1 - tail) : len;
	if (tail[len - torn] == '{' && (newline || (off_t)len == size))
		return ftruncate(fd, size - (off_t)torn) < 0 ? -errno : 0;
	return write(fd, "\n", 1) == 1 ? 0 : -EIO;
}

/* Returns a descriptor or -errno; -EBUSY: another process has locked it. flock(2)'s own word for it
 * would be taken for a descriptor that becomes writable by itself. */
static int open_at(const struct sink *s)
{
	const struct file *f = s->own;
	struct stat st;
	int fd, ret;

	fd = openat(f->directory, f->name, O_RDWR | O_APPEND | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY |
		    O_NONBLOCK);
	if (fd < 0 && errno == ENOENT)
		fd = create(s, f);
	else if (fd < 0)
		fd = errno == EWOULDBLOCK ? -EBUSY : -errno;	/* somebody has a lease on it */
	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0)
		ret = errno == EWOULDBLOCK ? -EBUSY : -errno;
	else if (!S_ISREG(st.st_mode))
		ret = -EINVAL;
	else
		ret = repair(fd, st.st_size);
	if (ret < 0) {
		close(fd);
		return ret;
	}
	return fd;
}

/* Leaves the old file, if any, for the one that has the path now. */
static int reopen(struct sink *s)
{
	int fd;

	sink_disconnect(s);
	fd = open_at(s);
	if (fd >= 0)
		s->fd = fd;
	return fd < 0 ? fd : 0;
}

static const char *reason(int error)
{
	switch (error) {
	case ELOOP:
		return "is a symbolic link, which is not followed; name the file itself";
	case EISDIR:
		return "is a directory; name a file in it";
	case EINVAL:
	case ENXIO:
		return "is not a regular file; sockets are unix:PATH or stream:PATH";
	case EBUSY:
		return "is being written by another nfwho, or locked by another process";
	default:
		return strerror(error);
	}
}

/* "file:PATH is a directory", but "file:PATH: No space left on device". */
static const char *joint(int error)
{
	return strncmp(reason(error), "is ", 3) == 0 ? " " : ": ";
}

static int find_group(struct file *f, const char *name, char *error, size_t size)
{
	const struct group *group;

	f->group = (gid_t)-1;
	if (!name)
		return 0;
	errno = 0;
	group = getgrnam(name);
	if (!group) {
		snprintf(error, size, "group=%.80s: there is no such group", name);
		return -EINVAL;
	}
	f->group = group->gr_gid;
	return 0;
}

static int open_directory(struct file *f, const char *path, char *error, size_t size)
{
	char *copy = strdup(path), *directory;
	const char *slash = strrchr(path, '/');
	int ret = 0;

	f->name = strdup(slash ? slash + 1 : path);
	if (!copy || !f->name) {
		snprintf(error, size, "out of memory");
		ret = -ENOMEM;
		goto out;
	}
	directory = dirname(copy);
	f->directory = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (f->directory < 0) {
		ret = -errno;
		snprintf(error, size, "file:%s: its directory: %s", path, strerror(errno));
	} else if (!*f->name) {
		ret = -EISDIR;
		snprintf(error, size, "file:%s %s", path, reason(EISDIR));
	}
out:
	free(copy);
	return ret;
}

static int open_file(struct sink *s, char *error, size_t size)
{
	struct file *f = calloc(1, sizeof(*f));
	int ret;

	if (!f) {
		snprintf(error, size, "out of memory");
		return -ENOMEM;
	}
	f->directory = -1;
	s->own = f;
	ret = find_group(f, s->output.group, error, size);
	if (ret == 0)
		ret = open_directory(f, s->output.path, error, size);
	if (ret < 0)
		return ret;
	ret = reopen(s);
	if (ret < 0)
		snprintf(error, size, "file:%s%s%s", s->output.path, joint(-ret), reason(-ret));
	return ret;
}

static void rotated_name(const struct file *f, unsigned int number, char name[static NAME_SIZE])
{
	if (number)
		snprintf(name, NAME_SIZE, "%s.%u", f->name, number);
	else
		snprintf(name, NAME_SIZE, "%s", f->name);
}

/* NAME.1 is the newest, NAME.keep the oldest. Only those up to the first gap move, so that a
 * rotation that failed half-way and is tried again pushes nothing out. */
static int shift(const struct file *f, unsigned int keep)
{
	char from[NAME_SIZE], to[NAME_SIZE];
	unsigned int gap;

	for (gap = 1; gap < keep; gap++) {
		rotated_name(f, gap, from);
		if (faccessat(f->directory, from, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
			break;
	}
	while (gap-- > 0) {
		rotated_name(f, gap, from);
		rotated_name(f, gap + 1, to);
		if (renameat(f->directory, from, f->directory, to) < 0 && errno != ENOENT)
			return -errno;
	}
	return 0;
}

static int rotate(struct sink *s)
{
	const struct file *f = s->own;
	int ret = 0;

	if (s->output.keep)
		ret = shift(f, s->output.keep);
	else if (unlinkat(f->directory, f->name, 0) < 0 && errno != ENOENT)
		ret = -errno;
	if (ret < 0)
		return ret;
	return reopen(s);
}

/* How much of the queue goes into this file now: whole lines, 0 when it is full. */
static size_t batch(const struct sink *s, off_t size)
{
	uint64_t limit = s->output.size_bytes, room = WRITE_MAX;
	size_t len;

	if (limit && (uint64_t)size + room > limit)
		room = (uint64_t)size < limit ? limit - (uint64_t)size : 0;
	len = sink_messages(s, room);
	/* A line longer than what is left goes into the next file, unless this one is empty. */
	return len > room && size ? 0 : len;
}

/* One write. The file ends with a whole line afterwards, whatever happened. */
static int write_batch(struct sink *s, size_t len, off_t size)
{
	ssize_t n = write(s->fd, queue_head(&s->queue), len);
	const char *newline;
	size_t whole;

	if (n < 0)
		return errno == EINTR ? 0 : -errno;
	if ((size_t)n == len) {
		sink_sent(s, len);
		return 0;
	}
	newline = memrchr(queue_head(&s->queue), '\n', (size_t)n);
	whole = newline ? (size_t)(newline + 1 - queue_head(&s->queue)) : 0;
	if (ftruncate(s->fd, size + (off_t)whole) < 0)
		return -errno;
	sink_sent(s, whole);
	/* The next try learns why it was cut short; without a line written, at once. */
	return whole ? 0 : -ENOSPC;
}

static int flush_file(struct sink *s)
{
	struct stat st;
	size_t len;
	int ret = 0;

	if (s->fd < 0)
		ret = reopen(s);
	while (ret == 0 && queue_len(&s->queue)) {
		/* Each time: others may truncate (logrotate's copytruncate). */
		if (fstat(s->fd, &st) < 0)
			return -errno;
		len = batch(s, st.st_size);
		ret = len ? write_batch(s, len, st.st_size) : rotate(s);
	}
	return ret;
}

static void reopen_file(struct sink *s)
{
	int fd;

	/* Unlocked first: the path may still name the same file. */
	flock(s->fd, LOCK_UN);
	fd = open_at(s);
	if (fd < 0) {
		log_error("file:%s%s%s; the file opened before stays in use", s->output.path,
			  joint(-fd), reason(-fd));
		flock(s->fd, LOCK_EX | LOCK_NB);
		return;
	}
	sink_disconnect(s);
	s->fd = fd;
}

static void close_file(struct sink *s)
{
	struct file *f = s->own;

	sink_disconnect(s);
	if (!f)
		return;
	if (f->directory >= 0)
		close(f->directory);
	free(f->name);
	free(f);
}

const struct sink_kind sink_file = {
	.open = open_file,
	.flush = flush_file,
	.reopen = reopen_file,
	.close = close_file,
	.retry_ms = 1000,
	.retry_max_ms = 1000,
};
