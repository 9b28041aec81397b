/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NFWHO_OPEN_PROCESS_H
#define NFWHO_OPEN_PROCESS_H

#include "process.h"

/* A process as one entry of lib/open_flows: what records tell of it. */

#define OPEN_PROCESS_BYTES_MAX (64u << 10)

/* Packs it into buf; its parent is the entry of that number, 0: none. Returns the length; -E2BIG
 * for what does not fit. */
int open_process_pack(const struct process *p, uint32_t parent, void *buf, size_t size);

/* An image in no table, with one reference: *out. *parent: the entry's number. Returns 0, -EBADMSG
 * or -ENOMEM. */
int open_process_unpack(const void *entry, size_t size, struct process **out, uint32_t *parent);

#endif
