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
 * follows the manager closes its copies, and with them table and group go.
 *
 * Limits: what queues is bounded by the sockets' buffers; what is more is lost and counted. Trace
 * rings die with the process: connects during the gap are named by the lower rungs. Connections
 * that were open have their start in the old run and their end in the new one (lib/resume).
 *
 * How far a run has come is noted after each drain, so that one that is killed leaves an account as
 * well: what it had read and not written is the loss with which the next ledger begins, and what it
 * had read after the last note is missing in the sequence. A process that is killed while it writes
 * may have written some of these: the loss is never more than what is told.
 */
#include "handover.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define LISTEN_FIRST 3

static const char magic[8] = "nfwho 2";

static const char *const names[HANDOVER_KINDS] = {
	[HANDOVER_GROUP] = "group", [HANDOVER_CONNTRACK] = "conntrack",
	[HANDOVER_RULES] = "rules", [HANDOVER_ACCOUNT] = "account",
};

static unsigned long number(const char *name)
{
	const char *text = getenv(name);

	return text ? strtoul(text, NULL, 10) : 0;
}

static void file_under(struct handover *h, const char *name, size_t len, int fd)
{
	fcntl(fd, F_SETFD, FD_CLOEXEC);
	for (int i = 0; i < HANDOVER_KINDS; i++) {
		if (strlen(names[i]) != len || memcmp(names[i], name, len) != 0 || h->fds[i] >= 0)
			continue;
		h->fds[i] = fd;
		return;
	}
	close(fd);
}

/* Names are separated by colons, one for each descriptor. */
static void receive(struct handover *h)
{
	unsigned long count = number("LISTEN_FDS");
	const char *name = getenv("LISTEN_FDNAMES");

	if (number("LISTEN_PID") != (unsigned long)getpid() || count > 64 || !name)
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

void handover_open(struct handover *h, const struct options *options)
{
	struct account now;
	int fd;

	*h = (struct handover) { .fds = { -1, -1, -1, -1 } };
	receive(h);
	h->kept = number("FDSTORE") >= HANDOVER_KINDS;
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDNAMES");
	describe(&now, options);
	fd = h->fds[HANDOVER_ACCOUNT];
	h->received = fd >= 0 && pread(fd, &h->account, sizeof(h->account), 0) ==
				 (ssize_t)sizeof(h->account) &&
		      memcmp(h->account.magic, magic, sizeof(magic)) == 0;
	h->same_rules = h->received && same_rules(&h->account, &now);
	if (h->kept && fd < 0)
		fd = memfd_create("nfwho-account", MFD_CLOEXEC);
	/* Without sums: until the sockets are taken over. */
	if (fd >= 0 && pwrite(fd, &now, sizeof(now), 0) != (ssize_t)sizeof(now)) {
		close(fd);
		fd = -1;
	}
	h->fds[HANDOVER_ACCOUNT] = fd;
}

void handover_close(struct handover *h)
{
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
	if (!h->kept)
		return;
	notify_forget(n, names[kind]);
	if (fd >= 0)
		notify_store(n, names[kind], fd);
}

void handover_note(const struct handover *h, const struct account_sums *sums)
{
	int fd = h->fds[HANDOVER_ACCOUNT];

	/* On failure the next run finds what was noted before, and takes the rest for lost. */
	if (fd >= 0 && pwrite(fd, sums, sizeof(*sums), offsetof(struct account, sums)) < 0)
		return;
}
