// SPDX-License-Identifier: GPL-2.0-or-later
/* The table and the life records, on made-up pids above what the kernel gives. */
#include "process.h"
#include "process_image.h"
#include "process_table.h"
#include "refstr.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define MS 1000000ull
#define S (1000 * MS)
#define A 5000001u
#define B 5000002u
#define C 5000003u

struct fixture {
	struct process_table *table;
	int proc_fd;
	uint64_t now;
};

static int set_up_sized(void **state, uint32_t max_processes)
{
	static struct fixture f;
	struct process_config config = {
		.max_processes = max_processes, .linger_ns = 10 * S, .command_line_max_bytes = 4096,
	};

	f.proc_fd = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	f.now = process_now();
	config.proc_fd = f.proc_fd;
	*state = &f;
	return process_table_new(&f.table, &config);
}

static int set_up(void **state)
{
	return set_up_sized(state, 64);
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	process_table_free(f->table);
	close(f->proc_fd);
	return 0;
}

/* A known program in pid A. */
static struct process *begin(struct fixture *f)
{
	process_fork(f->table, f->now, A, A, 1, 1);
	process_comm(f->table, f->now + 1, A, A, "tool");
	process_exec(f->table, f->now + 2, A, "/usr/bin/tool");
	return process_get(f->table, A);
}

static void an_exec_begins_a_new_image_and_leaves_the_old_to_its_holder(void **state)
{
	struct fixture *f = *state;
	struct process *old = process_ref(begin(f)), *new;

	process_comm(f->table, f->now + 5, A, A, "other");
	process_exec(f->table, f->now + 6, A, "./other");
	new = process_get(f->table, A);
	assert_ptr_not_equal(old, new);
	assert_string_equal(old->comm, "tool");
	assert_string_equal(old->executed, "/usr/bin/tool");
	assert_string_equal(new->comm, "other");
	assert_string_equal(new->executed, "./other");
	assert_int_equal(new->start_ticks, old->start_ticks);
	assert_int_equal(new->ppid, 1);
	assert_false(new->forked);
	process_unref(old);
}

static void a_forked_child_shows_its_parents_program(void **state)
{
	struct fixture *f = *state;
	struct process *parent = begin(f), *child;

	process_fork(f->table, f->now + 10, B, B, A, A);
	child = process_get(f->table, B);
	assert_true(child->forked);
	assert_string_equal(child->executed, "/usr/bin/tool");
	assert_ptr_equal(child->executed, parent->executed);
	assert_string_equal(child->comm, "tool");
	assert_int_equal(child->ppid, A);
	assert_ptr_equal(child->parent, parent);
	assert_false(child->known & PROCESS_READ);
}

static void the_parent_is_the_image_that_forked(void **state)
{
	struct fixture *f = *state;
	struct process *child;

	begin(f);
	process_fork(f->table, f->now + 10, B, B, A, A);
	process_comm(f->table, f->now + 11, A, A, "later");
	process_exec(f->table, f->now + 12, A, "/usr/bin/later");
	process_exit(f->table, f->now + 13, A, A);
	child = process_get(f->table, B);
	assert_string_equal(child->parent->executed, "/usr/bin/tool");
	assert_string_equal(child->parent->comm, "tool");
}

static void a_record_seen_twice_changes_nothing(void **state)
{
	struct fixture *f = *state;
	struct process *p = begin(f);

	process_fork(f->table, f->now + 10, B, B, A, A);
	process_fork(f->table, f->now + 10, B, B, A, A);
	assert_int_equal(process_stats(f->table)->live, 2);
	assert_ptr_equal(process_get(f->table, A), p);
	process_exit(f->table, f->now + 11, B, B);
	process_exit(f->table, f->now + 11, B, B);
	assert_int_equal(process_stats(f->table)->live, 1);
	assert_int_equal(process_stats(f->table)->remembered, 1);
}

static void a_reused_pid_is_another_process(void **state)
{
	struct fixture *f = *state;
	struct process *old = process_ref(begin(f)), *new;

	process_exit(f->table, f->now + S, A, A);
	process_fork(f->table, f->now + 2 * S, A, A, 1, 1);
	new = process_get(f->table, A);
	assert_ptr_not_equal(old, new);
	assert_true(new->start_ticks > old->start_ticks);
	assert_false(new->known & PROCESS_EXECUTED);
	assert_int_equal(old->exit_ns, f->now + S);
	process_unref(old);
}

static void a_pid_reused_after_lost_records_is_another_process(void **state)
{
	struct fixture *f = *state;
	struct process *p = begin(f);

	assert_string_equal(p->comm, "tool");
	process_fork(f->table, f->now + 2 * S, A, A, 1, 1);
	p = process_get(f->table, A);
	assert_false(p->known & PROCESS_EXECUTED);
	assert_true(p->forked);
	process_exit(f->table, f->now + 3 * S, A, A);
	process_exec(f->table, f->now + 4 * S, A, "/bin/third");
	p = process_get(f->table, A);
	assert_int_equal(p->exit_ns, 0);
	assert_false(p->known & (PROCESS_START | PROCESS_PARENT));
}

static void a_process_ends_with_its_last_thread(void **state)
{
	struct fixture *f = *state;
	struct process *p = begin(f);

	process_fork(f->table, f->now + 10, A, B, A, A);
	process_fork(f->table, f->now + 11, A, C, A, B);
	process_exit(f->table, f->now + 12, A, A);
	assert_int_equal(p->exit_ns, 0);
	process_exit(f->table, f->now + 13, A, B);
	assert_int_equal(p->exit_ns, 0);
	process_exit(f->table, f->now + 14, A, C);
	assert_int_equal(p->exit_ns, f->now + 14);
}

static void exec_from_a_thread_goes_on_as_the_first(void **state)
{
	struct fixture *f = *state;
	struct process *p;

	begin(f);
	process_fork(f->table, f->now + 10, A, B, A, A);
	process_fork(f->table, f->now + 10, A, C, A, A);
	process_exit(f->table, f->now + 11, A, C);
	process_exit(f->table, f->now + 12, A, A);
	process_comm(f->table, f->now + 13, A, A, "new");
	process_exec(f->table, f->now + 14, A, "/bin/new");
	p = process_get(f->table, A);
	assert_int_equal(p->exit_ns, 0);
	assert_string_equal(p->executed, "/bin/new");
	process_exit(f->table, f->now + 15, A, A);
	assert_int_equal(p->exit_ns, f->now + 15);
}

static void threads_have_names_of_their_own(void **state)
{
	struct fixture *f = *state;

	begin(f);
	process_fork(f->table, f->now + 10, A, B, A, A);
	assert_string_equal(process_thread_name(f->table, A, A), "tool");
	assert_string_equal(process_thread_name(f->table, A, B), "tool");
	process_comm(f->table, f->now + 11, A, B, "worker");
	process_fork(f->table, f->now + 12, A, C, A, B);
	assert_string_equal(process_thread_name(f->table, A, B), "worker");
	assert_string_equal(process_thread_name(f->table, A, C), "worker");
	assert_string_equal(process_thread_name(f->table, A, A), "tool");
	process_exit(f->table, f->now + 13, A, B);
	assert_string_equal(process_thread_name(f->table, A, B), "worker");
	process_expire(f->table, f->now + 30 * S);
	assert_string_equal(process_thread_name(f->table, A, B), "");
	process_fork(f->table, f->now + 31 * S, B, B, A, C);
	assert_string_equal(process_get(f->table, B)->comm, "worker");
}

static void threads_without_room_are_still_counted(void **state)
{
	struct fixture *f = *state;
	struct process *p = begin(f);
	const uint32_t many = 64 * 4 + 50;

	for (uint32_t i = 1; i <= many; i++)
		process_fork(f->table, f->now + 10, A, A + i, A, A);
	process_exit(f->table, f->now + 11, A, A);
	for (uint32_t i = 1; i < many; i++)
		process_exit(f->table, f->now + 12, A, A + i);
	assert_int_equal(p->exit_ns, 0);
	process_exit(f->table, f->now + 13, A, A + many);
	assert_int_equal(p->exit_ns, f->now + 13);
}

static void a_child_of_a_kernel_thread_is_one_until_it_runs_a_program(void **state)
{
	struct fixture *f = *state;
	struct process *p = begin(f);

	p->kernel_thread = true;
	process_fork(f->table, f->now + 10, B, B, A, A);
	assert_true(process_get(f->table, B)->kernel_thread);
	process_exec(f->table, f->now + 11, B, "/sbin/modprobe");
	assert_false(process_get(f->table, B)->kernel_thread);
}

static void pids_of_other_namespaces_are_ignored(void **state)
{
	struct fixture *f = *state;

	process_fork(f->table, f->now, 0, 0, 0, 0);
	process_fork(f->table, f->now, UINT32_MAX, UINT32_MAX, 1, 1);
	process_exec(f->table, f->now, 0, "/bin/x");
	process_exec(f->table, f->now, UINT32_MAX, "/bin/x");
	process_comm(f->table, f->now, UINT32_MAX, UINT32_MAX, "x");
	assert_int_equal(process_stats(f->table)->live, 0);
	process_fork(f->table, f->now, A, A, 0, 0);
	assert_false(process_get(f->table, A)->known & PROCESS_PARENT);
}

static void a_descriptor_is_no_executed_name(void **state)
{
	struct fixture *f = *state;
	struct process *p;

	begin(f);
	process_exec(f->table, f->now + 5, A, "/dev/fd/7");
	p = process_get(f->table, A);
	assert_false(p->known & PROCESS_EXECUTED);
	assert_null(p->executed);
}

static void the_dead_are_remembered_for_a_while(void **state)
{
	struct fixture *f = *state;

	begin(f);
	process_exit(f->table, f->now + S, A, A);
	process_expire(f->table, f->now + 10 * S);
	assert_non_null(process_get(f->table, A));
	process_expire(f->table, f->now + 12 * S);
	assert_null(process_get(f->table, A));
	assert_int_equal(process_stats(f->table)->remembered, 0);
}

static void a_full_table_sheds_the_oldest_dead_first(void **state)
{
	struct fixture *f = *state;

	for (uint32_t i = 0; i < 64; i++)
		process_fork(f->table, f->now + i, A + i, A + i, 1, 1);
	process_exit(f->table, f->now + 100, A + 9, A + 9);
	process_exit(f->table, f->now + 101, A + 5, A + 5);
	process_fork(f->table, f->now + 102, A + 64, A + 64, 1, 1);
	assert_null(process_get(f->table, A + 9));
	assert_non_null(process_get(f->table, A + 5));
	process_fork(f->table, f->now + 103, A + 65, A + 65, 1, 1);
	process_fork(f->table, f->now + 104, A + 66, A + 66, 1, 1);
	assert_null(process_get(f->table, A));
	assert_int_equal(process_stats(f->table)->shed, 3);
	assert_int_equal(process_stats(f->table)->live, 64);
}

static void a_held_image_keeps_its_parent_but_no_ancestors(void **state)
{
	struct fixture *f = *state;
	struct process *held = NULL;

	begin(f);
	for (uint32_t i = 1; i < 500; i++) {
		process_fork(f->table, f->now + i * MS, A + i, A + i, A + i - 1, A + i - 1);
		process_exit(f->table, f->now + i * MS, A + i - 1, A + i - 1);
		if (i == 250)
			held = process_ref(process_get(f->table, A + i));
	}
	process_expire(f->table, f->now + 100 * S);
	assert_int_equal(held->parent->pid, A + 249);
	assert_null(held->parent->parent);
	assert_string_equal(held->parent->executed, "/usr/bin/tool");
	process_unref(held);
}

/* A million images are 500 MB. ASan keeps up to 256 MB of what was freed. */
#if defined(__SANITIZE_ADDRESS__)
#define ROOM_KB (400 * 1024)
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ROOM_KB (400 * 1024)
#endif
#endif
#ifndef ROOM_KB
#define ROOM_KB 1024
#endif

static long peak_kb(void)
{
	struct rusage usage;

	assert_int_equal(getrusage(RUSAGE_SELF, &usage), 0);
	return usage.ru_maxrss;
}

/* A process that forks and exits for ever; every hundredth is held for a time. */
static void a_million_forks_in_a_chain_stay_within_bounds(void **state)
{
	struct fixture *f = *state;
	struct process *held[16] = { NULL };
	long before_kb;

	begin(f);
	for (uint32_t i = 1; i < 10000; i++) {
		process_fork(f->table, f->now + i * MS, A + i, A + i, A + i - 1, A + i - 1);
		process_exit(f->table, f->now + i * MS, A + i - 1, A + i - 1);
	}
	before_kb = peak_kb();
	for (uint32_t i = 10000; i < 1000000; i++) {
		process_fork(f->table, f->now + i * MS, A + i, A + i, A + i - 1, A + i - 1);
		process_comm(f->table, f->now + i * MS, A + i, A + i, "again");
		process_exit(f->table, f->now + i * MS, A + i - 1, A + i - 1);
		if (i % 100 == 0) {
			process_unref(held[i / 100 % 16]);
			held[i / 100 % 16] = process_ref(process_get(f->table, A + i));
		}
	}
	assert_true(peak_kb() - before_kb < ROOM_KB);
	assert_int_equal(process_stats(f->table)->live + process_stats(f->table)->remembered, 64);
	for (size_t i = 0; i < 16; i++)
		process_unref(held[i]);
}

/* As process_read() would leave it, between begin and end. */
static void pretend_read(struct process *p, const char *executable, uint64_t begin, uint64_t end)
{
	struct process fresh = { .known = PROCESS_EXECUTABLE | PROCESS_READ };

	fresh.executable = refstr_new(executable, strlen(executable));
	process_image_share(p, &fresh, UINT32_MAX);
	refstr_unref(fresh.executable);
	p->read_known = PROCESS_EXECUTABLE | PROCESS_READ;
	p->read_begin_ns = begin;
	p->read_end_ns = end;
}

static void what_was_read_after_an_exec_belongs_to_its_program(void **state)
{
	struct fixture *f = *state;
	struct process *old = process_ref(begin(f)), *new;

	pretend_read(old, "/usr/bin/later", f->now + 20, f->now + 30);
	process_exec(f->table, f->now + 10, A, "later");
	new = process_get(f->table, A);
	assert_string_equal(new->executable, "/usr/bin/later");
	assert_true(new->known & PROCESS_READ);
	assert_false(old->known & (PROCESS_EXECUTABLE | PROCESS_READ));
	assert_null(old->executable);
	process_unref(old);
}

static void what_was_read_during_an_exec_belongs_to_nobody(void **state)
{
	struct fixture *f = *state;
	struct process *old = process_ref(begin(f)), *new;

	pretend_read(old, "/usr/bin/mixed", f->now + 20, f->now + 30);
	process_exec(f->table, f->now + 25, A, "later");
	new = process_get(f->table, A);
	assert_false(new->known & (PROCESS_EXECUTABLE | PROCESS_READ));
	assert_false(old->known & (PROCESS_EXECUTABLE | PROCESS_READ));
	process_unref(old);
}

static void what_was_read_before_an_exec_stays(void **state)
{
	struct fixture *f = *state;
	struct process *old = process_ref(begin(f)), *new;

	pretend_read(old, "/usr/bin/tool", f->now + 20, f->now + 30);
	process_exec(f->table, f->now + 40, A, "later");
	new = process_get(f->table, A);
	assert_false(new->known & (PROCESS_EXECUTABLE | PROCESS_READ));
	assert_string_equal(old->executable, "/usr/bin/tool");
	process_unref(old);
}

static void a_child_forked_before_its_parent_was_read_inherits_later(void **state)
{
	struct fixture *f = *state;
	struct process *parent = begin(f);

	process_fork(f->table, f->now + 10, B, B, A, A);
	pretend_read(parent, "/usr/bin/tool", f->now + 20, f->now + 30);
	parent->netns = 77;
	parent->known |= PROCESS_NETNS;
	assert_string_equal(process_get(f->table, B)->executable, "/usr/bin/tool");
	assert_int_equal(process_get(f->table, B)->netns, 77);
	/* What it has entered since is not what the child was given. */
	parent->netns = 78;
	assert_int_equal(process_get(f->table, B)->netns, 77);
}

/* It forked, and was read for the first time as the program that it ran next. */
static void a_child_has_not_the_program_that_its_parent_ran_next(void **state)
{
	struct fixture *f = *state;
	struct process *child;

	pretend_read(begin(f), "/usr/bin/later", f->now + 20, f->now + 30);
	process_fork(f->table, f->now + 10, B, B, A, A);
	assert_true(process_is_ahead(process_get(f->table, B), f->now + 29));
	assert_false(process_is_ahead(process_get(f->table, B), f->now + 30));
	process_exit(f->table, f->now + 12, B, B);
	assert_true(process_is_ahead(process_get(f->table, B), f->now + 29));
	process_fork(f->table, f->now + 13, C, C, A, A);
	process_exec(f->table, f->now + 15, A, "/usr/bin/later");
	for (uint32_t pid = B; pid <= C; pid++) {
		child = process_get(f->table, pid);
		assert_string_equal(child->executed, "/usr/bin/tool");
		assert_false(child->known & (PROCESS_EXECUTABLE | PROCESS_READ));
	}
	assert_string_equal(process_get(f->table, A)->executable, "/usr/bin/later");
}

/* Only the connection that it made is left of that one. */
static void nor_has_the_program_that_the_child_was_before_its_own_exec(void **state)
{
	struct fixture *f = *state;
	struct process *old;

	pretend_read(begin(f), "/usr/bin/later", f->now + 20, f->now + 30);
	process_fork(f->table, f->now + 10, B, B, A, A);
	old = process_ref(process_get(f->table, B));
	process_exec(f->table, f->now + 12, B, "/bin/cat");
	assert_true(process_is_ahead(old, f->now + 29));
	process_exec(f->table, f->now + 15, A, "/usr/bin/later");
	process_read(f->table, old);
	assert_null(old->executable);
	process_unref(old);
}

/* The parent is all from /proc, which showed the next program. */
static void nor_has_the_child_of_one_that_was_read_late(void **state)
{
	struct fixture *f = *state;
	struct process *p = begin(f);

	p->seen_ns = 0;
	pretend_read(p, "/usr/bin/later", f->now + 20, f->now + 30);
	process_fork(f->table, f->now + 10, B, B, A, A);
	process_exec(f->table, f->now + 15, A, "/usr/bin/later");
	assert_string_equal(p->executable, "/usr/bin/later");
	assert_null(process_get(f->table, B)->executable);
}

static void what_was_read_in_time_stays_the_childrens(void **state)
{
	struct fixture *f = *state;

	pretend_read(begin(f), "/usr/bin/tool", f->now + 3, f->now + 4);
	process_fork(f->table, f->now + 10, B, B, A, A);
	process_fork(f->table, f->now + 11, C, C, A, A);
	process_exec(f->table, f->now + 15, A, "/usr/bin/later");
	pretend_read(process_get(f->table, B), "/usr/bin/tool", f->now + 20, f->now + 30);
	process_exec(f->table, f->now + 16, B, "/usr/bin/tool");
	assert_string_equal(process_get(f->table, B)->executable, "/usr/bin/tool");
	assert_string_equal(process_get(f->table, C)->executable, "/usr/bin/tool");
}

static void another_cgroup_id_takes_back_the_path(void **state)
{
	struct fixture *f = *state;
	struct process *p = begin(f);

	process_set_cgroup(p, 77);
	p->cgroup = refstr_new("/a", 2);
	p->known |= PROCESS_CGROUP;
	process_set_cgroup(p, 0);
	process_set_cgroup(p, 77);
	assert_true(p->known & PROCESS_CGROUP);
	process_set_cgroup(p, 78);
	assert_false(p->known & PROCESS_CGROUP);
	assert_null(p->cgroup);
}

#define test(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(an_exec_begins_a_new_image_and_leaves_the_old_to_its_holder),
		test(a_forked_child_shows_its_parents_program),
		test(the_parent_is_the_image_that_forked),
		test(a_record_seen_twice_changes_nothing),
		test(a_reused_pid_is_another_process),
		test(a_pid_reused_after_lost_records_is_another_process),
		test(a_process_ends_with_its_last_thread),
		test(exec_from_a_thread_goes_on_as_the_first),
		test(threads_have_names_of_their_own),
		test(threads_without_room_are_still_counted),
		test(a_child_of_a_kernel_thread_is_one_until_it_runs_a_program),
		test(pids_of_other_namespaces_are_ignored),
		test(a_descriptor_is_no_executed_name),
		test(the_dead_are_remembered_for_a_while),
		test(a_full_table_sheds_the_oldest_dead_first),
		test(a_held_image_keeps_its_parent_but_no_ancestors),
		test(a_million_forks_in_a_chain_stay_within_bounds),
		test(what_was_read_after_an_exec_belongs_to_its_program),
		test(what_was_read_during_an_exec_belongs_to_nobody),
		test(what_was_read_before_an_exec_stays),
		test(a_child_forked_before_its_parent_was_read_inherits_later),
		test(a_child_has_not_the_program_that_its_parent_ran_next),
		test(nor_has_the_program_that_the_child_was_before_its_own_exec),
		test(nor_has_the_child_of_one_that_was_read_late),
		test(what_was_read_in_time_stays_the_childrens),
		test(another_cgroup_id_takes_back_the_path),
	};

	return cmocka_run_group_tests_name("process", tests, NULL, NULL);
}
