// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * How the text can be loaded again without a trace: what is declared in the first block stands
 * already the second time, and named counters keep their values; then our own rules, and nothing
 * else, are flushed and written again. All of it is one transaction.
 */
#include "rule.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#define RULE_TEXT_MAX 512

struct text {
	char *buf;
	size_t size, len;
	bool full;
};

__attribute__((format(printf, 2, 3)))
static void put(struct text *text, const char *format, ...)
{
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(text->buf + text->len, text->size - text->len, format, args);
	va_end(args);
	if (n < 0 || (size_t)n >= text->size - text->len)
		text->full = true;
	else
		text->len += (size_t)n;
}

static void put_table(struct text *text, const struct ruleset_config *config)
{
	put(text, "table inet " RULESET_TABLE " {\n\tcomment \"" RULE_TABLE_COMMENT "\"\n\n"
	    "\tcounter " RULE_COUNTER_MATCHED " {\n\t}\n\n"
	    "\tcounter " RULE_COUNTER_LIMITED " {\n\t}\n");
	for (size_t h = 0; h < HOOK_COUNT; h++)
		if (config->hooks & hooks[h].flag)
			put(text, "\n\tchain %s {\n\t\ttype filter hook %s priority %d; "
			    "policy accept;\n\t}\n", hooks[h].name, hooks[h].name, HOOK_PRIORITY);
	put(text, "}\n");
}

static void put_rules(struct text *text, const struct ruleset_config *config)
{
	struct rule rules[RULES_MAX];
	unsigned int count = rule_list(config, false, rules);
	const struct hook *hook = NULL;
	char line[RULE_TEXT_MAX];

	put(text, "table inet " RULESET_TABLE " {\n");
	for (unsigned int i = 0; i < count; i++) {
		if (rules[i].hook != hook)
			put(text, "%s\tchain %s {\n", hook ? "\t}\n\n" : "", rules[i].hook->name);
		hook = rules[i].hook;
		rule_print(config, &rules[i], line, sizeof(line));
		put(text, "\t\t%s\n", line);
	}
	put(text, "\t}\n}\n");
}

int ruleset_print(const struct ruleset_config *config, char *buf, size_t size)
{
	struct text text = { .buf = buf, .size = size };

	if (rule_config_check(config) < 0)
		return -EINVAL;
	if (size == 0)
		return -ENOSPC;
	put(&text, "#!/usr/sbin/nft -f\n"
	    "# Sends the first packet of each new connection to NFLOG group %u; blocks nothing.\n"
	    "# Loading this again changes nothing: the named counters keep their values.\n\n",
	    config->group);
	put_table(&text, config);
	put(&text, "\nflush table inet " RULESET_TABLE "\n\n");
	put_rules(&text, config);
	return text.full ? -ENOSPC : (int)text.len;
}
