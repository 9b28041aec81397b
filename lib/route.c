// SPDX-License-Identifier: GPL-2.0-or-later
#include "route.h"
#include "nl.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <sys/socket.h>

#define ANSWER_BYTES 4096

struct route {
	struct nl nl;
};

int route_open(struct route **out)
{
	struct route *r = calloc(1, sizeof(*r));
	int err;

	if (!r)
		return -ENOMEM;
	err = nl_open(&r->nl, NETLINK_ROUTE, 0, ANSWER_BYTES);
	if (err) {
		free(r);
		return err;
	}
	*out = r;
	return 0;
}

void route_close(struct route *r)
{
	if (!r)
		return;
	nl_close(&r->nl);
	free(r);
}

static int take_type(const struct nlmsghdr *nlh, void *data)
{
	const struct rtmsg *rtm = mnl_nlmsg_get_payload(nlh);

	if (nlh->nlmsg_type == RTM_NEWROUTE && mnl_nlmsg_get_payload_len(nlh) >= sizeof(*rtm))
		*(int *)data = rtm->rtm_type;
	return 0;
}

int route_is_local(struct route *r, const struct tuple *t)
{
	uint8_t buf[256];
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	size_t len = t->family == AF_INET ? sizeof(t->dst.ip4) : sizeof(t->dst.ip6);
	struct rtmsg *rtm;
	int type = -1, err;

	nlh->nlmsg_type = RTM_GETROUTE;
	nlh->nlmsg_flags = NLM_F_REQUEST;
	rtm = mnl_nlmsg_put_extra_header(nlh, sizeof(*rtm));
	rtm->rtm_family = t->family;
	rtm->rtm_dst_len = (uint8_t)(8 * len);
	mnl_attr_put(nlh, RTA_DST, len, &t->dst);
	err = nl_request(&r->nl, nlh, take_type, &type);
	if (err)
		return err;
	return type < 0 ? -EPROTO : type == RTN_LOCAL;
}
