/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NFWHO_BENCH_SERVE_H
#define NFWHO_BENCH_SERVE_H

#include "attempt.h"

#include <stdbool.h>

/* Accepts on every address until SIGTERM, reads and throws away what comes, and closes when the
 * other side has (close_at_once: before). Prints one line once it listens. 0 or -errno. */
int serve(const struct destination *at, unsigned int count, bool close_at_once);

#endif
