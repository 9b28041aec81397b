// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What a service manager passes on, twice: the second run gets what the first one left. Input: a
 * line each for LISTEN_FDS, LISTEN_FDNAMES, FDSTORE, NOTIFY_SOCKET, WATCHDOG_USEC, WATCHDOG_PID and
 * JOURNAL_STREAM (empty: not set), and then the account of the run before, whose bytes are said on
 * stderr, too.
 */
#include "fuzz.h"
#include "handover.h"
#include "log.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LISTEN_FIRST 3
#define PASSED_MAX (HANDOVER_KINDS + HANDOVER_COUNTERS_MAX)
#define MADE (LISTEN_FIRST + PASSED_MAX)	/* descriptors of files in memory, from here on */
#define MADE_MAX (MADE + 2)

static const char *const names[] = {
	"LISTEN_FDS", "LISTEN_FDNAMES", "FDSTORE", "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID",
	"JOURNAL_STREAM",
};
#define NAMES (sizeof(names) / sizeof(names[0]))

/* What handover.c sees in place of the environment and of the descriptors. */
static struct {
	bool ours;
	char values[NAMES][256];
	char pid[16];
	bool open[MADE_MAX];
	uint8_t account[256];	/* what is read of any of them */
	size_t account_len;
	char said[4096];	/* on stderr */
	size_t said_len;
} world;

/* stderr as the journal's stream is known, "8:617". */
#define STDERR_DEVICE 8
#define STDERR_INODE 617

char *getenv(const char *name)
{
	extern char **environ;
	size_t len = strlen(name);

	if (!world.ours) {
		for (char **e = environ; *e; e++)
			if (strncmp(*e, name, len) == 0 && (*e)[len] == '=')
				return *e + len + 1;
		return NULL;
	}
	if (strcmp(name, "LISTEN_PID") == 0)
		return world.pid;
	for (size_t i = 0; i < NAMES; i++)
		if (strcmp(name, names[i]) == 0)
			return world.values[i][0] ? world.values[i] : NULL;
	return NULL;
}

int unsetenv(const char *name)
{
	(void)name;
	assert(world.ours);
	return 0;
}

static bool is_passed(int fd)
{
	return world.ours && fd >= LISTEN_FIRST && fd < MADE_MAX && world.open[fd];
}

int close(int fd)
{
	if (!world.ours)
		return (int)syscall(SYS_close, fd);
	assert(is_passed(fd));
	world.open[fd] = false;
	return 0;
}

int fcntl(int fd, int command, ...)
{
	assert(is_passed(fd) && command == F_SETFD);
	return 0;
}

int memfd_create(const char *name, unsigned int flags)
{
	int fd = strcmp(name, "nfwho-account") == 0 ? MADE : MADE + 1;

	assert(world.ours && flags == MFD_CLOEXEC && !world.open[fd]);
	world.open[fd] = true;
	world.account_len = fd == MADE ? 0 : world.account_len;
	return fd;
}

int fstat(int fd, struct stat *st)
{
	if (!world.ours)
		return (int)syscall(SYS_fstat, fd, st);
	if (fd == STDERR_FILENO) {
		*st = (struct stat){ .st_dev = STDERR_DEVICE, .st_ino = STDERR_INODE };
		return 0;
	}
	assert(is_passed(fd));
	*st = (struct stat){ .st_size = (off_t)world.account_len };
	return 0;
}

/* Of the list of flows, which is left once; here all of them are one, so that nothing goes. */
int ftruncate(int fd, off_t len)
{
	assert(is_passed(fd) && len == 0);
	return 0;
}

/* What would be written goes nowhere. */
int dup(int fd)
{
	assert(is_passed(fd));
	errno = EMFILE;
	return -1;
}

/* A counter: as many bytes as there are. */
ssize_t read(int fd, void *buf, size_t len)
{
	if (!world.ours)
		return syscall(SYS_read, fd, buf, len);
	assert(is_passed(fd));
	if (len > world.account_len % 17)
		len = world.account_len % 17;
	memcpy(buf, world.account, len);
	return (ssize_t)len;
}

ssize_t pread(int fd, void *buf, size_t len, off_t at)
{
	assert(is_passed(fd) && (size_t)at <= world.account_len);
	if (len > world.account_len - (size_t)at)
		len = world.account_len - (size_t)at;
	memcpy(buf, world.account + at, len);
	return (ssize_t)len;
}

ssize_t pwrite(int fd, const void *buf, size_t len, off_t at)
{
	assert(is_passed(fd) && (size_t)at + len <= sizeof(world.account));
	memcpy(world.account + at, buf, len);
	if (world.account_len < (size_t)at + len)
		world.account_len = (size_t)at + len;
	return (ssize_t)len;
}

ssize_t write(int fd, const void *buf, size_t len)
{
	if (!world.ours)
		return syscall(SYS_write, fd, buf, len);
	assert(fd == STDERR_FILENO && len <= sizeof(world.said));
	memcpy(world.said, buf, len);
	world.said_len = len;
	return (ssize_t)len;
}

/* stderr takes all. */
int poll(struct pollfd *fds, nfds_t count, int timeout)
{
	(void)fds, (void)timeout;
	assert(world.ours && count == 1);
	return 1;
}

/* Descriptors are passed to a process that the manager has started: as many as it says. */
static void pass(unsigned long count)
{
	memset(world.open, 0, sizeof(world.open));
	for (unsigned long i = 0; i < count && i < PASSED_MAX; i++)
		world.open[LISTEN_FIRST + i] = true;
}

/* Everything is closed, or was taken; what nobody looked at is the manager's. */
static void check_closed(bool looked)
{
	for (int fd = LISTEN_FIRST; fd < MADE_MAX; fd++)
		assert(!looked || !world.open[fd]);
}

static void run(const struct options *options, const struct account_sums *sums, bool again)
{
	const struct notify nobody = { .fd = -1 };
	struct handover h;
	uint64_t connects;
	void *list = NULL;
	ssize_t len;
	int group;

	handover_open(&h, options);
	assert(!h.same_rules || h.received);
	assert(!h.received || h.fds[HANDOVER_ACCOUNT] >= 0);
	if (again && h.received)
		assert(h.same_rules && h.account.sums.known == sums->known &&
		       h.account.sums.pending == sums->pending &&
		       h.account.sums.counts.matched == sums->counts.matched);
	assert(handover_counted(&h, &connects) <= 0 && h.counter_count == 0);
	len = handover_read_flows(&h, &list);
	assert(len <= 0 || (list && (size_t)len == world.account_len));
	free(list);
	group = handover_take(&h, HANDOVER_GROUP);
	if (group >= 0)
		close(group);
	handover_note(&h, sums);
	handover_keep(&h, &nobody, HANDOVER_RULES, h.fds[HANDOVER_RULES]);
	handover_keep_counters(&h, &nobody, NULL, 0);
	assert(!handover_write_flows(&h));
	handover_close(&h);
}

static void watch(void)
{
	struct notify n;

	world.ours = true;
	notify_open(&n);
	world.ours = false;
	assert(n.fd >= 0 || n.watchdog_ns == 0);
	assert(n.watchdog_ns <= UINT64_MAX / 2);
	notify_close(&n);
}

/* One line, in which nothing moves a terminal's cursor. */
static void say(const char *text)
{
	const char *stream = world.values[6];
	bool journal = strcmp(stream, "8:617") == 0;
	size_t head = strlen(journal ? "<3>nfwho: " : "nfwho: ");

	world.ours = true;
	log_error("%s", text);
	world.ours = false;
	assert(world.said_len > head && world.said[world.said_len - 1] == '\n');
	for (size_t i = 0; i < world.said_len - 1; i++)
		assert(world.said[i] >= 0x20 && world.said[i] < 0x7f);
	assert(!journal || memcmp(world.said, "<3>nfwho: ", head) == 0);
	assert(strstr(stream, "617") || memcmp(world.said, "nfwho: ", head) == 0);
}

static const uint8_t *take_line(const uint8_t *at, const uint8_t *end, char value[static 256])
{
	const uint8_t *newline = memchr(at, '\n', (size_t)(end - at));
	size_t len = (size_t)((newline ? newline : end) - at);

	snprintf(value, 256, "%.*s", (int)(len < 255 ? len : 255), (const char *)at);
	return newline ? newline + 1 : end;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct account_sums sums = {
		.counts = { .matched = 5, .limited = 1 }, .pending = 2, .known = true,
	};
	static struct options options;
	const uint8_t *end = data + size;
	char text[257] = "";
	bool looked;

	if (!options.group)
		assert(options_init(&options) == 0);
	for (size_t i = 0; i < NAMES; i++)
		data = take_line(data, end, world.values[i]);
	snprintf(world.pid, sizeof(world.pid), "%d", getpid());
	if (strcmp(world.values[5], "self") == 0)
		strcpy(world.values[5], world.pid);
	world.account_len = (size_t)(end - data) < 256 ? (size_t)(end - data) : 256;
	memcpy(world.account, data, world.account_len);
	memcpy(text, data, world.account_len);

	looked = world.values[1][0] && strtoul(world.values[0], NULL, 10) <= PASSED_MAX;
	for (int i = 0; i < 2; i++) {
		pass(strtoul(world.values[0], NULL, 10));
		world.ours = true;
		run(&options, &sums, i == 1);
		check_closed(looked);
		world.ours = false;
	}
	watch();
	say(text);
	return 0;
}
