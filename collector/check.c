// SPDX-License-Identifier: GPL-2.0-or-later
#include "check.h"
#include "sieve.h"

#include <stdio.h>

int check(struct options *options)
{
	struct checklist c = { 0 };
	bool ours;

	check_rights(&c);
	check_confinement(&c, options);
	ours = check_ruleset(&c, options);
	sieve_describe(&c, options, ours);
	check_saved_rulesets(&c, ours);
	check_group(&c, options);
	check_conntrack(&c, options);
	check_sockets(&c, options);
	check_trace(&c, options);
	check_clock(&c);
	check_outputs(&c, options);
	check_whole_way(&c, options);

	if (c.not)
		puts("\nnfwho cannot work here: see the lines with NO.");
	else if (c.less)
		puts("\nnfwho works here, with less than it could: see the lines with less.");
	else
		puts("\nnfwho works here.");
	return c.not ? 1 : c.less ? 3 : 0;
}
