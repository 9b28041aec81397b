// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * conntrack's word: the flow that it is of, and what it tells of it.
 *
 * A flow that only conntrack knows is an inbound connection or one whose packet is still in the
 * kernel's batch: it waits a second and is forgotten.
 */
#include "entry.h"

#include "fate.h"

#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_conntrack_tcp.h>
#include <string.h>

/* A retransmitted SYN comes a second after the first (TCP_TIMEOUT_INIT). */
#define REMADE_NS 1000000000ull
/* A NEW would have been read this long after its connection's start. */
#define NEW_IS_READ_NS 1000000000ull

/* Between clocks that were not read at the same instant. */
#define SLACK_NS 100000000ull

/* Connections of one tuple that nobody but conntrack has told of. A host's own are not that many
 * within a second; somebody who sends to a closed port, always from the same one, makes as many as
 * he likes, and each message walks past all of them. */
#define ORPHANS_MAX 32

/* Times in tables by tuple: 67 ms, so that 32 bits are for nine years. */
static uint32_t units(uint64_t ns)
{
	return (uint32_t)(ns >> 26);
}

static uint32_t *slot(const struct join *j, uint32_t *table, const struct tuple *tuple)
{
	return &table[flow_tuple_hash(j->config.flows, tuple) % ENTRY_SLOTS];
}

bool join_confirmed_since(const struct join *j, const struct tuple *tuple, uint64_t since_ns)
{
	uint32_t at = *slot(j, j->confirmed, tuple);

	return at && at >= units(since_ns);
}

/* Words of this tuple were dropped a moment ago, so that the next one may not be of the next
 * packet. */
static bool is_crowded(const struct join *j, const struct tuple *tuple)
{
	uint64_t since_ns = j->now_ns - 2 * JOIN_ORPHAN_NS;

	return j->crowded_ns > since_ns && *slot(j, j->crowded, tuple) >= units(since_ns);
}

/* What is known from conntrack's word. */
static const uint32_t told = FLOW_NEW | FLOW_DESTROY | FLOW_COUNTERS | FLOW_REPLY | FLOW_CT_ID |
			     FLOW_TCP_STATE | FLOW_REMOVED | FLOW_UNCOUNTED;

static bool is_entry_of(const struct flow *f, uint32_t id, uint16_t zone)
{
	return !(f->seen & FLOW_CT_ID) || (f->ct_id == id && f->ct_zone == zone);
}

/* Of a connection that nobody else has told of yet, and that began before read_real_ns. */
static struct flow *orphan_new(struct join *j, const struct tuple *tuple, uint64_t read_real_ns)
{
	struct flow *f = join_flow_new(j);

	f->tuple = *tuple;
	f->start_real_ns = read_real_ns;
	flow_index_tuple(j->config.flows, f);
	flow_enqueue(j->config.flows, f, FLOW_QUEUE_ORPHAN, j->now_ns + JOIN_ORPHAN_NS);
	return f;
}

static void copy_word(struct flow *to, const struct flow *from)
{
	to->seen |= from->seen & told;
	to->reply_src = from->reply_src;
	to->reply_dst = from->reply_dst;
	to->reply_sport = from->reply_sport;
	to->reply_dport = from->reply_dport;
	memcpy(to->bytes, from->bytes, sizeof(to->bytes));
	memcpy(to->packets, from->packets, sizeof(to->packets));
	to->ct_id = from->ct_id;
	to->ct_zone = from->ct_zone;
	to->ct_unconfirmed = from->ct_unconfirmed;
	to->ct_status = from->ct_status;
	to->tcp_state = from->tcp_state;
}

void entry_forget(struct flow *f)
{
	/* Not the trace's, then: that tells of it when the socket closes. */
	if (f->seen & FLOW_DESTROY && !(f->seen & FLOW_CLOSED))
		f->end_ns = 0;
	f->seen &= ~told;
	f->ct_status = 0;
	memset(f->bytes, 0, sizeof(f->bytes));
	memset(f->packets, 0, sizeof(f->packets));
}

/* The flow whose packet came with the entry that `from` has the word of. */
static struct flow *find_entry(struct join *j, const struct flow *from)
{
	struct flow *f = flow_by_tuple(j->config.flows, &from->tuple), *found = NULL;

	for (; f; f = flow_next_by_tuple(j->config.flows, f))
		if (f != from && f->seen & FLOW_CT_ID && !(f->seen & (FLOW_NEW | FLOW_DESTROY)) &&
		    is_entry_of(f, from->ct_id, from->ct_zone))
			found = f;
	return found;
}

/* Takes from a flow the word that is another's, for that one to have, or to find when its packet is
 * read. Nothing is evicted for it: this may be in the midst of the very flow. */
static void pass_on(struct join *j, struct flow *from)
{
	struct flow *to;

	if (from->seen & (FLOW_NEW | FLOW_DESTROY)) {
		to = find_entry(j, from);
		if (!to && !flow_table_full(j->config.flows))
			to = orphan_new(j, &from->tuple, j->now_real_ns);
		if (to)
			copy_word(to, from);
		if (to && to->seen & (FLOW_PACKET | FLOW_STARTED))
			join_look_later(j, to);
	}
	entry_forget(from);
}

void entry_attached(struct join *j, struct flow *f, uint32_t id, uint16_t zone, bool unconfirmed)
{
	if (!is_entry_of(f, id, zone))
		pass_on(j, f);
	f->seen |= FLOW_CT_ID;
	f->ct_id = id;
	f->ct_zone = zone;
	f->ct_unconfirmed = unconfirmed;
}

void entry_absorb(struct join *j, struct flow *f, struct flow *connect)
{
	if (!(connect->seen & (FLOW_NEW | FLOW_DESTROY)))
		return;
	if (!is_entry_of(f, connect->ct_id, connect->ct_zone))
		pass_on(j, connect);
	else if (!(f->seen & (FLOW_NEW | FLOW_DESTROY)))
		copy_word(f, connect);
}

/* Only conntrack has told of it: by an event, or in the dump of a start. */
static bool is_orphan(const struct flow *f)
{
	return f->queue == FLOW_QUEUE_ORPHAN || f->queue == FLOW_QUEUE_RESUMED;
}

/* A connect without a packet of its own has the word of the entry that this packet came with. */
static bool has_word_of(const struct flow *connect, const struct flow *f)
{
	return f->seen & FLOW_CT_ID && connect->seen & (FLOW_NEW | FLOW_DESTROY) &&
	       !(connect->seen & (FLOW_PACKET | FLOW_STARTED));
}

bool entry_is_older(const struct join *j, const struct flow *orphan, uint64_t sent_after_ns,
		    bool connects)
{
	/* Its socket was seen: a later connect is another one's, and one that has its answer sends
	 * no SYN. */
	if (orphan->seen & FLOW_RESUMED)
		return sent_after_ns > orphan->packet_ns &&
		       (connects || orphan->seen & FLOW_ANSWERED);
	if (orphan->tuple.protocol != IPPROTO_TCP || j->now_ns < j->ct_lost_ns + JOIN_ORPHAN_NS)
		return false;
	return is_orphan(orphan) && (orphan->seen & (FLOW_NEW | FLOW_DESTROY)) == FLOW_DESTROY;
}

/* Conntrack's word was read before anything that was sent later than this, or has woken us. */
static bool was_read_before(const struct join *j, const struct flow *orphan, uint64_t sent_after_ns)
{
	uint64_t ago_ns = j->now_ns - sent_after_ns;

	if (sent_after_ns + JOIN_TIMER_LATE_NS < j->woken_ns)
		ago_ns = j->now_ns - j->woken_ns + JOIN_TIMER_LATE_NS;
	return orphan->start_real_ns + SLACK_NS + ago_ns < j->now_real_ns;
}

/* What conntrack has told of this packet's connection, the oldest first: packets are logged in the
 * order of their entries. */
static struct flow *find_word(struct join *j, const struct flow *f)
{
	struct flow *other = flow_by_tuple(j->config.flows, &f->tuple), *found = NULL;
	bool connects = f->seen & FLOW_CONNECT;
	uint64_t sent_after_ns = connects ? f->start_ns : join_sent_after(j);

	for (; other; other = flow_next_by_tuple(j->config.flows, other)) {
		if (other == f || !is_entry_of(f, other->ct_id, other->ct_zone) ||
		    entry_is_older(j, other, sent_after_ns, connects))
			continue;
		if (is_orphan(other) ? other->seen & FLOW_RESUMED ||
				       !was_read_before(j, other, sent_after_ns) :
				       has_word_of(other, f))
			found = other;
	}
	return found;
}

void entry_adopt(struct join *j, struct flow *f)
{
	struct flow *from;

	if (f->seen & (FLOW_NEW | FLOW_DESTROY | FLOW_UNTRACKED))
		return;
	if (!(f->seen & FLOW_CT_ID) && is_crowded(j, &f->tuple)) {
		f->seen |= FLOW_CT_LOST;
		return;
	}
	from = find_word(j, f);
	if (!from)
		return;
	copy_word(f, from);
	if (tuple_is_datagram(&f->tuple))
		f->seen |= from->seen & FLOW_ANSWERED;
	if (!f->end_ns && !(from->seen & FLOW_CONNECT) && from->end_ns)
		f->end_ns = from->end_ns > f->start_ns ? from->end_ns : f->start_ns;
	if (is_orphan(from))
		join_flow_free(j, from);
	else
		entry_forget(from);
}

void entry_sent_again(struct join *j, struct flow *f, const struct nflog_packet *packet)
{
	if (!packet->has_ct || packet->ct_id == f->ct_id || packet->ct_zone != f->ct_zone)
		return;
	if ((f->seen & (FLOW_CT_ID | FLOW_NEW | FLOW_DESTROY)) != FLOW_CT_ID || !f->ct_unconfirmed)
		return;
	/* Two at once make two entries, and the kernel confirms one for both, nobody knows which. */
	if (tuple_is_datagram(&f->tuple)) {
		entry_forget(f);
		return;
	}
	entry_attached(j, f, packet->ct_id, packet->ct_zone, packet->ct_unconfirmed);
	entry_adopt(j, f);
	if (f->seen & FLOW_DESTROY)
		join_look_later(j, f);
}

/* When its first packet can have been sent, at the earliest. Wall time. */
static uint64_t sent_after_real_ns(const struct flow *f)
{
	uint64_t ago_ns = JOIN_CONFIRM_NS;

	if (f->seen & FLOW_CONNECT)
		return f->start_real_ns;
	if (!(f->seen & FLOW_STARTED))	/* answer_ns from then on */
		ago_ns = f->start_ns - f->sent_after_ns;
	return ago_ns < f->start_real_ns ? f->start_real_ns - ago_ns : 0;
}

/* An entry's NEW is told before its DESTROY. A DESTROY alone, soon after a SYN, can be of the last
 * connection with this tuple, of which nothing is known: a SYN that finds its entry in TIME_WAIT
 * has it removed, and the next one has the same id if it comes to lie in the same place. Later it
 * is of an entry that stood when we came, or whose NEW another run has read. Of datagrams without a
 * reply each is logged, those of an older entry, too. */
static bool can_be_its_end(const struct join *j, const struct flow *f, const struct ct_entry *entry)
{
	const uint32_t begun = FLOW_NEW | FLOW_EARLIER | FLOW_RESUMED | FLOW_REMOVED;

	if (f->tuple.protocol != IPPROTO_TCP || f->seen & begun || f->start_ns <= j->ct_lost_ns)
		return true;
	if (f->seen & FLOW_CT_ID && !f->ct_unconfirmed)	/* it stood when the packet came */
		return true;
	if (j->conntrack_current && j->now_ns > f->start_ns + NEW_IS_READ_NS)
		return true;
	return entry->has_timestamps && entry->start_real_ns >= sent_after_real_ns(f);
}

static bool lacks_entry(const struct join *j, const struct flow *f, const struct ct_entry *entry)
{
	if (f->seen & (FLOW_DESTROY | FLOW_UNTRACKED))
		return false;
	if (!is_entry_of(f, entry->id, entry->zone) ||
	    (!(f->seen & FLOW_CT_ID) && is_crowded(j, &f->tuple)))
		return false;
	return entry->kind == CT_DESTROY ? can_be_its_end(j, f, entry) : !(f->seen & FLOW_NEW);
}

/* After a loss the order says nothing; when the entry was made does. */
static struct flow *nearest_flow(struct join *j, const struct ct_entry *entry)
{
	uint64_t made_ns = entry->has_timestamps ? entry->start_real_ns : j->now_real_ns;
	uint64_t nearest_ns = UINT64_MAX, distance_ns;
	struct flow *f, *found = NULL;

	for (f = flow_by_tuple(j->config.flows, &entry->original); f;
	     f = flow_next_by_tuple(j->config.flows, f)) {
		if (!lacks_entry(j, f, entry))
			continue;
		distance_ns = made_ns > f->start_real_ns ? made_ns - f->start_real_ns :
							   f->start_real_ns - made_ns;
		if (distance_ns >= nearest_ns)
			continue;
		nearest_ns = distance_ns;
		found = f;
	}
	if (!entry->has_timestamps && entry->kind == CT_DESTROY)
		found->seen |= FLOW_UNCOUNTED;
	return found;
}

/* Its packet came while the entry stood. Where packets come with their entries that is seen;
 * elsewhere a NEW of its own would have been read. */
static bool goes_on_in(const struct join *j, const struct flow *f, const struct ct_entry *entry)
{
	uint64_t stop_ns = entry->stop_real_ns ? entry->stop_real_ns : j->now_real_ns;

	if (f->tuple.protocol != IPPROTO_TCP || !(f->seen & FLOW_PACKET) || f->seen & FLOW_NEW)
		return false;
	if (f->seen & FLOW_CT_ID)
		return !f->ct_unconfirmed && sent_after_real_ns(f) <= stop_ns;
	return !j->foreign_zone && f->start_ns > j->ct_lost_ns &&
	       f->start_real_ns + NEW_IS_READ_NS <= stop_ns;
}

/* A tuple that is used again while its entry waits for a reply goes on in the same entry, and what
 * became of that became of its last use: our rules log no packet of an entry that has its reply,
 * others' may. A RST that comes soon can still be in answer to the use before. */
static struct flow *last_use(struct join *j, const struct ct_entry *entry)
{
	struct flow *f = flow_by_tuple(j->config.flows, &entry->original), *last = NULL;

	if (entry->kind != CT_DESTROY || !j->config.own_rules)
		return NULL;
	for (; f; f = flow_next_by_tuple(j->config.flows, f)) {
		if (!lacks_entry(j, f, entry))
			continue;
		if (last && (f->seen & FLOW_ANSWERED ||
			     (!(entry->status & IPS_ASSURED) &&
			      f->start_real_ns + NEW_IS_READ_NS > last->start_real_ns)))
			return NULL;
		if (!last && goes_on_in(j, f, entry))
			last = f;
	}
	return last;
}

/* To the flow whose packet came with this very entry; else, as conntrack's events of one tuple come
 * in order, to the oldest that still lacks it; chains are newest first. */
static struct flow *conntrack_flow(struct join *j, const struct ct_entry *entry)
{
	struct flow *f = last_use(j, entry), *found = NULL, *exact = NULL;
	unsigned int count = 0;
	bool lost = false;

	if (f)
		return f;
	for (f = flow_by_tuple(j->config.flows, &entry->original); f;
	     f = flow_next_by_tuple(j->config.flows, f)) {
		if (!lacks_entry(j, f, entry))
			continue;
		found = f;
		if (f->seen & FLOW_CT_ID)
			exact = f;
		count++;
		lost |= f->start_ns && f->start_ns <= j->ct_lost_ns;
	}
	if (count > 1 && lost)
		return nearest_flow(j, entry);
	return exact ? exact : found;
}

void entry_fill_reply(struct flow *f, const struct ct_entry *entry)
{
	f->reply_src = entry->reply.src;
	f->reply_dst = entry->reply.dst;
	f->reply_sport = entry->reply.sport;
	f->reply_dport = entry->reply.dport;
	f->seen |= FLOW_REPLY | FLOW_CT_ID;
	f->ct_id = entry->id;
	f->ct_zone = entry->zone;
	f->ct_unconfirmed = false;
	f->ct_status = (uint16_t)entry->status;
}

/* Whether entries have counted for this flow whose counts we never got. Its first packet makes its
 * entry; one made much later follows one that was removed by hand. */
static bool has_gap(const struct join *j, const struct flow *f, const struct ct_entry *entry)
{
	if (f->seen & FLOW_UNCOUNTED)
		return true;
	if (f->seen & FLOW_REMOVED)
		return f->start_ns <= j->ct_lost_ns;
	return entry->has_timestamps && !f->syn_retransmits && f->start_real_ns &&
	       entry->start_real_ns > f->start_real_ns + REMADE_NS;
}

void entry_fill_last_word(struct join *j, struct flow *f, const struct ct_entry *entry)
{
	if (has_gap(j, f, entry)) {
		f->seen |= FLOW_UNCOUNTED;
		f->seen &= ~(uint32_t)FLOW_COUNTERS;
	} else if (entry->has_counters) {
		for (unsigned int way = 0; way < 2; way++) {
			f->bytes[way] += entry->bytes[way];
			f->packets[way] += entry->packets[way];
		}
		f->seen |= FLOW_COUNTERS;
	}
	if (entry->has_tcp_state) {
		f->tcp_state = entry->tcp_state;
		f->seen |= FLOW_TCP_STATE;
	}
}

/* Both sides have said that it is over, or one of them with a RST. */
static bool is_closed(const struct ct_entry *entry)
{
	return entry->has_tcp_state && (entry->tcp_state == TCP_CONNTRACK_LAST_ACK ||
					entry->tcp_state == TCP_CONNTRACK_TIME_WAIT ||
					entry->tcp_state == TCP_CONNTRACK_CLOSE);
}

/* Since it began, or this host slept: what lies between two times of conntrack is not how long it
 * took. */
static bool clock_was_set(const struct join *j, const struct flow *f)
{
	uint64_t real_ns = j->now_real_ns - f->start_real_ns, ns = j->now_ns - f->start_ns;

	return f->start_ns && f->start_real_ns &&
	       (real_ns > ns ? real_ns - ns : ns - real_ns) > SLACK_NS;
}

/* From now, by the clock as it is. 0 if that is before anything, or yet to come. */
static uint64_t reckon_back(const struct join *j, uint64_t ended_real_ns)
{
	uint64_t ago_ns = j->now_real_ns - ended_real_ns;

	return ended_real_ns <= j->now_real_ns && ago_ns < j->now_ns ? j->now_ns - ago_ns : 0;
}

/* When the last packet went by, if only conntrack can tell: its entry is kept for a fixed time
 * after that. Not for an entry that somebody removed. */
static void estimate_end(struct join *j, struct flow *f, const struct ct_entry *entry)
{
	uint64_t kept_ns = (uint64_t)entry->idle_s * 1000000000;
	uint64_t ended_real_ns;

	if (f->end_ns || !entry->has_timestamps || !entry->stop_real_ns || entry->removed_by_hand ||
	    !kept_ns)
		return;
	ended_real_ns = entry->stop_real_ns - kept_ns;
	if (clock_was_set(j, f)) {
		/* Before its start: the clock was set once more, after its stop. */
		if (reckon_back(j, ended_real_ns) >= f->start_ns)
			f->end_ns = reckon_back(j, ended_real_ns);
		return;
	}
	if (ended_real_ns < entry->start_real_ns)
		ended_real_ns = entry->stop_real_ns;	/* a RST took it at once */
	if (ended_real_ns < entry->start_real_ns)
		return;		/* the clock was set back meanwhile */
	/* Its packet may have been read late, and the end lie before that: conntrack has its own
	 * start. */
	if (f->seen & FLOW_NEW && f->start_ns)
		f->end_ns = f->start_ns + (ended_real_ns - entry->start_real_ns);
	else if (ended_real_ns < f->start_real_ns && !is_orphan(f))
		f->end_ns = f->start_ns;
	else
		f->end_ns = reckon_back(j, ended_real_ns);
}

void entry_take_as_final(struct join *j, struct flow *f, struct ct_entry *entry)
{
	entry_fill_reply(f, entry);
	entry_fill_last_word(j, f, entry);
	if (!is_closed(entry))
		f->seen &= ~(uint32_t)FLOW_TCP_STATE;
	if (entry->has_timeout)
		entry->stop_real_ns = j->now_real_ns + (uint64_t)entry->timeout_s * 1000000000;
	estimate_end(j, f, entry);
	f->seen |= FLOW_DESTROY;
}

/* What waits for an answer loses its entry to a full table (early_drop()), or to a timeout that is
 * shorter than the time to its next SYN: then its socket tells. Not after a RST, of which conntrack
 * hears before the socket does. Linux 5.10 leaves that out, but has counted it. */
static bool may_still_connect(const struct flow *f, const struct ct_entry *entry)
{
	if (f->tuple.protocol != IPPROTO_TCP || fate_answered(f) || f->seen & FLOW_INGRESS)
		return false;
	return entry->has_tcp_state ? entry->tcp_state != TCP_CONNTRACK_CLOSE :
				      !(entry->has_counters && entry->packets[1]);
}

/* `conntrack -D` and -F remove an entry under a living connection; its next packet makes one. */
static bool lives_on(struct join *j, struct flow *f, const struct ct_entry *entry)
{
	if (entry->removed_by_hand) {
		f->seen |= FLOW_REMOVED;
		return f->seen & (FLOW_PACKET | FLOW_STARTED) && join_lives(j, f, true);
	}
	if (!(f->seen & (FLOW_PACKET | FLOW_STARTED | FLOW_RESUMED)) ||
	    !may_still_connect(f, entry) || !join_lives(j, f, false))
		return false;
	f->seen |= FLOW_REMOVED;
	return true;
}

/* Another use of the tuple whose entry f's was, too: that is known, or a NEW of its own would have
 * been read. */
static bool shared_with(const struct flow *f, const struct flow *other, uint64_t stop_ns)
{
	if (other == f || !(other->seen & FLOW_PACKET) ||
	    other->seen & (FLOW_DESTROY | FLOW_UNTRACKED))
		return false;
	/* Two that began are two, though one may lie where the other did: then they have one id. */
	if (other->seen & FLOW_CT_ID)
		return flow_has_entry(other) && is_entry_of(other, f->ct_id, f->ct_zone) &&
		       !(f->seen & other->seen & FLOW_NEW) && sent_after_real_ns(other) <= stop_ns;
	return !(other->seen & (FLOW_NEW | FLOW_ENDED)) &&
	       other->start_real_ns + NEW_IS_READ_NS <= stop_ns;
}

/* The counters of an entry that several uses of the tuple went on in are of all of them. Nobody's,
 * then. With it all of them are over. */
static void share_entry(struct join *j, struct flow *f, const struct ct_entry *entry)
{
	uint64_t stop_ns = entry->stop_real_ns ? entry->stop_real_ns : j->now_real_ns;
	struct flow *other = flow_by_tuple(j->config.flows, &f->tuple);

	for (; other; other = flow_next_by_tuple(j->config.flows, other)) {
		if (!shared_with(f, other, stop_ns))
			continue;
		f->seen |= FLOW_UNCOUNTED;
		f->seen &= ~(uint32_t)FLOW_COUNTERS;
		other->seen |= FLOW_DESTROY;
		join_look_later(j, other);
	}
}

/* NULL: there are so many that this one is dropped. */
static struct flow *orphan_of(struct join *j, const struct ct_entry *entry)
{
	struct flow *f = flow_by_tuple(j->config.flows, &entry->original);
	unsigned int count = 0;

	for (; f; f = flow_next_by_tuple(j->config.flows, f))
		count += f->queue == FLOW_QUEUE_ORPHAN;
	if (count >= ORPHANS_MAX) {
		*slot(j, j->crowded, &entry->original) = units(j->now_ns);
		j->crowded_ns = j->now_ns;
		return NULL;
	}
	return orphan_new(j, &entry->original, entry->read_real_ns > j->now_real_ns ?
			  entry->read_real_ns : j->now_real_ns);
}

void join_conntrack(struct join *j, const struct ct_entry *entry)
{
	struct flow *f;

	if (entry->zone)
		j->foreign_zone = true;
	if (entry->kind != CT_DUMPED)
		*slot(j, j->confirmed, &entry->original) = units(j->now_ns);
	f = conntrack_flow(j, entry);
	if (!f) {
		f = entry->kind == CT_DUMPED ? NULL : orphan_of(j, entry);
		if (!f)
			return;
	}
	entry_fill_reply(f, entry);
	if (entry->kind != CT_DESTROY) {
		f->seen |= FLOW_NEW;
		return;
	}
	entry_fill_last_word(j, f, entry);
	share_entry(j, f, entry);
	if (lives_on(j, f, entry)) {
		f->seen &= ~(uint32_t)(FLOW_NEW | FLOW_CT_ID);
		/* The next entry may not live to be assured. */
		if (f->ct_status & IPS_ASSURED)
			f->seen |= FLOW_ANSWERED;
		if (f->seen & (FLOW_PACKET | FLOW_STARTED))
			join_look_later(j, f);
		return;
	}
	f->seen |= FLOW_DESTROY;
	if (tuple_is_datagram(&f->tuple) && entry->status & IPS_SEEN_REPLY)
		f->seen |= FLOW_ANSWERED;
	estimate_end(j, f, entry);
	if (f->seen & (FLOW_PACKET | FLOW_STARTED))
		join_look_later(j, f);
}
