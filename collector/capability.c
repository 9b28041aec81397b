// SPDX-License-Identifier: GPL-2.0-or-later
#include "capability.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

struct sets {
	uint64_t effective, permitted, inheritable;
};

/* The calls themselves: capget(2) says that their format is Linux's own, and that no program
 * should mind it; forty lines do not ask for a library. */
static int get(struct sets *sets)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2];

	if (syscall(SYS_capget, &header, data) < 0)
		return -errno;
	sets->effective = data[0].effective | (uint64_t)data[1].effective << 32;
	sets->permitted = data[0].permitted | (uint64_t)data[1].permitted << 32;
	sets->inheritable = data[0].inheritable | (uint64_t)data[1].inheritable << 32;
	return 0;
}

static int set(const struct sets *sets)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2];

	for (int i = 0; i < 2; i++) {
		data[i].effective = (uint32_t)(sets->effective >> 32 * i);
		data[i].permitted = (uint32_t)(sets->permitted >> 32 * i);
		data[i].inheritable = (uint32_t)(sets->inheritable >> 32 * i);
	}
	return syscall(SYS_capset, &header, data) < 0 ? -errno : 0;
}

int capability_get(uint64_t *effective)
{
	struct sets sets = { 0 };
	int err = get(&sets);

	if (!err)
		*effective = sets.effective;
	return err;
}

/* Ends with the first number that the kernel does not know. */
static void bound(uint64_t keep)
{
	for (int i = 0; i < 64 && prctl(PR_CAPBSET_READ, i, 0, 0, 0) >= 0; i++) {
		if (!(keep & CAPABILITY(i)))
			prctl(PR_CAPBSET_DROP, i, 0, 0, 0);
	}
}

int capability_limit(uint64_t keep)
{
	struct sets sets;
	int err = get(&sets);

	if (err)
		return err;
	if (sets.effective & CAPABILITY(CAP_SETPCAP))
		bound(keep);
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	/* Nothing to give up: a service manager has done it, and may have forbidden the call. */
	if (!(sets.permitted & ~keep) && sets.effective == sets.permitted)
		return 0;
	sets.permitted &= keep;
	sets.effective = sets.permitted;
	sets.inheritable = 0;
	return set(&sets);
}

int capability_raise(void)
{
	struct sets sets;
	int err = get(&sets);

	if (err)
		return err;
	sets.effective = sets.permitted;
	return set(&sets);
}

void capability_names(uint64_t set, char *text, size_t size)
{
	static const struct {
		int number;
		const char *name;
	} names[] = {
		{ CAP_NET_ADMIN, "CAP_NET_ADMIN" }, { CAP_SYS_PTRACE, "CAP_SYS_PTRACE" },
		{ CAP_DAC_READ_SEARCH, "CAP_DAC_READ_SEARCH" }, { CAP_PERFMON, "CAP_PERFMON" },
		{ CAP_IPC_LOCK, "CAP_IPC_LOCK" }, { CAP_DAC_OVERRIDE, "CAP_DAC_OVERRIDE" },
		{ CAP_CHOWN, "CAP_CHOWN" }, { CAP_SYS_ADMIN, "CAP_SYS_ADMIN" },
	};
	size_t len = 0;

	snprintf(text, size, "none");
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]) && len < size; i++) {
		if (set & CAPABILITY(names[i].number))
			len += (size_t)snprintf(text + len, size - len, "%s%s", len ? " " : "",
						names[i].name);
		set &= ~CAPABILITY(names[i].number);
	}
	if (set && len < size)
		snprintf(text + len, size - len, "%sothers (%#" PRIx64 ")", len ? " " : "", set);
}
