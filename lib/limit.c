// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * How it works
 *
 * Each party has two lanes, each a token bucket of `rate` and `burst`: one for addresses that the
 * log has already named with it, one for addresses new to it. A program that floods its usual
 * server fills the first lane and leaves the second alone, so that the one connection it makes to
 * somewhere else is still written. An address becomes known when a record of it is written: what a
 * scan has held back drives nothing out.
 *
 * One bucket more, of `rate_total` and one second's worth, is for all. It is shared fairly without
 * a queue. A lane's fair share is the total rate divided by the number of lanes in use (in this
 * second or the last, whichever are more), and each lane has a bucket that earns just that, up to
 * one second's worth. The upper half of the bucket for all is for anybody; the lower half is kept
 * for lanes that have some of their share left. Under overload the loud ones hold it at its middle,
 * and what they get beyond their share is what the others leave; a quiet lane finds tokens, because
 * the shares add up to the rate at which they come back.
 *
 * A connection takes from its lane and from all, or from neither.
 *
 * Limits: in a scan of many addresses one more that is new is one of the scan. More parties than
 * LIMIT_PARTIES_MAX in LIMIT_IDLE_NS are not told apart, nor are more summaries than
 * LIMIT_SUMMARIES_MAX in an interval. Lanes that all come into use at once have more than their
 * share until they have been counted. A party that was forgotten for its silence comes back with
 * full buckets and knows no addresses.
 *
 * A flow that is held back keeps the slot and the generation of its party, so that its end is
 * counted with its start even if more is known of the process by then. A slot that has been given
 * to another party since is noticed by the generation, and the party is looked up again.
 */
#include "limit.h"

#include "bucket.h"
#include "known.h"
#include "party.h"
#include "summary.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#define SECOND_NS 1000000000ull
#define HASH_BUCKETS LIMIT_PARTIES_MAX
#define SLOT_BITS 13
#define GENERATION_MAX (1u << (32 - SLOT_BITS))

/* Slot 0 is the others', and ends lists. */
#define OTHERS 0
#define SLOTS (LIMIT_PARTIES_MAX + 1)
static_assert(SLOTS <= 1u << SLOT_BITS, "a slot's number fits beside its generation");

enum lane_kind { LANE_KNOWN, LANE_NEW, LANES };

struct lane {
	struct bucket own;	/* of rate and burst */
	struct bucket share;	/* of the total rate */
	uint64_t second;	/* the last one it was used in */
};

struct member {
	struct party party;
	uint64_t hash;
	uint64_t used_ns;
	uint32_t generation;
	uint32_t next;			/* of the same hash bucket */
	uint32_t older, newer;		/* in order of use */
	struct summary *summary;	/* NULL: nothing was held back in this interval */
	struct lane lanes[LANES];
	struct known known;
};

struct telling {
	struct summary *summary;
	uint32_t slot, generation;
};

struct limit {
	struct limit_config config;
	struct hash_key key;
	struct bucket total;
	uint64_t second;		/* of lanes_now */
	uint32_t lanes_now, lanes_before;
	uint32_t used;			/* slots ever handed out */
	uint32_t oldest, newest;
	uint64_t due_ns;
	unsigned int telling_count;
	struct telling tellings[LIMIT_SUMMARIES_MAX];
	struct summary *others;		/* always there */
	struct member *members;		/* SLOTS of them, resident as they are used */
	uint32_t buckets[HASH_BUCKETS];
};

static void member_begin(struct limit *l, struct member *m, uint64_t now_ns)
{
	for (unsigned int i = 0; i < LANES; i++) {
		m->lanes[i] = (struct lane) { .second = UINT64_MAX };
		bucket_init(&m->lanes[i].own, l->config.burst, now_ns);
		bucket_init(&m->lanes[i].share, l->config.rate_total, now_ns);
	}
	m->known = (struct known) { 0 };
	m->used_ns = now_ns;
}

int limit_new(struct limit **out, const struct limit_config *config, uint64_t now_ns)
{
	const struct party others = { .kind = PARTY_OTHERS };
	struct limit *l;
	int err = 0;

	if (config->rate && !config->burst)
		return -EINVAL;
	l = calloc(1, sizeof(*l));
	if (!l)
		return -ENOMEM;
	l->config = *config;
	l->due_ns = UINT64_MAX;
	l->used = OTHERS + 1;
	l->members = mmap(NULL, SLOTS * sizeof(*l->members), PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (l->members == MAP_FAILED) {
		l->members = NULL;
		err = -errno;
	}
	l->others = summary_new(&others, &l->key);
	if (!err && !l->others)
		err = -ENOMEM;
	if (!err)
		err = hash_key_init(&l->key);
	if (err) {
		limit_free(l);
		return err;
	}
	bucket_init(&l->total, config->rate_total, now_ns);
	member_begin(l, &l->members[OTHERS], now_ns);
	*out = l;
	return 0;
}

/* It may have been set by an interval shorter than both: then it was long ago. */
static uint64_t earlier_by(uint64_t due_ns, uint64_t less_ns)
{
	return due_ns > less_ns ? due_ns - less_ns : 1;
}

int limit_change(struct limit *l, const struct limit_config *config)
{
	if (config->rate && !config->burst)
		return -EINVAL;
	if (l->due_ns != UINT64_MAX && config->interval_ns < l->config.interval_ns)
		l->due_ns = earlier_by(l->due_ns, l->config.interval_ns - config->interval_ns);
	l->config = *config;
	return 0;
}

void limit_free(struct limit *l)
{
	if (!l)
		return;
	for (unsigned int i = 0; i < l->telling_count; i++)
		summary_free(l->tellings[i].summary);
	summary_free(l->others);
	for (uint32_t i = 0; l->members && i < l->used; i++)
		party_unref(&l->members[i].party);
	if (l->members)
		munmap(l->members, SLOTS * sizeof(*l->members));
	free(l);
}

/* --- members, in order of use */

static void use_list_remove(struct limit *l, struct member *m)
{
	if (m->older)
		l->members[m->older].newer = m->newer;
	else
		l->oldest = m->newer;
	if (m->newer)
		l->members[m->newer].older = m->older;
	else
		l->newest = m->older;
}

static void use_list_append(struct limit *l, struct member *m)
{
	uint32_t slot = (uint32_t)(m - l->members);

	m->older = l->newest;
	m->newer = 0;
	if (l->newest)
		l->members[l->newest].newer = slot;
	else
		l->oldest = slot;
	l->newest = slot;
}

static void forget(struct limit *l, struct member *m)
{
	uint32_t slot = (uint32_t)(m - l->members), *at = &l->buckets[m->hash % HASH_BUCKETS];

	while (*at != slot)
		at = &l->members[*at].next;
	*at = m->next;
	use_list_remove(l, m);
	party_unref(&m->party);
	m->summary = NULL;	/* it is told all the same */
	m->generation = (m->generation + 1) % GENERATION_MAX;
}

/* A slot nobody has, or the one that was silent for longest. NULL: none was silent enough. */
static struct member *find_room(struct limit *l, uint64_t now_ns)
{
	struct member *m;

	if (l->used < SLOTS)
		return &l->members[l->used++];
	m = &l->members[l->oldest];
	if (now_ns < m->used_ns + LIMIT_IDLE_NS)
		return NULL;
	forget(l, m);
	return m;
}

static struct member *admit(struct limit *l, const struct party *party, uint64_t hash,
			    uint64_t now_ns)
{
	struct member *m = find_room(l, now_ns);
	uint32_t *bucket = &l->buckets[hash % HASH_BUCKETS];

	if (!m)
		return &l->members[OTHERS];
	member_begin(l, m, now_ns);
	m->party = party_ref(party);
	m->hash = hash;
	m->next = *bucket;
	*bucket = (uint32_t)(m - l->members);
	use_list_append(l, m);
	return m;
}

static struct member *find_member(struct limit *l, const struct flow *f, uint64_t now_ns)
{
	struct party party;
	uint64_t hash;
	uint32_t slot;

	party_of(&party, f);
	hash = party_hash(&party, &l->key);
	for (slot = l->buckets[hash % HASH_BUCKETS]; slot; slot = l->members[slot].next) {
		struct member *m = &l->members[slot];

		if (m->hash != hash || !party_equal(&m->party, &party))
			continue;
		m->used_ns = now_ns;
		if (l->newest != slot) {
			use_list_remove(l, m);
			use_list_append(l, m);
		}
		return m;
	}
	return admit(l, &party, hash, now_ns);
}

/* --- who may */

static void count_lane(struct limit *l, struct lane *lane, uint64_t now_ns)
{
	uint64_t second = now_ns / SECOND_NS;

	if (second != l->second) {
		l->lanes_before = second == l->second + 1 ? l->lanes_now : 0;
		l->lanes_now = 0;
		l->second = second;
	}
	if (lane->second != second) {
		lane->second = second;
		l->lanes_now++;
	}
}

/* Takes from the share and from all; false if there is nothing for this lane. */
static bool take_of_total(struct limit *l, struct lane *lane, uint64_t now_ns)
{
	uint32_t rate = l->config.rate_total, level, share, left;
	uint32_t lanes = l->lanes_now > l->lanes_before ? l->lanes_now : l->lanes_before;

	if (!rate)
		return true;
	share = rate > lanes ? rate / lanes : 1;
	left = bucket_level(&lane->share, share, share, now_ns);
	level = bucket_level(&l->total, rate, rate, now_ns);
	if (!level || (level <= rate / 2 && !left))
		return false;
	if (left)
		bucket_take(&lane->share);
	bucket_take(&l->total);
	return true;
}

static bool take(struct limit *l, struct lane *lane, uint64_t now_ns)
{
	const struct limit_config *config = &l->config;

	count_lane(l, lane, now_ns);
	if (config->rate && !bucket_level(&lane->own, config->rate, config->burst, now_ns))
		return false;
	if (!take_of_total(l, lane, now_ns))
		return false;
	if (config->rate)
		bucket_take(&lane->own);
	return true;
}

/* --- what is held back */

/* The member's summary, begun if need be; NULL if it has to be the others'. */
static struct summary *summary_of(struct limit *l, struct member *m)
{
	if (m == &l->members[OTHERS])
		return NULL;
	if (m->summary || l->telling_count == LIMIT_SUMMARIES_MAX)
		return m->summary;
	m->summary = summary_new(&m->party, &l->key);
	if (m->summary)
		l->tellings[l->telling_count++] = (struct telling) {
			m->summary, (uint32_t)(m - l->members), m->generation,
		};
	return m->summary;
}

static void something_to_tell(struct limit *l, uint64_t now_ns)
{
	if (l->due_ns == UINT64_MAX)
		l->due_ns = now_ns + l->config.interval_ns;
}

static void hold_back(struct limit *l, struct member *m, struct flow *f, uint64_t address_hash,
		      uint64_t now_ns)
{
	struct summary *s = summary_of(l, m);

	if (!s)
		m = &l->members[OTHERS];
	f->limit_slot = m->generation << SLOT_BITS | (uint32_t)(m - l->members);
	summary_start(s ? s : l->others, f, address_hash);
	something_to_tell(l, now_ns);
}

bool limit_start(struct limit *l, struct flow *f, uint64_t now_ns)
{
	struct member *m;
	uint64_t address_hash;
	bool known;

	if (!l->config.rate && !l->config.rate_total)
		return true;
	m = find_member(l, f, now_ns);
	address_hash = hash_bytes(&l->key, &f->tuple.dst, sizeof(f->tuple.dst));
	known = known_has(&m->known, address_hash);
	if (!take(l, &m->lanes[known ? LANE_KNOWN : LANE_NEW], now_ns)) {
		hold_back(l, m, f, address_hash, now_ns);
		return false;
	}
	if (!known)
		known_add(&m->known, address_hash);
	return true;
}

void limit_end(struct limit *l, const struct flow *f, uint64_t now_ns)
{
	struct member *m = &l->members[f->limit_slot % (1u << SLOT_BITS)];
	struct summary *s;

	if (m->generation != f->limit_slot >> SLOT_BITS)
		m = find_member(l, f, now_ns);
	s = summary_of(l, m);
	summary_end(s ? s : l->others, f);
	something_to_tell(l, now_ns);
}

uint64_t limit_due_ns(const struct limit *l)
{
	return l->due_ns;
}

void limit_tell(struct limit *l, uint64_t now_real_ns,
		void (*tell)(struct record_suppressed *s, void *data), void *data)
{
	struct record_suppressed told;

	for (unsigned int i = 0; i < l->telling_count; i++) {
		const struct telling *t = &l->tellings[i];
		struct member *m = &l->members[t->slot];

		summary_tell(t->summary, now_real_ns, &told);
		tell(&told, data);
		if (m->generation == t->generation)
			m->summary = NULL;
		summary_free(t->summary);
	}
	l->telling_count = 0;
	if (!summary_is_empty(l->others)) {
		summary_tell(l->others, now_real_ns, &told);
		tell(&told, data);
		summary_clear(l->others);
	}
	l->due_ns = UINT64_MAX;
}
