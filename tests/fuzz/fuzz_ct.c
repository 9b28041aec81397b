// SPDX-License-Identifier: GPL-2.0-or-later
/* Events, a lookup, a dump, a dump in parts and events again, as the kernel's datagrams
 * (kernel.h). */
#include "ct_message.h"
#include "ct_timeout.h"
#include "fuzz.h"
#include "kernel.h"

#include <assert.h>
#include <errno.h>
#include <linux/netfilter/nfnetlink.h>
#include <string.h>
#include <sys/socket.h>

/* In front of the library's, which reads this host's sysctls. */
void ct_timeout_read(struct ct_timeout *t)
{
	for (uint32_t i = 0; i < 16; i++)
		t->seconds[i] = i * 10;
}

uint32_t ct_timeout_of(const struct ct_timeout *t, uint8_t tcp_state)
{
	return tcp_state < 16 ? t->seconds[tcp_state] : 0;
}

static void count_message(const struct nlmsghdr *nlh, size_t payload_len, void *data)
{
	uint64_t *messages = data;

	(void)payload_len;
	*messages += nlh->nlmsg_type >> 8 == NFNL_SUBSYS_CTNETLINK;
}

static void check(const struct ct_entry *e, void *data)
{
	uint64_t *handed_on = data;

	(*handed_on)++;
	assert(e->original.family == AF_INET || e->original.family == AF_INET6);
	assert(e->reply.family == AF_INET || e->reply.family == AF_INET6);
	assert(e->original.pad == 0 && e->reply.pad == 0);
	if (!e->has_counters)
		assert(!e->packets[0] && !e->packets[1] && !e->bytes[0] && !e->bytes[1]);
	if (!e->has_timestamps)
		assert(!e->start_real_ns && !e->stop_real_ns);
	if (!e->has_timeout)
		assert(e->timeout_s == 0);
	if (!e->has_tcp_state)
		assert(e->tcp_state == 0 && e->idle_s == 0);
	assert(!e->removed_by_hand || e->kind == CT_DESTROY);
}

static void check_wanted(const struct ct_entry *e, void *data)
{
	check(e, data);
	assert(e->original.protocol == IPPROTO_TCP || e->original.protocol == IPPROTO_UDP);
}

static int read_events(struct ct *ct, uint64_t *messages)
{
	const struct ct_stats *stats = ct_stats(ct);
	uint64_t received = stats->received, invalid = stats->invalid, handed_on = 0;
	int n;

	*messages = 0;
	n = ct_read(ct, 16, check, &handed_on);
	assert(stats->received - received == *messages);
	if (n < 0)
		return n;
	/* All of them, too, when so many datagrams were of no use. */
	assert((uint64_t)n == handed_on || n == 16);
	/* A datagram that was cut off is invalid, too. */
	assert(handed_on + stats->invalid - invalid >= *messages);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t protocols[] = { IPPROTO_TCP, IPPROTO_UDP };
	struct tuple tuple = { .family = AF_INET6, .protocol = IPPROTO_TCP };
	struct ct_entry found;
	uint64_t messages, dumped = 0;
	struct ct *ct;

	kernel_begin(data, size, count_message, &messages);
	assert(ct_open(&ct, protocols, sizeof(protocols), 1 << 20) == 0);
	if (read_events(ct, &messages) == 0) {
		memset(&found, 0xa5, sizeof(found));
		if (ct_lookup(ct, &tuple, 0, &found) == 0)
			check(&found, &dumped);
		tuple.family = AF_INET;
		ct_lookup(ct, &tuple, 1, NULL);
		ct_dump(ct, check_wanted, &dumped);
		/* As long as nothing is queued there is more to come. */
		for (int i = 0; i < 4 && ct_dump_part(ct, check_wanted, &dumped) == 1; i++)
			;
		read_events(ct, &messages);
	}
	ct_close(ct);
	kernel_end();
	return 0;
}
