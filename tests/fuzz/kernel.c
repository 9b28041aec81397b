// SPDX-License-Identifier: GPL-2.0-or-later
#include "kernel.h"

#include <assert.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/sock_diag.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#if defined(__SANITIZE_ADDRESS__)
#define POISONS 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define POISONS 1
#endif
#endif
#ifdef POISONS
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(at, len) ((void)(at), (void)(len))
#define ASAN_UNPOISON_MEMORY_REGION(at, len) ((void)(at), (void)(len))
#endif

#define SOCKETS_MAX 4
#define HEAD_BYTES 4

/* Incomplete in libmnl's header: this is ours. */
struct mnl_socket {
	bool open;
	int fd;
};

static struct {
	const uint8_t *at;
	size_t left;
	kernel_witness *witness;
	void *data;
	struct mnl_socket sockets[SOCKETS_MAX];
	unsigned int opened;
	uint32_t drops, first_seq, last_seq;
	int kept;		/* an errno, for the next call */
} kernel;

void kernel_begin(const uint8_t *input, size_t len, kernel_witness *witness, void *data)
{
	memset(&kernel, 0, sizeof(kernel));
	kernel.at = input;
	kernel.left = len;
	kernel.witness = witness;
	kernel.data = data;
	kernel.first_seq = 1;
}

void kernel_end(void)
{
	for (unsigned int i = 0; i < SOCKETS_MAX; i++)
		assert(!kernel.sockets[i].open);
}

void kernel_asked(uint32_t *first, uint32_t *last)
{
	*first = kernel.first_seq;
	*last = kernel.last_seq;
}

struct mnl_socket *mnl_socket_open2(int bus, int flags)
{
	struct mnl_socket *s = &kernel.sockets[kernel.opened];

	(void)bus;
	assert(kernel.opened < SOCKETS_MAX && flags == (SOCK_CLOEXEC | SOCK_NONBLOCK));
	s->open = true;
	s->fd = 1000 + (int)kernel.opened++;
	return s;
}

int mnl_socket_bind(struct mnl_socket *s, unsigned int groups, pid_t pid)
{
	(void)s, (void)groups, (void)pid;
	return 0;
}

unsigned int mnl_socket_get_portid(const struct mnl_socket *s)
{
	return KERNEL_PORT + (unsigned int)(s->fd - 1000);
}

int mnl_socket_get_fd(const struct mnl_socket *s)
{
	assert(s->open);
	return s->fd;
}

int mnl_socket_setsockopt(const struct mnl_socket *s, int type, void *value, socklen_t len)
{
	(void)s, (void)type, (void)value, (void)len;
	return 0;
}

/* Requests fill what is sent, and are numbered one by one. */
ssize_t mnl_socket_sendto(const struct mnl_socket *s, const void *requests, size_t len)
{
	struct nlmsghdr header;

	assert(s->open && len >= sizeof(header));
	for (size_t at = 0; at < len; at += MNL_ALIGN(header.nlmsg_len)) {
		assert(len - at >= sizeof(header));
		memcpy(&header, (const uint8_t *)requests + at, sizeof(header));
		assert(header.nlmsg_len >= sizeof(header) && header.nlmsg_len <= len - at);
		assert(header.nlmsg_flags & NLM_F_REQUEST);
		if (at == 0)
			kernel.first_seq = header.nlmsg_seq;
		kernel.last_seq = header.nlmsg_seq;
	}
	return (ssize_t)len;
}

int mnl_socket_close(struct mnl_socket *s)
{
	assert(s->open);
	s->open = false;
	return 0;
}

int setsockopt(int fd, int level, int name, const void *value, socklen_t len)
{
	(void)fd, (void)level, (void)name, (void)value, (void)len;
	return 0;
}

int getsockopt(int fd, int level, int name, void *restrict value, socklen_t *restrict len)
{
	uint32_t info[SK_MEMINFO_VARS] = { [SK_MEMINFO_DROPS] = kernel.drops };

	(void)fd, (void)level;
	assert(name == SO_MEMINFO && *len == sizeof(info));
	memcpy(value, info, sizeof(info));
	return 0;
}

/* All that is to come is there already. */
int poll(struct pollfd *fds, nfds_t count, int timeout)
{
	(void)timeout;
	for (nfds_t i = 0; i < count; i++)
		fds[i].revents = kernel.left ? POLLIN : 0;
	return kernel.left ? 1 : 0;
}

static void testify(const uint8_t *datagram, size_t len)
{
	struct nlmsghdr header;
	size_t step;

	for (size_t at = 0; kernel.witness && len - at >= sizeof(header); at += step) {
		memcpy(&header, datagram + at, sizeof(header));
		if (header.nlmsg_len < sizeof(header) || header.nlmsg_len > len - at)
			return;
		kernel.witness((const void *)(datagram + at), header.nlmsg_len - sizeof(header),
			       kernel.data);
		step = ((size_t)header.nlmsg_len + 3) & ~(size_t)3;
		if (step > len - at)
			return;
	}
}

static int refusal(enum kernel_answer answer)
{
	switch (answer) {
	case KERNEL_OVERRUN:
		kernel.drops++;
		return ENOBUFS;
	case KERNEL_LOST:
		return ECONNRESET;
	case KERNEL_NOTHING:
		return EAGAIN;
	default:
		return 0;
	}
}

/* At the head of the queue. */
static size_t length(enum kernel_answer *answer)
{
	size_t len = kernel.at[0] | (size_t)kernel.at[1] << 8;

	*answer = kernel.at[2] % KERNEL_ANSWERS;
	if (refusal(*answer))
		return 0;
	return len < kernel.left - HEAD_BYTES ? len : kernel.left - HEAD_BYTES;
}

static ssize_t give(struct msghdr *msg, size_t len, enum kernel_answer answer, bool peek)
{
	struct sockaddr_nl *from = msg->msg_name;
	struct iovec *iov = msg->msg_iov;
	size_t copied = len < iov->iov_len ? len : iov->iov_len;

	*from = (struct sockaddr_nl){ .nl_family = AF_NETLINK };
	from->nl_pid = answer == KERNEL_FOREIGN;
	msg->msg_namelen = sizeof(*from);
	msg->msg_flags = answer == KERNEL_LONG || copied < len ? MSG_TRUNC : 0;
	ASAN_UNPOISON_MEMORY_REGION(iov->iov_base, iov->iov_len);
	memcpy(iov->iov_base, kernel.at + HEAD_BYTES, copied);
	ASAN_POISON_MEMORY_REGION((uint8_t *)iov->iov_base + copied, iov->iov_len - copied);
	if (answer == KERNEL_DATAGRAM && copied == len && !peek)
		testify(iov->iov_base, copied);
	return (ssize_t)copied;
}

ssize_t recvmsg(int fd, struct msghdr *msg, int flags)
{
	enum kernel_answer answer;
	ssize_t n;
	size_t len;

	(void)fd;
	assert(flags & MSG_DONTWAIT);
	if (kernel.kept) {
		errno = kernel.kept;
		kernel.kept = 0;
		return -1;
	}
	if (kernel.left < HEAD_BYTES) {
		kernel.left = 0;
		errno = EAGAIN;
		return -1;
	}
	len = length(&answer);
	errno = refusal(answer);
	n = errno ? -1 : give(msg, len, answer, flags & MSG_PEEK);
	if (n < 0 || !(flags & MSG_PEEK)) {
		kernel.at += HEAD_BYTES + len;
		kernel.left -= HEAD_BYTES + len;
	}
	return n;
}

/* As the kernel does it: what goes wrong after the first one is for the next call to say. */
int recvmmsg(int fd, struct mmsghdr *messages, unsigned int max, int flags,
	     struct timespec *timeout)
{
	int count = 0;
	ssize_t n = 0;

	assert(!timeout);
	while (count < (int)max) {
		n = recvmsg(fd, &messages[count].msg_hdr, flags);
		if (n < 0)
			break;
		messages[count++].msg_len = (unsigned int)n;
	}
	if (n < 0 && count == 0)
		return -1;
	if (n < 0 && errno != EAGAIN)
		kernel.kept = errno;
	return count;
}

/* Only to step over what was peeked at. */
ssize_t recv(int fd, void *buf, size_t len, int flags)
{
	enum kernel_answer answer;
	size_t n;

	(void)fd, (void)buf;
	assert(len == 0 && flags == (MSG_DONTWAIT | MSG_TRUNC) && kernel.left >= HEAD_BYTES);
	n = length(&answer);
	kernel.at += HEAD_BYTES + n;
	kernel.left -= HEAD_BYTES + n;
	return (ssize_t)n;
}
