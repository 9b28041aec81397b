// SPDX-License-Identifier: GPL-2.0-or-later
#include "sieve.h"

#include "cgroup.h"
#include "collector.h"

#include <string.h>

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
	const struct collector *c = data;
	const struct filter *filter = &c->options->filter;
	struct filter_subject s = {
		.tuple = &f->tuple, .uid = f->uid, .has_uid = f->seen & FLOW_UID,
	};
	struct cgroup_place place;

	if (!filter->count[FILTER_ONLY] && !filter->count[FILTER_EXCEPT])
		return false;
	if (f->process && (f->owner >= OWNER_SOCKET || !(f->seen & FLOW_PACKET)))
		take_process(&s, f);
	else if (f->owner == OWNER_CGROUP && f->cgroup_id)
		take_place(&s, &place, owner_cgroup_path(c->owner, f->cgroup_id));
	return !filter_passes(filter, &s);
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

void sieve_describe(struct checklist *c, const struct options *options)
{
	static const char *const names[FILTER_LISTS] = { "only", "except" };
	const struct filter *filter = &options->filter;

	for (int list = 0; list < FILTER_LISTS; list++) {
		for (unsigned int i = 0; i < filter->count[list]; i++) {
			const struct filter_clause *clause = &filter->clauses[list][i];

			if (is_idle(clause, options))
				checklist_say(c, VERDICT_LESS, names[list], "%s: matches nothing, "
					      "as --protocols has not this one", clause->text);
			else
				checklist_say(c, VERDICT_WORKS, names[list], "%s", clause->text);
		}
	}
}
