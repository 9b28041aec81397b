// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Preloaded: CLOCK_REALTIME is off by as many seconds as the file FAULT_CLOCK holds, and follows
 * what is written into it, as if somebody set the clock of this host. How often it told what is not the
 * time goes into FAULT_TELL's file at the end, as so many calls of which none failed.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static unsigned long untrue;
static int fd = -1, tell_fd = -1;

int clock_gettime(clockid_t clock, struct timespec *ts)
{
	char text[32] = "";
	long step = 0;

	if (syscall(SYS_clock_gettime, clock, ts))
		return -1;
	if (clock != CLOCK_REALTIME || fd < 0)
		return 0;
	if (pread(fd, text, sizeof(text) - 1, 0) > 0)
		step = strtol(text, NULL, 10);
	ts->tv_sec += step;
	untrue += step != 0;
	return 0;
}

__attribute__((constructor)) static void begin(void)
{
	const char *path = getenv("FAULT_CLOCK"), *tell_path = getenv("FAULT_TELL");

	fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	tell_fd = tell_path ? open(tell_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600) : -1;
}

__attribute__((destructor)) static void tell(void)
{
	if (tell_fd >= 0)
		dprintf(tell_fd, "%lu 0\n", untrue);
}
