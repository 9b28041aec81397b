// SPDX-License-Identifier: GPL-2.0-or-later
#include "nl.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#define ANSWER_TIMEOUT_MS 5000
#define ERRNO_MAX 4095	/* the kernel's MAX_ERRNO */

static int init(struct nl *nl, size_t buf_bytes)
{
	memset(nl, 0, sizeof(*nl));
	nl->buf = malloc(buf_bytes);
	if (!nl->buf)
		return -ENOMEM;
	nl->buf_bytes = buf_bytes;
	return 0;
}

int nl_open(struct nl *nl, int bus, uint32_t groups, size_t buf_bytes)
{
	int err = init(nl, buf_bytes);

	if (err)
		return err;
	nl->socket = mnl_socket_open2(bus, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (!nl->socket || mnl_socket_bind(nl->socket, groups, MNL_SOCKET_AUTOPID) < 0) {
		err = -errno;
		nl_close(nl);
		return err;
	}
	nl->portid = mnl_socket_get_portid(nl->socket);
	return 0;
}

static int check_bus(int fd, int bus)
{
	int domain, protocol;
	socklen_t len = sizeof(domain);

	if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) < 0 ||
	    getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &len) < 0)
		return -errno;
	return domain == AF_NETLINK && protocol == bus ? 0 : -EPROTOTYPE;
}

int nl_adopt(struct nl *nl, int fd, int bus, size_t buf_bytes)
{
	int flags = fcntl(fd, F_GETFL);
	int err = check_bus(fd, bus);

	if (!err)
		err = init(nl, buf_bytes);
	if (err)
		return err;
	if (flags >= 0 && fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0 &&
	    fcntl(fd, F_SETFD, FD_CLOEXEC) == 0)
		nl->socket = mnl_socket_fdopen(fd);
	if (!nl->socket) {
		err = -errno;
		nl_close(nl);
		return err;
	}
	nl->portid = mnl_socket_get_portid(nl->socket);
	return 0;
}

int nl_join(struct nl *nl, int group)
{
	if (mnl_socket_setsockopt(nl->socket, NETLINK_ADD_MEMBERSHIP, &group, sizeof(group)) < 0)
		return -errno;
	return 0;
}

void nl_close(struct nl *nl)
{
	if (nl->socket)
		mnl_socket_close(nl->socket);
	free(nl->buf);
	memset(nl, 0, sizeof(*nl));
}

int nl_fd(const struct nl *nl)
{
	return mnl_socket_get_fd(nl->socket);
}

int nl_set_receive_buffer(struct nl *nl, uint32_t bytes)
{
	int value = bytes > INT32_MAX ? INT32_MAX : (int)bytes;

	if (setsockopt(nl_fd(nl), SOL_SOCKET, SO_RCVBUFFORCE, &value, sizeof(value)) == 0 ||
	    setsockopt(nl_fd(nl), SOL_SOCKET, SO_RCVBUF, &value, sizeof(value)) == 0)
		return 0;
	return -errno;
}

int nl_send(struct nl *nl, const void *data, size_t len)
{
	ssize_t sent;

	do
		sent = mnl_socket_sendto(nl->socket, data, len);
	while (sent < 0 && errno == EINTR);
	if (sent < 0)
		return -errno;
	return (size_t)sent == len ? 0 : -EIO;
}

/* What another process sent (it needs CAP_NET_ADMIN for that) is no kernel's word: skipped. */
static ssize_t receive(struct nl *nl, int flags)
{
	struct sockaddr_nl from;
	struct iovec iov = { .iov_base = nl->buf, .iov_len = nl->buf_bytes };
	struct msghdr msg = {
		.msg_name = &from, .msg_namelen = sizeof(from), .msg_iov = &iov, .msg_iovlen = 1,
	};
	ssize_t n;

	for (;;) {
		msg.msg_namelen = sizeof(from);
		n = recvmsg(nl_fd(nl), &msg, flags | MSG_DONTWAIT);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN ? 0 : -errno;
		if (msg.msg_namelen == sizeof(from) && from.nl_pid == 0)
			return msg.msg_flags & MSG_TRUNC ? -EMSGSIZE : n;
		if (flags & MSG_PEEK)
			recv(nl_fd(nl), nl->buf, 0, MSG_DONTWAIT | MSG_TRUNC);
	}
}

ssize_t nl_receive(struct nl *nl)
{
	return receive(nl, 0);
}

int nl_receive_batch(struct nl *nl, struct nl_datagram got[static NL_BATCH])
{
	size_t part = nl->buf_bytes / NL_BATCH;
	struct mmsghdr messages[NL_BATCH];
	struct sockaddr_nl from[NL_BATCH];
	struct iovec iov[NL_BATCH];
	int n, count = 0;

	for (int i = 0; i < NL_BATCH; i++) {
		iov[i] = (struct iovec) { .iov_base = nl->buf + i * part, .iov_len = part };
		messages[i].msg_hdr = (struct msghdr) {
			.msg_name = &from[i], .msg_namelen = sizeof(from[i]),
			.msg_iov = &iov[i], .msg_iovlen = 1,
		};
	}
	do {
		n = recvmmsg(nl_fd(nl), messages, NL_BATCH, MSG_DONTWAIT, NULL);
		if (n < 0 && errno != EINTR)
			return errno == EAGAIN ? 0 : -errno;
		for (int i = 0; i < n; i++) {
			const struct msghdr *msg = &messages[i].msg_hdr;

			if (msg->msg_namelen != sizeof(from[i]) || from[i].nl_pid != 0)
				continue;
			got[count++] = (struct nl_datagram) {
				.data = iov[i].iov_base,
				.len = msg->msg_flags & MSG_TRUNC ? -EMSGSIZE :
				       (ssize_t)messages[i].msg_len,
			};
		}
	} while (!count);
	return count;
}

const struct nlmsghdr *nl_take(const uint8_t **at, size_t *len)
{
	const struct nlmsghdr *nlh = (const struct nlmsghdr *)*at;
	size_t step;

	if (*len < sizeof(*nlh) || nlh->nlmsg_len < sizeof(*nlh) || nlh->nlmsg_len > *len)
		return NULL;
	step = MNL_ALIGN((size_t)nlh->nlmsg_len);
	if (step > *len)	/* the last one's padding may be left out */
		step = *len;
	*at += step;
	*len -= step;
	return nlh;
}

int nl_wait(struct nl *nl, int timeout_ms)
{
	struct pollfd p = { .fd = nl_fd(nl), .events = POLLIN };
	int n;

	do
		n = poll(&p, 1, timeout_ms);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	return n ? 0 : -ETIMEDOUT;
}

static int put_request(struct nl *nl, struct nlmsghdr *nlh)
{
	nlh->nlmsg_pid = nl->portid;
	nlh->nlmsg_seq = ++nl->seq;
	return nl_send(nl, nlh, nlh->nlmsg_len);
}

int nl_error(const struct nlmsghdr *nlh)
{
	const struct nlmsgerr *e = mnl_nlmsg_get_payload(nlh);

	if (mnl_nlmsg_get_payload_len(nlh) < sizeof(e->error) || e->error > 0 ||
	    e->error < -ERRNO_MAX)
		return -EBADMSG;
	return e->error;
}

/* NLMSG_DONE carries the error a dump ended with, since 2.6. */
static int error_of_dump(const struct nlmsghdr *nlh)
{
	int error = 0;

	if (mnl_nlmsg_get_payload_len(nlh) >= sizeof(error))
		memcpy(&error, mnl_nlmsg_get_payload(nlh), sizeof(error));
	if (error < -ERRNO_MAX)
		return -EBADMSG;
	return error < 0 ? error : 0;
}

struct answer {
	nl_handler *handler;
	void *data;
	int err;
	bool interrupted, complete;
};

static void read_answer(const struct nl *nl, size_t len, struct answer *answer)
{
	const struct nlmsghdr *nlh;
	const uint8_t *at = nl->buf;
	int err;

	while (!answer->complete && (nlh = nl_take(&at, &len))) {
		if (nlh->nlmsg_seq != nl->seq || nlh->nlmsg_pid != nl->portid)
			continue;
		if (nlh->nlmsg_flags & NLM_F_DUMP_INTR)
			answer->interrupted = true;
		err = 0;
		if (nlh->nlmsg_type == NLMSG_ERROR) {
			err = nl_error(nlh);
			answer->complete = true;
		} else if (nlh->nlmsg_type == NLMSG_DONE) {
			err = error_of_dump(nlh);
			answer->complete = true;
		} else if (nlh->nlmsg_type >= NLMSG_MIN_TYPE && answer->handler) {
			err = answer->handler(nlh, answer->data);
		}
		if (err && !answer->err)
			answer->err = err;
	}
	/* What was cut off may have been the end: nothing more would come. */
	if (!answer->complete && len > 0) {
		answer->err = answer->err ? answer->err : -EBADMSG;
		answer->complete = true;
	}
}

int nl_request(struct nl *nl, struct nlmsghdr *nlh, nl_handler *handler, void *data)
{
	struct answer answer = { .handler = handler, .data = data };
	ssize_t n;
	int err;

	if ((nlh->nlmsg_flags & NLM_F_DUMP) != NLM_F_DUMP)
		nlh->nlmsg_flags |= NLM_F_ACK;
	nlh->nlmsg_flags |= NLM_F_REQUEST;
	err = put_request(nl, nlh);
	if (err)
		return err;
	while (!answer.complete) {
		n = nl_receive(nl);
		if (n < 0)
			return n;
		if (n == 0) {
			err = nl_wait(nl, ANSWER_TIMEOUT_MS);
			if (err)
				return err;
			continue;
		}
		read_answer(nl, n, &answer);
	}
	if (answer.err)
		return answer.err;
	return answer.interrupted ? -EINTR : 0;
}

int nl_ask(struct nl *nl, struct nlmsghdr *nlh)
{
	nlh->nlmsg_flags |= NLM_F_REQUEST | NLM_F_DUMP;
	return put_request(nl, nlh);
}

int nl_answer(struct nl *nl, nl_handler *handler, void *data)
{
	struct answer answer = { .handler = handler, .data = data };
	ssize_t n = nl_receive(nl);

	if (n <= 0)
		return n ? (int)n : -EAGAIN;
	read_answer(nl, (size_t)n, &answer);
	if (answer.err)
		return answer.err;
	if (answer.interrupted)
		return -EINTR;
	return !answer.complete;
}

int nl_command(struct nl *nl, struct nlmsghdr *nlh)
{
	const struct nlmsghdr *first;
	const uint8_t *at = nl->buf;
	size_t len;
	ssize_t n;
	int err;

	nlh->nlmsg_flags |= NLM_F_REQUEST;
	err = put_request(nl, nlh);
	if (err)
		return err;
	n = receive(nl, MSG_PEEK);
	len = n > 0 ? n : 0;
	first = nl_take(&at, &len);
	if (!first || first->nlmsg_type != NLMSG_ERROR ||
	    first->nlmsg_seq != nl->seq || first->nlmsg_pid != nl->portid)
		return 0;
	nl_receive(nl);
	return nl_error(first);
}

int nl_drops(const struct nl *nl, uint32_t *drops)
{
	uint32_t info[SK_MEMINFO_VARS];
	socklen_t len = sizeof(info);

	if (getsockopt(nl_fd(nl), SOL_SOCKET, SO_MEMINFO, info, &len) < 0)
		return -errno;
	if (len <= SK_MEMINFO_DROPS * sizeof(info[0]))
		return -EOPNOTSUPP;
	*drops = info[SK_MEMINFO_DROPS];
	return 0;
}
