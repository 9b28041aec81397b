// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The tables of /proc/net: each line, the whole file as it may come in pieces, and the two that
 * tell whose a netlink port and a log group are; and the search for who holds a socket, in which
 * each process that there is says the same of itself.
 */
#include "files.h"
#include "fuzz.h"
#include "nflog.h"
#include "owner.h"
#include "portid.h"
#include "procfd.h"
#include "procnet.h"

#include <assert.h>
#include <linux/netlink.h>
#include <string.h>

/* What every descriptor of every process is. */
#define SOCKET "socket:[617]"
#define INODE 617
#define PROCESSES_END 8

/* The last socket of a family that stands in a whole line below the heading. */
struct last {
	struct sock_query query[2];
	unsigned int count;
};

static void decode(const char *line, size_t len, uint8_t family, struct sock_query *last)
{
	struct tuple tuple;
	struct sock sock;

	if (procnet_decode(line, len, family, IPPROTO_TCP, &tuple, &sock) < 0)
		return;
	assert(tuple.family == AF_INET || (tuple.family == AF_INET6 && family == AF_INET6));
	assert(tuple.pad == 0 && tuple.protocol == IPPROTO_TCP);
	assert(sock.cookie == 0 && sock.cgroup_id == 0);
	if (last)
		*last = (struct sock_query){ .tuple = tuple, .found = true };
}

static void decode_lines(const char *at, const char *end, struct sock_query last[static 2])
{
	for (bool heading = true; at < end; heading = false) {
		const char *newline = memchr(at, '\n', end - at);
		bool counts = newline && !heading;
		size_t len = (newline ? newline : end) - at;

		decode(at, len, AF_INET, counts ? &last[0] : NULL);
		decode(at, len, AF_INET6, counts ? &last[1] : NULL);
		at += len + 1;
	}
}

#define PORTID 617

/* It is one of the processes that there are, or the one that has its pid for a port. */
static void look_for_port(void)
{
	char comm[PORTID_COMM_MAX];
	uint32_t pid;

	if (portid_process(FILES_DIRECTORY, NETLINK_NETFILTER, PORTID, &pid, comm) == 0)
		assert(pid > 0 && pid < PROCESSES_END && memchr(comm, '\0', sizeof(comm)));
	if (portid_process(FILES_DIRECTORY, NETLINK_NETFILTER, 1, &pid, comm) == 0)
		assert(pid == 1);
}

/* Nobody is named who is not the one that the files of each process say it is. */
static void look_for_owner(const struct tuple *tuple)
{
	struct process_config processes = { .max_processes = 4, .command_line_max_bytes = 256,
					    .proc_fd = FILES_DIRECTORY };
	struct owner_config config = { .mode = OWNER_LOOKUP_PROC, .proc_fd = FILES_DIRECTORY };
	struct owner_query query = { .tuple = *tuple };
	struct procfd_identity who;
	struct owner *owner;

	assert(process_table_new(&config.processes, &processes) == 0);
	assert(owner_new(&owner, &config) == 0);
	if (owner_lookup(owner, &query, 1) == 0 && query.process) {
		assert(query.rung == OWNER_SOCKET && query.inode == INODE);
		assert(procfd_identify(FILES_DIRECTORY, FILES_DIRECTORY, &who) == 0);
		assert(query.process->pid == who.pid && query.holders[0] == who.pid);
		assert(owner_holds(owner, who.pid, INODE) != 0);
	}
	owner_free(owner);
	process_table_free(config.processes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sock_query last[2] = { 0 }, asked[2];
	uint64_t invalid = 0;
	uint32_t number;

	decode_lines((const char *)data, (const char *)data + size, last);
	memcpy(asked, last, sizeof(last));
	files_begin(data, size);
	if (size % 8 == 1)	/* a read(2) each */
		files_give(16 + size % 64);
	assert(procnet_lookup(FILES_DIRECTORY, asked, 2, &invalid) == 0);
	for (int i = 0; i < 2; i++)
		assert(!last[i].found || asked[i].found);
	if (size % 4 == 1) {	/* not always: what takes time is to open them */
		asked[0].tuple.protocol = IPPROTO_UDP;
		assert(procnet_lookup(FILES_DIRECTORY, asked, 1, NULL) == 0);
		assert(nflog_group_holder(617, &number) == 0);
		files_link(SOCKET);
		files_directories(PROCESSES_END);
		look_for_port();
		if (last[0].found)
			look_for_owner(&last[0].tuple);
	}
	files_end();
	return 0;
}
