/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NFWHO_TABLE_H
#define NFWHO_TABLE_H

#include "batch.h"
#include "filter.h"
#include "ruleset.h"

/* Our table as messages of a batch. */

/* Flags of a table, under names of their own: headers older than 5.12 have no owner. */
#define TABLE_FLAG_DORMANT 0x1
#define TABLE_FLAG_OWNER 0x2

/* Everything: the table, its counters, chains and rules. filter: what they leave out; NULL: it has
 * neither chain nor counter for that. 0 or -ENOMEM. */
int table_put(struct batch *batch, const struct ruleset_config *config,
	      const struct filter *filter, bool owned);

/* Only the rules. */
int table_put_rules(struct batch *batch, const struct ruleset_config *config,
		    const struct filter *filter);

/* Its removal, or only that of all its rules. 0 or -ENOMEM. */
int table_put_delete(struct batch *batch);

/* An owned table, taken out once more than it is made: no kernel does that, and the first message
 * that is refused tells whether this one knows of owners. exists: one of ours stands. */
int table_put_in_vain(struct batch *batch, bool exists);
int table_put_flush(struct batch *batch);

#endif
