/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NFWHO_TEST_SKIP_H
#define NFWHO_TEST_SKIP_H

/* Ends the test as skipped and says why, which tests/tally puts behind "# SKIP". */
#define skip_because(...)					\
	do {							\
		print_message("# skipped: " __VA_ARGS__);	\
		print_message("\n");				\
		skip();						\
	} while (0)

#endif
