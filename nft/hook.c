// SPDX-License-Identifier: GPL-2.0-or-later
#include "hook.h"

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>

const struct hook hooks[HOOK_COUNT] = {
	{ RULESET_PREROUTING, "prerouting", NF_INET_PRE_ROUTING, NFT_META_IIF, "iif" },
	{ RULESET_INPUT, "input", NF_INET_LOCAL_IN, NFT_META_IIF, "iif" },
	{ RULESET_FORWARD, "forward", NF_INET_FORWARD, NFT_META_OIF, "oif" },
	{ RULESET_OUTPUT, "output", NF_INET_LOCAL_OUT, NFT_META_OIF, "oif" },
	{ RULESET_POSTROUTING, "postrouting", NF_INET_POST_ROUTING, NFT_META_OIF, "oif" },
};
