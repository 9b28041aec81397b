// SPDX-License-Identifier: GPL-2.0-or-later
#include "filter.h"

#include <arpa/inet.h>
#include <fnmatch.h>
#include <string.h>

static bool pattern_matches(const struct filter_pattern *pattern, const char *text)
{
	if (!text)
		return false;
	return pattern->wild ? fnmatch(pattern->text, text, FNM_NOESCAPE) == 0 :
			       strcmp(pattern->text, text) == 0;
}

/* A name without a slash is that of the file, wherever it lies. */
static bool program_matches(const struct filter_pattern *pattern, const char *program)
{
	const char *slash = program ? strrchr(program, '/') : NULL;

	if (slash && !strchr(pattern->text, '/'))
		program = slash + 1;
	return pattern_matches(pattern, program);
}

/* Runtimes print the first characters of an id of 64, and take them for it. */
static bool container_matches(const struct filter_pattern *pattern, const char *id)
{
	if (id && !pattern->wild && strlen(id) == 64)
		return strncmp(id, pattern->text, strlen(pattern->text)) == 0;
	return pattern_matches(pattern, id);
}

static bool net_matches(const struct filter_clause *c, const struct tuple *t)
{
	unsigned int bytes = c->prefix_len / 8, bits = c->prefix_len % 8;

	if (t->family != c->family || memcmp(t->dst.bytes, c->net.bytes, bytes) != 0)
		return false;
	return !bits || (t->dst.bytes[bytes] ^ c->net.bytes[bytes]) >> (8 - bits) == 0;
}

static bool is_icmp(uint8_t protocol)
{
	return protocol == IPPROTO_ICMP || protocol == IPPROTO_ICMPV6;
}

static bool port_matches(const struct filter_clause *c, const struct tuple *t)
{
	uint16_t port = ntohs(t->dport);

	return !is_icmp(t->protocol) && port >= c->port_first && port <= c->port_last;
}

static bool protocol_matches(const struct filter_clause *c, const struct tuple *t)
{
	return t->protocol == c->protocol || (is_icmp(c->protocol) && is_icmp(t->protocol));
}

/* unknown: what a term for a user that is not known is taken for. */
static bool clause_matches(const struct filter_clause *c, const struct filter_subject *s,
			   bool unknown)
{
	uint32_t keys = c->keys;

	if (keys & FILTER_USER && !(s->has_uid ? s->uid == c->uid : unknown))
		return false;
	if (keys & FILTER_NET && !net_matches(c, s->tuple))
		return false;
	if (keys & FILTER_PORT && !port_matches(c, s->tuple))
		return false;
	if (keys & FILTER_PROTOCOL && !protocol_matches(c, s->tuple))
		return false;
	if (keys & FILTER_PROGRAM && !program_matches(&c->program, s->program))
		return false;
	if (keys & FILTER_UNIT && !pattern_matches(&c->unit, s->unit))
		return false;
	return !(keys & FILTER_CONTAINER) || container_matches(&c->container, s->container_id);
}

static bool any_matches(const struct filter *f, enum filter_list list,
			const struct filter_subject *s, bool unknown)
{
	for (unsigned int i = 0; i < f->count[list]; i++)
		if (clause_matches(&f->clauses[list][i], s, unknown))
			return true;
	return false;
}

bool filter_passes(const struct filter *f, const struct filter_subject *subject)
{
	return (!f->count[FILTER_ONLY] || any_matches(f, FILTER_ONLY, subject, false)) &&
	       !any_matches(f, FILTER_EXCEPT, subject, false);
}

bool filter_may_stop(const struct filter *f, const struct filter_subject *subject)
{
	return (f->count[FILTER_ONLY] && !any_matches(f, FILTER_ONLY, subject, false)) ||
	       any_matches(f, FILTER_EXCEPT, subject, true);
}

bool filter_empty(const struct filter *f)
{
	return !f->count[FILTER_ONLY] && !f->count[FILTER_EXCEPT];
}

bool filter_equal(const struct filter *a, const struct filter *b)
{
	for (int list = 0; list < FILTER_LISTS; list++) {
		if (a->count[list] != b->count[list])
			return false;
		for (unsigned int i = 0; i < a->count[list]; i++)
			if (strcmp(a->clauses[list][i].text, b->clauses[list][i].text) != 0 ||
			    a->clauses[list][i].uid != b->clauses[list][i].uid)
				return false;
	}
	return true;
}

static void add_part(struct filter *part, enum filter_list list, const struct filter_clause *c,
		     uint32_t keys)
{
	part->clauses[list][part->count[list]++] = (struct filter_clause) {
		.keys = c->keys & keys,
		.uid = c->uid,
		.net = c->net,
		.family = c->family,
		.prefix_len = c->prefix_len,
		.protocol = c->protocol,
		.port_first = c->port_first,
		.port_last = c->port_last,
	};
}

/* An `except` clause with terms less would match more, and is not taken. An `only` clause with
 * terms less lets more pass; with none left it lets everything pass, and so does the list. */
void filter_part(const struct filter *whole, uint32_t keys, struct filter *part)
{
	const struct filter_clause *c;

	*part = (struct filter) { .count = { 0 } };
	for (unsigned int i = 0; i < whole->count[FILTER_EXCEPT]; i++) {
		c = &whole->clauses[FILTER_EXCEPT][i];
		if (!(c->keys & ~keys))
			add_part(part, FILTER_EXCEPT, c, keys);
	}
	for (unsigned int i = 0; i < whole->count[FILTER_ONLY]; i++) {
		c = &whole->clauses[FILTER_ONLY][i];
		if (!(c->keys & keys)) {
			part->count[FILTER_ONLY] = 0;
			break;
		}
		add_part(part, FILTER_ONLY, c, keys);
	}
}
