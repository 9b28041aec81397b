// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * An owned table is out of everybody's reach and is not watched. A table that is not owned can be
 * flushed, deleted or altered by whoever may change the ruleset, and is by `nft flush ruleset`. The
 * kernel tells of every change (NFNLGRP_NFTABLES) and who made it, at its commit; reading that at
 * once gives the time from which on nothing was logged.
 *
 * What is done about it:
 *  static  Whatever is not as configured is put back, and is left standing at exit.
 *  auto    The same if nothing logs to our group any more; rules that somebody altered and that
 *	    still log are left to him, and said. Put back without the owner flag, even though
 *	    `auto` would begin with it: a firewall's file that has our table in it must go on
 *	    loading. What we put back goes at exit, unless somebody loaded the table again.
 *  none	    Nothing; said when the last rule that logged to our group is gone.
 *
 * Others may change the ruleset all the time. What does not touch our table costs the reading of
 * it; after two wake-ups in short order the next one waits for PAUSE_NS, and what was read then
 * happened at an unknown time since the rules were last seen. With --ruleset none any change may
 * concern us and looking means a dump of all rules, so looking is kept to a small share of time.
 *
 * There is no event when the group is unbound (only through our own socket, by somebody who has
 * copied its descriptor), nor when a table goes with the process that owned it (seen on 6.18): both
 * are asked for at each ledger, and while our table is somebody else's each second.
 */
#include "guard.h"
#include "collector.h"
#include "emit.h"
#include "log.h"
#include "portid.h"
#include "rules.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/netlink.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define PAUSE_NS 100000000ull
#define RETRY_NS 1000000000ull
#define IDLE_SHARE 50		/* times as long as a look took, none follows */

static void tell(struct collector *c, const struct absence *a, uint64_t to_real_ns, bool restored)
{
	struct record_gap gap = {
		.from_real_ns = a->from_real_ns,
		.to_real_ns = to_real_ns,
		.what = a->what,
		.pid = a->pid,
		.program = a->program,
		.restored = restored,
	};
	char who[48] = "";

	if (a->pid)
		snprintf(who, sizeof(who), " by pid %" PRIu32 " (%s)", a->pid, a->program);
	if (!to_real_ns)
		log_warning("%s%s: new connections may not be logged", a->what, who);
	else
		log_warning("%s%s: %s after %" PRIu64 " ms", a->what, who,
			    restored ? "restored" : "is over",
			    to_real_ns > a->from_real_ns ?
			    (to_real_ns - a->from_real_ns) / 1000000 : 0);
	emit_gap(c, &gap);
}

static void begin(struct collector *c, struct absence *a, uint64_t from_real_ns, const char *what,
		  uint32_t pid, const char *program)
{
	a->from_real_ns = from_real_ns < c->join.now_real_ns ? from_real_ns : c->join.now_real_ns;
	a->what = what;
	a->pid = pid;
	snprintf(a->program, sizeof(a->program), "%s", program);
}

/* Without one of our own there is nothing to restore, and only somebody's logging is looked for. */
static bool watches_others(const struct guard *g)
{
	return g->own;
}

/* Opens a window on the ruleset for rules that are not ours. */
static int open_own(struct collector *c)
{
	struct guard *g = &c->guard;
	struct ruleset_config config;
	uint32_t loggers = 0;
	int err;

	rules_config(c->options, &config);
	config.conntrack = true;	/* never loaded: only its group counts */
	err = ruleset_open(&g->own, &config);
	if (!err)
		err = ruleset_loggers(g->own, &loggers);
	if (err) {
		/* iptables-legacy may be all there is. */
		ruleset_close(g->own);
		g->own = NULL;
		return 0;
	}
	g->had_rules = loggers > 0;
	if (!loggers)
		log_warning("no nftables rule logs to group %u yet", c->options->group);
	g->ruleset = g->own;
	return 0;
}

int guard_open(struct collector *c)
{
	struct guard *g = &c->guard;
	enum ruleset_state state;
	int err = 0;

	g->fd = -1;
	g->stood_real_ns = g->looked_real_ns = g->bound_real_ns = c->join.now_real_ns;
	if (!c->ruleset) {
		err = open_own(c);
	} else {
		err = ruleset_inspect(c->ruleset, &state, NULL);
		if (!err && state != RULESET_OWNED)
			g->ruleset = c->ruleset;
	}
	if (!err && g->ruleset) {
		g->fd = ruleset_watch(g->ruleset);
		err = g->fd < 0 ? g->fd : 0;
		/* They may have gone before the watch began. */
		g->retry_ns = c->join.now_ns;
	}
	if (err)
		log_error("watching the nftables ruleset: %s", strerror(-err));
	return err ? -1 : 0;
}

void guard_close(struct guard *g)
{
	ruleset_close(g->own);
}

/* What is wrong with the rules. */
struct finding {
	const char *what;	/* NULL: nothing */
	bool restorable;	/* it is for us to put them right */
	bool ends_silently;	/* no event will tell when it is over */
};

static int look(struct collector *c, struct finding *found)
{
	struct guard *g = &c->guard;
	enum ruleset_state state = RULESET_ABSENT;
	uint32_t loggers = 1;
	int err = watches_others(g) ? 0 : ruleset_inspect(g->ruleset, &state, NULL);

	*found = (struct finding) { 0 };
	if (!err && (watches_others(g) || (state == RULESET_ALTERED &&
					  c->options->ruleset != RULESET_MODE_STATIC)))
		err = ruleset_loggers(g->ruleset, &loggers);
	if (err)
		return err;
	if (watches_others(g)) {
		if (!loggers && g->had_rules)
			found->what = "no rule logs to the group";
		g->had_rules |= loggers > 0;
		return 0;
	}
	switch (state) {
	case RULESET_STANDS:
		break;
	case RULESET_ABSENT:
		found->what = "table removed";
		found->restorable = true;
		break;
	case RULESET_ALTERED:
		found->what = "rules altered";
		found->restorable = c->options->ruleset == RULESET_MODE_STATIC || !loggers;
		break;
	case RULESET_OWNED:
		found->what = "table taken by another process";
		found->ends_silently = true;
		break;
	case RULESET_FOREIGN:
		found->what = "table replaced by one that is not ours";
		found->ends_silently = true;
		break;
	}
	return 0;
}

/* A connect that was not logged meanwhile has not stayed here for that. Since when something has
 * been missing is known by wall time at best. */
static void note_logging(struct collector *c)
{
	join_rules_changed(&c->join);
	if (c->guard.rules.missing || c->guard.group.missing)
		join_rules_gone(&c->join, 1);
}

static int restore(struct collector *c)
{
	struct ruleset_counts counts;
	int err;

	/* The counters' last values, before they go. */
	ruleset_counters(c->ruleset, &counts);
	err = ruleset_create(c->ruleset, false);
	if (err)
		return err;
	if (c->options->ruleset != RULESET_MODE_STATIC)
		c->ruleset_owned = true;
	return 0;
}

static void found_wrong(struct collector *c, const struct finding *found)
{
	struct guard *g = &c->guard;
	bool news = !g->rules.missing;
	int err = -EPERM;

	if (news)
		begin(c, &g->rules, g->suspected ? g->suspect_real_ns : g->looked_real_ns,
		      found->what, g->suspect.pid, g->suspect.program);
	if (found->restorable)
		err = restore(c);
	collector_read_clocks(c);
	if (!err) {
		g->rules.missing = false;
		g->stood_real_ns = g->looked_real_ns = c->join.now_real_ns;
		note_logging(c);
		tell(c, &g->rules, c->join.now_real_ns, true);
		return;
	}
	g->rules.missing = true;
	note_logging(c);
	if (news)
		tell(c, &g->rules, 0, false);
	if (found->restorable && news)
		rules_complain(err, c->ruleset);
	if (found->restorable || found->ends_silently)
		g->retry_ns = c->join.now_ns + RETRY_NS;
}

static void found_right(struct collector *c)
{
	struct guard *g = &c->guard;

	g->stood_real_ns = g->looked_real_ns = c->join.now_real_ns;
	if (!g->rules.missing)
		return;
	g->rules.missing = false;
	note_logging(c);
	tell(c, &g->rules, c->join.now_real_ns, false);
}

/* The first of several is taken for the one that did it. */
static void suspect(struct guard *g, const struct ruleset_change *change, uint64_t real_ns)
{
	if (g->suspected)
		return;
	g->suspected = true;
	g->suspect = *change;
	g->suspect_real_ns = real_ns;
}

static void read_changes(struct collector *c)
{
	struct guard *g = &c->guard;
	uint64_t real_ns = g->listen_ns ? g->stood_real_ns : c->join.now_real_ns;
	struct ruleset_change change;
	int ret;

	while ((ret = ruleset_read_change(g->ruleset, &change)) == 1)
		if (change.ours || watches_others(g))
			suspect(g, &change, real_ns);
	if (ret < 0)
		suspect(g, &(struct ruleset_change) { .pid = 0 }, g->stood_real_ns);
	if (!g->suspected && !g->rules.missing)
		g->stood_real_ns = c->join.now_real_ns;
	/* What a table had counted since the last ledger is gone with it. */
	if (g->suspected && !watches_others(g))
		c->ledger.matched_approximate = true;
}

static void inspect(struct collector *c)
{
	struct guard *g = &c->guard;
	uint64_t began_ns = c->join.now_ns, table = ruleset_table(g->ruleset);
	struct finding found;
	int err = look(c, &found);

	/* After a start, or for another try, nobody has read who has done it: it is told by now. */
	if (!err && found.what && !g->suspected)
		read_changes(c);
	/* Loaded anew by somebody: his, to be left standing. */
	if (ruleset_table(g->ruleset) && ruleset_table(g->ruleset) != table) {
		c->ruleset_owned = false;
		note_logging(c);
	}
	g->retry_ns = 0;
	if (err)
		g->retry_ns = c->join.now_ns + RETRY_NS;
	else if (found.what)
		found_wrong(c, &found);
	else
		found_right(c);
	collector_read_clocks(c);
	g->inspect_ns = c->join.now_ns + IDLE_SHARE * (c->join.now_ns - began_ns);
	if (err)
		return;
	g->suspected = false;
	g->suspect = (struct ruleset_change) { .pid = 0 };
}

void guard_wake(struct collector *c)
{
	struct guard *g = &c->guard;

	collector_read_clocks(c);
	read_changes(c);
	if (g->suspected && c->join.now_ns >= g->inspect_ns)
		inspect(c);
	g->listen_ns = c->join.now_ns - g->woken_ns < PAUSE_NS ? c->join.now_ns + PAUSE_NS : 0;
	g->woken_ns = c->join.now_ns;
}

void guard_settle(struct collector *c)
{
	struct guard *g = &c->guard;

	if (c->join.now_ns < guard_next_ns(g))
		return;
	collector_read_clocks(c);
	if (g->listen_ns && c->join.now_ns >= g->listen_ns)
		read_changes(c);
	if ((g->suspected && c->join.now_ns >= g->inspect_ns) ||
	    (g->retry_ns && c->join.now_ns >= g->retry_ns))
		inspect(c);
	if (c->join.now_ns >= g->listen_ns)
		g->listen_ns = 0;
}

uint64_t guard_next_ns(const struct guard *g)
{
	uint64_t next_ns = UINT64_MAX;

	if (g->listen_ns)
		next_ns = g->listen_ns;
	if (g->suspected && g->inspect_ns < next_ns)
		next_ns = g->inspect_ns;
	if (g->retry_ns && g->retry_ns < next_ns)
		next_ns = g->retry_ns;
	return next_ns;
}

static void begin_group(struct collector *c, uint32_t portid)
{
	struct guard *g = &c->guard;
	char comm[PORTID_COMM_MAX] = "";
	uint32_t pid = 0;

	if (portid && portid_process(c->proc_fd, NETLINK_NETFILTER, portid, &pid, comm))
		pid = 0;
	begin(c, &g->group, g->bound_real_ns, portid ? "group held by another process" :
	      "group unbound", pid, comm);
}

static void check_group(struct collector *c)
{
	struct guard *g = &c->guard;
	bool was_missing = g->group.missing;
	uint32_t portid;

	collector_read_clocks(c);
	if (nflog_group_holder(c->options->group, &portid))
		return;
	if (portid == nflog_portid(c->nflog)) {
		g->bound_real_ns = c->join.now_real_ns;
		return;
	}
	if (!was_missing)
		begin_group(c, portid);
	g->group.missing = nflog_rebind(c->nflog) != 0;
	collector_read_clocks(c);
	note_logging(c);
	if (!g->group.missing) {
		g->bound_real_ns = c->join.now_real_ns;
		tell(c, &g->group, c->join.now_real_ns, true);
	} else if (!was_missing) {
		tell(c, &g->group, 0, false);
	}
}

void guard_check(struct collector *c)
{
	struct guard *g = &c->guard;

	check_group(c);
	if (g->ruleset && c->join.now_ns >= g->inspect_ns)
		inspect(c);
}
