// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Confinement: two stages around the opening of everything.
 *
 * Whoever finds a fault in how we read a packet, a netlink message or a process's name gets this
 * process. What it can do then is what is decided here, before the first of those is read.
 *
 *  1. Before anything is opened. A mount namespace in which all is read-only but conntrack's
 *     settings and the directories that outputs and metrics are written to: stops writing to
 *     /etc, to binaries, to other settings of the kernel, even as uid 0. Then the user is changed;
 *     capabilities stay, for now. Outputs are opened by that user, so that what works at the start
 *     works again at each rotation.
 *  2. After all is open. Capabilities are cut to those used while running: CAP_NET_ADMIN (rules,
 *     conntrack's dumps and lookups), CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH (executables and
 *     descriptors of processes), CAP_PERFMON and CAP_IPC_LOCK (rings of CPUs that come online),
 *     and, only as root, CAP_DAC_OVERRIDE for places that are not root's and CAP_CHOWN for group=.
 *     No program that could be started would have more (no_new_privs), none can be: system calls
 *     are filtered, see syscalls.h.
 *
 * Limits. CAP_NET_ADMIN is the network's administrator: what holds it can change rules and routes.
 * CAP_DAC_READ_SEARCH reads any file; nothing below takes that back, because which processes' files
 * are to be read is not known beforehand. CAP_SYS_PTRACE is for looking: the filter kills
 * ptrace(2) and process_vm_writev(2), and /proc/PID/mem is as read-only as the rest. Without
 * CAP_SYS_ADMIN at the start (a service, a container) there is no mount namespace of ours; the
 * service file asks systemd for one. New outputs in other directories need a restart.
 *
 * Landlock is of no use here: a process in a Landlock domain may not look at processes outside of
 * it, whatever capabilities it has (measured on 6.18: readlink(2) of /proc/PID/exe and
 * /proc/PID/fd/N gives EACCES), and looking at processes is what we are for.
 */
#include "confine.h"

#include "capability.h"
#include "log.h"
#include "mounts.h"
#include "syscalls.h"
#include "sysctl.h"

#include <errno.h>
#include <grp.h>
#include <libgen.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#define DIRECTORIES_MAX (OPTIONS_OUTPUTS_MAX + 2)	/* and sysctls, metrics */

/* For opening everything: what is kept, what old kernels want for the trace and a detached tracefs,
 * and what it takes to give the rest up. */
#define OPENING (CAPABILITY(CAP_NET_ADMIN) | CAPABILITY(CAP_SYS_PTRACE) | \
		 CAPABILITY(CAP_DAC_READ_SEARCH) | CAPABILITY(CAP_PERFMON) | \
		 CAPABILITY(CAP_IPC_LOCK) | CAPABILITY(CAP_SYS_ADMIN) | CAPABILITY(CAP_SETPCAP))

#define RUNNING (CAPABILITY(CAP_NET_ADMIN) | CAPABILITY(CAP_SYS_PTRACE) | \
		 CAPABILITY(CAP_DAC_READ_SEARCH))
#define TRACING (CAPABILITY(CAP_PERFMON) | CAPABILITY(CAP_IPC_LOCK))

static const struct {
	uint64_t any;
	const char *name, *loss;
} losses[] = {
	{ CAPABILITY(CAP_PERFMON) | CAPABILITY(CAP_SYS_ADMIN), "CAP_PERFMON",
	  "no trace: processes that end at once are not named" },
	{ CAPABILITY(CAP_SYS_PTRACE), "CAP_SYS_PTRACE",
	  "executables and sockets of other users' processes are not seen" },
	{ CAPABILITY(CAP_DAC_READ_SEARCH), "CAP_DAC_READ_SEARCH",
	  "the descriptors of other users' processes cannot be listed" },
};

const char *confine_loss(unsigned int index, const char **name, uint64_t *any)
{
	if (index >= sizeof(losses) / sizeof(losses[0]))
		return NULL;
	*name = losses[index].name;
	*any = losses[index].any;
	return losses[index].loss;
}

static int become(const char *name)
{
	const struct passwd *user;
	int err;

	errno = 0;
	user = getpwnam(name);
	if (!user) {
		log_error("--user %s: %s", name, errno ? strerror(errno) : "there is no such user");
		return -1;
	}
	if (user->pw_uid == getuid() && user->pw_uid == geteuid())
		return 0;
	prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0);
	if (initgroups(name, user->pw_gid) || setresgid(user->pw_gid, user->pw_gid, user->pw_gid) ||
	    setresuid(user->pw_uid, user->pw_uid, user->pw_uid)) {
		log_error("--user %s: %s", name, strerror(errno));
		return -1;
	}
	prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0);
	err = capability_raise();
	if (!err)
		err = capability_limit(OPENING);
	if (err)
		log_error("--user %s: capabilities: %s", name, strerror(-err));
	return err ? -1 : 0;
}

/* Directories that files are written to. */
struct places {
	unsigned int count;
	char *copies[DIRECTORIES_MAX];
	const char *directories[DIRECTORIES_MAX];
};

static int places_add(struct places *p, const char *path)
{
	p->copies[p->count] = strdup(path);
	if (!p->copies[p->count])
		return -ENOMEM;
	p->directories[p->count] = dirname(p->copies[p->count]);
	p->count++;
	return 0;
}

static int places_find(struct places *p, const struct options *options)
{
	int err = places_add(p, SYSCTL_DIRECTORY "/.");

	for (unsigned int i = 0; i < options->output_count && !err; i++) {
		if (options->outputs[i].kind == OUTPUT_FILE)
			err = places_add(p, options->outputs[i].path);
	}
	if (!err && options->metrics)
		err = places_add(p, options->metrics);
	return err;
}

static void places_fini(struct places *p)
{
	while (p->count)
		free(p->copies[--p->count]);
}

static bool is_roots(const char *path)
{
	struct stat st;

	return stat(path, &st) < 0 || st.st_uid == 0;
}

/* Root without capabilities is a user like others where it owns nothing. */
static uint64_t file_needs(const struct options *options, const struct places *places)
{
	uint64_t needs = 0;

	for (unsigned int i = 0; i < options->output_count; i++) {
		const struct output *output = &options->outputs[i];

		if (output->kind == OUTPUT_FILE && output->group)
			needs |= CAPABILITY(CAP_CHOWN);
		if (output->kind == OUTPUT_FILE && !is_roots(output->path))
			needs |= CAPABILITY(CAP_DAC_OVERRIDE);
	}
	for (unsigned int i = 0; i < places->count; i++) {
		if (!is_roots(places->directories[i]))
			needs |= CAPABILITY(CAP_DAC_OVERRIDE);
	}
	return needs;
}

int confine_enter(struct confine *c, const struct options *options)
{
	struct places places = { 0 };
	int err = places_find(&places, options);

	*c = (struct confine) { 0 };
	if (err) {
		log_error("giving up rights: %s", strerror(-err));
	} else {
		if (geteuid() == 0 && !options->user)
			c->keep = file_needs(options, &places);
		err = mounts_close(places.directories, places.count);
		c->read_only = !err;
		if (err && err != -EPERM)
			log_warning("files stay writable (own mount namespace: %s)",
				    strerror(-err));
		err = options->user ? become(options->user) : 0;
	}
	places_fini(&places);
	return err ? -1 : 0;
}

static void say_losses(uint64_t effective)
{
	for (size_t i = 0; i < sizeof(losses) / sizeof(losses[0]); i++) {
		/* Of the trace it has been said when it was opened. */
		if (!(effective & losses[i].any) && !(losses[i].any & TRACING))
			log_warning("no %s: %s", losses[i].name, losses[i].loss);
	}
}

static void say_what_is_left(const struct confine *c, uint64_t effective)
{
	char names[256];

	capability_names(effective, names, sizeof(names));
	log_info("confined: uid %u, %s%s; no new privileges%s%s", (unsigned int)geteuid(), names,
		 c->refused ? " (capset(2) is refused)" : "",
		 c->filtered ? "; system calls filtered" : "",
		 c->read_only ? "; files read-only but for the outputs' directories" : "");
}

static int filter_calls(const struct options *options, bool traced, int cgroup_fd)
{
	struct syscalls syscalls = { .trace = traced, .cgroup_fd = cgroup_fd };

	for (unsigned int i = 0; i < options->output_count; i++)
		syscalls.internet |= options->outputs[i].kind == OUTPUT_TCP;
	return syscalls_limit(&syscalls);
}

int confine_finish(struct confine *c, const struct options *options, bool traced, int cgroup_fd)
{
	uint64_t effective = 0;
	int err = capability_get(&effective);

	if (!err) {
		say_losses(effective);
		err = capability_limit(RUNNING | (traced ? TRACING : 0) | c->keep);
	}
	/* By a service manager's filter: what it leaves us with is named below. */
	c->refused = err == -EPERM;
	if (!err || c->refused)
		err = capability_get(&effective);
	if (err) {
		log_error("giving up capabilities: %s", strerror(-err));
		return -1;
	}
	err = filter_calls(options, traced, cgroup_fd);
	if (err && err != -EINVAL && err != -ENOSYS && err != -EOPNOTSUPP) {
		log_error("filtering system calls: %s", strerror(-err));
		return -1;
	}
	if (err)
		log_warning("system calls are not filtered: %s", strerror(-err));
	c->filtered = !err;
	say_what_is_left(c, effective);
	return 0;
}
