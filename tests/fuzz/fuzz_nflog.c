// SPDX-License-Identifier: GPL-2.0-or-later
#include "fuzz.h"
#include "nflog_batch.h"

#include <assert.h>
#include <string.h>

/* Reads all that the packet points to. */
static void look(const struct nflog_packet *packet, void *data)
{
	size_t *sum = data;

	*sum += strlen(packet->prefix);
	for (uint32_t i = 0; i < packet->payload_len; i++)
		*sum += packet->payload[i];
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct nflog_count count = { .sequence_known = true };
	size_t sum = 0;
	unsigned int handed_on = nflog_batch(&count, data, size, look, &sum);

	assert(count.stats.received == count.stats.invalid + handed_on);
	return 0;
}
