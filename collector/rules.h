/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NFWHO_RULES_H
#define NFWHO_RULES_H

#include "option.h"

/* `nfwho rules`: the static ruleset, for those who keep rules in files. */

#define RULES_DIRECTORY "/etc/nfwho/"
#define RULES_FILE RULES_DIRECTORY "nfwho.nft"

/* The rules these options ask for. Borrows nothing from them. */
void rules_config(const struct options *options, struct ruleset_config *config);

/* Says in one line on stderr why ruleset_open() (r NULL), ruleset_create() or ruleset_remove()
 * failed, and names what is in the way: the process that owns the table, a table that is not ours,
 * a missing capability or kernel part. */
void rules_complain(int err, struct ruleset *r);

/* Each says on stderr what it did or why not. Return an exit status: 0, or 1.
 * install: loads the rules as a static table and writes the file that loads the same, by rename,
 * so that there is the old file or the new one, whatever happens.
 * remove: takes out table and file; a file that the boot's configuration names is left there.
 * show: prints the file to stdout, and says what stands in the kernel. */
int rules_install(const struct options *options, const char *path);
int rules_remove(const struct options *options, const char *path);
int rules_show(const struct options *options);

/* `nfwho rules install|remove|show [--file PATH] [OPTION]...`; argv[0] is "rules". Returns an exit
 * status, 2 for wrong usage. */
int rules_command(int argc, char **argv);

#endif
