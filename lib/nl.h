/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NFWHO_NL_H
#define NFWHO_NL_H

#include <libmnl/libmnl.h>
#include <stddef.h>
#include <stdint.h>

/* A netlink socket: close-on-exec, never blocking unless a function says so, with one receive
 * buffer of its own. The one place that touches netlink descriptors. */
struct nl {
	struct mnl_socket *socket;	/* NULL: not open */
	uint32_t portid;
	uint32_t seq;			/* of the last request */
	uint8_t *buf;			/* what nl_receive() read */
	size_t buf_bytes;
};

/* One message; returns 0 or -errno. */
typedef int nl_handler(const struct nlmsghdr *nlh, void *data);

/* Opens a socket on a bus (NETLINK_*) and joins groups (a bit mask: 1 << (group - 1)). buf_bytes
 * is the longest datagram that can be read: the sum of what the kernel puts into one. Returns 0 or
 * -errno; *nl is to be closed on success only. */
int nl_open(struct nl *nl, int bus, uint32_t groups, size_t buf_bytes);

/* Takes over a bound netlink socket, -ENOTSOCK or -EPROTOTYPE if fd is none of that bus. fd belongs
 * to *nl on success only. */
int nl_adopt(struct nl *nl, int fd, int bus, size_t buf_bytes);

/* Joins one more group, by number. Returns 0 or -errno. */
int nl_join(struct nl *nl, int group);

/* Also right for a zeroed struct and for one that is closed already. */
void nl_close(struct nl *nl);

int nl_fd(const struct nl *nl);

/* Memory the kernel may fill with messages not read yet: by SO_RCVBUFFORCE, without CAP_NET_ADMIN
 * by SO_RCVBUF, which net.core.rmem_max caps. Returns 0 or -errno. */
int nl_set_receive_buffer(struct nl *nl, uint32_t bytes);

/* Sends len bytes, one message or several behind each other, to the kernel. Returns 0 or -errno. */
int nl_send(struct nl *nl, const void *data, size_t len);

/* Reads one datagram of the kernel's into nl->buf. Returns its length, 0 when nothing is queued,
 * -ENOBUFS when messages were lost (the socket lives on), -EMSGSIZE for one longer than the buffer
 * (it is lost), or another -errno. */
ssize_t nl_receive(struct nl *nl);

/* The same for up to NL_BATCH datagrams in one system call, each of which has that part of nl->buf.
 * Returns how many of the kernel's it has put into got, 0 when nothing is queued, or -errno.
 * Messages that were lost are told by the next call if some came before. */
#define NL_BATCH 16

struct nl_datagram {
	const uint8_t *data;
	ssize_t len;		/* -EMSGSIZE: it was longer than its part of the buffer, and is lost */
};

int nl_receive_batch(struct nl *nl, struct nl_datagram got[static NL_BATCH]);

/* Takes the next whole message off a datagram of *len bytes at *at; NULL when there is none, and
 * *len says how much is left that is none. Not mnl_nlmsg_ok(): that one takes a length of 2^31 and
 * more for a negative number, which fits everywhere (libmnl 1.0.4). */
const struct nlmsghdr *nl_take(const uint8_t **at, size_t *len);

/* What an NLMSG_ERROR says: 0 (an acknowledgement), -errno, or -EBADMSG if it says nothing that the
 * kernel would. */
int nl_error(const struct nlmsghdr *nlh);

/* Waits until something can be read. Returns 0, -ETIMEDOUT, or -errno. */
int nl_wait(struct nl *nl, int timeout_ms);

/* Sends a request (port and sequence number are filled in, NLM_F_ACK is set unless it is a dump),
 * hands every message that answers it to handler (may be NULL) and returns when the kernel has said
 * that this was all: 0, its -errno, the handler's first error, -EINTR for a dump during which the
 * table changed, -ETIMEDOUT after five silent seconds. Messages that do not answer it are dropped:
 * not for a socket that events come through. */
int nl_request(struct nl *nl, struct nlmsghdr *nlh, nl_handler *handler, void *data);

/* A dump in parts. nl_ask() sends the request; each nl_answer() hands on one datagram of the
 * answer, which the kernel fills when the one before it is read. Returns 1 if more is to come, 0
 * when the kernel has said that this was all, -EAGAIN if nothing is there yet, or an error as
 * nl_request() does: then nothing more comes of it, and the socket is to be closed. */
int nl_ask(struct nl *nl, struct nlmsghdr *nlh);
int nl_answer(struct nl *nl, nl_handler *handler, void *data);

/* nl_request() without asking for an acknowledgement, for a socket that events come through. The
 * kernel carries a request out before send(2) returns, and a refusal is in the queue by then
 * (netlink_ack in netlink_rcv_skb, all versions). If the first datagram is that refusal it is read
 * and returned as -errno; anything else stays queued, and the result is 0. */
int nl_command(struct nl *nl, struct nlmsghdr *nlh);

/* Messages the kernel could not deliver to this socket since it was made (SO_MEMINFO, 4.12+; it
 * wraps). Returns 0 or -errno. */
int nl_drops(const struct nl *nl, uint32_t *drops);

#endif
