// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What one record costs, from flow to bytes, and what the same object costs through cJSON alone:
 * its tree duplicated (the allocations of building it), printed into a buffer and deleted.
 */
#include "example.h"

#include <arpa/inet.h>
#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define ROUNDS 20000
#define REPEATS 5

enum kind { START, END, TEXT, ULOGD, ULOGD_END, SUMMARY, FIRST, CJSON, KINDS };

struct bench {
	struct example example;
	struct record *record;
	cJSON *tree;
	char line[RECORD_MAX + 8];
};

static uint64_t cpu_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

static int through_cjson(struct bench *b)
{
	cJSON *copy = cJSON_Duplicate(b->tree, true);
	int ok = cJSON_PrintPreallocated(copy, b->line, sizeof(b->line), false);

	cJSON_Delete(copy);
	return ok;
}

static int print(struct bench *b, enum kind kind)
{
	struct example *e = &b->example;
	enum record_action action = kind == END || kind == ULOGD_END ? RECORD_CONNECTION_ENDED :
				    RECORD_CONNECTION_ATTEMPTED;

	switch (kind) {
	case FIRST:
		example_fini(e);
		/* fall through */
	case START:
	case END:
		return record_connection(b->record, action, &e->flow, &e->context, b->line,
					 sizeof(b->line));
	case TEXT:
		return record_text(b->record, RECORD_CONNECTION_ENDED, &e->flow, &e->context,
				   false, b->line, sizeof(b->line));
	case ULOGD:
	case ULOGD_END:
		return record_ulogd(b->record, action, &e->flow, &e->context, b->line,
				    sizeof(b->line));
	case SUMMARY:
		return record_suppressed(b->record, &e->suppressed, e->context.now_real_ns, b->line,
					 sizeof(b->line));
	default:
		return through_cjson(b);
	}
}

/* The best of some runs: others use the machine too. Every record is another connection's. */
static uint64_t measure(struct bench *b, enum kind kind)
{
	uint64_t best = UINT64_MAX, begin, took;

	for (unsigned int repeat = 0; repeat < REPEATS; repeat++) {
		begin = cpu_ns();
		for (unsigned int i = 0; i < ROUNDS; i++) {
			struct flow *flow = &b->example.flow;

			flow->number++;
			flow->start_real_ns += 1000003;
			flow->tuple.sport = htons(i);
			flow->tuple.dst.bytes[3] = i;
			if (print(b, kind) <= 0)
				abort();
		}
		took = cpu_ns() - begin;
		best = took < best ? took : best;
	}
	return best / ROUNDS;
}

int main(void)
{
	static const char *const names[] = {
		"start", "end", "text, end", "ulogd, start", "ulogd, end", "summary of the rate limit",
		"start, its process printed anew", "start, all of it through cJSON",
	};
	static struct bench b;

	example_init(&b.example);
	if (record_new(&b.record, &b.example.config) < 0 || print(&b, START) <= 0)
		return 1;
	b.tree = cJSON_Parse(b.line);
	for (enum kind kind = 0; kind < KINDS; kind++) {
		int len = print(&b, kind);
		uint64_t ns = measure(&b, kind);

		if (kind == CJSON)
			printf("%-34s %6llu ns\n", names[kind], (unsigned long long)ns);
		else
			printf("%-34s %6llu ns %6d bytes\n", names[kind],
			       (unsigned long long)ns, len);
	}
	cJSON_Delete(b.tree);
	example_fini(&b.example);
	record_free(b.record);
	return 0;
}
