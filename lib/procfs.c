// SPDX-License-Identifier: GPL-2.0-or-later
#include "procfs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define PF_KTHREAD 0x00200000	/* linux/sched.h; the same since 2.6.32 */

/* Fields of /proc/PID/stat by proc(5)'s numbers. */
enum { STAT_PPID = 4, STAT_PGID, STAT_SID, STAT_TTY, STAT_FLAGS = 9, STAT_THREADS = 20,
	STAT_START = 22, STAT_START_STACK = 28, STAT_FIELDS };

/* Takes one decimal number, which may be negative, and leaves *at behind it. */
static int take_number(const char **at, const char *end, uint64_t *out)
{
	const char *p = *at;
	bool negative = p < end && *p == '-';
	uint64_t value = 0;

	p += negative;
	if (p == end || *p < '0' || *p > '9')
		return -EINVAL;
	for (; p < end && *p >= '0' && *p <= '9'; p++)
		if (__builtin_mul_overflow(value, 10, &value) ||
		    __builtin_add_overflow(value, (uint64_t)(*p - '0'), &value))
			return -EINVAL;
	*out = negative ? -value : value;
	*at = p;
	return 0;
}

static void skip_blanks(const char **at, const char *end)
{
	while (*at < end && (**at == ' ' || **at == '\t'))
		(*at)++;
}

static void copy_comm(const char *bytes, size_t len, char out[static PROCFS_COMM_MAX])
{
	len = strnlen(bytes, len < PROCFS_COMM_MAX - 1 ? len : PROCFS_COMM_MAX - 1);
	memcpy(out, bytes, len);
	memset(out + len, 0, PROCFS_COMM_MAX - len);
}

/* The kernel writes a newline as \n and a backslash as \\ (proc_task_name), nothing else. */
static void unescape_comm(const char *bytes, size_t len, char out[static PROCFS_COMM_MAX])
{
	char plain[PROCFS_COMM_MAX - 1];
	size_t n = 0;

	for (size_t i = 0; i < len && n < sizeof(plain); i++) {
		char c = bytes[i];

		if (c == '\\' && i + 1 < len && (bytes[i + 1] == 'n' || bytes[i + 1] == '\\'))
			c = bytes[++i] == 'n' ? '\n' : '\\';
		plain[n++] = c;
	}
	copy_comm(plain, n, out);
}

/* comm may hold parentheses and blanks; behind its last ')' stand only a letter and numbers. */
int procfs_parse_stat(const char *bytes, size_t len, struct procfs_stat *out)
{
	const char *end = bytes + len, *at = bytes;
	const char *open = memchr(bytes, '(', len), *close = memrchr(bytes, ')', len);
	uint64_t field[STAT_FIELDS] = { 0 }, pid;

	if (!open || !close || close < open || end - close < 4)
		return -EINVAL;
	if (take_number(&at, open, &pid) || at + 1 != open || *at != ' ')
		return -EINVAL;
	if (close[1] != ' ' || close[3] != ' ')
		return -EINVAL;
	at = close + 3;
	for (int i = STAT_PPID; i < STAT_FIELDS; i++) {
		skip_blanks(&at, end);
		if (take_number(&at, end, &field[i]))
			return -EINVAL;
	}
	out->pid = pid;
	out->ppid = field[STAT_PPID];
	out->pgid = field[STAT_PGID];
	out->sid = field[STAT_SID];
	out->tty = field[STAT_TTY];
	out->threads = field[STAT_THREADS];
	out->state = close[2];
	out->kernel_thread = field[STAT_FLAGS] & PF_KTHREAD;
	out->start_ticks = field[STAT_START];
	out->start_stack = field[STAT_START_STACK];
	copy_comm(open + 1, close - open - 1, out->comm);
	return 0;
}

/* Uid and Gid: real, effective, saved, file system. */
static int parse_ids(const char *at, const char *end, uint32_t *real, uint32_t *effective)
{
	uint64_t a, b;

	skip_blanks(&at, end);
	if (take_number(&at, end, &a))
		return -EINVAL;
	skip_blanks(&at, end);
	if (take_number(&at, end, &b) || a > UINT32_MAX || b > UINT32_MAX)
		return -EINVAL;
	*real = a;
	*effective = b;
	return 0;
}

static int parse_last(const char *at, const char *end, uint32_t *out)
{
	uint64_t value;

	for (skip_blanks(&at, end); at < end; skip_blanks(&at, end)) {
		if (take_number(&at, end, &value) || value > UINT32_MAX)
			return -EINVAL;
		*out = value;
	}
	return 0;
}

static bool take_word(const char **at, const char *end, const char *word)
{
	size_t len = strlen(word);

	if ((size_t)(end - *at) < len || memcmp(*at, word, len) != 0)
		return false;
	*at += len;
	return true;
}

/* A name is escaped in the Name line, so no process can write a line of its own. */
int procfs_parse_status(const char *bytes, size_t len, struct procfs_status *out)
{
	const char *end = bytes + len, *next;
	bool uid = false, gid = false;
	uint32_t real_gid;
	int err = 0;

	memset(out, 0, sizeof(*out));
	for (const char *line = bytes; line < end && !err; line = next + 1) {
		const char *at = line;

		next = memchr(line, '\n', end - line);
		if (!next)
			break;
		if (take_word(&at, next, "Name:\t")) {
			unescape_comm(at, next - at, out->comm);
		} else if (take_word(&at, next, "Uid:")) {
			err = parse_ids(at, next, &out->ruid, &out->uid);
			uid = true;
		} else if (take_word(&at, next, "Gid:")) {
			err = parse_ids(at, next, &real_gid, &out->gid);
			gid = true;
		} else if (take_word(&at, next, "NSpid:")) {
			err = parse_last(at, next, &out->vpid);
		}
	}
	return err || !uid || !gid ? -EINVAL : 0;
}

int procfs_parse_number(const char *bytes, size_t len, uint32_t *out)
{
	const char *at = bytes, *end = bytes + len;
	uint64_t value;

	if (len && end[-1] == '\n')
		end--;
	if (take_number(&at, end, &value) || at != end || value > UINT32_MAX)
		return -EINVAL;
	*out = value;
	return 0;
}

int procfs_parse_namespace(const char *bytes, size_t len, uint64_t *out)
{
	const char *end = bytes + len, *at = memchr(bytes, '[', len);

	if (!at)
		return -EINVAL;
	at++;
	if (take_number(&at, end, out) || end - at != 1 || *at != ']')
		return -EINVAL;
	return 0;
}

size_t procfs_parse_command_line(const char *bytes, size_t len, uint32_t *args_count)
{
	*args_count = 0;
	while (len && bytes[len - 1] == '\0')
		len--;
	if (!len)
		return 0;
	*args_count = 1;
	for (const char *at = bytes; (at = memchr(at, '\0', bytes + len - at)); at++)
		(*args_count)++;
	return len;
}

size_t procfs_parse_link(const char *bytes, size_t len, bool *deleted)
{
	static const char suffix[] = " (deleted)";
	size_t n = sizeof(suffix) - 1;

	*deleted = len > n && memcmp(bytes + len - n, suffix, n) == 0;
	return *deleted ? len - n : len;
}

static int open_number(int dir_fd, uint32_t number)
{
	char name[16];
	int fd;

	snprintf(name, sizeof(name), "%u", number);
	fd = openat(dir_fd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int procfs_open(int proc_fd, uint32_t pid)
{
	return open_number(proc_fd, pid);
}

struct other_thread {
	uint32_t except, tid;
};

static int take_other_thread(uint32_t tid, void *data)
{
	struct other_thread *other = data;

	other->tid = tid;
	return tid != other->except;
}

int procfs_open_other_thread(int dir_fd, uint32_t except)
{
	struct other_thread other = { .except = except };
	int found = procfs_each_number(dir_fd, "task", take_other_thread, &other);
	int task_fd, fd;

	if (found <= 0)
		return found ? found : -ENOENT;
	task_fd = openat(dir_fd, "task", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (task_fd < 0)
		return -errno;
	fd = open_number(task_fd, other.tid);
	close(task_fd);
	return fd;
}

ssize_t procfs_read(int dir_fd, const char *name, char *buf, size_t size)
{
	int fd = openat(dir_fd, name, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = read(fd, buf, size);
	if (n < 0)
		n = -errno;
	close(fd);
	return n;
}

ssize_t procfs_read_link(int dir_fd, const char *name, char *buf, size_t size)
{
	ssize_t n = readlinkat(dir_fd, name, buf, size);

	if (n < 0)
		return -errno;
	return (size_t)n == size ? -ENAMETOOLONG : n;
}

int procfs_read_stat(int dir_fd, struct procfs_stat *out)
{
	char buf[1024];
	ssize_t n = procfs_read(dir_fd, "stat", buf, sizeof(buf));

	return n < 0 ? (int)n : procfs_parse_stat(buf, n, out);
}

/* NSpid stands before anything whose length grows with the machine; Groups, which may hold 65,536
 * numbers, stands before NSpid: what is beyond the buffer is left unknown. */
int procfs_read_status(int dir_fd, struct procfs_status *out)
{
	char buf[4096];
	ssize_t n = procfs_read(dir_fd, "status", buf, sizeof(buf));

	return n < 0 ? (int)n : procfs_parse_status(buf, n, out);
}

int procfs_read_number(int dir_fd, const char *name, uint32_t *out)
{
	char buf[32];
	ssize_t n = procfs_read(dir_fd, name, buf, sizeof(buf));

	return n < 0 ? (int)n : procfs_parse_number(buf, n, out);
}

int procfs_read_namespace(int dir_fd, const char *name, uint64_t *out)
{
	char buf[64];
	ssize_t n = procfs_read_link(dir_fd, name, buf, sizeof(buf));

	return n < 0 ? (int)n : procfs_parse_namespace(buf, n, out);
}

int procfs_each_number(int dir_fd, const char *name, int (*each)(uint32_t number, void *data),
		       void *data)
{
	int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	const struct dirent *entry;
	uint32_t number;
	int result = 0;
	DIR *dir;

	if (fd < 0)
		return -errno;
	dir = fdopendir(fd);
	if (!dir) {
		result = -errno;
		close(fd);
		return result;
	}
	while (!result && (errno = 0, entry = readdir(dir)))
		if (procfs_parse_number(entry->d_name, strlen(entry->d_name), &number) == 0)
			result = each(number, data);
	if (!result && errno)
		result = -errno;
	closedir(dir);
	return result;
}
