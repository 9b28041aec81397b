/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NFWHO_HOOK_H
#define NFWHO_HOOK_H

#include "ruleset.h"

/* The hooks a chain of ours can stand at. The chain has the hook's name. */
struct hook {
	enum ruleset_hook flag;
	const char *name;
	uint32_t number;		/* NF_INET_* */
	uint32_t interface_key;		/* NFT_META_*: the interface that tells loopback there */
	const char *interface_word;	/* the same in nft(8)'s language */
};

#define HOOK_COUNT 5
/* After conntrack's own hook (-200), before destination NAT (-100): a packet there has its state,
 * and still the addresses that the socket has. */
#define HOOK_PRIORITY (-150)

extern const struct hook hooks[HOOK_COUNT];

#endif
