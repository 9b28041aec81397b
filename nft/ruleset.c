// SPDX-License-Identifier: GPL-2.0-or-later
#include "ruleset.h"
#include "batch.h"
#include "counter.h"
#include "filter_chain.h"
#include "logger.h"
#include "monitor.h"
#include "rule.h"
#include "standing.h"
#include "table.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/netfilter/nf_tables.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TRIES 16	/* when others change the ruleset between our look and our batch */

struct ruleset {
	struct nl nl;
	struct ruleset_config config;
	char prefix[128], untracked_prefix[128];
	struct monitor *monitor;
	struct counter matched, limited, filtered;
	struct filter filter;	/* of an owned table */
	uint64_t table_handle;	/* whose counters these are; 0: there is no table */
	bool followed;		/* that is known, and the next table is another one */
	uint32_t log_rules;
	uint32_t stop_rules;	/* those of the filter that count */
	bool owned;		/* a table of this socket: it has a filter's chain and counter */
	bool silent;		/* no rules on purpose: ruleset_silence() */
};

static int settle(struct ruleset *r, const struct ruleset_config *config)
{
	struct rule rules[RULES_MAX];
	unsigned int count;
	uint32_t generation;
	int one = 1;

	/* Without the request repeated in every error, all answers to a batch fit the buffer. */
	if (mnl_socket_setsockopt(r->nl.socket, NETLINK_CAP_ACK, &one, sizeof(one)) < 0 &&
	    errno != ENOPROTOOPT)
		return -errno;
	r->config = *config;
	strncpy(r->prefix, config->prefix, sizeof(r->prefix) - 1);
	r->config.prefix = r->prefix;
	strncpy(r->untracked_prefix, config->untracked_prefix, sizeof(r->untracked_prefix) - 1);
	r->config.untracked_prefix = r->untracked_prefix;
	count = rule_list(config, false, rules);
	for (unsigned int i = 0; i < count; i++)
		r->log_rules += !rules[i].over_limit;
	return batch_generation(&r->nl, &generation);
}

int ruleset_open(struct ruleset **out, const struct ruleset_config *config)
{
	struct ruleset *r;
	int err = rule_config_check(config);

	if (err)
		return err;
	r = calloc(1, sizeof(*r));
	if (!r)
		return -ENOMEM;
	err = nl_open(&r->nl, NETLINK_NETFILTER, 0, BATCH_ANSWER_BYTES);
	if (!err)
		err = settle(r, config);
	if (err) {
		ruleset_close(r);
		return err;
	}
	*out = r;
	return 0;
}

/* Through a second descriptor of the same socket: closing that one leaves the caller's. */
static int adopt_copy(struct ruleset *r, int fd)
{
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0), err;

	if (copy < 0)
		return -errno;
	err = nl_adopt(&r->nl, copy, NETLINK_NETFILTER, BATCH_ANSWER_BYTES);
	if (err) {
		close(copy);
		return err;
	}
	/* Answers to questions of the socket's former user. */
	do {
		err = (int)nl_receive(&r->nl);
	} while (err > 0 || err == -ENOBUFS || err == -EMSGSIZE);
	return err;
}

int ruleset_adopt(struct ruleset **out, const struct ruleset_config *config, int fd)
{
	struct ruleset *r;
	int err = rule_config_check(config);

	if (err)
		return err;
	r = calloc(1, sizeof(*r));
	if (!r)
		return -ENOMEM;
	err = adopt_copy(r, fd);
	if (!err)
		err = settle(r, config);
	if (err) {
		ruleset_close(r);
		return err;
	}
	close(fd);
	*out = r;
	return 0;
}

static enum ruleset_state state_of(const struct standing *standing)
{
	if (!standing->exists)
		return RULESET_ABSENT;
	if (!standing->marked)
		return RULESET_FOREIGN;
	if (standing->owner_portid)
		return RULESET_OWNED;
	return standing->as_configured ? RULESET_STANDS : RULESET_ALTERED;
}

static void begin_counters_again(struct ruleset *r)
{
	counter_begin_again(&r->matched);
	counter_begin_again(&r->limited);
	counter_begin_again(&r->filtered);
	r->table_handle = 0;
}

static void follow_counters(struct ruleset *r)
{
	counter_follow(&r->matched, &r->nl, RULE_COUNTER_MATCHED);
	counter_follow(&r->limited, &r->nl, RULE_COUNTER_LIMITED);
	counter_follow(&r->filtered, &r->nl, RULE_COUNTER_FILTERED);
}

int ruleset_inspect(struct ruleset *r, enum ruleset_state *state, uint32_t *owner_portid)
{
	struct standing standing;
	int err = standing_read(&r->nl, &r->config, &standing);

	if (err)
		return err;
	/* Not told by their values: the new ones may have passed the old ones by now. */
	if (r->followed && standing.handle != r->table_handle)
		follow_counters(r);
	r->followed = true;
	r->table_handle = standing.handle;
	*state = state_of(&standing);
	if (owner_portid)
		*owner_portid = standing.owner_portid;
	return 0;
}

uint64_t ruleset_table(const struct ruleset *r)
{
	return r->table_handle;
}

/* What a refusal of this message means. */
static int meaning(int err, uint16_t type, bool owned)
{
	if (type == NFT_MSG_DELTABLE && err == -EPERM)
		return -EBUSY;
	/* A flag the kernel does not know: EINVAL before Linux 5.12, EOPNOTSUPP in principle. */
	if (type == NFT_MSG_NEWTABLE && owned && err == -EINVAL)
		return -EOPNOTSUPP;
	if (type == NFT_MSG_NEWTABLE || type == 0)
		return err;
	/* Something in it (inet, log, ct, limit, named counters) is not built into this kernel. */
	if (err == -ENOENT || err == -EOPNOTSUPP || err == -EAFNOSUPPORT)
		return -EPROTONOSUPPORT;
	return err;
}

/* 0: the table is ours to replace or absent. */
static int may_touch(const struct ruleset *r, const struct standing *standing)
{
	switch (state_of(standing)) {
	case RULESET_FOREIGN:
		return -EEXIST;
	case RULESET_OWNED:
		return standing->owner_portid == r->nl.portid ? 0 : -EBUSY;
	case RULESET_ABSENT:
	case RULESET_STANDS:
	case RULESET_ALTERED:
		break;
	}
	return 0;
}

enum goal { GOAL_REMOVE, GOAL_SILENCE, GOAL_RULES, GOAL_UNOWNED, GOAL_OWNED };

static int put(struct ruleset *r, struct batch *batch, enum goal goal, bool exists)
{
	int err = 0;

	if (goal == GOAL_SILENCE || goal == GOAL_RULES)
		err = table_put_flush(batch);
	else if (exists)
		err = table_put_delete(batch);
	if (!err && goal == GOAL_RULES)
		err = table_put_rules(batch, &r->config, &r->filter);
	else if (!err && goal >= GOAL_UNOWNED)
		err = table_put(batch, &r->config, goal == GOAL_OWNED ? &r->filter : NULL,
				goal == GOAL_OWNED);
	return err;
}

static int try_change(struct ruleset *r, enum goal goal)
{
	struct standing standing;
	struct batch batch;
	uint32_t generation;
	int err = batch_generation(&r->nl, &generation);

	if (!err)
		err = standing_read(&r->nl, &r->config, &standing);
	if (!err && goal == GOAL_RULES && standing.owner_portid != r->nl.portid)
		return RULESET_NOT_OWNED;
	if (!err)
		err = may_touch(r, &standing);
	if (err || (goal <= GOAL_SILENCE && !standing.exists))
		return err;
	err = batch_init(&batch, &r->nl, generation);
	if (err)
		return err;
	err = put(r, &batch, goal, standing.exists);
	if (!err) {
		err = batch_send(&batch);
		err = meaning(err, batch.failed_type, goal == GOAL_OWNED);
	}
	batch_fini(&batch);
	return err;
}

static int change(struct ruleset *r, enum goal goal)
{
	int err = -ERESTART;

	for (int i = 0; i < TRIES && err == -ERESTART; i++)
		err = try_change(r, goal);
	return err == -ERESTART ? -EAGAIN : err;
}

int ruleset_may_own(struct ruleset *r)
{
	struct standing standing;
	struct batch batch;
	uint32_t generation;
	int err = batch_generation(&r->nl, &generation);

	if (!err)
		err = standing_read(&r->nl, &r->config, &standing);
	if (!err)
		err = may_touch(r, &standing);
	if (!err)
		err = batch_init(&batch, &r->nl, generation);
	if (err)
		return err;
	err = table_put_in_vain(&batch, standing.exists);
	if (!err) {
		err = batch_send(&batch);
		if (batch.failed_type == NFT_MSG_NEWTABLE && err == -EINVAL)
			err = 0;
		else if (batch.failed_type == NFT_MSG_DELTABLE && err == -ENOENT)
			err = 1;
	}
	batch_fini(&batch);
	return err;
}

int ruleset_create(struct ruleset *r, bool owned)
{
	int err = change(r, owned ? GOAL_OWNED : GOAL_UNOWNED);
	struct standing standing;

	if (err)
		return err;
	r->silent = false;
	r->owned = owned;
	begin_counters_again(r);
	r->followed = standing_read(&r->nl, &r->config, &standing) == 0;
	if (r->followed)
		r->table_handle = standing.handle;
	return 0;
}

static uint32_t count_stop_rules(const struct filter *filter)
{
	struct filter_rule rules[FILTER_RULES_MAX];
	unsigned int count = filter_rules(filter, rules), counting = 0;

	for (unsigned int i = 0; i < count; i++)
		counting += rules[i].counts;
	return counting;
}

int ruleset_filter(struct ruleset *r, const struct filter *filter)
{
	struct filter before = r->filter;
	int err;

	r->filter = *filter;
	err = change(r, GOAL_RULES);
	if (err) {
		r->filter = before;
		return err;
	}
	r->owned = true;
	r->stop_rules = count_stop_rules(filter);
	return 0;
}

int ruleset_silence(struct ruleset *r)
{
	int err = change(r, GOAL_SILENCE);

	r->silent = !err;
	return err;
}

int ruleset_remove(struct ruleset *r)
{
	return change(r, GOAL_REMOVE);
}

int ruleset_counters(struct ruleset *r, struct ruleset_counts *counts)
{
	uint32_t log_rules = r->silent ? 0 : r->log_rules;
	uint32_t limit_rules = r->config.limit_per_second ? log_rules : 0;
	uint32_t stop_rules = r->silent ? 0 : r->stop_rules;
	/* Each of them, before a table goes of which a rule is gone already. */
	int err = counter_read(&r->matched, &r->nl, RULE_COUNTER_MATCHED, log_rules);
	int limited_err = counter_read(&r->limited, &r->nl, RULE_COUNTER_LIMITED, limit_rules);
	int filtered_err = r->owned ? counter_read(&r->filtered, &r->nl, RULE_COUNTER_FILTERED,
						   stop_rules) : 0;

	err = err ? err : limited_err ? limited_err : filtered_err;
	if (err)
		return err;
	*counts = (struct ruleset_counts) {
		.matched = counter_packets(&r->matched),
		.limited = counter_packets(&r->limited),
		.filtered = counter_packets(&r->filtered),
	};
	return 0;
}

void ruleset_counted_before(const struct ruleset *r, struct ruleset_counts *counts)
{
	*counts = (struct ruleset_counts) {
		.matched = r->matched.before,
		.limited = r->limited.before,
		.filtered = r->filtered.before,
	};
}

int ruleset_matched(struct ruleset *r, uint64_t *packets)
{
	struct counter counter = { 0 };
	int err = counter_read(&counter, &r->nl, RULE_COUNTER_MATCHED, 0);

	*packets = counter_packets(&counter);
	return err;
}

int ruleset_loggers(struct ruleset *r, uint32_t *rules)
{
	return logger_count(&r->nl, r->config.group, rules);
}

int ruleset_watch(struct ruleset *r)
{
	int err = r->monitor ? 0 : monitor_open(&r->monitor, r->nl.portid);

	return err ? err : monitor_fd(r->monitor);
}

int ruleset_read_change(struct ruleset *r, struct ruleset_change *change_out)
{
	return r->monitor ? monitor_read(r->monitor, change_out) : 0;
}

int ruleset_fd(const struct ruleset *r)
{
	return nl_fd(&r->nl);
}

void ruleset_close(struct ruleset *r)
{
	if (!r)
		return;
	monitor_close(r->monitor);
	nl_close(&r->nl);
	free(r);
}
