// SPDX-License-Identifier: GPL-2.0-or-later
#include "ct_timeout.h"
#include "procfs.h"

#include <fcntl.h>
#include <linux/netfilter/nf_conntrack_tcp.h>
#include <stdio.h>
#include <string.h>

static uint32_t read_seconds(const char *name)
{
	char path[128];
	uint32_t seconds;

	snprintf(path, sizeof(path), "/proc/sys/net/netfilter/nf_conntrack_tcp_timeout_%s", name);
	return procfs_read_number(AT_FDCWD, path, &seconds) ? 0 : seconds;
}

void ct_timeout_read(struct ct_timeout *t)
{
	static const struct {
		uint8_t state;
		const char *name;
	} states[] = {
		{ TCP_CONNTRACK_SYN_SENT, "syn_sent" },
		{ TCP_CONNTRACK_SYN_RECV, "syn_recv" },
		{ TCP_CONNTRACK_ESTABLISHED, "established" },
		{ TCP_CONNTRACK_FIN_WAIT, "fin_wait" },
		{ TCP_CONNTRACK_CLOSE_WAIT, "close_wait" },
		{ TCP_CONNTRACK_LAST_ACK, "last_ack" },
		{ TCP_CONNTRACK_TIME_WAIT, "time_wait" },
		{ TCP_CONNTRACK_CLOSE, "close" },
	};

	memset(t, 0, sizeof(*t));
	for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++)
		t->seconds[states[i].state] = read_seconds(states[i].name);
}

uint32_t ct_timeout_of(const struct ct_timeout *t, uint8_t tcp_state)
{
	return tcp_state < sizeof(t->seconds) / sizeof(t->seconds[0]) ? t->seconds[tcp_state] : 0;
}
