// SPDX-License-Identifier: GPL-2.0-or-later
#include "evidence.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/netfilter/nf_conntrack_tcp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

struct tuple server;

static bool take_start(struct flow *f, void *data)
{
	struct world *w = data;

	assert_true(w->started < 8);
	w->seq[w->started] = f->tcp_seq;
	w->owner_pid[w->started] = f->process ? f->process->pid : 0;
	w->tid[w->started] = f->tid;
	w->rung[w->started++] = f->owner;
	return true;
}

static void take_end(struct flow *f, void *data)
{
	struct world *w = data;

	assert_true(w->ended < 8);
	w->ended_number = f->number;
	w->ended_answered = f->seen & FLOW_ANSWERED;
	w->ended_bytes[f->tcp_seq % 8] = f->seen & FLOW_COUNTERS ? f->bytes[0] : 0;
	w->reason[w->ended++] = f->reason;
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

	return w->filter && (f->tuple.sport == htons(40000) || f->tuple.sport == server.sport);
}

/* In place of lib/ct. */
int ct_dump_part(struct ct *ct, ct_handler *handler, void *data)
{
	if (ct->stands)
		handler(&ct->entry, data);
	return 0;
}

int ct_lookup(struct ct *ct, const struct tuple *original, uint16_t zone, struct ct_entry *out)
{
	if (!ct->stands || ct->entry.zone != zone || !tuple_equal(&ct->entry.original, original))
		return -ENOENT;
	if (out)
		*out = ct->entry;
	return 0;
}

pid_t stand_by(void)
{
	pid_t pid = fork();

	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		pause();
		_exit(0);
	}
	return pid;
}

int set_up(void **state)
{
	struct world *w = calloc(1, sizeof(*w));
	struct process_config processes = { .max_processes = 1024, .linger_ns = 1,
					    .command_line_max_bytes = 256 };
	struct owner_config owner = { .mode = OWNER_LOOKUP_AUTO };
	struct trace_config trace;
	struct join_config config = {
		.errors_reported = true, .own_rules = true, .output_logged = true,
		.protocols = { IPPROTO_TCP }, .protocol_count = 1,
		.filtered = take_filtered, .start = take_start, .end = take_end, .open = take_open, .data = w,
	};
	be32 src = htonl(0xcb007101), dst = htonl(0xcb007102);
	struct stat st;

	server = (struct tuple) { .protocol = IPPROTO_TCP, .dport = htons(443) };
	tuple_set_addresses(&server, AF_INET, &src, &dst);
	w->pid[GONE] = 5000001;	/* the kernel gives none that high */
	for (int i = 0; i < 2; i++)
		w->pid[i] = stand_by();
	w->proc_fd = processes.proc_fd = owner.proc_fd = open("/proc", O_RDONLY | O_DIRECTORY);
	if (stat("/proc/self/ns/net", &st) || flow_table_new(&w->flows, 1024) ||
	    process_table_new(&w->processes, &processes))
		return -1;
	owner.processes = w->processes;
	trace = (struct trace_config) {
		.flows = w->flows, .processes = w->processes, .loopback = true,
		.begun_ns = BEGIN_NS,
	};
	if (owner_new(&w->owner, &owner) || trace_new(&w->trace, &trace) || route_open(&w->route))
		return -1;
	config.bound_ns = BEGIN_NS + 1;
	config.net_ns = (uint32_t)st.st_ino;
	config.flows = w->flows;
	config.processes = w->processes;
	config.owner = w->owner;
	config.trace = w->trace;
	config.route = w->route;
	config.ledger = &w->ledger;
	*state = w;
	w->now_ns = BEGIN_NS;
	return join_init(&w->join, &config);
}

int tear_down(void **state)
{
	struct world *w = *state;

	for (int i = 0; i < 2; i++) {
		kill(w->pid[i], SIGKILL);
		waitpid(w->pid[i], NULL, 0);
	}
	join_fini(&w->join);
	route_close(w->route);
	trace_free(w->trace);
	owner_free(w->owner);
	flow_table_free(w->flows);
	process_table_free(w->processes);
	close(w->proc_fd);
	free(w);
	return 0;
}

struct tuple to_server(uint16_t sport)
{
	struct tuple t = server;

	t.sport = htons(sport);
	return t;
}

void pass(struct world *w, uint64_t ns)
{
	w->now_ns += ns;
	join_clock(&w->join, w->now_ns, w->now_ns);
}

void transition(struct world *w, int who, unsigned int n, uint8_t from, uint8_t to,
		       uint16_t sport)
{
	struct perf_event event = {
		.kind = PERF_SOCKET_STATE, .time_ns = w->now_ns,
		.pid = (uint32_t)w->pid[who], .tid = (uint32_t)w->pid[who],
		.socket = { .skaddr = SOCKET + n * 64, .tuple = to_server(sport),
			    .protocol = IPPROTO_TCP, .old_state = from, .new_state = to },
	};

	pass(w, 1000);
	join_trace(&w->join, &event);
}

void connects(struct world *w, int who, unsigned int n)
{
	transition(w, who, n, TCP_CLOSE, TCP_SYN_SENT, 0);
}

void route(struct world *w, int who, uint16_t sport)
{
	struct perf_event event = {
		.kind = PERF_ROUTE, .time_ns = w->now_ns, .pid = (uint32_t)w->pid[who],
		.tid = (uint32_t)w->pid[who], .route.tuple = to_server(sport),
	};

	pass(w, 1000);
	join_trace(&w->join, &event);
}

void lives_and_dies(struct world *w, int who, unsigned int n, uint16_t sport)
{
	connects(w, who, n);
	route(w, who, sport);
	transition(w, who, n, TCP_SYN_SENT, TCP_ESTABLISHED, sport);
	transition(w, who, n, TCP_ESTABLISHED, TCP_CLOSE, sport);
}

void fails(struct world *w, int who, unsigned int n, uint16_t sport)
{
	connects(w, who, n);
	route(w, who, sport);
	transition(w, who, n, TCP_SYN_SENT, TCP_CLOSE, sport);
}

static void send_packet(struct world *w, uint16_t sport, uint32_t seq, uint32_t id, uint16_t zone,
			bool unconfirmed)
{
	struct nflog_packet p = {
		.packet = { .tuple = to_server(sport), .tcp_seq = seq,
			    .tcp_flags = PACKET_TCP_SYN, .ports_known = true },
		.prefix = "nfwho", .hook = NF_INET_LOCAL_OUT, .uid = 0, .has_uid = true,
		.has_ct = id, .ct_id = id, .ct_zone = zone, .ct_unconfirmed = unconfirmed,
	};

	w->ledger.received++;
	join_packet(&w->join, &p);
}

void packet_of_entry(struct world *w, uint16_t sport, uint32_t seq, uint32_t id, uint16_t zone)
{
	send_packet(w, sport, seq, id, zone, true);
}

void packet_sent_again(struct world *w, uint16_t sport, uint32_t seq, uint32_t id)
{
	send_packet(w, sport, seq, id, 0, false);
}

void packet(struct world *w, uint16_t sport, uint32_t seq)
{
	packet_of_entry(w, sport, seq, 0, 0);
}

void passes(struct world *w, uint8_t hook, uint16_t sport, uint32_t seq)
{
	struct nflog_packet p = {
		.packet = { .tuple = to_server(sport), .tcp_seq = seq,
			    .tcp_flags = PACKET_TCP_SYN, .ports_known = true },
		.prefix = "", .hook = hook,
	};

	join_packet(&w->join, &p);
}

void forwarded(struct world *w, uint16_t sport, uint32_t seq)
{
	passes(w, NF_INET_FORWARD, sport, seq);
}

void settle(struct world *w, bool all_read)
{
	if (all_read)
		w->join.packets_read_ns = w->now_ns;
	pass(w, 1000);
	w->join.conntrack_current = true;
	join_settle(&w->join);
}

void wait_for(struct world *w, int ms)
{
	for (int i = 0; i < ms; i++) {
		pass(w, MS);
		settle(w, true);
	}
}

void wait_out(struct world *w)
{
	wait_for(w, 1000);
}

void look_again(struct world *w)
{
	pass(w, JOIN_RECHECK_NS + MS);
	settle(w, true);
}

int connect_unanswered(void)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	socklen_t len = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), nearest = 255;

	assert_int_equal(bind(fd, (struct sockaddr *)&address, len), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
	assert_int_equal(setsockopt(fd, IPPROTO_IP, IP_MINTTL, &nearest, sizeof(nearest)), 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, len), -1);
	assert_int_equal(errno, EINPROGRESS);
	tuple_set_addresses(&server, AF_INET, &address.sin_addr, &address.sin_addr);
	server.sport = server.dport = address.sin_port;
	return fd;
}

void expect(struct world *w, uint32_t seq, int who)
{
	unsigned int n = 0;

	while (n < w->started && w->seq[n] != seq)
		n++;
	assert_true(n < w->started);
	assert_int_equal(w->owner_pid[n], who < 0 ? 0 : w->pid[who]);
	assert_int_equal(w->rung[n] == OWNER_TRACE, who >= 0);
}

void tells(struct world *w, enum ct_kind kind, uint32_t id, uint16_t zone, uint64_t bytes)
{
	struct ct_entry entry = {
		.kind = kind, .original = to_server(40000), .id = id, .zone = zone,
		.status = kind == CT_DESTROY ? IPS_ASSURED | IPS_SEEN_REPLY : 0,
		.has_counters = kind == CT_DESTROY,
		.bytes = { bytes, 1 }, .packets = { 1, 1 }, .has_tcp_state = kind == CT_DESTROY,
		.tcp_state = TCP_CONNTRACK_TIME_WAIT, .read_real_ns = w->now_ns + w->slow_ns,
	};

	entry.reply = tuple_reverse(&entry.original);
	pass(w, 1000);
	join_conntrack(&w->join, &entry);
}
