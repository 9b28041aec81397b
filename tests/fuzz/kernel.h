/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NFWHO_FUZZ_KERNEL_H
#define NFWHO_FUZZ_KERNEL_H

#include <linux/netlink.h>
#include <stddef.h>
#include <stdint.h>

/*
 * A kernel that answers with the input: in front of libmnl's sockets, recvmsg(2) and their kin, for
 * a harness that links kernel.c. Nothing leaves the process, and each input meets the same sockets:
 * the n-th that is opened has the port KERNEL_PORT + n.
 *
 * The input is one queue of datagrams for all sockets, each with four bytes before it: its length
 * (16 bits, low byte first; what is missing is missing), one of enum kernel_answer, one unused.
 * What stands behind a datagram in the receiver's buffer is poisoned: AddressSanitizer tells of a
 * read beyond its end, which lies within the buffer.
 */

#define KERNEL_PORT 617

enum kernel_answer {
	KERNEL_DATAGRAM,
	KERNEL_FOREIGN,		/* another process sent it */
	KERNEL_LONG,		/* MSG_TRUNC */
	KERNEL_OVERRUN,		/* ENOBUFS */
	KERNEL_LOST,		/* ECONNRESET */
	KERNEL_NOTHING,		/* EAGAIN, once */
	KERNEL_ANSWERS
};

/* Each whole message of each datagram of the kernel's, when it is given to the reader. */
typedef void kernel_witness(const struct nlmsghdr *nlh, size_t payload_len, void *data);

/* The input stays the caller's until kernel_end(). The witness may be NULL. */
void kernel_begin(const uint8_t *input, size_t len, kernel_witness *witness, void *data);

/* Checks that every socket was closed. */
void kernel_end(void);

/* The sequence numbers of what was sent last; 1 to 0 before. */
void kernel_asked(uint32_t *first, uint32_t *last);

#endif
