// SPDX-License-Identifier: GPL-2.0-or-later
/* Notifications of the ruleset's changes, as the kernel's datagrams (kernel.h). */
#include "fuzz.h"
#include "kernel.h"
#include "monitor.h"

#include <assert.h>
#include <errno.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <string.h>

#define OWN_PORT 4242

struct expected {
	unsigned int objects;	/* since the last generation, of anybody's tables */
	unsigned int changes, of_something;
};

/* A change for each generation that is another's. */
static void count_changes(const struct nlmsghdr *nlh, size_t payload_len, void *data)
{
	struct expected *expected = data;

	if (nlh->nlmsg_type >> 8 != NFNL_SUBSYS_NFTABLES || payload_len < sizeof(struct nfgenmsg))
		return;
	if ((nlh->nlmsg_type & 0xff) != NFT_MSG_NEWGEN) {
		expected->objects++;
		return;
	}
	if (nlh->nlmsg_pid != OWN_PORT) {
		expected->changes++;
		expected->of_something += expected->objects > 0;
	}
	expected->objects = 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	unsigned int changes = 0, ours = 0, lost = 0;
	struct expected expected = { 0 };
	struct ruleset_change change;
	struct monitor *m;
	int ret;

	kernel_begin(data, size, count_changes, &expected);
	assert(monitor_open(&m, OWN_PORT) == 0);
	while ((ret = monitor_read(m, &change)) == 1 || ret == -ENOBUFS) {
		lost += ret == -ENOBUFS;
		if (ret != 1)
			continue;
		changes++;
		ours += change.ours;
		assert(memchr(change.program, '\0', sizeof(change.program)));
	}
	assert(ret == 0 || ret == -ECONNRESET);
	assert(changes == expected.changes);
	assert(lost || ours <= expected.of_something);
	monitor_close(m);
	kernel_end();
	return 0;
}
