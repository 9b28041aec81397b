// SPDX-License-Identifier: GPL-2.0-or-later
/* Searches for holders, among real processes and on a clock of our own. */
#include "holder.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

/* Of sockets in a family; a search that knows one number tries the next eight. */
#define FD_OWN 200
#define FD_SHARED 204
#define FD_OTHER 208

#define USER 64123

#define TRIES 200
#define SERVERS 64

#define MS 1000000l

/* No time passes but this, and this at each look at the clock of CPU time. */
static long passed_ns, look_ns;
static int proc_fd;

static uid_t user;	/* who the processes that are made become; 0: nobody else */

int clock_gettime(clockid_t clock, struct timespec *ts)
{
	static long spent_ns;

	if (clock != CLOCK_MONOTONIC && clock != CLOCK_THREAD_CPUTIME_ID)
		return (int)syscall(SYS_clock_gettime, clock, ts);
	spent_ns += clock == CLOCK_THREAD_CPUTIME_ID ? look_ns : 0;
	*ts = (struct timespec) {
		.tv_sec = 1, .tv_nsec = clock == CLOCK_MONOTONIC ? passed_ns : spent_ns,
	};
	return 0;
}

static int set_up(void **state)
{
	struct holder_index *h;

	passed_ns = look_ns = user = 0;
	proc_fd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (proc_fd < 0 || holder_index_new(&h, proc_fd, NULL))
		return -1;
	*state = h;
	return 0;
}

static int tear_down(void **state)
{
	holder_index_free(*state);
	close(proc_fd);
	return 0;
}

static uint64_t socket_at(int number)
{
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	struct stat st;

	if (fd < 0 || dup2(fd, number) < 0 || close(fd) || fstat(number, &st))
		_exit(1);
	return st.st_ino;
}

struct member {
	int generation;
	pid_t pid;
	uint64_t own, shared, other;
};

/* The first opens the two sockets that all hold. Each forks the next at once, and has one of its own
 * then. */
static void live(int generations, int to)
{
	struct member me = { .shared = socket_at(FD_SHARED), .other = socket_at(FD_OTHER) };
	pid_t child = 0;

	while (!child && me.generation + 1 < generations) {
		child = fork();
		me.generation += !child;
	}
	if (user && setuid(user))
		_exit(1);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	me.pid = getpid();
	me.own = socket_at(FD_OWN);
	if (child < 0 || write(to, &me, sizeof(me)) < 0)
		_exit(1);
	for (;;)
		pause();
}

/* Begins when nobody can write to `gate` any more. */
static pid_t begin(int generations, const int *gate, int *from)
{
	int ends[2];
	pid_t pid;
	char c;

	assert_int_equal(pipe(ends), 0);
	pid = fork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (gate && (close(gate[1]) || read(gate[0], &c, 1)))
			_exit(1);
		live(generations, ends[1]);
	}
	close(ends[1]);
	*from = ends[0];
	return pid;
}

static void meet(struct member *members, int generations, int from)
{
	struct member member;

	for (int i = 0; i < generations; i++) {
		assert_int_equal(read(from, &member, sizeof(member)), sizeof(member));
		members[member.generation] = member;
	}
	close(from);
}

static pid_t family(struct member *members, int generations)
{
	int from;
	pid_t pid = begin(generations, NULL, &from);

	meet(members, generations, from);
	return pid;
}

static void end(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static bool in_one_tick(const struct holder_query *q)
{
	for (uint32_t i = 1; i < q->count; i++)
		if (q->found[i].start_ticks != q->found[0].start_ticks)
			return false;
	return true;
}

static void of_one_clock_tick_the_parent_is_the_older(void **state)
{
	struct holder_query query;
	struct member members[2];

	for (int i = 0; i < TRIES; i++) {
		pid_t pid = family(members, 2);

		query = (struct holder_query) { .inode = members[0].shared };
		holder_find(*state, &query, 1, HOLDER_LIKELY);
		end(pid);
		assert_int_equal(query.count, 2);
		assert_int_equal(query.found[0].pid, members[0].pid);
		assert_int_equal(query.found[1].pid, members[1].pid);
		if (in_one_tick(&query))
			return;
	}
	skip();
}

/* Who was found last is asked first; what nobody holds keeps the search going. */
static void so_it_is_in_whatever_order_they_are_met(void **state)
{
	static const int met[] = { 1, 0, 2 };
	struct holder_query queries[2];
	struct member members[3];

	for (int i = 0; i < TRIES; i++) {
		pid_t pid = family(members, 3);

		for (int m = 0; m < 3; m++) {
			queries[0] = (struct holder_query) { .inode = members[met[m]].own };
			holder_find(*state, queries, 1, HOLDER_LIKELY);
		}
		queries[0] = (struct holder_query) { .inode = members[0].shared };
		queries[1] = (struct holder_query) { .inode = UINT64_MAX };
		holder_find(*state, queries, 2, HOLDER_LIKELY);
		end(pid);
		assert_int_equal(queries[0].count, 3);
		for (int m = 0; m < 3; m++)
			assert_int_equal(queries[0].found[m].pid, members[m].pid);
		if (in_one_tick(&queries[0]))
			return;
	}
	skip();
}

/* One look into the parent finds all that it shares with its child, who was found first. */
static void of_two_sockets_the_older_holder_is_told(void **state)
{
	struct holder_query queries[2];
	struct member members[2];
	pid_t pid = family(members, 2);

	queries[0] = (struct holder_query) { .inode = members[0].shared };
	queries[1] = (struct holder_query) { .inode = members[0].other };
	holder_find(*state, queries, 2, HOLDER_LIKELY);
	end(pid);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(queries[i].count, 2);
		assert_int_equal(queries[i].found[0].pid, members[0].pid);
	}
}

/* Looks for what nobody holds, likely or not. Returns whether that was finished. */
static bool seek(struct holder_index *h)
{
	struct holder_query query = { .inode = UINT64_MAX };

	holder_find(h, &query, 1, HOLDER_LIKELY);
	holder_find(h, &query, 1, HOLDER_EVERYONE);
	return !query.unfinished;
}

/* Of the time that there is for everyone so many milliseconds are left: a second is ten times what may
 * be owed, of which a fifth of what passes is paid. */
static void spend(struct holder_index *h, long left_ms)
{
	look_ns = 1000 * MS;
	seek(h);
	look_ns = 0;
	passed_ns += (300 + left_ms) * 5 * MS;
}

/* A host has given this processor to others for a second between any two looks at the clock. */
static void everyone_is_asked_after_a_rest_whatever_the_clock_counts(void **state)
{
	look_ns = 1000 * MS;
	assert_true(seek(*state));
	assert_false(seek(*state));
	passed_ns += 320 * 5 * MS;
	assert_false(seek(*state));
	passed_ns += 330 * 5 * MS;
	assert_true(seek(*state));
}

/* There was time for the child alone, its user's newest. */
static void who_is_found_as_a_relative_is_found(void **state)
{
	struct holder_query queries[2];
	struct member members[2];
	pid_t pid;

	if (geteuid() != 0)
		skip();
	user = USER;
	spend(*state, 20);
	pid = family(members, 2);
	for (int i = 0; i < 2; i++)
		queries[i] = (struct holder_query) {
			.inode = members[1 - i].own, .has_uid = true, .uid = USER,
		};
	look_ns = 16 * MS;
	holder_find(*state, queries, 2, HOLDER_EVERYONE);
	end(pid);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(queries[i].count, 1);
		assert_int_equal(queries[i].found[0].pid, members[1 - i].pid);
		assert_false(queries[i].unfinished);
	}
}

/* A host has given this processor to others for 10 ms between any two looks at the clock. The one that
 * was found last is found again at once. */
static void the_relatives_are_asked_whatever_the_clock_counts(void **state)
{
	struct holder_query query;
	struct member members[3];
	pid_t pid = family(members, 3);

	query = (struct holder_query) { .inode = members[0].shared };
	holder_find(*state, &query, 1, HOLDER_LIKELY);
	look_ns = 10 * MS;
	query = (struct holder_query) { .inode = members[0].shared };
	holder_find(*state, &query, 1, HOLDER_LIKELY);
	end(pid);
	assert_in_range(query.count, 2, 3);
}

/* More servers than there is time for relatives; all workers are newer than all of them, and found
 * first. */
static void every_parent_is_asked(void **state)
{
	struct holder_query queries[SERVERS];
	struct member members[SERVERS][2];
	int gate[2], from[SERVERS];
	pid_t pids[SERVERS];

	assert_int_equal(pipe(gate), 0);
	for (int i = 0; i < SERVERS; i++)
		pids[i] = begin(2, gate, &from[i]);
	close(gate[0]);
	close(gate[1]);
	for (int i = 0; i < SERVERS; i++) {
		meet(members[i], 2, from[i]);
		queries[i] = (struct holder_query) { .inode = members[i][0].shared };
	}
	holder_find(*state, queries, SERVERS, HOLDER_LIKELY);
	for (int i = 0; i < SERVERS; i++)
		end(pids[i]);
	for (int i = 0; i < SERVERS; i++) {
		assert_int_equal(queries[i].count, 2);
		assert_int_equal(queries[i].found[0].pid, members[i][0].pid);
	}
}

/* Asks a process, `count` times and each time after that many microseconds, for a socket that it does
 * not hold. Returns what its looks are reckoned to take, in microseconds: 16 for the process, one for
 * each descriptor. */
static uint64_t reckon(struct holder_index *h, pid_t pid, unsigned int count, long pause_us)
{
	const uint64_t *descriptors = &holder_stats(h)->descriptors, before = *descriptors;
	uint64_t looks = 0;

	for (unsigned int i = 0; i < count; i++) {
		int holds = holder_holds(h, (uint32_t)pid, UINT64_MAX);

		assert_true(holds == 0 || holds == -EAGAIN);
		looks += holds == 0;
		passed_ns += pause_us * 1000;
	}
	return 16 * looks + *descriptors - before;
}

/* 100 ms at once; then a millisecond in two, although a look, at four times that, takes more than has
 * passed since the last. */
static void a_process_is_looked_into_for_half_of_the_time(void **state)
{
	int fds[4000];
	struct member member;
	uint64_t at_once, later;
	pid_t pid;

	for (int i = 0; i < 4000; i++)
		fds[i] = dup(STDERR_FILENO);
	pid = family(&member, 1);
	for (int i = 0; i < 4000; i++)
		close(fds[i]);
	at_once = reckon(*state, pid, 1000, 0);
	later = reckon(*state, pid, 1000, 1000);
	end(pid);
	assert_in_range(at_once, 100000, 104200);
	assert_in_range(later, 490000, 504200);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(of_one_clock_tick_the_parent_is_the_older),
		TEST(so_it_is_in_whatever_order_they_are_met),
		TEST(the_relatives_are_asked_whatever_the_clock_counts),
		TEST(everyone_is_asked_after_a_rest_whatever_the_clock_counts),
		TEST(of_two_sockets_the_older_holder_is_told),
		TEST(who_is_found_as_a_relative_is_found),
		TEST(every_parent_is_asked),
		TEST(a_process_is_looked_into_for_half_of_the_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
