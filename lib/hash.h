/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NFWHO_HASH_H
#define NFWHO_HASH_H

#include <stddef.h>
#include <stdint.h>

/* A secret that makes bucket numbers unpredictable: whoever chooses addresses, ports or program
 * names must not be able to choose a hash chain. */
struct hash_key {
	uint64_t k0, k1;
};

/* Fills the key from getrandom(2). Returns 0 or -errno. */
int hash_key_init(struct hash_key *key);

/* SipHash-1-3 of len bytes. */
uint64_t hash_bytes(const struct hash_key *key, const void *data, size_t len);

#endif
