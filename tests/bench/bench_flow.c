// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What an open connection costs in memory, and what each event of its life costs, with 10,000,
 * 100,000 and 1,000,000 of them open. The evidence is made up here and the join decides on it as
 * ever; only the kernel, the records and the outputs are missing.
 *
 * Connections come and go in batches, as a busy collector reads them. They are visited in a random
 * order, so that each event meets a flow which nobody has touched for as long as can be. One socket
 * in eleven is closed, and its flow waits for conntrack's last word.
 */
#include "join.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netlink.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BATCH 250
#define CONNECTIONS 100000	/* of one run */
#define REPEATS 5
#define SIZES 3

enum event { CONNECT, PACKET, ANSWER, NEW, START, LOOKUP, FIN, CLOSE, WAIT, DESTROY, END, EVENTS };

struct bench {
	struct flow_table *flows;
	struct process_table *processes;
	struct trace *trace;
	struct ct *ct;
	struct ledger ledger;
	struct join join;
	struct nflog_packet packet;
	uint32_t *slots;	/* in the order of visits */
	uint32_t *numbers;	/* by slot: which connection it has */
	uint32_t count, next_number, pid;
	uint64_t starts, ends;
	uint64_t ns[EVENTS], best[EVENTS];
};

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static _Noreturn void fail(const char *what)
{
	fprintf(stderr, "bench_flow: %s\n", what);
	exit(1);
}

static uint64_t resident_bytes(void)
{
	unsigned long long size, resident;
	FILE *file = fopen("/proc/self/statm", "r");

	if (!file || fscanf(file, "%llu %llu", &size, &resident) != 2)
		fail("/proc/self/statm");
	fclose(file);
	return resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

static bool count_start(struct flow *f, void *data)
{
	struct bench *b = data;

	(void)f;
	b->starts++;
	return true;
}

static void count_end(struct flow *f, void *data)
{
	struct bench *b = data;

	b->ends += f->reason == REASON_CLOSED && f->seen & FLOW_COUNTERS;
}

static void count_open(struct flow *f, void *data)
{
	(void)f;
	(void)data;
}

static struct tuple tuple_of(uint32_t number)
{
	struct tuple t = { .family = AF_INET, .protocol = IPPROTO_TCP };

	t.src.ip4 = htonl(0xcb007102);		/* 203.0.113.2 */
	t.sport = htons((uint16_t)(32768 + number % 28000));
	number /= 28000;
	t.dst.ip4 = htonl(0xcb007103 + number % 250);
	t.dport = htons((uint16_t)(443 + number / 250));
	return t;
}

static uint64_t socket_of(uint32_t slot)
{
	return 0xffff888000000000 + (uint64_t)slot * 2432;
}

static void socket_changes(struct bench *b, uint32_t slot, uint8_t from, uint8_t to)
{
	struct perf_event event = {
		.kind = PERF_SOCKET_STATE, .time_ns = b->join.now_ns,
		.pid = b->pid, .tid = b->pid,
		.socket = { .skaddr = socket_of(slot), .protocol = IPPROTO_TCP, .old_state = from,
			    .new_state = to, .tuple = tuple_of(b->numbers[slot]) },
	};

	if (to == TCP_SYN_SENT)
		event.socket.tuple.sport = 0;
	join_trace(&b->join, &event);
}

static void route_is_found(struct bench *b, uint32_t slot)
{
	struct perf_event event = {
		.kind = PERF_ROUTE, .time_ns = b->join.now_ns,
		.pid = b->pid, .tid = b->pid,
		.route.tuple = tuple_of(b->numbers[slot]),
	};

	join_trace(&b->join, &event);
}

static void packet_comes(struct bench *b, uint32_t slot)
{
	b->packet.packet.tuple = tuple_of(b->numbers[slot]);
	b->packet.packet.tcp_seq = b->numbers[slot];
	join_packet(&b->join, &b->packet);
}

static void conntrack_says(struct bench *b, uint32_t slot, enum ct_kind kind)
{
	struct ct_entry entry = {
		.kind = kind, .original = tuple_of(b->numbers[slot]), .id = b->numbers[slot],
		.status = IPS_CONFIRMED | IPS_SEEN_REPLY | IPS_ASSURED,
		.has_counters = true, .has_timestamps = true, .has_tcp_state = true,
		.packets = { 6, 5 }, .bytes = { 600, 5000 }, .start_real_ns = 1,
		.stop_real_ns = kind == CT_DESTROY ? b->join.now_real_ns : 0,
	};

	entry.reply = tuple_reverse(&entry.original);
	join_conntrack(&b->join, &entry);
}

static void settle(struct bench *b)
{
	join_settle(&b->join);
	process_expire(b->processes, b->join.now_ns);
}

static void happen(struct bench *b, enum event event, uint32_t slot)
{
	struct tuple tuple;

	switch (event) {
	case CONNECT:
		b->numbers[slot] = b->next_number++;
		socket_changes(b, slot, TCP_CLOSE, TCP_SYN_SENT);
		route_is_found(b, slot);
		break;
	case ANSWER:
		socket_changes(b, slot, TCP_SYN_SENT, TCP_ESTABLISHED);
		break;
	case PACKET:
		packet_comes(b, slot);
		break;
	case NEW:
		conntrack_says(b, slot, CT_NEW);
		break;
	case LOOKUP:
		tuple = tuple_of(b->numbers[slot]);
		if (!flow_by_tuple(b->flows, &tuple))
			fail("an open flow is not found");
		break;
	case FIN:
		socket_changes(b, slot, TCP_ESTABLISHED, TCP_FIN_WAIT1);
		break;
	case CLOSE:
		socket_changes(b, slot, TCP_FIN_WAIT2, TCP_CLOSE);
		break;
	case DESTROY:
		conntrack_says(b, slot, CT_DESTROY);
		break;
	case START:
	case WAIT:
	case END:
	case EVENTS:
		break;
	}
}

/* One event of each connection of a batch, or what is decided when it is complete. */
static void batch(struct bench *b, enum event event, uint32_t first)
{
	uint64_t begin;

	join_clock(&b->join, clock_ns(CLOCK_MONOTONIC), clock_ns(CLOCK_REALTIME));
	b->join.packets_read_ns = b->join.now_ns;
	b->join.conntrack_current = true;
	begin = clock_ns(CLOCK_THREAD_CPUTIME_ID);
	if (event == START || event == WAIT || event == END)
		settle(b);
	else
		for (uint32_t i = 0; i < BATCH; i++)
			happen(b, event, b->slots[(first + i) % b->count]);
	b->ns[event] += clock_ns(CLOCK_THREAD_CPUTIME_ID) - begin;
}

static void connect_batch(struct bench *b, uint32_t first)
{
	for (enum event event = CONNECT; event <= START; event++)
		batch(b, event, first);
}

static void close_batch(struct bench *b, uint32_t first)
{
	for (enum event event = LOOKUP; event <= WAIT; event++)
		batch(b, event, first);
}

static void forget_batch(struct bench *b, uint32_t first)
{
	for (enum event event = DESTROY; event <= END; event++)
		batch(b, event, first);
}

/* Of `count` flows, those whose socket is closed. */
static uint32_t waiting_count(uint32_t count)
{
	return count / 11 / BATCH * BATCH;
}

/* Everywhere the oldest go, and as many come. */
static void run(struct bench *b, uint32_t *at)
{
	uint32_t waiting = waiting_count(b->count);

	for (unsigned int i = 0; i < CONNECTIONS; i += BATCH) {
		close_batch(b, (*at + waiting) % b->count);
		forget_batch(b, *at);
		connect_batch(b, *at);
		*at = (*at + BATCH) % b->count;
	}
}

static void shuffle(uint32_t *slots, uint32_t count)
{
	uint64_t x = 88172645463325252;

	for (uint32_t i = 0; i < count; i++)
		slots[i] = i;
	for (uint32_t i = count - 1; i > 0; i--) {
		uint32_t other, slot = slots[i];

		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		other = (uint32_t)(x % (i + 1));
		slots[i] = slots[other];
		slots[other] = slot;
	}
}

static void bench_open(struct bench *b, uint32_t count)
{
	struct process_config processes = {
		.max_processes = 1024, .linger_ns = 1000000000, .command_line_max_bytes = 4096,
		.reads_per_second = 2000, .proc_fd = open("/proc", O_RDONLY | O_DIRECTORY),
	};
	struct trace_config trace = { 0 };
	struct join_config join = {
		.start = count_start, .end = count_end, .open = count_open, .data = b,
		.own_rules = true, .output_logged = true, .errors_reported = true,
		.ledger = &b->ledger, .protocols = { IPPROTO_TCP }, .protocol_count = 1,
	};
	/* Never bound to anything: nothing comes, and it needs no rights. */
	int silent = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);

	b->count = count;
	b->pid = (uint32_t)getpid();
	b->slots = calloc(count, sizeof(*b->slots));
	b->numbers = calloc(count, sizeof(*b->numbers));
	if (!b->slots || !b->numbers || flow_table_new(&b->flows, count + count / 4) ||
	    process_table_new(&b->processes, &processes) || ct_adopt(&b->ct, silent, 65536, NULL))
		fail("cannot begin");
	trace.flows = join.flows = b->flows;
	trace.processes = join.processes = b->processes;
	if (trace_new(&b->trace, &trace))
		fail("no trace");
	join.trace = b->trace;
	join.ct = b->ct;
	if (join_init(&b->join, &join))
		fail("no join");
	b->packet = (struct nflog_packet) {
		.packet = { .tcp_flags = PACKET_TCP_SYN, .ports_known = true, .length_bytes = 60 },
		.prefix = "", .ifindex_out = 2, .uid = getuid(), .gid = getgid(),
		.has_uid = true, .has_gid = true, .hook = NF_INET_LOCAL_OUT,
	};
	shuffle(b->slots, count);
	memset(b->numbers, 0xff, count * sizeof(*b->numbers));
	/* The join keeps it whatever the number of flows. */
	memset(b->join.confirmed, 0, malloc_usable_size(b->join.confirmed));
}

static void bench_close(struct bench *b)
{
	join_fini(&b->join);
	trace_free(b->trace);
	flow_table_free(b->flows);
	process_table_free(b->processes);
	ct_close(b->ct);
	free(b->slots);
	free(b->numbers);
}

/* Nothing was measured unless every connection has had its start and its end. */
static void verify(const struct bench *b)
{
	uint32_t waiting = waiting_count(b->count);

	if (b->starts != b->next_number || b->ledger.owner[OWNER_TRACE] != b->starts ||
	    b->ends + b->count != b->starts || b->ledger.ends_evicted ||
	    flow_queue_count(b->flows, FLOW_QUEUE_CLOSED) != waiting ||
	    flow_queue_count(b->flows, FLOW_QUEUE_OPEN) != b->count - waiting)
		fail("connections are missing");
}

/* Returns the resident memory per flow; leaves the best of some runs in b->best: others use the
 * machine too. */
static uint64_t measure(struct bench *b, uint32_t count)
{
	uint64_t before, resident;
	uint32_t at = 0;

	bench_open(b, count);
	before = resident_bytes();
	for (uint32_t i = 0; i < count; i += BATCH)
		connect_batch(b, i);
	resident = resident_bytes() - before;
	for (uint32_t i = 0; i < waiting_count(count); i += BATCH)
		close_batch(b, i);
	memset(b->best, 0xff, sizeof(b->best));
	for (unsigned int i = 0; i < REPEATS; i++) {
		memset(b->ns, 0, sizeof(b->ns));
		run(b, &at);
		for (enum event event = 0; event < EVENTS; event++)
			if (b->ns[event] < b->best[event])
				b->best[event] = b->ns[event];
	}
	verify(b);
	bench_close(b);
	return resident / count;
}

int main(void)
{
	static const uint32_t sizes[SIZES] = { 10000, 100000, 1000000 };
	static const char *const names[EVENTS] = {
		[CONNECT] = "connect: transition and route",
		[PACKET] = "packet",
		[ANSWER] = "transition to ESTABLISHED",
		[NEW] = "conntrack NEW",
		[START] = "deciding on the start",
		[LOOKUP] = "(finding a flow by its tuple)",
		[FIN] = "transition to FIN_WAIT1",
		[CLOSE] = "transition to CLOSE",
		[WAIT] = "deciding to wait for conntrack",
		[DESTROY] = "conntrack DESTROY",
		[END] = "deciding on the end",
	};
	static struct bench benches[SIZES];
	uint64_t bytes[SIZES], sums[SIZES] = { 0 };

	for (unsigned int i = 0; i < SIZES; i++)
		bytes[i] = measure(&benches[i], sizes[i]);
	printf("%-34s %9u %9u %9u\n", "open flows", sizes[0], sizes[1], sizes[2]);
	printf("%-34s %9llu %9llu %9llu\n", "resident bytes per flow", (unsigned long long)bytes[0],
	       (unsigned long long)bytes[1], (unsigned long long)bytes[2]);
	for (enum event event = 0; event < EVENTS; event++) {
		printf("%-31s ns", names[event]);
		for (unsigned int i = 0; i < SIZES; i++) {
			uint64_t ns = benches[i].best[event] / CONNECTIONS;

			sums[i] += event == LOOKUP ? 0 : ns;
			printf(" %9llu", (unsigned long long)ns);
		}
		putchar('\n');
	}
	printf("%-31s ns %9llu %9llu %9llu\n", "a connection, all of it", (unsigned long long)sums[0],
	       (unsigned long long)sums[1], (unsigned long long)sums[2]);
	return 0;
}
