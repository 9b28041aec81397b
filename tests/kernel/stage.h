/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NFWHO_TEST_STAGE_H
#define NFWHO_TEST_STAGE_H

#include "netns.h"
#include "ruleset.h"

#include <sys/types.h>

/* What the ruleset tests need besides two network namespaces: nft(8). */

#define STAGE_NOBODY4 "198.51.100.99"	/* its packets leave, nobody answers */
#define STAGE_PORT 8080			/* the peer listens; nobody does on the next one */
#define STAGE_NO_OWNER "no tables with an owner, which came with Linux 5.12"

/* The process enters the first namespace, the peer listens. 0, or -1 after a line that says what is
 * missing. */
int stage_enter(void);

/* The output of a command, to be freed. */
char *stage_output(const char *command);

/* The whole ruleset as nft(8) lists it, to be freed. */
char *stage_ruleset(void);

/* Loads text with nft -f. */
void stage_load(const char *text);

/* TCP: 0 if it came about within a second (or was sent, without `wait`), else errno. */
int stage_connect(const char *address, uint16_t port, bool wait);

/* As `nfwho` runs by default. */
struct ruleset_config stage_config(void);

/* Opens a handle; the test fails if it cannot. */
struct ruleset *stage_open(const struct ruleset_config *config);
enum ruleset_state stage_state(struct ruleset *r);

#endif
