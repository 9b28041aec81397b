/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NFWHO_CT_MESSAGE_H
#define NFWHO_CT_MESSAGE_H

#include "ct.h"

#include <libmnl/libmnl.h>
#include <linux/netfilter/nfnetlink_conntrack.h>

/* What the kernel says of a conntrack entry, taken apart: lib/ct without its sockets. */

/* One message about an entry. Fills all of *entry, the kind too: CT_NEW or CT_DESTROY by the
 * message type, CT_DUMPED for a part of a dump. Returns 0, or -EBADMSG without a whole tuple in
 * both directions; an attribute of the wrong length counts as not there. */
int ct_message_parse(struct ct_entry *entry, const struct nlmsghdr *nlh);

/* The zone of the original direction from a table of CTA_*, 0 being the default zone: CTA_ZONE when
 * the zone is that of both directions, else inside the tuple. */
uint16_t ct_message_zone(const struct nlattr *const *tb);

#endif
