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
 * Limits. Steps 6 and 7 may use a fifth of the time that passes, 30 ms of CPU at once; a query left
 * over then is `unfinished`. A holder that is no relative of the first one found, nor on the way to
 * it, is not listed. Processes of other pid namespaces than our own and its descendants are not
 * in /proc at all.
 */
#include "holder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_MS 1000000ULL

/* CPU time a search may take at once, got back at this share of the time that passes. */
#define CREDIT_MAX_NS (30 * NS_PER_MS)
#define CREDIT_SHARE 5

/* Steps 1 to 5 have a time of their own, short enough that the processes asked about do not end
 * meanwhile. */
#define LIKELY_NS (3 * NS_PER_MS)
#define LIKELY_EACH_NS (NS_PER_MS / 20)

#define RECENT_MAX 32		/* owners remembered for steps 2 and 4 */
#define RECENT_AHEAD 8		/* descriptor numbers tried beyond the last one */
#define NEWEST_MAX 1024		/* pids counted down in steps 3 and 5 */
#define NEW_MIN 32		/* of them, asked in step 3 though not new */
#define STEPS_MAX 5
#define CACHE_SLOTS 1024	/* power of two */
#define ASKED_SLOTS 4096	/* power of two */
#define SET_SLOTS 1024		/* power of two, more than twice the queries of one search */
#define PIDS_MAX 65536		/* of one walk; more are not asked, and `unfinished` says so */
#define RELATIVES_MAX 16	/* children asked for one holder */
#define RELATIVE_FDS 256	/* descriptors looked at in each of them, and in the parent */
#define DESCRIPTOR_NS 1000	/* what one costs, to turn time into a number of them */
#define DESCRIPTORS_MIN 16
#define NOBODY_NS (1000 * NS_PER_MS)

struct recent {
	uint32_t pid;
	int fd;
};

struct cached {
	uint64_t inode;
	uint32_t pid;
	int fd;
};

struct nobody {
	uint64_t cookie;
	uint64_t until_ns;
};

struct holder_index {
	int proc_fd;
	struct cgroupfs *cgroups;
	struct holder_stats stats;

	struct recent recent[RECENT_MAX];	/* latest first */
	struct cached cache[CACHE_SLOTS];
	struct nobody nobody[CACHE_SLOTS];
	uint32_t met[ASKED_SLOTS];		/* pids that are not new any more, by pid */

	uint64_t credit_ns, credited_ns;

	/* Of the search that is going on. */
	struct holder_query *queries;
	unsigned int count, open;
	uint16_t set[SET_SLOTS];		/* index of a query + 1, by inode */
	uint32_t asked[ASKED_SLOTS];		/* pids looked into wholly, by pid */
	uint64_t deadline_ns;
	bool late;

	/* The process being looked into. */
	int pid_fd;
	bool hit;
	uint32_t pids[PIDS_MAX];
};

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

static uint64_t wall_ns(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

/* The time we take from others: a search that is only kept waiting costs nothing. */
static uint64_t spent_ns(void)
{
	return clock_ns(CLOCK_THREAD_CPUTIME_ID);
}

/* Descriptors that may still be looked at, by the time that is left. */
static unsigned int allowance(struct holder_index *h)
{
	uint64_t now = spent_ns(), left;

	if (h->late || now >= h->deadline_ns) {
		h->late = true;
		return 0;
	}
	left = (h->deadline_ns - now) / DESCRIPTOR_NS;
	return left < DESCRIPTORS_MIN ? DESCRIPTORS_MIN : left;
}

static bool nobody_holds(const struct holder_index *h, const struct holder_query *q)
{
	const struct nobody *n = &h->nobody[q->cookie & (CACHE_SLOTS - 1)];

	return q->cookie && n->cookie == q->cookie && wall_ns() < n->until_ns;
}

/* What is known to be held by nobody is not looked for. */
static void set_fill(struct holder_index *h)
{
	memset(h->set, 0, sizeof(h->set));
	h->open = 0;
	for (unsigned int i = 0; i < h->count; i++) {
		unsigned int slot = h->queries[i].inode & (SET_SLOTS - 1);

		if (h->queries[i].inode == 0 || h->queries[i].count > 0 ||
		    nobody_holds(h, &h->queries[i]))
			continue;
		h->open++;

		while (h->set[slot])
			slot = (slot + 1) & (SET_SLOTS - 1);
		h->set[slot] = i + 1;
	}
}

/* The next query for this inode at or after *slot, which starts as the inode itself. Two queries
 * may ask for one socket. */
static struct holder_query *set_next(struct holder_index *h, uint64_t inode, unsigned int *slot)
{
	for (;;) {
		unsigned int i = h->set[*slot & (SET_SLOTS - 1)];

		if (i == 0)
			return NULL;
		(*slot)++;
		if (h->queries[i - 1].inode == inode)
			return &h->queries[i - 1];
	}
}

static bool is_wanted(struct holder_index *h, uint64_t inode)
{
	unsigned int slot = inode & (SET_SLOTS - 1);

	return set_next(h, inode, &slot) != NULL;
}

static void recent_add(struct holder_index *h, uint32_t pid, int fd)
{
	unsigned int i;

	for (i = 0; i < RECENT_MAX - 1 && h->recent[i].pid != pid; i++)
		;
	memmove(&h->recent[1], &h->recent[0], i * sizeof(h->recent[0]));
	h->recent[0] = (struct recent){ pid, fd };
}

static void recent_forget(struct holder_index *h, uint32_t pid)
{
	for (unsigned int i = 0; i < RECENT_MAX && h->recent[i].pid; i++) {
		if (h->recent[i].pid != pid)
			continue;
		memmove(&h->recent[i], &h->recent[i + 1],
			(RECENT_MAX - 1 - i) * sizeof(h->recent[0]));
		h->recent[RECENT_MAX - 1].pid = 0;
		return;
	}
}

static void add_holder(struct holder_query *q, const struct procfd_identity *who, int fd)
{
	uint32_t stored = q->count < HOLDER_FOUND_MAX ? q->count : HOLDER_FOUND_MAX;
	uint32_t i;

	for (i = 0; i < stored; i++) {
		if (q->found[i].pid == who->pid)
			return;
	}
	q->count++;
	for (i = 0; i < stored; i++) {
		if (who->start_ticks < q->found[i].start_ticks)
			break;
	}
	if (i == HOLDER_FOUND_MAX)
		return;
	if (stored == HOLDER_FOUND_MAX)
		stored--;
	memmove(&q->found[i + 1], &q->found[i], (stored - i) * sizeof(q->found[0]));
	q->found[i] = (struct holder){ who->pid, who->start_ticks, fd };
}

/* The process being looked into holds a wanted socket. Who it is is read now, through the same
 * descriptor, so that it cannot be another one's name. */
static void found(struct holder_index *h, int fd, uint64_t inode)
{
	unsigned int slot = inode & (SET_SLOTS - 1);
	struct procfd_identity who;
	struct holder_query *q;

	if (procfd_identify(h->pid_fd, &who) < 0)
		return;
	while ((q = set_next(h, inode, &slot))) {
		if (q->count == 0)
			h->open--;
		add_holder(q, &who, fd);
	}
	h->hit = true;
	h->cache[inode & (CACHE_SLOTS - 1)] = (struct cached){ inode, who.pid, fd };
	recent_add(h, who.pid, fd);
}

/* One socket of the process entered. */
static bool scanned(int fd, uint64_t inode, void *data)
{
	struct holder_index *h = data;

	if (is_wanted(h, inode))
		found(h, fd, inode);
	return !h->hit || h->open > 0;
}

/* All descriptors of the process entered, or as many as the time allows. */
static int scan(struct holder_index *h, unsigned int max)
{
	int n = procfd_scan(h->pid_fd, max, scanned, h);

	if (n > 0)
		h->stats.descriptors += n;
	if (n == -EACCES || n == -EPERM)
		h->stats.denied++;
	return n;
}

static bool enter(struct holder_index *h, uint32_t pid)
{
	h->pid_fd = procfd_open(h->proc_fd, pid);
	h->hit = false;
	if (h->pid_fd == -ENOENT)
		recent_forget(h, pid);
	if (h->pid_fd < 0)
		return false;
	h->stats.pids++;
	return true;
}

static void leave(struct holder_index *h)
{
	close(h->pid_fd);
	h->pid_fd = -1;
}

/* Looks through the descriptors of one process, at most max; once in a search, if that was all. */
static void ask(struct holder_index *h, uint32_t pid, unsigned int max)
{
	unsigned int allowed = allowance(h);
	bool bounded = max < allowed;
	int n;

	if (!bounded)
		max = allowed;
	if (pid == 0 || max == 0 || h->asked[pid & (ASKED_SLOTS - 1)] == pid || !enter(h, pid))
		return;
	n = scan(h, max);
	if (n >= 0 && (unsigned int)n < max)
		h->asked[pid & (ASKED_SLOTS - 1)] = pid;
	else if (!bounded && n >= 0 && !h->hit)
		h->late = true;
	leave(h);
}

/* Looks at one descriptor number of the process entered, for any wanted socket. */
static bool peek(struct holder_index *h, int fd)
{
	uint64_t inode;

	h->stats.descriptors++;
	if (procfd_socket(h->pid_fd, fd, &inode) <= 0 || !is_wanted(h, inode))
		return false;
	found(h, fd, inode);
	return true;
}

static void try_cached(struct holder_index *h)
{
	for (unsigned int i = 0; i < h->count; i++) {
		const struct holder_query *q = &h->queries[i];
		struct cached c = h->cache[q->inode & (CACHE_SLOTS - 1)];

		if (c.inode != q->inode || q->count > 0 || !enter(h, c.pid))
			continue;
		if (peek(h, c.fd))
			h->stats.cache_hits++;
		leave(h);
	}
}

/* A program that connects again and again mostly uses the same descriptor or the next ones. */
static void peek_ahead(struct holder_index *h, int fd)
{
	for (int ahead = 0; ahead <= RECENT_AHEAD && h->open > 0; ahead++)
		peek(h, fd + ahead);
}

static void try_recent_numbers(struct holder_index *h)
{
	struct recent recent[RECENT_MAX];

	memcpy(recent, h->recent, sizeof(recent));
	for (int i = 0; i < RECENT_MAX && recent[i].pid && h->open > 0; i++) {
		if (!enter(h, recent[i].pid))
			continue;
		peek_ahead(h, recent[i].fd);
		leave(h);
	}
}

static void try_recent(struct holder_index *h)
{
	struct recent recent[RECENT_MAX];

	memcpy(recent, h->recent, sizeof(recent));
	for (int i = 0; i < RECENT_MAX && recent[i].pid && h->open > 0; i++)
		ask(h, recent[i].pid, UINT_MAX);
}

/* The fifth word of /proc/loadavg: the pid given out last in this pid namespace (a thread's, too:
 * procfd_identify() finds its process). */
static uint32_t last_pid(struct holder_index *h)
{
	int fd = openat(h->proc_fd, "loadavg", O_RDONLY | O_CLOEXEC);
	char buf[128], *word;
	ssize_t n;

	if (fd < 0)
		return 0;
	n = read(fd, buf, sizeof(buf) - 1);
	close(fd);
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
		ask(h, pid, UINT_MAX);
	}
}

static void try_newest(struct holder_index *h)
{
	uint32_t pid = last_pid(h);

	for (int i = 0; i < NEWEST_MAX && pid > 0 && h->open > 0 && !h->late; i++, pid--)
		ask(h, pid, UINT_MAX);
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
			ask(h, h->pids[n], UINT_MAX);
	}
}

/* Every pid there is, ascending as /proc lists them. */
static unsigned int list_pids(struct holder_index *h)
{
	_Alignas(struct dirent64) char buf[16384];
	int fd = openat(h->proc_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	const struct dirent64 *entry;
	unsigned int count = 0;
	long n;

	if (fd < 0)
		return 0;
	while ((n = syscall(SYS_getdents64, fd, buf, sizeof(buf))) > 0) {
		for (long at = 0; at < n; at += entry->d_reclen) {
			entry = (const struct dirent64 *)(buf + at);
			if (entry->d_name[0] < '1' || entry->d_name[0] > '9')
				continue;
			if (count == PIDS_MAX)
				h->late = true;
			else
				h->pids[count++] = strtoul(entry->d_name, NULL, 10);
		}
	}
	close(fd);
	return count;
}

/* /proc/PID belongs to the process's effective user (to root, if it may not be dumped). */
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
	unsigned int count = list_pids(h);

	h->stats.walks++;
	for (unsigned int i = count; i-- > 0 && h->open > 0 && !h->late;) {
		if (user_fits(h, h->pids[i]))
			ask(h, h->pids[i], UINT_MAX);
	}
	for (unsigned int i = count; i-- > 0 && h->open > 0 && !h->late;)
		ask(h, h->pids[i], UINT_MAX);
	h->stats.walks_cut += h->late;
	for (unsigned int i = 0; i < h->count; i++) {
		struct holder_query *q = &h->queries[i];

		q->unfinished = q->count == 0 && h->late;
		if (q->count == 0 && !h->late && q->cookie && !nobody_holds(h, q))
			h->nobody[q->cookie & (CACHE_SLOTS - 1)] =
				(struct nobody){ q->cookie, wall_ns() + NOBODY_NS };
	}
}

/* Who may have the socket by fork. The init process adopts everybody: no relative of anyone. */
static void ask_relatives(struct holder_index *h, const struct holder_query *q)
{
	uint32_t children[RELATIVES_MAX], pid = q->found[0].pid;
	struct procfd_identity who;
	int n;

	if (!enter(h, pid))
		return;
	if (procfd_identify(h->pid_fd, &who) < 0)
		who.ppid = 0;
	n = procfd_children(h->pid_fd, pid, children, RELATIVES_MAX);
	leave(h);
	while (n-- > 0)
		ask(h, children[n], RELATIVE_FDS);
	if (who.ppid > 1)
		ask(h, who.ppid, RELATIVE_FDS);
}

static void credit(struct holder_index *h, uint64_t now)
{
	h->credit_ns += (now - h->credited_ns) / CREDIT_SHARE;
	if (h->credit_ns > CREDIT_MAX_NS)
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
	uint64_t begin = spent_ns();

	credit(h, wall_ns());
	h->queries = queries;
	h->count = count < HOLDER_QUERIES_MAX ? count : HOLDER_QUERIES_MAX;
	h->late = false;
	set_fill(h);
	if (reach == HOLDER_LIKELY) {
		h->deadline_ns = begin + LIKELY_NS + h->open * LIKELY_EACH_NS;
		memset(h->asked, 0, sizeof(h->asked));
	} else {
		h->deadline_ns = begin + h->credit_ns;
	}
	return begin;
}

static void end_search(struct holder_index *h, uint64_t begin_ns)
{
	uint64_t spent = spent_ns() - begin_ns;

	h->stats.busy_ns += spent;
	h->credit_ns -= spent < h->credit_ns ? spent : h->credit_ns;
	h->queries = NULL;
	h->count = 0;
}

void holder_find(struct holder_index *h, struct holder_query *queries, unsigned int count,
		 enum holder_reach reach)
{
	uint64_t begin = begin_search(h, queries, count, reach);

	search(h, reach);
	for (unsigned int i = 0; i < h->count; i++) {
		if (queries[i].count > 0 && is_wanted(h, queries[i].inode))
			ask_relatives(h, &queries[i]);
	}
	end_search(h, begin);
}

int holder_holds(struct holder_index *h, uint32_t pid, uint64_t inode)
{
	struct holder_query query = { .inode = inode };
	unsigned int max = 0;
	uint64_t begin = begin_search(h, &query, 1, HOLDER_LIKELY);
	int n = 0;

	h->pid_fd = procfd_open(h->proc_fd, pid);
	h->hit = false;
	if (h->pid_fd < 0)
		return h->pid_fd;
	for (int i = 0; i < RECENT_MAX && query.count == 0 && h->recent[i].pid; i++) {
		if (h->recent[i].pid == pid)
			peek_ahead(h, h->recent[i].fd);
	}
	if (query.count == 0) {
		max = allowance(h);
		n = scan(h, max);
	}
	leave(h);
	end_search(h, begin);
	if (query.count > 0)
		return 1;
	if (n < 0)
		return n;
	return (unsigned int)n >= max ? -EAGAIN : 0;
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
	h->credited_ns = wall_ns();
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
