// SPDX-License-Identifier: GPL-2.0-or-later
#include "summary.h"

#include <stdlib.h>
#include <string.h>

#define SLOTS (2 * SUMMARY_DESTINATIONS_MAX)

struct summary {
	struct party party;
	const struct hash_key *key;
	struct process *process;	/* a reference; NULL: none, or several */
	bool several;
	bool foreign_userns;
	uint8_t owner;			/* enum owner_rung: the worst of all */

	uint64_t count, ended;
	uint64_t reasons[REASON_ABORTED + 1];
	uint64_t successes, failures;
	uint64_t bytes[2];
	bool has_bytes;
	uint64_t first_real_ns, last_real_ns;

	struct distinct addresses;
	uint32_t ports;
	uint64_t port_seen[65536 / 64];
	unsigned int destination_count;
	struct record_destination destinations[SUMMARY_DESTINATIONS_MAX];
	uint16_t slots[SLOTS];		/* number of a destination, counted from 1 */
};

struct summary *summary_new(const struct party *party, const struct hash_key *key)
{
	struct summary *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->party = party_ref(party);
	s->key = key;
	return s;
}

void summary_free(struct summary *s)
{
	if (!s)
		return;
	process_unref(s->process);
	party_unref(&s->party);
	free(s);
}

void summary_clear(struct summary *s)
{
	struct party party = s->party;
	const struct hash_key *key = s->key;

	process_unref(s->process);
	memset(s, 0, sizeof(*s));
	s->party = party;
	s->key = key;
}

bool summary_is_empty(const struct summary *s)
{
	return !s->count && !s->ended;
}

static void note_owner(struct summary *s, const struct flow *f)
{
	struct process *p = s->party.kind == PARTY_PROGRAM ? f->process : NULL;

	if (s->owner == OWNER_UNDECIDED || f->owner < s->owner)
		s->owner = f->owner;
	if (!p || s->several || s->process == p)
		return;
	s->foreign_userns |= p->foreign_userns;
	if (!s->process) {
		s->process = process_ref(p);
		return;
	}
	s->several = true;
	process_unref(s->process);
	s->process = NULL;
}

static void note_port(struct summary *s, be16 port)
{
	uint64_t bit = 1ull << port % 64, *word = &s->port_seen[port / 64];

	s->ports += !(*word & bit);
	*word |= bit;
}

static bool is_to(const struct record_destination *d, const struct tuple *t, be16 port)
{
	return d->port == port && d->family == t->family &&
	       memcmp(&d->ip, &t->dst, sizeof(d->ip)) == 0;
}

static void count_destination(struct summary *s, const struct tuple *t, be16 port,
			      uint64_t address_hash)
{
	const uint64_t words[] = { address_hash, port };
	unsigned int i = hash_bytes(s->key, words, sizeof(words)) % SLOTS;

	for (; s->slots[i]; i = (i + 1) % SLOTS) {
		struct record_destination *d = &s->destinations[s->slots[i] - 1];

		if (is_to(d, t, port)) {
			d->count++;
			return;
		}
	}
	if (s->destination_count == SUMMARY_DESTINATIONS_MAX)
		return;
	s->destinations[s->destination_count] = (struct record_destination) {
		.ip = t->dst, .family = t->family, .port = port, .count = 1,
	};
	s->slots[i] = (uint16_t)++s->destination_count;
}

void summary_start(struct summary *s, const struct flow *f, uint64_t address_hash)
{
	bool has_port = record_has_ports(&f->tuple);

	s->count++;
	note_owner(s, f);
	if (f->start_real_ns && (!s->first_real_ns || f->start_real_ns < s->first_real_ns))
		s->first_real_ns = f->start_real_ns;
	if (f->start_real_ns > s->last_real_ns)
		s->last_real_ns = f->start_real_ns;
	distinct_add(&s->addresses, address_hash);
	if (has_port)
		note_port(s, f->tuple.dport);
	count_destination(s, &f->tuple, has_port ? f->tuple.dport : 0, address_hash);
}

void summary_end(struct summary *s, const struct flow *f)
{
	const char *outcome = record_outcome(f);

	s->ended++;
	note_owner(s, f);
	s->reasons[f->reason]++;
	if (outcome && strcmp(outcome, "success") == 0)
		s->successes++;
	else if (outcome)
		s->failures++;
	if (!(f->seen & FLOW_COUNTERS))
		return;
	s->has_bytes = true;
	for (unsigned int way = 0; way < 2; way++)
		s->bytes[way] += f->bytes[way];
}

/* The most frequent first; those that came first among equals. */
static void tell_top(const struct summary *s, struct record_suppressed *out)
{
	for (unsigned int i = 0; i < s->destination_count; i++) {
		const struct record_destination *d = &s->destinations[i];
		unsigned int at = out->top_count;

		if (at == RECORD_TOP_MAX && out->top[at - 1].count >= d->count)
			continue;
		if (at == RECORD_TOP_MAX)
			at--;
		else
			out->top_count++;
		for (; at && out->top[at - 1].count < d->count; at--)
			out->top[at] = out->top[at - 1];
		out->top[at] = *d;
	}
}

void summary_tell(const struct summary *s, uint64_t interval_end_real_ns,
		  struct record_suppressed *out)
{
	const struct party *party = &s->party;

	*out = (struct record_suppressed) {
		.process = s->process,
		.executable = party->executable ? party->executable : "",
		.container_id = party->container_id ? party->container_id : "",
		.container_runtime = party->container_runtime ? party->container_runtime : "",
		.cgroup_id = party->cgroup_id,
		.cgroup_path = "",
		.uid = party->uid,
		.has_uid = party->has_uid,
		.foreign_userns = s->foreign_userns,
		.others = party->kind == PARTY_OTHERS,
		.owner = party->kind == PARTY_OTHERS ? OWNER_UNDECIDED : s->owner,
		.count = s->count, .ended = s->ended,
		.successes = s->successes, .failures = s->failures,
		.bytes = { s->bytes[0], s->bytes[1] }, .has_bytes = s->has_bytes,
		.destinations = distinct_count(&s->addresses),
		.destinations_estimated = s->addresses.estimated,
		.ports = s->ports,
		.first_real_ns = s->first_real_ns, .last_real_ns = s->last_real_ns,
		.interval_end_real_ns = interval_end_real_ns,
	};
	memcpy(out->reasons, s->reasons, sizeof(out->reasons));
	tell_top(s, out);
}
