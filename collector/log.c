// SPDX-License-Identifier: GPL-2.0-or-later
#include "log.h"

#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Enough for all that is said at a start; more is said at once. */
static struct {
	char text[8192];
	size_t len;
	bool on;
} held;

static enum log_level worst_silent = LEVEL_INFO + 1;

void log_set_level(enum log_level level)
{
	worst_silent = level + 1;
}

size_t log_escape(const char *text, char *buf, size_t size)
{
	static const char hex[] = "0123456789abcdef";
	size_t len = 0;

	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;

		if (c >= 0x20 && c < 0x7f) {
			if (len + 1 >= size)
				break;
			buf[len++] = *text;
			continue;
		}
		if (len + 4 >= size)
			break;
		buf[len++] = '\\';
		buf[len++] = 'x';
		buf[len++] = hex[c >> 4];
		buf[len++] = hex[c & 15];
	}
	buf[len] = '\0';
	return len;
}

/* Whether stderr is the journal's stream: sd-daemon(3)'s <N> prefixes are understood there. */
static int is_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	unsigned long long device, inode;
	struct stat st;

	return stream && sscanf(stream, "%llu:%llu", &device, &inode) == 2 &&
	       fstat(STDERR_FILENO, &st) == 0 && st.st_dev == device && st.st_ino == inode;
}

/* Whoever reads it may have stopped (a pager, a terminal that is held): we do not wait for that. */
static void put(const char *line, size_t len)
{
	static unsigned int unsaid;
	struct pollfd writable = { .fd = STDERR_FILENO, .events = POLLOUT };
	char text[64];
	int head;

	if (unsaid && poll(&writable, 1, 0) != 0) {
		head = snprintf(text, sizeof(text), "nfwho: %u lines could not be said here\n", unsaid);
		if (write(STDERR_FILENO, text, (size_t)head) == head)
			unsaid = 0;
	}
	if (poll(&writable, 1, 0) == 0 || write(STDERR_FILENO, line, len) < 0)
		unsaid++;
}

__attribute__((format(printf, 2, 0)))
static void say(enum log_level level, const char *format, va_list arguments)
{
	static const char *const priorities[] = { "<3>", "<4>", "<6>", "<7>" };
	char text[2048], line[4096];
	size_t len;
	int head;

	if (level >= worst_silent)
		return;
	vsnprintf(text, sizeof(text), format, arguments);
	head = snprintf(line, sizeof(line), "%snfwho: ", is_journal() ? priorities[level] : "");
	len = (size_t)head + log_escape(text, line + head, sizeof(line) - (size_t)head - 1);
	line[len++] = '\n';
	if (held.on && level != LEVEL_ERROR && len <= sizeof(held.text) - held.len) {
		memcpy(held.text + held.len, line, len);
		held.len += len;
		return;
	}
	put(line, len);
}

void log_hold(void)
{
	held.on = true;
}

void log_release(bool say_it)
{
	const char *line = held.text, *end = held.text + held.len, *next;

	held.on = false;
	for (; say_it && line < end; line = next) {
		next = memchr(line, '\n', (size_t)(end - line));
		next = next ? next + 1 : end;
		put(line, (size_t)(next - line));
	}
	held.len = 0;
}

void log_error(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	say(LEVEL_ERROR, format, arguments);
	va_end(arguments);
}

void log_warning(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	say(LEVEL_WARNING, format, arguments);
	va_end(arguments);
}

void log_info(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	say(LEVEL_INFO, format, arguments);
	va_end(arguments);
}

void log_debug(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	say(LEVEL_DEBUG, format, arguments);
	va_end(arguments);
}
