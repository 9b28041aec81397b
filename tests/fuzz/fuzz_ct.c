// SPDX-License-Identifier: GPL-2.0-or-later
#include "ct_message.h"
#include "fuzz.h"
#include "nl.h"

#include <assert.h>
#include <sys/socket.h>

static void check(const struct ct_entry *e)
{
	assert(e->original.family == AF_INET || e->original.family == AF_INET6);
	assert(e->original.pad == 0 && e->reply.pad == 0);
	if (!e->has_counters)
		assert(!e->packets[0] && !e->packets[1] && !e->bytes[0] && !e->bytes[1]);
	if (!e->has_timestamps)
		assert(!e->start_real_ns && !e->stop_real_ns);
	if (!e->has_timeout)
		assert(e->timeout_s == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct nlmsghdr *nlh;
	struct ct_entry entry;

	while ((nlh = nl_take(&data, &size)))
		if (ct_message_parse(&entry, nlh) == 0)
			check(&entry);
	return 0;
}
