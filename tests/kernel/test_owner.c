// SPDX-License-Identifier: GPL-2.0-or-later
/* Who holds a socket, asked of the real kernel, in a network namespace of its own. */
#include "diag.h"
#include "owner.h"
#include "skip.h"
#include "world.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

/* How often a thread's CPU time is still told as it is; then a second more. */
static int clock_is_right_for = -1;

int clock_gettime(clockid_t clock, struct timespec *ts)
{
	if (syscall(SYS_clock_gettime, clock, ts) < 0)
		return -1;
	if (clock == CLOCK_THREAD_CPUTIME_ID && clock_is_right_for >= 0) {
		ts->tv_sec += clock_is_right_for == 0;
		clock_is_right_for -= clock_is_right_for > 0;
	}
	return 0;
}

static int with_diag(void **state)
{
	return world_open((struct world **)state, OWNER_LOOKUP_DIAG);
}

static int with_proc(void **state)
{
	return world_open((struct world **)state, OWNER_LOOKUP_PROC);
}

static int close_world(void **state)
{
	world_close(*state);
	return 0;
}

/* A search may use a fifth of the time that passes, 30 ms at once, in which an emulated machine
 * does not look through all: there several of them make one. */
static void lookup(struct world *w, struct owner_query *queries, unsigned int count)
{
	struct owner_query *fresh = malloc(count * sizeof(*fresh));

	assert_non_null(fresh);
	memcpy(fresh, queries, count * sizeof(*fresh));
	assert_int_equal(owner_lookup(w->owner, queries, count), 0);
	for (unsigned int i = 1; i < world_slow(); i++) {
		usleep(100000);
		memcpy(queries, fresh, count * sizeof(*fresh));
		assert_int_equal(owner_lookup(w->owner, queries, count), 0);
	}
	free(fresh);
}

static struct owner_query ask(struct world *w, const struct tuple *tuple)
{
	struct owner_query q = { .tuple = *tuple, .uid = geteuid(), .has_uid = true };

	lookup(w, &q, 1);
	return q;
}

static void the_process_that_connects_is_named(void **state)
{
	static const int families[] = { AF_INET, AF_INET6 };

	for (int i = 0; i < 2; i++) {
		struct pair p = pair_open(families[i], SOCK_STREAM);
		struct owner_query q = ask(*state, &p.tuple);

		assert_int_equal(q.rung, OWNER_SOCKET);
		assert_non_null(q.process);
		assert_int_equal(q.process->pid, getpid());
		assert_int_equal(q.inode, inode_of(p.fd));
		assert_int_equal(q.socket_state, TCP_ESTABLISHED);
		assert_int_equal(q.holder_count, 1);
		pair_close(&p);
	}
}

static void an_unanswered_connect_is_named(void **state)
{
	struct tuple t;
	int fd = connect_into_the_void(&t, NULL);
	struct owner_query q = ask(*state, &t);

	assert_int_equal(q.rung, OWNER_SOCKET);
	assert_int_equal(q.socket_state, TCP_SYN_SENT);
	assert_int_equal(q.process->pid, getpid());
	close(fd);
}

static void a_listener_is_no_owner(void **state)
{
	struct pair p = pair_open(AF_INET, SOCK_STREAM);
	struct tuple t = tuple_reverse(&p.tuple);
	struct owner_query q;

	t.dport = htons(9);	/* nobody's: the kernel answers with the listener on t.sport */
	q = ask(*state, &t);
	assert_false(q.socket_found);
	assert_int_equal(q.rung, OWNER_UID);
	assert_null(q.process);
	pair_close(&p);
}

static void a_reuseport_sibling_is_no_owner(void **state)
{
	struct tuple a, b, c;
	int first = udp_reuseport(4444, 5001, &a), second = udp_reuseport(4444, 5002, &b);
	struct owner_query q = ask(*state, &a);

	assert_int_equal(q.inode, inode_of(first));
	q = ask(*state, &b);
	assert_int_equal(q.inode, inode_of(second));
	c = a;
	c.dport = htons(5003);
	q = ask(*state, &c);
	assert_false(q.socket_found);
	assert_null(q.process);
	close(first);
	close(second);
}

static void a_connected_udp_socket_is_named(void **state)
{
	static const int families[] = { AF_INET, AF_INET6 };

	for (int i = 0; i < 2; i++) {
		struct pair p = pair_open(families[i], SOCK_DGRAM);
		struct owner_query q = ask(*state, &p.tuple);

		assert_int_equal(q.rung, OWNER_SOCKET);
		assert_int_equal(q.inode, inode_of(p.fd));
		pair_close(&p);
	}
}

static void a_v4_mapped_socket_is_found_as_ipv4(void **state)
{
	struct pair p = pair_open_mapped();
	struct owner_query q = ask(*state, &p.tuple);

	assert_int_equal(p.tuple.family, AF_INET);
	assert_int_equal(q.rung, OWNER_SOCKET);
	assert_int_equal(q.inode, inode_of(p.fd));
	pair_close(&p);
}

static void time_wait_has_no_process_and_no_user(void **state)
{
	struct pair p = pair_open(AF_INET, SOCK_STREAM);
	struct owner_query q = { .tuple = p.tuple };

	close(p.fd);
	close(p.accepted);
	p.fd = p.accepted = -1;
	assert_int_equal(owner_lookup(((struct world *)*state)->owner, &q, 1), 0);
	assert_true(q.socket_found);
	assert_true(q.socket_orphan);
	assert_int_equal(q.inode, 0);
	assert_int_equal(q.rung, OWNER_NONE);
	pair_close(&p);
}

static void of_two_that_share_the_older_is_named(void **state)
{
	struct pair p = pair_open(AF_INET, SOCK_STREAM);
	pid_t child = child_idle();
	struct owner_query q = ask(*state, &p.tuple);

	assert_int_equal(q.process->pid, getpid());
	assert_int_equal(q.holder_count, 2);
	assert_int_equal(q.holders[0], getpid());
	assert_int_equal(q.holders[1], child);
	child_end(child);
	pair_close(&p);
}

/* The first is found as the last time, and then the time of the search is up. */
static void of_two_that_share_both_are_told_when_it_gets_late(void **state)
{
	struct world *w = *state;
	struct pair p = pair_open(AF_INET, SOCK_STREAM);
	pid_t child = child_idle();
	struct owner_query q = { .tuple = p.tuple };

	assert_int_equal(ask(w, &p.tuple).holder_count, 2);
	clock_is_right_for = 1;
	assert_int_equal(owner_lookup(w->owner, &q, 1), 0);
	assert_int_equal(clock_is_right_for, 0);
	clock_is_right_for = -1;
	assert_int_equal(q.holder_count, 2);
	assert_int_equal(q.process->pid, getpid());
	child_end(child);
	pair_close(&p);
}

static void a_passed_socket_belongs_to_who_holds_it(void **state)
{
	struct tuple t;
	int control, fd;
	pid_t child = child_connects_and_passes(&t, &fd, &control);
	struct owner_query q = ask(*state, &t);

	assert_int_equal(q.holder_count, 2);
	assert_int_equal(q.process->pid, getpid());
	close(control);		/* the child ends */
	waitpid(child, NULL, 0);
	q = ask(*state, &t);
	assert_int_equal(q.holder_count, 1);
	assert_int_equal(q.process->pid, getpid());
	close(fd);
}

/* The child's pid is in every cache; then it is somebody else's, who holds another socket at the
 * same descriptor number. */
static void a_pid_given_to_another_is_no_owner(void **state)
{
	struct pair p = pair_open(AF_INET, SOCK_STREAM);
	struct tuple t;
	int control, fd;
	pid_t child = child_connects_and_passes(&t, &fd, &control), other;
	struct owner_query q = ask(*state, &t);

	assert_int_equal(q.holder_count, 2);
	close(control);
	waitpid(child, NULL, 0);
	other = child_with_pid(child, fd, p.fd);
	if (other < 0 && errno != EINVAL)
		skip_because("that pid cannot be had: %s", strerror(errno));
	assert_int_equal(other, child);
	q = ask(*state, &t);
	assert_int_equal(q.process->pid, getpid());
	assert_int_equal(q.holder_count, 1);
	close(fd);
	q = ask(*state, &t);
	assert_null(q.process);
	child_end(other);
	pair_close(&p);
}

/* A socket in flight over a unix socket has a file but no holder. Only NFLOG's silence about the
 * user makes it the kernel's. */
static void a_socket_nobody_holds_is_the_users_or_the_kernels(void **state)
{
	struct world *w = *state;
	struct tuple t;
	int ends[2], fd = connect_into_the_void(&t, NULL);
	struct owner_query q;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	send_fd(ends[0], fd);
	close(fd);
	q = ask(w, &t);
	assert_true(q.socket_found);
	assert_false(q.unfinished);
	assert_int_equal(q.rung, q.cgroup_id > 1 ? OWNER_CGROUP : OWNER_UID);
	assert_null(q.process);

	q = (struct owner_query){ .tuple = t, .from_packet = true };
	lookup(w, &q, 1);
	assert_int_equal(q.rung, OWNER_KERNEL);
	close(ends[0]);
	close(ends[1]);
}

static void a_socket_bound_to_a_device_is_found_by_it(void **state)
{
	struct world *w = *state;
	struct owner_query q = { 0 };
	int fd = connect_into_the_void(&q.tuple, "void");

	q.ifindex = if_nametoindex("void");
	assert_int_equal(owner_lookup(w->owner, &q, 1), 0);
	assert_int_equal(q.rung, OWNER_SOCKET);
	assert_int_equal(q.inode, inode_of(fd));
	close(fd);
}

/* The process is gone, its data are not: the cgroup is what is left. */
static void an_orphan_is_known_by_its_cgroup(void **state)
{
	struct world *w = *state;
	struct pair p = pair_open(AF_INET, SOCK_STREAM);
	struct owner_query q = { 0 };
	char cgroup[64], path[64];

	if (!child_leaves_orphan(&p, &q.tuple, cgroup)) {
		pair_close(&p);
		skip_because("no cgroup can be made");
	}
	assert_int_equal(owner_lookup(w->owner, &q, 1), 0);
	snprintf(path, sizeof(path), "%s", owner_cgroup_path(w->owner, q.cgroup_id));
	cgroup_remove(cgroup);
	assert_true(q.socket_found);
	assert_true(q.socket_orphan);
	assert_null(q.process);
	if (w->mode == OWNER_LOOKUP_PROC) {
		assert_int_equal(q.rung, OWNER_NONE);
	} else {
		assert_int_equal(q.rung, OWNER_CGROUP);
		assert_string_equal(path, cgroup);
	}
	pair_close(&p);
}

static void a_thread_answers_for_its_process(void **state)
{
	struct pair p = pair_open(AF_INET, SOCK_STREAM);
	struct tuple t;
	pid_t child = child_thread_connects(&p, &t);
	struct owner_query q = ask(*state, &t);

	child_end(child);
	assert_non_null(q.process);
	assert_int_equal(q.process->pid, child);
	assert_int_equal(q.holder_count, 1);
	pair_close(&p);
}

static void another_users_socket_is_no_answer(void **state)
{
	struct world *w = *state;
	struct pair p = pair_open(AF_INET, SOCK_STREAM);
	struct owner_query q = { .tuple = p.tuple, .uid = 54321, .has_uid = true };

	assert_int_equal(owner_lookup(w->owner, &q, 1), 0);
	assert_int_equal(q.rung, OWNER_UID);
	assert_null(q.process);
	assert_false(q.socket_found);
	pair_close(&p);
}

static void a_process_can_be_asked_for_an_inode(void **state)
{
	struct world *w = *state;
	struct pair p = pair_open(AF_INET, SOCK_STREAM);
	pid_t child = child_idle();
	uint64_t inode = inode_of(p.fd);

	assert_int_equal(owner_holds(w->owner, getpid(), inode), 1);
	assert_int_equal(owner_holds(w->owner, child, inode), 1);
	assert_int_equal(owner_holds(w->owner, getppid(), inode), 0);
	child_end(child);
	assert_true(owner_holds(w->owner, child, inode) < 0);
	pair_close(&p);
}

static void a_batch_is_answered_one_by_one(void **state)
{
	enum { COUNT = 100 };
	struct world *w = *state;
	struct owner_query q[COUNT];
	struct pair p[COUNT];

	memset(q, 0, sizeof(q));
	for (int i = 0; i < COUNT; i++) {
		p[i] = pair_open(i & 1 ? AF_INET6 : AF_INET, SOCK_STREAM);
		q[i].tuple = p[i].tuple;
		if (i % 10 == 9)
			q[i].tuple.dport = htons(1);
	}
	lookup(w, q, COUNT);
	for (int i = 0; i < COUNT; i++) {
		assert_int_equal(q[i].inode, i % 10 == 9 ? 0 : inode_of(p[i].fd));
		assert_int_equal(q[i].rung, i % 10 == 9 ? OWNER_NONE : OWNER_SOCKET);
		pair_close(&p[i]);
	}
}

/* It has ended and is forgotten, and its place is another's, while the answers are worked on. */
static void who_was_named_stays_until_the_next_lookup(void **state)
{
	struct world *w = *state;
	struct pair p = pair_open(AF_INET, SOCK_STREAM);
	struct owner_query q[2] = { { .tuple = p.tuple } };
	pid_t child = child_thread_connects(&p, &q[1].tuple);

	lookup(w, q, 2);
	child_end(child);
	assert_null(process_find(w->processes, child, 0));
	process_expire(w->processes, UINT64_MAX);
	process_find(w->processes, 1, 0);
	assert_null(process_get(w->processes, child));
	assert_non_null(q[1].process);
	assert_int_equal(q[1].process->pid, child);
	assert_int_equal(q[0].process->pid, getpid());
	pair_close(&p);
}

struct dumped {
	struct tuple tuple;
	uint64_t inode;
	unsigned int count;
};

static void take_dumped(const struct tuple *tuple, const struct sock *sock, void *data)
{
	struct dumped *d = data;

	assert_int_equal(sock->state, TCP_SYN_SENT);
	d->tuple = *tuple;
	d->inode = sock->inode;
	d->count++;
}

static void only_connecting_sockets_are_dumped(void **state)
{
	struct pair p = pair_open(AF_INET6, SOCK_STREAM);
	struct dumped d = { .count = 0 };
	struct diag *diag;
	struct tuple t;
	int fd;

	(void)state;
	assert_int_equal(diag_open(&diag), 0);
	assert_int_equal(diag_dump_connecting(diag, take_dumped, &d), 0);
	assert_int_equal(d.count, 0);
	fd = connect_into_the_void(&t, NULL);
	assert_int_equal(diag_dump_connecting(diag, take_dumped, &d), 0);
	assert_int_equal(d.count, 1);
	assert_true(tuple_equal(&d.tuple, &t));
	assert_int_equal(d.inode, inode_of(fd));
	close(fd);
	pair_close(&p);
	diag_close(diag);
}

#define BOTH(f) \
	{ #f " (sock_diag)", f, with_diag, close_world, NULL }, \
	{ #f " (/proc/net)", f, with_proc, close_world, NULL }

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(the_process_that_connects_is_named),
		BOTH(an_unanswered_connect_is_named),
		BOTH(a_listener_is_no_owner),
		BOTH(a_reuseport_sibling_is_no_owner),
		BOTH(a_connected_udp_socket_is_named),
		BOTH(a_v4_mapped_socket_is_found_as_ipv4),
		BOTH(time_wait_has_no_process_and_no_user),
		BOTH(of_two_that_share_the_older_is_named),
		BOTH(of_two_that_share_both_are_told_when_it_gets_late),
		BOTH(a_passed_socket_belongs_to_who_holds_it),
		BOTH(a_pid_given_to_another_is_no_owner),
		BOTH(a_socket_nobody_holds_is_the_users_or_the_kernels),
		BOTH(a_socket_bound_to_a_device_is_found_by_it),
		BOTH(an_orphan_is_known_by_its_cgroup),
		BOTH(a_thread_answers_for_its_process),
		BOTH(another_users_socket_is_no_answer),
		BOTH(a_process_can_be_asked_for_an_inode),
		BOTH(a_batch_is_answered_one_by_one),
		BOTH(who_was_named_stays_until_the_next_lookup),
		cmocka_unit_test(only_connecting_sockets_are_dumped),
	};
	int missing = world_enter();

	if (missing)
		return missing;
	return cmocka_run_group_tests_name("owner", tests, NULL, NULL);
}
