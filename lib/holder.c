// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * How it works. The kernel does not say which process holds a socket; only the processes' own
 * descriptors do, at about 1 us each. So the search asks where an answer is likely and stops when
 * every question has one:
 *   1. what was found before: the same descriptor of the same process, asked again;
 *   2. processes that owned a socket lately, at the descriptor numbers they would use next;
 *   3. processes that are new since the last search: /proc/loadavg says the last pid given out,
 *      count down from it;
 *   4. all descriptors of the recent owners;
 *   5. the newest processes, new or not;
 *   6. the members of the socket's cgroup;
 *   7. everyone: the socket's user first, newest first.
 * Then the parent and the children of each holder are asked too, because a descriptor is mostly
 * shared by fork.
 *
 * Nothing that is remembered is an answer: it only says where to look first, and what is said is
 * what the kernel said now. A pid given to another process cannot answer for the old one, since
 * descriptor, start time and parent are read through one descriptor of /proc/PID.
 *
 * Limits. Steps 6 and 7 may use a fifth of the time that passes, 30 ms of CPU at once; a query
 * left over then is `unfinished`. After a rest what takes that long by reckoning is looked at, whatever
 * the clock says, and paid for afterwards. Whether one process holds a socket may take half of the time,
 * 100 ms at once: the packet of a short-lived process is named now or never. Parents are always asked,
 * 256 descriptors of each; for children there are 3 ms of their own, since who was found may have been
 * found with the last of the others'. These two are reckoned by what is looked at: the clock of CPU time
 * also counts what a host has given to others. A holder that is no relative of the first one found, nor
 * on the way to it, or a child that there was no time for, is not listed. Processes
 * of other pid namespaces than our own and its descendants are not in /proc at all. A process with so
 * many descriptors that reading them takes longer is read on in the next search: its first connections
 * may go unnamed.
 */
#include "holder.h"
#include "holder_index.h"
#include "procfs.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* CPU time a search may take at once, got back at this share of the time that passes. */
#define CREDIT_MAX_NS (30 * NS_PER_MS)
#define CREDIT_SHARE 5
#define DEBT_MAX_NS (10 * CREDIT_MAX_NS)

/* So reckoned: for whether one process holds one socket, as above, and for holders' children. */
#define HOLDS_SHARE 2
#define HOLDS_AHEAD_NS (100 * NS_PER_MS * HOLDS_SHARE)
#define RELATIVES_NS (3 * NS_PER_MS)

/* Steps 1 to 5 have a time of their own, short enough that the processes asked about do not end
 * meanwhile. */
#define LIKELY_NS (3 * NS_PER_MS)
#define LIKELY_EACH_NS (NS_PER_MS / 20)

#define RECENT_AHEAD 8		/* descriptor numbers tried beyond the last one */
#define NEWEST_MAX 1024		/* pids counted down in steps 3 and 5 */
#define NEW_MIN 32		/* of them, asked in step 3 though not new */
#define STEPS_MAX 5
#define RELATIVES_MAX 16	/* children asked for one holder */
#define HOLDS_FDS 4096		/* descriptors looked at for whether a process holds a socket */
#define RELATIVE_FDS 256	/* descriptors looked at in each of them, and in the parent */
#define NOBODY_NS (1000 * NS_PER_MS)

static void try_cached(struct holder_index *h)
{
	for (unsigned int i = 0; i < h->count; i++) {
		const struct holder_query *q = &h->queries[i];
		struct cached c = h->cache[q->inode & (CACHE_SLOTS - 1)];

		if (c.inode != q->inode || q->count > 0 || !holder_enter(h, c.pid))
			continue;
		if (holder_peek(h, c.fd))
			h->stats.cache_hits++;
		holder_leave(h);
	}
}

/* A program that connects again and again mostly uses the same descriptor or the next ones. */
static void peek_ahead(struct holder_index *h, int fd)
{
	for (int ahead = 0; ahead <= RECENT_AHEAD && h->open > 0; ahead++)
		holder_peek(h, fd + ahead);
}

static void try_recent_numbers(struct holder_index *h)
{
	struct recent recent[RECENT_MAX];

	memcpy(recent, h->recent, sizeof(recent));
	for (int i = 0; i < RECENT_MAX && recent[i].pid && h->open > 0; i++) {
		if (!holder_enter(h, recent[i].pid))
			continue;
		peek_ahead(h, recent[i].fd);
		holder_leave(h);
	}
}

static void try_recent(struct holder_index *h)
{
	struct recent recent[RECENT_MAX];

	memcpy(recent, h->recent, sizeof(recent));
	for (int i = 0; i < RECENT_MAX && recent[i].pid && h->open > 0; i++)
		holder_ask(h, recent[i].pid, UINT_MAX);
}

/* The fifth word of /proc/loadavg: the pid given out last in this pid namespace (a thread's, too:
 * procfd_identify() finds its process). */
static uint32_t last_pid(struct holder_index *h)
{
	char buf[128], *word;
	ssize_t n = procfs_read(h->proc_fd, "loadavg", buf, sizeof(buf) - 1);

	if (n <= 0)
		return 0;
	buf[n] = '\0';
	word = strrchr(buf, ' ');
	return word ? strtoul(word, NULL, 10) : 0;
}

/* Pids never asked before, and the very newest, which may have been asked before they connected.
 * Most short programs connect once, and are met here. */
static void try_new(struct holder_index *h)
{
	uint32_t pid = last_pid(h);

	for (int i = 0; i < NEWEST_MAX && pid > 0 && h->open > 0 && !h->late; i++, pid--) {
		if (i >= NEW_MIN && h->met[pid & (ASKED_SLOTS - 1)] == pid)
			continue;
		h->met[pid & (ASKED_SLOTS - 1)] = pid;
		holder_ask(h, pid, UINT_MAX);
	}
}

static void try_newest(struct holder_index *h)
{
	uint32_t pid = last_pid(h);

	for (int i = 0; i < NEWEST_MAX && pid > 0 && h->open > 0 && !h->late; i++, pid--)
		holder_ask(h, pid, UINT_MAX);
}

static void try_cgroups(struct holder_index *h)
{
	for (unsigned int i = 0; i < h->count && h->open > 0; i++) {
		const struct holder_query *q = &h->queries[i];
		int n;

		/* The root's members are everyone else. */
		if (q->count > 0 || q->cgroup_id <= 1)
			continue;
		n = cgroupfs_members(h->cgroups, q->cgroup_id, h->pids, PIDS_MAX);
		while (n-- > 0 && q->count == 0)	/* newest last */
			holder_ask(h, h->pids[n], UINT_MAX);
	}
}

static int list_pid(uint32_t pid, void *data)
{
	struct holder_index *h = data;

	if (h->pid_count == PIDS_MAX) {
		h->late = true;
		return 1;
	}
	h->pids[h->pid_count++] = pid;
	return 0;
}

/* /proc/PID belongs to the process's effective user, also if it may not be dumped. */
static bool user_fits(struct holder_index *h, uint32_t pid)
{
	struct stat st;
	char name[12];

	snprintf(name, sizeof(name), "%" PRIu32, pid);
	if (fstatat(h->proc_fd, name, &st, 0) < 0)
		return false;
	for (unsigned int i = 0; i < h->count; i++) {
		const struct holder_query *q = &h->queries[i];

		if (q->count == 0 && q->has_uid && q->uid == st.st_uid)
			return true;
	}
	return false;
}

static void try_everyone(struct holder_index *h)
{
	unsigned int count;

	h->stats.walks++;
	h->pid_count = 0;
	procfs_each_number(h->proc_fd, ".", list_pid, h);	/* ascending */
	count = h->pid_count;
	for (unsigned int i = count; i-- > 0 && h->open > 0 && !h->late;) {
		if (user_fits(h, h->pids[i]))
			holder_ask(h, h->pids[i], UINT_MAX);
	}
	for (unsigned int i = count; i-- > 0 && h->open > 0 && !h->late;)
		holder_ask(h, h->pids[i], UINT_MAX);
	h->stats.walks_cut += h->late;
	for (unsigned int i = 0; i < h->count; i++) {
		struct holder_query *q = &h->queries[i];

		q->unfinished = q->count == 0 && (h->late || h->partial);
		if (q->count == 0 && !q->unfinished && q->cookie && !holder_nobody_holds(h, q))
			h->nobody[q->cookie & (CACHE_SLOTS - 1)] =
				(struct nobody){ q->cookie, holder_wall_ns() + NOBODY_NS };
	}
}

/* Who may have the socket by fork. */
static void ask_children(struct holder_index *h, uint32_t pid)
{
	uint32_t children[RELATIVES_MAX];
	int n;

	if (!holder_enter(h, pid))
		return;
	n = procfd_children(h->pid_fd, pid, children, RELATIVES_MAX);
	holder_leave(h);
	while (n-- > 0)
		holder_ask(h, children[n], RELATIVE_FDS);
}

static bool is_among(const uint32_t *pids, unsigned int count, uint32_t pid)
{
	while (count-- > 0) {
		if (pids[count] == pid)
			return true;
	}
	return false;
}

/* Where the search was cut, the next one goes on: relatives are looked at in passing, for all sockets at
 * once. All parents come first, whatever that takes: the older holder is the one that is named. The
 * init process adopts everybody: no relative of anyone. */
static void try_relatives(struct holder_index *h)
{
	uint32_t first[HOLDER_QUERIES_MAX] = { 0 }, parents[HOLDER_QUERIES_MAX] = { 0 };
	struct recent cut = h->cut;
	uint64_t end_ns;

	h->cut.pid = 0;
	h->late = false;
	h->deadline_ns = UINT64_MAX;
	h->open++;	/* none is the last one */
	for (unsigned int i = 0; i < h->count; i++) {
		const struct holder_query *q = &h->queries[i];

		if (q->count == 0 || !holder_is_wanted(h, q->inode))
			continue;
		first[i] = q->found[0].pid;
		parents[i] = q->found[0].ppid;
		if (parents[i] > 1 && !is_among(parents, i, parents[i]))
			holder_ask(h, parents[i], RELATIVE_FDS);
	}
	end_ns = holder_reckoned_ns(h) + RELATIVES_NS;
	for (unsigned int i = 0; i < h->count && holder_reckoned_ns(h) < end_ns; i++) {
		if (first[i] && !is_among(first, i, first[i]))
			ask_children(h, first[i]);
	}
	h->open--;
	h->cut = cut;
}

static void credit(struct holder_index *h, uint64_t now)
{
	uint64_t earned_ns = (now - h->credited_ns) / CREDIT_SHARE;

	if (earned_ns > CREDIT_MAX_NS + DEBT_MAX_NS)
		earned_ns = CREDIT_MAX_NS + DEBT_MAX_NS;
	h->credit_ns += (int64_t)earned_ns;
	if (h->credit_ns > (int64_t)CREDIT_MAX_NS)
		h->credit_ns = CREDIT_MAX_NS;
	h->credited_ns = now;
}

static void search(struct holder_index *h, enum holder_reach reach)
{
	static void (*const steps[2][STEPS_MAX])(struct holder_index *h) = {
		[HOLDER_LIKELY] = { try_cached, try_recent_numbers, try_new, try_recent,
				    try_newest },
		[HOLDER_EVERYONE] = { try_cgroups, try_everyone },
	};

	for (int i = 0; i < STEPS_MAX && steps[reach][i] && h->open > 0; i++)
		steps[reach][i](h);
}

static uint64_t begin_search(struct holder_index *h, struct holder_query *queries,
			     unsigned int count, enum holder_reach reach)
{
	uint64_t begin = holder_spent_ns();

	credit(h, holder_wall_ns());
	h->queries = queries;
	h->count = count < HOLDER_QUERIES_MAX ? count : HOLDER_QUERIES_MAX;
	h->late = false;
	h->reckoned_until_ns = 0;
	h->partial = reach == HOLDER_EVERYONE && h->partial;
	holder_set_fill(h);
	if (reach == HOLDER_LIKELY) {
		h->deadline_ns = begin + LIKELY_NS + h->open * LIKELY_EACH_NS;
		memset(h->asked, 0, sizeof(h->asked));
		h->rested = h->credit_ns == (int64_t)CREDIT_MAX_NS;
	} else {
		h->deadline_ns = begin + (h->credit_ns > 0 ? (uint64_t)h->credit_ns : 0);
		if (h->rested)
			h->reckoned_until_ns = holder_reckoned_ns(h) + CREDIT_MAX_NS;
		h->rested = false;
	}
	return begin;
}

/* Returns the CPU time that it took. */
static uint64_t end_search(struct holder_index *h, uint64_t begin_ns)
{
	uint64_t spent = holder_spent_ns() - begin_ns;

	h->stats.busy_ns += spent;
	h->queries = NULL;
	h->count = 0;
	return spent;
}

/* Only what looks at everyone may leave a debt. */
static void pay(struct holder_index *h, enum holder_reach reach, uint64_t spent_ns)
{
	int64_t least_ns = reach == HOLDER_EVERYONE ? -(int64_t)DEBT_MAX_NS : 0;

	if (h->credit_ns < least_ns)
		return;
	h->credit_ns -= (int64_t)(spent_ns < CREDIT_MAX_NS + DEBT_MAX_NS ? spent_ns :
								  CREDIT_MAX_NS + DEBT_MAX_NS);
	if (h->credit_ns < least_ns)
		h->credit_ns = least_ns;
}

void holder_find(struct holder_index *h, struct holder_query *queries, unsigned int count,
		 enum holder_reach reach)
{
	uint64_t begin = begin_search(h, queries, count, reach);

	search(h, reach);
	try_relatives(h);
	pay(h, reach, end_search(h, begin));
}

static int look_into(struct holder_index *h, uint32_t pid, const struct holder_query *q)
{
	int n = 0;

	if (!holder_enter(h, pid))
		return h->pid_fd;
	for (int i = 0; i < RECENT_MAX && q->count == 0 && h->recent[i].pid; i++) {
		if (h->recent[i].pid == pid)
			peek_ahead(h, h->recent[i].fd);
	}
	if (q->count == 0)
		n = holder_scan(h, 0, HOLDS_FDS);
	holder_leave(h);
	if (q->count > 0)
		return 1;
	if (n < 0)
		return n;
	return n < HOLDS_FDS ? 0 : -EAGAIN;
}

/* Asked of each of many processes for each of many packets: not while what it took is not paid for
 * yet by the time that has passed. */
int holder_holds(struct holder_index *h, uint32_t pid, uint64_t inode)
{
	struct holder_query query = { .inode = inode };
	uint64_t now = holder_wall_ns(), before_ns = holder_reckoned_ns(h), begin;
	int ret;

	if (h->holds_paid_ns > now + HOLDS_AHEAD_NS)
		return -EAGAIN;
	begin = begin_search(h, &query, 1, HOLDER_LIKELY);
	h->deadline_ns = UINT64_MAX;
	ret = look_into(h, pid, &query);
	end_search(h, begin);
	if (h->holds_paid_ns < now)
		h->holds_paid_ns = now;
	h->holds_paid_ns += HOLDS_SHARE * (holder_reckoned_ns(h) - before_ns);
	return ret;
}

int holder_index_new(struct holder_index **out, int proc_fd, struct cgroupfs *cgroups)
{
	struct holder_index *h = calloc(1, sizeof(*h));

	if (!h)
		return -ENOMEM;
	h->proc_fd = proc_fd;
	h->cgroups = cgroups;
	h->pid_fd = -1;
	h->credit_ns = CREDIT_MAX_NS;
	h->credited_ns = holder_wall_ns();
	*out = h;
	return 0;
}

void holder_index_free(struct holder_index *h)
{
	free(h);
}

const struct holder_stats *holder_stats(const struct holder_index *h)
{
	return &h->stats;
}
