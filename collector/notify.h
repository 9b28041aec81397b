/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NFWHO_NOTIFY_H
#define NFWHO_NOTIFY_H

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

/* What a service manager is told: the protocol of sd_notify(3), datagrams to the socket that it
 * named in our environment. Without one nothing is sent and nothing fails. A manager that does not
 * read is waited for a moment with what matters, and not at all with status and watchdog. */

struct notify {
	int fd;			/* -1: nobody wants to know */
	struct sockaddr_un address;
	socklen_t address_len;
	uint64_t watchdog_ns;	/* be heard at least this often; 0: no watchdog */
};

/* Takes NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID out of the environment. */
void notify_open(struct notify *n);
void notify_close(struct notify *n);

/* `status` is what `systemctl status` shows; without newlines. */
void notify_ready(const struct notify *n, const char *status);
void notify_status(const struct notify *n, const char *status);
void notify_watchdog(const struct notify *n);

/* To be followed by notify_ready() when the new configuration is in force, or refused. */
void notify_reloading(const struct notify *n, uint64_t now_monotonic_ns);

/* Most descriptors of one message: the kernel's limit (SCM_MAX_FD). */
#define NOTIFY_STORE_MAX 253

/* Copies of descriptors into the manager's fd store. It is asked not to look whether one has an
 * error, as a netlink socket that overran has, or a perf event without a ring. */
void notify_store(const struct notify *n, const char *name, const int *fds, unsigned int count);

/* What it has under this name goes. */
void notify_forget(const struct notify *n, const char *name);

void notify_stopping(const struct notify *n);

#endif
