// SPDX-License-Identifier: GPL-2.0-or-later
#include "party.h"

#include "refstr.h"

#include <string.h>

static void take_program(struct party *party, const struct process *p)
{
	party->kind = PARTY_PROGRAM;
	if (p->known & PROCESS_EXECUTABLE)
		party->executable = p->executable;
	else if (p->known & PROCESS_EXECUTED)
		party->executable = p->executed;
	if (p->known & PROCESS_CGROUP) {
		party->container_id = p->container_id;
		party->container_runtime = p->container_runtime;
	}
	if (!party->has_uid && p->known & PROCESS_IDS) {
		party->has_uid = true;
		party->uid = p->uid;
	}
}

void party_of(struct party *party, const struct flow *f)
{
	*party = (struct party) { .kind = PARTY_NOBODY };
	if (f->seen & FLOW_UID) {
		party->has_uid = true;
		party->uid = f->uid;
	}
	switch ((enum owner_rung)f->owner) {
	case OWNER_TRACE:
	case OWNER_SOCKET:
		if (f->process)
			take_program(party, f->process);
		else if (party->has_uid)
			party->kind = PARTY_UID;
		break;
	case OWNER_CGROUP:
		party->kind = PARTY_CGROUP;
		party->cgroup_id = f->cgroup_id;
		break;
	case OWNER_UID:
		party->kind = PARTY_UID;
		break;
	case OWNER_KERNEL:
		party->kind = PARTY_KERNEL;
		break;
	case OWNER_NONE:
	case OWNER_UNDECIDED:
		break;
	}
}

static uint64_t string_hash(const char *s, const struct hash_key *key)
{
	return s ? hash_bytes(key, s, strlen(s)) : 0;
}

uint64_t party_hash(const struct party *party, const struct hash_key *key)
{
	const uint64_t words[] = {
		string_hash(party->executable, key), string_hash(party->container_id, key),
		party->cgroup_id,
		(uint64_t)party->uid << 32 | (uint64_t)party->has_uid << 8 | party->kind,
	};

	return hash_bytes(key, words, sizeof(words));
}

static bool same_string(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

bool party_equal(const struct party *a, const struct party *b)
{
	return a->kind == b->kind && a->has_uid == b->has_uid && a->uid == b->uid &&
	       a->cgroup_id == b->cgroup_id && same_string(a->executable, b->executable) &&
	       same_string(a->container_id, b->container_id);
}

struct party party_ref(const struct party *party)
{
	struct party copy = *party;

	copy.executable = refstr_ref(party->executable);
	copy.container_id = refstr_ref(party->container_id);
	return copy;
}

void party_unref(struct party *party)
{
	refstr_clear(&party->executable);
	refstr_clear(&party->container_id);
}
