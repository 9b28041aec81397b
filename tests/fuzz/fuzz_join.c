// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Evidence in any order, of few addresses, sockets and processes, in tables that are soon full:
 * every packet is in the account once, every flow starts and ends at most once, and no process is
 * named that neither the trace nor /proc has. Input: steps of eight bytes.
 */
#include "files.h"
#include "fuzz.h"
#include "join.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define MS 1000000ull
#define BEGIN_NS (86400000000 * MS)
#define SOCKET 0xffff888012340000ull
#define PROCESSES 4
#define FLOWS 16

/* What stands in each file of /proc, if anything does: process 2 is in our network namespace and
 * holds three sockets. The first line is long, so that its 3 is what loadavg says. */
#define PROC_LINK "socket:[1]"
static const char proc[] = "2 (a 3_____________________________________________________________"
	"______________________________________________________________\n"
	"0: 017100CB:9C40 027100CB:01BB 01 0:0 0:0 0 0 0 1\n"
	"1: 017100CB:9C41 027100CB:0050 02 0:0 0:0 0 0 0 1\n"
	"2: 017100CB000000000000000000000000:9C40 027100CB000000000000000000000000:01BB "
	"01 0:0 0:0 0 0 0 1\n"
	"Tgid:\t2\nUid:\t0\t0\nGid:\t0\t0\n"
	") S 1 2 2 0 -1 4194560 0 0 0 0 0 0 0 0 20 0 1 0 1000 1 2 3 4 5 140737\n";

struct route {
	int is_local;	/* what it says of every address */
};

struct world {
	struct join join;
	struct ledger ledger;
	struct flow_table *flows;
	struct process_table *processes;
	struct owner *owner;
	struct trace *trace;
	struct route route;
	uint64_t now_ns, packets;
	uint64_t starts, ends, open;
	bool filter, limit;
	bool doubt[2];		/* of a CPU's ring */
};

struct step {
	uint8_t kind, where, who, what, more, time;
	uint8_t number[2];
};

/* The clock of the input that runs: the world's for all but the time of day, by which libFuzzer
 * knows whether an input takes too long; 0 between two. */
static uint64_t clock_now_ns;

int clock_gettime(clockid_t clock, struct timespec *now)
{
	if (!clock_now_ns || clock == CLOCK_REALTIME)
		return (int)syscall(SYS_clock_gettime, clock, now);
	*now = (struct timespec){ (time_t)(clock_now_ns / 1000000000),
				  (long)(clock_now_ns % 1000000000) };
	return 0;
}

/* In front of the library's, which asks the kernel. */
int route_is_local(struct route *r, const struct tuple *t)
{
	(void)t;
	return r->is_local;
}

/* Time passes for all of them. */
static void set_clock(struct world *w, uint64_t now_ns)
{
	w->now_ns = clock_now_ns = now_ns;
	join_clock(&w->join, now_ns, now_ns);
}

static bool take_start(struct flow *f, void *data)
{
	struct world *w = data;
	unsigned int count;

	w->starts++;
	assert(join_prefix(&w->join, f) && !join_shared_with(&w->join, f, &count) && !count);
	assert(f->owner <= OWNER_TRACE);
	assert(!f->process || (f->process->pid >= 1 && f->process->pid <= PROCESSES));
	assert(f->process || f->owner < OWNER_SOCKET);
	return !w->limit || f->tuple.sport % 2;
}

static void take_end(struct flow *f, void *data)
{
	struct world *w = data;

	w->ends++;
	assert(f->reason <= REASON_ABORTED);
}

static void take_open(struct flow *f, void *data)
{
	struct world *w = data;

	(void)f;
	w->open++;
}

static bool take_filtered(const struct flow *f, void *data)
{
	const struct world *w = data;

	return w->filter && f->tuple.dport == htons(80);
}

static void world_init(struct world *w)
{
	struct process_config processes = { .max_processes = 8, .linger_ns = 10 * MS,
					    .command_line_max_bytes = 256,
					    .proc_fd = FILES_DIRECTORY };
	struct owner_config owner = { .mode = OWNER_LOOKUP_PROC, .proc_fd = FILES_DIRECTORY };
	struct join_config config = {
		.errors_reported = true, .own_rules = true, .output_logged = true,
		.protocols = { IPPROTO_TCP, IPPROTO_UDP }, .protocol_count = 2,
		.untracked_prefix = "untracked", .syn_retries = 6, .net_ns = 1,
		.route = &w->route, .filtered = take_filtered, .start = take_start, .end = take_end,
		.open = take_open, .data = w,
	};
	struct trace_config trace;

	memset(w, 0, sizeof(*w));
	w->now_ns = clock_now_ns = BEGIN_NS;
	assert(flow_table_new(&w->flows, FLOWS) == 0);
	assert(process_table_new(&w->processes, &processes) == 0);
	owner.processes = w->processes;
	trace = (struct trace_config){ .flows = w->flows, .processes = w->processes };
	assert(owner_new(&w->owner, &owner) == 0 && trace_new(&w->trace, &trace) == 0);
	config.flows = w->flows;
	config.processes = w->processes;
	config.owner = w->owner;
	config.trace = w->trace;
	config.ledger = &w->ledger;
	assert(join_init(&w->join, &config) == 0);
	join_clock(&w->join, w->now_ns, w->now_ns);
}

/* A doubt begins once and ends once (lib/merge). */
static bool is_in_turn(struct world *w, const struct perf_event *event)
{
	bool *doubt = &w->doubt[event->cpu];

	if (event->kind != PERF_DOUBT && event->kind != PERF_WHOLE)
		return true;
	if (*doubt == (event->kind == PERF_DOUBT))
		return false;
	*doubt = !*doubt;
	return true;
}

/* It stays, as its tables take longer to make than an input to run: every process ends, every
 * flow is let go, and an hour passes. */
static void world_clear(struct world *w)
{
	struct perf_event exit = { .kind = PERF_EXIT, .time_ns = w->now_ns };
	struct perf_event whole = { .kind = PERF_WHOLE };
	struct join *j = &w->join;

	for (uint32_t pid = 1; pid <= PROCESSES; pid++) {
		exit.pid = pid;
		exit.tid = pid + 10;
		join_trace(j, &exit);
		exit.tid = pid;
		join_trace(j, &exit);
	}
	for (; whole.cpu < 2; whole.cpu++)
		if (is_in_turn(w, &whole))
			join_trace(j, &whole);
	set_clock(w, w->now_ns + 3600 * 1000 * MS);
	while (flow_count(w->flows) > 0)
		join_evict(j);
	process_expire(w->processes, w->now_ns);
	j->nflog_lost_ns = j->ct_lost_ns = j->unmatched_ns = j->packets_read_ns = 0;
	j->unlogged_ns = j->undecodable = j->trace_only = 0;
	j->finishing = j->foreign_zone = j->conntrack_current = false;
	memset(&w->ledger, 0, sizeof(w->ledger));
	w->packets = w->starts = w->ends = w->open = 0;
	w->filter = w->limit = j->config.starts_only = false;
	assert(j->undecided == 0);
}

/* Four ports, two families, TCP and UDP, two servers; no port if `hidden`. */
static struct tuple tuple_of(uint8_t where, bool hidden)
{
	static const uint8_t here[16] = { 203, 0, 113, 1 }, there[16] = { 203, 0, 113, 2 };
	struct tuple t = {
		.protocol = where & 8 ? IPPROTO_UDP : IPPROTO_TCP,
		.sport = hidden ? 0 : htons(40000 + (where & 3)),
		.dport = htons(where & 16 ? 80 : 443),
	};

	tuple_set_addresses(&t, where & 4 ? AF_INET6 : AF_INET, here, there);
	return t;
}

static void give_packet(struct world *w, const struct step *s)
{
	static const char *const prefixes[] = { "nfwho", "untracked", "" };
	struct nflog_packet p = {
		.packet = { .tuple = tuple_of(s->where, false), .tcp_seq = s->number[0],
			    .tcp_flags = s->what & 1 ? 0x10 : PACKET_TCP_SYN,
			    .ports_known = !(s->what & 2) },
		.status = s->what & 4 ? PACKET_TRUNCATED : PACKET_OK,
		.prefix = prefixes[s->more % 3], .uid = s->who % 2, .has_uid = s->what & 8,
		.has_gid = s->who & 2, .hook = s->what & 16 ? NF_INET_FORWARD :
			s->what & 64 ? NF_INET_LOCAL_IN : NF_INET_LOCAL_OUT,
		.has_ct = s->what & 32, .ct_id = s->number[1], .ifindex_out = 2,
	};

	w->packets++;
	join_packet(&w->join, &p);
}

static void give_entry(struct world *w, const struct step *s)
{
	struct ct_entry e = {
		.kind = s->what % 2 ? CT_DESTROY : CT_NEW, .original = tuple_of(s->where, false),
		.id = s->number[1], .zone = s->more == 255, .tcp_state = s->more % 10,
		.status = s->what & 4 ? IPS_SEEN_REPLY | IPS_ASSURED : 0,
		.has_tcp_state = s->what & 8, .has_counters = s->what & 16,
		.packets = { 1, s->number[0] }, .bytes = { 60, 40 },
		.has_timestamps = s->what & 32, .start_real_ns = w->now_ns - s->time * MS,
		.stop_real_ns = w->now_ns, .idle_s = s->more % 4, .removed_by_hand = s->what & 64,
	};

	e.reply = tuple_reverse(&e.original);
	join_conntrack(&w->join, &e);
}

static void give_event(struct world *w, const struct step *s)
{
	struct perf_event event = {
		.kind = s->what % (PERF_WHOLE + 1), .time_ns = w->now_ns,
		.pid = 1 + s->who % PROCESSES, .tid = 1 + s->who % PROCESSES + s->who / 128 * 10,
		.cgroup_id = s->who & 64 ? 7 : 0, .cpu = s->who & 1,
	};
	bool hidden = s->more & 128;

	switch (event.kind) {
	case PERF_SOCKET_STATE:
		event.socket.skaddr = SOCKET + s->number[0] % 8 * 64;
		event.socket.tuple = tuple_of(s->where & ~8, hidden);
		event.socket.protocol = IPPROTO_TCP;
		event.socket.old_state = s->number[1] % 13;
		event.socket.new_state = s->more % 13;
		break;
	case PERF_ROUTE:
		event.route.tuple = tuple_of(s->where & ~12, false);
		break;
	case PERF_SOCKET_ERROR:
		event.error.tuple = tuple_of(s->where & ~8, hidden);
		event.error.error = s->more % 2 ? ECONNREFUSED : ETIMEDOUT;
		break;
	case PERF_FORK:
		event.fork.parent_pid = event.fork.parent_tid = 1 + s->more % PROCESSES;
		break;
	case PERF_EXEC:
		event.exec.filename = s->more % 2 ? "/usr/bin/curl" : "";
		event.exec.old_tid = event.tid;
		break;
	case PERF_COMM:
		event.comm.comm = "name";
		break;
	case PERF_LOST:
		event.lost.count = s->more;
		break;
	default:
		break;
	}
	if (is_in_turn(w, &event))
		join_trace(&w->join, &event);
}

static void settle(struct world *w, const struct step *s)
{
	static const uint64_t steps_ns[] = { 1000, MS, 40 * MS, 600 * MS, 5000 * MS, 130000 * MS };

	set_clock(w, w->now_ns + steps_ns[s->what % 6] * (1 + s->more % 4));
	if (s->who & 1)
		w->join.packets_read_ns = w->now_ns;
	w->join.conntrack_current = s->who & 2;
	join_settle(&w->join);
}

/* What is known beside the evidence from now on. */
static void change_host(struct world *w, uint8_t what)
{
	static const int answers[] = { 0, 1, -ENETUNREACH };

	w->route.is_local = answers[what / 2 % 3];
	files_begin((const uint8_t *)proc, what & 1 ? sizeof(proc) - 1 : 0);
	files_link(what & 1 ? PROC_LINK : "");
	files_directories(what & 1 ? PROCESSES : 0);
}

static void lose(struct world *w, const struct step *s)
{
	struct tuple tuple = tuple_of(s->where & ~8, false);

	if (s->what % 8 == 0)
		join_nflog_lost(&w->join, w->join.now_ns);
	else if (s->what % 8 == 1)
		join_conntrack_lost(&w->join, w->join.now_ns);
	else if (s->what % 8 == 2 && s->who & 1)
		join_rules_gone(&w->join, w->join.now_ns);
	else if (s->what % 8 == 2)
		join_rules_changed(&w->join);
	else if (s->what % 8 == 3)
		join_connecting(&w->join, &tuple);
	else if (s->what % 8 == 4)
		w->filter = !w->filter;
	else if (s->what % 8 == 5)
		w->join.config.starts_only = !w->join.config.starts_only;
	else if (s->what % 8 == 6)
		w->limit = !w->limit;
	else
		change_host(w, s->more);
}

static void check(const struct world *w)
{
	const struct ledger *l = &w->ledger;

	assert(w->packets == l->started + l->suppressed + l->retransmits + l->midstream +
			     l->filtered + w->join.undecodable + l->evicted + w->join.undecided);
	assert(l->started + l->suppressed + l->unsent + l->unsent_suppressed == w->starts);
	assert(w->ends + w->open <= w->starts);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const give[])(struct world *, const struct step *) = {
		give_packet, give_packet, give_event, give_event, give_event, give_entry,
		settle, lose,
	};
	static struct world w;
	struct step step;

	change_host(&w, 0);
	if (!w.flows)
		world_init(&w);
	set_clock(&w, w.now_ns);
	for (; size >= sizeof(step); data += sizeof(step), size -= sizeof(step)) {
		memcpy(&step, data, sizeof(step));
		set_clock(&w, w.now_ns + step.time * 1000ull);
		give[step.kind % 8](&w, &step);
		check(&w);
	}
	join_finish(&w.join, false);
	check(&w);
	assert(w.join.undecided == 0);
	world_clear(&w);
	clock_now_ns = 0;
	files_end();
	return 0;
}
