// SPDX-License-Identifier: GPL-2.0-or-later
#include "procnet.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* A line has 150 bytes (tcp, padded) to about 200 (tcp6). */
#define PROCNET_BUFFER_BYTES 32768

/* What is left of a line. Every take_ function returns false when it does not hold what is asked,
 * and never reads past `end`. */
struct text {
	const char *at, *end;
};

static int digit_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

static bool take_char(struct text *t, char c)
{
	if (t->at == t->end || *t->at != c)
		return false;
	t->at++;
	return true;
}

static bool take_hex(struct text *t, unsigned int digits, uint32_t *value)
{
	*value = 0;
	for (unsigned int i = 0; i < digits; i++, t->at++) {
		int digit = t->at < t->end ? digit_value(*t->at) : -1;

		if (digit < 0)
			return false;
		*value = *value << 4 | (uint32_t)digit;
	}
	return true;
}

static bool take_decimal(struct text *t, uint64_t max, uint64_t *value)
{
	const char *begin = t->at;

	*value = 0;
	for (; t->at < t->end && *t->at >= '0' && *t->at <= '9'; t->at++) {
		uint64_t digit = *t->at - '0';

		if (*value > (max - digit) / 10)
			return false;
		*value = *value * 10 + digit;
	}
	return t->at > begin;
}

/* Blanks, then a word; false if there is none. */
static bool skip_word(struct text *t)
{
	const char *begin;

	while (take_char(t, ' '))
		;
	begin = t->at;
	while (t->at < t->end && *t->at != ' ')
		t->at++;
	return t->at > begin;
}

/* "0100007F:0035": the address as 32-bit words of this machine's byte order, the port as a
 * number. */
static bool take_endpoint(struct text *t, uint8_t family, uint32_t address[static 4], be16 *port)
{
	unsigned int words = family == AF_INET6 ? 4 : 1;
	uint32_t number;

	for (unsigned int i = 0; i < words; i++) {
		if (!take_hex(t, 8, &address[i]))
			return false;
	}
	if (!take_char(t, ':') || !take_hex(t, 4, &number))
		return false;
	*port = htons(number);
	return true;
}

int procnet_decode(const char *line, size_t len, uint8_t family, uint8_t protocol,
		   struct tuple *tuple, struct sock *sock)
{
	struct text t = { line, line + len };
	uint32_t local[4] = { 0 }, remote[4] = { 0 }, state;
	uint64_t uid, inode;

	memset(tuple, 0, sizeof(*tuple));
	memset(sock, 0, sizeof(*sock));
	if (!skip_word(&t) || !take_char(&t, ' ') ||			/* sl: */
	    !take_endpoint(&t, family, local, &tuple->sport) || !take_char(&t, ' ') ||
	    !take_endpoint(&t, family, remote, &tuple->dport) || !take_char(&t, ' ') ||
	    !take_hex(&t, 2, &state) || !take_char(&t, ' ') ||
	    !skip_word(&t) || !skip_word(&t) || !skip_word(&t))	/* queues, timer, retransmits */
		return -EBADMSG;
	while (take_char(&t, ' '))
		;
	if (!take_decimal(&t, UINT32_MAX, &uid) || !skip_word(&t))	/* timeout */
		return -EBADMSG;
	while (take_char(&t, ' '))
		;
	if (!take_decimal(&t, UINT64_MAX, &inode) || (t.at < t.end && *t.at != ' '))
		return -EBADMSG;
	tuple_set_addresses(tuple, family, local, remote);
	tuple->protocol = protocol;
	sock->state = state;
	sock->uid = uid;
	sock->inode = inode;
	return 0;
}

static void match_line(const char *line, size_t len, uint8_t family, uint8_t protocol,
		       struct sock_query *queries, unsigned int count, uint64_t *invalid)
{
	struct tuple tuple;
	struct sock sock;

	if (procnet_decode(line, len, family, protocol, &tuple, &sock) < 0) {
		if (invalid)
			(*invalid)++;
		return;
	}
	for (unsigned int i = 0; i < count; i++) {
		if (queries[i].found || !tuple_equal(&queries[i].tuple, &tuple))
			continue;
		queries[i].found = true;
		queries[i].sock = sock;
	}
}

/* Splits what comes into lines; the first is the heading. A line longer than the buffer is not one
 * of the kernel's. */
static int scan_file(int fd, uint8_t family, uint8_t protocol, struct sock_query *queries,
		     unsigned int count, uint64_t *invalid)
{
	char buf[PROCNET_BUFFER_BYTES];
	size_t have = 0;
	bool heading = true;

	for (;;) {
		ssize_t n = read(fd, buf + have, sizeof(buf) - have);
		char *at = buf, *newline;

		if (n < 0)
			return -errno;
		if (n == 0)
			return 0;
		have += n;
		while ((newline = memchr(at, '\n', have - (at - buf)))) {
			if (!heading)
				match_line(at, newline - at, family, protocol, queries, count,
					   invalid);
			heading = false;
			at = newline + 1;
		}
		have -= at - buf;
		if (have == sizeof(buf))
			return -EBADMSG;
		memmove(buf, at, have);
	}
}

/* An IPv4 conversation may be that of an IPv6 socket with mapped addresses. */
static bool concerns(const struct sock_query *query, uint8_t family, uint8_t protocol)
{
	return !query->found && query->tuple.protocol == protocol &&
	       (query->tuple.family == family || family == AF_INET6);
}

int procnet_lookup(int proc_fd, struct sock_query *queries, unsigned int count, uint64_t *invalid)
{
	static const struct { const char *path; uint8_t family, protocol; } files[] = {
		{ "net/tcp", AF_INET, IPPROTO_TCP }, { "net/tcp6", AF_INET6, IPPROTO_TCP },
		{ "net/udp", AF_INET, IPPROTO_UDP }, { "net/udp6", AF_INET6, IPPROTO_UDP },
	};
	unsigned int wanted;

	for (unsigned int i = 0; i < count; i++) {
		queries[i].found = false;
		memset(&queries[i].sock, 0, sizeof(queries[i].sock));
	}
	for (size_t f = 0; f < sizeof(files) / sizeof(files[0]); f++) {
		int fd, err;

		wanted = 0;
		for (unsigned int i = 0; i < count; i++)
			wanted += concerns(&queries[i], files[f].family, files[f].protocol);
		if (wanted == 0)
			continue;
		fd = openat(proc_fd, files[f].path, O_RDONLY | O_CLOEXEC);
		if (fd < 0 && errno == ENOENT && files[f].family == AF_INET6)
			continue;	/* a kernel without IPv6 */
		if (fd < 0)
			return -errno;
		err = scan_file(fd, files[f].family, files[f].protocol, queries, count, invalid);
		close(fd);
		if (err)
			return err;
	}
	return 0;
}
