// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * fault CALL WHAT FIRST[-[LAST]] [--while FILE] [--tell FILE] PROGRAM…
 *
 * Runs a program whose calls of one kind fail, or are late. WHAT is an errno's name, or a number of
 * milliseconds. The first call is number 1; with --while only those made while FILE exists count, and
 * FILE is not empty any more once one has failed. How many there were, and how many of them failed,
 * is a line more in --tell's FILE when the program has ended.
 *
 * A seccomp filter asks a process beside the program about each of these calls (user notification,
 * Linux 5.5); what is not to fail goes on in the kernel as if nothing had been asked. Nothing
 * traces the program: the leak checker, which traces it itself, works. Calls of the loader and of a
 * sanitizer's runtime are let pass: what counts is what was called through the C library. So is what
 * is written to stderr: with that failing, too, nobody could be told.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <seccomp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct fault {
	int number, error;
	long delay_ms;
	unsigned long first, last;
	const char *while_there, *tell;
};

/* What the program and the process beside it say to each other before the first call. */
struct start {
	volatile int listener;
	volatile bool served;
};

struct library {
	uint64_t begin, end;
};

static int usage(void)
{
	fputs("fault CALL ERRNO|MS FIRST[-[LAST]] [--while FILE] [--tell FILE] PROGRAM…\n", stderr);
	return 2;
}

/* strerrorname_np(3) is of glibc 2.32: Debian 11 has 2.31. */
static int errno_named(const char *name)
{
#define NAMED(name) { name, #name }
	static const struct {
		int number;
		const char *name;
	} known[] = {
		NAMED(EPERM), NAMED(ENOENT), NAMED(ESRCH), NAMED(EINTR), NAMED(EIO),
		NAMED(ENXIO), NAMED(EBADF), NAMED(EAGAIN), NAMED(ENOMEM), NAMED(EACCES),
		NAMED(EFAULT), NAMED(EBUSY), NAMED(EEXIST), NAMED(ENODEV), NAMED(EINVAL),
		NAMED(ENFILE), NAMED(EMFILE), NAMED(EFBIG), NAMED(ENOSPC), NAMED(ESPIPE),
		NAMED(EROFS), NAMED(EPIPE), NAMED(ERANGE), NAMED(ENAMETOOLONG),
		NAMED(ENOLCK), NAMED(ENOSYS), NAMED(ENOTEMPTY), NAMED(ELOOP),
		NAMED(EOVERFLOW), NAMED(EMSGSIZE), NAMED(ENOPROTOOPT),
		NAMED(EPROTONOSUPPORT), NAMED(EOPNOTSUPP), NAMED(EAFNOSUPPORT),
		NAMED(EADDRINUSE), NAMED(ENETDOWN), NAMED(ENOBUFS), NAMED(ENOTCONN),
		NAMED(ETIMEDOUT), NAMED(ECONNREFUSED), NAMED(ECANCELED), NAMED(EDQUOT),
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (strcmp(known[i].name, name) == 0)
			return known[i].number;
	return 0;
}

static bool parse(struct fault *f, char **argv)
{
	char *end;

	f->number = seccomp_syscall_resolve_name(argv[0]);
	f->error = errno_named(argv[1]);
	f->delay_ms = f->error ? 0 : strtol(argv[1], &end, 10);
	if (f->number < 0 || (!f->error && (*end || f->delay_ms <= 0)))
		return false;
	f->first = f->last = strtoul(argv[2], &end, 10);
	if (*end == '-')
		f->last = end[1] ? strtoul(end + 1, &end, 10) : (unsigned long)-1;
	return f->first && f->first <= f->last;
}

/* Where the C library's code is in the process, once it is there: libc-2.31.so before glibc
 * 2.34. */
static void find_library(pid_t pid, struct library *library)
{
	char path[64], line[512], access[8], *name;
	uint64_t begin, end;
	FILE *maps;

	snprintf(path, sizeof(path), "/proc/%d/maps", (int)pid);
	maps = fopen(path, "re");
	while (maps && fgets(line, sizeof(line), maps)) {
		name = strrchr(line, '/');
		if (name && (!strncmp(name, "/libc.so", 8) || !strncmp(name, "/libc-", 6)) &&
		    sscanf(line, "%" SCNx64 "-%" SCNx64 " %7s", &begin, &end, access) == 3 &&
		    access[2] == 'x')
			*library = (struct library) { begin, end };
	}
	if (maps)
		fclose(maps);
}

static bool is_meant(const struct fault *f, struct library *library,
		     const struct seccomp_notif *call)
{
	if (f->number == SYS_write && call->data.args[0] == STDERR_FILENO)
		return false;
	if (!library->end)
		find_library((pid_t)call->pid, library);
	if (call->data.instruction_pointer < library->begin ||
	    call->data.instruction_pointer >= library->end)
		return false;
	return !f->while_there || access(f->while_there, F_OK) == 0;
}

static void tell(const struct fault *f, unsigned long seen, unsigned long failed)
{
	FILE *file = f->tell ? fopen(f->tell, "ae") : NULL;

	if (!file)
		return;
	fprintf(file, "%lu %lu\n", seen, failed);
	fclose(file);
}

/* Not made anew: whoever takes it away ends the fault. */
static void mark(const struct fault *f)
{
	int fd = f->while_there ? open(f->while_there, O_WRONLY | O_CLOEXEC) : -1;

	if (fd < 0)
		return;
	dprintf(fd, "failed\n");
	close(fd);
}

static void serve(const struct fault *f, int listener)
{
	struct pollfd wait = { .fd = listener, .events = POLLIN };
	struct library library = { 0 };
	unsigned long seen = 0, failed = 0;

	while (poll(&wait, 1, -1) > 0 && !(wait.revents & POLLHUP)) {
		struct seccomp_notif call = { 0 };
		struct seccomp_notif_resp answer = { 0 };

		if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &call))
			continue;
		answer.id = call.id;
		answer.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
		if (is_meant(f, &library, &call) && ++seen >= f->first && seen <= f->last) {
			if (!failed++)
				mark(f);
			if (f->error) {
				answer.flags = 0;
				answer.error = -f->error;
			} else {
				poll(NULL, 0, (int)f->delay_ms);
			}
		}
		ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &answer);
	}
	tell(f, seen, failed);
}

/* No child of the program, which has none of its own, and without its outputs. */
static void stand_beside(const struct fault *f, struct start *start)
{
	pid_t program = getpid(), between = fork();
	int listener, pidfd;

	if (between > 0) {
		waitpid(between, NULL, 0);
		return;
	}
	if (between < 0 || fork())
		_exit(1);
	setsid();
	close(STDOUT_FILENO);
	while (start->listener < 0)
		poll(NULL, 0, 1);
	pidfd = (int)syscall(SYS_pidfd_open, program, 0);
	/* SYS_pidfd_getfd is missing in glibc 2.31. */
	listener = (int)syscall(__NR_pidfd_getfd, pidfd, start->listener, 0);
	start->served = true;
	if (listener >= 0)
		serve(f, listener);
	_exit(0);
}

/* Between the filter and the process that serves it not one call may be made. */
static int be_asked(const struct fault *f, struct start *start)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)f->number, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { sizeof(filter) / sizeof(filter[0]), filter };

	start->listener = (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
				       SECCOMP_FILTER_FLAG_NEW_LISTENER, &program);
	if (start->listener < 0)
		return -1;
	while (!start->served)
		;
	return 0;
}

int main(int argc, char **argv)
{
	struct fault fault = { 0 };
	struct start *start = mmap(NULL, sizeof(*start), PROT_READ | PROT_WRITE,
				   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int at = 4;

	if (argc < 5 || !parse(&fault, argv + 1))
		return usage();
	for (; at + 2 < argc && strncmp(argv[at], "--", 2) == 0; at += 2) {
		if (strcmp(argv[at], "--while") == 0)
			fault.while_there = argv[at + 1];
		else
			fault.tell = argv[at + 1];
	}
	if (start == MAP_FAILED)
		return 77;
	start->listener = -1;
	stand_beside(&fault, start);
	if (be_asked(&fault, start)) {
		perror("seccomp user notification");
		return 77;
	}
	execv(argv[at], argv + at);
	perror(argv[at]);
	return 126;
}
