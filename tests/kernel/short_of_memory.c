// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Preloaded: FAULT_ALLOCATION=N[-] makes the N-th allocation of the program and its libraries fail,
 * or all from there on. How many there were goes into FAULT_TELL's file at the end, and how many were
 * not given back into FAULT_HELD's. Those of libseccomp are left out: it does not bear it, and has what
 * it needs reserved for it.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *old, size_t size);
extern void __libc_free(void *memory);

static unsigned long seen, first;
static long held;
static bool counting, onward;
static int tell_fd = -1, held_fd = -1;

static bool is_left_out(const void *caller)
{
	Dl_info info;

	return dladdr(caller, &info) && info.dli_fname && strstr(info.dli_fname, "libseccomp");
}

static bool fails(const void *caller)
{
	if (!counting || is_left_out(caller))
		return false;
	seen++;
	if (seen != first && !(onward && seen > first))
		return false;
	errno = ENOMEM;
	return true;
}

static void *taken(void *memory)
{
	held += memory != NULL;
	return memory;
}

void *malloc(size_t size)
{
	return fails(__builtin_return_address(0)) ? NULL : taken(__libc_malloc(size));
}

void *calloc(size_t count, size_t size)
{
	return fails(__builtin_return_address(0)) ? NULL : taken(__libc_calloc(count, size));
}

void *realloc(void *old, size_t size)
{
	if (fails(__builtin_return_address(0)))
		return NULL;
	return old ? __libc_realloc(old, size) : taken(__libc_realloc(old, size));
}

void free(void *memory)
{
	held -= memory != NULL;
	__libc_free(memory);
}

__attribute__((constructor)) static void begin(void)
{
	const char *text = getenv("FAULT_ALLOCATION"), *path = getenv("FAULT_TELL");
	const char *held_path = getenv("FAULT_HELD");
	char *end;

	if (!text)
		return;
	/* No file can be opened for writing later. */
	tell_fd = path ? open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600) : -1;
	held_fd = held_path ? open(held_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600) : -1;
	first = strtoul(text, &end, 10);
	onward = *end == '-';
	counting = true;
}

__attribute__((destructor)) static void tell(void)
{
	counting = false;
	if (tell_fd >= 0)
		dprintf(tell_fd, "%lu %d\n", seen, first && seen >= first);
	if (held_fd >= 0)
		dprintf(held_fd, "%ld\n", held);
}
