// SPDX-License-Identifier: GPL-2.0-or-later
#include "takeover.h"
#include "log.h"
#include "open_flows.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Those that were made before our own trace began, or a moment after. */
int takeover_missed(struct collector *c)
{
	struct ledger *ledger = &c->ledger;

	ledger->trace_missed_known = handover_counted(&c->handover, &ledger->trace_missed) == 0;
	return 0;
}

static void take_flow(const struct flow *f, const char *prefix, void *data)
{
	resume_take_over(data, f, prefix);
}

/* The last run's, before anything tells of them. What conntrack told of them meanwhile is queued,
 * or lost with its socket. */
int takeover_connections(struct collector *c)
{
	struct open_flows about;
	void *list;
	ssize_t len = handover_read_flows(&c->handover, &list);
	int err = len < 0 ? (int)len : 0;

	if (len > 0 && c->ct) {
		collector_read_clocks(c);
		err = open_flows_read(list, (size_t)len, &about, take_flow, &c->join);
	}
	free(list);
	if (err)
		log_warning("the last run's list of open connections is of no use (%s): they are "
			    "looked for in conntrack's table", strerror(-err));
	if (err || len <= 0 || !c->ct)
		return 0;
	flow_number_from(c->flows, about.next_number);
	memcpy(c->host.series, about.series, sizeof(c->host.series));
	if (!c->conntrack_taken)
		join_conntrack_lost(&c->join, c->join.now_ns);
	return 0;
}

static void say_unleft(void)
{
	log_warning("the list of open connections cannot be left for the next run");
}

/* A flow that has ended, or has not started, is nobody's any more, or comes with its packet. */
void takeover_leave(struct collector *c)
{
	FILE *file = c->ct ? handover_write_flows(&c->handover) : NULL;
	struct open_flows about = { .next_number = flow_next_number(c->flows) };
	struct open_flows_writer *w;
	uint32_t slot = 0;
	struct flow *f;

	memcpy(about.series, c->host.series, sizeof(about.series));
	if (!file || open_flows_begin(&w, file, &about)) {
		if (file)
			fclose(file);
		if (c->ct)
			say_unleft();
		return;
	}
	while ((f = flow_walk(c->flows, &slot)))
		if ((f->seen & (FLOW_STARTED | FLOW_ENDED)) == FLOW_STARTED &&
		    open_flows_add(w, f, join_prefix(&c->join, f)))
			c->ledger.ends_evicted += flow_owes_end(f);
	if (open_flows_end(w))
		say_unleft();
	fclose(file);
}

void takeover_keep(struct collector *c, const struct notify *n)
{
	int counters[HANDOVER_COUNTERS_MAX];
	struct handover *h = &c->handover;
	unsigned int count = 0;
	int unwanted = handover_take(h, HANDOVER_RULES);

	if (unwanted >= 0)
		close(unwanted);
	if (c->perf)
		count = perf_counters(c->perf, counters, HANDOVER_COUNTERS_MAX);
	if (count <= HANDOVER_COUNTERS_MAX)
		handover_keep_counters(h, n, counters, count);
	handover_keep(h, n, HANDOVER_ACCOUNT, h->fds[HANDOVER_ACCOUNT]);
	handover_keep(h, n, HANDOVER_FLOWS, h->fds[HANDOVER_FLOWS]);
	handover_keep(h, n, HANDOVER_GROUP, nflog_group_fd(c->nflog));
	handover_keep(h, n, HANDOVER_CONNTRACK, c->ct ? ct_fd(c->ct) : -1);
	handover_keep(h, n, HANDOVER_RULES, c->ruleset_owned ? ruleset_fd(c->ruleset) : -1);
}
