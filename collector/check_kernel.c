// SPDX-License-Identifier: GPL-2.0-or-later
#include "check.h"

#include "collector.h"
#include "ct.h"
#include "diag.h"
#include "nflog.h"
#include "perf.h"
#include "portid.h"
#include "rules.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* "pid 812 (ulogd)" for the process behind a netlink port. Returns whether it is another nfwho. */
static bool describe_port(uint32_t portid, char *text, size_t size)
{
	int proc_fd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char comm[PORTID_COMM_MAX] = "";
	uint32_t pid;

	if (proc_fd >= 0 && portid_process(proc_fd, NETLINK_NETFILTER, portid, &pid, comm) == 0)
		snprintf(text, size, "pid %u (%s)", pid, comm);
	else
		snprintf(text, size, "netlink port %u, whose process is not seen here", portid);
	if (proc_fd >= 0)
		close(proc_fd);
	return strcmp(comm, "nfwho") == 0;
}

/* An nfwho that these options are of, as far as can be told: it reads their group, too. */
static void say_owned(struct checklist *c, uint16_t group, uint32_t portid)
{
	char holder[96], reader[96];
	uint32_t reads = 0;

	if (!describe_port(portid, holder, sizeof(holder)))
		checklist_say(c, VERDICT_NOT, "nf_tables", "our table is owned by %s, which is no "
			      "nfwho: end that", holder);
	else if (nflog_group_holder(group, &reads) == 0 && reads &&
		 describe_port(reads, reader, sizeof(reader)) && strcmp(holder, reader) == 0)
		checklist_say(c, VERDICT_WORKS, "nf_tables", "our table is that of %s, which is "
			      "running", holder);
	else
		checklist_say(c, VERDICT_NOT, "nf_tables", "our table is owned by %s, which reads "
			      "another group: one is enough for a network namespace", holder);
}

static void say_table(struct checklist *c, enum ruleset_state state, uint16_t group,
		      uint32_t portid)
{
	switch (state) {
	case RULESET_ABSENT:
		checklist_say(c, VERDICT_WORKS, "nf_tables", "no table of ours: `run` makes it");
		break;
	case RULESET_STANDS:
		checklist_say(c, VERDICT_WORKS, "nf_tables", "our static table stands");
		break;
	case RULESET_OWNED:
		say_owned(c, group, portid);
		break;
	case RULESET_ALTERED:
		checklist_say(c, VERDICT_LESS, "nf_tables", "table inet %s is ours, but with other "
			      "rules: `nfwho rules install` puts them right", RULESET_TABLE);
		break;
	case RULESET_FOREIGN:
		checklist_say(c, VERDICT_NOT, "nf_tables", "table inet %s is not ours: rename or "
			      "delete it, or use --ruleset none", RULESET_TABLE);
		break;
	}
}

bool check_ruleset(struct checklist *c, const struct options *options)
{
	struct ruleset_config config;
	struct ruleset *r = NULL;
	enum ruleset_state state = RULESET_FOREIGN;
	uint32_t portid = 0;
	bool ours = false;
	int err;

	if (options->ruleset == RULESET_MODE_NONE) {
		checklist_say(c, VERDICT_WORKS, "nf_tables", "left to others (--ruleset none): "
			      "some rule must log to group %u", options->group);
		return false;
	}
	rules_config(options, &config);
	err = ruleset_open(&r, &config);
	if (!err)
		err = ruleset_inspect(r, &state, &portid);
	if (!err)
		say_table(c, state, options->group, portid);
	else if (err == -EPROTONOSUPPORT)
		checklist_say(c, VERDICT_NOT, "nf_tables", "this kernel has none: modprobe "
			      "nf_tables, or a kernel with CONFIG_NF_TABLES");
	else if (err == -EINVAL)
		checklist_say(c, VERDICT_NOT, "nf_tables", "no such rules can be made: without "
			      "conntrack only --protocols tcp");
	else
		checklist_say(c, VERDICT_NOT, "nf_tables", "%s%s", strerror(-err),
			      err == -EPERM ? ": run as root" : "");
	if (!err && (options->ruleset == RULESET_MODE_OWNED ||
		     (options->ruleset == RULESET_MODE_AUTO &&
		      (state == RULESET_ABSENT || state == RULESET_OWNED))))
		ours = ruleset_may_own(r) == 1;
	ruleset_close(r);
	return ours;
}

void check_group(struct checklist *c, const struct options *options)
{
	const struct nflog_config config = {
		.group = options->group,
		.copy_range_bytes = RULESET_SNAPLEN_BYTES,
		.buffer_bytes = 4096,
		.queue_threshold = 1,
		.flush_timeout_10ms = 1,
		.receive_buffer_bytes = 4096,
	};
	char what[32], holder[96];
	struct nflog *n = NULL;
	uint32_t portid = 0;
	int err = nflog_group_open(&n, &config);

	nflog_group_close(n);
	snprintf(what, sizeof(what), "NFLOG group %u", options->group);
	if (!err) {
		checklist_say(c, VERDICT_WORKS, what, "free");
		return;
	}
	if (err == -EBUSY && nflog_group_holder(options->group, &portid) == 0 && portid) {
		if (describe_port(portid, holder, sizeof(holder)))
			checklist_say(c, VERDICT_WORKS, what, "read by %s, which is running", holder);
		else
			checklist_say(c, VERDICT_NOT, what, "held by %s: stop that, or use another "
				      "--group", holder);
		return;
	}
	checklist_say(c, VERDICT_NOT, what, "%s: %s", strerror(-err),
		      err == -EPERM ? "run as root" : "modprobe nfnetlink_log, or a kernel with "
		      "CONFIG_NETFILTER_NETLINK_LOG");
}

/* The first character of a sysctl's file; '\0' if it cannot be read. */
static char read_switch(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	char value = '\0';

	if (fd < 0)
		return '\0';
	if (read(fd, &value, 1) != 1)
		value = '\0';
	close(fd);
	return value;
}

static void check_conntrack_switch(struct checklist *c, const struct options *options,
				   const char *what, const char *path, const char *loss)
{
	char value = read_switch(path);

	if (value == '1' || value == '2')
		checklist_say(c, VERDICT_WORKS, what, "on");
	else if (value == '\0')
		checklist_say(c, VERDICT_LESS, what, "not known before nf_conntrack is loaded: %s "
			      "may be missing", loss);
	else if (options->sysctl)
		checklist_say(c, VERDICT_WORKS, what, "off; `run` switches it on and, when it "
			      "ends, off again");
	else
		checklist_say(c, VERDICT_LESS, what, "off: no %s; write 1 to %s, or --sysctl yes",
			      loss, path);
}

void check_conntrack(struct checklist *c, const struct options *options)
{
	static const uint8_t tcp = IPPROTO_TCP;
	bool ends = collector_follows_ends(options);
	struct ct *ct = NULL;
	uint32_t count, max;
	int err = 0;

	if (!options->conntrack) {
		checklist_say(c, VERDICT_LESS, "conntrack", "not used (--conntrack no): no NAT, "
			      "bytes or fate from it");
		return;
	}
	ct_load();
	if (ends) {
		err = ct_open(&ct, &tcp, 1, 4096);
		ct_close(ct);
	}
	if (err) {
		checklist_say(c, VERDICT_LESS, "conntrack", "%s: no NAT, bytes or fate; modprobe "
			      "nf_conntrack_netlink", strerror(-err));
		return;
	}
	if (ct_count(&count, &max) < 0)
		checklist_say(c, VERDICT_WORKS, "conntrack", "not in use yet: `run` switches it "
			      "on, which every connection of this host then passes");
	else if (max && count > max / 5 * 4)
		checklist_say(c, VERDICT_LESS, "conntrack", "%u entries of at most %u: new "
			      "connections fail when it is full; raise net.netfilter."
			      "nf_conntrack_max", count, max);
	else
		checklist_say(c, VERDICT_WORKS, "conntrack", "%u entries, at most %u", count, max);
	if (!ends)
		return;
	check_conntrack_switch(c, options, "accounting",
			       "/proc/sys/net/netfilter/nf_conntrack_acct", "bytes and packets");
	check_conntrack_switch(c, options, "timestamps",
			       "/proc/sys/net/netfilter/nf_conntrack_timestamp", "durations");
	check_conntrack_switch(c, options, "events",
			       "/proc/sys/net/netfilter/nf_conntrack_events", "word of conntrack");
}

/* How many processes there are, and how many executables we may not see. */
static void count_processes(unsigned int *all, unsigned int *refused)
{
	char name[NAME_MAX + 16], target[16];
	DIR *proc = opendir("/proc");
	const struct dirent *entry;

	*all = *refused = 0;
	while (proc && (entry = readdir(proc))) {
		if (entry->d_name[0] < '0' || entry->d_name[0] > '9')
			continue;
		(*all)++;
		snprintf(name, sizeof(name), "/proc/%s/exe", entry->d_name);
		if (readlink(name, target, sizeof(target)) < 0 &&
		    (errno == EACCES || errno == EPERM))
			(*refused)++;
	}
	if (proc)
		closedir(proc);
}

static void check_processes(struct checklist *c)
{
	unsigned int all, refused;

	count_processes(&all, &refused);
	if (access("/proc/1", F_OK) < 0)
		checklist_say(c, VERDICT_LESS, "/proc", "other users' processes are hidden: mount "
			      "it without hidepid");
	else if (refused)
		checklist_say(c, VERDICT_LESS, "/proc", "the executables of %u of %u processes may "
			      "not be seen: they have rights that this one lacks", refused, all);
	else
		checklist_say(c, VERDICT_WORKS, "/proc", "shows all %u processes", all);
}

void check_sockets(struct checklist *c, const struct options *options)
{
	struct diag *d = NULL;
	int err;

	if (options->lookup != OWNER_LOOKUP_PROC) {
		err = diag_open(&d);
		diag_close(d);
		if (!err)
			checklist_say(c, VERDICT_WORKS, "sock_diag", "answers");
		else
			checklist_say(c, options->lookup == OWNER_LOOKUP_AUTO ? VERDICT_LESS :
				      VERDICT_NOT, "sock_diag", "%s: sockets are looked up in "
				      "/proc/net, which is slow; modprobe tcp_diag",
				      strerror(-err));
	}
	check_processes(c);
}

/* Ascending numbers: "0-2,5". */
struct cpu_list {
	char text[512];
	size_t at;		/* of the last range */
	uint32_t first, last;	/* in it */
};

static void cpu_list_add(struct cpu_list *l, uint32_t cpu)
{
	if (!*l->text || cpu != l->last + 1) {
		l->at = strlen(l->text);
		l->first = cpu;
	}
	l->last = cpu;
	snprintf(l->text + l->at, sizeof(l->text) - l->at, "%s%u", l->at ? "," : "", l->first);
	if (cpu != l->first)
		snprintf(l->text + strlen(l->text), sizeof(l->text) - strlen(l->text), "-%u", cpu);
}

/* Whether perf tells what happens on each CPU while it is idle. */
static void say_idle(struct checklist *c, const struct perf *p)
{
	struct cpu_list silent = { .at = 0 }, unknown = { .at = 0 };
	uint32_t cpu;
	int answer;

	for (unsigned int i = 0; perf_cpu(p, i, &cpu); i++) {
		answer = perf_probe_idle(cpu);
		if (answer)
			cpu_list_add(answer == PERF_IDLE_SILENT ? &silent : &unknown, cpu);
	}
	if (*silent.text)
		checklist_say(c, VERDICT_LESS, "trace", "works, but this kernel's perf is silent "
			      "while CPU %s is idle: some failures are known later, some IPv6 "
			      "owners by their socket only", silent.text);
	if (*unknown.text)
		checklist_say(c, VERDICT_LESS, "trace", "works, but it is not known for CPU %s "
			      "whether perf is silent while that is idle: it was never idle, or "
			      "this process cannot run there", unknown.text);
	if (!*silent.text && !*unknown.text)
		checklist_say(c, VERDICT_WORKS, "trace", "works on every CPU");
}

void check_trace(struct checklist *c, const struct options *options)
{
	struct perf_config config = {
		.ring_bytes = options->trace_buffer_bytes,
		.ends = collector_follows_ends(options),
		.sctp = options->protocols & RULESET_SCTP,
	};
	const char *why = "";
	struct perf *p = NULL;
	int err;

	if (options->trace == CHOICE_OFF) {
		checklist_say(c, VERDICT_LESS, "trace", "switched off (--trace off): processes "
			      "that end at once are not named");
		return;
	}
	err = perf_open(&p, &config, &why);
	if (err) {
		checklist_say(c, options->trace == CHOICE_ON ? VERDICT_NOT : VERDICT_LESS, "trace",
			      "%s (%s): processes that end at once are not named", why,
			      strerror(-err));
		return;
	}
	if (*why)
		checklist_say(c, VERDICT_LESS, "trace", "works, but %s", why);
	say_idle(c, p);
	perf_close(p);
}
