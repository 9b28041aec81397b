/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NFWHO_CHECKLIST_H
#define NFWHO_CHECKLIST_H

/* What `nfwho check` found: one aligned line for each thing, on stdout. */

enum verdict {
	VERDICT_WORKS,
	VERDICT_LESS,		/* nfwho works, but not with all it could */
	VERDICT_NOT,		/* nfwho cannot work */
};

struct checklist {
	unsigned int less, not;	/* lines of these verdicts */
};

/* format: what there is and, where it is wanted, how to mend it. */
void checklist_say(struct checklist *c, enum verdict verdict, const char *what, const char *format,
		   ...) __attribute__((format(printf, 4, 5)));

#endif
