// SPDX-License-Identifier: GPL-2.0-or-later
#include "check.h"
#include "rules.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/timex.h>
#include <unistd.h>

void check_clock(struct checklist *c)
{
	struct timex now = { 0 };
	int state = adjtimex(&now);

	if (state < 0)
		checklist_say(c, VERDICT_LESS, "clock", "cannot be asked: %s", strerror(errno));
	else if (state == TIME_ERROR || now.status & STA_UNSYNC)
		checklist_say(c, VERDICT_LESS, "clock", "not synchronised: times of records may be "
			      "wrong; run chrony or systemd-timesyncd");
	else
		checklist_say(c, VERDICT_WORKS, "clock", "synchronised, within %ld ms",
			      (now.maxerror + 999) / 1000);
}

/* Skips blanks; NULL if the next word is not `word`. */
static const char *skip_word(const char *text, const char *word)
{
	size_t len = strlen(word);

	text += strspn(text, " \t");
	if (strncmp(text, word, len) != 0 || isalnum((unsigned char)text[len]))
		return NULL;
	return text + len;
}

static bool names_our_table(const char *path)
{
	FILE *file = fopen(path, "re");
	char line[512];
	bool found = false;

	while (file && !found && fgets(line, sizeof(line), file)) {
		const char *at = skip_word(line, "table");

		if (skip_word(line, "include"))
			found = strstr(line, RULES_DIRECTORY) && access(RULES_FILE, F_OK) == 0;
		at = at ? skip_word(at, "inet") : NULL;
		found |= at && skip_word(at, RULESET_TABLE);
	}
	if (file)
		fclose(file);
	return found;
}

/* An owned table makes nft refuse the whole of a saved ruleset that holds a copy of it. */
void check_saved_rulesets(struct checklist *c, bool ours)
{
	static const char *const files[] = {
		"/etc/nftables.conf", "/etc/sysconfig/nftables.conf", "/etc/nftables.nft",
		"/etc/nftables/main.nft", "/etc/nftables.rules", "/var/lib/nftables/rules-save",
	};
	bool found = false;

	if (!ours)
		return;
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		if (!names_our_table(files[i]))
			continue;
		found = true;
		checklist_say(c, VERDICT_LESS, "saved ruleset", "%s has table inet %s, and nft "
			      "refuses that file while `run` owns the table: take it out there, or "
			      "use --ruleset static", files[i], RULESET_TABLE);
	}
	if (!found)
		checklist_say(c, VERDICT_WORKS, "saved ruleset", "none holds our table");
}
