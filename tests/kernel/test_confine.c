// SPDX-License-Identifier: GPL-2.0-or-later
/* What the confined process cannot do any more, and what it still can. */
#include "capability.h"
#include "ifname.h"
#include "mounts.h"
#include "skip.h"
#include "syscalls.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/times.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static char directory[] = "/tmp/nfwho-confine.XXXXXX";

/* In a child, that its test does not share the fate of: its wait status. */
static int status_of(int (*act)(const void *with), const void *with)
{
	pid_t child = fork();
	int status;

	if (child == 0)
		_exit(act(with));
	assert_true(child > 0);
	assert_int_equal(waitpid(child, &status, 0), child);
	return status;
}

/* What a call does that returns: 0, or errno. */
struct call {
	const char *name;
	int (*make)(void);
	bool internet;
};

static int held;	/* a directory, opened before */

static int outcome(long result)
{
	return result < 0 ? errno : 0;
}

static int call_exec(void)
{
	char *const arguments[] = { (char *)"true", NULL };

	return outcome(execve("/bin/true", arguments, arguments + 1));
}

static int call_fork(void)
{
	pid_t child = fork();

	if (child == 0)
		_exit(0);
	return outcome(child);
}

static int call_ptrace(void)
{
	return outcome(ptrace(PTRACE_ATTACH, getppid(), NULL, NULL));
}

static int call_vm_write(void)
{
	struct iovec io = { directory, 1 };

	return outcome(process_vm_writev(getppid(), &io, 1, &io, 1, 0));
}

static int call_open_write(void)
{
	return outcome(open("/dev/null", O_WRONLY | O_CLOEXEC));
}

static int call_open_read_write(void)
{
	return outcome(open("/dev/null", O_RDWR | O_CLOEXEC));
}

static int call_create(void)
{
	return outcome(open("/tmp/nfwho-never", O_RDONLY | O_CREAT | O_CLOEXEC, 0600));
}

static int call_packet_socket(void)
{
	return outcome(socket(AF_PACKET, SOCK_RAW, 0));
}

static int call_alg_socket(void)
{
	return outcome(socket(AF_ALG, SOCK_SEQPACKET, 0));
}

static int call_vsock_socket(void)
{
	return outcome(socket(AF_VSOCK, SOCK_STREAM, 0));
}

static int call_internet_socket(void)
{
	return outcome(socket(AF_INET, SOCK_STREAM, 0));
}

static int call_internet6_socket(void)
{
	return outcome(socket(AF_INET6, SOCK_STREAM, 0));
}

static int call_executable_memory(void)
{
	void *memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return memory == MAP_FAILED ? errno : 0;
}

static int call_executable_later(void)
{
	void *memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return memory == MAP_FAILED ? errno : outcome(mprotect(memory, 4096, PROT_READ | PROT_EXEC));
}

static int call_open_by_handle(void)
{
	return outcome(open_by_handle_at(AT_FDCWD, &(struct file_handle) { 0 }, O_RDONLY));
}

static int call_handle_elsewhere(void)
{
	int fd = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return outcome(open_by_handle_at(fd, &(struct file_handle) { 0 }, O_RDONLY));
}

static int call_handle_writing(void)
{
	return outcome(open_by_handle_at(held, &(struct file_handle) { 0 }, O_RDWR));
}

static int call_setuid(void)
{
	return outcome(syscall(SYS_setresuid, 0, 0, 0));
}

static int call_chmod(void)
{
	return outcome(fchmodat(AT_FDCWD, directory, 04755, 0));
}

static int call_mount(void)
{
	return outcome(syscall(SYS_mount, "none", directory, "tmpfs", 0, NULL));
}

static int call_io_uring(void)
{
	return outcome(syscall(SYS_io_uring_setup, 1, directory));
}

static int confined(const void *with)
{
	const struct call *call = with;

	if (syscalls_limit(&(struct syscalls) { .internet = call->internet, .cgroup_fd = held }))
		return 255;
	return call->make();
}

static void the_filter_kills_what_only_an_intruder_would_do(void **state)
{
	static const struct call calls[] = {
		{ "execve", call_exec }, { "fork", call_fork }, { "ptrace", call_ptrace },
		{ "process_vm_writev", call_vm_write },
		{ "open for writing", call_open_write },
		{ "open for both", call_open_read_write }, { "create", call_create },
		{ "AF_PACKET", call_packet_socket, true }, { "AF_ALG", call_alg_socket, true },
		{ "AF_VSOCK", call_vsock_socket, true },
		{ "AF_INET without an output that needs it", call_internet_socket },
		{ "AF_INET6 without an output that needs it", call_internet6_socket },
		{ "mmap PROT_EXEC", call_executable_memory },
		{ "mprotect PROT_EXEC", call_executable_later },
		{ "open_by_handle_at", call_open_by_handle },
		{ "open_by_handle_at in another file system", call_handle_elsewhere },
		{ "open_by_handle_at for writing", call_handle_writing },
		{ "setresuid", call_setuid },
		{ "chmod", call_chmod }, { "mount", call_mount },
		{ "io_uring_setup", call_io_uring },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		int status = status_of(confined, &calls[i]);

		if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGSYS)
			fail_msg("%s: status %#x, not killed by SIGSYS", calls[i].name, status);
	}
}

static int call_read(void)
{
	int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
	char c;

	return fd < 0 ? errno : outcome(read(fd, &c, 1) - 1);
}

/* The handle means nothing: what counts is that the kernel looks at it. */
static int call_handle_held(void)
{
	struct file_handle handle = { 0 };
	int err = outcome(open_by_handle_at(held, &handle, O_RDONLY | O_DIRECTORY | O_CLOEXEC));

	return err == ENOSYS || err == EPERM ? err : 0;
}

static int call_write_held(void)
{
	int fd = openat(held, "file", O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC, 0600);

	if (fd < 0 || write(fd, "x", 1) != 1 || ftruncate(fd, 0) < 0)
		return errno;
	return outcome(renameat(held, "file", held, "file.1"));
}

static int call_unix_socket(void)
{
	return outcome(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
}

static int call_netlink_socket(void)
{
	return outcome(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, 0));
}

/* The C library's own call tries one family after another then. */
static int call_ifname_without_descriptors(void)
{
	struct ifname cache = { 0 };

	while (dup(held) >= 0)
		;
	return ifname_get(&cache, 1, 0)[0] ? EEXIST : 0;
}

static void the_filter_lets_the_program_work(void **state)
{
	static const struct call calls[] = {
		{ "reading", call_read }, { "writing where a directory is held", call_write_held },
		{ "opening a cgroup by its id", call_handle_held },
		{ "no name for a device without descriptors", call_ifname_without_descriptors },
		{ "AF_UNIX", call_unix_socket }, { "AF_NETLINK", call_netlink_socket },
		{ "AF_INET for an output", call_internet_socket, true },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		int status = status_of(confined, &calls[i]);

		if (status)
			fail_msg("%s: status %#x", calls[i].name, status);
	}
}

static int call_unknown(void)
{
	struct tms times_spent;

	return outcome(syscall(SYS_times, &times_spent)) == ENOSYS ? 0 : 1;
}

static void what_is_in_neither_list_is_not_there(void **state)
{
	static const struct call call = { "times", call_unknown };

	(void)state;
	assert_int_equal(status_of(confined, &call), 0);
}

static int write_around(const void *with)
{
	const char *const directories[] = { with, "/tmp/nfwho-is-not-there" };
	char path[PATH_MAX];
	int err;

	if (chdir(with))
		return 1;
	err = mounts_close(directories, 2);
	if (err)
		return err == -ENOSYS ? 77 : 1;
	if (open("relative", O_WRONLY | O_CREAT | O_CLOEXEC, 0600) < 0)
		return 2;
	snprintf(path, sizeof(path), "%s/absolute", (const char *)with);
	if (open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600) < 0)
		return 3;
	if (open("../nfwho-never", O_WRONLY | O_CREAT | O_CLOEXEC, 0600) >= 0 || errno != EROFS)
		return 4;
	if (open("/proc/sys/kernel/core_pattern", O_WRONLY | O_CLOEXEC) >= 0 || errno != EROFS)
		return 5;
	if (open("/dev/null", O_RDWR | O_CLOEXEC) >= 0 || errno != EACCES)
		return 6;
	return 0;
}

static void only_the_given_directories_can_be_written(void **state)
{
	int status = status_of(write_around, directory);

	(void)state;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
		skip_because("no mount_setattr(2), which came with Linux 5.12");
	assert_int_equal(status, 0);
}

static int close_root(const void *with)
{
	const char *const directories[] = { "/" };

	(void)with;
	return mounts_close(directories, 1) == -EINVAL ? 0 : 1;
}

static void a_file_in_the_root_directory_leaves_all_writable(void **state)
{
	(void)state;
	assert_int_equal(status_of(close_root, NULL), 0);
}

static int limit_capabilities(const void *with)
{
	uint64_t keep = CAPABILITY(CAP_NET_ADMIN) | CAPABILITY(CAP_SYS_PTRACE), have;

	(void)with;
	if (capability_limit(keep) || capability_get(&have) || have != keep)
		return 1;
	if (prctl(PR_CAPBSET_READ, CAP_SYS_ADMIN, 0, 0, 0))
		return 2;
	/* None comes back with a program that root starts. */
	return prctl(PR_CAPBSET_READ, CAP_NET_ADMIN, 0, 0, 0) == 1 ? 0 : 3;
}

static void capabilities_are_cut_for_programs_too(void **state)
{
	(void)state;
	assert_int_equal(status_of(limit_capabilities, NULL), 0);
}

/* As in <linux/landlock.h>, which is newer than the kernels we know. */
#define CALL_LANDLOCK_CREATE_RULESET 444
#define CALL_LANDLOCK_RESTRICT_SELF 446
#define ACCESS_WRITE_FILE (1 << 1)

static int look_from_landlock(const void *with)
{
	uint64_t handled[2] = { ACCESS_WRITE_FILE };
	char path[64], link[PATH_MAX];
	int ruleset;

	(void)with;
	snprintf(path, sizeof(path), "/proc/%d/exe", (int)getppid());
	ruleset = (int)syscall(CALL_LANDLOCK_CREATE_RULESET, handled, sizeof(handled[0]), 0);
	if (ruleset < 0)
		return errno == ENOSYS || errno == EOPNOTSUPP ? 77 : 1;
	if (readlink(path, link, sizeof(link)) < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	    syscall(CALL_LANDLOCK_RESTRICT_SELF, ruleset, 0))
		return 1;
	return readlink(path, link, sizeof(link)) < 0 && errno == EACCES ? 0 : 2;
}

/* Why it is not used: should this fail one day, it can be. */
static void landlock_hides_other_processes(void **state)
{
	int status = status_of(look_from_landlock, NULL);

	(void)state;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
		skip_because("no landlock, or it is switched off");
	assert_int_equal(status, 0);
}

static int probe(const void *with)
{
	(void)with;
	return -syscalls_limit(&(struct syscalls) { 0 });
}

static int set_up(void **state)
{
	(void)state;
	if (!mkdtemp(directory))
		return -1;
	held = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return held < 0 ? -1 : 0;
}

static int tear_down(void **state)
{
	static const char *const names[] = { "file", "file.1", "relative", "absolute" };

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		unlinkat(held, names[i], 0);
	close(held);
	return rmdir(directory);
}

int main(void)
{
	const struct CMUnitTest filter[] = {
		cmocka_unit_test(the_filter_kills_what_only_an_intruder_would_do),
		cmocka_unit_test(the_filter_lets_the_program_work),
		cmocka_unit_test(what_is_in_neither_list_is_not_there),
	};
	const struct CMUnitTest rest[] = {
		cmocka_unit_test(only_the_given_directories_can_be_written),
		cmocka_unit_test(a_file_in_the_root_directory_leaves_all_writable),
		cmocka_unit_test(capabilities_are_cut_for_programs_too),
		cmocka_unit_test(landlock_hides_other_processes),
	};
	const struct rlimit no_core = { 0 };
	int failed = 0, probed;

	setrlimit(RLIMIT_CORE, &no_core);
	if (geteuid() != 0) {
		puts("needs root");
		return 77;
	}
	probed = status_of(probe, NULL);
	if (WIFEXITED(probed) && WEXITSTATUS(probed) == EOPNOTSUPP)
		puts("ok - the filter of system calls # SKIP a sanitizer's own would not pass it");
	else
		failed = cmocka_run_group_tests(filter, set_up, tear_down);
	memcpy(directory + strlen(directory) - 6, "XXXXXX", 6);
	return cmocka_run_group_tests(rest, set_up, tear_down) || failed;
}
