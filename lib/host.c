// SPDX-License-Identifier: GPL-2.0-or-later
#include "host.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

/* The first line of a file without its end; false if it cannot be read or is too long. */
static bool read_line(int dir_fd, const char *path, char *buf, size_t size)
{
	int fd = openat(dir_fd, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	ssize_t n;

	buf[0] = '\0';
	if (fd < 0)
		return false;
	n = read(fd, buf, size);
	close(fd);
	if (n <= 0 || ((size_t)n == size && buf[n - 1] != '\n')) {
		buf[0] = '\0';
		return false;
	}
	buf[(size_t)n == size ? n - 1 : n] = '\0';
	buf[strcspn(buf, "\n")] = '\0';
	return true;
}

static bool is_id(const char *id)
{
	return strlen(id) == 32 && strspn(id, "0123456789abcdef") == 32;
}

static int random_id(char id[static 33])
{
	uint8_t bytes[16];
	ssize_t n = getrandom(bytes, sizeof(bytes), 0);

	if (n < 0)
		return -errno;
	if (n != sizeof(bytes))
		return -EIO;
	for (size_t i = 0; i < sizeof(bytes); i++)
		snprintf(id + 2 * i, 3, "%02x", bytes[i]);
	return 0;
}

/* An id that could not be kept would be another one at the next start: it is not used. */
static void keep_id(int dir_fd, char id[static 33])
{
	char fresh[34];
	int fd;

	if (random_id(fresh) < 0)
		return;
	fd = openat(dir_fd, "host-id", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return;
	fresh[32] = '\n';
	if (write(fd, fresh, 33) == 33 && fsync(fd) == 0)
		memcpy(id, fresh, 32);
	else
		unlinkat(dir_fd, "host-id", 0);
	close(fd);
}

/* systemd writes "uninitialized" into the file of an image that has not booted yet. */
static void find_id(struct host *h, const char *state_dir)
{
	char line[64];
	int dir_fd;

	if (read_line(AT_FDCWD, "/etc/machine-id", line, sizeof(line)) && is_id(line)) {
		memcpy(h->id, line, sizeof(h->id));
		return;
	}
	if (!state_dir)
		return;
	if (mkdir(state_dir, 0700) < 0 && errno != EEXIST)
		return;
	dir_fd = open(state_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dir_fd < 0)
		return;
	if (read_line(dir_fd, "host-id", line, sizeof(line)) && is_id(line))
		memcpy(h->id, line, sizeof(h->id));
	else
		keep_id(dir_fd, h->id);
	close(dir_fd);
}

static uint64_t inode_of(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 ? st.st_ino : 0;
}

int host_init(struct host *h, const char *state_dir)
{
	int err;

	memset(h, 0, sizeof(*h));
	if (gethostname(h->name, sizeof(h->name) - 1) < 0)
		h->name[0] = '\0';
	memcpy(h->hostname, h->name, sizeof(h->hostname));
	h->hostname[strcspn(h->hostname, ".")] = '\0';
	find_id(h, state_dir);
	read_line(AT_FDCWD, "/proc/sys/kernel/random/boot_id", h->boot_id, sizeof(h->boot_id));
	h->ticks_per_second = sysconf(_SC_CLK_TCK);
	if (h->ticks_per_second <= 0)
		h->ticks_per_second = 100;
	h->user_ns = inode_of("/proc/self/ns/user");
	h->net_ns = inode_of("/proc/self/ns/net");
	err = random_id(h->run_id);
	memcpy(h->series, h->run_id, sizeof(h->series));
	return err;
}
