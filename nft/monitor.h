/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NFWHO_MONITOR_H
#define NFWHO_MONITOR_H

#include "nl.h"
#include "ruleset.h"

/* Who changes the ruleset: a socket of its own in NFNLGRP_NFTABLES. */

struct monitor;

/* own_portid: the socket whose changes are not reported. 0 or -errno. */
int monitor_open(struct monitor **out, uint32_t own_portid);
int monitor_fd(const struct monitor *m);

/* As ruleset_read_change(). */
int monitor_read(struct monitor *m, struct ruleset_change *change);
void monitor_close(struct monitor *m);

#endif
