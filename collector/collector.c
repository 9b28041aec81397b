// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Set-up and teardown. The order matters:
 *
 *  - Rights are given up before anything is read that others have chosen: packets, messages, the
 *    names of processes. Which is why sockets are opened in one step and listened to in another.
 *  - The trace before everything it must not miss; /proc is read after it, so that a process born
 *    in between is in one or the other, and so are the connects that were pending before it.
 *  - conntrack's sysctls before its events: entries made earlier have no counters.
 *  - Sockets that are connecting are listed before the group is bound: what they send again must not
 *    pass for another's first packet.
 *  - The group is bound before the rules stand: they count with nobody listening, too.
 *
 * At the end the rules go first, then the group is unbound, which makes the kernel send what it
 * has batched, and only then is everything read for the last time.
 */
#include "collector.h"
#include "capture.h"
#include "diag.h"
#include "emit.h"
#include "log.h"
#include "passwd.h"
#include "portid.h"
#include "procfs.h"
#include "rules_stand.h"
#include "sieve.h"
#include "takeover.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define STATE_DIRECTORY "/var/lib/nfwho"

/* NFLOG's batches: waking costs ten times a message, and ten milliseconds are soon enough. Each
 * batch wakes us: by the timer at most, up to 25,000 packets a second. */
#define NFLOG_BATCH_BYTES (64u << 10)
#define NFLOG_BATCH_PACKETS 250

#define PROCESS_LINGER_NS 10000000000ull
#define PROCESS_COMMAND_LINE_BYTES 4096
#define PROCESS_READS_PER_SECOND 2000

static int fail(const char *what, int err)
{
	log_error("%s: %s", what, strerror(-err));
	return -1;
}

static unsigned int protocol_numbers(uint32_t protocols, uint8_t numbers[static 8])
{
	unsigned int count = 0;

	if (protocols & RULESET_TCP)
		numbers[count++] = IPPROTO_TCP;
	if (protocols & RULESET_UDP)
		numbers[count++] = IPPROTO_UDP;
	if (protocols & RULESET_SCTP)
		numbers[count++] = IPPROTO_SCTP;
	if (protocols & RULESET_ICMP) {
		numbers[count++] = IPPROTO_ICMP;
		numbers[count++] = IPPROTO_ICMPV6;
	}
	return count;
}

static int know_host(struct collector *c)
{
	int err = host_init(&c->host, STATE_DIRECTORY);

	return err ? fail("reading who this host is", err) : 0;
}

static int receive_handover(struct collector *c)
{
	handover_open(&c->handover, c->options);
	return 0;
}

/* Before the settings of conntrack are looked for, and stay writable. Without it much is still
 * had. */
static int load_conntrack(struct collector *c)
{
	if (c->options->conntrack)
		ct_load();
	return 0;
}

static int prepare_stdout(struct collector *c)
{
	for (unsigned int i = 0; i < c->options->output_count; i++)
		if (c->options->outputs[i].kind == OUTPUT_STDOUT)
			sink_stdout_prepare();
	return 0;
}

static int enter(struct collector *c)
{
	return confine_enter(&c->confine, c->options);
}

void collector_record_config(const struct collector *c, const struct options *options,
			     struct record_config *config)
{
	*config = (struct record_config) {
		.host = &c->host,
		.version = NFWHO_VERSION,
		.command_line = options->command_line,
		.labels = options->labels,
		.label_count = options->label_count,
		.tags = options->tags,
		.tag_count = options->tag_count,
	};
}

const char *collector_record_error(int err)
{
	return err == -E2BIG ? "labels and tags are too long" : strerror(-err);
}

int collector_want_packets(struct collector *c, const struct options *options)
{
	bool wanted = false;
	int err = 0;

	for (unsigned int i = 0; i < options->output_count; i++)
		wanted |= options->outputs[i].kind == OUTPUT_ULOGD;
	if (wanted && !c->users)
		err = passwd_new(&c->users, "/etc/passwd");
	if (wanted && !err && !c->capture)
		err = capture_new(&c->capture);
	return err;
}

static int open_outputs(struct collector *c)
{
	struct record_config config;
	char error[256];
	int err;

	collector_record_config(c, c->options, &config);
	err = record_new(&c->record, &config);
	if (err) {
		log_error("preparing records: %s", collector_record_error(err));
		return -1;
	}
	if (sinks_open(&c->sinks, c->options->outputs, c->options->output_count, error,
		       sizeof(error))) {
		log_error("%s", error);
		return -1;
	}
	err = collector_want_packets(c, c->options);
	if (err)
		return fail("preparing packets", err);
	return 0;
}

static int open_metrics(struct collector *c)
{
	int err;

	collector_read_clocks(c);
	err = metrics_open(&c->metrics, c->options->metrics, c->join.now_real_ns);
	if (err)
		log_error("--metrics %s: its directory: %s", c->options->metrics, strerror(-err));
	return err ? -1 : 0;
}

static int open_tables(struct collector *c)
{
	struct process_config processes = {
		.max_processes = c->options->max_processes,
		.linger_ns = PROCESS_LINGER_NS,
		.command_line_max_bytes = PROCESS_COMMAND_LINE_BYTES,
		.reads_per_second = PROCESS_READS_PER_SECOND,
	};
	int err;

	c->proc_fd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (c->proc_fd < 0)
		return fail("/proc", -errno);
	processes.proc_fd = c->proc_fd;
	err = process_table_new(&c->processes, &processes);
	if (!err)
		err = flow_table_new(&c->flows, c->options->max_flows);
	return err ? fail("reserving tables", err) : 0;
}

bool collector_follows_ends(const struct options *options)
{
	return options->events_end || options->final;
}

static int open_trace(struct collector *c)
{
	struct perf_config perf = {
		.ring_bytes = c->options->trace_buffer_bytes,
		.ends = collector_follows_ends(c->options),
		.sctp = c->options->protocols & RULESET_SCTP,
	};
	struct trace_config trace = {
		.flows = c->flows,
		.processes = c->processes,
		.loopback = c->options->loopback,
	};
	const char *why = "";
	int err;

	if (c->options->trace == CHOICE_OFF)
		return 0;
	err = perf_open(&c->perf, &perf, &why);
	collector_read_clocks(c);
	trace.begun_ns = c->join.now_ns;
	if (!err)
		err = trace_new(&c->trace, &trace);
	if (!err && *why)
		log_warning("%s", why);
	if (!err)
		return 0;
	perf_close(c->perf);
	c->perf = NULL;
	if (c->options->trace == CHOICE_ON) {
		log_error("no trace (%s: %s), and --trace is on", why, strerror(-err));
		return -1;
	}
	log_warning("no trace (%s: %s): processes that end before they can be looked up in /proc "
		    "stay unnamed", why, strerror(-err));
	return 0;
}

static int open_lookup(struct collector *c)
{
	struct owner_config config = {
		.mode = c->options->lookup,
		.processes = c->processes,
		.proc_fd = c->proc_fd,
	};
	int err = owner_new(&c->owner, &config);

	if (err)
		return fail("looking up sockets", err);
	err = route_open(&c->route);
	return err ? fail("asking for routes", err) : 0;
}

/* Conntrack is switched on by our rule where nothing used it before: worth a line. */
static void say_conntrack_cost(void)
{
	uint32_t count, max;

	if (ct_count(&count, &max))
		return;
	if (count == 0)
		log_info("conntrack was idle here; our rule uses its state, so it tracks every "
			 "connection from now on (--conntrack no does without)");
	if (max && count > max / 5 * 4)
		log_warning("the conntrack table is %u %% full (%u of %u): new connections may be "
			    "refused by the kernel", (unsigned int)(count * 100ull / max), count,
			    max);
}

static bool take_over_conntrack(struct collector *c)
{
	const struct account_sums *sums = &c->handover.account.sums;
	int fd = handover_take(&c->handover, HANDOVER_CONNTRACK);

	c->conntrack_taken = fd >= 0 && c->handover.same_rules &&
			     ct_adopt(&c->ct, fd, c->options->receive_buffer_bytes,
				      sums->conntrack ? &sums->conntrack_drops : NULL) == 0;
	if (c->conntrack_taken)
		return true;
	if (fd >= 0)
		close(fd);
	return false;
}

/* The run before listened, and the kernel goes on to fill a queue that nobody reads. */
static void let_conntrack_go(struct collector *c)
{
	int fd = handover_take(&c->handover, HANDOVER_CONNTRACK);

	if (fd >= 0)
		close(fd);
}

static int open_conntrack(struct collector *c)
{
	uint8_t protocols[8];
	unsigned int count = protocol_numbers(c->options->protocols, protocols);
	int err;

	if (c->options->conntrack)
		say_conntrack_cost();
	/* Its events tell of ends: nobody is to pay for building and reading them without. */
	if (!c->options->conntrack || !collector_follows_ends(c->options)) {
		let_conntrack_go(c);
		return 0;
	}
	sysctl_init(&c->sysctl, c->options->sysctl);
	if (take_over_conntrack(c))
		return 0;
	err = ct_open(&c->ct, protocols, count, c->options->receive_buffer_bytes);
	if (err == -EPERM) {
		log_error("not allowed to read conntrack events: CAP_NET_ADMIN is missing");
		return -1;
	}
	if (err)
		log_warning("no conntrack events (%s): ends have no bytes and no NAT",
			    strerror(-err));
	return 0;
}

static void complain_group(struct collector *c, int err)
{
	char comm[PORTID_COMM_MAX];
	uint32_t portid, pid;

	if (err == -EPERM)
		log_error("not allowed to bind NFLOG group %u: CAP_NET_ADMIN is missing",
			  c->options->group);
	else if (err == -EBUSY && nflog_group_holder(c->options->group, &portid) == 0 && portid &&
		 portid_process(c->proc_fd, NETLINK_NETFILTER, portid, &pid, comm) == 0)
		log_error("group %u is held by pid %u (%s)", c->options->group, pid, comm);
	else if (err == -EBUSY)
		log_error("group %u is held by another process", c->options->group);
	else
		log_error("binding NFLOG group %u: %s", c->options->group, strerror(-err));
}

/* The kernel knows, but perhaps not us; the last run's word may be of an older format, or of before
 * it was killed. */
static bool is_bound_to(const struct collector *c, uint16_t group)
{
	const struct handover *h = &c->handover;
	uint32_t portid;

	if (nflog_group_holder(group, &portid))
		return h->received && h->account.group == group;
	return portid == nflog_portid(c->nflog);
}

/* A group that is wanted no more is let go at once, and not when the manager forgets it. */
static bool take_over_group(struct collector *c, const struct nflog_config *config)
{
	const struct account_sums *sums = &c->handover.account.sums;
	int fd = handover_take(&c->handover, HANDOVER_GROUP);
	struct nflog_config before = *config;

	if (fd < 0)
		return false;
	if (c->handover.received)
		before.group = c->handover.account.group;
	if (nflog_adopt(&c->nflog, &before, fd)) {
		close(fd);
		return false;
	}
	if (before.group == config->group && is_bound_to(c, config->group)) {
		if (sums->known && sums->numbered)
			nflog_expect_sequence(c->nflog, sums->next_sequence);
		if (sums->known)
			c->join.config.read_before_ns = sums->packets_read_ns;
		c->group_taken = true;
		return true;
	}
	nflog_unbind(c->nflog);
	nflog_group_close(c->nflog);
	c->nflog = NULL;
	return false;
}

static int open_group(struct collector *c)
{
	struct nflog_config config = {
		.group = c->options->group,
		.copy_range_bytes = RULESET_SNAPLEN_BYTES,
		.buffer_bytes = NFLOG_BATCH_BYTES,
		.queue_threshold = NFLOG_BATCH_PACKETS,
		.flush_timeout_10ms = COLLECTOR_FLUSH_10MS,
		.receive_buffer_bytes = c->options->receive_buffer_bytes,
	};
	int err;

	if (take_over_group(c, &config))
		return 0;
	collector_read_clocks(c);
	c->join.config.bound_ns = c->join.now_ns;
	err = nflog_group_open(&c->nflog, &config);
	if (err)
		complain_group(c, err);
	return err ? -1 : 0;
}

void collector_limit_config(const struct options *options, struct limit_config *config)
{
	*config = (struct limit_config) {
		.rate = options->rate,
		.burst = options->burst,
		.rate_total = options->rate_total,
		.interval_ns = options->summary_interval_s * 1000000000ull,
	};
}

static int open_limit(struct collector *c)
{
	struct limit_config config;
	int err;

	collector_limit_config(c->options, &config);
	collector_read_clocks(c);
	err = limit_new(&c->limit, &config, c->join.now_ns);
	return err ? fail("preparing the rate limit", err) : 0;
}

/* Before the rules stand: nothing may be logged that nobody is ready for. */
static int open_join(struct collector *c)
{
	bool own_rules = c->options->ruleset != RULESET_MODE_NONE;
	struct join_config config = {
		.flows = c->flows,
		.processes = c->processes,
		.owner = c->owner,
		.trace = c->trace,
		.ct = c->ct,
		.route = c->route,
		.ledger = &c->ledger,
		.net_ns = c->host.net_ns,
		.errors_reported = c->perf && perf_reports_errors(c->perf),
		.own_rules = own_rules && c->options->conntrack,
		.output_logged = own_rules && c->options->hooks & RULESET_OUTPUT,
		.rules_limit = c->options->rule_limit,
		.loopback = c->options->loopback,
		.starts_only = !collector_follows_ends(c->options),
		.untracked_prefix = own_rules ? RULESET_PREFIX_UNTRACKED : NULL,
		.ct_silent = c->sysctl.silent,
		.filtered = sieve_stops,
		.start = emit_start,
		.end = emit_end,
		.open = emit_open,
		.data = c,
	};
	int err;

	c->rule_keys = sieve_rule_keys(c->options);
	procfs_read_number(c->proc_fd, "sys/net/ipv4/tcp_syn_retries", &config.syn_retries);
	config.protocol_count = protocol_numbers(c->options->protocols, config.protocols);
	err = join_init(&c->join, &config);
	if (err)
		return fail("preparing the join", err);
	c->join_ready = true;
	collector_read_clocks(c);
	return 0;
}

static int give_up_rights(struct collector *c)
{
	return confine_finish(&c->confine, c->options, c->perf, owner_cgroup_fd(c->owner));
}

static int read_processes(struct collector *c)
{
	int err = process_scan(c->processes);

	return err ? fail("reading the processes in /proc", err) : 0;
}

static void take_connecting(const struct tuple *tuple, const struct sock *sock, void *data)
{
	(void)sock;
	join_connecting(data, tuple);
}

/* Connects that began before the trace: their retransmissions must not be taken for others'. */
static int take_older_connects(struct collector *c)
{
	struct diag *diag;
	int err;

	if (!c->trace || diag_open(&diag))
		return 0;
	collector_read_clocks(c);
	err = diag_dump_connecting(diag, take_connecting, &c->join);
	diag_close(diag);
	if (!err)
		join_connecting_listed(&c->join);
	else
		log_warning("sockets that were connecting before cannot be listed: %s",
			    strerror(-err));
	return 0;
}

/* What the hook would have logged, had we been there; of others' rules that is not known. */
static int take_older_connections(struct collector *c)
{
	if (c->ct && c->join.config.output_logged)
		resume_begin(&c->join);
	return 0;
}

int collector_open(struct collector *c, const struct options *options)
{
	static int (*const steps[])(struct collector *) = {
		receive_handover, know_host, load_conntrack, prepare_stdout, enter, open_outputs,
		open_metrics, open_tables, open_trace, takeover_missed, open_lookup, open_conntrack,
		open_limit, open_join, give_up_rights, read_processes, takeover_connections,
		take_older_connects, open_group, rules_stand, guard_open,
		take_older_connections,
	};

	*c = (struct collector) { .options = options, .proc_fd = -1, .sysctl.directory = -1,
					.metrics.directory = -1 };
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++)
		if (steps[i](c))
			return -1;
	return 0;
}

void collector_close(struct collector *c)
{
	handover_close(&c->handover);
	guard_close(&c->guard);
	ruleset_close(c->ruleset);
	if (c->join_ready)
		join_fini(&c->join);
	limit_free(c->limit);
	nflog_group_close(c->nflog);
	ct_close(c->ct);
	sysctl_fini(&c->sysctl);
	route_close(c->route);
	owner_free(c->owner);
	trace_free(c->trace);
	perf_close(c->perf);
	flow_table_free(c->flows);
	process_table_free(c->processes);
	if (c->proc_fd >= 0)
		close(c->proc_fd);
	passwd_free(c->users);
	capture_free(c->capture);
	metrics_close(&c->metrics);
	sinks_close(c->sinks);
	record_free(c->record);
}
