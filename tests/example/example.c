// SPDX-License-Identifier: GPL-2.0-or-later
#include "example.h"

#include <arpa/inet.h>
#include <linux/netfilter.h>
#include <stdlib.h>
#include <string.h>

/* 2026-01-02T03:04:05.000006Z */
#define START_REAL_NS 1767323045000006000ULL
#define SECOND_NS 1000000000ULL

static void set_host(struct host *h)
{
	*h = (struct host){
		.name = "web1.example.org", .hostname = "web1",
		.id = "00112233445566778899aabbccddeeff",
		.boot_id = "01234567-89ab-cdef-0123-456789abcdef",
		.run_id = "ffeeddccbbaa99887766554433221100",
		.series = "ffeeddccbbaa99887766554433221100", .ticks_per_second = 100,
	};
}

static void set_processes(struct example *e)
{
	static const char args[] = "curl\0-sS\0https://example.org/", parent_args[] = "-bash";

	e->parent = (struct process){
		.refs = 1, .known = UINT32_MAX, .pid = 800, .ppid = 1, .uid = 0, .ruid = 0,
		.start_ticks = 1000, .start_real_ns = START_REAL_NS - 60 * SECOND_NS,
		.comm = "bash", .executable = (char *)"/usr/bin/bash",
	};
	example_set_command_line(&e->parent, parent_args, sizeof(parent_args));
	e->process = (struct process){
		.refs = 1, .known = UINT32_MAX, .pid = 812, .ppid = 800, .vpid = 12,
		.uid = 0, .ruid = 0, .pgid = 812, .sid = 800, .tty = 34816,
		.login_uid = 0, .login_session = 3,
		.start_ticks = 7000, .start_real_ns = START_REAL_NS - SECOND_NS,
		.executable_deleted = true, .comm = "curl",
		.executable = (char *)"/usr/bin/curl", .executed = (char *)"/bin/curl",
		.directory = (char *)"/root",
		.cgroup = (char *)"/system.slice/docker-0123.scope",
		.unit = (char *)"docker-0123.scope", .container_id = (char *)"0123456789ab",
		.container_runtime = "docker", .args_count = 3, .parent = &e->parent,
		.command_line_cut = false,
	};
	example_set_command_line(&e->process, args, sizeof(args));
}

static void set_flow(struct example *e)
{
	static const uint8_t source[4] = { 198, 51, 100, 1 }, destination[4] = { 203, 0, 113, 9 };
	static const uint8_t nat_source[4] = { 198, 51, 100, 200 }, nat[4] = { 203, 0, 113, 80 };
	struct tuple reply = { 0 };

	e->flow = (struct flow){
		.number = 42,
		.seen = FLOW_PACKET | FLOW_CONNECT | FLOW_NEW | FLOW_DESTROY | FLOW_PORT |
			FLOW_ANSWERED | FLOW_CLOSED | FLOW_COUNTERS | FLOW_REPLY | FLOW_CT_ID |
			FLOW_TCP_STATE | FLOW_UID | FLOW_GID | FLOW_STARTED,
		.start_ns = 10 * SECOND_NS, .start_real_ns = START_REAL_NS,
		.packet_ns = 10 * SECOND_NS + 50000, .answer_ns = 10 * SECOND_NS + 400000,
		.end_ns = 12 * SECOND_NS,
		.bytes = { 9007199254740993, UINT64_MAX - 9007199254740993 }, .packets = { 12, 9 },
		.process = &e->process, .cgroup_id = 77, .tid = 813, .uid = 0, .gid = 0,
		.mark = 7, .ifindex_out = 2, .tcp_seq = 3979881877, .ct_id = 1561956371,
		.syn_retransmits = 1, .owner = OWNER_TRACE, .reason = REASON_CLOSED,
		.hook = NF_INET_LOCAL_OUT,
	};
	tuple_set_addresses(&e->flow.tuple, AF_INET, source, destination);
	e->flow.tuple.protocol = IPPROTO_TCP;
	e->flow.tuple.sport = htons(44762);
	e->flow.tuple.dport = htons(443);
	tuple_set_addresses(&reply, AF_INET, nat, nat_source);
	e->flow.reply_src = reply.src;
	e->flow.reply_dst = reply.dst;
	e->flow.reply_sport = htons(8443);
	e->flow.reply_dport = htons(1024);
}

static void set_accounts(struct example *e)
{
	memset(&e->ledger, 1, sizeof(e->ledger));
	e->ledger.matched_known = e->ledger.matched_approximate = true;
	e->ledger.trace_missed_known = true;
	e->ledger.conntrack_known = true;
	e->ledger.matched = UINT64_MAX;
	e->sinks[0] = (struct record_sink){ "stdout", 1, 2, 3, 4 };
	e->sinks[1] = (struct record_sink){ "file:/var/log/nfwho/nfwho.json", 5, 6, 7, 8 };
	e->gap = (struct record_gap){ START_REAL_NS, START_REAL_NS + SECOND_NS, "table removed",
				      812, "nft", true };
	e->suppressed = (struct record_suppressed){
		.process = &e->process, .executable = "/usr/bin/curl", .container_id = "0123",
		.container_runtime = "docker", .cgroup_path = "", .others = true, .uid = 0, .has_uid = true, .owner = OWNER_TRACE,
		.count = 99980, .ended = 3, .successes = 1, .failures = 2,
		.reasons = { 0, 1, 1, 1, 1, 1, 1, 1, 1, 1 }, .bytes = { UINT64_MAX, 0 },
		.has_bytes = true, .destinations = 2, .ports = 10000, .top_count = 2,
		.first_real_ns = START_REAL_NS, .last_real_ns = START_REAL_NS + SECOND_NS,
		.interval_end_real_ns = START_REAL_NS + 10 * SECOND_NS,
	};
	e->suppressed.top[0] = (struct record_destination){ e->flow.tuple.dst, AF_INET,
							    htons(443), 99979 };
	e->suppressed.top[1] = (struct record_destination){ e->flow.tuple.dst, AF_INET,
							    htons(80), 1 };
}

void example_init(struct example *e)
{
	memset(e, 0, sizeof(*e));
	set_host(&e->host);
	e->labels[0] = (struct record_label){ "site", "lab" };
	e->labels[1] = (struct record_label){ "stage", "test" };
	e->tags[0] = "edge";
	e->tags[1] = "linux";
	e->config = (struct record_config){
		.host = &e->host, .version = "0.1.0", .labels = e->labels, .label_count = 2,
		.tags = e->tags, .tag_count = 2,
	};
	set_processes(e);
	set_flow(e);
	e->holders[0] = 812;
	e->holders[1] = 815;
	e->context = (struct record_context){
		.now_real_ns = START_REAL_NS + 3 * SECOND_NS, .now_ns = 13 * SECOND_NS,
		.prefix = "nfwho tcp", .interface_out = "eth0", .cgroup_path = "/system.slice",
		.thread_name = "curl-resolver", .holders = e->holders, .holder_count = 2,
	};
	set_accounts(e);
}

void example_set_command_line(struct process *p, const char *args, size_t len)
{
	p->command_line = (char *)args;
	p->command_line_len = len;
}

static void forget(struct process *p)
{
	for (unsigned int i = 0; i < 2; i++) {
		free(p->fragment[i]);
		p->fragment[i] = NULL;
	}
}

void example_fini(struct example *e)
{
	forget(&e->process);
	forget(&e->parent);
}
