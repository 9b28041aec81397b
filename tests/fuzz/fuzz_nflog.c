// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Batches of packets, one after another. Input: the kernel's datagrams (kernel.h), the first of
 * them for the question that binds the group.
 */
#include "fuzz.h"
#include "kernel.h"
#include "nflog.h"

#include <assert.h>
#include <errno.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_log.h>
#include <string.h>

struct seen {
	uint64_t messages, handed_on;
	size_t sum;
};

static void count_message(const struct nlmsghdr *nlh, size_t payload_len, void *data)
{
	struct seen *seen = data;

	(void)payload_len;
	seen->messages += nlh->nlmsg_type == (NFNL_SUBSYS_ULOG << 8 | NFULNL_MSG_PACKET);
}

/* Reads all that the packet points to. */
static void look(const struct nflog_packet *packet, void *data)
{
	struct seen *seen = data;

	seen->handed_on++;
	seen->sum += strlen(packet->prefix);
	for (uint32_t i = 0; i < packet->payload_len; i++)
		seen->sum += packet->payload[i];
	assert(packet->has_uid || packet->uid == 0);
	assert(packet->has_gid || packet->gid == 0);
	assert(packet->has_ct || (packet->ct_id == 0 && packet->ct_zone == 0));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct nflog_config config = {
		.group = 617, .copy_range_bytes = 256, .buffer_bytes = 8192,
		.queue_threshold = 50, .flush_timeout_10ms = 1, .receive_buffer_bytes = 1 << 20,
	};
	const struct nflog_stats *stats;
	struct seen seen = { 0 };
	struct nflog *n;
	int ret = 1;

	kernel_begin(data, size, count_message, &seen);
	if (nflog_group_open(&n, &config) == 0) {
		stats = nflog_stats(n);
		seen.messages = 0;
		for (int i = 0; i < 4 && ret >= 0; i++)
			ret = nflog_read(n, 16, look, &seen);
		assert(stats->received == stats->invalid + seen.handed_on);
		assert(stats->received >= seen.messages);
		nflog_unbind(n);
		nflog_group_close(n);
	}
	kernel_end();
	return 0;
}
