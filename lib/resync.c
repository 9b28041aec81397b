// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A lost NEW leaves a flow without its reply tuple; a lost DESTROY leaves one that never ends. Once
 * losses have stopped for CALM_NS, each flow that may be concerned is looked up: one question per
 * flow of ours, not a dump of a table that may have a million entries of others, and a few of them
 * at a time, because packets are waiting.
 *
 * A flow whose entry is gone is only doubted at first: its DESTROY may be in the socket's queue.
 * When all that was queued has been read and it has not come, it was lost. If the connection's
 * socket lives, the entry was removed under it (conntrack -F), and what it had counted is not known
 * any more. Else it is over: it ends with what is sure, without bytes.
 *
 * Limits: where the NEW is lost and packets come without their entries nobody knows the zone: those
 * are looked up in zone 0.
 */
#include "resync.h"
#include "entry.h"
#include "join.h"

#include <errno.h>

#define CALM_NS		1000000000ull
#define PATIENCE_NS	10000000000ull	/* with losses that do not stop */
#define SLOTS_PER_STEP	8192
#define LOOKUPS_PER_STEP 256

static void wait_for_calm(struct join *j)
{
	struct resync *r = &j->resync;
	uint64_t latest_ns = r->lost_ns + PATIENCE_NS;

	r->phase = RESYNC_WAITING;
	r->due_ns = j->now_ns + CALM_NS < latest_ns ? j->now_ns + CALM_NS : latest_ns;
}

void resync_begin(struct join *j)
{
	struct resync *r = &j->resync;

	if (!j->config.ct)
		return;
	if (r->phase > RESYNC_WAITING) {
		r->again = true;
		return;
	}
	if (r->phase == RESYNC_IDLE)
		r->lost_ns = j->now_ns;
	wait_for_calm(j);
}

static bool may_be_concerned(const struct join *j, const struct flow *f)
{
	return f->seen & FLOW_STARTED && f->seen & (FLOW_PACKET | FLOW_RESUMED) &&
	       !(f->seen & (FLOW_DESTROY | FLOW_UNTRACKED)) && f->packet_ns <= j->ct_lost_ns;
}

static void ask(struct join *j, struct flow *f)
{
	struct ct_entry entry;
	int err = ct_lookup(j->config.ct, &f->tuple, f->ct_zone, &entry);

	if (err && err != -ENOENT)
		return;
	if (!err && f->seen & FLOW_CT_ID && entry.id == f->ct_id) {
		f->ct_status = (uint16_t)entry.status;
		return;
	}
	if (!err && !(f->seen & (FLOW_NEW | FLOW_CT_ID)) &&
	    flow_by_tuple(j->config.flows, &f->tuple) == f) {
		entry_fill_reply(f, &entry);
		f->seen |= FLOW_NEW;
		return;
	}
	if (f->seen & (FLOW_NEW | FLOW_CT_ID | FLOW_ANSWERED))
		f->seen |= FLOW_DOUBTED;
}

static void judge(struct join *j, struct flow *f)
{
	if (!(f->seen & FLOW_DOUBTED))
		return;
	f->seen &= ~(uint32_t)FLOW_DOUBTED;
	if (f->seen & FLOW_DESTROY)
		return;
	f->seen &= ~(uint32_t)(FLOW_NEW | FLOW_CT_ID | FLOW_COUNTERS);
	f->seen |= FLOW_UNCOUNTED;
	if (f->seen & FLOW_ENDED) {
		join_flow_free(j, f);
	} else if (!join_lives(j, f, true)) {
		join_end(j, f);
	} else {
		f->seen |= FLOW_REMOVED;
		join_look_later(j, f);
	}
}

/* True when the walk is over. */
static bool walk(struct join *j)
{
	struct resync *r = &j->resync;
	unsigned int slots = 0, lookups = 0;
	struct flow *f;

	while (slots++ < SLOTS_PER_STEP && lookups < LOOKUPS_PER_STEP) {
		f = flow_walk(j->config.flows, &r->slot);
		if (!f)
			return true;
		if (!may_be_concerned(j, f))
			continue;
		lookups++;
		if (r->phase == RESYNC_ASKING)
			ask(j, f);
		else
			judge(j, f);
	}
	return false;
}

static void next_phase(struct join *j, enum resync_phase phase)
{
	j->resync.phase = phase;
	j->resync.slot = 0;
	j->resync.due_ns = j->now_ns;
}

void resync_step(struct join *j)
{
	struct resync *r = &j->resync;

	switch (r->phase) {
	case RESYNC_IDLE:
		break;
	case RESYNC_WAITING:
		if (j->now_ns >= r->due_ns)
			next_phase(j, RESYNC_ASKING);
		break;
	case RESYNC_ASKING:
		if (walk(j))
			next_phase(j, RESYNC_READING);
		break;
	case RESYNC_READING:
		if (j->conntrack_current)
			next_phase(j, RESYNC_JUDGING);
		break;
	case RESYNC_JUDGING:
		if (!walk(j))
			break;
		r->phase = RESYNC_IDLE;
		if (r->again) {
			r->again = false;
			resync_begin(j);
		}
		break;
	}
}

uint64_t resync_next_ns(const struct join *j)
{
	return j->resync.phase == RESYNC_IDLE ? UINT64_MAX : j->resync.due_ns;
}
