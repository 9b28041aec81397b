// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The owner ladder without a trace: tuple -> socket -> inode -> the process that holds it, else
 * the socket's cgroup, else its user, else nothing.
 *
 * Why a name is never another's. The tuple of the socket found is compared as a whole. The inode
 * number cannot come again while we look: the kernel hands them out in order and wraps after four
 * thousand million. A holder is what /proc/PID/fd says now, its pid and start time are read
 * through the same descriptor. Afterwards sock_diag is asked for every tuple once more: if it is
 * another socket's by then, the first may have been another's too, and nobody is named. What is
 * left is a tuple that changed hands before the first look, between two programs of one user:
 * that takes an explicit bind() to the same port within the milliseconds since the packet left.
 * Where that has stood in the queue for longer, the ladder knows of it (ladder.c).
 */
#include "owner.h"
#include "cgroupfs.h"
#include "clock.h"
#include "diag.h"
#include "holder.h"
#include "procnet.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static_assert(HOLDER_FOUND_MAX >= OWNER_HOLDERS_MAX, "every holder has room");

/* Everything under the root of cgroup v2 that no cgroup was made for. */
#define CGROUP_ROOT 1

/* Reading all of /proc/net for one socket takes milliseconds where there are many: a fifth of the
 * time that passes, and 30 ms at once, as for a search for holders. */
#define READ_SHARE 5
#define READ_AT_ONCE_NS (30000000ull * READ_SHARE)

struct owner {
	struct owner_config config;
	struct diag *diag;		/* NULL: by /proc/net */
	struct holder_index *holders;
	struct cgroupfs cgroups;
	struct owner_stats stats;
	uint64_t paid_ns;		/* when the time has passed that owner_socket() had to read in */

	/* Of the lookup that is going on. */
	struct sock_query sock[HOLDER_QUERIES_MAX];
	struct holder_query holder[HOLDER_QUERIES_MAX];
	struct owner_query *query[HOLDER_QUERIES_MAX];	/* whom sock[] or holder[] belongs to */

	/* Of the last one, so that the table cannot take them away from who asked. */
	struct process *named[HOLDER_QUERIES_MAX];
	unsigned int named_count;
};

static void let_go(struct owner *o)
{
	while (o->named_count)
		process_unref(o->named[--o->named_count]);
}

static int find_sockets(struct owner *o, unsigned int count)
{
	int err;

	if (o->diag) {
		err = diag_lookup(o->diag, o->sock, count);
		o->stats.invalid = diag_stats(o->diag)->invalid + diag_stats(o->diag)->lost;
	} else {
		err = procnet_lookup(o->config.proc_fd, o->sock, count, &o->stats.invalid);
	}
	o->stats.failures += err != 0;
	return err;
}

static void ask_for(struct sock_query *sock, const struct owner_query *q)
{
	sock->tuple = q->tuple;
	sock->ifindex = q->ifindex;
}

static void take_socket(struct owner *o, struct owner_query *q, const struct sock_query *answer)
{
	const struct sock *s = &answer->sock;

	q->socket_unknown = answer->unknown;
	if (!answer->found)
		return;
	if (q->has_uid && s->inode && s->uid != q->uid) {
		o->stats.others++;
		return;
	}
	o->stats.sockets++;
	q->socket_found = true;
	q->socket_orphan = s->inode == 0;
	q->socket_uid = s->uid;
	q->inode = s->inode;
	q->cookie = s->cookie;
	q->cgroup_id = s->cgroup_id;
	q->socket_state = s->state;
}

/* What a search needs to know of each socket that has a file. Returns how many. */
static unsigned int gather_questions(struct owner *o, struct owner_query *queries,
				     unsigned int count)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < count; i++) {
		struct owner_query *q = &queries[i];

		if (q->inode == 0)
			continue;
		o->query[n] = q;
		o->holder[n++] = (struct holder_query){
			.inode = q->inode, .cookie = q->cookie, .cgroup_id = q->cgroup_id,
			.uid = q->socket_uid, .has_uid = true,
		};
	}
	return n;
}

/* Asks for the n tuples again. One that is another socket's now makes the answer void; one whose
 * socket is closed keeps a holder that was found, but there is none to be found any more. */
static int confirm(struct owner *o, unsigned int n)
{
	int err;

	for (unsigned int i = 0; i < n; i++)
		ask_for(&o->sock[i], o->query[i]);
	err = find_sockets(o, n);
	if (err)
		return err;
	for (unsigned int i = 0; i < n; i++) {
		const struct sock *now = &o->sock[i].sock;
		struct owner_query *q = o->query[i];

		if (now->inode == q->inode && now->cookie == q->cookie)
			continue;
		if (now->inode) {
			o->stats.others++;
			q->socket_found = false;
			q->inode = q->cookie = q->cgroup_id = 0;
			o->holder[i].count = 0;
		}
		q->socket_orphan = now->inode == 0;
		if (o->holder[i].count == 0)
			o->holder[i].inode = 0;
	}
	return 0;
}

static bool all_found(const struct owner *o, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++) {
		if (o->holder[i].inode && o->holder[i].count == 0)
			return false;
	}
	return true;
}

/* Walking through everyone is dear: what is closed by now is taken out before. */
static int find_holders(struct owner *o, unsigned int n)
{
	int err;

	holder_find(o->holders, o->holder, n, HOLDER_LIKELY);
	if (!o->diag && all_found(o, n))
		return 0;
	err = confirm(o, n);
	if (err || all_found(o, n))
		return err;
	holder_find(o->holders, o->holder, n, HOLDER_EVERYONE);
	return confirm(o, n);
}

/* One that has ended since it was seen to hold the socket may still be remembered. */
static struct process *who_is(struct owner *o, const struct holder *h)
{
	struct process *p = process_find(o->config.processes, h->pid, h->start_ticks);

	if (!p)
		p = process_get(o->config.processes, h->pid);
	return p && p->start_ticks == h->start_ticks ? p : NULL;
}

/* The oldest holder of whom anything is known. A kernel thread has no descriptors; should it seem
 * to, it is no owner. */
static void name_process(struct owner *o, struct owner_query *q, const struct holder_query *h)
{
	uint32_t stored = h->count < OWNER_HOLDERS_MAX ? h->count : OWNER_HOLDERS_MAX;

	q->unfinished = h->unfinished;
	q->holder_count = h->count;
	for (uint32_t i = 0; i < stored; i++) {
		struct process *p = NULL;

		q->holders[i] = h->found[i].pid;
		if (q->process)
			continue;
		p = who_is(o, &h->found[i]);
		if (p && !p->kernel_thread)
			q->process = o->named[o->named_count++] = process_ref(p);
	}
}

static enum owner_rung decide(struct owner *o, const struct owner_query *q)
{
	bool has_file_or_uid = q->socket_found && !q->socket_orphan;

	if (q->process)
		return OWNER_SOCKET;
	if (has_file_or_uid && q->from_packet && !q->has_uid && !q->unfinished &&
	    q->holder_count == 0)
		return OWNER_KERNEL;
	if (q->socket_found && q->cgroup_id > CGROUP_ROOT && *owner_cgroup_path(o, q->cgroup_id))
		return OWNER_CGROUP;
	return q->has_uid || has_file_or_uid ? OWNER_UID : OWNER_NONE;
}

static void count_search(struct owner *o)
{
	const struct holder_stats *h = holder_stats(o->holders);

	o->stats.walks = h->walks;
	o->stats.walks_cut = h->walks_cut;
	o->stats.walk_pids = h->pids;
	o->stats.walk_descriptors = h->descriptors;
	o->stats.walk_denied = h->denied;
	o->stats.walk_failures = h->failures;
	o->stats.walk_last_failure = h->last_failure;
	o->stats.walk_ns = h->busy_ns;
	o->stats.cache_hits = h->cache_hits;
}

int owner_sockets(struct owner *o, struct owner_query *queries, unsigned int count)
{
	int err;

	assert(count <= HOLDER_QUERIES_MAX);
	o->stats.lookups += count;
	for (unsigned int i = 0; i < count; i++)
		ask_for(&o->sock[i], &queries[i]);
	err = find_sockets(o, count);
	if (err)
		return err;
	for (unsigned int i = 0; i < count; i++)
		take_socket(o, &queries[i], &o->sock[i]);
	return 0;
}

static int lookup_some(struct owner *o, struct owner_query *queries, unsigned int count)
{
	unsigned int n;
	int err;

	let_go(o);
	err = owner_sockets(o, queries, count);
	if (err)
		return err;
	n = gather_questions(o, queries, count);
	if (n > 0)
		err = find_holders(o, n);
	if (err)
		return err;
	for (unsigned int i = 0; i < n; i++)
		name_process(o, o->query[i], &o->holder[i]);
	for (unsigned int i = 0; i < count; i++)
		queries[i].rung = decide(o, &queries[i]);
	count_search(o);
	return 0;
}

int owner_lookup(struct owner *o, struct owner_query *queries, unsigned int count)
{
	for (unsigned int at = 0; at < count; at += HOLDER_QUERIES_MAX) {
		unsigned int n = count - at < HOLDER_QUERIES_MAX ? count - at : HOLDER_QUERIES_MAX;
		int err = lookup_some(o, &queries[at], n);

		if (err)
			return err;
	}
	return 0;
}

int owner_socket(struct owner *o, struct owner_query *query)
{
	uint64_t begin_ns = clock_ns(CLOCK_MONOTONIC);
	int err;

	if (!o->diag && o->paid_ns > begin_ns + READ_AT_ONCE_NS)
		return -EAGAIN;
	err = owner_sockets(o, query, 1);
	if (o->paid_ns < begin_ns)
		o->paid_ns = begin_ns;
	o->paid_ns += (clock_ns(CLOCK_MONOTONIC) - begin_ns) * READ_SHARE;
	if (!err && query->socket_unknown)
		return -EIO;
	return err || query->socket_found ? err : -ENOENT;
}

int owner_holds(struct owner *o, uint32_t pid, uint64_t inode)
{
	return holder_holds(o->holders, pid, inode);
}

const char *owner_cgroup_path(struct owner *o, uint64_t cgroup_id)
{
	return cgroupfs_path(&o->cgroups, cgroup_id);
}

int owner_cgroup_fd(const struct owner *o)
{
	return o->cgroups.mount_fd;
}

const struct owner_stats *owner_stats(const struct owner *o)
{
	return &o->stats;
}

int owner_new(struct owner **out, const struct owner_config *config)
{
	struct owner *o = calloc(1, sizeof(*o));
	int err = 0;

	if (!o)
		return -ENOMEM;
	o->config = *config;
	cgroupfs_init(&o->cgroups, config->proc_fd);
	if (config->mode != OWNER_LOOKUP_PROC)
		err = diag_open(&o->diag);
	if (err && config->mode == OWNER_LOOKUP_DIAG)
		goto close_cgroups;
	err = holder_index_new(&o->holders, config->proc_fd, &o->cgroups);
	if (err)
		goto close_diag;
	*out = o;
	return 0;

close_diag:
	diag_close(o->diag);
close_cgroups:
	cgroupfs_fini(&o->cgroups);
	free(o);
	return err;
}

void owner_free(struct owner *o)
{
	if (!o)
		return;
	let_go(o);
	holder_index_free(o->holders);
	diag_close(o->diag);
	cgroupfs_fini(&o->cgroups);
	free(o);
}
