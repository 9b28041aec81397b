/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NFWHO_LOGGER_H
#define NFWHO_LOGGER_H

#include "nl.h"

/* Rules of anybody's that log to a group, in all tables of all families. */

/* Counts them. Dumps every rule there is. 0 or -errno. */
int logger_count(struct nl *nl, uint16_t group, uint32_t *rules);

#endif
