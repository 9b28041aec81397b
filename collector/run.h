/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NFWHO_RUN_H
#define NFWHO_RUN_H

#include "option.h"

/* Collects until told to stop. Returns the exit status: 0 stopped as asked, or the reader of stdout
 * went away; 1 could not start or run, said in one line. */
int run_collect(struct options *options);

#endif
