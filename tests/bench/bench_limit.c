// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What one decision of the rate limit costs, whatever it is: written or held back, few owners or
 * more than there is room for.
 */
#include "limit.h"
#include "refstr.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ROUNDS 1000000
#define REPEATS 5
#define OWNERS_MAX 100000

static const struct kind {
	const char *name;
	uint32_t rate;
	unsigned int owners, addresses, ports;
	bool ends;
} kinds[] = {
	{ "written, one owner, one address", 1000000, 1, 1, 1 },
	{ "held back, one owner, one address", 1, 1, 1, 1 },
	{ "held back, one owner, one address, and its end", 1, 1, 1, 1, true },
	{ "held back, one owner, 50,000 ports", 1, 1, 1, 50000 },
	{ "held back, one owner, a million addresses", 1, 1, 1000000, 1 },
	{ "written, 4,000 owners", 1000000, 4000, 100, 10 },
	{ "held back, 500 owners", 1, 500, 100, 10 },
	{ "held back, 100,000 owners", 1, OWNERS_MAX, 100, 10 },
};

static struct process owners[OWNERS_MAX];

static uint64_t cpu_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static void make_owners(void)
{
	char path[64];

	for (unsigned int i = 0; i < OWNERS_MAX; i++) {
		int len = snprintf(path, sizeof(path), "/usr/local/libexec/program-%u", i);

		owners[i] = (struct process) {
			.refs = 1, .pid = i + 1, .known = PROCESS_EXECUTABLE | PROCESS_IDS,
			.executable = refstr_new(path, (size_t)len),
		};
		if (!owners[i].executable)
			abort();
	}
}

static void ignore(struct record_suppressed *s, void *data)
{
	(void)s;
	(void)data;
}

static uint64_t run(const struct kind *kind)
{
	const uint32_t unlimited = 1000000;
	struct limit_config config = {
		.rate = kind->rate, .burst = kind->rate == 1 ? 1 : 10 * unlimited,
		.interval_ns = 10000000000,
	};
	uint64_t now_ns = 1000000000000, begin;
	struct limit *limit;
	uint32_t x = 1;

	if (limit_new(&limit, &config, now_ns))
		abort();
	begin = cpu_ns();
	for (unsigned int i = 0; i < ROUNDS; i++) {
		struct flow f = {
			.seen = FLOW_PACKET | FLOW_UID, .owner = OWNER_TRACE,
			.start_real_ns = now_ns, .reason = REASON_REFUSED,
			.tuple = { .family = AF_INET, .protocol = IPPROTO_TCP },
		};

		x = x * 1664525 + 1013904223;
		f.process = &owners[(x >> 8) % kind->owners];
		f.tuple.dst.ip4 = htonl(0x0a000000 + i % kind->addresses);
		f.tuple.dport = htons((uint16_t)(1 + i % kind->ports));
		now_ns += 10000;
		if (!limit_start(limit, &f, now_ns) && kind->ends)
			limit_end(limit, &f, now_ns);
		if (now_ns >= limit_due_ns(limit))
			limit_tell(limit, now_ns, ignore, NULL);
	}
	begin = cpu_ns() - begin;
	limit_free(limit);
	return begin / ROUNDS;
}

/* The best of some runs: others use the machine too. */
int main(void)
{
	make_owners();
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		uint64_t best = UINT64_MAX, took;

		for (unsigned int repeat = 0; repeat < REPEATS; repeat++) {
			took = run(&kinds[i]);
			best = took < best ? took : best;
		}
		printf("%-48s %5llu ns\n", kinds[i].name, (unsigned long long)best);
	}
	for (unsigned int i = 0; i < OWNERS_MAX; i++)
		refstr_clear(&owners[i].executable);
	return 0;
}
