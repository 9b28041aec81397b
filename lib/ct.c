// SPDX-License-Identifier: GPL-2.0-or-later
#include "ct.h"
#include "clock.h"
#include "ct_message.h"
#include "ct_timeout.h"
#include "nl.h"
#include "procfs.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <libnetfilter_conntrack/libnetfilter_conntrack.h>
#include <linux/netfilter/nfnetlink.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PROTOCOLS_MAX 8

/* Events come one in a datagram; the kernel packs a dump into at most 32 KiB (netlink_dump). */
#define EVENT_BYTES (8 * 1024 * NL_BATCH)	/* one has some hundred bytes */
#define DUMP_BYTES (64 * 1024)

struct ct {
	struct nl events, dump;
	struct nl parts;	/* open while a dump in parts goes on */
	struct ct_stats stats;
	uint8_t protocols[PROTOCOLS_MAX];
	unsigned int protocol_count;	/* 0: all */
	struct ct_timeout timeout;
};

/* Before the groups are joined: nothing that is not wanted is ever queued. */
static int attach_filter(struct ct *ct)
{
	struct nfct_filter *filter;
	unsigned int i;
	int err = 0;

	if (!ct->protocol_count)
		return 0;
	filter = nfct_filter_create();
	if (!filter)
		return -ENOMEM;
	for (i = 0; i < ct->protocol_count; i++)
		nfct_filter_add_attr_u32(filter, NFCT_FILTER_L4PROTO, ct->protocols[i]);
	if (nfct_filter_attach(nl_fd(&ct->events), filter) < 0)
		err = -errno;
	nfct_filter_destroy(filter);
	return err;
}

static int open_events(struct ct *ct, uint32_t receive_buffer_bytes)
{
	int err = nl_open(&ct->events, NETLINK_NETFILTER, 0, EVENT_BYTES);

	if (!err)
		err = nl_set_receive_buffer(&ct->events, receive_buffer_bytes);
	if (!err)
		err = attach_filter(ct);
	if (!err)
		err = nl_join(&ct->events, NFNLGRP_CONNTRACK_NEW);
	if (!err)
		err = nl_join(&ct->events, NFNLGRP_CONNTRACK_DESTROY);
	return err;
}

int ct_open(struct ct **out, const uint8_t *protocols, unsigned int count,
	    uint32_t receive_buffer_bytes)
{
	struct ct *ct;
	int err;

	if (count > PROTOCOLS_MAX)
		return -EINVAL;
	ct = calloc(1, sizeof(*ct));
	if (!ct)
		return -ENOMEM;
	if (count)
		memcpy(ct->protocols, protocols, count);
	ct->protocol_count = count;
	ct_timeout_read(&ct->timeout);
	err = open_events(ct, receive_buffer_bytes);
	if (!err)
		err = nl_open(&ct->dump, NETLINK_NETFILTER, 0, DUMP_BYTES);
	if (err) {
		ct_close(ct);
		return err;
	}
	*out = ct;
	return 0;
}

int ct_adopt(struct ct **out, int fd, uint32_t receive_buffer_bytes, const uint32_t *drops)
{
	struct ct *ct = calloc(1, sizeof(*ct));
	int err;

	if (!ct)
		return -ENOMEM;
	err = nl_open(&ct->dump, NETLINK_NETFILTER, 0, DUMP_BYTES);
	if (!err)
		err = nl_adopt(&ct->events, fd, NETLINK_NETFILTER, EVENT_BYTES);
	if (err) {
		ct_close(ct);
		return err;
	}
	/* It may be another one's choice than ours; smaller than wished is no reason to lose what
	 * it has. */
	nl_set_receive_buffer(&ct->events, receive_buffer_bytes);
	if (drops)
		ct->stats.drops = *drops;
	else
		nl_drops(&ct->events, &ct->stats.drops);
	ct_timeout_read(&ct->timeout);
	*out = ct;
	return 0;
}

int ct_fd(const struct ct *ct)
{
	return nl_fd(&ct->events);
}

static uint32_t idle_s(const struct ct *ct, const struct ct_entry *entry)
{
	return entry->has_tcp_state ? ct_timeout_of(&ct->timeout, entry->tcp_state) : 0;
}

static unsigned int read_events(struct ct *ct, const struct nl_datagram *datagram,
				uint64_t read_real_ns, ct_handler *handler, void *data)
{
	const struct nlmsghdr *nlh;
	const uint8_t *at = datagram->data;
	size_t len = (size_t)datagram->len;
	struct ct_entry entry;
	unsigned int handed_on = 0;

	while ((nlh = nl_take(&at, &len))) {
		if (NFNL_SUBSYS_ID(nlh->nlmsg_type) != NFNL_SUBSYS_CTNETLINK)
			continue;
		ct->stats.received++;
		if (ct_message_parse(&entry, nlh)) {
			ct->stats.invalid++;
			continue;
		}
		entry.read_real_ns = read_real_ns;
		entry.idle_s = idle_s(ct, &entry);
		entry.removed_by_hand = entry.kind == CT_DESTROY && nlh->nlmsg_pid != 0;
		handler(&entry, data);
		handed_on++;
	}
	if (len > 0)
		ct->stats.invalid++;
	return handed_on;
}

/* At every read: after the first ENOBUFS more is dropped without another one until the queue is
 * empty (NETLINK_S_CONGESTED). */
static void count_drops(struct ct *ct)
{
	uint32_t drops;

	if (nl_drops(&ct->events, &drops))
		return;
	ct->stats.dropped += drops - ct->stats.drops;
	ct->stats.drops = drops;
}

/* ENOBUFS is told once, and then what was queued before is read: told twice it is for the next
 * time. */
static int receive(struct ct *ct, struct nl_datagram got[static NL_BATCH])
{
	int n = -ENOBUFS;

	for (int i = 0; i < 2 && n == -ENOBUFS; i++) {
		n = nl_receive_batch(&ct->events, got);
		ct->stats.enobufs += n == -ENOBUFS;
	}
	return n == -ENOBUFS ? 0 : n;
}

int ct_read(struct ct *ct, unsigned int max_messages, ct_handler *handler, void *data)
{
	struct nl_datagram got[NL_BATCH];
	unsigned int handed_on = 0, reads = 0;
	uint64_t now_real_ns;
	int n = 1;

	while (n != 0 && handed_on < max_messages && reads < max_messages) {
		n = receive(ct, got);
		if (n < 0)
			return n;
		reads += (unsigned int)n;
		now_real_ns = clock_ns(CLOCK_REALTIME);
		for (int i = 0; i < n; i++) {
			if (got[i].len < 0)
				ct->stats.invalid++;
			else
				handed_on += read_events(ct, &got[i], now_real_ns, handler,
							 data);
		}
	}
	count_drops(ct);
	return n ? (int)max_messages : (int)handed_on;
}

struct dump {
	struct ct *ct;
	ct_handler *handler;
	void *data;
};

static bool wanted(const struct ct *ct, uint8_t protocol)
{
	return !ct->protocol_count || memchr(ct->protocols, protocol, ct->protocol_count);
}

static int read_dumped(const struct nlmsghdr *nlh, void *data)
{
	struct dump *dump = data;
	struct ct_entry entry;

	if (NFNL_SUBSYS_ID(nlh->nlmsg_type) != NFNL_SUBSYS_CTNETLINK)
		return 0;
	if (ct_message_parse(&entry, nlh))
		dump->ct->stats.invalid++;
	else if (wanted(dump->ct, entry.original.protocol))
		dump->handler(&entry, dump->data);
	return 0;
}

#define REQUEST_BYTES (MNL_NLMSG_HDRLEN + MNL_ALIGN(sizeof(struct nfgenmsg)))

static struct nlmsghdr *put_request(uint8_t buf[static REQUEST_BYTES], uint16_t message)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct nfgenmsg *nfg = mnl_nlmsg_put_extra_header(nlh, sizeof(*nfg));

	nlh->nlmsg_type = NFNL_SUBSYS_CTNETLINK << 8 | message;
	nfg->nfgen_family = AF_UNSPEC;
	nfg->version = NFNETLINK_V0;
	return nlh;
}

/* The whole table. */
static struct nlmsghdr *put_dump(uint8_t buf[static REQUEST_BYTES])
{
	struct nlmsghdr *nlh = put_request(buf, IPCTNL_MSG_CT_GET);

	nlh->nlmsg_flags = NLM_F_DUMP;
	return nlh;
}

int ct_dump(struct ct *ct, ct_handler *handler, void *data)
{
	struct dump dump = { ct, handler, data };
	uint8_t buf[REQUEST_BYTES];

	return nl_request(&ct->dump, put_dump(buf), read_dumped, &dump);
}

static int begin_parts(struct ct *ct)
{
	uint8_t buf[REQUEST_BYTES];
	int err = nl_open(&ct->parts, NETLINK_NETFILTER, 0, DUMP_BYTES);

	return err ? err : nl_ask(&ct->parts, put_dump(buf));
}

int ct_dump_part(struct ct *ct, ct_handler *handler, void *data)
{
	struct dump dump = { ct, handler, data };
	int err = ct->parts.socket ? 0 : begin_parts(ct);

	if (!err)
		err = nl_answer(&ct->parts, read_dumped, &dump);
	if (err == -EAGAIN)
		return 1;
	if (err <= 0)
		nl_close(&ct->parts);
	return err;
}

int ct_load(void)
{
	uint8_t buf[REQUEST_BYTES];
	struct nlmsghdr *nlh = put_request(buf, IPCTNL_MSG_CT_GET_STATS);
	struct nl nl = { 0 };
	int err = nl_open(&nl, NETLINK_NETFILTER, 0, DUMP_BYTES);

	if (!err)
		err = nl_request(&nl, nlh, NULL, NULL);
	nl_close(&nl);
	return err;
}

static void put_tuple(struct nlmsghdr *nlh, const struct tuple *t)
{
	struct nlattr *tuple = mnl_attr_nest_start(nlh, CTA_TUPLE_ORIG);
	struct nlattr *nest = mnl_attr_nest_start(nlh, CTA_TUPLE_IP);

	if (t->family == AF_INET) {
		mnl_attr_put_u32(nlh, CTA_IP_V4_SRC, t->src.ip4);
		mnl_attr_put_u32(nlh, CTA_IP_V4_DST, t->dst.ip4);
	} else {
		mnl_attr_put(nlh, CTA_IP_V6_SRC, sizeof(t->src), &t->src);
		mnl_attr_put(nlh, CTA_IP_V6_DST, sizeof(t->dst), &t->dst);
	}
	mnl_attr_nest_end(nlh, nest);
	nest = mnl_attr_nest_start(nlh, CTA_TUPLE_PROTO);
	mnl_attr_put_u8(nlh, CTA_PROTO_NUM, t->protocol);
	mnl_attr_put_u16(nlh, CTA_PROTO_SRC_PORT, t->sport);
	mnl_attr_put_u16(nlh, CTA_PROTO_DST_PORT, t->dport);
	mnl_attr_nest_end(nlh, nest);
	mnl_attr_nest_end(nlh, tuple);
}

static int read_found(const struct nlmsghdr *nlh, void *data)
{
	struct ct_entry *entry = data;

	return NFNL_SUBSYS_ID(nlh->nlmsg_type) == NFNL_SUBSYS_CTNETLINK ?
		       ct_message_parse(entry, nlh) : 0;
}

int ct_lookup(struct ct *ct, const struct tuple *original, uint16_t zone, struct ct_entry *out)
{
	struct ct_entry found = { 0 };
	uint8_t buf[512];
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct nfgenmsg *nfg = mnl_nlmsg_put_extra_header(nlh, sizeof(*nfg));
	int err;

	nlh->nlmsg_type = NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_GET;
	nlh->nlmsg_flags = NLM_F_REQUEST;
	nfg->nfgen_family = original->family;
	nfg->version = NFNETLINK_V0;
	put_tuple(nlh, original);
	if (zone)
		mnl_attr_put_u16(nlh, CTA_ZONE, htons(zone));
	err = nl_request(&ct->dump, nlh, read_found, &found);
	if (!err && !found.original.family)
		err = -EBADMSG;
	if (err || !out)
		return err;
	*out = found;
	out->idle_s = idle_s(ct, out);
	return 0;
}

const struct ct_stats *ct_stats(const struct ct *ct)
{
	return &ct->stats;
}

void ct_close(struct ct *ct)
{
	if (!ct)
		return;
	nl_close(&ct->parts);
	nl_close(&ct->dump);
	nl_close(&ct->events);
	free(ct);
}

int ct_count(uint32_t *count, uint32_t *max)
{
	int err = procfs_read_number(AT_FDCWD, "/proc/sys/net/netfilter/nf_conntrack_count", count);

	return err ? err : procfs_read_number(AT_FDCWD, "/proc/sys/net/netfilter/nf_conntrack_max",
					      max);
}
