/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NFWHO_FATE_H
#define NFWHO_FATE_H

#include "flow.h"

/* What became of a connection, from the evidence in its flow. */

/* What the flow itself does not hold. */
struct fate_signs {
	bool conntrack;		/* conntrack events are read, up to this moment */
	bool tracked;		/* our own rule matched it by conntrack state: it had an entry */
	bool entry_exists;	/* conntrack has an entry for its tuple, whoever made it */
	bool errors_reported;	/* this kernel reports socket errors, and none was lost since */
	bool socket_open;	/* it has not begun to close; asked for only where conntrack's last
				 * word is without a state */
};

/* Whether the connection was ever established. */
bool fate_answered(const struct flow *f);

/* The reason for its end, REASON_NONE where the signs do not decide. Only for a flow that is over:
 * FLOW_CLOSED or FLOW_DESTROY. */
enum flow_reason fate_decide(const struct flow *f, const struct fate_signs *signs);

#endif
