// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * crowd PROCESSES DESCRIPTORS: idle processes that hold descriptors, the haystack in which a walk of
 * /proc looks for a socket. Says when all of them stand; they go with it.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

static _Noreturn void idle(unsigned long descriptors, pid_t parent)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(0);
	for (unsigned long i = 0; i < descriptors; i++)
		if (open("/dev/null", O_RDONLY) < 0)
			_exit(1);
	for (;;)
		pause();
}

int main(int argc, char **argv)
{
	unsigned long processes, descriptors;
	pid_t self = getpid();

	if (argc != 3) {
		fputs("usage: crowd PROCESSES DESCRIPTORS\n", stderr);
		return 2;
	}
	processes = strtoul(argv[1], NULL, 10);
	descriptors = strtoul(argv[2], NULL, 10);
	signal(SIGCHLD, SIG_IGN);
	for (unsigned long i = 0; i < processes; i++) {
		pid_t pid = fork();

		if (pid < 0) {
			perror("crowd: fork");
			return 1;
		}
		if (pid == 0)
			idle(descriptors, self);
	}
	puts("standing");
	fflush(stdout);
	for (;;)
		pause();
}
