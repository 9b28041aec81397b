// SPDX-License-Identifier: GPL-2.0-or-later
#include "checklist.h"

#include "log.h"

#include <stdarg.h>
#include <stdio.h>

void checklist_say(struct checklist *c, enum verdict verdict, const char *what, const char *format,
		   ...)
{
	static const char *const words[] = { "ok", "less", "NO" };
	char text[1024], escaped[2048];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	log_escape(text, escaped, sizeof(escaped));
	printf("%-4s  %-18s  %s\n", words[verdict], what, escaped);
	fflush(stdout);
	c->less += verdict == VERDICT_LESS;
	c->not += verdict == VERDICT_NOT;
}
