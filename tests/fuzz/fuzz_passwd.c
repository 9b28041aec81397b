// SPDX-License-Identifier: GPL-2.0-or-later
/* Files of /etc: passwd, sometimes read twice as it grows, machine-id, and the rulesets of nft. */
#include "check.h"
#include "files.h"
#include "fuzz.h"
#include "host.h"
#include "passwd.h"
#include "rules_file.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SECOND_NS 1000000000ULL

/* It begins a line, and a colon is behind it. */
static bool stands(const char *name, const uint8_t *data, size_t size)
{
	size_t len = strlen(name);

	for (size_t at = 0; at + len < size; at++)
		if ((at == 0 || data[at - 1] == '\n') && memcmp(data + at, name, len) == 0 &&
		    data[at + len] == ':')
			return true;
	return false;
}

static void check_name(const struct passwd *p, uint32_t id, const uint8_t *data, size_t size)
{
	const char *name = passwd_name(p, id);

	assert(strlen(name) <= PASSWD_NAME_MAX && !strpbrk(name, ":\n"));
	assert(!*name || stands(name, data, size));
}

/* Asks for every number that stands there. */
static void check_all(const struct passwd *p, const uint8_t *data, size_t size)
{
	bool within = false;
	uint32_t id = 0;

	for (size_t i = 0; i < size; i++) {
		bool digit = data[i] >= '0' && data[i] <= '9';

		if (within && !digit)
			check_name(p, id, data, size);
		id = digit ? (within ? id * 10 : 0) + (data[i] - '0') : id;
		within = digit;
	}
	check_name(p, UINT32_MAX, data, size);
}

/* By a name, too. */
static void check_root(const uint8_t *data, size_t size)
{
	uint32_t id;

	assert(!passwd_find("/etc/passwd", "root", &id) || stands("root", data, size));
}

static void check_host(void)
{
	struct host h;

	assert(host_init(&h, NULL) == 0);
	assert(!*h.id || (strlen(h.id) == 32 && strspn(h.id, "0123456789abcdef") == 32));
	assert(memchr(h.boot_id, '\0', sizeof(h.boot_id)) && !strchr(h.boot_id, '\n'));
}

#define RULES_FILE "/etc/nfwho.nft"

/* Said to nobody. */
void checklist_say(struct checklist *c, enum verdict verdict, const char *what, const char *format,
		   ...)
{
	(void)what, (void)format;
	c->less += verdict == VERDICT_LESS;
}

int unlinkat(int at, const char *name, int flags)
{
	(void)at;
	assert(strcmp(name, "nfwho.nft") == 0 && flags == 0);
	return 0;
}

/* Before the first byte that no text has. */
static bool holds(const char *text, const uint8_t *data, size_t size)
{
	return memmem(data, strnlen((const char *)data, size), text, strlen(text));
}

static void check_rulesets(const uint8_t *data, size_t size)
{
	struct checklist list = { 0 };
	bool ours = holds("\nflush table inet " RULESET_TABLE "\n", data, size);

	check_saved_rulesets(&list, true);
	assert(!list.less || memmem(data, size, RULESET_TABLE, strlen(RULESET_TABLE)));
	assert(rules_file_is_included(RULES_FILE) == holds(RULES_FILE, data, size));
	assert(rules_file_remove(RULES_FILE) == (ours ? 0 : -EEXIST));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct passwd *p;

	assert(passwd_new(&p, "/etc/passwd") == 0);
	if (size % 4 == 1) {	/* not always: what takes time is to open it */
		files_begin(data, size / 2);
		passwd_update(p, SECOND_NS);
		check_all(p, data, size / 2);
	}
	files_begin(data, size);
	passwd_update(p, 3 * SECOND_NS);
	check_all(p, data, size);
	if (size % 4 == 3)
		check_root(data, size);
	if (size < 64)	/* more is no id */
		check_host();
	if (size % 4 == 2) {
		files_directories(1);
		check_rulesets(data, size);
	}
	files_end();
	passwd_free(p);
	return 0;
}
