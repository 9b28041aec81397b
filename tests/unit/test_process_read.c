// SPDX-License-Identifier: GPL-2.0-or-later
/* Real children of every awkward kind, and what the table says of them. */
#include "process.h"
#include "process_image.h"
#include "process_table.h"
#include "procfs.h"
#include "refstr.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define S 1000000000ull
#define COMMAND_LINE_MAX 4096
#define PROGRAM_MAX 64

struct fixture {
	struct process_table *table;
	int proc_fd;
	pid_t child;
	int ready[2], hold[2];	/* a child says ready; it lives until hold is closed */
	char program[PROGRAM_MAX];	/* a copy of sleep; "" none */
};

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct process_config config = {
		.max_processes = 4096, .linger_ns = 10 * S,
		.command_line_max_bytes = COMMAND_LINE_MAX,
	};

	f->proc_fd = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	config.proc_fd = f->proc_fd;
	*state = f;
	return pipe(f->ready) || pipe(f->hold) || process_table_new(&f->table, &config);
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	if (f->child > 0) {
		kill(f->child, SIGKILL);
		waitpid(f->child, NULL, 0);
	}
	if (f->program[0])
		unlink(f->program);
	process_table_free(f->table);
	close(f->proc_fd);
	for (int i = 0; i < 2; i++) {
		close(f->ready[i]);
		close(f->hold[i]);
	}
	free(f);
	return 0;
}

static void say_ready(struct fixture *f)
{
	if (write(f->ready[1], "r", 1) != 1)
		_exit(99);
}

static void wait_for_ready(struct fixture *f)
{
	struct pollfd wait = { .fd = f->ready[0], .events = POLLIN };
	char c;

	assert_int_equal(poll(&wait, 1, 20000), 1);
	assert_int_equal(read(f->ready[0], &c, 1), 1);
}

static void stay(struct fixture *f)
{
	char c;

	say_ready(f);
	close(f->hold[1]);
	if (read(f->hold[0], &c, 1) >= 0)
		_exit(0);
}

/* Waits, without the reader under test, until the child runs its program and has its arguments. */
/* Until pid runs another program than this one, whose path may have `part` in it too. */
static void wait_for_exe(pid_t pid, const char *part)
{
	char name[64], self[512] = "", target[512], c;

	assert_true(readlink("/proc/self/exe", self, sizeof(self) - 1) > 0);
	for (int i = 0; i < 5000; i++) {
		ssize_t n;
		int fd;

		snprintf(name, sizeof(name), "/proc/%d/exe", pid);
		n = readlink(name, target, sizeof(target) - 1);
		target[n > 0 ? n : 0] = '\0';
		snprintf(name, sizeof(name), "/proc/%d/cmdline", pid);
		fd = open(name, O_RDONLY);
		n = read(fd, &c, 1);
		close(fd);
		if (n == 1 && strcmp(target, self) != 0 && strstr(target, part))
			return;
		usleep(1000);
	}
	fail_msg("%s: %s", name, target);
}

static struct process *spawn(struct fixture *f, void (*act)(struct fixture *f))
{
	f->child = fork();
	assert_true(f->child >= 0);
	if (f->child == 0) {
		act(f);
		stay(f);
		_exit(98);
	}
	wait_for_ready(f);
	return process_find(f->table, f->child, 0);
}

static void copy_sleep(struct fixture *f)
{
	int from = open("/bin/sleep", O_RDONLY), to;
	struct stat st;

	strcpy(f->program, "/var/tmp/nfwho-test-XXXXXX");
	to = mkstemp(f->program);
	assert_true(from >= 0 && to >= 0);
	assert_int_equal(fstat(from, &st), 0);
	assert_int_equal(sendfile(to, from, NULL, st.st_size), st.st_size);
	assert_int_equal(fchmod(to, 0755), 0);
	close(from);
	close(to);
}

static void nothing(struct fixture *f)
{
	(void)f;
}

static void the_plain_facts(void **state)
{
	struct fixture *f = *state;
	struct process *p = spawn(f, nothing);
	char self[256];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	assert_non_null(p);
	self[n] = '\0';
	assert_int_equal(p->pid, f->child);
	assert_int_equal(p->ppid, getpid());
	assert_int_equal(p->vpid, f->child);
	assert_int_equal(p->parent->pid, getpid());
	assert_string_equal(p->parent->executable, self);
	assert_string_equal(p->executable, self);
	assert_false(p->executable_deleted);
	assert_int_equal(p->uid, geteuid());
	assert_int_equal(p->gid, getegid());
	assert_int_equal(p->sid, getsid(0));
	assert_false(p->kernel_thread);
	assert_true(p->known & PROCESS_CGROUP);
	assert_true(p->known & PROCESS_DIRECTORY);
	if (p->known & PROCESS_USERNS)
		assert_false(p->foreign_userns);
}

/* When the record of a fork is written for a process that began in this tick. */
static uint64_t time_of(const struct process_table *t, uint64_t start_ticks)
{
	return start_ticks * t->ns_per_tick + t->ns_per_tick / 2 - t->boot_offset_ns;
}

static void the_start_is_the_same_from_a_record_and_from_proc(void **state)
{
	struct fixture *f = *state;
	uint64_t start, real, time_ns;
	struct process *p;

	p = spawn(f, nothing);
	start = p->start_ticks;
	real = p->start_real_ns;
	time_ns = time_of(f->table, start);
	process_fork(f->table, time_ns, f->child, f->child, getpid(), getpid());
	assert_ptr_equal(process_get(f->table, f->child), p);
	process_remove(f->table, p);
	process_fork(f->table, time_ns, f->child, f->child, getpid(), getpid());
	p = process_get(f->table, f->child);
	assert_int_equal(p->start_ticks, start);
	process_remove(f->table, p);
	/* The record comes a little later, perhaps in the next tick. */
	time_ns += f->table->ns_per_tick;
	process_fork(f->table, time_ns, f->child, f->child, getpid(), getpid());
	p = process_get(f->table, f->child);
	assert_int_equal(p->start_ticks, start + 1);
	assert_true(process_read(f->table, p));
	assert_false(process_read(f->table, p));
	assert_int_equal(p->start_ticks, start);
	assert_in_range(p->start_real_ns, real - S / 1000, real + S / 1000);
}

static void odd_name(struct fixture *f)
{
	(void)f;
	prctl(PR_SET_NAME, "a)\n( Z 1\\x");
}

static void a_name_may_hold_anything(void **state)
{
	struct process *p = spawn(*state, odd_name);

	assert_string_equal(p->comm, "a)\n( Z 1\\x");
}

static void rename_when_told(struct fixture *f)
{
	char c;

	say_ready(f);
	if (read(f->hold[0], &c, 1) != 1)
		_exit(97);
	prctl(PR_SET_NAME, "renamed");
}

static void a_renamed_process_is_still_the_same_program(void **state)
{
	struct fixture *f = *state;
	struct process *p = spawn(f, rename_when_told);

	assert_string_not_equal(p->comm, "renamed");
	assert_int_equal(write(f->hold[1], "g", 1), 1);
	wait_for_ready(f);
	assert_ptr_equal(process_refresh(f->table, p), p);
	assert_string_equal(p->comm, "renamed");
	assert_string_equal(process_thread_name(f->table, p->pid, p->pid), "renamed");
}

static void run_copy(struct fixture *f)
{
	say_ready(f);
	execl(f->program, "name of its own", "1000", NULL);
}

static void a_deleted_executable_keeps_its_path(void **state)
{
	struct fixture *f = *state;
	struct process *p;

	copy_sleep(f);
	spawn(f, run_copy);
	wait_for_exe(f->child, f->program);
	unlink(f->program);
	p = process_refresh(f->table, process_find(f->table, f->child, 0));
	assert_string_equal(p->executable, f->program);
	assert_true(p->executable_deleted);
	assert_memory_equal(p->command_line, "name of its own\0" "1000", p->command_line_len);
	assert_int_equal(p->args_count, 2);
}

static void run_memfd(struct fixture *f)
{
	int from = open("/bin/sleep", O_RDONLY), fd = memfd_create("hidden", MFD_CLOEXEC);
	char *argv[] = { (char *)"x", (char *)"1000", NULL }, *envp[] = { NULL };
	struct stat st;

	if (fstat(from, &st) || sendfile(fd, from, NULL, st.st_size) != st.st_size)
		_exit(96);
	say_ready(f);
	fexecve(fd, argv, envp);
}

static void an_executable_in_memory_says_so(void **state)
{
	struct fixture *f = *state;
	struct process *p;

	spawn(f, run_memfd);
	wait_for_exe(f->child, "memfd");
	p = process_refresh(f->table, process_find(f->table, f->child, 0));
	assert_string_equal(p->executable, "/memfd:hidden");
	assert_true(p->executable_deleted);
}

#define BIG_ARGUMENTS 14
#define BIG_BYTES (127 * 1024)

static void run_big(struct fixture *f)
{
	static char argument[BIG_BYTES];
	char *argv[5 + BIG_ARGUMENTS] = { (char *)"sh", (char *)"-c", (char *)"read line; :" };

	close(f->hold[1]);
	dup2(f->hold[0], STDIN_FILENO);
	memset(argument, 'x', sizeof(argument) - 1);
	for (int i = 3; i < 4 + BIG_ARGUMENTS; i++)
		argv[i] = argument;
	say_ready(f);
	execve("/bin/sh", argv, (char *[]){ NULL });
}

static void a_huge_command_line_is_cut(void **state)
{
	struct fixture *f = *state;
	struct process *p;

	spawn(f, run_big);
	wait_for_exe(f->child, "sh");
	p = process_refresh(f->table, process_find(f->table, f->child, 0));
	assert_int_equal(p->command_line_len, COMMAND_LINE_MAX);
	assert_true(p->command_line_cut);
	assert_int_equal(p->args_count, 0);
	assert_memory_equal(p->command_line, "sh\0-c\0read", 10);
}

static void run_copy_as_another(struct fixture *f)
{
	if (setgid(12345) || setuid(12345))
		_exit(95);
	run_copy(f);
}

static void a_setuid_program_has_two_users(void **state)
{
	struct fixture *f = *state;
	struct process *p;

	if (geteuid() != 0)
		skip();
	copy_sleep(f);
	assert_int_equal(chown(f->program, 65534, 65534), 0);
	assert_int_equal(chmod(f->program, 06755), 0);
	spawn(f, run_copy_as_another);
	wait_for_exe(f->child, f->program);
	p = process_refresh(f->table, process_find(f->table, f->child, 0));
	assert_int_equal(p->ruid, 12345);
	assert_int_equal(p->uid, 65534);
	assert_int_equal(p->gid, 65534);
}

static void drop_when_told(struct fixture *f)
{
	char c;

	say_ready(f);
	if (read(f->hold[0], &c, 1) != 1 || setuid(12345))
		_exit(94);
}

static void a_user_dropped_later_is_seen_when_looked_at_again(void **state)
{
	struct fixture *f = *state;
	struct process *p;

	if (geteuid() != 0)
		skip();
	p = spawn(f, drop_when_told);
	assert_int_equal(p->uid, 0);
	assert_int_equal(write(f->hold[1], "g", 1), 1);
	wait_for_ready(f);
	assert_ptr_equal(process_refresh(f->table, p), p);
	assert_int_equal(p->uid, 12345);
}

static void enter_pid_namespace(struct fixture *f)
{
	pid_t pid;

	if (unshare(CLONE_NEWPID))
		_exit(93);
	pid = fork();
	if (pid == 0)
		stay(f);
	waitpid(pid, NULL, 0);
	_exit(0);
}

static int first_child(uint32_t pid, void *data)
{
	uint32_t *pids = data;
	struct procfs_stat stat;
	int proc_fd = open("/proc", O_PATH | O_DIRECTORY), fd = procfs_open(proc_fd, pid);

	if (fd >= 0 && procfs_read_stat(fd, &stat) == 0 && stat.ppid == pids[0])
		pids[1] = pid;
	close(fd);
	close(proc_fd);
	return pids[1] != 0;
}

static void a_pid_namespace_has_its_own_pid(void **state)
{
	struct fixture *f = *state;
	struct process *p;
	uint32_t pids[2];

	if (geteuid() != 0)
		skip();
	spawn(f, enter_pid_namespace);
	pids[0] = f->child;
	pids[1] = 0;
	assert_int_equal(procfs_each_number(f->proc_fd, ".", first_child, pids), 1);
	p = process_find(f->table, pids[1], 0);
	assert_int_equal(p->vpid, 1);
	assert_int_equal(p->parent->pid, f->child);
}

static void enter_user_namespace(struct fixture *f)
{
	(void)f;
	if (unshare(CLONE_NEWUSER | CLONE_NEWNET))
		_exit(92);
}

/* Not in a chroot, and not where user namespaces are switched off. */
static bool may_enter_user_namespace(void)
{
	pid_t pid = fork();
	int status = -1;

	if (pid == 0)
		_exit(unshare(CLONE_NEWUSER | CLONE_NEWNET) ? 1 : 0);
	waitpid(pid, &status, 0);
	return status == 0;
}

static void other_namespaces_are_told(void **state)
{
	struct fixture *f = *state;
	struct process *p, *self;
	struct stat st;
	char path[64];

	if (geteuid() != 0 || !may_enter_user_namespace())
		skip();
	p = spawn(f, enter_user_namespace);
	self = process_find(f->table, getpid(), 0);
	snprintf(path, sizeof(path), "/proc/%d/ns/net", f->child);
	assert_int_equal(stat(path, &st), 0);
	assert_true(p->known & PROCESS_NETNS);
	assert_int_equal(p->netns, st.st_ino);
	assert_true(p->netns != self->netns);
	assert_true(p->known & PROCESS_USERNS);
	assert_true(p->foreign_userns);
	assert_false(self->foreign_userns);
}

static void a_zombie_has_a_name_and_nothing_else(void **state)
{
	struct fixture *f = *state;
	siginfo_t info;
	struct process *p;

	f->child = fork();
	if (f->child == 0)
		_exit(0);
	assert_int_equal(waitid(P_PID, f->child, &info, WEXITED | WNOWAIT), 0);
	p = process_find(f->table, f->child, 0);
	assert_non_null(p);
	assert_true(p->known & PROCESS_COMM);
	assert_false(p->known & (PROCESS_EXECUTABLE | PROCESS_COMMAND_LINE));
	assert_int_equal(waitpid(f->child, NULL, 0), f->child);
	assert_null(process_refresh(f->table, p));
	assert_null(process_find(f->table, f->child, 0));
	assert_true(process_get(f->table, f->child)->exit_ns != 0);
	f->child = 0;
}

static void a_process_gone_before_it_is_read_keeps_what_records_said(void **state)
{
	struct fixture *f = *state;
	struct process *p;

	f->child = fork();
	if (f->child == 0)
		_exit(0);
	waitpid(f->child, NULL, 0);
	process_fork(f->table, process_now(), f->child, f->child, getpid(), getpid());
	process_comm(f->table, process_now(), f->child, f->child, "short");
	process_exec(f->table, process_now(), f->child, "/bin/short");
	p = process_get(f->table, f->child);
	assert_false(process_read(f->table, p));
	assert_true(p->known & PROCESS_READ);
	assert_string_equal(p->comm, "short");
	assert_string_equal(p->executed, "/bin/short");
	assert_int_equal(p->ppid, getpid());
	assert_int_equal(process_stats(f->table)->reads_late, 1);
	f->child = 0;
}

/* What /proc/PID/stat says after the name in brackets. */
static bool first_thread_is_gone(void)
{
	FILE *file = fopen("/proc/self/stat", "re");
	char line[512] = "", *bracket;

	if (!file)
		return false;
	if (!fgets(line, sizeof(line), file))
		line[0] = '\0';
	fclose(file);
	bracket = strrchr(line, ')');
	return bracket && bracket[1] == ' ' && bracket[2] == 'Z';
}

static void *live_on(void *data)
{
	while (!first_thread_is_gone())
		usleep(1000);
	prctl(PR_SET_NAME, "last one");
	stay(data);
	return NULL;
}

static void leave_to_thread(struct fixture *f)
{
	pthread_t thread;

	pthread_create(&thread, NULL, live_on, f);
	pthread_exit(NULL);
}

static void a_process_without_its_first_thread_is_read_from_another(void **state)
{
	struct fixture *f = *state;
	struct process *p = spawn(f, leave_to_thread);

	assert_true(p->known & PROCESS_EXECUTABLE);
	assert_non_null(strstr(p->executable, "test_process_read"));
	assert_true(p->known & PROCESS_COMMAND_LINE);
	assert_int_equal(p->exit_ns, 0);
	assert_non_null(p->threads);
	assert_string_equal(process_thread_name(f->table, p->pid, p->threads->tid), "last one");
	process_exit(f->table, process_now(), p->pid, p->threads->tid);
	assert_true(p->exit_ns != 0);
}

static void *exec_when_told(void *data)
{
	struct fixture *f = data;
	char c;

	say_ready(f);
	if (read(f->hold[0], &c, 1) == 1)
		execl("/bin/sleep", "sleep", "1000", NULL);
	_exit(91);
}

static void exec_in_thread(struct fixture *f)
{
	pthread_t thread;

	pthread_create(&thread, NULL, exec_when_told, f);
	pthread_join(thread, NULL);
}

static void exec_from_a_thread_is_another_program_of_the_same_process(void **state)
{
	struct fixture *f = *state;
	struct process *before = process_ref(spawn(f, exec_in_thread)), *after;

	assert_int_equal(write(f->hold[1], "g", 1), 1);
	wait_for_exe(f->child, "/sleep");
	after = process_refresh(f->table, before);
	assert_non_null(after);
	assert_ptr_not_equal(after, before);
	assert_int_equal(after->start_ticks, before->start_ticks);
	assert_string_equal(after->comm, "sleep");
	assert_memory_equal(after->command_line, "sleep\0" "1000", 10);
	assert_non_null(strstr(before->executable, "test_process_read"));
	process_unref(before);
}

/* In the first thread, as most do it. */
static void exec_alone(struct fixture *f)
{
	exec_when_told(f);
}

/* No record tells of it where nothing is traced, nor if it was lost. */
static void whoever_is_looked_for_is_seen_as_it_is_now(void **state)
{
	struct fixture *f = *state;
	struct process *p;

	for (int lost = 0; lost < 2; lost++) {
		p = spawn(f, exec_alone);
		assert_string_not_equal(p->comm, "sleep");
		if (lost) {
			process_fork(f->table, process_now(), 5000001, 5000001, 1, 1);
			process_lost(f->table, process_now());
		}
		assert_int_equal(write(f->hold[1], "g", 1), 1);
		wait_for_exe(f->child, "/sleep");
		p = process_find(f->table, f->child, 0);
		assert_string_equal(p->comm, "sleep");
		assert_memory_equal(p->command_line, "sleep\0" "1000", 10);
		kill(f->child, SIGKILL);
		waitpid(f->child, NULL, 0);
		f->child = 0;
	}
}

/* Reading one brings its parent into a table that is full, and another one, whose turn it is next,
 * out of it. */
static void who_is_being_read_may_be_given_up(void **state)
{
	struct fixture *f = *state;
	struct process_config config = {
		.proc_fd = f->proc_fd, .max_processes = 2, .linger_ns = 10 * S,
		.command_line_max_bytes = COMMAND_LINE_MAX,
	};
	struct process_table *small;
	uint32_t pids[2];
	pid_t first;

	spawn(f, nothing);
	first = f->child;
	spawn(f, nothing);
	pids[0] = (uint32_t)f->child;
	pids[1] = (uint32_t)first;
	assert_int_equal(process_table_new(&small, &config), 0);
	for (int i = 2; i-- > 0;) {
		uint64_t began = process_get(f->table, pids[i])->start_ticks;

		process_fork(small, time_of(small, began), pids[i], pids[i], (uint32_t)getpid(),
			     (uint32_t)getpid());
	}
	process_read_new(small, pids, 2);
	assert_int_equal(process_stats(small)->live, 2);
	assert_int_equal(process_stats(small)->shed, 1);
	assert_non_null(process_get(small, (uint32_t)getpid()));
	process_table_free(small);
	kill(first, SIGKILL);
	waitpid(first, NULL, 0);
}

static void vfork_and_wait(struct fixture *f)
{
	if (vfork() == 0)
		stay(f);
	_exit(0);
}

static void a_child_by_vfork_shows_its_parents_program(void **state)
{
	struct fixture *f = *state;
	uint32_t pids[2];
	struct process *p;

	spawn(f, vfork_and_wait);
	pids[0] = f->child;
	pids[1] = 0;
	assert_int_equal(procfs_each_number(f->proc_fd, ".", first_child, pids), 1);
	p = process_find(f->table, pids[1], 0);
	assert_string_equal(p->executable, p->parent->executable);
	assert_int_equal(p->ppid, f->child);
	close(f->hold[1]);
	f->hold[1] = -1;
}

static void only_the_very_process_is_found(void **state)
{
	struct fixture *f = *state;
	struct process *p = spawn(f, nothing);
	uint64_t start = p->start_ticks;

	assert_ptr_equal(process_find(f->table, f->child, start), p);
	assert_null(process_find(f->table, f->child, start + 1));
	assert_null(process_find(f->table, f->child, start - 1));
	p->start_ticks -= 100;
	assert_true(process_find(f->table, f->child, start) != NULL);
	assert_int_equal(process_get(f->table, f->child)->start_ticks, start);
}

static void a_reused_pid_is_not_read_into_the_old_process(void **state)
{
	struct fixture *f = *state;
	struct process *p;

	spawn(f, nothing);
	process_remove(f->table, process_get(f->table, f->child));
	process_fork(f->table, process_now() - 60 * S, f->child, f->child, 1, 1);
	p = process_get(f->table, f->child);
	assert_false(process_read(f->table, p));
	assert_false(p->known & (PROCESS_EXECUTABLE | PROCESS_COMMAND_LINE | PROCESS_IDS));
}

static void a_scan_finds_everyone_and_records_add_nobody(void **state)
{
	struct fixture *f = *state;
	struct process *init, *self;
	uint64_t live;

	assert_int_equal(process_scan(f->table), 0);
	live = process_stats(f->table)->live;
	init = process_get(f->table, 1);
	self = process_get(f->table, getpid());
	assert_non_null(init);
	assert_int_equal(self->parent->pid, getppid());
	process_fork(f->table, process_now() - 60 * S, getpid(), getpid(), 1, 1);
	process_exec(f->table, self->read_begin_ns - 5, getpid(), "./test_process_read");
	process_comm(f->table, self->read_begin_ns - 5, getpid(), getpid(), "old name");
	assert_ptr_equal(process_get(f->table, getpid()), self);
	assert_string_equal(self->executed, "./test_process_read");
	assert_string_not_equal(self->comm, "old name");
	assert_int_equal(process_stats(f->table)->live, live);
}

static void kernel_threads_are_told_apart(void **state)
{
	struct fixture *f = *state;
	struct process *p = process_find(f->table, 2, 0);

	if (!p || strcmp(p->comm, "kthreadd") != 0)
		skip();
	assert_true(p->kernel_thread);
	assert_false(p->known & (PROCESS_EXECUTABLE | PROCESS_COMMAND_LINE));
}

static void after_a_loss_the_table_looks_again(void **state)
{
	struct fixture *f = *state;
	pid_t pid;

	spawn(f, nothing);
	pid = f->child;
	process_fork(f->table, process_now(), 5000001, 5000001, pid, pid);
	process_lost(f->table, process_now());
	assert_null(process_get(f->table, 5000001));
	assert_non_null(process_get(f->table, pid));
	assert_int_equal(process_get(f->table, pid)->exit_ns, 0);
}

/* Its parent's exec was lost, and nobody has asked for that one since. */
static void after_a_loss_a_child_has_the_program_that_its_parent_runs(void **state)
{
	struct fixture *f = *state;
	struct process *parent = process_ref(spawn(f, exec_alone)), *child;

	assert_non_null(strstr(parent->executable, "test_process_read"));
	assert_int_equal(write(f->hold[1], "g", 1), 1);
	wait_for_exe(f->child, "/sleep");
	process_lost(f->table, process_now());
	process_fork(f->table, process_now(), 5000001, 5000001, f->child, f->child);
	child = process_get(f->table, 5000001);
	assert_non_null(strstr(child->executable, "/sleep"));
	assert_string_equal(child->parent->comm, "sleep");
	process_unref(parent);
}

/* So were its end and the fork of the next process with its pid. */
static void who_had_ended_before_has_no_children(void **state)
{
	struct fixture *f = *state;
	uint64_t now = process_now();
	struct process *dead, *child;

	process_fork(f->table, now, 5000001, 5000001, 1, 1);
	process_exec(f->table, now + 1, 5000001, "/bin/dead");
	process_exit(f->table, now + 2, 5000001, 5000001);
	process_fork(f->table, now + 3, 5000002, 5000002, 5000001, 5000001);
	dead = process_get(f->table, 5000001);
	child = process_get(f->table, 5000002);
	assert_non_null(dead);
	assert_int_equal(child->ppid, 5000001);
	assert_null(child->parent);
	assert_null(child->executed);
	assert_true(process_ran_at(f->table, dead, now + 2));
	assert_false(process_ran_at(f->table, dead, now + 3));
}

/* Its parent was read as the program that it ran next, and so it was itself not believed. */
static void a_child_is_read_again_when_its_parents_program_is_taken_back(void **state)
{
	struct fixture *f = *state;
	struct process next = { .known = PROCESS_EXECUTABLE }, *parent, *child = spawn(f, nothing);
	uint64_t forked = time_of(f->table, child->start_ticks);
	char *self = strdup(child->executable);

	process_remove(f->table, child);
	process_fork(f->table, forked - 300, 5000001, 5000001, 1, 1);
	parent = process_get(f->table, 5000001);
	next.executable = refstr_new("/bin/next", 9);
	process_image_share(parent, &next, PROCESS_EXECUTABLE);
	process_image_clear(&next);
	parent->read_known = PROCESS_EXECUTABLE;
	parent->read_begin_ns = forked + 2000;
	parent->read_end_ns = forked + 3000;
	process_fork(f->table, forked, f->child, f->child, 5000001, 5000001);
	child = process_get(f->table, f->child);
	process_read(f->table, child);
	assert_string_equal(child->executable, "/bin/next");
	process_exec(f->table, forked + 1000, 5000001, "/bin/next");
	assert_true(process_read(f->table, child));
	assert_string_equal(child->executable, self);
	free(self);
}

#define test(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(the_plain_facts),
		test(the_start_is_the_same_from_a_record_and_from_proc),
		test(a_name_may_hold_anything),
		test(a_renamed_process_is_still_the_same_program),
		test(a_deleted_executable_keeps_its_path),
		test(an_executable_in_memory_says_so),
		test(a_huge_command_line_is_cut),
		test(a_setuid_program_has_two_users),
		test(a_user_dropped_later_is_seen_when_looked_at_again),
		test(a_pid_namespace_has_its_own_pid),
		test(other_namespaces_are_told),
		test(a_zombie_has_a_name_and_nothing_else),
		test(a_process_gone_before_it_is_read_keeps_what_records_said),
		test(a_process_without_its_first_thread_is_read_from_another),
		test(exec_from_a_thread_is_another_program_of_the_same_process),
		test(whoever_is_looked_for_is_seen_as_it_is_now),
		test(who_is_being_read_may_be_given_up),
		test(a_child_by_vfork_shows_its_parents_program),
		test(only_the_very_process_is_found),
		test(a_reused_pid_is_not_read_into_the_old_process),
		test(a_scan_finds_everyone_and_records_add_nobody),
		test(kernel_threads_are_told_apart),
		test(after_a_loss_the_table_looks_again),
		test(a_child_is_read_again_when_its_parents_program_is_taken_back),
		test(after_a_loss_a_child_has_the_program_that_its_parent_runs),
		test(who_had_ended_before_has_no_children),
	};

	return cmocka_run_group_tests_name("process_read", tests, NULL, NULL);
}
