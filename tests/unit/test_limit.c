// SPDX-License-Identifier: GPL-2.0-or-later
#include "limit.h"
#include "refstr.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SECOND_NS 1000000000ull
#define MS 1000000ull
#define REAL_NS (1767323045 * SECOND_NS)

struct world {
	struct limit *limit;
	uint64_t now_ns;
	uint64_t written, held;		/* as limit_start() said */
	/* What the summaries said. */
	unsigned int told;
	uint64_t count, ended, bytes[2], reasons[REASON_ABORTED + 1];
	struct record_suppressed last;	/* its strings are gone */
	char executable[64];
	unsigned int others;
};

static void open_world(struct world *w, uint32_t rate, uint32_t burst, uint32_t rate_total)
{
	struct limit_config config = { rate, burst, rate_total, 10 * SECOND_NS };

	*w = (struct world) { .now_ns = 1000 * SECOND_NS };
	assert_int_equal(limit_new(&w->limit, &config, w->now_ns), 0);
}

static void take_summary(struct record_suppressed *s, void *data)
{
	struct world *w = data;

	w->told++;
	w->others += s->others;
	w->count += s->count;
	w->ended += s->ended;
	for (unsigned int i = 0; i < 2; i++)
		w->bytes[i] += s->bytes[i];
	for (unsigned int i = 0; i <= REASON_ABORTED; i++)
		w->reasons[i] += s->reasons[i];
	w->last = *s;
	snprintf(w->executable, sizeof(w->executable), "%s", s->executable);
}

static void tell(struct world *w)
{
	limit_tell(w->limit, REAL_NS + w->now_ns, take_summary, w);
	assert_true(limit_due_ns(w->limit) == UINT64_MAX);
}

static struct process *program(const char *executable, uint32_t pid)
{
	struct process *p = calloc(1, sizeof(*p));

	assert_non_null(p);
	p->refs = 1;
	p->pid = pid;
	p->known = PROCESS_EXECUTABLE | PROCESS_IDS;
	p->executable = refstr_new(executable, strlen(executable));
	return p;
}

/* From process p (NULL: user `uid` alone) to 10.x.x.x. */
static struct flow flow(struct world *w, struct process *p, uint32_t uid, uint32_t address,
			uint16_t port)
{
	struct flow f = {
		.seen = FLOW_PACKET | FLOW_UID, .uid = uid, .process = p,
		.owner = p ? OWNER_TRACE : OWNER_UID, .start_real_ns = REAL_NS + w->now_ns,
		.tuple = { .family = AF_INET, .protocol = IPPROTO_TCP, .dport = htons(port) },
	};

	f.tuple.dst.ip4 = htonl(0x0a000000 + address);
	return f;
}

static bool start(struct world *w, struct flow *f)
{
	bool written = limit_start(w->limit, f, w->now_ns);

	if (written)
		w->written++;
	else
		w->held++;
	return written;
}

static bool attempt(struct world *w, struct process *p, uint32_t uid, uint32_t address,
		    uint16_t port)
{
	struct flow f = flow(w, p, uid, address, port);

	return start(w, &f);
}

static void end(struct world *w, struct flow *f, enum flow_reason reason)
{
	f->reason = (uint8_t)reason;
	f->seen |= FLOW_COUNTERS;
	f->bytes[0] = 100;
	f->bytes[1] = 1000;
	limit_end(w->limit, f, w->now_ns);
}

static void a_burst_then_the_rate(void **state)
{
	struct world w;

	(void)state;
	open_world(&w, 100, 1000, 0);
	attempt(&w, NULL, 0, 1, 80);	/* new, and known from then on */
	for (unsigned int i = 0; i < 5000; i++)
		attempt(&w, NULL, 0, 1, 80);
	assert_int_equal(w.written, 1 + 1000);
	for (unsigned int i = 0; i < 10000; i++) {
		w.now_ns += MS;
		attempt(&w, NULL, 0, 1, 80);
	}
	assert_int_equal(w.written, 1 + 1000 + 1000);
	tell(&w);
	assert_int_equal(w.told, 1);
	assert_int_equal(w.count, w.held);
	limit_free(w.limit);
}

static void zero_is_no_limit(void **state)
{
	struct world w;

	(void)state;
	open_world(&w, 0, 1000, 0);
	for (unsigned int i = 0; i < 100000; i++)
		assert_true(attempt(&w, NULL, 0, i, 80));
	assert_true(limit_due_ns(w.limit) == UINT64_MAX);
	limit_free(w.limit);
	open_world(&w, 0, 1000, 50);
	for (unsigned int i = 0; i < 100000; i++)
		attempt(&w, NULL, 0, i, 80);
	assert_int_equal(w.written, 50);
	limit_free(w.limit);
}

static void a_beacon_is_not_lost_in_its_programs_flood(void **state)
{
	struct process *p = program("/usr/bin/app", 7);
	struct world w;

	(void)state;
	open_world(&w, 100, 1000, 5000);
	for (unsigned int i = 0; i < 100000; i++) {
		w.now_ns += SECOND_NS / 30000;
		attempt(&w, p, 0, i % 20, 80);
		if (i == 50000)
			assert_true(attempt(&w, p, 0, 4711, 443));
	}
	assert_in_range(w.written, 1000, 1500);
	tell(&w);
	assert_int_equal(w.count, w.held);
	assert_int_equal(w.written + w.count, 100001);
	assert_int_equal(w.last.destinations, 20);
	assert_int_equal(w.last.ports, 1);
	limit_free(w.limit);
	process_unref(p);
}

/* Known are those that the log has, so a scan does not make a program forget its own server. */
static void a_scan_does_not_hide_the_known(void **state)
{
	struct world w;

	(void)state;
	open_world(&w, 100, 100, 5000);
	assert_true(attempt(&w, NULL, 0, 5, 80));
	for (unsigned int i = 100; i < 100000; i++)
		attempt(&w, NULL, 0, i, 80);
	assert_true(attempt(&w, NULL, 0, 5, 80));
	limit_free(w.limit);
}

static void a_quiet_owner_is_not_touched_by_a_hundred_loud_ones(void **state)
{
	uint64_t loud[100] = { 0 }, least = UINT64_MAX;
	struct world w;

	(void)state;
	open_world(&w, 100, 1000, 1000);
	for (unsigned int ms = 0; ms < 10000; ms++) {
		w.now_ns += MS;
		for (unsigned int i = 0; i < 100; i++)
			loud[i] += attempt(&w, NULL, 1000 + i, 1, 80);
		/* Two each second: below its share. */
		if (ms % 500 == 250)
			assert_true(attempt(&w, NULL, 1, ms, 443));
	}
	assert_in_range(w.written, 10000, 11001);
	for (unsigned int i = 0; i < 100; i++)
		least = loud[i] < least ? loud[i] : least;
	/* 1,000 a second for ten seconds among a hundred is 100 for each. */
	assert_true(least >= 80);
	tell(&w);
	assert_int_equal(w.count, w.held);
	limit_free(w.limit);
}

static void what_the_quiet_leave_goes_to_the_loud(void **state)
{
	uint64_t loud = 0;
	struct world w;

	(void)state;
	open_world(&w, 0, 1, 1000);
	for (unsigned int ms = 0; ms < 10000; ms++) {
		w.now_ns += MS;
		for (unsigned int i = 0; i < 5; i++)
			loud += attempt(&w, NULL, 1, 1, 80);
		if (ms % 10 == 0)
			assert_true(attempt(&w, NULL, 2, 1, 80));
	}
	/* 9,000 are left, and half a second's worth was there. */
	assert_in_range(loud, 8900, 9600);
	limit_free(w.limit);
}

static void a_million_owners_take_bounded_memory_and_are_all_counted(void **state)
{
	struct world w;

	(void)state;
	open_world(&w, 1, 1, 5000);
	for (unsigned int i = 0; i < 1000000; i++) {
		w.now_ns += 10000;
		attempt(&w, NULL, i, 1, 80);
		attempt(&w, NULL, i, 1, 80);
		if (w.now_ns >= limit_due_ns(w.limit))
			tell(&w);
	}
	tell(&w);
	assert_int_equal(w.written + w.held, 2000000);
	assert_int_equal(w.count, w.held);
	assert_true(w.others >= 1);
	assert_true(w.told <= 2 * (LIMIT_SUMMARIES_MAX + 1));
	limit_free(w.limit);
}

/* Those that were there before the others came keep what is theirs. */
static void a_crowd_of_newcomers_does_not_displace_an_owner(void **state)
{
	struct world w;

	(void)state;
	open_world(&w, 10, 10, 1000);
	for (unsigned int i = 0; i < 200000; i++) {
		w.now_ns += MS / 10;
		attempt(&w, NULL, 10 + i, 1, 80);
		if (i % 10000 == 0)
			assert_true(attempt(&w, NULL, 1, 1, 80));
	}
	limit_free(w.limit);
}

static void silence_makes_room(void **state)
{
	struct world w;

	(void)state;
	open_world(&w, 1, 1, 0);
	for (unsigned int i = 0; i < LIMIT_PARTIES_MAX; i++)
		assert_true(attempt(&w, NULL, i, 1, 80));
	assert_true(attempt(&w, NULL, 1000000, 1, 80));		/* the first of the others */
	assert_false(attempt(&w, NULL, 1000001, 2, 80));
	w.now_ns += LIMIT_IDLE_NS;
	for (unsigned int i = 0; i < LIMIT_PARTIES_MAX; i++)
		assert_true(attempt(&w, NULL, 2000000 + i, 1, 80));
	tell(&w);
	assert_int_equal(w.told, 1);
	assert_int_equal(w.others, 1);
	assert_int_equal(w.count, 1);
	limit_free(w.limit);
}

static void ends_are_counted_with_their_starts(void **state)
{
	struct process *p = program("/usr/bin/app", 7);
	struct flow first, second;
	struct world w;

	(void)state;
	open_world(&w, 1, 1, 0);
	attempt(&w, p, 0, 1, 80);
	attempt(&w, p, 0, 1, 80);
	first = flow(&w, p, 0, 1, 80);
	second = flow(&w, p, 0, 1, 80);
	assert_false(start(&w, &first));
	assert_false(start(&w, &second));
	end(&w, &first, REASON_REFUSED);
	tell(&w);
	assert_int_equal(w.count, 2);
	assert_int_equal(w.ended, 1);
	assert_int_equal(w.last.failures, 1);

	/* More is known of it by now; the end is still its start's owner's. */
	w.now_ns += SECOND_NS;
	refstr_clear(&p->executable);
	p->executable = refstr_new("/usr/bin/other", 14);
	end(&w, &second, REASON_CLOSED);
	assert_true(limit_due_ns(w.limit) == w.now_ns + 10 * SECOND_NS);
	tell(&w);
	assert_string_equal(w.executable, "/usr/bin/app");
	assert_int_equal(w.last.count, 0);
	assert_int_equal(w.last.ended, 1);
	assert_int_equal(w.last.successes, 1);
	assert_int_equal(w.ended, 2);
	assert_int_equal(w.bytes[0], 200);
	assert_int_equal(w.bytes[1], 2000);
	limit_free(w.limit);
	process_unref(p);
}

/* Its slot has become another's in the meantime. */
static void a_late_end_finds_its_owner_again(void **state)
{
	struct world w;
	struct flow f;

	(void)state;
	open_world(&w, 1, 1, 0);
	attempt(&w, NULL, 1, 1, 80);
	attempt(&w, NULL, 1, 1, 80);
	f = flow(&w, NULL, 1, 1, 80);
	assert_false(start(&w, &f));
	tell(&w);
	w.now_ns += LIMIT_IDLE_NS;
	for (unsigned int i = 0; i < LIMIT_PARTIES_MAX; i++)
		attempt(&w, NULL, 100 + i, 1, 80);
	w.now_ns += LIMIT_IDLE_NS;
	end(&w, &f, REASON_EXPIRED);
	tell(&w);
	assert_int_equal(w.last.ended, 1);
	assert_int_equal(w.last.uid, 1);
	assert_false(w.last.others);
	limit_free(w.limit);
}

static void a_forgotten_owner_is_still_told_of(void **state)
{
	struct world w;

	(void)state;
	open_world(&w, 1, 1, 0);
	for (unsigned int i = 0; i < 3; i++)
		attempt(&w, NULL, 1, 1, 80);
	w.now_ns += LIMIT_IDLE_NS;
	for (unsigned int i = 0; i < LIMIT_PARTIES_MAX; i++)
		attempt(&w, NULL, 100 + i, 1, 80);
	tell(&w);
	assert_int_equal(w.told, 1);
	assert_int_equal(w.last.uid, 1);
	assert_int_equal(w.count, 1);
	limit_free(w.limit);
}

static void a_port_scan_is_one_line(void **state)
{
	struct process *p = program("/usr/bin/nmap", 812);
	struct world w;

	(void)state;
	open_world(&w, 100, 100, 5000);
	for (unsigned int port = 1; port <= 10000; port++)
		attempt(&w, p, 0, 1, (uint16_t)port);
	tell(&w);
	assert_int_equal(w.told, 1);
	assert_int_equal(w.count, 10000 - w.written);
	assert_int_equal(w.last.destinations, 1);
	assert_int_equal(w.last.ports, w.count);
	assert_ptr_equal(w.last.process, p);
	assert_int_equal(w.last.top_count, RECORD_TOP_MAX);
	limit_free(w.limit);
	process_unref(p);
}

static void the_most_frequent_come_first_exactly_counted(void **state)
{
	struct world w;

	(void)state;
	open_world(&w, 1, 1, 0);
	attempt(&w, NULL, 0, 1, 80);
	for (unsigned int i = 0; i < 200; i++) {
		/* Destination n is tried n times. */
		for (unsigned int n = i; n < 200; n++)
			if (attempt(&w, NULL, 0, n + 1, 80))
				n--;	/* once more */
	}
	tell(&w);
	assert_int_equal(w.last.destinations, 200);
	assert_int_equal(w.last.top_count, RECORD_TOP_MAX);
	for (unsigned int i = 0; i < RECORD_TOP_MAX; i++) {
		assert_int_equal(w.last.top[i].count, 200 - i);
		assert_int_equal(ntohl(w.last.top[i].ip.ip4), 0x0a000000 + 200 - i);
	}
	limit_free(w.limit);
}

static void owners_are_told_apart_by_program_user_and_container(void **state)
{
	struct process *a = program("/usr/bin/a", 1), *again = program("/usr/bin/a", 2);
	struct process *b = program("/usr/bin/b", 3), *boxed = program("/usr/bin/a", 4);
	struct process *const all[] = { a, b, boxed };
	struct world w;

	(void)state;
	boxed->known |= PROCESS_CGROUP;
	boxed->container_id = refstr_new("0123", 4);
	open_world(&w, 1, 1, 0);
	for (unsigned int i = 0; i < 3; i++)
		assert_true(attempt(&w, all[i], 0, 1, 80));
	assert_true(attempt(&w, a, 1, 1, 80));		/* another user */
	assert_true(attempt(&w, again, 0, 1, 80));	/* the known lane's one */
	assert_false(attempt(&w, a, 0, 1, 80));
	assert_false(attempt(&w, again, 0, 1, 80));
	tell(&w);
	assert_int_equal(w.told, 1);
	assert_null(w.last.process);			/* two of them */
	assert_string_equal(w.executable, "/usr/bin/a");
	assert_int_equal(w.last.owner, OWNER_TRACE);
	limit_free(w.limit);
	for (unsigned int i = 0; i < 3; i++)
		process_unref(all[i]);
	process_unref(again);
}

static void without_a_process_there_are_owners_too(void **state)
{
	static const enum owner_rung rungs[] = { OWNER_UID, OWNER_CGROUP, OWNER_KERNEL, OWNER_NONE };
	struct world w;

	(void)state;
	open_world(&w, 1, 1, 0);
	for (unsigned int round = 0; round < 3; round++) {
		for (unsigned int i = 0; i < 4; i++) {
			struct flow f = flow(&w, NULL, 5, 1, 80);

			f.owner = rungs[i];
			f.cgroup_id = rungs[i] == OWNER_CGROUP ? 77 : 0;
			if (rungs[i] == OWNER_KERNEL || rungs[i] == OWNER_NONE)
				f.seen &= ~(uint32_t)FLOW_UID;
			assert_int_equal(start(&w, &f), round < 2);
		}
	}
	tell(&w);
	assert_int_equal(w.told, 4);
	assert_int_equal(w.count, 4);
	limit_free(w.limit);
}

/* Any mix of owners, addresses and time: nothing is lost or counted twice. */
static void sums_are_exact(void **state)
{
	struct flow open[256];
	unsigned int held = 0;
	uint64_t ended = 0;
	struct world w;

	(void)state;
	srandom(1);
	open_world(&w, 20, 50, 300);
	for (unsigned int i = 0; i < 300000; i++) {
		struct flow f = flow(&w, NULL, (uint32_t)random() % 700,
				     (uint32_t)random() % 3000, (uint16_t)(random() % 100 + 1));

		w.now_ns += (uint64_t)random() % (200 * 1000);
		if (!start(&w, &f) && held < 256)
			open[held++] = f;
		else if (held && random() % 2) {
			end(&w, &open[--held], (enum flow_reason)(random() % (REASON_ABORTED + 1)));
			ended++;
		}
		if (w.now_ns >= limit_due_ns(w.limit))
			tell(&w);
	}
	tell(&w);
	assert_int_equal(w.written + w.count, 300000);
	assert_int_equal(w.ended, ended);
	assert_int_equal(w.bytes[1], ended * 1000);
	limit_free(w.limit);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_burst_then_the_rate),
		cmocka_unit_test(zero_is_no_limit),
		cmocka_unit_test(a_beacon_is_not_lost_in_its_programs_flood),
		cmocka_unit_test(a_scan_does_not_hide_the_known),
		cmocka_unit_test(a_quiet_owner_is_not_touched_by_a_hundred_loud_ones),
		cmocka_unit_test(what_the_quiet_leave_goes_to_the_loud),
		cmocka_unit_test(a_million_owners_take_bounded_memory_and_are_all_counted),
		cmocka_unit_test(a_crowd_of_newcomers_does_not_displace_an_owner),
		cmocka_unit_test(silence_makes_room),
		cmocka_unit_test(ends_are_counted_with_their_starts),
		cmocka_unit_test(a_late_end_finds_its_owner_again),
		cmocka_unit_test(a_forgotten_owner_is_still_told_of),
		cmocka_unit_test(a_port_scan_is_one_line),
		cmocka_unit_test(the_most_frequent_come_first_exactly_counted),
		cmocka_unit_test(owners_are_told_apart_by_program_user_and_container),
		cmocka_unit_test(without_a_process_there_are_owners_too),
		cmocka_unit_test(sums_are_exact),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
