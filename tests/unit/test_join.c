// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Which connect a packet belongs to, told by made-up evidence: what the kernel sends in an order or
 * with a delay that no test can bring about.
 */
#include "evidence.h"

#include <linux/netfilter/nf_conntrack_tcp.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

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

/* An earlier run's group has packets that were sent before the trace, by whoever had the tuple
 * then. */
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

static void two_connect_to_one_place(struct world *w)
{
	settle(w, true);
	connects(w, 0, 1);
	connects(w, 1, 2);
	packet(w, 40001, 1);
	packet(w, 40000, 2);
}

/* Two connects to one address, neither port known: nobody is named before a transition tells. */
static void of_two_pending_connects_none_is_taken_by_its_order(void **state)
{
	struct world *w = *state;

	two_connect_to_one_place(w);
	settle(w, true);
	assert_int_equal(w->started, 0);
	transition(w, 1, 2, TCP_SYN_SENT, TCP_ESTABLISHED, 40001);
	transition(w, 0, 1, TCP_SYN_SENT, TCP_ESTABLISHED, 40000);
	settle(w, true);
	assert_int_equal(w->started, 2);
	expect(w, 1, 1);
	expect(w, 2, 0);
}

/* They were answered, and have ended, between the last reading of the trace and the last look for
 * their sockets. */
static void what_has_gone_since_the_trace_was_read_waits_for_its_word(void **state)
{
	struct world *w = *state;

	two_connect_to_one_place(w);
	wait_for(w, 520);
	assert_int_equal(w->started, 0);
	transition(w, 1, 2, TCP_SYN_SENT, TCP_ESTABLISHED, 40001);
	settle(w, true);
	wait_for(w, 100);
	assert_int_equal(w->started, 2);
	expect(w, 1, 1);
	expect(w, 2, -1);
}

/* Of two, one has told its port since the other packet was looked up; and the run ends. */
static void what_is_told_while_it_is_looked_up_is_named_at_the_end(void **state)
{
	struct owner_query answer = { .rung = OWNER_UID };
	struct world *w = *state;
	int fd = connect_unanswered();
	struct flow *f;

	settle(w, true);
	join_connecting_listed(&w->join);
	connects(w, 0, 1);
	packet(w, ntohs(server.sport), 1);
	pass(w, 600 * MS);
	f = flow_first(w->flows, FLOW_QUEUE_FRESH);
	f->packet_ns = w->now_ns - 600 * MS;
	ladder_answer(&w->join, f, &answer);
	join_finish(&w->join, false);
	assert_int_equal(w->started, 1);
	assert_int_equal(w->rung[0], OWNER_TRACE);
	close(fd);
}

/* Three packets of one tuple, two connects: the first packet, given up, leaves as many of the one as
 * of the other, just when the second is answered. */
static void an_answer_that_tells_of_another_ends(void **state)
{
	struct world *w = *state;

	settle(w, true);
	for (int who = 0; who < 2; who++)
		lives_and_dies(w, who, 1, 40000);
	for (uint32_t seq = 1; seq <= 3; seq++)
		packet(w, 40000, seq);
	pass(w, 600 * MS);
	for (struct flow *f = flow_first(w->flows, FLOW_QUEUE_FRESH); f;
	     f = flow_following(w->flows, f)) {
		f->packet_ns = w->now_ns - 600 * MS;
		f->awaited = f->tcp_seq == 1 ? 3 : 0;
	}
	settle(w, true);
	assert_int_equal(w->started, 1);
	settle(w, true);
	assert_int_equal(w->started, 3);
	expect(w, 1, -1);
	expect(w, 2, 0);
	expect(w, 3, 1);
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

/* Two children, both gone before anybody could ask for their network namespace, which is their
 * parent's. */
static void are_told_apart_though_they_have_ended(struct world *w, bool programs)
{
	be32 here = htonl(INADDR_LOOPBACK), there = htonl(0xcb007102);
	pid_t sibling = w->pid[1];

	tuple_set_addresses(&server, AF_INET, &here, &there);
	settle(w, true);
	process_read(w->processes, process_find(w->processes, (uint32_t)w->pid[0], 0));
	w->pid[1] = w->pid[GONE] + 1;
	for (int who = 1; who <= GONE; who++) {
		process_fork(w->processes, w->now_ns, (uint32_t)w->pid[who], (uint32_t)w->pid[who],
			     (uint32_t)w->pid[0], (uint32_t)w->pid[0]);
		if (programs)
			process_exec(w->processes, ++w->now_ns, (uint32_t)w->pid[who], "/bin/x");
		lives_and_dies(w, who, (unsigned int)who, 40000);
	}
	pass(w, 200 * MS);
	packet(w, 40000, 1);
	packet(w, 40000, 2);
	wait_out(w);
	assert_int_equal(w->started, 2);
	expect(w, 1, 1);
	expect(w, 2, GONE);
	w->pid[1] = sibling;
}

static void so_it_is_if_both_have_ended(void **state)
{
	are_told_apart_though_they_have_ended(*state, false);
}

static void and_if_they_were_programs(void **state)
{
	are_told_apart_though_they_have_ended(*state, true);
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

/* What the ring lost may have been the connect of this packet: the later one is not taken for
 * it. */
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

/* Its packet may be the SYN, sent again, of a socket that connected before the trace, unless those
 * were listed. */
static void the_only_connect_is_not_taken_where_older_ones_are_not_known(void **state)
{
	struct world *w = *state;

	for (int listed = 0; listed < 2; listed++) {
		int fd = connect_unanswered();

		w->started = 0;
		settle(w, true);
		if (listed)
			join_connecting_listed(&w->join);
		connects(w, 0, 1);
		packet(w, ntohs(server.sport), 1);
		wait_out(w);
		assert_int_equal(w->started, 1);
		assert_int_equal(w->rung[0] == OWNER_TRACE, listed);
		close(fd);
	}
}

/* The parent has connected the socket, and closed it since; the child that holds it has connected
 * another one to the same place. */
static void who_holds_a_socket_since_its_fork_has_not_connected_it(void **state)
{
	struct world *w = *state;
	pid_t sibling = w->pid[1];

	for (int told = 0; told < 2; told++) {
		int fd = connect_unanswered();

		w->started = 0;
		w->pid[1] = stand_by();
		close(fd);
		settle(w, true);
		connects(w, 0, 1);
		if (told)
			process_fork(w->processes, w->now_ns, (uint32_t)w->pid[1],
				     (uint32_t)w->pid[1], (uint32_t)w->pid[0], (uint32_t)w->pid[0]);
		connects(w, 1, 2);
		packet(w, ntohs(server.sport), 1);
		wait_out(w);
		assert_int_equal(w->started, 1);
		assert_int_equal(w->rung[0] == OWNER_TRACE, !told);
		kill(w->pid[1], SIGKILL);
		waitpid(w->pid[1], NULL, 0);
	}
	w->pid[1] = sibling;
}

static pid_t stand_by_with(int descriptors)
{
	const struct rlimit enough = { 5000, 5000 };
	struct rlimit before;
	int fds[4200];
	pid_t pid;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	if (before.rlim_cur < enough.rlim_cur)
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &enough), 0);
	for (int i = 0; i < descriptors; i++)
		assert_true((fds[i] = dup(STDERR_FILENO)) >= 0);
	pid = stand_by();
	for (int i = 0; i < descriptors; i++)
		close(fds[i]);
	return pid;
}

/* Nobody knows whether one with more descriptors than are looked at holds the socket, too. */
static void of_two_candidates_none_is_named_if_one_could_not_be_asked(void **state)
{
	struct world *w = *state;
	pid_t siblings[2] = { w->pid[0], w->pid[1] };

	for (int crowded = 0; crowded < 2; crowded++) {
		pid_t pid = stand_by_with(crowded ? 4200 : 300);
		int fd = connect_unanswered();

		w->started = 0;
		w->pid[0] = pid;
		w->pid[1] = stand_by();
		close(fd);
		settle(w, true);
		connects(w, 0, 1);
		connects(w, 1, 2);
		packet(w, ntohs(server.sport), 1);
		wait_out(w);
		assert_int_equal(w->started, 1);
		assert_int_equal(w->rung[0] == OWNER_TRACE, !crowded);
		for (int i = 0; i < 2; i++) {
			kill(w->pid[i], SIGKILL);
			waitpid(w->pid[i], NULL, 0);
		}
	}
	memcpy(w->pid, siblings, sizeof(siblings));
}

/* What the dump of a start had shown to be connecting has given up, and connects again from the
 * same port. */
static void the_next_attempt_is_not_that_of_before_the_start(void **state)
{
	struct world *w = *state;

	for (uint32_t sent_again = 0; sent_again < 2; sent_again++) {
		struct flow *f = flow_new(w->flows);
		uint16_t sport = (uint16_t)(40000 + sent_again);

		w->started = 0;
		f->tuple = to_server(sport);
		f->seen = FLOW_RESUMED | FLOW_STARTED | FLOW_NEW | FLOW_CT_ID;
		f->ct_id = 7;
		f->hook = NF_INET_LOCAL_OUT;
		f->start_ns = f->packet_ns = w->now_ns;
		flow_index_tuple(w->flows, f);
		flow_enqueue(w->flows, f, FLOW_QUEUE_UNANSWERED, w->now_ns + JOIN_RECHECK_NS);
		settle(w, true);
		if (sent_again)
			packet_sent_again(w, sport, 5, 7);
		assert_int_equal(w->ledger.retransmits, sent_again);
		connects(w, 0, 1);
		route(w, 0, sport);
		packet_of_entry(w, sport, 6, 7, 0);
		wait_for(w, 500);
		transition(w, 0, 1, TCP_SYN_SENT, TCP_CLOSE, sport);
		wait_out(w);
		wait_out(w);
		assert_int_equal(w->started, 1);
		assert_int_equal(w->seq[0], 6);
		assert_int_equal(w->ledger.unsent, 0);
		assert_int_equal(w->ledger.retransmits, sent_again);
	}
}

/* A real socket is connecting as the run begins: it is listed, and stands in the dump. */
static int connects_before(struct world *w, struct ct *ct)
{
	int fd = connect_unanswered();
	struct tuple tuple = to_server(ntohs(server.sport));

	*ct = (struct ct) {
		.entry = { .kind = CT_DUMPED, .id = 7, .original = tuple,
			   .reply = tuple_reverse(&tuple) },
		.stands = true,
	};
	w->started = 0;
	w->join.config.ct = ct;
	w->join.config.loopback = true;
	settle(w, true);
	join_connecting(&w->join, &tuple);
	join_connecting_listed(&w->join);
	resume_begin(&w->join);
	settle(w, true);
	assert_int_equal(flow_queue_count(w->flows, FLOW_QUEUE_RESUMED), 1);
	return fd;
}

/* Another process connects to the same place, from a port that is not known yet. */
static void what_was_connecting_before_and_is_left_out_sends_nobody_elses_packets(void **state)
{
	struct world *w = *state;
	struct ct ct;
	int fd = connects_before(w, &ct);

	w->filter = true;
	wait_out(w);
	w->filter = false;
	connects(w, 1, 1);
	packet_sent_again(w, ntohs(server.sport), 1, 7);
	wait_out(w);
	assert_int_equal(w->started, 0);
	assert_int_equal(w->ledger.retransmits, 1);
	close(fd);
	look_again(w);
	join_finish(&w->join, false);
	assert_int_equal(w->ended + w->open, 0);
	assert_int_equal(w->ledger.resumed + w->ledger.ends_evicted, 0);
}

/* It is gone when the dump has been read: the socket goes on connecting. */
static void nor_does_one_whose_entry_is_gone(void **state)
{
	struct world *w = *state;
	struct ct ct;
	int fd = connects_before(w, &ct);

	ct.stands = false;
	wait_out(w);
	connects(w, 1, 1);
	packet(w, ntohs(server.sport), 1);
	wait_out(w);
	assert_int_equal(w->started, 1);
	assert_int_equal(w->owner_pid[0], getpid());
	assert_int_equal(w->rung[0], OWNER_SOCKET);
	close(fd);
}

/* The entry is dropped before it is decided whose the connection is, or after, and the next SYN has
 * one of its own. */
static void nor_does_one_whose_entry_was_dropped(void **state)
{
	struct world *w = *state;

	for (int decided = 0; decided < 2; decided++) {
		struct ct ct;
		int fd = connects_before(w, &ct);
		uint16_t port = ntohs(server.sport);
		struct ct_entry last = ct.entry;

		if (decided)
			wait_out(w);
		last.kind = CT_DESTROY;
		last.tcp_state = TCP_CONNTRACK_SYN_SENT;
		last.has_tcp_state = true;
		ct.stands = false;
		join_conntrack(&w->join, &last);
		wait_out(w);
		connects(w, 1, (unsigned int)decided);
		packet_of_entry(w, port, 1, 8, 0);
		wait_out(w);
		assert_int_equal(w->started, !decided);
		assert_int_equal(w->ledger.retransmits, decided);
		assert_int_equal(w->ended, 0);
		if (!decided)
			assert_int_equal(w->rung[0], OWNER_SOCKET);
		close(fd);
	}
}

/* Its packet is read before conntrack's word that its last entry is gone. */
static void nor_does_one_whose_entry_is_not_known_to_be_another(void **state)
{
	struct world *w = *state;
	struct ct ct;
	int fd = connects_before(w, &ct);

	wait_out(w);
	connects(w, 1, 1);
	packet_of_entry(w, ntohs(server.sport), 1, 8, 0);
	wait_out(w);
	assert_int_equal(w->started, 1);
	assert_int_equal(w->rung[0], OWNER_SOCKET);
	assert_int_equal(w->owner_pid[0], getpid());
	close(fd);
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

/* What the ring lost was the end of the first socket and the connect of the next one at its
 * address, which goes to the same server and is another process's. */
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

/* A socket that connected before the trace, and sent again, had the tuple that another connects
 * with now. */
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

/* One that another network namespace's socket sends again, whose connect was before the trace, fits
 * the only pending connect there; this one's port tells in the end whose it was. */
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

/* Two sockets of one thread have their ports before they connect to the same place: the route of
 * the second is looked up before its connect, when the first is the thread's last. */
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

/* A descriptor that connects again: the event has its last port, the lookup after it the new
 * one. */
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

/* What a lookup finds for the packet from port 40000. */
static void is_held_by(struct world *w, struct process *p)
{
	struct owner_query answer = {
		.rung = OWNER_SOCKET, .process = p, .socket_found = true, .inode = 1,
		.holder_count = 1, .cgroup_id = 1,
	};
	struct tuple t = to_server(40000);
	struct flow *f = flow_by_tuple(w->flows, &t);

	f->packet_ns = w->now_ns;
	f->seen |= FLOW_GID;
	ladder_answer(&w->join, f, &answer);
	wait_out(w);
}

static struct process *begins(struct world *w)
{
	uint32_t pid = (uint32_t)w->pid[GONE], parent = (uint32_t)w->pid[0];

	process_fork(w->processes, w->now_ns, pid, pid, parent, parent);
	return process_get(w->processes, pid);
}

/* A process that begins 300 ms after all packets were read, and 50 ms ago. */
static struct process *began_meanwhile(struct world *w)
{
	struct process *p;

	server.protocol = IPPROTO_UDP;
	settle(w, true);
	pass(w, 300 * MS);
	p = begins(w);
	pass(w, 50 * MS);
	return p;
}

static void has_its_user_alone(struct world *w)
{
	assert_int_equal(w->started, 1);
	assert_int_equal(w->rung[0], OWNER_UID);
	assert_int_equal(w->owner_pid[0], 0);
}

static void a_datagram_is_not_sent_by_who_began_after_it(void **state)
{
	struct world *w = *state;

	server.protocol = IPPROTO_UDP;
	settle(w, true);
	packet(w, 40000, 1);
	pass(w, 50 * MS);
	is_held_by(w, begins(w));
	has_its_user_alone(w);
}

/* When it was sent nobody knows, but for that which has woken us. */
static void nor_by_who_began_while_it_stood_in_the_queue(void **state)
{
	struct world *w = *state;
	struct process *p = began_meanwhile(w);

	packet(w, 40000, 1);
	is_held_by(w, p);
	has_its_user_alone(w);
}

static void but_by_who_was_there_before(void **state)
{
	struct world *w = *state;

	server.protocol = IPPROTO_UDP;
	settle(w, true);
	pass(w, 350 * MS);
	packet(w, 40000, 1);
	is_held_by(w, process_find(w->processes, (uint32_t)w->pid[0], 0));
	assert_int_equal(w->rung[0], OWNER_SOCKET);
	assert_int_equal(w->owner_pid[0], w->pid[0]);
}

/* A service's first search had no time. */
static void who_was_there_is_searched_for_again(void **state)
{
	struct owner_query answer = { .rung = OWNER_CGROUP, .cgroup_id = 1, .unfinished = true };
	struct tuple t = to_server(40000);
	struct world *w = *state;
	struct flow *f;

	t.protocol = server.protocol = IPPROTO_UDP;
	settle(w, true);
	pass(w, 350 * MS);
	packet(w, 40000, 1);
	f = flow_by_tuple(w->flows, &t);
	f->packet_ns = w->now_ns;
	ladder_answer(&w->join, f, &answer);
	assert_int_equal(w->started, 0);
	is_held_by(w, process_find(w->processes, (uint32_t)w->pid[0], 0));
	assert_int_equal(w->started, 1);
	assert_int_equal(w->owner_pid[0], w->pid[0]);
}

static void a_datagram_that_wakes_us_was_sent_just_now(void **state)
{
	struct world *w = *state;
	struct process *p = began_meanwhile(w);

	w->join.woken_ns = w->now_ns;
	packet(w, 40000, 1);
	is_held_by(w, p);
	assert_int_equal(w->rung[0], OWNER_SOCKET);
	assert_int_equal(w->owner_pid[0], w->pid[GONE]);
}

/* A process begins 300 ms, or 200 ms, before we wake; then we are busy for 300 ms. */
static void so_it_was_if_we_are_busy_then(void **state)
{
	struct world *w = *state;
	struct process *p;

	server.protocol = IPPROTO_UDP;
	settle(w, true);
	for (int late = 0; late < 2; late++) {
		w->pid[GONE]++;
		pass(w, 1000 * MS);
		p = begins(w);
		pass(w, late ? 200 * MS : 300 * MS);
		w->join.woken_ns = w->now_ns;
		pass(w, 300 * MS);
		w->started = 0;
		packet(w, 40000, 1);
		is_held_by(w, p);
		assert_int_equal(w->started, 1);
		assert_int_equal(w->rung[0], late ? OWNER_UID : OWNER_SOCKET);
		tells(w, CT_DESTROY, 0, 0, 0);
		wait_out(w);
	}
}

/* The group was an earlier run's: until its last reading nothing is known of when it was sent. */
static void so_it_is_with_what_was_queued_while_nobody_ran(void **state)
{
	struct world *w = *state;
	uint64_t read_ns = w->now_ns;
	struct process *p;

	server.protocol = IPPROTO_UDP;
	w->join.config.bound_ns = 0;
	pass(w, 1000 * MS);
	p = begins(w);
	for (int later = 0; later < 2; later++) {
		w->join.config.read_before_ns = read_ns + (later ? 2000 * MS : 0);
		pass(w, 2000 * MS);
		w->join.packets_read_ns = 0;
		w->started = 0;
		packet(w, 40000, 1);
		is_held_by(w, p);
		assert_int_equal(w->started, 1);
		assert_int_equal(w->rung[0], later ? OWNER_SOCKET : OWNER_UID);
		tells(w, CT_DESTROY, 0, 0, 0);
		wait_out(w);
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(a_packet_finds_its_connect_and_its_retransmission_the_same),
		TEST(what_is_read_first_is_named),
		TEST(what_may_be_older_than_the_trace_is_not_named),
		TEST(of_two_pending_connects_none_is_taken_by_its_order),
		TEST(what_has_gone_since_the_trace_was_read_waits_for_its_word),
		TEST(what_is_told_while_it_is_looked_up_is_named_at_the_end),
		TEST(an_answer_that_tells_of_another_ends),
		TEST(a_tuple_used_twice_is_told_apart_when_all_is_read),
		TEST(so_it_is_if_both_have_ended),
		TEST(and_if_they_were_programs),
		TEST(a_tuple_used_twice_stays_unnamed_if_one_packet_is_missing),
		TEST(the_only_connect_is_not_taken_if_an_earlier_one_may_be_lost),
		TEST(the_only_connect_is_not_taken_where_older_ones_are_not_known),
		TEST(who_holds_a_socket_since_its_fork_has_not_connected_it),
		TEST(of_two_candidates_none_is_named_if_one_could_not_be_asked),
		TEST(a_datagram_is_not_sent_by_who_began_after_it),
		TEST(nor_by_who_began_while_it_stood_in_the_queue),
		TEST(but_by_who_was_there_before),
		TEST(who_was_there_is_searched_for_again),
		TEST(a_datagram_that_wakes_us_was_sent_just_now),
		TEST(so_it_was_if_we_are_busy_then),
		TEST(so_it_is_with_what_was_queued_while_nobody_ran),
		TEST(the_next_attempt_is_not_that_of_before_the_start),
		TEST(what_was_connecting_before_and_is_left_out_sends_nobody_elses_packets),
		TEST(nor_does_one_whose_entry_is_gone),
		TEST(nor_does_one_whose_entry_was_dropped),
		TEST(nor_does_one_whose_entry_is_not_known_to_be_another),
		TEST(a_socket_address_used_again_is_another_socket),
		TEST(a_port_is_not_learnt_from_an_address_used_again_during_a_loss),
		TEST(a_connect_that_was_evicted_counts_as_lost),
		TEST(every_packet_is_accounted_for),
		TEST(a_filtered_connection_is_counted_once_and_not_told),
		TEST(only_what_surely_never_left_is_unsent),
		TEST(a_retransmission_of_an_older_connect_is_not_the_next_ones),
		TEST(a_forwarded_packet_may_be_of_a_connect_that_nobody_saw),
		TEST(a_connect_before_the_group_was_bound_has_no_packet),
		TEST(a_filtered_connect_without_a_packet_is_not_told),
		TEST(a_connect_that_was_over_is_not_the_packets),
		TEST(a_connect_whose_packet_is_late_is_written_once),
		TEST(a_connect_from_before_other_rules_is_not_unsent),
		TEST(a_lookup_before_the_next_connect_is_not_the_last_ones),
		TEST(a_port_that_is_chosen_anew_is_not_the_last_one),
		TEST(what_may_be_somebodys_is_written),
	};

	return cmocka_run_group_tests_name("join", tests, NULL, NULL);
}
