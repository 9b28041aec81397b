// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The join with made-up evidence: what the kernel sends in an order or with a delay that no test can
 * bring about. The two processes are real, so that their network namespace can be read, and so is a
 * socket that is asked for.
 */
#include "join.h"
#include "ladder.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_conntrack_tcp.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define MS 1000000ull
#define BEGIN_NS (86400000000 * MS)	/* after everything that is read of real processes */
#define SOCKET 0xffff888012340000ull
#define GONE 2	/* process that nothing is known of */

/* Where everything goes: to an address of documents, unless a test has a real socket. */
static struct tuple server;

struct world {
	struct join join;
	struct ledger ledger;
	struct flow_table *flows;
	struct process_table *processes;
	struct owner *owner;
	struct trace *trace;
	struct route *route;
	int proc_fd;
	pid_t pid[3];
	uint64_t now_ns;
	uint64_t slow_ns;		/* what conntrack tells is read that long after the drain began */

	bool filter;			/* leaves out what goes from port 40000 */
	unsigned int started, ended, open;
	uint64_t ended_number;		/* of the last end */
	bool ended_answered;
	uint64_t ended_bytes[8];	/* of each end, by its packet's sequence number */
	uint32_t seq[8];		/* of each start: which packet it was */
	uint32_t owner_pid[8];		/* 0: unnamed */
	uint32_t tid[8];
	uint8_t rung[8], reason[8];
};

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

	return w->filter && f->tuple.sport == htons(40000);
}

static int set_up(void **state)
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
	for (int i = 0; i < 2; i++) {
		w->pid[i] = fork();
		if (!w->pid[i]) {
			pause();
			_exit(0);
		}
	}
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

static int tear_down(void **state)
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

static struct tuple to_server(uint16_t sport)
{
	struct tuple t = server;

	t.sport = htons(sport);
	return t;
}

static void pass(struct world *w, uint64_t ns)
{
	w->now_ns += ns;
	join_clock(&w->join, w->now_ns, w->now_ns);
}

/* Process `who` changes the state of its n-th socket. */
static void transition(struct world *w, int who, unsigned int n, uint8_t from, uint8_t to,
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

static void connects(struct world *w, int who, unsigned int n)
{
	transition(w, who, n, TCP_CLOSE, TCP_SYN_SENT, 0);
}

static void route(struct world *w, int who, uint16_t sport)
{
	struct perf_event event = {
		.kind = PERF_ROUTE, .time_ns = w->now_ns, .pid = (uint32_t)w->pid[who],
		.tid = (uint32_t)w->pid[who], .route.tuple = to_server(sport),
	};

	pass(w, 1000);
	join_trace(&w->join, &event);
}

static void lives_and_dies(struct world *w, int who, unsigned int n, uint16_t sport)
{
	connects(w, who, n);
	route(w, who, sport);
	transition(w, who, n, TCP_SYN_SENT, TCP_ESTABLISHED, sport);
	transition(w, who, n, TCP_ESTABLISHED, TCP_CLOSE, sport);
}

static void fails(struct world *w, int who, unsigned int n, uint16_t sport)
{
	connects(w, who, n);
	route(w, who, sport);
	transition(w, who, n, TCP_SYN_SENT, TCP_CLOSE, sport);
}

/* With its conntrack entry, where the kernel gives it: 0 none. */
static void packet_of_entry(struct world *w, uint16_t sport, uint32_t seq, uint32_t id,
			    uint16_t zone)
{
	struct nflog_packet p = {
		.packet = { .tuple = to_server(sport), .tcp_seq = seq,
			    .tcp_flags = PACKET_TCP_SYN, .ports_known = true },
		.prefix = "nfwho", .hook = NF_INET_LOCAL_OUT, .uid = 0, .has_uid = true,
		.has_ct = id, .ct_id = id, .ct_zone = zone, .ct_unconfirmed = true,
	};

	w->ledger.received++;
	join_packet(&w->join, &p);
}

static void packet(struct world *w, uint16_t sport, uint32_t seq)
{
	packet_of_entry(w, sport, seq, 0, 0);
}

static void passes(struct world *w, uint8_t hook, uint16_t sport, uint32_t seq)
{
	struct nflog_packet p = {
		.packet = { .tuple = to_server(sport), .tcp_seq = seq,
			    .tcp_flags = PACKET_TCP_SYN, .ports_known = true },
		.prefix = "", .hook = hook,
	};

	join_packet(&w->join, &p);
}

static void forwarded(struct world *w, uint16_t sport, uint32_t seq)
{
	passes(w, NF_INET_FORWARD, sport, seq);
}

/* All that was queued has been read, or not. */
static void settle(struct world *w, bool all_read)
{
	if (all_read)
		w->join.packets_read_ns = w->now_ns;
	pass(w, 1000);
	w->join.conntrack_current = true;
	join_settle(&w->join);
}

static void wait_for(struct world *w, int ms)
{
	for (int i = 0; i < ms; i++) {
		pass(w, MS);
		settle(w, true);
	}
}

static void wait_out(struct world *w)
{
	wait_for(w, 1000);
}

static void look_again(struct world *w)
{
	pass(w, JOIN_RECHECK_NS + MS);
	settle(w, true);
}

/* A real socket, whose own address is the server from now on, and which drops the SYN that it sends
 * to itself: it has come too far. */
static int connect_unanswered(void)
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

/* The packet with this sequence number belongs to process `who`; -1: to nobody. */
static void expect(struct world *w, uint32_t seq, int who)
{
	unsigned int n = 0;

	while (n < w->started && w->seq[n] != seq)
		n++;
	assert_true(n < w->started);
	assert_int_equal(w->owner_pid[n], who < 0 ? 0 : w->pid[who]);
	assert_int_equal(w->rung[n] == OWNER_TRACE, who >= 0);
}

static void a_packet_finds_its_connect_and_its_retransmission_the_same(void **state)
{
	struct world *w = *state;

	settle(w, true);
	connects(w, 0, 1);
	route(w, 0, 40000);
	packet(w, 40000, 7);
	settle(w, true);
	packet(w, 40000, 7);
	settle(w, true);
	assert_int_equal(w->started, 1);
	expect(w, 7, 0);
	assert_int_equal(w->ledger.retransmits, 1);
	transition(w, 0, 1, TCP_SYN_SENT, TCP_CLOSE, 40000);
	wait_out(w);
	assert_int_equal(w->ended, 1);
	assert_int_equal(w->reason[0], REASON_ABORTED);
}

/* Long after the group was bound, as on a machine that is busy or slow. */
static void what_is_read_first_is_named(void **state)
{
	struct world *w = *state;

	pass(w, 1000);
	connects(w, 0, 1);
	route(w, 0, 40000);
	packet(w, 40000, 7);
	pass(w, 200 * MS);
	connects(w, 1, 2);
	route(w, 1, 40001);
	packet(w, 40001, 8);
	settle(w, true);
	assert_int_equal(w->started, 2);
	expect(w, 7, 0);
	expect(w, 8, 1);
}

/* An earlier run's group has packets that were sent before the trace, by whoever had the tuple then. */
static void what_may_be_older_than_the_trace_is_not_named(void **state)
{
	struct world *w = *state;

	w->join.config.bound_ns = 0;
	connects(w, 0, 1);
	route(w, 0, 40000);
	packet(w, 40000, 7);
	settle(w, true);
	connects(w, 0, 2);
	route(w, 0, 40001);
	packet(w, 40001, 8);
	wait_out(w);
	assert_int_equal(w->started, 2);
	expect(w, 7, -1);
	expect(w, 8, -1);
	connects(w, 0, 3);
	route(w, 0, 40002);
	packet(w, 40002, 9);
	settle(w, true);
	expect(w, 9, 0);
}

/* Two connects to one address, neither port known: nobody is named before a transition tells. */
static void of_two_pending_connects_none_is_taken_by_its_order(void **state)
{
	struct world *w = *state;

	settle(w, true);
	connects(w, 0, 1);
	connects(w, 1, 2);
	packet(w, 40001, 1);
	packet(w, 40000, 2);
	settle(w, true);
	assert_int_equal(w->started, 0);
	transition(w, 1, 2, TCP_SYN_SENT, TCP_ESTABLISHED, 40001);
	transition(w, 0, 1, TCP_SYN_SENT, TCP_ESTABLISHED, 40000);
	settle(w, true);
	assert_int_equal(w->started, 2);
	expect(w, 1, 1);
	expect(w, 2, 0);
}

/* The tuple was used by one process, then by another, before the packets of either were read. */
static void a_tuple_used_twice_is_told_apart_when_all_is_read(void **state)
{
	struct world *w = *state;

	settle(w, true);
	lives_and_dies(w, 0, 1, 40000);
	lives_and_dies(w, 1, 2, 40000);
	pass(w, 200 * MS);
	packet(w, 40000, 1);
	settle(w, false);
	assert_int_equal(w->started, 0);
	packet(w, 40000, 2);
	wait_out(w);
	assert_int_equal(w->started, 2);
	expect(w, 1, 0);
	expect(w, 2, 1);
}

static void a_tuple_used_twice_stays_unnamed_if_one_packet_is_missing(void **state)
{
	struct world *w = *state;

	settle(w, true);
	lives_and_dies(w, 0, 1, 40000);
	lives_and_dies(w, 1, 2, 40000);
	pass(w, 200 * MS);
	packet(w, 40000, 2);
	wait_out(w);
	assert_int_equal(w->started, 1);
	expect(w, 2, -1);
}

/* What the ring lost may have been the connect of this packet: the later one is not taken for it. */
static void the_only_connect_is_not_taken_if_an_earlier_one_may_be_lost(void **state)
{
	struct world *w = *state;
	struct perf_event lost = { .kind = PERF_LOST, .lost.count = 5 };

	settle(w, true);
	pass(w, 100 * MS);
	lost.time_ns = w->now_ns;
	join_trace(&w->join, &lost);
	pass(w, MS);
	lives_and_dies(w, 1, 2, 40000);
	pass(w, 100 * MS);
	packet(w, 40000, 1);
	wait_out(w);
	assert_int_equal(w->started, 1);
	expect(w, 1, -1);
}

/* An accepted socket got the address of one whose end was never told. */
static void a_socket_address_used_again_is_another_socket(void **state)
{
	struct world *w = *state;
	struct tuple accepted = to_server(443);
	struct perf_event event = {
		.kind = PERF_SOCKET_STATE,
		.socket = { .skaddr = SOCKET + 64, .tuple = accepted, .protocol = IPPROTO_TCP,
			    .old_state = TCP_ESTABLISHED, .new_state = TCP_FIN_WAIT1 },
	};

	settle(w, true);
	connects(w, 0, 1);
	event.socket.tuple.dport = htons(50000);
	event.time_ns = w->now_ns;
	join_trace(&w->join, &event);
	packet(w, 443, 1);
	settle(w, true);
	wait_out(w);
	expect(w, 1, -1);
}

/* What the ring lost was the end of the first socket and the connect of the next one at its address,
 * which goes to the same server and is another process's. */
static void a_port_is_not_learnt_from_an_address_used_again_during_a_loss(void **state)
{
	struct world *w = *state;
	struct perf_event lost = { .kind = PERF_LOST, .lost.count = 5 };

	settle(w, true);
	connects(w, 0, 1);
	pass(w, MS);
	lost.time_ns = w->now_ns;
	join_trace(&w->join, &lost);
	pass(w, MS);
	transition(w, 1, 1, TCP_SYN_SENT, TCP_ESTABLISHED, 40000);
	pass(w, 100 * MS);
	settle(w, true);
	packet(w, 40000, 1);
	wait_out(w);
	assert_int_equal(w->started, 1);
	expect(w, 1, -1);
}

/* The packet's own connect had to make room; the next user of the tuple is not taken for it. */
static void a_connect_that_was_evicted_counts_as_lost(void **state)
{
	struct world *w = *state;
	struct tuple other = to_server(1);

	settle(w, true);
	connects(w, 0, 1);
	route(w, 0, 40000);
	while (!flow_table_full(w->flows)) {
		other.dport++;
		join_connecting(&w->join, &other);
	}
	connects(w, 1, 2);
	route(w, 1, 40000);
	packet(w, 40000, 1);
	settle(w, true);
	wait_out(w);
	assert_int_equal(w->started, 1);
	expect(w, 1, -1);
	assert_int_equal(w->join.connects_evicted, 1);
}

/* Its first packet was the earlier run's: sent again it starts nothing. */
static void a_connection_handed_over_has_an_end_and_no_start(void **state)
{
	struct world *w = *state;
	struct flow before = {
		.number = 77, .seen = FLOW_STARTED | FLOW_PACKET | FLOW_NEW | FLOW_CT_ID,
		.tcp_seq = 7, .ct_id = 5, .tuple = to_server(40000), .owner = OWNER_UID,
		.hook = NF_INET_LOCAL_OUT,
		.start_ns = 1000, .start_real_ns = 1000, .packet_ns = 2000,
	};
	struct ct_entry entry = {
		.kind = CT_DESTROY, .original = before.tuple, .id = 5, .has_tcp_state = true,
		.tcp_state = TCP_CONNTRACK_TIME_WAIT, .status = IPS_ASSURED,
	};

	settle(w, true);
	resume_take_over(&w->join, &before, "nfwho");
	before.seen |= FLOW_SUPPRESSED;
	before.tuple = to_server(40001);
	before.number = 78;
	resume_take_over(&w->join, &before, "nfwho");
	packet(w, 40000, 7);
	packet(w, 40001, 7);
	settle(w, true);
	assert_int_equal(w->started, 0);
	assert_int_equal(w->ledger.retransmits, 2);
	assert_int_equal(w->ledger.resumed, 1);
	join_conntrack(&w->join, &entry);
	entry.original = before.tuple;
	join_conntrack(&w->join, &entry);
	wait_out(w);
	assert_int_equal(w->ended, 1);
	assert_int_equal(w->ended_number, 77);
	assert_int_equal(w->ledger.ended, 1);
	assert_int_equal(w->reason[0], REASON_CLOSED);
	packet(w, 40000, 8);
	wait_out(w);
	assert_int_equal(w->started, 1);
}

static void every_packet_is_accounted_for(void **state)
{
	struct world *w = *state;
	struct nflog_packet middle = {
		.packet = { .tuple = to_server(1), .tcp_flags = PACKET_TCP_ACK, .ports_known = true },
		.prefix = "", .hook = NF_INET_LOCAL_OUT,
	};

	settle(w, true);
	connects(w, 0, 1);
	route(w, 0, 40000);
	packet(w, 40000, 1);
	packet(w, 40000, 1);
	packet(w, 41000, 1);
	w->ledger.received++;
	join_packet(&w->join, &middle);
	wait_out(w);
	assert_int_equal(w->ledger.received, w->ledger.started + w->ledger.suppressed +
			 w->ledger.retransmits + w->ledger.midstream + w->ledger.filtered +
			 w->join.undecodable + w->ledger.evicted + w->ledger.pending);
	assert_int_equal(w->ledger.started, 2);
	assert_int_equal(w->ledger.midstream, 1);
}

/* Its retransmissions are still known for what they are; nothing of it is handed on, and once it is
 * answered it makes room. */
static void a_filtered_connection_is_counted_once_and_not_told(void **state)
{
	struct world *w = *state;

	w->filter = true;
	settle(w, true);
	connects(w, 0, 1);
	route(w, 0, 40000);
	packet(w, 40000, 1);
	wait_out(w);
	packet(w, 40000, 1);
	packet(w, 40001, 9);
	wait_out(w);
	assert_int_equal(w->started, 1);
	assert_int_equal(w->ledger.started, 1);
	assert_int_equal(w->ledger.filtered, 1);
	assert_int_equal(w->ledger.retransmits, 1);
	assert_int_equal(w->ledger.received, 3);
	assert_int_equal(flow_count(w->flows), 2);
	w->filter = false;	/* what was left out stays so */
	transition(w, 0, 1, TCP_SYN_SENT, TCP_ESTABLISHED, 40000);
	wait_out(w);
	assert_int_equal(flow_count(w->flows), 1);
	transition(w, 0, 1, TCP_ESTABLISHED, TCP_CLOSE, 40000);
	wait_out(w);
	join_finish(&w->join, false);
	assert_int_equal(w->started, 1);
	assert_int_equal(w->ended + w->ledger.ended + w->ledger.ends_evicted, 0);
	assert_int_equal(w->open, 1);
}

/* The trace does not tell of closes then. */
static void where_starts_alone_are_wanted_an_answer_is_the_end_of_it(void **state)
{
	struct world *w = *state;

	w->join.config.starts_only = true;
	settle(w, true);
	for (unsigned int i = 0; i < 3; i++) {	/* the third is another namespace's */
		connects(w, 0, 1 + i);
		route(w, 0, (uint16_t)(40000 + i));
		if (i < 2)
			packet(w, (uint16_t)(40000 + i), 1);
	}
	settle(w, true);
	assert_int_equal(w->started, 2);
	packet(w, 40000, 1);
	for (unsigned int i = 1; i < 3; i++)
		transition(w, 0, 1 + i, TCP_SYN_SENT, TCP_ESTABLISHED, (uint16_t)(40000 + i));
	for (int i = 0; i < 3; i++)
		wait_out(w);
	assert_int_equal(w->ledger.retransmits, 1);
	assert_int_equal(w->join.trace_only, 1);
	assert_int_equal(flow_count(w->flows), 1);
	transition(w, 0, 1, TCP_SYN_SENT, TCP_CLOSE, 40000);
	wait_out(w);
	wait_out(w);
	assert_int_equal(flow_count(w->flows), 0);
	join_finish(&w->join, false);
	assert_int_equal(w->started, 2);
	assert_int_equal(w->ledger.started, 2);
	assert_int_equal(w->ended + w->open + w->ledger.ended + w->ledger.ends_evicted, 0);
}

/* Forwarded: it has no socket here, and conntrack is not read. */
static void where_starts_alone_are_wanted_nothing_stays_for_ever(void **state)
{
	struct world *w = *state;

	w->join.config.starts_only = true;
	settle(w, true);
	forwarded(w, 40000, 1);
	for (int second = 0; second < 100; second++) {
		pass(w, 1000 * MS);
		settle(w, true);
	}
	assert_int_equal(w->started, 1);
	forwarded(w, 40000, 1);
	assert_int_equal(flow_count(w->flows), 1);
	for (int second = 0; second < 60; second++) {
		pass(w, 1000 * MS);
		settle(w, true);
	}
	assert_int_equal(flow_count(w->flows), 0);
	assert_int_equal(w->started, 1);
	assert_int_equal(w->ledger.retransmits, 1);
}

/* What was answered had left; what the rules may not have logged, too. */
static void only_what_surely_never_left_is_unsent(void **state)
{
	struct world *w = *state;

	settle(w, true);
	lives_and_dies(w, 0, 1, 40000);
	fails(w, 0, 2, 40001);
	join_rules_changed(&w->join);
	wait_out(w);
	wait_out(w);
	assert_int_equal(w->ended, 0);
	join_rules_gone(&w->join, w->now_ns);
	fails(w, 0, 3, 40002);
	wait_out(w);
	wait_out(w);
	assert_int_equal(w->ended, 0);
	join_rules_changed(&w->join);
	pass(w, MS);
	fails(w, 0, 4, 40003);
	wait_out(w);
	wait_out(w);
	assert_int_equal(w->ended, 1);
	w->join.config.rules_limit = true;
	fails(w, 0, 5, 40004);
	wait_out(w);
	wait_out(w);
	assert_int_equal(w->ended, 1);
	assert_int_equal(w->ledger.unsent, 1);
}

/* A socket that connected before the trace, and sent again, had the tuple that another connects with
 * now. */
static void a_retransmission_of_an_older_connect_is_not_the_next_ones(void **state)
{
	struct world *w = *state;
	struct tuple tuple = to_server(40000);

	pass(w, 1000);
	join_connecting(&w->join, &tuple);
	pass(w, 1000);
	connects(w, 1, 1);
	route(w, 1, 40000);
	packet(w, 40000, 1);
	settle(w, true);
	packet(w, 40000, 2);
	wait_out(w);
	assert_int_equal(w->started, 2);
	expect(w, 1, -1);
	expect(w, 2, -1);
}

/* One that another network namespace's socket sends again, whose connect was before the trace, fits the
 * only pending connect there; this one's port tells in the end whose it was. */
static void a_forwarded_packet_may_be_of_a_connect_that_nobody_saw(void **state)
{
	struct world *w = *state;

	w->join.config.net_ns++;	/* the processes are elsewhere */
	settle(w, true);
	connects(w, 0, 1);
	forwarded(w, 40000, 1);
	settle(w, true);
	transition(w, 0, 1, TCP_SYN_SENT, TCP_ESTABLISHED, 40001);
	forwarded(w, 40001, 2);
	wait_out(w);
	assert_int_equal(w->started, 2);
	expect(w, 1, -1);
	expect(w, 2, 0);
	pass(w, 2 * JOIN_CONNECT_MAX_NS);
	settle(w, true);
	connects(w, 1, 2);
	forwarded(w, 40002, 3);
	settle(w, true);
	expect(w, 3, 1);
}

/* Before the group was bound its packet was logged nowhere: this one is another's. */
static void a_connect_before_the_group_was_bound_has_no_packet(void **state)
{
	struct world *w = *state;

	w->join.config.bound_ns = w->now_ns + MS;
	lives_and_dies(w, 0, 1, 40000);
	pass(w, 2 * MS);
	packet(w, 40000, 1);
	wait_out(w);
	expect(w, 1, -1);
}

static void a_filtered_connect_without_a_packet_is_not_told(void **state)
{
	struct world *w = *state;

	settle(w, true);
	fails(w, 0, 1, 40000);
	wait_out(w);
	wait_out(w);
	assert_int_equal(w->ended, 1);
	assert_int_equal(w->reason[0], REASON_UNSENT);
	w->filter = true;
	fails(w, 0, 1, 40000);
	connects(w, 0, 2);
	route(w, 0, 40000);
	transition(w, 0, 2, TCP_SYN_SENT, TCP_ESTABLISHED, 40000);
	for (int i = 0; i < 7; i++)
		wait_out(w);
	assert_int_equal(w->ended, 1);
	assert_int_equal(w->ledger.unsent, 1);
	assert_int_equal(w->join.trace_only, 1);
	assert_int_equal(w->ledger.trace_filtered, 2);
}

/* A filter in the rules left out the packet of the first; the second was sent after its end. */
static void a_connect_that_was_over_is_not_the_packets(void **state)
{
	struct world *w = *state;

	settle(w, true);
	lives_and_dies(w, 0, 1, 40000);
	pass(w, 400 * MS);
	settle(w, true);
	connects(w, 1, 2);
	route(w, 1, 40000);
	packet(w, 40000, 1);
	settle(w, true);
	assert_int_equal(w->started, 1);
	expect(w, 1, 1);
}

/* The batch came late: the connect was over for longer than a flush timeout. */
static void a_connect_whose_packet_is_late_is_written_once(void **state)
{
	struct world *w = *state;

	settle(w, true);
	lives_and_dies(w, 0, 1, 40000);
	pass(w, 100 * MS);
	settle(w, true);
	packet(w, 40000, 1);
	settle(w, true);
	pass(w, 2000 * MS);
	settle(w, true);
	assert_int_equal(w->started, 1);
	expect(w, 1, 0);
}

/* A connect whose packet an earlier rule may have left out is not said to have sent none. */
static void a_connect_from_before_other_rules_is_not_unsent(void **state)
{
	struct world *w = *state;

	settle(w, true);
	connects(w, 0, 1);
	route(w, 0, 40000);
	pass(w, MS);
	join_rules_changed(&w->join);
	transition(w, 0, 1, TCP_SYN_SENT, TCP_CLOSE, 40000);
	wait_out(w);
	wait_out(w);
	assert_int_equal(w->ended, 0);
	assert_int_equal(w->join.trace_only, 1);
}

/* Two connects fit, the holder of the socket was looked up, and is doubted for a while: meanwhile the
 * trace tells whose the port is. */
static void a_connect_that_tells_its_port_late_is_the_packets_all_the_same(void **state)
{
	struct world *w = *state;
	struct owner_query found = { .rung = OWNER_SOCKET, .socket_found = true, .socket_uid = 5 };
	struct tuple tuple = to_server(40000);

	settle(w, true);
	connects(w, 0, 1);
	connects(w, 1, 2);
	packet(w, 40000, 1);
	settle(w, true);
	assert_int_equal(w->started, 0);
	found.process = process_get(w->processes, (uint32_t)w->pid[0]);
	ladder_answer(&w->join, flow_by_tuple(w->flows, &tuple), &found);
	transition(w, 0, 1, TCP_SYN_SENT, TCP_ESTABLISHED, 40000);
	wait_out(w);
	assert_int_equal(w->started, 1);
	expect(w, 1, 0);
	transition(w, 0, 1, TCP_ESTABLISHED, TCP_CLOSE, 40000);
	wait_out(w);
	wait_out(w);
	assert_int_equal(w->ended, 1);
	assert_int_equal(w->reason[0], REASON_RESET);
	assert_int_equal(w->join.trace_only, 0);
}

/* The end was told by nobody, on a CPU that is silent while idle; conntrack had an RST and knows
 * when, but counted nothing. The process did not give up. */
static void an_end_that_conntrack_reckoned_is_not_the_processs(void **state)
{
	struct world *w = *state;
	struct ct_entry entry = {
		.kind = CT_NEW, .original = to_server(40000), .id = 9, .status = 8,
		.has_timestamps = true,
	};

	entry.reply = tuple_reverse(&entry.original);
	settle(w, true);
	connects(w, 0, 1);
	route(w, 0, 40000);
	packet(w, 40000, 1);
	settle(w, true);
	entry.start_real_ns = w->now_ns;
	join_conntrack(&w->join, &entry);
	pass(w, MS);
	entry.kind = CT_DESTROY;
	entry.stop_real_ns = w->now_ns;
	entry.idle_s = 10;
	entry.tcp_state = TCP_CONNTRACK_CLOSE;
	entry.has_tcp_state = true;
	join_conntrack(&w->join, &entry);
	settle(w, true);
	connects(w, 1, 1);
	wait_out(w);
	assert_int_equal(w->ended, 1);
	assert_int_equal(w->reason[0], REASON_NONE);
}

/* A connect without a packet may be another network namespace's; with one it tells that the first
 * socket went without a word, and that the one found is not its. */
static void an_unanswered_one_has_not_the_socket_of_the_next_with_its_tuple(void **state)
{
	struct world *w = *state;
	int fd = connect_unanswered();
	uint16_t port = ntohs(server.sport);

	settle(w, true);
	connects(w, 0, 1);
	route(w, 0, port);
	packet(w, port, 1);
	settle(w, true);
	connects(w, 1, 2);
	route(w, 1, port);
	look_again(w);
	assert_int_equal(w->ended, 0);
	packet(w, port, 2);
	look_again(w);
	assert_int_equal(w->started, 2);
	assert_int_equal(w->ended, 1);
	assert_int_equal(w->reason[0], REASON_NONE);
	close(fd);
}

/* Nobody told of its end: the timer's, if it was seen to wait on after its last SYN. */
static void who_waited_on_after_the_last_syn_has_timed_out(void **state)
{
	struct world *w = *state;
	static const struct { uint32_t retries, sent_again, looks; uint8_t reason; } cases[] = {
		{ 2, 2, 2, REASON_TIMED_OUT }, { 2, 2, 1, REASON_NONE },
		{ 2, 1, 2, REASON_NONE }, { 0, 2, 2, REASON_NONE },
	};

	for (unsigned int i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int fd = connect_unanswered();
		uint16_t port = ntohs(server.sport);

		w->started = w->ended = 0;
		w->join.config.syn_retries = cases[i].retries;
		look_again(w);
		connects(w, 0, i);
		route(w, 0, port);
		for (uint32_t n = 0; n <= cases[i].sent_again; n++)
			packet(w, port, 1);
		settle(w, true);
		for (uint32_t n = 0; n < cases[i].looks; n++)
			look_again(w);
		assert_int_equal(w->started, 1);
		assert_int_equal(w->ended, 0);
		close(fd);
		look_again(w);
		assert_int_equal(w->ended, 1);
		assert_int_equal(w->reason[0], cases[i].reason);
	}
}

/* Two connects fit the first packet, whose socket is looked up late: by then the tuple has another
 * one, which is told of nowhere. */
static void one_that_is_left_out_keeps_its_socket_from_an_earlier_packet(void **state)
{
	struct world *w = *state;
	struct owner_query found = { .rung = OWNER_SOCKET, .socket_found = true };
	struct tuple tuple = to_server(40000);
	struct flow *earlier;

	settle(w, true);
	connects(w, 0, 1);
	connects(w, 0, 2);
	packet(w, 40000, 1);
	settle(w, true);
	earlier = flow_by_tuple(w->flows, &tuple);
	w->filter = true;
	connects(w, 1, 3);
	transition(w, 1, 3, TCP_SYN_SENT, TCP_ESTABLISHED, 40000);
	packet(w, 40000, 2);
	wait_for(w, 100);
	assert_int_equal(w->ledger.filtered, 1);
	assert_int_equal(w->started, 0);
	w->filter = false;
	found.process = process_get(w->processes, (uint32_t)w->pid[1]);
	ladder_answer(&w->join, earlier, &found);
	wait_out(w);
	assert_int_equal(w->started, 1);
	expect(w, 1, -1);
	assert_int_equal(flow_count(w->flows), 3);	/* it, and the two connects */
}

/* The connect's process was gone before anything was known of it. */
static void who_holds_the_socket_has_not_the_thread_that_connected_it(void **state)
{
	struct world *w = *state;
	struct owner_query found = { .rung = OWNER_SOCKET, .socket_found = true };
	struct tuple tuple = to_server(40000);
	struct flow *f;

	w->join.config.net_ns = 0;
	settle(w, true);
	connects(w, GONE, 1);
	route(w, GONE, 40000);
	packet(w, 40000, 1);
	f = flow_by_tuple(w->flows, &tuple);
	assert_int_equal(f->tid, w->pid[GONE]);
	f->packet_ns = w->now_ns;
	found.process = process_find(w->processes, (uint32_t)w->pid[1], 0);
	ladder_answer(&w->join, f, &found);
	wait_out(w);
	assert_int_equal(w->started, 1);
	assert_int_equal(w->rung[0], OWNER_SOCKET);
	assert_int_equal(w->owner_pid[0], w->pid[1]);
	assert_int_equal(w->tid[0], 0);
}

static uint64_t monotonic_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* Process 0 connects, and was read so long after that. */
static struct process *connects_and_is_read(struct world *w, uint64_t begin_ns, uint64_t end_ns)
{
	struct process *p = process_find(w->processes, (uint32_t)w->pid[0], 0);

	settle(w, true);
	assert_non_null(p);
	process_read(w->processes, p);
	p->read_begin_ns = w->now_ns + begin_ns;
	p->read_end_ns = w->now_ns + end_ns;
	connects(w, 0, 1);
	route(w, 0, 40000);
	packet(w, 40000, 1);
	return p;
}

/* Its program may have been another when it connected: the exec is not read yet. */
static void what_proc_says_later_than_the_trace_waits_for_the_next_reading(void **state)
{
	struct world *w = *state;

	connects_and_is_read(w, 0, MS);
	settle(w, true);
	assert_int_equal(w->started, 0);
	pass(w, JOIN_HELD_NS);
	settle(w, true);
	assert_int_equal(w->started, 1);
	expect(w, 1, 0);
}

/* Records had been lost, /proc was asked, and showed what the process ran only after it had connected. */
static void who_ran_another_program_when_it_connected_is_not_named(void **state)
{
	struct world *w = *state;

	connects_and_is_read(w, 2 * MS, 3 * MS);
	settle(w, true);
	pass(w, MS);
	process_exec(w->processes, w->now_ns, (uint32_t)w->pid[0], "/bin/another");
	wait_out(w);
	assert_int_equal(w->started, 1);
	expect(w, 1, -1);
	assert_int_equal(w->rung[0], OWNER_UID);
}

static void nor_who_may_have_where_that_may_be_lost(void **state)
{
	struct world *w = *state;
	struct perf_event lost = { .kind = PERF_LOST, .lost.count = 1 };

	connects_and_is_read(w, MS, MS);
	lost.time_ns = w->now_ns;
	join_trace(&w->join, &lost);
	wait_out(w);
	assert_int_equal(w->started, 1);
	expect(w, 1, -1);
}

/* A ring that was nearly full: whether something is missing its next record tells. */
static void a_doubt_that_is_settled_costs_no_name(void **state)
{
	struct world *w = *state;
	struct perf_event doubt = { .kind = PERF_DOUBT }, whole = { .kind = PERF_WHOLE };

	connects_and_is_read(w, MS, MS);
	join_trace(&w->join, &doubt);
	wait_for(w, 20);
	assert_int_equal(w->started, 0);
	join_trace(&w->join, &whole);
	wait_for(w, 20);
	assert_int_equal(w->started, 1);
	expect(w, 1, 0);
}

/* What is logged at prerouting and was connected here is a container's, whoever it was. */
static void a_containers_connect_is_written_without_a_name(void **state)
{
	struct world *w = *state;

	settle(w, true);
	connects(w, GONE, 1);
	route(w, GONE, 40000);
	passes(w, NF_INET_PRE_ROUTING, 40000, 1);
	wait_out(w);
	assert_int_equal(w->started, 1);
	assert_int_equal(w->rung[0], OWNER_NONE);
	assert_int_equal(w->ledger.filtered, 0);
}

/* The table knows a process that has this pid since: of the one that connected nothing is known. */
static void who_began_after_the_connect_has_not_made_it(void **state)
{
	struct world *w = *state;
	struct process *p = connects_and_is_read(w, 0, 0);

	p->start_ticks = (w->now_ns / MS + 1000) / 10;
	settle(w, true);
	wait_out(w);
	assert_int_equal(w->started, 1);
	expect(w, 1, -1);
}

/* Two sockets of one thread have their ports before they connect to the same place: the route of the second
 * is looked up before its connect, when the first is the thread's last. */
static void a_lookup_before_the_next_connect_is_not_the_last_ones(void **state)
{
	struct world *w = *state;

	settle(w, true);
	for (uint16_t n = 1; n <= 3; n++) {
		route(w, 0, 40000 + n);
		transition(w, 0, n, TCP_CLOSE, TCP_SYN_SENT, 40000 + n);
	}
	for (uint16_t n = 1; n <= 3; n++)
		packet(w, 40000 + n, n);
	settle(w, true);
	for (uint16_t n = 1; n <= 3; n++)
		transition(w, 0, n, TCP_SYN_SENT, TCP_ESTABLISHED, 40000 + n);
	wait_for(w, 100);
	assert_int_equal(w->started, 3);
	assert_int_equal(w->ended, 0);
	for (uint32_t n = 1; n <= 3; n++)
		expect(w, n, 0);
	assert_int_equal(w->join.trace_only, 0);
}

/* A descriptor that connects again: the event has its last port, the lookup after it the new one. */
static void a_port_that_is_chosen_anew_is_not_the_last_one(void **state)
{
	struct world *w = *state;

	settle(w, true);
	route(w, 0, 40001);
	transition(w, 0, 1, TCP_CLOSE, TCP_SYN_SENT, 40001);
	route(w, 0, 40002);
	packet(w, 40002, 1);
	settle(w, true);
	transition(w, 0, 1, TCP_SYN_SENT, TCP_ESTABLISHED, 40002);
	wait_for(w, 100);
	assert_int_equal(w->started, 1);
	assert_int_equal(w->ended, 0);
	expect(w, 1, 0);
}

/* How often /proc is asked for one process while it connects for so long. */
static uint64_t looks(struct world *w, uint32_t uid, uint64_t *lasted_ns)
{
	struct flow f = { .seen = FLOW_UID, .uid = uid,
			  .process = process_find(w->processes, (uint32_t)w->pid[0], 0) };
	const struct timespec pause = { .tv_nsec = 2 * MS };
	uint64_t begun_ns = monotonic_ns(), before;

	assert_non_null(f.process);
	process_read(w->processes, f.process);
	f.process->read_end_ns = 0;	/* it has been the same for long */
	before = process_stats(w->processes)->reads;
	do {
		w->now_ns = monotonic_ns();
		pass(w, 0);
		ladder_look_at_process(&w->join, &f);
		nanosleep(&pause, NULL);
		*lasted_ns = monotonic_ns() - begun_ns;
	} while (*lasted_ns < 300 * MS);
	return process_stats(w->processes)->reads - before;
}

static void a_process_is_looked_at_now_and_then_and_soon_if_its_user_is_another(void **state)
{
	struct world *w = *state;
	uint64_t lasted_ns, same = looks(w, geteuid(), &lasted_ns);

	assert_in_range(same, 1, lasted_ns / (100 * MS));
	assert_true(looks(w, geteuid() + 1, &lasted_ns) > same);
}

static void tells(struct world *w, enum ct_kind kind, uint32_t id, uint16_t zone, uint64_t bytes)
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

/* One tuple in two zones. The entry of the second is told of first, and conntrack is read before the
 * packets, which come with their entries: both words had gone to the wrong connect. */
static void conntracks_word_goes_to_the_flow_whose_packet_came_with_the_entry(void **state)
{
	struct world *w = *state;

	for (int read_between = 0; read_between < 3; read_between++) {
		w->started = w->ended = 0;
		settle(w, true);
		lives_and_dies(w, 0, 1, 40000);
		if (read_between == 1)
			packet_of_entry(w, 40000, 1, 101, 1);
		lives_and_dies(w, 0, 2, 40000);
		tells(w, CT_NEW, 102, 2, 0);
		tells(w, CT_NEW, 101, 1, 0);
		if (read_between == 2)
			packet_of_entry(w, 40000, 1, 101, 1);
		tells(w, CT_DESTROY, 102, 2, 2000);
		tells(w, CT_DESTROY, 101, 1, 1000);
		if (!read_between)
			packet_of_entry(w, 40000, 1, 101, 1);
		packet_of_entry(w, 40000, 2, 102, 2);
		wait_out(w);
		assert_int_equal(w->started, 2);
		assert_int_equal(w->ended, 2);
		expect(w, 1, 0);
		expect(w, 2, 0);
		assert_int_equal(w->ended_bytes[1], 1000);
		assert_int_equal(w->ended_bytes[2], 2000);
	}
}

/* Of one connection, whose packet has the sequence number 1, all is told, with these bytes. */
static void expect_one(struct world *w, uint64_t bytes)
{
	assert_int_equal(w->started, 1);
	assert_int_equal(w->ended, 1);
	assert_int_equal(w->ended_bytes[1], bytes);
}

/* Its socket's address is another's by now, and what it did in between was lost. */
static void a_connection_whose_answer_was_lost_ends_as_conntrack_says(void **state)
{
	struct world *w = *state;
	struct perf_event lost = { .kind = PERF_LOST, .lost.count = 5 };

	settle(w, true);
	connects(w, 0, 1);
	route(w, 0, 40000);
	packet_of_entry(w, 40000, 1, 7, 0);
	tells(w, CT_NEW, 7, 0, 0);
	wait_for(w, 200);
	lost.time_ns = w->now_ns;
	join_trace(&w->join, &lost);
	connects(w, 1, 1);
	wait_out(w);
	assert_int_equal(w->started, 1);
	assert_int_equal(w->ended, 0);
	tells(w, CT_DESTROY, 7, 0, 300);
	wait_out(w);
	expect(w, 1, 0);
	expect_one(w, 300);
}

/* The trace and the packets had been read before it was made. */
static void what_a_slow_drain_reads_last_is_of_what_the_next_one_sees_begin(void **state)
{
	struct world *w = *state;

	for (int who = 0; who <= GONE; who += GONE) {
		w->started = w->ended = 0;
		settle(w, true);
		w->slow_ns = 500 * MS;
		tells(w, CT_NEW, 7, 0, 0);
		tells(w, CT_DESTROY, 7, 0, 300);
		pass(w, 400 * MS);
		fails(w, who, 1, 40000);
		pass(w, 300 * MS);
		packet(w, 40000, 1);
		wait_out(w);
		expect_one(w, 300);
	}
}

/* The first one was not logged. Half a second later its tuple is used again, and its entry's place. */
static void what_was_read_before_we_slept_is_not_of_the_packet_that_woke_us(void **state)
{
	struct world *w = *state;

	settle(w, true);
	tells(w, CT_NEW, 7, 0, 0);
	settle(w, true);
	pass(w, 500 * MS);
	w->join.slept_ns = 500 * MS;
	connects(w, GONE, 1);
	route(w, GONE, 40000);
	packet_of_entry(w, 40000, 1, 7, 0);
	tells(w, CT_DESTROY, 7, 0, 5000);
	tells(w, CT_NEW, 7, 0, 0);
	wait_for(w, 200);
	assert_int_equal(w->started, 1);
	assert_int_equal(w->ended, 0);
	tells(w, CT_DESTROY, 7, 0, 300);
	wait_out(w);
	expect_one(w, 300);
}

/* The entry of the last connection with this tuple, of which nobody had told, makes room for the one of
 * this connection, which comes to lie in the same place. */
static void the_end_of_an_entry_that_was_not_begun_here_is_nobodys(void **state)
{
	struct world *w = *state;

	for (int with_entry = 0; with_entry < 2; with_entry++) {
		for (int packet_first = 0; packet_first < 2; packet_first++) {
			w->started = w->ended = 0;
			settle(w, true);
			connects(w, 0, 1);
			route(w, 0, 40000);
			if (packet_first)
				packet_of_entry(w, 40000, 1, with_entry ? 7 : 0, 0);
			tells(w, CT_DESTROY, 7, 0, 5000);
			if (!packet_first)
				packet_of_entry(w, 40000, 1, with_entry ? 7 : 0, 0);
			settle(w, true);
			tells(w, CT_NEW, 7, 0, 0);
			transition(w, 0, 1, TCP_SYN_SENT, TCP_ESTABLISHED, 40000);
			settle(w, true);
			assert_int_equal(w->started, 1);
			assert_int_equal(w->ended, 0);
			transition(w, 0, 1, TCP_ESTABLISHED, TCP_CLOSE, 40000);
			tells(w, CT_DESTROY, 7, 0, 300);
			wait_out(w);
			wait_out(w);
			assert_int_equal(w->ended, 1);
			assert_int_equal(w->ended_bytes[1], 300);
		}
	}
}

/* A packet that comes without a connect, and the end of such an entry before it. */
static void such_an_end_is_not_that_of_a_packet_either(void **state)
{
	struct world *w = *state;

	settle(w, true);
	tells(w, CT_DESTROY, 7, 0, 5000);
	packet(w, 40000, 1);
	wait_out(w);
	assert_int_equal(w->started, 1);
	assert_int_equal(w->ended, 0);
}

/* Nobody has told of this one's beginning either (another run has read it), but it has been there for long
 * enough that it would have been told. */
static void the_end_of_an_entry_that_another_run_saw_begin_is_the_flows(void **state)
{
	struct world *w = *state;

	settle(w, true);
	packet(w, 40000, 1);
	wait_out(w);
	pass(w, 1000 * MS);
	settle(w, true);
	tells(w, CT_DESTROY, 7, 0, 300);
	wait_out(w);
	expect_one(w, 300);
}

/* What comes in before routing may be from outside, unless somebody's connect may be its. */
static void what_may_be_somebodys_is_written(void **state)
{
	struct world *w = *state;

	w->join.config.net_ns++;	/* the processes are elsewhere */
	settle(w, true);
	passes(w, NF_INET_PRE_ROUTING, 40001, 1);
	wait_out(w);
	assert_int_equal(w->started, 0);
	assert_int_equal(w->ledger.filtered, 1);
	connects(w, 0, 1);
	passes(w, NF_INET_PRE_ROUTING, 40000, 2);
	wait_out(w);
	assert_int_equal(w->started, 1);
	expect(w, 2, -1);
	assert_int_equal(w->ledger.filtered, 1);
}

/* The dump of a start showed an entry whose socket was there; the tuple was used anew before that was
 * decided. */
static void what_was_open_before_is_not_a_later_connects(void **state)
{
	struct world *w = *state;

	for (int traced = 0; traced < 2; traced++) {
		struct flow *f = flow_new(w->flows);

		w->started = w->ended = 0;
		f->tuple = to_server(40000);
		f->seen = FLOW_RESUMED | FLOW_NEW | FLOW_CT_ID | FLOW_ANSWERED;
		f->ct_id = 7;
		f->start_ns = f->packet_ns = w->now_ns;
		flow_index_tuple(w->flows, f);
		flow_enqueue(w->flows, f, FLOW_QUEUE_RESUMED, w->now_ns + 3000 * MS);
		pass(w, 100 * MS);
		settle(w, true);
		if (traced) {
			connects(w, 0, 1);
			route(w, 0, 40000);
		} else {
			pass(w, 100 * MS);
		}
		packet(w, 40000, 1);
		settle(w, true);
		tells(w, CT_DESTROY, 7, 0, 5000);
		tells(w, CT_NEW, 8, 0, 0);
		for (int i = 0; i < 100; i++) {
			pass(w, 10 * MS);
			settle(w, true);
		}
		assert_int_equal(w->started, 1);
		assert_int_equal(w->ended, 0);
		tells(w, CT_DESTROY, 8, 0, 300);
		wait_out(w);
		assert_int_equal(w->ended, 1);
		assert_int_equal(w->ended_bytes[1], 300);
		wait_out(w);
	}
}

/* Without the trace: conntrack's events are read before the packets, which the kernel holds back. */
static void the_first_word_is_the_first_packets(void **state)
{
	struct world *w = *state;

	settle(w, true);
	tells(w, CT_NEW, 101, 0, 0);
	tells(w, CT_DESTROY, 101, 0, 1000);
	tells(w, CT_NEW, 102, 0, 0);
	packet(w, 40000, 1);
	packet(w, 40000, 2);
	wait_for(w, 600);
	assert_int_equal(w->started, 2);
	assert_int_equal(w->ended, 1);
	assert_int_equal(w->ended_bytes[1], 1000);
	tells(w, CT_DESTROY, 102, 0, 2000);
	wait_out(w);
	assert_int_equal(w->ended, 2);
	assert_int_equal(w->ended_bytes[2], 2000);
}

/* conntrack knows of the answer to a datagram before its packet is read. */
static void a_datagram_keeps_its_answer(void **state)
{
	struct world *w = *state;
	struct ct_entry entry = { .id = 101, .status = IPS_SEEN_REPLY };

	server.protocol = IPPROTO_UDP;
	settle(w, true);
	entry.original = to_server(40000);
	entry.reply = tuple_reverse(&entry.original);
	entry.read_real_ns = w->now_ns;
	entry.kind = CT_NEW;
	join_conntrack(&w->join, &entry);
	entry.kind = CT_DESTROY;
	join_conntrack(&w->join, &entry);
	packet(w, 40000, 1);
	wait_out(w);
	assert_int_equal(w->ended, 1);
	assert_true(w->ended_answered);
}

/* Somebody sends to a closed port, always from the same one. */
static void a_flood_of_one_tuple_makes_no_chain(void **state)
{
	struct world *w = *state;

	settle(w, true);
	for (uint32_t id = 1; id <= 1000; id++) {
		tells(w, CT_NEW, id, 0, 0);
		tells(w, CT_DESTROY, id, 0, id);
	}
	assert_in_range(flow_count(w->flows), 1, 64);
	/* Which of those words are of our packet, if any, nobody can tell. */
	lives_and_dies(w, 0, 1, 40000);
	packet(w, 40000, 1);
	wait_out(w);
	assert_int_equal(w->started, 1);
	expect(w, 1, 0);
	assert_int_equal(w->ended_bytes[1], 0);
	assert_int_equal(w->ledger.ends_uncertain, 1);
	wait_out(w);
	wait_out(w);
	tells(w, CT_NEW, 2000, 0, 0);
	assert_int_equal(flow_count(w->flows), 1);
}

static void error(struct world *w, uint16_t sport, int number)
{
	struct perf_event event = {
		.kind = PERF_SOCKET_ERROR, .time_ns = w->now_ns,
		.error = { .tuple = to_server(sport), .error = number },
	};

	pass(w, 1000);
	join_trace(&w->join, &event);
}

/* One process connects from the same port, over and over. */
static void what_has_ended_is_not_kept_by_the_thousands(void **state)
{
	struct world *w = *state;

	settle(w, true);
	for (uint32_t n = 1; n <= 200; n++) {
		w->started = w->ended = 0;
		connects(w, 0, n);
		route(w, 0, 40000);
		error(w, 40000, EHOSTUNREACH);
		transition(w, 0, n, TCP_SYN_SENT, TCP_CLOSE, 40000);
		packet_of_entry(w, 40000, n, 7, 0);
		settle(w, true);
		assert_int_equal(w->ended, 1);
	}
	assert_in_range(flow_count(w->flows), 1, 64);
}

/* The first attempt from a bound port is over when the second one fails, and has not told its port yet. */
static void an_error_is_not_that_of_an_attempt_which_had_its_own(void **state)
{
	struct world *w = *state;

	settle(w, true);
	for (uint32_t n = 1; n <= 2; n++) {
		route(w, 0, 40000);
		transition(w, 0, n, TCP_CLOSE, TCP_SYN_SENT, 40000);
		error(w, 40000, EHOSTUNREACH);
		transition(w, 0, n, TCP_SYN_SENT, TCP_CLOSE, 40000);
		packet_of_entry(w, 40000, n, 7, 0);
		wait_for(w, 6);
		assert_int_equal(w->ended, n);
		assert_int_equal(w->reason[n - 1], REASON_UNREACHABLE);
	}
}

static void a_word_of_long_ago_is_none(void **state)
{
	struct world *w = *state;
	struct tuple tuple = to_server(40000);

	settle(w, true);
	tells(w, CT_NEW, 101, 0, 0);
	assert_true(join_confirmed_since(&w->join, &tuple, w->now_ns - MS));
	assert_false(join_confirmed_since(&w->join, &tuple, w->now_ns + 100 * MS));
	for (uint64_t days = 1; days < 200; days++)
		assert_false(join_confirmed_since(&w->join, &tuple,
						  w->now_ns + days * 86400000 * MS));
}

static void a_clock_set_back_makes_no_end_before_the_start(void **state)
{
	struct world *w = *state;
	struct ct_entry entry = {
		.kind = CT_DESTROY, .original = to_server(40000), .id = 101,
		.status = IPS_ASSURED | IPS_SEEN_REPLY, .has_timestamps = true, .idle_s = 1,
		.start_real_ns = BEGIN_NS, .stop_real_ns = BEGIN_NS - 3600 * 1000 * MS,
	};
	struct flow *f;

	settle(w, true);
	entry.reply = tuple_reverse(&entry.original);
	packet(w, 40000, 1);
	tells(w, CT_NEW, 101, 0, 0);
	wait_for(w, 600);
	f = flow_by_tuple(w->flows, &entry.original);
	assert_non_null(f);
	join_conntrack(&w->join, &entry);
	assert_true(f->seen & FLOW_DESTROY);
	assert_int_equal(f->end_ns, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(a_packet_finds_its_connect_and_its_retransmission_the_same),
		TEST(what_is_read_first_is_named),
		TEST(what_may_be_older_than_the_trace_is_not_named),
		TEST(of_two_pending_connects_none_is_taken_by_its_order),
		TEST(a_tuple_used_twice_is_told_apart_when_all_is_read),
		TEST(a_tuple_used_twice_stays_unnamed_if_one_packet_is_missing),
		TEST(the_only_connect_is_not_taken_if_an_earlier_one_may_be_lost),
		TEST(a_socket_address_used_again_is_another_socket),
		TEST(a_port_is_not_learnt_from_an_address_used_again_during_a_loss),
		TEST(a_connect_that_was_evicted_counts_as_lost),
		TEST(a_connection_handed_over_has_an_end_and_no_start),
		TEST(every_packet_is_accounted_for),
		TEST(a_filtered_connection_is_counted_once_and_not_told),
		TEST(where_starts_alone_are_wanted_an_answer_is_the_end_of_it),
		TEST(where_starts_alone_are_wanted_nothing_stays_for_ever),
		TEST(only_what_surely_never_left_is_unsent),
		TEST(a_retransmission_of_an_older_connect_is_not_the_next_ones),
		TEST(a_connect_before_the_group_was_bound_has_no_packet),
		TEST(a_forwarded_packet_may_be_of_a_connect_that_nobody_saw),
		TEST(a_filtered_connect_without_a_packet_is_not_told),
		TEST(a_connect_that_was_over_is_not_the_packets),
		TEST(a_connect_whose_packet_is_late_is_written_once),
		TEST(a_connect_from_before_other_rules_is_not_unsent),
		TEST(a_connect_that_tells_its_port_late_is_the_packets_all_the_same),
		TEST(an_end_that_conntrack_reckoned_is_not_the_processs),
		TEST(an_unanswered_one_has_not_the_socket_of_the_next_with_its_tuple),
		TEST(who_waited_on_after_the_last_syn_has_timed_out),
		TEST(one_that_is_left_out_keeps_its_socket_from_an_earlier_packet),
		TEST(who_holds_the_socket_has_not_the_thread_that_connected_it),
		TEST(what_proc_says_later_than_the_trace_waits_for_the_next_reading),
		TEST(who_ran_another_program_when_it_connected_is_not_named),
		TEST(nor_who_may_have_where_that_may_be_lost),
		TEST(a_doubt_that_is_settled_costs_no_name),
		TEST(a_containers_connect_is_written_without_a_name),
		TEST(who_began_after_the_connect_has_not_made_it),
		TEST(a_lookup_before_the_next_connect_is_not_the_last_ones),
		TEST(a_port_that_is_chosen_anew_is_not_the_last_one),
		TEST(the_first_word_is_the_first_packets),
		TEST(a_datagram_keeps_its_answer),
		TEST(a_flood_of_one_tuple_makes_no_chain),
		TEST(what_has_ended_is_not_kept_by_the_thousands),
		TEST(an_error_is_not_that_of_an_attempt_which_had_its_own),
		TEST(a_word_of_long_ago_is_none),
		TEST(a_clock_set_back_makes_no_end_before_the_start),
		TEST(a_process_is_looked_at_now_and_then_and_soon_if_its_user_is_another),
		TEST(a_connection_whose_answer_was_lost_ends_as_conntrack_says),
		TEST(what_a_slow_drain_reads_last_is_of_what_the_next_one_sees_begin),
		TEST(what_was_read_before_we_slept_is_not_of_the_packet_that_woke_us),
		TEST(conntracks_word_goes_to_the_flow_whose_packet_came_with_the_entry),
		TEST(the_end_of_an_entry_that_was_not_begun_here_is_nobodys),
		TEST(such_an_end_is_not_that_of_a_packet_either),
		TEST(the_end_of_an_entry_that_another_run_saw_begin_is_the_flows),
		TEST(what_may_be_somebodys_is_written),
		TEST(what_was_open_before_is_not_a_later_connects),
	};

	return cmocka_run_group_tests_name("join", tests, NULL, NULL);
}
