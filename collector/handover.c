// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A restart without loss. The socket that the NFLOG group is bound to, the one that conntrack's
 * events come through and the one that owns the table are kept by the service manager while no
 * process of ours runs: the rules stand, the kernel goes on to log, messages queue. The next run
 * takes the sockets over and reads on where the last one ended. How far that was, in the rules'
 * counters, stands in a file in memory that is kept with them, so that the ledger of the next run
 * holds exactly what is its own.
 *
 * The end of a run is the same whether another follows or not: nothing is taken down. Where none
 * follows the manager closes its copies, and with them the group goes, and the table if it is owned
 * (Linux 5.12); one that nobody owns is known again by its handle.
 *
 * Limits: what queues is bounded by the sockets' buffers; what is more is lost and counted. Trace
 * rings die with the process: connects during the gap are named by the lower rungs, and counted by
 * events without a ring that the manager keeps. Connections that were open have their start in the
 * old run and their end in the new one: their list is one more file in memory (lib/open_flows). It
 * is written at the end of a run only: one that is killed leaves none, and its successor goes by
 * conntrack's table (lib/resume).
 *
 * How far a run has come is noted after each drain, so that one that is killed leaves an account as
 * well: what it had read and not written is the loss with which the next ledger begins, and what it
 * had read after the last note is missing in the sequence. A process that is killed while it writes
 * may have written some of these: the loss is never more than what is told.
 */
#include "handover.h"

#include "log.h"
#include "open_flows.h"
#include "perf.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define LISTEN_FIRST 3

static const char magic[8] = "nfwho 6";

/* What was added since stands at the end. */
#define OLDEST_BYTES ((ssize_t)offsetof(struct account, sums.packets_read_ns))

static const char *const names[HANDOVER_KINDS] = {
	[HANDOVER_GROUP] = "group", [HANDOVER_CONNTRACK] = "conntrack",
	[HANDOVER_RULES] = "rules", [HANDOVER_ACCOUNT] = "account", [HANDOVER_FLOWS] = "flows",
};

static const char counter_name[] = "connects";

static unsigned long number(const char *name)
{
	const char *text = getenv(name);

	return text ? strtoul(text, NULL, 10) : 0;
}

/* Which socket or file in memory a descriptor is, whatever its number; 0: unknown. */
static ino_t inode(int fd)
{
	struct stat st;

	return fd >= 0 && fstat(fd, &st) == 0 ? st.st_ino : 0;
}

static void file_under(struct handover *h, const char *name, size_t len, int fd)
{
	fcntl(fd, F_SETFD, FD_CLOEXEC);
	if (strlen(counter_name) == len && memcmp(counter_name, name, len) == 0 &&
	    h->counter_count < HANDOVER_COUNTERS_MAX) {
		h->counters[h->counter_count++] = fd;
		return;
	}
	for (int i = 0; i < HANDOVER_KINDS; i++) {
		if (strlen(names[i]) != len || memcmp(names[i], name, len) != 0)
			continue;
		/* Two of a name: taken back, and one given, at the end of the start. */
		if (h->fds[i] >= 0) {
			h->had[i] = 0;
			break;
		}
		h->fds[i] = fd;
		h->had[i] = inode(fd);
		return;
	}
	close(fd);
}

/* Names are separated by colons, one for each descriptor. */
static void receive(struct handover *h)
{
	unsigned long count = number("LISTEN_FDS");
	const char *name = getenv("LISTEN_FDNAMES");

	if (number("LISTEN_PID") != (unsigned long)getpid() ||
	    count > HANDOVER_KINDS + HANDOVER_COUNTERS_MAX || !name)
		return;
	for (unsigned long i = 0; i < count; i++) {
		size_t len = strcspn(name, ":");

		file_under(h, name, len, LISTEN_FIRST + (int)i);
		name += len + (name[len] == ':');
	}
}

static void describe(struct account *a, const struct options *options)
{
	memset(a, 0, sizeof(*a));
	memcpy(a->magic, magic, sizeof(a->magic));
	a->hooks = options->hooks;
	a->protocols = options->protocols;
	a->rule_limit = options->rule_limit;
	a->group = options->group;
	a->loopback = options->loopback;
	a->conntrack = options->conntrack;
}

static bool same_rules(const struct account *a, const struct account *b)
{
	return a->hooks == b->hooks && a->protocols == b->protocols &&
	       a->rule_limit == b->rule_limit && a->group == b->group &&
	       a->loopback == b->loopback && a->conntrack == b->conntrack;
}

static int make_file(const char *name, const char *what)
{
	int fd = memfd_create(name, MFD_CLOEXEC);

	if (fd < 0)
		log_warning("the next run cannot be told %s: %s", what, strerror(errno));
	return fd;
}

void handover_open(struct handover *h, const struct options *options)
{
	int fd;

	*h = (struct handover) { .fds = { -1, -1, -1, -1, -1 } };
	receive(h);
	h->room = number("FDSTORE");
	h->kept = h->room >= HANDOVER_KINDS;
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDNAMES");
	describe(&h->own, options);
	fd = h->fds[HANDOVER_ACCOUNT];
	h->received = fd >= 0 && pread(fd, &h->account, sizeof(h->account), 0) >= OLDEST_BYTES &&
		      memcmp(h->account.magic, magic, sizeof(magic)) == 0;
	if (!h->received)
		memset(&h->account, 0, sizeof(h->account));
	h->same_rules = h->received && same_rules(&h->account, &h->own);
	if (h->kept && fd < 0)
		h->fds[HANDOVER_ACCOUNT] = make_file("nfwho-account", "what it counted");
	if (h->kept && h->fds[HANDOVER_FLOWS] < 0)
		h->fds[HANDOVER_FLOWS] = make_file("nfwho-flows", "what is open");
}

static void close_counters(struct handover *h)
{
	while (h->counter_count)
		close(h->counters[--h->counter_count]);
}

void handover_close(struct handover *h)
{
	close_counters(h);
	for (int i = 0; i < HANDOVER_KINDS; i++) {
		if (h->fds[i] >= 0)
			close(h->fds[i]);
		h->fds[i] = -1;
	}
}

int handover_take(struct handover *h, enum handover_kind kind)
{
	int fd = h->fds[kind];

	h->fds[kind] = -1;
	return fd;
}

void handover_keep(const struct handover *h, const struct notify *n, enum handover_kind kind,
		   int fd)
{
	if (!h->kept || (h->had[kind] && inode(fd) == h->had[kind]))
		return;
	notify_forget(n, names[kind]);
	if (fd >= 0)
		notify_store(n, names[kind], &fd, 1);
}

void handover_keep_counters(const struct handover *h, const struct notify *n, const int *fds,
			    unsigned int count)
{
	if (!h->kept)
		return;
	notify_forget(n, counter_name);
	if (count && count <= h->room - HANDOVER_KINDS)
		notify_store(n, counter_name, fds, count);
}

int handover_counted(struct handover *h, uint64_t *connects)
{
	bool counted = h->received && h->account.sums.counting && h->counter_count;
	uint64_t count;

	*connects = 0;
	for (unsigned int i = 0; counted && i < h->counter_count; i++) {
		counted = perf_counted(h->counters[i], &count) == 0;
		*connects += count;
	}
	close_counters(h);
	return counted ? 0 : -ENOENT;
}

ssize_t handover_read_flows(struct handover *h, void **list)
{
	int fd = h->fds[HANDOVER_FLOWS];
	ssize_t at = 0, n = 1;
	struct stat st;

	*list = NULL;
	if (fd < 0)
		return 0;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (!h->received || st.st_size <= 0)
		n = 0;
	else if (st.st_size > OPEN_FLOWS_BYTES_MAX)
		n = -EFBIG;
	else if (!(*list = malloc((size_t)st.st_size)))
		n = -ENOMEM;
	while (*list && at < st.st_size &&
	       (n = pread(fd, (char *)*list + at, st.st_size - at, at)) > 0)
		at += n;
	if (*list && n < 0)
		n = -errno;
	/* Whatever became of it, it is not the next one's. */
	if (ftruncate(fd, 0) < 0 && n >= 0)
		n = -errno;
	return n < 0 ? n : at;
}

FILE *handover_write_flows(struct handover *h)
{
	int fd = h->kept && h->fds[HANDOVER_FLOWS] >= 0 ? dup(h->fds[HANDOVER_FLOWS]) : -1;
	FILE *file;

	if (fd < 0)
		return NULL;
	file = ftruncate(fd, 0) == 0 && lseek(fd, 0, SEEK_SET) == 0 ? fdopen(fd, "w") : NULL;
	if (!file)
		close(fd);
	return file;
}

void handover_note(struct handover *h, const struct account_sums *sums)
{
	int fd = h->fds[HANDOVER_ACCOUNT];
	struct account account = h->own;
	bool failed;

	account.sums = *sums;
	if (fd < 0)
		return;
	failed = pwrite(fd, &account, sizeof(account), 0) != (ssize_t)sizeof(account);
	if (failed && !h->note_failed)
		log_warning("noting what was counted, for the next run: %s; it takes what came since "
			    "for lost", strerror(errno));
	h->note_failed = failed;
}
