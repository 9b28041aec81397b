// SPDX-License-Identifier: GPL-2.0-or-later
#include "refstr.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct refstr {
	uint32_t refs;
	char bytes[];
};

static struct refstr *refstr_of(char *s)
{
	return (struct refstr *)(void *)(s - offsetof(struct refstr, bytes));
}

char *refstr_new(const char *bytes, size_t len)
{
	struct refstr *r = malloc(sizeof(*r) + len + 1);

	if (!r)
		return NULL;
	r->refs = 1;
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
