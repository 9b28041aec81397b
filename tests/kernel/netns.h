/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NFWHO_TEST_NETNS_H
#define NFWHO_TEST_NETNS_H

#include <stdint.h>

/* Two network namespaces without a name, joined by a veth pair: they are gone when their
 * descriptors are closed, however the test ends. */
struct netns_pair {
	int original, here, peer;
};

#define NETNS_HERE4 "198.51.100.1"
#define NETNS_PEER4 "198.51.100.2"
#define NETNS_HERE6 "2001:db8::1"
#define NETNS_PEER6 "2001:db8::2"

/* Makes both and enters `here`. Fails the test if it cannot. */
void netns_pair_open(struct netns_pair *p);
void netns_pair_close(struct netns_pair *p);

/* Runs a shell command in the namespace the caller is in; fails the test unless it succeeds. */
void netns_run(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* A listening TCP socket of both families in `peer`. */
int netns_listen(const struct netns_pair *p, uint16_t port);

/* A socket from here, connected. */
int netns_connect(const char *address, uint16_t port);

/* One UDP datagram of `bytes` from here, by a socket of its own if *fd is -1. */
void netns_send(int *fd, uint16_t port, unsigned int bytes);

/* Exit status of run() in a child that has no capability left. */
int netns_without_capabilities(int (*run)(void *data), void *data);

/* Waits until fd can be read. Returns whether it can. */
int netns_wait(int fd, int timeout_ms);

#endif
