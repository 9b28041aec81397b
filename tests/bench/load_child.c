// SPDX-License-Identifier: GPL-2.0-or-later
/* What `load spawn` starts for each connection: static, so that it lives as short as a program can.
 * load-child ROW TRUTH-FD END HOLD-MS TIMEOUT-MS DESTINATION */
#include "attempt.h"

#include <stdlib.h>

int main(int argc, char **argv)
{
	struct truth_row row = { 0 };
	struct destination to;
	struct attempt attempt;

	if (argc != 7 || destination_parse(&to, argv[6]))
		return 2;
	attempt.end = argv[3][0];
	attempt.hold_ms = strtoul(argv[4], NULL, 10);
	attempt.timeout_ms = strtoul(argv[5], NULL, 10);
	if (attempt_run(&attempt, &to, &row))
		return 1;
	return truth_write(strtoul(argv[2], NULL, 10), strtoull(argv[1], NULL, 10), &row) ? 1 : 0;
}
