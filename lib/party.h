/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NFWHO_PARTY_H
#define NFWHO_PARTY_H

#include "flow.h"

/*
 * Whose connections the rate limit takes together: all of one executable, user and container,
 * whatever the number of processes. Without a process it is the cgroup and the user, else the user,
 * else the kernel; and all of whom nothing is known are one.
 */
enum party_kind {
	PARTY_OTHERS,		/* those for whom there was no room */
	PARTY_PROGRAM,
	PARTY_CGROUP,
	PARTY_UID,
	PARTY_KERNEL,
	PARTY_NOBODY,
};

struct party {
	char *executable;	/* refstr, PARTY_PROGRAM; what was executed if that is all there is;
				 * NULL unknown */
	char *container_id;	/* refstr; NULL none */
	const char *container_runtime;	/* a literal; NULL */
	uint64_t cgroup_id;	/* PARTY_CGROUP */
	uint32_t uid;		/* of the socket, else of the process */
	bool has_uid;
	uint8_t kind;		/* enum party_kind */
};

/* Of a flow whose owner is decided. Strings are borrowed from its process. */
void party_of(struct party *party, const struct flow *f);

uint64_t party_hash(const struct party *party, const struct hash_key *key);
bool party_equal(const struct party *a, const struct party *b);

/* One with references of its own to the strings; gives them back. */
struct party party_ref(const struct party *party);
void party_unref(struct party *party);

#endif
