// SPDX-License-Identifier: GPL-2.0-or-later
#include "fuzz.h"
#include "packet.h"

#include <assert.h>
#include <string.h>
#include <sys/socket.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct packet packet;
	enum packet_status status = packet_decode(&packet, data, size);

	assert(packet.tuple.pad == 0);
	if (status == PACKET_OK)
		assert(packet.tuple.family == AF_INET || packet.tuple.family == AF_INET6);
	if (!packet.ports_known)
		assert(packet.tuple.sport == 0 && packet.tuple.dport == 0);
	return 0;
}
