// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Two filters, each a plain list; the kernel asks both and the stricter answer counts. A filter
 * sees numbers, never what a pointer points to: it knows a call's flags and descriptors, but no
 * path and no address.
 */
#include "syscalls.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/perf_event.h>
#include <seccomp.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>

/* What the loop, the sources, the outputs and the C library beneath them need. */
static const char *const needed[] = {
	"read", "readv", "pread64", "pwrite64", "write", "writev", "lseek", "close", "dup",
	"fstat", "stat", "lstat", "newfstatat", "statx", "fstatfs", "statfs", "getdents64",
	"readlink", "readlinkat", "faccessat", "faccessat2", "access", "getcwd", "fcntl",
	"recvmsg", "recvfrom", "recvmmsg", "sendmsg", "sendmmsg", "sendto", "bind", "connect",
	"getsockname", "getpeername", "getsockopt", "setsockopt", "shutdown",
	"epoll_create1", "epoll_ctl", "epoll_wait", "epoll_pwait", "epoll_pwait2", "poll", "ppoll",
	"timerfd_create", "timerfd_settime", "timerfd_gettime",
	"clock_gettime", "clock_getres", "gettimeofday", "time", "nanosleep", "clock_nanosleep",
	"munmap", "mremap", "brk", "madvise", "futex", "getrandom",
	/* on descriptors and directories that are held */
	"flock", "ftruncate", "fsync", "fdatasync", "fchown", "fchmod", "rename", "renameat",
	"renameat2", "unlinkat",
	"rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "sigaltstack", "restart_syscall",
	"getpid", "gettid", "tgkill", "getuid", "geteuid", "getgid", "getegid", "capget",
	"uname", "sysinfo", "sched_yield", "sched_getaffinity", "getcpu", "membarrier", "rseq",
	"exit", "exit_group",
};

static const char *const deadly[] = {
	"execve", "execveat", "fork", "vfork", "clone", "clone3",
	"ptrace", "process_vm_readv", "process_vm_writev", "process_madvise", "pidfd_getfd",
	"memfd_create", "memfd_secret", "userfaultfd", "io_uring_setup",
	"init_module", "finit_module", "delete_module", "kexec_load", "kexec_file_load", "bpf",
	"mount", "umount2", "move_mount", "open_tree", "fsopen", "fsmount", "fspick",
	"mount_setattr", "pivot_root", "chroot", "unshare", "setns",
	"setuid", "setgid", "setreuid", "setregid", "setresuid", "setresgid", "setgroups",
	"setfsuid", "setfsgid", "capset", "personality", "add_key", "request_key", "keyctl",
	"mknod", "mknodat", "symlink", "symlinkat", "link", "linkat", "chmod", "fchmodat",
	"fchmodat2", "chown", "lchown", "fchownat", "creat", "truncate",
	"reboot", "swapon", "swapoff", "acct", "quotactl", "syslog", "vhangup",
	"settimeofday", "clock_settime", "clock_adjtime", "adjtimex", "iopl", "ioperm",
	"modify_ldt", "ioprio_set", "sched_setscheduler",
};

static const int families[] = { AF_UNIX, AF_NETLINK, AF_INET, AF_INET6 };

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED true
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED true
#endif
#endif
#ifndef SANITIZED
#define SANITIZED false
#endif

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define WRITING (O_WRONLY | O_RDWR | O_CREAT | O_TRUNC)

static int add_all(scmp_filter_ctx filter, uint32_t action, const char *const *names, size_t count)
{
	int number, err = 0;

	for (size_t i = 0; i < count && !err; i++) {
		number = seccomp_syscall_resolve_name(names[i]);
		/* Not on this architecture, or newer than the library. */
		if (number == __NR_SCMP_ERROR)
			continue;
		err = seccomp_rule_add(filter, action, number, 0);
	}
	return err;
}

/* An interface's name, perf_event_open(2)'s descriptors, and whether one is a terminal. */
static int allow_ioctls(scmp_filter_ctx filter)
{
	static const unsigned long requests[] = {
		PERF_EVENT_IOC_ENABLE, PERF_EVENT_IOC_DISABLE, PERF_EVENT_IOC_SET_FILTER,
		PERF_EVENT_IOC_SET_OUTPUT, PERF_EVENT_IOC_ID, TCGETS, SIOCGIFNAME,
	};
	int err = 0;

	for (size_t i = 0; i < COUNT(requests) && !err; i++)
		err = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1,
				       SCMP_A1(SCMP_CMP_MASKED_EQ, UINT32_MAX, requests[i]));
	return err;
}

/* Anything for reading; for writing what is in a directory held open. */
static int allow_opening(scmp_filter_ctx filter)
{
	int err = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(openat), 1,
				   SCMP_A2(SCMP_CMP_MASKED_EQ, WRITING, 0));

	if (!err)
		err = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(open), 1,
				       SCMP_A1(SCMP_CMP_MASKED_EQ, WRITING, 0));
	if (!err)
		err = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(openat), 1,
				       SCMP_A0(SCMP_CMP_LE, INT_MAX));
	return err;
}

static int allow_memory(scmp_filter_ctx filter)
{
	int err = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1,
				   SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));

	return err ? err : seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1,
					    SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
}

static int allow_sockets(scmp_filter_ctx filter, bool internet)
{
	size_t count = internet ? COUNT(families) : COUNT(families) - 2;
	int err = 0;

	for (size_t i = 0; i < count && !err; i++)
		err = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(socket), 1,
				       SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)families[i]));
	return err;
}

/* By its id, and only within the file system of cgroups, which is held: any other file could be
 * opened that way past every path that is closed to us. */
static int allow_cgroups(scmp_filter_ctx filter, int cgroup_fd)
{
	if (cgroup_fd < 0)
		return 0;
	return seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(open_by_handle_at), 2,
				SCMP_A0(SCMP_CMP_MASKED_EQ, UINT32_MAX, (scmp_datum_t)cgroup_fd),
				SCMP_A2(SCMP_CMP_MASKED_EQ, WRITING, 0));
}

/* Its own limits may be asked for, not changed. */
static int allow_asking(scmp_filter_ctx filter)
{
	return seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(prlimit64), 1,
				SCMP_A2(SCMP_CMP_EQ, 0));
}

static int fill_needed(scmp_filter_ctx filter, const struct syscalls *s)
{
	int err = add_all(filter, SCMP_ACT_ALLOW, needed, COUNT(needed));

	if (!err && s->trace)
		err = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(perf_event_open), 0);
	if (!err)
		err = allow_ioctls(filter);
	if (!err)
		err = allow_opening(filter);
	if (!err)
		err = allow_memory(filter);
	if (!err)
		err = allow_sockets(filter, s->internet);
	if (!err)
		err = allow_cgroups(filter, s->cgroup_fd);
	return err ? err : allow_asking(filter);
}

/* AF_UNIX, AF_NETLINK and, if wanted, the internet's: whatever is between or beyond kills. */
static int forbid_sockets(scmp_filter_ctx filter, bool internet)
{
	int err = 0;

	for (unsigned int family = 0; family < AF_NETLINK && !err; family++) {
		if (family == AF_UNIX || (internet && (family == AF_INET || family == AF_INET6)))
			continue;
		err = seccomp_rule_add(filter, SCMP_ACT_KILL_PROCESS, SCMP_SYS(socket), 1,
				       SCMP_A0(SCMP_CMP_EQ, family));
	}
	return err ? err : seccomp_rule_add(filter, SCMP_ACT_KILL_PROCESS, SCMP_SYS(socket), 1,
					    SCMP_A0(SCMP_CMP_GT, AF_NETLINK));
}

/* AT_FDCWD is the one descriptor that is negative and valid. */
static int forbid_writing(scmp_filter_ctx filter)
{
	static const int modes[] = { O_WRONLY, O_RDWR, O_CREAT, O_TRUNC };
	int err = 0;

	for (size_t i = 0; i < COUNT(modes) && !err; i++) {
		scmp_datum_t mode = (scmp_datum_t)modes[i];

		err = seccomp_rule_add(filter, SCMP_ACT_KILL_PROCESS, SCMP_SYS(openat), 2,
				       SCMP_A0(SCMP_CMP_GT, INT_MAX),
				       SCMP_A2(SCMP_CMP_MASKED_EQ, mode, mode));
		if (!err)
			err = seccomp_rule_add(filter, SCMP_ACT_KILL_PROCESS, SCMP_SYS(open), 1,
					       SCMP_A1(SCMP_CMP_MASKED_EQ, mode, mode));
	}
	return err;
}

/* -1, no descriptor, kills whatever is asked for. */
static int forbid_handles(scmp_filter_ctx filter, int cgroup_fd)
{
	static const int modes[] = { O_WRONLY, O_RDWR };
	scmp_datum_t held = cgroup_fd < 0 ? UINT32_MAX : (scmp_datum_t)cgroup_fd;
	int err = seccomp_rule_add(filter, SCMP_ACT_KILL_PROCESS, SCMP_SYS(open_by_handle_at), 1,
				   SCMP_A0(SCMP_CMP_GT, held));

	if (!err)
		err = seccomp_rule_add(filter, SCMP_ACT_KILL_PROCESS, SCMP_SYS(open_by_handle_at),
				       1, SCMP_A0(SCMP_CMP_LT, held));
	for (size_t i = 0; i < COUNT(modes) && !err; i++) {
		scmp_datum_t mode = (scmp_datum_t)modes[i];

		err = seccomp_rule_add(filter, SCMP_ACT_KILL_PROCESS, SCMP_SYS(open_by_handle_at),
				       1, SCMP_A2(SCMP_CMP_MASKED_EQ, mode, mode));
	}
	return err;
}

static int forbid_code(scmp_filter_ctx filter)
{
	int err = seccomp_rule_add(filter, SCMP_ACT_KILL_PROCESS, SCMP_SYS(mmap), 1,
				   SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, PROT_EXEC));

	return err ? err : seccomp_rule_add(filter, SCMP_ACT_KILL_PROCESS, SCMP_SYS(mprotect), 1,
					    SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, PROT_EXEC));
}

static int fill_deadly(scmp_filter_ctx filter, const struct syscalls *s)
{
	int err = add_all(filter, SCMP_ACT_KILL_PROCESS, deadly, COUNT(deadly));

	if (!err)
		err = forbid_sockets(filter, s->internet);
	if (!err)
		err = forbid_writing(filter);
	if (!err)
		err = forbid_handles(filter, s->cgroup_fd);
	return err ? err : forbid_code(filter);
}

static int load(uint32_t otherwise, const struct syscalls *s,
		int (*fill)(scmp_filter_ctx filter, const struct syscalls *s))
{
	scmp_filter_ctx filter = seccomp_init(otherwise);
	int err;

	if (!filter)
		return -ENOMEM;
	err = fill(filter, s);
	if (!err)
		err = seccomp_load(filter);
	seccomp_release(filter);
	return err;
}

/* What libseccomp will ask for, or all but: 2.5.4 crashes or never returns where an allocation
 * fails (tried with each in turn), so that the want of memory has to show before. Blocks below
 * another one are not given back to the kernel when they are freed, and are what it gets. The two
 * filters take less than 132 KiB. Returns the upper one, to be freed when all is over; NULL: no
 * memory. */
static void *reserve(void)
{
	void *volatile blocks[8];	/* or the compiler leaves all of it out */
	void *upper;
	size_t count = 0;

	while (count < COUNT(blocks) && (blocks[count] = malloc(32768)))
		count++;
	upper = malloc(64);
	if (count < COUNT(blocks)) {
		free(upper);
		upper = NULL;
	}
	while (count)
		free(blocks[--count]);
	return upper;
}

int syscalls_limit(const struct syscalls *syscalls)
{
	void *reserved;
	int err;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	if (SANITIZED)
		return -EOPNOTSUPP;
	reserved = reserve();
	if (!reserved)
		return -ENOMEM;
	err = load(SCMP_ACT_ALLOW, syscalls, fill_deadly);
	if (!err)
		err = load(SCMP_ACT_ERRNO(ENOSYS), syscalls, fill_needed);
	free(reserved);
	return err;
}
