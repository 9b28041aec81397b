/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NFWHO_POINTS_H
#define NFWHO_POINTS_H

#include "watch.h"

/* Which tracepoints are watched, and what the kernel is told to keep of each. */

/* Fills *watch and *layout from what this kernel has: ids and fields from tracefs, filters, the
 * sample type. The exec and socket state tracepoints must be there; route lookups and error reports
 * are left out where the kernel has none, or (watch->lacks) none that is understood. Opens tracefs
 * and closes it again: nothing of it is needed later. Returns 0 or -errno as perf_open does, with a
 * phrase in *why. */
int points_load(struct watch_config *watch, struct sample_layout *layout,
		const struct perf_config *config, const char **why);

#endif
