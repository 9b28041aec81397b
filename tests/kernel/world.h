/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NFWHO_TEST_WORLD_H
#define NFWHO_TEST_WORLD_H

#include "owner.h"

#include <sys/types.h>

/* What the owner tests need: a network namespace, an owner lookup, sockets and children. */

struct world {
	enum owner_lookup_mode mode;
	int proc_fd;
	struct process_table *processes;
	struct owner *owner;
};

/* A network namespace of our own with loopback and a device whose packets nobody answers. Returns
 * 0; or with a line that says why 77 where that is not permitted, 1 if it fails. */
int world_enter(void);

int world_open(struct world **out, enum owner_lookup_mode mode);
void world_close(struct world *w);

/* A connection over loopback; fd is the side that connected, tuple its own. */
struct pair {
	int listener, fd, accepted;
	struct tuple tuple;
};

struct pair pair_open(int family, int type);
struct pair pair_open_mapped(void);
void pair_close(struct pair *p);

struct tuple tuple_of(int fd, uint8_t protocol);
uint64_t inode_of(int fd);

/* A TCP socket in SYN_SENT that stays there; bound to `device` unless that is NULL. */
int connect_into_the_void(struct tuple *tuple, const char *device);

/* A child in a cgroup of its own (its path below the cgroup2 mount) that connects to p, sends more
 * than is ever read, and ends. Returns false where no cgroup can be made. */
bool child_leaves_orphan(const struct pair *p, struct tuple *tuple, char cgroup[static 64]);
void cgroup_remove(const char *cgroup);

int udp_reuseport(uint16_t port, uint16_t peer, struct tuple *tuple);

void send_fd(int unix_fd, int fd);

/* A child that waits, holding what we hold. */
pid_t child_idle(void);
void child_end(pid_t child);

/* A child that connects and passes us the socket as *fd; both hold it until *control is closed. */
pid_t child_connects_and_passes(struct tuple *tuple, int *fd, int *control);

/* A child whose second thread, some clock ticks younger, connects to p; the main thread has
 * ended. */
pid_t child_thread_connects(const struct pair *p, struct tuple *tuple);

/* How many times slower than a real one this machine is: NFWHO_TEST_SLOW, as tests/kernel/lib.sh
 * has it. */
unsigned int world_slow(void);

/* A child that is given this very pid, closes all descriptors and holds `socket` as number `fd`.
 * Returns its pid, or -1. */
pid_t child_with_pid(pid_t pid, int fd, int socket);

#endif
