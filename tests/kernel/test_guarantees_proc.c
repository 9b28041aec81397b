// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What the search for a socket's process takes for granted of /proc, of the numbers of inodes and
 * cgroups and of sock_diag, one sentence each. Where one of these fails, nfwho may find nobody, or
 * believe what a process says of itself: see lib/holder, lib/procfs and lib/owner before changing
 * the test.
 */
#include "cgroupfs.h"
#include "procfd.h"
#include "procfs.h"
#include "skip.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static int proc_fd;

static int open_process(pid_t pid)
{
	int fd = procfs_open(proc_fd, pid);

	assert_true(fd >= 0);
	return fd;
}

static void no_name_forges_a_line_of_its_status(void **state)
{
	static const char name[] = "\nTgid:\t1\nUid:\t1";
	int self = open_process(getpid());
	struct procfd_identity who;
	struct procfs_status status;
	char before[PROCFS_COMM_MAX];

	(void)state;
	assert_int_equal(prctl(PR_GET_NAME, before), 0);
	assert_int_equal(prctl(PR_SET_NAME, name), 0);
	assert_int_equal(procfs_read_status(self, &status), 0);
	assert_int_equal(procfd_identify(proc_fd, self, &who), 0);
	prctl(PR_SET_NAME, before);
	assert_string_equal(status.comm, name);
	assert_int_equal(status.uid, geteuid());
	assert_int_equal(who.pid, getpid());
	close(self);
}

static int goes_up(uint32_t pid, void *data)
{
	uint32_t *last = data;

	if (pid <= *last)
		return 1;
	*last = pid;
	return 0;
}

static void processes_are_listed_by_ascending_pid(void **state)
{
	uint32_t last = 0;

	(void)state;
	assert_int_equal(procfs_each_number(proc_fd, ".", goes_up, &last), 0);
	assert_true(last >= (uint32_t)getpid());
}

struct sockets {
	unsigned int count;
	int fd;
};

static bool socket_seen(int fd, uint64_t inode, void *data)
{
	struct sockets *seen = data;

	(void)inode;
	seen->fd = fd;
	seen->count++;
	return true;
}

static void a_list_of_descriptors_can_be_begun_at_any(void **state)
{
	int self = open_process(getpid()), fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int high = fcntl(fd, F_DUPFD_CLOEXEC, 700);
	struct sockets from_it = { 0 }, after_it = { 0 };

	(void)state;
	assert_true(high >= 700);
	assert_int_equal(procfd_scan(self, high, 1, socket_seen, &from_it), 1);
	assert_true(procfd_scan(self, high + 1, 1, socket_seen, &after_it) >= 0);
	assert_int_equal(from_it.count, 1);
	assert_int_equal(from_it.fd, high);
	assert_int_equal(after_it.count, 0);
	close(high);
	close(fd);
	close(self);
}

/* In a pid namespace of its own, where nobody else is given one. */
static int compare_last_pid(void)
{
	pid_t child = fork();
	char buf[128], *word;
	ssize_t n;

	if (child == 0)
		_exit(0);
	n = procfs_read(proc_fd, "loadavg", buf, sizeof(buf) - 1);
	if (child < 0 || n <= 0)
		return 1;
	buf[n] = '\0';
	word = strrchr(buf, ' ');
	return word && strtol(word, NULL, 10) == child ? 0 : 2;
}

static void loadavg_ends_with_the_pid_given_out_last(void **state)
{
	pid_t child = syscall(SYS_clone, CLONE_NEWPID | SIGCHLD, NULL, NULL, NULL, NULL);
	int status;

	(void)state;
	if (child == 0)
		_exit(compare_last_pid());
	assert_true(child > 0);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

/* Ends with what it has read from `hold`. */
static pid_t child_of_users(uid_t real, uid_t effective, int dumpable, int hold[static 2])
{
	int ready[2];
	pid_t child;
	char byte;

	assert_int_equal(pipe(ready), 0);
	child = fork();
	if (child == 0) {
		close(hold[1]);
		_exit(syscall(SYS_setresuid, real, effective, effective) ||
		      prctl(PR_SET_DUMPABLE, dumpable) || write(ready[1], "", 1) != 1 ||
		      read(hold[0], &byte, 1) < 0);
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	return child;
}

static void a_process_is_listed_as_its_effective_users(void **state)
{
	(void)state;
	for (int dumpable = 0; dumpable < 2; dumpable++) {
		struct stat st;
		int hold[2], fd;
		pid_t child;

		assert_int_equal(pipe(hold), 0);
		child = child_of_users(1001, 1002, dumpable, hold);
		fd = open_process(child);
		assert_int_equal(fstat(fd, &st), 0);
		close(fd);
		close(hold[0]);
		close(hold[1]);
		assert_int_equal(waitpid(child, NULL, 0), child);
		assert_int_equal(st.st_uid, 1002);
	}
}

static uint64_t stack_when_stopped(pid_t child)
{
	int status, fd = open_process(child);
	struct procfs_stat stat = { 0 };

	if (waitpid(child, &status, WUNTRACED) == child && WIFSTOPPED(status))
		procfs_read_stat(fd, &stat);
	close(fd);
	return stat.start_stack;
}

static bool stacks_are_random(void)
{
	uint32_t random = 0;

	procfs_read_number(proc_fd, "sys/kernel/randomize_va_space", &random);
	return random && !(personality(0xffffffff) & ADDR_NO_RANDOMIZE);
}

/* Of the same program, with the same arguments. (What the shell adds to the environment is there
 * from its second run on.) */
static void each_exec_begins_its_stack_elsewhere(void **state)
{
	static const char again[] = "kill -STOP $$; exec /bin/sh -c \"$0\" \"$0\"";
	uint64_t at[3];
	pid_t child;

	(void)state;
	if (!stacks_are_random())
		skip_because("addresses are not random here");
	child = fork();
	if (child == 0) {
		execl("/bin/sh", "/bin/sh", "-c", again, again, NULL);
		_exit(1);
	}
	for (int i = 0; i < 3; i++) {
		at[i] = stack_when_stopped(child);
		kill(child, SIGCONT);
	}
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	assert_true(at[1] && at[2]);
	assert_true(at[1] != at[2]);
}

static int compare_numbers(const void *a, const void *b)
{
	uint64_t first = *(const uint64_t *)a, second = *(const uint64_t *)b;

	return (first > second) - (first < second);
}

static void no_sockets_inode_number_comes_again(void **state)
{
	enum { SOCKETS = 5000 };
	static uint64_t inodes[SOCKETS];

	(void)state;
	for (int i = 0; i < SOCKETS; i++) {
		int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		struct stat st;

		assert_int_equal(fstat(fd, &st), 0);
		close(fd);
		inodes[i] = st.st_ino;
	}
	qsort(inodes, SOCKETS, sizeof(inodes[0]), compare_numbers);
	for (int i = 1; i < SOCKETS; i++)
		assert_true(inodes[i] != inodes[i - 1]);
}

/* Makes a cgroup, asks for its id and for its path by that, and removes it. Returns 0, or -errno if
 * none can be made. */
static int cgroup_passes(const char *name, uint64_t *id, char path[static CGROUPFS_PATH_MAX])
{
	struct {
		struct file_handle handle;
		uint64_t id;
	} h = { .handle.handle_bytes = sizeof(h.id) };
	struct cgroupfs fs;
	struct stat st;
	int mount_id, err;

	cgroupfs_init(&fs, proc_fd);
	if (fs.mount_fd < 0 || mkdirat(fs.mount_fd, name, 0755) < 0) {
		err = fs.mount_fd < 0 ? -ENODEV : -errno;
		cgroupfs_fini(&fs);
		return err;
	}
	err = fstatat(fs.mount_fd, name, &st, 0) | name_to_handle_at(fs.mount_fd, name, &h.handle,
								     &mount_id, 0);
	snprintf(path, CGROUPFS_PATH_MAX, "%s", cgroupfs_path(&fs, h.id));
	unlinkat(fs.mount_fd, name, AT_REMOVEDIR);
	cgroupfs_fini(&fs);
	assert_int_equal(err, 0);
	assert_int_equal(h.handle.handle_type, 0xfe);	/* lib/cgroupfs.c, CGROUPFS_FILEID */
	assert_true(h.id == st.st_ino);
	*id = h.id;
	return 0;
}

static void a_cgroup_is_opened_by_its_id_and_the_next_has_another(void **state)
{
	char name[64], path[2][CGROUPFS_PATH_MAX];
	struct cgroupfs fs;
	uint64_t id[2];
	int err;

	(void)state;
	snprintf(name, sizeof(name), "/nfwho-guarantees-%d", getpid());
	err = cgroup_passes(name + 1, &id[0], path[0]);
	if (err)
		skip_because("no cgroup of version 2 can be made: %s", strerror(-err));
	assert_int_equal(cgroup_passes(name + 1, &id[1], path[1]), 0);
	assert_string_equal(path[0], name);
	assert_string_equal(path[1], name);
	assert_true(id[0] != id[1]);
	cgroupfs_init(&fs, proc_fd);
	assert_string_equal(cgroupfs_path(&fs, id[0]), "");
	cgroupfs_fini(&fs);
}

static void sock_diag_has_answered_when_send_returns(void **state)
{
	struct {
		struct nlmsghdr header;
		struct inet_diag_req_v2 body;
	} ask = {
		.header = { .nlmsg_len = sizeof(ask), .nlmsg_type = SOCK_DIAG_BY_FAMILY,
			    .nlmsg_flags = NLM_F_REQUEST },
		.body = { .sdiag_family = AF_INET, .sdiag_protocol = IPPROTO_TCP },
	};
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
	char answer[1024];

	(void)state;
	for (int i = 0; i < 1000; i++) {
		assert_int_equal(send(fd, &ask, sizeof(ask), 0), sizeof(ask));
		assert_true(recv(fd, answer, sizeof(answer), MSG_DONTWAIT) > 0);
		assert_int_equal(recv(fd, answer, sizeof(answer), MSG_DONTWAIT), -1);
	}
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_name_forges_a_line_of_its_status),
		cmocka_unit_test(processes_are_listed_by_ascending_pid),
		cmocka_unit_test(a_list_of_descriptors_can_be_begun_at_any),
		cmocka_unit_test(loadavg_ends_with_the_pid_given_out_last),
		cmocka_unit_test(a_process_is_listed_as_its_effective_users),
		cmocka_unit_test(each_exec_begins_its_stack_elsewhere),
		cmocka_unit_test(no_sockets_inode_number_comes_again),
		cmocka_unit_test(a_cgroup_is_opened_by_its_id_and_the_next_has_another),
		cmocka_unit_test(sock_diag_has_answered_when_send_returns),
	};

	proc_fd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (geteuid() != 0 || proc_fd < 0) {
		puts("needs root and /proc");
		return 77;
	}
	return cmocka_run_group_tests_name("guarantees of /proc", tests, NULL, NULL);
}
