// SPDX-License-Identifier: GPL-2.0-or-later
#include "diag.h"
#include "attr.h"
#include "nl.h"

#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>

/* Requests in one send. Each answer takes about a kilobyte of the receive queue, which holds 208 of
 * them by default. */
#define DIAG_PIPELINE 32

/* A dump comes in datagrams of up to 32 KiB. */
#define DIAG_BUFFER_BYTES 32768

struct diag {
	struct nl nl;
	struct diag_stats stats;
};

struct diag_request {
	struct nlmsghdr header;
	struct inet_diag_req_v2 body;
};

struct dump {
	struct diag *diag;
	diag_handler *handler;
	void *data;
};

/* INET_DIAG_CGROUP_ID: 5.8. In host order, as all of sock_diag, and not aligned to 8 bytes. */
static int read_cgroup_id(const void *attributes, size_t len, uint64_t *cgroup_id)
{
	const struct nlattr *tb[INET_DIAG_CGROUP_ID + 1];
	const struct nlattr *attr;

	if (attr_table(tb, INET_DIAG_CGROUP_ID, attributes, len) < 0)
		return -EBADMSG;
	attr = tb[INET_DIAG_CGROUP_ID];
	if (!attr)
		return 0;
	if (mnl_attr_get_payload_len(attr) != sizeof(*cgroup_id))
		return -EBADMSG;
	memcpy(cgroup_id, mnl_attr_get_payload(attr), sizeof(*cgroup_id));
	return 0;
}

int diag_decode(const void *payload, size_t len, uint8_t protocol, struct tuple *tuple,
		struct sock *sock)
{
	struct inet_diag_msg msg;

	memset(tuple, 0, sizeof(*tuple));
	memset(sock, 0, sizeof(*sock));
	if (len < sizeof(msg))
		return -EBADMSG;
	memcpy(&msg, payload, sizeof(msg));
	if (msg.idiag_family != AF_INET && msg.idiag_family != AF_INET6)
		return -EBADMSG;

	tuple_set_addresses(tuple, msg.idiag_family, msg.id.idiag_src, msg.id.idiag_dst);
	tuple->sport = msg.id.idiag_sport;
	tuple->dport = msg.id.idiag_dport;
	tuple->protocol = protocol;
	sock->inode = msg.idiag_inode;
	sock->cookie = msg.id.idiag_cookie[0] | (uint64_t)msg.id.idiag_cookie[1] << 32;
	sock->uid = msg.idiag_uid;
	sock->ifindex = msg.id.idiag_if;
	sock->state = msg.idiag_state;
	return read_cgroup_id((const char *)payload + sizeof(msg), len - sizeof(msg),
			      &sock->cgroup_id);
}

static void request_init(struct diag_request *r, uint8_t family, uint8_t protocol, uint16_t flags)
{
	memset(r, 0, sizeof(*r));
	r->header.nlmsg_len = sizeof(*r);
	r->header.nlmsg_type = SOCK_DIAG_BY_FAMILY;
	r->header.nlmsg_flags = NLM_F_REQUEST | flags;
	r->body.sdiag_family = family;
	r->body.sdiag_protocol = protocol;
	r->body.id.idiag_cookie[0] = INET_DIAG_NOCOOKIE;
	r->body.id.idiag_cookie[1] = INET_DIAG_NOCOOKIE;
}

/* UDP is looked up as if the packet came in: source is the far side ("swapped for historical
 * reasons", udp_dump_one). */
static void request_from_query(struct diag_request *r, const struct sock_query *query, uint32_t seq)
{
	struct tuple t = query->tuple;

	if (t.protocol == IPPROTO_UDP || t.protocol == IPPROTO_UDPLITE)
		t = tuple_reverse(&t);
	request_init(r, t.family, t.protocol, 0);
	r->header.nlmsg_seq = seq;
	r->body.idiag_states = ~0U;
	r->body.id.idiag_sport = t.sport;
	r->body.id.idiag_dport = t.dport;
	memcpy(r->body.id.idiag_src, &t.src, sizeof(t.src));
	memcpy(r->body.id.idiag_dst, &t.dst, sizeof(t.dst));
	r->body.id.idiag_if = query->ifindex;
}

static void take_answer(struct diag *d, struct sock_query *query, const struct nlmsghdr *nlh)
{
	struct tuple tuple;
	struct sock sock;

	if (diag_decode(mnl_nlmsg_get_payload(nlh), mnl_nlmsg_get_payload_len(nlh),
			query->tuple.protocol, &tuple, &sock) < 0) {
		d->stats.invalid++;
		query->unknown = true;
	} else if (!tuple_equal(&tuple, &query->tuple)) {
		d->stats.other++;
	} else {
		d->stats.found++;
		query->found = true;
		query->sock = sock;
	}
}

/* Reads what one send has left in the queue. An error message means "no such socket", or that there
 * was no memory to answer with. */
static int take_answers(struct diag *d, struct sock_query *queries, uint32_t first_seq,
			unsigned int count)
{
	unsigned int left = count;

	while (left > 0) {
		const struct nlmsghdr *nlh;
		const uint8_t *at = d->nl.buf;
		ssize_t n = nl_receive(&d->nl);
		size_t len = n;

		if (n <= 0)
			return n;
		while ((nlh = nl_take(&at, &len))) {
			uint32_t i = nlh->nlmsg_seq - first_seq;

			if (i >= count)
				continue;	/* of a question given up earlier */
			queries[i].unknown = nlh->nlmsg_type == NLMSG_ERROR && nl_error(nlh) == -ENOMEM;
			if (nlh->nlmsg_type == SOCK_DIAG_BY_FAMILY)
				take_answer(d, &queries[i], nlh);
			left -= left > 0;
		}
		d->stats.lost += len > 0;
	}
	return 0;
}

int diag_lookup(struct diag *d, struct sock_query *queries, unsigned int count)
{
	struct diag_request requests[DIAG_PIPELINE];

	for (unsigned int i = 0; i < count; i++) {
		queries[i].found = false;
		queries[i].unknown = true;
		memset(&queries[i].sock, 0, sizeof(queries[i].sock));
	}
	for (unsigned int begin = 0; begin < count; begin += DIAG_PIPELINE) {
		unsigned int n = count - begin < DIAG_PIPELINE ? count - begin : DIAG_PIPELINE;
		uint32_t first_seq = d->nl.seq + 1;
		int err;

		d->nl.seq += n;
		for (unsigned int i = 0; i < n; i++)
			request_from_query(&requests[i], &queries[begin + i], first_seq + i);
		d->stats.asked += n;
		err = nl_send(&d->nl, requests, n * sizeof(requests[0]));
		if (!err)
			err = take_answers(d, &queries[begin], first_seq, n);
		d->stats.lost += err == -ENOBUFS;
		if (err && err != -ENOBUFS)
			return err;
	}
	return 0;
}

static int dump_handler(const struct nlmsghdr *nlh, void *data)
{
	struct dump *dump = data;
	struct tuple tuple;
	struct sock sock;

	if (diag_decode(mnl_nlmsg_get_payload(nlh), mnl_nlmsg_get_payload_len(nlh), IPPROTO_TCP,
			&tuple, &sock) < 0)
		dump->diag->stats.invalid++;
	else if (dump->handler)
		dump->handler(&tuple, &sock, dump->data);
	return 0;
}

static int dump_states(struct diag *d, uint8_t family, uint32_t states, diag_handler *handler,
		       void *data)
{
	struct dump dump = { .diag = d, .handler = handler, .data = data };
	struct diag_request request;

	request_init(&request, family, IPPROTO_TCP, NLM_F_DUMP);
	request.body.idiag_states = states;
	return nl_request(&d->nl, &request.header, dump_handler, &dump);
}

int diag_dump_connecting(struct diag *d, diag_handler *handler, void *data)
{
	int err = dump_states(d, AF_INET, 1U << TCP_SYN_SENT, handler, data);

	return err ? err : dump_states(d, AF_INET6, 1U << TCP_SYN_SENT, handler, data);
}

/* An exact lookup answers ENOENT both for "no such socket" and for "no inet_diag here"; a dump of
 * no state at all costs nothing and tells them apart. */
int diag_open(struct diag **out)
{
	struct diag *d = calloc(1, sizeof(*d));
	int err;

	if (!d)
		return -ENOMEM;
	err = nl_open(&d->nl, NETLINK_SOCK_DIAG, 0, DIAG_BUFFER_BYTES);
	if (err)
		goto free_diag;
	err = dump_states(d, AF_INET, 0, NULL, NULL);
	if (err)
		goto close_socket;
	*out = d;
	return 0;

close_socket:
	nl_close(&d->nl);
free_diag:
	free(d);
	return err == -ENOENT || err == -EINVAL ? -EPROTONOSUPPORT : err;
}

void diag_close(struct diag *d)
{
	if (!d)
		return;
	nl_close(&d->nl);
	free(d);
}

const struct diag_stats *diag_stats(const struct diag *d)
{
	return &d->stats;
}
