// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What became of a connection, by made-up evidence: whose the words of conntrack are, and which of
 * them count.
 */
#include "evidence.h"

#include <errno.h>
#include <linux/netfilter/nf_conntrack_tcp.h>
#include <unistd.h>

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

/* Dropped behind our hook, so that conntrack never confirms it, or translated before; or of what nobody
 * would tell. */
static void what_passes_and_is_never_heard_of_again_does_not_stay(void **state)
{
	struct world *w = *state;
	struct ct ct = { .stands = false };

	for (int silent = 0; silent < 2; silent++) {
		w->join.config.ct = silent ? NULL : &ct;
		w->ledger.ends_evicted = 0;
		settle(w, true);
		forwarded(w, 40000, 1);
		passes(w, NF_INET_LOCAL_IN, 40001, 2);
		for (int second = 0; second < 140; second++) {
			pass(w, 1000 * MS);
			settle(w, true);
			if (second == 120)
				assert_int_equal(flow_count(w->flows), 2);
		}
		assert_int_equal(flow_count(w->flows), 0);
		assert_int_equal(w->ended, 0);
		assert_int_equal(w->ledger.ends_evicted, 2);
	}
}

/* Where more retransmissions are asked for than by default (tcp_syn_retries, TCP_SYNCNT): the
 * seventh is sent two minutes after the sixth. */
static void where_starts_alone_are_wanted_none_is_told_twice(void **state)
{
	struct world *w = *state;
	int fd = connect_unanswered();
	uint16_t port = ntohs(server.sport);

	w->join.config.starts_only = true;
	settle(w, true);
	connects(w, 0, 1);
	route(w, 0, port);
	packet(w, port, 1);
	settle(w, true);
	for (int second = 0; second < 247; second++) {
		pass(w, 1000 * MS);
		settle(w, true);
	}
	packet(w, port, 1);
	wait_out(w);
	assert_int_equal(w->started, 1);
	assert_int_equal(w->ledger.retransmits, 1);
	close(fd);
	for (int looks = 0; looks < 3; looks++)
		look_again(w);
	assert_int_equal(flow_count(w->flows), 0);
	assert_int_equal(w->ended, 0);
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

/* One tuple in two zones. The entry of the second is told of first, and conntrack is read before
 * the packets, which come with their entries: both words had gone to the wrong connect. */
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

/* The entry of the first packet, which was dropped after it was logged, went with it. */
static void the_entry_of_a_packet_sent_again_is_the_flows(void **state)
{
	struct world *w = *state;

	for (int packets_first = 0; packets_first < 2; packets_first++) {
		w->started = w->ended = 0;
		settle(w, true);
		packet_of_entry(w, 40000, 1, 101, 0);
		wait_out(w);
		if (packets_first)
			packet_of_entry(w, 40000, 1, 102, 0);
		tells(w, CT_NEW, 102, 0, 0);
		tells(w, CT_DESTROY, 102, 0, 1000);
		if (!packets_first)
			packet_of_entry(w, 40000, 1, 102, 0);
		wait_out(w);
		expect_one(w, 1000);
		assert_int_equal(w->reason[0], REASON_CLOSED);
		wait_out(w);
	}
	assert_int_equal(w->ledger.retransmits, 2);
	assert_int_equal(w->ledger.ends_uncertain, 0);
}

/* One that conntrack has confirmed stays, and so does one in another zone: there the same packet
 * may have come by twice. */
static void no_other_entry_is(void **state)
{
	struct world *w = *state;

	for (uint16_t zone = 0; zone < 2; zone++) {
		w->started = w->ended = 0;
		settle(w, true);
		packet_of_entry(w, 40000, 1, 101, 0);
		if (!zone)
			tells(w, CT_NEW, 101, 0, 0);
		packet_of_entry(w, 40000, 1, 102, zone);
		if (zone)
			tells(w, CT_NEW, 101, 0, 0);
		tells(w, CT_NEW, 102, zone, 0);
		tells(w, CT_DESTROY, 102, zone, 2000);
		wait_for(w, 500);
		assert_int_equal(w->ended, 0);
		tells(w, CT_DESTROY, 101, 0, 1000);
		wait_out(w);
		expect_one(w, 1000);
		wait_out(w);
	}
}

/* Two at once bring an entry each, of which the kernel confirms one, for both. */
static void of_two_datagrams_either_ones_entry_is_the_flows(void **state)
{
	struct world *w = *state;

	server.protocol = IPPROTO_UDP;
	for (uint32_t id = 101; id <= 102; id++) {
		w->started = w->ended = 0;
		settle(w, true);
		packet_of_entry(w, 40000, 1, 101, 0);
		packet_of_entry(w, 40000, 1, 102, 0);
		tells(w, CT_NEW, id, 0, 0);
		wait_for(w, 500);
		tells(w, CT_DESTROY, id, 0, 1000);
		wait_out(w);
		expect_one(w, 1000);
		wait_out(w);
	}
}

/* A container's, with the entry that it came with, where the kernel gives it. */
static void forwarded_in_entry(struct world *w, uint32_t seq, uint32_t id, bool unconfirmed)
{
	struct nflog_packet p = {
		.packet = { .tuple = to_server(40000), .tcp_seq = seq,
			    .tcp_flags = PACKET_TCP_SYN, .ports_known = true },
		.prefix = "", .hook = NF_INET_FORWARD,
		.has_ct = id, .ct_id = id, .ct_unconfirmed = unconfirmed,
	};

	join_packet(&w->join, &p);
}

/* Two attempts from one port; conntrack remembers the first, unanswered, when the second is
 * made. */
static void what_becomes_of_an_entry_became_of_its_last_use(void **state)
{
	struct world *w = *state;
	struct tuple tuple = to_server(40000);
	uint64_t second;

	for (uint32_t id = 0; id <= 101; id += 101) {
		w->started = w->ended = 0;
		settle(w, true);
		forwarded_in_entry(w, 1, id, true);
		tells(w, CT_NEW, 101, 0, 0);
		wait_for(w, 3000);
		forwarded_in_entry(w, 2, id, false);
		wait_for(w, 1500);
		assert_int_equal(w->started, 2);
		assert_int_equal(w->ended, 0);
		second = flow_by_tuple(w->flows, &tuple)->number;
		tells(w, CT_DESTROY, 101, 0, 2000);
		wait_out(w);
		assert_int_equal(w->ended, 2);
		assert_int_equal(w->reason[0], REASON_NONE);
		assert_int_equal(w->reason[1], REASON_CLOSED);
		assert_int_equal(w->ended_number, second);
		assert_true(w->ended_answered);
		assert_int_equal(w->ended_bytes[1] + w->ended_bytes[2], 0);
		assert_int_equal(flow_count(w->flows), 0);
	}
	assert_int_equal(w->ledger.ends_uncertain, 0);
}

static void only_the_first_has_ended(const struct world *w)
{
	assert_int_equal(w->ended, 1);
	assert_int_equal(w->ended_bytes[1], 1000);
}

static void the_second_ends_with_entry(struct world *w, uint32_t id)
{
	tells(w, CT_DESTROY, id, 0, 2000);
	wait_out(w);
	assert_int_equal(w->ended, 2);
	assert_int_equal(w->ended_bytes[2], 2000);
}

/* Its packet came with the entry, and the next, which had one of its own, did not. */
static void an_end_is_not_that_of_a_later_entrys_use(void **state)
{
	struct world *w = *state;

	settle(w, true);
	forwarded_in_entry(w, 1, 101, true);
	tells(w, CT_NEW, 101, 0, 0);
	wait_for(w, 3000);
	forwarded_in_entry(w, 2, 101, true);	/* that comes to lie in the same place */
	tells(w, CT_DESTROY, 101, 0, 1000);
	tells(w, CT_NEW, 101, 0, 0);
	wait_out(w);
	only_the_first_has_ended(w);
	the_second_ends_with_entry(w, 101);
}

/* A RST in answer to the second, at once; or to the first, if that was sent a moment before. */
static void a_refusal_of_two_uses_is_not_taken_for_either_ones(void **state)
{
	struct world *w = *state;
	struct ct_entry entry = {
		.kind = CT_DESTROY, .original = to_server(40000), .id = 101, .has_counters = true,
		.packets = { 2, 1 }, .bytes = { 120, 40 }, .has_tcp_state = true,
		.tcp_state = TCP_CONNTRACK_CLOSE,
	};

	entry.reply = tuple_reverse(&entry.original);
	for (int ms = 3000; ms > 0; ms -= 2990) {
		w->started = w->ended = 0;
		settle(w, true);
		forwarded_in_entry(w, 1, 101, true);
		tells(w, CT_NEW, 101, 0, 0);
		wait_for(w, ms);
		forwarded_in_entry(w, 2, 101, false);
		wait_for(w, 10);
		join_conntrack(&w->join, &entry);
		wait_out(w);
		assert_int_equal(w->ended, 2);
		for (unsigned int i = 0; i < w->ended; i++)
			assert_int_equal(w->reason[i], REASON_NONE);
		assert_int_equal(w->ended_bytes[1] + w->ended_bytes[2], 0);
	}
}

/* The second lies where the first did, whose end was lost. */
static void two_entries_of_one_id_are_two(void **state)
{
	struct world *w = *state;
	struct ct_entry entry = {
		.kind = CT_DESTROY, .original = to_server(40000), .id = 101, .has_counters = true,
		.packets = { 2, 1 }, .bytes = { 1000, 40 }, .has_timestamps = true,
		.status = IPS_ASSURED | IPS_SEEN_REPLY,
	};

	entry.reply = tuple_reverse(&entry.original);
	settle(w, true);
	for (uint32_t seq = 1; seq <= 2; seq++) {
		entry.start_real_ns = w->now_ns;
		forwarded_in_entry(w, seq, 101, true);
		tells(w, CT_NEW, 101, 0, 0);
		wait_for(w, 3000);
		if (seq == 1)
			join_conntrack_lost(&w->join, w->now_ns);
	}
	entry.stop_real_ns = w->now_ns;
	join_conntrack(&w->join, &entry);
	wait_out(w);
	assert_int_equal(w->started, 2);
	assert_int_equal(w->ended_bytes[2], 1000);
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

/* The first one was not logged. Half a second later its tuple is used again, and its entry's
 * place. */
static void what_was_read_before_we_slept_is_not_of_the_packet_that_woke_us(void **state)
{
	struct world *w = *state;

	settle(w, true);
	tells(w, CT_NEW, 7, 0, 0);
	settle(w, true);
	pass(w, 500 * MS);
	w->join.woken_ns = w->now_ns;
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

/* The entry of the last connection with this tuple, of which nobody had told, makes room for the
 * one of this connection, which comes to lie in the same place. */
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

/* Nobody has told of this one's beginning either (another run has read it), but it has been there
 * for long enough that it would have been told. */
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

/* The dump of a start showed an entry whose socket was there; the tuple was used anew before that
 * was decided. */
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

/* Without the trace: conntrack's events are read before the packets, which the kernel holds
 * back. */
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
	only_the_first_has_ended(w);
	the_second_ends_with_entry(w, 102);
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

/* The same with SYNs that are forwarded, each with another number. */
static void nor_does_one_of_packets(void **state)
{
	struct world *w = *state;

	settle(w, true);
	for (uint32_t seq = 1; seq <= 1000; seq++) {
		w->started = w->ended = 0;
		forwarded(w, 40000, seq);
		settle(w, true);
		assert_int_equal(w->started, 1);
		assert_int_equal(w->seq[0], seq);
		assert_int_equal(w->ended, seq > 32);
		assert_in_range(flow_count(w->flows), 1, 66);
	}
	look_again(w);
	assert_int_equal(flow_count(w->flows), 32);
	assert_int_equal(w->ledger.started, 1000);
	assert_int_equal(w->ledger.ended, 968);
	assert_int_equal(w->ledger.ends_uncertain, 968);
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

/* The first attempt from a bound port is over when the second one fails, and has not told its port
 * yet. */
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

/* Twenty seconds, at whose end the clock is set; conntrack forgets it a second later. */
static uint64_t lasts_while_the_clock_is_set(struct world *w, uint16_t sport, uint64_t by_ns)
{
	struct ct_entry entry = {
		.kind = CT_NEW, .original = to_server(sport), .id = sport,
		.status = IPS_ASSURED | IPS_SEEN_REPLY, .has_timestamps = true, .idle_s = 1,
	};
	struct flow *f;

	entry.reply = tuple_reverse(&entry.original);
	entry.start_real_ns = w->now_ns;
	packet(w, sport, sport);
	join_conntrack(&w->join, &entry);
	wait_for(w, 600);
	pass(w, 20400 * MS);
	f = flow_by_tuple(w->flows, &entry.original);
	assert_non_null(f);
	entry.kind = CT_DESTROY;
	entry.stop_real_ns = w->now_ns + by_ns;
	join_clock(&w->join, w->now_ns, w->now_ns + by_ns);
	join_conntrack(&w->join, &entry);
	join_clock(&w->join, w->now_ns, w->now_ns);
	assert_true(f->seen & FLOW_DESTROY);
	return f->end_ns - f->start_ns;
}

static void a_clock_that_is_set_does_not_go_into_the_duration(void **state)
{
	struct world *w = *state;

	settle(w, true);
	assert_in_range(lasts_while_the_clock_is_set(w, 40000, 60000 * MS), 19900 * MS,
			20100 * MS);
	assert_in_range(lasts_while_the_clock_is_set(w, 40001, 0 - 60000 * MS), 19900 * MS,
			20100 * MS);
	assert_in_range(lasts_while_the_clock_is_set(w, 40002, 0), 19900 * MS, 20100 * MS);
}

/* The log message names an entry that others' rules have made; nobody here listens to conntrack. */
static void what_conntrack_is_not_asked_about_ends_without_it(void **state)
{
	struct world *w = *state;

	settle(w, true);
	packet_sent_again(w, 40000, 1, 7);
	wait_for(w, 6000);
	assert_int_equal(w->started, 1);
	assert_int_equal(w->ended, 1);
	pass(w, 200000 * MS);
	settle(w, true);
}

/* The run before listened, and had its word. */
static void nor_what_an_earlier_run_asked_about(void **state)
{
	struct world *w = *state;
	struct flow before = {
		.number = 77, .seen = FLOW_STARTED | FLOW_PACKET | FLOW_NEW | FLOW_CT_ID | FLOW_CLOSED,
		.tcp_seq = 7, .ct_id = 5, .tuple = to_server(40000), .owner = OWNER_UID,
		.hook = NF_INET_LOCAL_OUT,
		.start_ns = 1000, .start_real_ns = 1000, .packet_ns = 2000,
	};

	settle(w, true);
	resume_take_over(&w->join, &before, "nfwho");
	wait_out(w);
	pass(w, 200000 * MS);
	settle(w, true);
	assert_int_equal(w->ended, 1);
}

/* A ring lost its close, or it was told on a CPU that is silent while idle, and nobody else
 * tells. */
static void an_end_that_nobody_tells_of_is_looked_for(void **state)
{
	struct world *w = *state;

	settle(w, true);
	connects(w, 0, 1);
	route(w, 0, 40000);
	packet(w, 40000, 1);
	transition(w, 0, 1, TCP_SYN_SENT, TCP_ESTABLISHED, 40000);
	wait_out(w);
	assert_int_equal(w->started, 1);
	for (int looks = 0; looks < 2; looks++) {
		assert_int_equal(w->ended, 0);
		pass(w, RESUME_WATCH_NS + MS);
		settle(w, true);
	}
	assert_int_equal(w->ended, 1);
	assert_int_equal(w->reason[0], REASON_NONE);
}

/* An entry of the real socket's connection. */
static void entry_is(struct world *w, enum ct_kind kind, uint32_t id, uint8_t tcp_state,
		     uint64_t replies)
{
	struct ct_entry entry = {
		.kind = kind, .original = to_server(ntohs(server.sport)), .id = id,
		.status = tcp_state == TCP_CONNTRACK_TIME_WAIT ? IPS_ASSURED | IPS_SEEN_REPLY : 0,
		.tcp_state = tcp_state, .has_tcp_state = true, .has_counters = true,
		.packets = { 1, replies }, .bytes = { 60, 60 * replies },
	};

	entry.reply = tuple_reverse(&entry.original);
	pass(w, 1000);
	join_conntrack(&w->join, &entry);
}

/* conntrack's table was full, or its timeout is shorter than the time to the next SYN. */
static void an_entry_that_goes_while_its_socket_connects_is_not_the_end(void **state)
{
	struct world *w = *state;
	int fd = connect_unanswered();
	uint16_t port = ntohs(server.sport);

	settle(w, true);
	connects(w, 0, 1);
	route(w, 0, port);
	packet_of_entry(w, port, 1, 7, 0);
	entry_is(w, CT_NEW, 7, TCP_CONNTRACK_SYN_SENT, 0);
	wait_for(w, 20);
	entry_is(w, CT_DESTROY, 7, TCP_CONNTRACK_SYN_SENT, 0);
	wait_out(w);
	assert_int_equal(w->started, 1);
	assert_int_equal(w->ended, 0);
	packet_of_entry(w, port, 1, 8, 0);
	entry_is(w, CT_NEW, 8, TCP_CONNTRACK_SYN_SENT, 0);
	transition(w, 0, 1, TCP_SYN_SENT, TCP_ESTABLISHED, port);
	entry_is(w, CT_DESTROY, 8, TCP_CONNTRACK_TIME_WAIT, 1);
	wait_out(w);
	assert_int_equal(w->started, 1);
	assert_int_equal(w->ledger.retransmits, 1);
	assert_int_equal(w->ended, 1);
	assert_true(w->ended_answered);
	assert_int_equal(w->reason[0], REASON_CLOSED);
	assert_int_equal(w->ended_bytes[1], 120);
	close(fd);
}

/* Nobody has told of the socket's end, or it is about to come. */
static void so_it_is_after_a_reset_or_without_a_socket(void **state)
{
	struct world *w = *state;

	for (int reset = 0; reset < 2; reset++) {
		int fd = connect_unanswered();
		uint16_t port = ntohs(server.sport);

		w->started = w->ended = 0;
		settle(w, true);
		connects(w, 0, 1);
		route(w, 0, port);
		packet_of_entry(w, port, 1, 7, 0);
		entry_is(w, CT_NEW, 7, TCP_CONNTRACK_SYN_SENT, 0);
		wait_for(w, 20);
		if (!reset)
			close(fd);
		entry_is(w, CT_DESTROY, 7, reset ? TCP_CONNTRACK_CLOSE : TCP_CONNTRACK_SYN_SENT,
			 (uint64_t)reset);
		wait_out(w);
		assert_int_equal(w->started, 1);
		assert_int_equal(w->ended, 1);
		assert_int_equal(w->reason[0], reset ? REASON_REFUSED : REASON_TIMED_OUT);
		if (reset)
			close(fd);
	}
}

/* It is there; there are no more descriptors to ask with. */
static void what_cannot_be_asked_for_is_not_over(void **state)
{
	struct world *w = *state;
	struct owner_config no_proc = { .mode = OWNER_LOOKUP_PROC, .proc_fd = -1,
					.processes = w->processes };
	int fd = connect_unanswered();

	settle(w, true);
	packet(w, ntohs(server.sport), 1);
	wait_out(w);
	assert_int_equal(w->started, 1);
	owner_free(w->owner);
	assert_int_equal(owner_new(&w->owner, &no_proc), 0);
	w->join.config.owner = w->owner;
	for (int i = 0; i < 3; i++)
		look_again(w);
	assert_int_equal(w->ended, 0);
	close(fd);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(a_connection_handed_over_has_an_end_and_no_start),
		TEST(where_starts_alone_are_wanted_an_answer_is_the_end_of_it),
		TEST(where_starts_alone_are_wanted_nothing_stays_for_ever),
		TEST(what_passes_and_is_never_heard_of_again_does_not_stay),
		TEST(where_starts_alone_are_wanted_none_is_told_twice),
		TEST(an_end_that_conntrack_reckoned_is_not_the_processs),
		TEST(an_unanswered_one_has_not_the_socket_of_the_next_with_its_tuple),
		TEST(who_waited_on_after_the_last_syn_has_timed_out),
		TEST(conntracks_word_goes_to_the_flow_whose_packet_came_with_the_entry),
		TEST(the_entry_of_a_packet_sent_again_is_the_flows),
		TEST(no_other_entry_is),
		TEST(of_two_datagrams_either_ones_entry_is_the_flows),
		TEST(what_becomes_of_an_entry_became_of_its_last_use),
		TEST(an_end_is_not_that_of_a_later_entrys_use),
		TEST(a_refusal_of_two_uses_is_not_taken_for_either_ones),
		TEST(two_entries_of_one_id_are_two),
		TEST(a_connection_whose_answer_was_lost_ends_as_conntrack_says),
		TEST(what_a_slow_drain_reads_last_is_of_what_the_next_one_sees_begin),
		TEST(what_was_read_before_we_slept_is_not_of_the_packet_that_woke_us),
		TEST(the_end_of_an_entry_that_was_not_begun_here_is_nobodys),
		TEST(such_an_end_is_not_that_of_a_packet_either),
		TEST(the_end_of_an_entry_that_another_run_saw_begin_is_the_flows),
		TEST(what_was_open_before_is_not_a_later_connects),
		TEST(the_first_word_is_the_first_packets),
		TEST(a_datagram_keeps_its_answer),
		TEST(a_flood_of_one_tuple_makes_no_chain),
		TEST(nor_does_one_of_packets),
		TEST(what_has_ended_is_not_kept_by_the_thousands),
		TEST(an_error_is_not_that_of_an_attempt_which_had_its_own),
		TEST(a_word_of_long_ago_is_none),
		TEST(a_clock_set_back_makes_no_end_before_the_start),
		TEST(a_clock_that_is_set_does_not_go_into_the_duration),
		TEST(what_conntrack_is_not_asked_about_ends_without_it),
		TEST(nor_what_an_earlier_run_asked_about),
		TEST(an_end_that_nobody_tells_of_is_looked_for),
		TEST(an_entry_that_goes_while_its_socket_connects_is_not_the_end),
		TEST(so_it_is_after_a_reset_or_without_a_socket),
		TEST(what_cannot_be_asked_for_is_not_over),
	};

	return cmocka_run_group_tests_name("join_end", tests, NULL, NULL);
}
