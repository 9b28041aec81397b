/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NFWHO_EXAMPLE_H
#define NFWHO_EXAMPLE_H

#include "record.h"

/* A connection of which everything is known, for whoever prints records: curl, started by bash in a
 * container, from 198.51.100.1 to 203.0.113.9, through NAT both ways. Held together: the pointers
 * lead into the struct, which must not move. */
struct example {
	struct host host;
	struct record_label labels[2];
	const char *tags[2];
	struct record_config config;
	struct process process, parent;
	struct flow flow;
	uint32_t holders[2];
	struct record_context context;
	struct ledger ledger;
	struct record_sink sinks[2];
	struct record_gap gap;
	struct record_suppressed suppressed;
};

void example_init(struct example *e);

/* Another text for one of the processes' strings, not copied. */
void example_set_command_line(struct process *p, const char *args, size_t len);

/* Forgets what was printed for the processes. */
void example_fini(struct example *e);

#endif
