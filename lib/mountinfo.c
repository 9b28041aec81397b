// SPDX-License-Identifier: GPL-2.0-or-later
#include "mountinfo.h"

#include <string.h>

/* "29 23 0:26 / /sys/fs/cgroup rw,relatime shared:4 - cgroup2 none rw" */
bool mountinfo_split(const char *line, struct mountinfo *m)
{
	const char *separator = strstr(line, " - "), *at = line;

	for (int field = 0; field < 4 && at; field++) {
		if (field == 3)
			m->root = at;
		at = strchr(at, ' ');
		at = at ? at + 1 : NULL;
	}
	if (!separator || !at || at > separator)
		return false;
	m->point = at;
	m->type = separator + 3;
	return true;
}

static bool ends(char c)
{
	return c == ' ' || c == '\n' || c == '\0';
}

bool mountinfo_is(const char *word, const char *text)
{
	size_t len = strlen(text);

	return strncmp(word, text, len) == 0 && ends(word[len]);
}

static bool is_escape(const char *at)
{
	return at[0] == '\\' && at[1] >= '0' && at[1] <= '3' && at[2] >= '0' && at[2] <= '7' &&
	       at[3] >= '0' && at[3] <= '7';
}

bool mountinfo_unescape(const char *word, char *out, size_t size)
{
	size_t n = 0;

	for (; !ends(*word); word++, n++) {
		if (n + 1 >= size)
			return false;
		out[n] = *word;
		if (!is_escape(word))
			continue;
		out[n] = (char)((word[1] - '0') << 6 | (word[2] - '0') << 3 | (word[3] - '0'));
		word += 3;
	}
	out[n] = '\0';
	return n > 0;
}
