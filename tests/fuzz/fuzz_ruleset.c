// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * All that is asked of nf_tables, and its answers. Input: what rules (4 bytes), what is done in
 * which order (8 bytes), and then the kernel's datagrams (kernel.h).
 */
#include "filter.h"
#include "fuzz.h"
#include "kernel.h"
#include "ruleset.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#define STEPS 8

static struct filter filter;

static void inspect(struct ruleset *r)
{
	enum ruleset_state state = RULESET_FOREIGN + 1;
	uint32_t owner = 0;
	int err = ruleset_inspect(r, &state, &owner);

	assert(err <= 0);
	assert(err || state <= RULESET_FOREIGN);
	assert(err || state != RULESET_OWNED || owner != 0);
}

static void step(struct ruleset *r, uint8_t what)
{
	struct ruleset_change change;
	struct ruleset_counts counts;
	uint64_t packets;
	uint32_t rules;

	switch (what % 11) {
	case 0:
	case 1:
		assert(ruleset_create(r, what % 11 == 1) <= 0);
		break;
	case 2:
		assert(ruleset_silence(r) <= 0);
		break;
	case 3:
		assert(ruleset_remove(r) <= 0);
		break;
	case 4:
		assert(ruleset_counters(r, &counts) <= 0);
		break;
	case 5:
		assert(ruleset_loggers(r, &rules) <= 0);
		break;
	case 6:
		inspect(r);
		break;
	case 7:
		assert(ruleset_watch(r) >= 0);
		assert(ruleset_read_change(r, &change) <= 1);
		break;
	case 8:
		assert(ruleset_filter(r, &filter) <= RULESET_NOT_OWNED);
		break;
	case 9:
		assert(ruleset_may_own(r) <= 1);
		break;
	case 10:
		assert(ruleset_matched(r, &packets) <= 0);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ruleset_config config = {
		.group = 617, .snaplen_bytes = RULESET_SNAPLEN_BYTES,
		.prefix = RULESET_PREFIX, .untracked_prefix = RULESET_PREFIX_UNTRACKED,
	};
	const uint8_t *steps = data + 4;
	struct ruleset *r;
	char why[256];

	if (size < 4 + STEPS)
		return 0;
	config.hooks = data[0];
	config.protocols = data[1];
	config.loopback = data[2] & 1;
	config.conntrack = data[2] & 2;
	config.limit_per_second = data[3];
	if (filter_empty(&filter))
		assert(filter_add(&filter, FILTER_EXCEPT, "net=203.0.113.0/24,port=443", why,
				  sizeof(why)) == 0);
	kernel_begin(data + 4 + STEPS, size - 4 - STEPS, NULL, NULL);
	if (ruleset_open(&r, &config) == 0) {
		for (int i = 0; i < STEPS; i++)
			step(r, steps[i]);
		ruleset_close(r);
	}
	kernel_end();
	return 0;
}
