// SPDX-License-Identifier: GPL-2.0-or-later
#include "refstr.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct refstr {
	uint32_t refs;
	bool disowned;
	char bytes[];
};

static struct refstr *refstr_of(const char *s)
{
	return (struct refstr *)(uintptr_t)(s - offsetof(struct refstr, bytes));
}

char *refstr_new(const char *bytes, size_t len)
{
	struct refstr *r = malloc(sizeof(*r) + len + 1);

	if (!r)
		return NULL;
	r->refs = 1;
	r->disowned = false;
	memcpy(r->bytes, bytes, len);
	r->bytes[len] = '\0';
	return r->bytes;
}

char *refstr_ref(char *s)
{
	if (s)
		refstr_of(s)->refs++;
	return s;
}

void refstr_unref(char *s)
{
	if (s && --refstr_of(s)->refs == 0)
		free(refstr_of(s));
}

void refstr_clear(char **at)
{
	refstr_unref(*at);
	*at = NULL;
}

void refstr_disown(char **at, size_t len)
{
	char *own;

	if (!*at || refstr_of(*at)->refs == 1)
		return;
	refstr_of(*at)->disowned = true;
	own = refstr_new(*at, len);
	refstr_unref(*at);
	*at = own;
}

bool refstr_is_disowned(const char *s)
{
	return s && refstr_of(s)->disowned;
}
