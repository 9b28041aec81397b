// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The kernel sends what a transaction changed, object by object, and then one NFT_MSG_NEWGEN that
 * names the process. Each message carries the port of the socket that asked for the change.
 */
#include "monitor.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <stdlib.h>
#include <string.h>

/* Somebody's large set arrives element by element. */
#define RECEIVE_BUFFER_BYTES (1024 * 1024)
/* Several messages share a datagram, NLMSG_GOODSIZE (a page or 8 KiB) at most unless one alone is
 * longer; none can exceed 64 KiB. */
#define DATAGRAM_BYTES (64 * 1024)

struct monitor {
	struct nl nl;
	uint32_t own_portid;
	bool ours;		/* the transaction being read touches our table */
	const uint8_t *at;	/* what is not read yet of nl.buf */
	size_t left;
};

int monitor_open(struct monitor **out, uint32_t own_portid)
{
	struct monitor *m = calloc(1, sizeof(*m));
	int err;

	if (!m)
		return -ENOMEM;
	m->own_portid = own_portid;
	err = nl_open(&m->nl, NETLINK_NETFILTER, 1 << (NFNLGRP_NFTABLES - 1), DATAGRAM_BYTES);
	if (!err)
		err = nl_set_receive_buffer(&m->nl, RECEIVE_BUFFER_BYTES);
	if (err) {
		monitor_close(m);
		return err;
	}
	*out = m;
	return 0;
}

int monitor_fd(const struct monitor *m)
{
	return nl_fd(&m->nl);
}

/* The table's name is attribute 1 of every nf_tables object. */
static bool is_about_our_table(const struct nlmsghdr *nlh)
{
	const struct nfgenmsg *nfg = mnl_nlmsg_get_payload(nlh);
	const struct nlattr *attr;

	if (nfg->nfgen_family != NFPROTO_INET)
		return false;
	mnl_attr_for_each(attr, nlh, sizeof(*nfg))
		if (mnl_attr_get_type(attr) == NFTA_TABLE_NAME)
			return mnl_attr_validate(attr, MNL_TYPE_NUL_STRING) >= 0 &&
			       strcmp(mnl_attr_get_str(attr), RULESET_TABLE) == 0;
	return false;
}

static void read_process(const struct nlmsghdr *nlh, struct ruleset_change *change)
{
	const struct nlattr *attr;

	mnl_attr_for_each(attr, nlh, sizeof(struct nfgenmsg)) {
		size_t len = mnl_attr_get_payload_len(attr);

		if (mnl_attr_get_type(attr) == NFTA_GEN_PROC_PID &&
		    mnl_attr_validate(attr, MNL_TYPE_U32) >= 0)
			change->pid = ntohl(mnl_attr_get_u32(attr));
		if (mnl_attr_get_type(attr) == NFTA_GEN_PROC_NAME && len > 0) {
			if (len >= sizeof(change->program))
				len = sizeof(change->program) - 1;
			memcpy(change->program, mnl_attr_get_payload(attr), len);
			change->program[len] = '\0';
		}
	}
}

/* 1 if the message ends a transaction that is to be reported. */
static int read_message(struct monitor *m, const struct nlmsghdr *nlh,
			struct ruleset_change *change)
{
	if (nlh->nlmsg_type >> 8 != NFNL_SUBSYS_NFTABLES ||
	    mnl_nlmsg_get_payload_len(nlh) < sizeof(struct nfgenmsg))
		return 0;
	if ((nlh->nlmsg_type & 0xff) != NFT_MSG_NEWGEN) {
		m->ours |= is_about_our_table(nlh);
		return 0;
	}
	*change = (struct ruleset_change){ .ours = m->ours };
	m->ours = false;
	if (nlh->nlmsg_pid == m->own_portid)
		return 0;
	read_process(nlh, change);
	return 1;
}

int monitor_read(struct monitor *m, struct ruleset_change *change)
{
	const struct nlmsghdr *nlh;
	ssize_t got;

	for (;;) {
		while ((nlh = nl_take(&m->at, &m->left)))
			if (read_message(m, nlh, change))
				return 1;
		m->left = 0;
		got = nl_receive(&m->nl);
		if (got == 0)
			return 0;
		if (got < 0) {
			m->ours = false;
			return got == -EMSGSIZE ? -ENOBUFS : (int)got;
		}
		m->left = (size_t)got;
		m->at = m->nl.buf;
	}
}

void monitor_close(struct monitor *m)
{
	if (!m)
		return;
	nl_close(&m->nl);
	free(m);
}
