// SPDX-License-Identifier: GPL-2.0-or-later
#include "comma.h"

#include <stddef.h>

char *comma_next(char **rest)
{
	char *part = *rest, *from, *to;

	if (!part)
		return NULL;
	for (from = to = part; *from && *from != ','; from++) {
		if (from[0] == '\\' && from[1] == ',')
			from++;
		*to++ = *from;
	}
	*rest = *from ? from + 1 : NULL;
	*to = '\0';
	return part;
}
