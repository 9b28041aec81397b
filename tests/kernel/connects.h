/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NFWHO_TESTS_CONNECTS_H
#define NFWHO_TESTS_CONNECTS_H

#include "attempt.h"

extern struct truth truth;
extern struct destination served, refused;

struct truth_row *row_next(void);
int tcp_socket(int flags);

/* errno of connect(), 0 connected. */
int connect_noted(int fd, const struct destination *to);

/* Over a unix socket: 0, or the descriptor; -1 on failure. */
int descriptor_send(int over, int fd);
int descriptor_receive(int over);

/* IORING_OP_CONNECT, in the submitting thread or in a worker of the ring: errno, 77 without it. */
int uring(void);
int uring_worker(void);

#endif
