// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The flow table: one slab, three indices, and the queues of enum flow_queue.
 *
 * The slab and the bucket arrays are reserved at their final size and become resident page by page
 * as they are touched, so a table for a million flows costs nothing until there are a million, and
 * no event ever pays for growing it. Everything links by index: 4 bytes instead of 8, and zeroed
 * memory is an empty table because slot 0 is never used.
 *
 * A queue is in order of deadline as long as all that is put into it waits equally long; expiry
 * looks at heads only. The same order decides who is evicted when the table is full.
 *
 * Limits: a tuple's chain is searched linearly; it holds as many flows as share the tuple (a reused
 * port) plus hash collisions, which the key keeps from being chosen.
 */
#include "flow.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

static_assert(sizeof(struct flow) <= 256, "a flow is at most 256 bytes");

#define FLOWS_MAX (1u << 26)

struct queue {
	uint32_t first, last, count;
};

struct flow_table {
	struct flow *slab;
	uint32_t *by_tuple, *by_socket, *by_pending;
	uint32_t buckets;	/* a power of two */
	uint32_t size;		/* slots, slot 0 included */
	uint32_t used;		/* slots ever handed out */
	uint32_t free;		/* list by queue_next */
	uint32_t count;
	uint64_t next_number;
	struct hash_key key;
	struct queue queues[FLOW_QUEUES];
};

static struct flow *at(const struct flow_table *t, uint32_t index)
{
	return index == FLOW_NIL ? NULL : &t->slab[index];
}

static uint32_t index_of(const struct flow_table *t, const struct flow *f)
{
	return (uint32_t)(f - t->slab);
}

static void *reserve(size_t size)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return memory == MAP_FAILED ? NULL : memory;
}

static void release(void *memory, size_t size)
{
	if (memory)
		munmap(memory, size);
}

int flow_table_new(struct flow_table **out, uint32_t max_flows)
{
	struct flow_table *t;
	int err = -ENOMEM;

	if (!max_flows || max_flows > FLOWS_MAX)
		return -EINVAL;
	t = calloc(1, sizeof(*t));
	if (!t)
		return -ENOMEM;

	t->size = max_flows + 1;
	t->used = 1;
	t->next_number = 1;
	for (t->buckets = 1; t->buckets < max_flows; t->buckets *= 2)
		;
	t->slab = reserve((size_t)t->size * sizeof(*t->slab));
	t->by_tuple = reserve(t->buckets * sizeof(*t->by_tuple));
	t->by_socket = reserve(t->buckets * sizeof(*t->by_socket));
	t->by_pending = reserve(t->buckets * sizeof(*t->by_pending));
	if (t->slab && t->by_tuple && t->by_socket && t->by_pending)
		err = hash_key_init(&t->key);
	if (err) {
		flow_table_free(t);
		return err;
	}
	*out = t;
	return 0;
}

void flow_table_free(struct flow_table *t)
{
	if (!t)
		return;
	for (uint32_t i = 1; t->slab && i < t->used; i++)
		process_unref(t->slab[i].process);
	release(t->by_pending, t->buckets * sizeof(*t->by_pending));
	release(t->by_socket, t->buckets * sizeof(*t->by_socket));
	release(t->by_tuple, t->buckets * sizeof(*t->by_tuple));
	release(t->slab, (size_t)t->size * sizeof(*t->slab));
	free(t);
}

struct flow *flow_new(struct flow_table *t)
{
	struct flow *f;

	if (t->free != FLOW_NIL) {
		f = at(t, t->free);
		t->free = f->queue_next;
	} else if (t->used < t->size) {
		f = at(t, t->used++);
	} else {
		return NULL;
	}
	*f = (struct flow) { .number = t->next_number++ };
	t->count++;
	return f;
}

uint64_t flow_next_number(const struct flow_table *t)
{
	return t->next_number;
}

void flow_number_from(struct flow_table *t, uint64_t number)
{
	if (number > t->next_number)
		t->next_number = number;
}

static void queue_leave(struct flow_table *t, struct flow *f)
{
	struct queue *q = &t->queues[f->queue];

	if (f->queue == FLOW_QUEUE_NONE)
		return;
	if (f->queue_prev)
		at(t, f->queue_prev)->queue_next = f->queue_next;
	else
		q->first = f->queue_next;
	if (f->queue_next)
		at(t, f->queue_next)->queue_prev = f->queue_prev;
	else
		q->last = f->queue_prev;
	q->count--;
	f->queue = FLOW_QUEUE_NONE;
}

void flow_free(struct flow_table *t, struct flow *f)
{
	flow_unindex_tuple(t, f);
	flow_unindex_socket(t, f);
	flow_unindex_pending(t, f);
	queue_leave(t, f);
	process_unref(f->process);
	*f = (struct flow) { .queue_next = t->free };
	t->free = index_of(t, f);
	t->count--;
}

struct flow *flow_victim(struct flow_table *t)
{
	for (unsigned int i = FLOW_QUEUE_NONE + 1; i < FLOW_QUEUES; i++)
		if (t->queues[i].first)
			return at(t, t->queues[i].first);
	return NULL;
}

bool flow_table_full(const struct flow_table *t)
{
	return t->count + 1 == t->size;
}

uint32_t flow_count(const struct flow_table *t)
{
	return t->count;
}

uint32_t flow_queue_count(const struct flow_table *t, enum flow_queue queue)
{
	return t->queues[queue].count;
}

uint64_t flow_tuple_hash(const struct flow_table *t, const struct tuple *tuple)
{
	return tuple_hash(tuple, &t->key);
}

static uint32_t *tuple_bucket(const struct flow_table *t, const struct tuple *tuple)
{
	return &t->by_tuple[tuple_hash(tuple, &t->key) & (t->buckets - 1)];
}

static struct flow *tuple_search(const struct flow_table *t, uint32_t index,
				 const struct tuple *tuple)
{
	struct flow *f = at(t, index);

	while (f && !tuple_equal(&f->tuple, tuple))
		f = at(t, f->tuple_next);
	return f;
}

void flow_index_tuple(struct flow_table *t, struct flow *f)
{
	uint32_t *bucket = tuple_bucket(t, &f->tuple);

	f->tuple_next = *bucket;
	*bucket = index_of(t, f);
	f->indexed |= FLOW_BY_TUPLE;
}

void flow_unindex_tuple(struct flow_table *t, struct flow *f)
{
	uint32_t *link;

	if (!(f->indexed & FLOW_BY_TUPLE))
		return;
	for (link = tuple_bucket(t, &f->tuple); at(t, *link) != f; link = &at(t, *link)->tuple_next)
		;
	*link = f->tuple_next;
	f->indexed &= ~FLOW_BY_TUPLE;
}

struct flow *flow_by_tuple(struct flow_table *t, const struct tuple *tuple)
{
	return tuple_search(t, *tuple_bucket(t, tuple), tuple);
}

struct flow *flow_next_by_tuple(struct flow_table *t, const struct flow *f)
{
	return tuple_search(t, f->tuple_next, &f->tuple);
}

static uint32_t *socket_bucket(const struct flow_table *t, uint64_t skaddr)
{
	return &t->by_socket[hash_bytes(&t->key, &skaddr, sizeof(skaddr)) & (t->buckets - 1)];
}

void flow_index_socket(struct flow_table *t, struct flow *f, uint64_t skaddr)
{
	uint32_t *bucket = socket_bucket(t, skaddr);

	f->skaddr = skaddr;
	f->socket_next = *bucket;
	*bucket = index_of(t, f);
}

void flow_unindex_socket(struct flow_table *t, struct flow *f)
{
	uint32_t *link;

	if (!f->skaddr)
		return;
	for (link = socket_bucket(t, f->skaddr); at(t, *link) != f;
	     link = &at(t, *link)->socket_next)
		;
	*link = f->socket_next;
	f->skaddr = 0;
}

struct flow *flow_by_socket(struct flow_table *t, uint64_t skaddr)
{
	struct flow *f = at(t, *socket_bucket(t, skaddr));

	while (f && f->skaddr != skaddr)
		f = at(t, f->socket_next);
	return f;
}

/* Pending connects are hashed and compared with a source port of 0. */
static struct tuple without_port(const struct tuple *tuple)
{
	struct tuple t = *tuple;

	t.sport = 0;
	return t;
}

static uint32_t *pending_bucket(const struct flow_table *t, const struct tuple *portless)
{
	return &t->by_pending[tuple_hash(portless, &t->key) & (t->buckets - 1)];
}

static struct flow *pending_search(const struct flow_table *t, uint32_t index,
				   const struct tuple *portless)
{
	for (struct flow *f = at(t, index); f; f = at(t, f->pending_next)) {
		struct tuple candidate = without_port(&f->tuple);

		if (tuple_equal(&candidate, portless))
			return f;
	}
	return NULL;
}

void flow_index_pending(struct flow_table *t, struct flow *f)
{
	struct tuple portless = without_port(&f->tuple);
	uint32_t *bucket = pending_bucket(t, &portless);

	f->pending_prev = FLOW_NIL;
	f->pending_next = *bucket;
	if (*bucket)
		at(t, *bucket)->pending_prev = index_of(t, f);
	*bucket = index_of(t, f);
	f->indexed |= FLOW_BY_PENDING;
}

/* Doubly linked: thousands of connects to one silent address share a chain, and any may end. */
void flow_unindex_pending(struct flow_table *t, struct flow *f)
{
	struct tuple portless;

	if (!(f->indexed & FLOW_BY_PENDING))
		return;
	if (f->pending_next)
		at(t, f->pending_next)->pending_prev = f->pending_prev;
	if (f->pending_prev) {
		at(t, f->pending_prev)->pending_next = f->pending_next;
	} else {
		portless = without_port(&f->tuple);
		*pending_bucket(t, &portless) = f->pending_next;
	}
	f->indexed &= ~FLOW_BY_PENDING;
}

struct flow *flow_by_pending(struct flow_table *t, const struct tuple *tuple)
{
	struct tuple portless = without_port(tuple);

	return pending_search(t, *pending_bucket(t, &portless), &portless);
}

struct flow *flow_next_by_pending(struct flow_table *t, const struct flow *f)
{
	struct tuple portless = without_port(&f->tuple);

	return pending_search(t, f->pending_next, &portless);
}

void flow_enqueue(struct flow_table *t, struct flow *f, enum flow_queue queue,
		  uint64_t deadline_ns)
{
	struct queue *q = &t->queues[queue];

	queue_leave(t, f);
	f->queue = queue;
	f->deadline_ms = (uint32_t)(deadline_ns / 1000000);
	f->queue_prev = q->last;
	f->queue_next = FLOW_NIL;
	if (q->last)
		at(t, q->last)->queue_next = index_of(t, f);
	else
		q->first = index_of(t, f);
	q->last = index_of(t, f);
	q->count++;
}

bool flow_is_due(const struct flow *f, uint64_t now_ns)
{
	return (int32_t)((uint32_t)(now_ns / 1000000) - f->deadline_ms) >= 0;
}

uint64_t flow_due_ns(const struct flow *f, uint64_t now_ns)
{
	int32_t left_ms = (int32_t)(f->deadline_ms - (uint32_t)(now_ns / 1000000));

	return left_ms <= 0 ? now_ns : now_ns + (uint64_t)left_ms * 1000000;
}

struct flow *flow_walk(struct flow_table *t, uint32_t *slot)
{
	while (++*slot < t->used)
		if (at(t, *slot)->number)
			return at(t, *slot);
	return NULL;
}

struct flow *flow_first(struct flow_table *t, enum flow_queue queue)
{
	return at(t, t->queues[queue].first);
}

struct flow *flow_following(struct flow_table *t, const struct flow *f)
{
	return at(t, f->queue_next);
}
