/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NFWHO_SYSCALLS_H
#define NFWHO_SYSCALLS_H

#include <stdbool.h>

/* Which system calls this process may still make. */

struct syscalls {
	bool internet;	/* connects to an output over TCP */
	bool trace;	/* opens rings for CPUs that come online */
	int cgroup_fd;	/* where cgroups are opened by their ids; -1: nowhere */
};

/* From now on, for good. Three kinds: what the program makes is allowed; what only somebody who has
 * taken it over would make kills it (another program, other processes' memory, code made at run
 * time, sockets of other families, a file for writing that is not in a directory held open, a way
 * to more rights); anything else fails with ENOSYS, so that a newer C library can do it the old
 * way. Sets no_new_privs. Returns 0 or -errno: -EINVAL (this kernel has no seccomp filters),
 * -EOPNOTSUPP (AddressSanitizer, which looks for leaks with ptrace(2), is in this program). */
int syscalls_limit(const struct syscalls *syscalls);

#endif
