/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NFWHO_CT_H
#define NFWHO_CT_H

#include "tuple.h"

/* The conntrack source: NEW and DESTROY events and dumps. UPDATE is never subscribed to: building
 * it is paid for by the application (measured on 6.18: 50,000 -> 31,000 connections/s). */

struct ct;

enum ct_kind { CT_NEW, CT_DESTROY, CT_DUMPED };

struct ct_entry {
	enum ct_kind kind;
	struct tuple original;
	struct tuple reply;		/* as conntrack says it: src is who answers */
	uint32_t id;
	uint32_t status;		/* IPS_* */
	uint32_t mark;
	uint16_t zone;
	uint8_t tcp_state;		/* enum tcp_conntrack; see has_tcp_state */
	bool has_counters, has_timestamps, has_tcp_state, has_timeout;
	uint64_t packets[2], bytes[2];	/* original, reply */
	uint64_t start_real_ns, stop_real_ns;	/* CLOCK_REALTIME; stop 0 if not given */
	uint64_t read_real_ns;		/* an event: when it had been read, CLOCK_REALTIME */
	uint32_t timeout_s;		/* what was left of it: dumps */
	uint32_t idle_s;		/* how long conntrack keeps an idle entry in this tcp_state,
					 * as the sysctls stood at ct_open; 0 unknown */
	bool removed_by_hand;		/* DESTROY: a process asked for it (nlmsg_pid is its port;
					 * 0 for the kernel's own: ctnetlink_conntrack_event) */
};

struct ct_stats {
	uint64_t received;
	uint64_t enobufs;	/* times the kernel reported an overrun */
	uint64_t dropped;	/* messages dropped, from SO_MEMINFO: exact, not which */
	uint32_t drops;		/* the kernel's own count of them, since the socket was made; it wraps */
	uint64_t invalid;	/* messages that cannot be read: at least as many as that */
};

typedef void ct_handler(const struct ct_entry *entry, void *data);

/* Opens the event socket, with a classic BPF filter for the protocols (IPPROTO_*, at most 8).
 * Returns 0 or -errno; the caller owns *out. */
int ct_open(struct ct **out, const uint8_t *protocols, unsigned int count,
	    uint32_t receive_buffer_bytes);

/* Takes over an event socket that has its groups and its filter (a restart through the fd store).
 * What the kernel counts as dropped beyond `drops` (NULL: by now) is counted by the first
 * ct_read(). The descriptor belongs to *out on success only. */
int ct_adopt(struct ct **out, int fd, uint32_t receive_buffer_bytes, const uint32_t *drops);

int ct_fd(const struct ct *ct);

/* Reads what is queued, up to max_messages or as many reads, never blocking. Returns the number of
 * messages handed on (max_messages or more: there may be more), or -errno for a lost socket.
 * ENOBUFS is counted, not returned. */
int ct_read(struct ct *ct, unsigned int max_messages, ct_handler *handler, void *data);

/* Dumps the table (both families, the protocols of ct_open; all of them after ct_adopt) through a
 * socket of its own, kept open for this so that CAP_NET_ADMIN is all that is needed later. Blocks
 * while the kernel answers. Returns 0, -EINTR if the table changed under an inconsistent dump (call
 * again), or -errno. */
int ct_dump(struct ct *ct, ct_handler *handler, void *data);

/* The same in parts, so that nothing waits for it, through one more socket. Each call hands on what
 * the kernel packs into one answer, some 100 entries, and begins if none has begun. Returns 1 if
 * there is more, 0 at the end, -EINTR as above, or another -errno; then the next call begins
 * anew. */
int ct_dump_part(struct ct *ct, ct_handler *handler, void *data);

/* Asks for the entry of one original tuple in a zone, 0 being the default zone. Returns 0 (fills
 * *out if not NULL), -ENOENT if there is none, or another -errno. Microseconds; needs
 * CAP_NET_ADMIN. */
int ct_lookup(struct ct *ct, const struct tuple *original, uint16_t zone, struct ct_entry *out);

const struct ct_stats *ct_stats(const struct ct *ct);
void ct_close(struct ct *ct);

/* Has the kernel load conntrack, and what speaks netlink of it, where they are modules and nobody
 * has needed them yet: before that net.netfilter has no settings. nfnetlink does so for any request
 * to them, and waits for it (nfnetlink_rcv_msg, all versions; joining a group does not wait).
 * Returns 0 or -errno. */
int ct_load(void);

/* How many entries this network namespace has and the most it may have, from
 * /proc/sys/net/netfilter. Returns 0, -ENOENT without conntrack, or another -errno. */
int ct_count(uint32_t *count, uint32_t *max);

#endif
