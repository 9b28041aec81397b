// SPDX-License-Identifier: GPL-2.0-or-later
#include "tracefs.h"
#include "mountinfo.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <linux/mount.h>	/* not <sys/mount.h>: older ones cannot be included together */
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

bool tracefs_mountinfo_line(const char *line, char *path, size_t path_size, bool *is_debugfs)
{
	struct mountinfo m;

	if (!mountinfo_split(line, &m))
		return false;
	*is_debugfs = mountinfo_is(m.type, "debugfs");
	if (!*is_debugfs && !mountinfo_is(m.type, "tracefs"))
		return false;
	return mountinfo_is(m.root, "/") && mountinfo_unescape(m.point, path, path_size);
}

/* Something else may be mounted over it, so the file system is asked. */
static int open_checked(const char *path)
{
	struct statfs fs;
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	if (fstatfs(fd, &fs) == 0 && fs.f_type == TRACEFS_MAGIC)
		return fd;
	close(fd);
	return -ENOENT;
}

static int open_mounted(void)
{
	FILE *mounts = fopen("/proc/self/mountinfo", "re");
	char path[PATH_MAX + sizeof("/tracing")], *line = NULL;
	bool is_debugfs;
	size_t size = 0;
	int fd = -ENOENT;

	if (!mounts)
		return -errno;
	while (fd < 0 && getline(&line, &size, mounts) > 0) {
		if (!tracefs_mountinfo_line(line, path, PATH_MAX, &is_debugfs))
			continue;
		if (is_debugfs)
			strcat(path, "/tracing");
		fd = open_checked(path);
	}
	free(line);
	fclose(mounts);
	return fd;
}

static int open_detached(void)
{
	int context, mount, fd, error;

	context = syscall(SYS_fsopen, "tracefs", FSOPEN_CLOEXEC);
	if (context < 0)
		return errno == ENODEV ? -ENOENT : -errno;
	if (syscall(SYS_fsconfig, context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0) {
		error = -errno;
		close(context);
		return error;
	}
	mount = syscall(SYS_fsmount, context, FSMOUNT_CLOEXEC,
			MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV |
			MOUNT_ATTR_NOEXEC);
	error = -errno;
	close(context);
	if (mount < 0)
		return error;
	fd = openat(mount, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	error = -errno;
	close(mount);
	return fd < 0 ? error : fd;
}

static int send_descriptor(int socket, int fd)
{
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	int error = fd < 0 ? fd : 0;
	struct iovec iov = { &error, sizeof(error) };
	struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (fd >= 0) {
		message.msg_control = &control;
		message.msg_controllen = sizeof(control.space);
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
	}
	return sendmsg(socket, &message, MSG_NOSIGNAL) < 0 ? 1 : 0;
}

static int receive_descriptor(int socket)
{
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	int error = -EIO, fd;
	struct iovec iov = { &error, sizeof(error) };
	struct msghdr message = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = &control, .msg_controllen = sizeof(control.space),
	};
	struct cmsghdr *header;

	if (recvmsg(socket, &message, MSG_CMSG_CLOEXEC) != sizeof(error))
		return -EIO;
	header = CMSG_FIRSTHDR(&message);
	if (error || !header || header->cmsg_type != SCM_RIGHTS)
		return error < 0 ? error : -EIO;
	memcpy(&fd, CMSG_DATA(header), sizeof(fd));
	return fd;
}

/* In a child: its mount namespace dies with it, the descriptor goes on to work. */
static int mount_privately(void)
{
	static const char point[] = "/proc";

	if (unshare(CLONE_NEWNS) < 0 ||
	    syscall(SYS_mount, NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    syscall(SYS_mount, "tracefs", point, "tracefs",
		    MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0)
		return errno == ENODEV ? -ENOENT : -errno;
	return open_checked(point);
}

static int open_in_child(void)
{
	int pair[2], fd, status;
	pid_t child;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	child = fork();
	if (child == 0)
		_exit(send_descriptor(pair[1], mount_privately()));
	fd = child < 0 ? -errno : 0;
	close(pair[1]);
	if (child > 0) {
		fd = receive_descriptor(pair[0]);
		while (waitpid(child, &status, 0) < 0 && errno == EINTR)
			;
	}
	close(pair[0]);
	return fd;
}

int tracefs_open(void)
{
	int fd = open_mounted();

	if (fd < 0)
		fd = open_detached();
	if (fd == -ENOSYS)
		fd = open_in_child();
	return fd;
}

int tracefs_read_format(int tracefs_fd, const char *event, char *buf, size_t size)
{
	char path[128];
	size_t have = 0;
	ssize_t n;
	int fd;

	n = snprintf(path, sizeof(path), "events/%s/format", event);
	if (n < 0 || (size_t)n >= sizeof(path))
		return -ENAMETOOLONG;
	fd = openat(tracefs_fd, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	while (have + 1 < size) {
		n = read(fd, buf + have, size - 1 - have);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		have += n;
	}
	n = n < 0 ? -errno : (ssize_t)have;
	close(fd);
	if (n >= 0)
		buf[have] = '\0';
	return n;
}
