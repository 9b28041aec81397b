// SPDX-License-Identifier: GPL-2.0-or-later
#include "cpulist.h"

#include <errno.h>
#include <string.h>

struct rest {
	const char *at, *end;
};

static bool take(struct rest *r, char c)
{
	if (r->at == r->end || *r->at != c)
		return false;
	r->at++;
	return true;
}

static bool take_cpu(struct rest *r, unsigned int *cpu)
{
	const char *start = r->at;
	unsigned int n = 0;

	for (; r->at < r->end && *r->at >= '0' && *r->at <= '9'; r->at++) {
		n = n * 10 + (unsigned int)(*r->at - '0');
		if (n >= CPULIST_MAX)
			return false;
	}
	*cpu = n;
	return r->at > start;
}

int cpulist_parse(const char *text, size_t len, bool cpus[static CPULIST_MAX])
{
	struct rest r = { text, text + len };
	unsigned int first, last;

	memset(cpus, 0, CPULIST_MAX * sizeof(*cpus));
	do {
		if (!take_cpu(&r, &first))
			return -EBADMSG;
		last = first;
		if (take(&r, '-') && !take_cpu(&r, &last))
			return -EBADMSG;
		if (first > last)
			return -EBADMSG;
		memset(cpus + first, 1, (last - first + 1) * sizeof(*cpus));
	} while (take(&r, ','));
	return take(&r, '\n') && r.at == r.end ? 0 : -EBADMSG;
}
