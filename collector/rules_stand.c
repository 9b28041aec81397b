// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Which way to the rule: the table of the last run, one that somebody installed, or a new one. What a
 * table is, its handle says: the account of the last run names the one that it logged by, and whether
 * it was its own. Before Linux 5.12 nothing else does, since no table has an owner.
 */
#include "rules_stand.h"
#include "log.h"
#include "rules.h"
#include "sieve.h"

#include <errno.h>
#include <unistd.h>

static int load_static(struct collector *c, enum ruleset_state state)
{
	int err = ruleset_create(c->ruleset, false);

	if (!err)
		log_info("the static table inet " RULESET_TABLE " %s: loaded it",
			 state == RULESET_ABSENT ? "was missing" : "was not as configured");
	return err;
}

/* Kernels before 5.12 know no owner. */
static int create_own(struct collector *c, enum ruleset_state state)
{
	int err = ruleset_create(c->ruleset, true);

	if (err == -EOPNOTSUPP)
		err = ruleset_create(c->ruleset, false);
	c->ruleset_owned = !err;
	if (!err && (state == RULESET_STANDS || state == RULESET_ALTERED))
		log_info("the table inet " RULESET_TABLE " that stood is replaced by one of this "
			 "process, which takes it away at exit");
	return err;
}

static bool is_last_runs(const struct collector *c, const struct ruleset *r)
{
	const struct account_sums *sums = &c->handover.account.sums;

	return sums->table && sums->table == ruleset_table(r);
}

static bool is_last_runs_own(const struct collector *c)
{
	return c->handover.account.sums.owned && is_last_runs(c, c->ruleset);
}

/* Which way to the same rule: see the design's first decision. Positive: refused, and said. */
static int make_stand(struct collector *c, enum ruleset_state state)
{
	if (state == RULESET_STANDS && c->options->ruleset != RULESET_MODE_OWNED)
		return 0;
	if (c->options->ruleset == RULESET_MODE_STATIC)
		return load_static(c, state);
	if (state == RULESET_ALTERED && c->options->ruleset == RULESET_MODE_AUTO &&
	    !is_last_runs_own(c)) {
		log_error("the table inet " RULESET_TABLE " has other rules than these options ask "
			  "for: --ruleset static or owned replaces it, none uses it as it is, "
			  "`nfwho rules remove` takes it away");
		return 1;
	}
	return create_own(c, state);
}

/* The last run's own table, if it is as we want it. */
static bool take_over(struct collector *c, enum ruleset_state state, bool adopted)
{
	if (!c->handover.same_rules || c->options->ruleset == RULESET_MODE_STATIC)
		return false;
	if (!(state == RULESET_OWNED && adopted) &&
	    !(state == RULESET_STANDS && is_last_runs_own(c)))
		return false;
	c->ruleset_owned = sieve_put(c, c->options) == 0;
	return c->ruleset_owned;
}

/* By the socket of a last run that owned the table, else by one of our own. */
static int reach(struct collector *c, const struct ruleset_config *config, bool *adopted)
{
	int fd = handover_take(&c->handover, HANDOVER_RULES);

	*adopted = fd >= 0 && ruleset_adopt(&c->ruleset, config, fd) == 0;
	if (!*adopted && fd >= 0)
		close(fd);
	return *adopted ? 0 : ruleset_open(&c->ruleset, config);
}

static int stand(struct collector *c, const struct ruleset_config *config)
{
	enum ruleset_state state;
	bool adopted;
	int err = reach(c, config, &adopted);

	if (!err)
		err = ruleset_inspect(c->ruleset, &state, NULL);
	if (err || take_over(c, state, adopted))
		return err;
	err = make_stand(c, state);
	if (!err && !filter_empty(&c->options->filter))
		err = sieve_put(c, c->options);
	return err;
}

/* What is accounted for may lie below zero: of a table made anew more is known than was read. */
static bool is_less(uint64_t a, uint64_t b)
{
	return (int64_t)(a - b) < 0;
}

/* Anybody who may change a ruleset may set counters back, those of an owned table too. */
static bool were_set_back(const struct ruleset_counts *now, const struct ruleset_counts *before)
{
	return is_less(now->matched, before->matched) || is_less(now->limited, before->limited) ||
	       is_less(now->filtered, before->filtered);
}

/* What the last run's rules logged that nobody will read any more, as its group is not ours, and
 * that is not in its account as untold. By a look of its own: the counters of ours begin with the
 * table that we take. */
static uint64_t left_unread(const struct collector *c, struct ruleset_config config)
{
	const struct account_sums *sums = &c->handover.account.sums;
	uint64_t told = sums->counts.matched + sums->pending, matched, unread = 0;
	struct ruleset *r = NULL;
	enum ruleset_state state;

	config.conntrack = true;	/* any that can be said */
	if (c->group_taken || !sums->known || ruleset_open(&r, &config))
		return 0;
	if (ruleset_inspect(r, &state, NULL) == 0 && is_last_runs(c, r) &&
	    ruleset_matched(r, &matched) == 0 && !is_less(matched, told))
		unread = matched - told;
	ruleset_close(r);
	return unread;
}

/* Where the last run's account of the rules ended, if they stand and somebody listened since. */
static void begin_counting(struct collector *c)
{
	const struct account_sums *sums = &c->handover.account.sums;
	bool stood = is_last_runs(c, c->ruleset);
	struct ruleset_counts counts = { 0 };
	int err = ruleset_counters(c->ruleset, &counts);

	if (!err && stood && c->handover.same_rules && c->group_taken && sums->known &&
	    !were_set_back(&counts, &sums->counts)) {
		log_info("the rules of the last run stand: going on where it ended");
		c->before = sums->counts;
		return;
	}
	/* What a new table of our own has counted is ours from the first packet on. */
	if (stood || !c->ruleset_owned)
		c->before = counts;
	c->ledger.matched_approximate = c->group_taken || c->before.matched;
	c->before.matched -= c->ledger.lost_tail;	/* losses of this run from now on */
}

int rules_stand(struct collector *c)
{
	struct ruleset_config config;
	int err = 0;

	/* What the last run had read and not told of. */
	c->ledger.lost_tail = c->handover.account.sums.pending;
	rules_config(c->options, &config);
	c->ledger.lost_tail += left_unread(c, config);
	if (c->options->ruleset != RULESET_MODE_NONE) {
		err = stand(c, &config);
		if (err < 0)
			rules_complain(err, c->ruleset);
		if (err)
			return -1;
		begin_counting(c);
	}
	/* What connected before was not logged. */
	collector_read_clocks(c);
	join_rules_changed(&c->join);
	/* The table is told of from its first moment on. */
	collector_note(c);
	return 0;
}
