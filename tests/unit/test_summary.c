// SPDX-License-Identifier: GPL-2.0-or-later
#include "flood.h"

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ends_are_counted_with_their_starts),
		cmocka_unit_test(a_late_end_finds_its_owner_again),
		cmocka_unit_test(a_forgotten_owner_is_still_told_of),
		cmocka_unit_test(a_port_scan_is_one_line),
		cmocka_unit_test(the_most_frequent_come_first_exactly_counted),
		cmocka_unit_test(owners_are_told_apart_by_program_user_and_container),
		cmocka_unit_test(without_a_process_there_are_owners_too),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
