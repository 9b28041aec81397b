/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NFWHO_NFLOG_H
#define NFWHO_NFLOG_H

#include "packet.h"

/* The NFLOG source: packets that a rule sent to one group. Names like nflog_open are those of
 * libnetfilter_log. */

struct nflog;

struct nflog_config {
	uint16_t group;
	uint32_t copy_range_bytes;	/* bytes of each packet to copy; enough for every header */
	uint32_t buffer_bytes;		/* the kernel's batch buffer, 4 KiB to 128 KiB */
	uint32_t queue_threshold;	/* packets per batch */
	uint32_t flush_timeout_10ms;	/* a batch is sent at the latest after this, in 10 ms */
	uint32_t receive_buffer_bytes;	/* SO_RCVBUF(FORCE) */
};

/* One logged packet. Pointers are into the receive buffer: valid during the callback only. */
struct nflog_packet {
	struct packet packet;
	enum packet_status status;
	const uint8_t *payload;		/* the captured bytes, from the network header on */
	uint32_t payload_len;
	const char *prefix;		/* NUL-terminated; "" if there was none */
	uint32_t ifindex_in, ifindex_out;	/* 0: none */
	uint32_t uid, gid;		/* of the socket file's opener; see has_uid */
	uint32_t mark;			/* 0 when not set: the kernel leaves it out then */
	uint32_t ct_id;			/* see has_ct */
	uint16_t ct_zone;
	uint8_t hook;			/* NF_INET_* */
	bool has_uid, has_gid;		/* false is "unknown", never root */
	bool has_ct;			/* the kernel attached the conntrack entry (GLUE_CT) */
	bool ct_unconfirmed;		/* one that this packet begins: it may never be */
};

struct nflog_stats {
	uint64_t received;	/* messages, decoded or not */
	uint64_t sequence_gap;	/* packets the kernel numbered but we never got: exact */
	uint64_t enobufs;	/* times the kernel reported an overrun */
	uint64_t invalid;	/* messages without a usable packet (counted in received) */
};

typedef void nflog_handler(const struct nflog_packet *packet, void *data);

/* Binds the group. Returns 0, -EBUSY if the group is bound already (the kernel's word for it is
 * EPERM, as without CAP_NET_ADMIN: it is asked which), -EPERM without CAP_NET_ADMIN, or another
 * -errno. On success the caller owns *out. */
int nflog_group_open(struct nflog **out, const struct nflog_config *config);

/* Takes over a socket that is already bound and configured (a restart through the fd store). The
 * descriptor belongs to *out on success only. */
int nflog_adopt(struct nflog **out, const struct nflog_config *config, int fd);

/* The number of the packet that comes next; false as long as it is not known. A socket that was
 * adopted is told by who read it before, so that what was lost between the two shows as a gap. */
bool nflog_next_sequence(const struct nflog *n, uint32_t *sequence);
void nflog_expect_sequence(struct nflog *n, uint32_t sequence);

int nflog_group_fd(const struct nflog *n);

/* Reads what is queued, never blocking, and stops behind the batch in which the number of packets
 * reaches `max_packets`, or after as many reads. Returns the number handed on (`max_packets` or
 * more: there may be more), or -errno for a lost socket. ENOBUFS is counted, not returned. */
int nflog_read(struct nflog *n, unsigned int max_packets, nflog_handler *handler, void *data);

const struct nflog_stats *nflog_stats(const struct nflog *n);

/* The socket's netlink port, which stands beside its group in nflog_group_holder(). */
uint32_t nflog_portid(const struct nflog *n);

/* Binds the group again that somebody unbound: only through a copy of the socket (another port gets
 * EPERM). Packets are numbered anew. Returns as nflog_group_open() does. */
int nflog_rebind(struct nflog *n);

/* Unbinds, which makes the kernel flush its batch; what comes is still to be read. */
int nflog_unbind(struct nflog *n);

void nflog_group_close(struct nflog *n);

/* Port id of the netlink socket that holds the group (0: nobody), from
 * /proc/net/netfilter/nfnetlink_log. Returns 0 or -errno. */
int nflog_group_holder(uint16_t group, uint32_t *portid);

#endif
