// SPDX-License-Identifier: GPL-2.0-or-later
#include "sieve.h"

#include "cgroup.h"
#include "collector.h"

#include <fcntl.h>
#include <linux/nsfs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

/* As in the record: a program that was gone too soon has the name that was executed. */
static const char *program_of(const struct process *p)
{
	if (p->known & PROCESS_EXECUTABLE)
		return p->executable;
	return p->known & PROCESS_EXECUTED ? p->executed : NULL;
}

static void take_process(struct filter_subject *s, const struct flow *f)
{
	const struct process *p = f->process;

	s->program = program_of(p);
	if (p->known & PROCESS_CGROUP) {
		s->unit = p->unit;
		s->container_id = p->container_id;
	}
	/* A packet that has no user is of a socket that has none. */
	if (!s->has_uid && !(f->seen & FLOW_PACKET) && p->known & PROCESS_IDS) {
		s->has_uid = true;
		s->uid = p->uid;
	}
}

/* The process is gone; where it ran is known. */
static void take_place(struct filter_subject *s, struct cgroup_place *place, const char *path)
{
	cgroup_describe(path, strlen(path), place);
	if (place->unit[0])
		s->unit = place->unit;
	if (place->container_id[0])
		s->container_id = place->container_id;
}

bool sieve_stops(const struct flow *f, void *data)
{
	struct collector *c = data;
	const struct filter *filter = &c->options->filter;
	struct filter_subject s = {
		.tuple = &f->tuple, .uid = f->uid, .has_uid = f->seen & FLOW_UID,
	};
	struct cgroup_place place;

	if (filter_empty(filter))
		return false;
	if (f->process && (f->owner >= OWNER_SOCKET || !(f->seen & FLOW_PACKET)))
		take_process(&s, f);
	else if (f->owner == OWNER_CGROUP && f->cgroup_id)
		take_place(&s, &place, owner_cgroup_path(c->owner, f->cgroup_id));
	if (!filter_passes(filter, &s))
		return true;
	s.has_uid = f->seen & FLOW_UID;
	return !(f->seen & FLOW_PACKET) && filter_may_stop(&c->rule_part, &s);
}

/* Rules name users as the owner of their network namespace does, packets as the listener. */
static bool same_users(void)
{
	int net = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	int owner = net < 0 ? -1 : ioctl(net, NS_GET_USERNS);
	struct stat theirs, ours;
	bool same = owner >= 0 && fstat(owner, &theirs) == 0 &&
		    stat("/proc/self/ns/user", &ours) == 0 && theirs.st_ino == ours.st_ino &&
		    theirs.st_dev == ours.st_dev;

	if (owner >= 0)
		close(owner);
	if (net >= 0)
		close(net);
	return same;
}

uint32_t sieve_rule_keys(const struct options *options)
{
	uint32_t keys = FILTER_PACKET_KEYS;

	if (!(options->hooks & ~(uint32_t)(RULESET_OUTPUT | RULESET_POSTROUTING)) && same_users())
		keys |= FILTER_USER;
	return keys;
}

int sieve_put(struct collector *c, const struct options *options)
{
	struct filter part;
	int ret;

	if (!c->ruleset)
		return 0;
	filter_part(&options->filter, c->rule_keys, &part);
	ret = ruleset_filter(c->ruleset, &part);
	if (ret == RULESET_NOT_OWNED)
		return 0;
	if (ret)
		return ret;
	c->rule_part = part;
	collector_read_clocks(c);
	if (c->join_ready)
		join_rules_changed(&c->join);
	return 0;
}

/* A clause for a protocol that our rules do not log matches nothing. */
static bool is_idle(const struct filter_clause *clause, const struct options *options)
{
	static const struct {
		uint8_t number;
		enum ruleset_protocol flag;
	} protocols[] = {
		{ IPPROTO_TCP, RULESET_TCP }, { IPPROTO_UDP, RULESET_UDP },
		{ IPPROTO_SCTP, RULESET_SCTP }, { IPPROTO_ICMP, RULESET_ICMP },
	};

	if (!(clause->keys & FILTER_PROTOCOL) || options->ruleset == RULESET_MODE_NONE)
		return false;
	for (size_t i = 0; i < sizeof(protocols) / sizeof(protocols[0]); i++)
		if (protocols[i].number == clause->protocol)
			return !(options->protocols & protocols[i].flag);
	return false;
}

/* What our rules see to: `part` is what stands in them. */
static const char *place_of(const struct filter *part, enum filter_list list, uint32_t keys,
			    uint32_t rule_keys)
{
	if (!part->count[list])
		return "";
	if (!(keys & ~rule_keys))
		return " (in the rules)";
	return list == FILTER_ONLY ? " (in part in the rules)" : "";
}

void sieve_describe(struct checklist *c, const struct options *options, bool owned)
{
	static const char *const names[FILTER_LISTS] = { "only", "except" };
	const struct filter *filter = &options->filter;
	uint32_t rule_keys = owned ? sieve_rule_keys(options) : 0;
	struct filter part;

	filter_part(filter, rule_keys, &part);

	for (int list = 0; list < FILTER_LISTS; list++) {
		for (unsigned int i = 0; i < filter->count[list]; i++) {
			const struct filter_clause *clause = &filter->clauses[list][i];

			if (is_idle(clause, options))
				checklist_say(c, VERDICT_LESS, names[list], "%s: matches nothing, "
					      "as --protocols has not this one", clause->text);
			else
				checklist_say(c, VERDICT_WORKS, names[list], "%s%s", clause->text,
					      place_of(&part, list, clause->keys, rule_keys));
		}
	}
}
