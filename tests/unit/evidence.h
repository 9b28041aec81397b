/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NFWHO_TEST_EVIDENCE_H
#define NFWHO_TEST_EVIDENCE_H

/* The join with made-up evidence. The two processes are real, so that their network namespace can
 * be read, and so is a socket that is asked for. What is wrong fails the test that called. */

#include "join.h"
#include "ladder.h"

#include <arpa/inet.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define MS 1000000ull
#define BEGIN_NS (86400000000 * MS)	/* after everything that is read of real processes */
#define SOCKET 0xffff888012340000ull
#define GONE 2	/* process that nothing is known of */

/* Where everything goes: to an address of documents, unless a test has a real socket. */
extern struct tuple server;

/* conntrack's table, where a test gives it to the join as config.ct: one entry, or none. */
struct ct {
	struct ct_entry entry;
	bool stands;
};

struct world {
	struct join join;
	struct ledger ledger;
	struct flow_table *flows;
	struct process_table *processes;
	struct owner *owner;
	struct trace *trace;
	struct route *route;
	int proc_fd;
	pid_t pid[3];
	uint64_t now_ns;
	uint64_t slow_ns;		/* what conntrack tells is read that long after the drain began */

	bool filter;			/* leaves out what goes from port 40000, or from that of a
					 * real socket */
	unsigned int started, ended, open;
	uint64_t ended_number;		/* of the last end */
	bool ended_answered;
	uint64_t ended_bytes[8];	/* of each end, by its packet's sequence number */
	uint32_t seq[8];		/* of each start: which packet it was */
	uint32_t owner_pid[8];		/* 0: unnamed */
	uint32_t tid[8];
	uint8_t rung[8], reason[8];
};

/* A process that does nothing, and ends with this one. */
pid_t stand_by(void);

int set_up(void **state);
int tear_down(void **state);

struct tuple to_server(uint16_t sport);
void pass(struct world *w, uint64_t ns);

/* Process `who` changes the state of its n-th socket. */
void transition(struct world *w, int who, unsigned int n, uint8_t from, uint8_t to, uint16_t sport);
void connects(struct world *w, int who, unsigned int n);
/* It looks up the route of a socket that has this port. */
void route(struct world *w, int who, uint16_t sport);
void lives_and_dies(struct world *w, int who, unsigned int n, uint16_t sport);
void fails(struct world *w, int who, unsigned int n, uint16_t sport);

/* A SYN with its conntrack entry, where the kernel gives it: 0 none. */
void packet_of_entry(struct world *w, uint16_t sport, uint32_t seq, uint32_t id, uint16_t zone);
void packet(struct world *w, uint16_t sport, uint32_t seq);
/* One that was sent before: its entry was confirmed by then. */
void packet_sent_again(struct world *w, uint16_t sport, uint32_t seq, uint32_t id);
/* One without a socket, at another hook. */
void passes(struct world *w, uint8_t hook, uint16_t sport, uint32_t seq);
void forwarded(struct world *w, uint16_t sport, uint32_t seq);

/* conntrack's word of the connection from port 40000. */
void tells(struct world *w, enum ct_kind kind, uint32_t id, uint16_t zone, uint64_t bytes);

/* All that was queued has been read, or not. */
void settle(struct world *w, bool all_read);
/* So long, settling once a millisecond. */
void wait_for(struct world *w, int ms);
/* Until nothing of the start waits any more. */
void wait_out(struct world *w);
/* Until what was not found is asked for again. */
void look_again(struct world *w);

/* A real socket, whose own address is the server from now on, and which drops the SYN that it sends
 * to itself: it has come too far. */
int connect_unanswered(void);

/* The packet with this sequence number belongs to process `who`; -1: to nobody. */
void expect(struct world *w, uint32_t seq, int who);

#endif
