// SPDX-License-Identifier: GPL-2.0-or-later
/* Clauses as users write them: terms KEY=VALUE with commas between. */
#include "filter.h"

#include "comma.h"
#include "passwd.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PORTS "a port from 1 to 65535 or a range such as 1000-2000"
#define NETWORKS "a network such as 203.0.113.0/24 or 2001:db8::/32"

/* One term in the making. */
struct term {
	struct filter_clause *clause;
	const char *value;
	char *why;
	size_t size;
};

static int refuse(const struct term *t, const char *what)
{
	snprintf(t->why, t->size, "\"%.80s\" is %s", t->value, what);
	return -EINVAL;
}

/* Digits and nothing else, up to max; *end behind them. No sign, no blank. */
static bool number(const char *text, unsigned long max, unsigned long *value, const char **end)
{
	char *rest;

	if (!isdigit((unsigned char)*text))
		return false;
	errno = 0;
	*value = strtoul(text, &rest, 10);
	*end = rest;
	return !errno && *value <= max;
}

static int take_user(const struct term *t)
{
	unsigned long uid;
	const char *end;

	/* (uid_t)-1 is nobody's. */
	if (number(t->value, UINT32_MAX - 1, &uid, &end) && !*end) {
		t->clause->uid = (uint32_t)uid;
		return 0;
	}
	if (passwd_find("/etc/passwd", t->value, &t->clause->uid))
		return 0;
	return refuse(t, "no user in /etc/passwd: of others the number is needed");
}

static int take_pattern(const struct term *t, struct filter_pattern *pattern)
{
	pattern->text = strdup(t->value);
	pattern->wild = strpbrk(t->value, "*?[");
	return pattern->text ? 0 : -ENOMEM;
}

static int take_program(const struct term *t)
{
	if (strchr(t->value, '/') && !strchr("/*", t->value[0]))
		return refuse(t, "neither a path that begins with / nor a name without one");
	return take_pattern(t, &t->clause->program);
}

static int take_unit(const struct term *t)
{
	if (!strpbrk(t->value, ".*"))
		return refuse(t, "not the whole name of a unit, such as nginx.service");
	return take_pattern(t, &t->clause->unit);
}

static int take_container(const struct term *t)
{
	return take_pattern(t, &t->clause->container);
}

static bool has_host_bits(const struct filter_clause *c)
{
	for (unsigned int bit = c->prefix_len; bit < (c->family == AF_INET ? 32 : 128); bit++)
		if (c->net.bytes[bit / 8] & 0x80 >> bit % 8)
			return true;
	return false;
}

static int take_net(const struct term *t)
{
	const char *slash = strchr(t->value, '/'), *end;
	struct filter_clause *c = t->clause;
	unsigned long len, longest;
	char address[TUPLE_ADDRESS_MAX];

	if (snprintf(address, sizeof(address), "%.*s",
		     (int)(slash ? slash - t->value : (long)strnlen(t->value, sizeof(address))),
		     t->value) >= (int)sizeof(address))
		return refuse(t, "not " NETWORKS);
	c->family = strchr(address, ':') ? AF_INET6 : AF_INET;
	len = longest = c->family == AF_INET ? 32 : 128;
	if (inet_pton(c->family, address, c->net.bytes) != 1 ||
	    (slash && (!number(slash + 1, longest, &len, &end) || *end)))
		return refuse(t, "not " NETWORKS);
	c->prefix_len = (uint8_t)len;
	if (c->family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&c->net.ip6))
		return refuse(t, "an IPv4 network in IPv6 form: write it as 203.0.113.0/24");
	if (has_host_bits(c))
		return refuse(t, "no network: an address bit behind its prefix is set");
	return 0;
}

static int take_port(const struct term *t)
{
	unsigned long first, last;
	const char *end;

	if (!number(t->value, UINT16_MAX, &first, &end))
		return refuse(t, "not " PORTS);
	last = first;
	if (*end == '-' && !number(end + 1, UINT16_MAX, &last, &end))
		return refuse(t, "not " PORTS);
	if (*end || !first || first > last)
		return refuse(t, "not " PORTS);
	t->clause->port_first = (uint16_t)first;
	t->clause->port_last = (uint16_t)last;
	return 0;
}

static int take_protocol(const struct term *t)
{
	static const struct {
		const char *name;
		uint8_t number;
	} protocols[] = {
		{ "tcp", IPPROTO_TCP }, { "udp", IPPROTO_UDP }, { "sctp", IPPROTO_SCTP },
		{ "icmp", IPPROTO_ICMP },
	};

	for (size_t i = 0; i < sizeof(protocols) / sizeof(protocols[0]); i++) {
		if (strcmp(t->value, protocols[i].name) == 0) {
			t->clause->protocol = protocols[i].number;
			return 0;
		}
	}
	return refuse(t, "none of tcp, udp, sctp, icmp");
}

static const struct {
	const char *name;
	enum filter_key key;
	int (*take)(const struct term *t);
} keys[] = {
	{ "user", FILTER_USER, take_user },
	{ "program", FILTER_PROGRAM, take_program },
	{ "unit", FILTER_UNIT, take_unit },
	{ "container", FILTER_CONTAINER, take_container },
	{ "net", FILTER_NET, take_net },
	{ "port", FILTER_PORT, take_port },
	{ "protocol", FILTER_PROTOCOL, take_protocol },
};

static int take_term(struct filter_clause *clause, char *text, char *why, size_t size)
{
	char *equals = strchr(text, '=');
	const struct term term = { clause, equals ? equals + 1 : "", why, size };

	for (size_t i = 0; equals && i < sizeof(keys) / sizeof(keys[0]); i++) {
		if (strlen(keys[i].name) != (size_t)(equals - text) ||
		    strncmp(text, keys[i].name, (size_t)(equals - text)) != 0)
			continue;
		if (clause->keys & keys[i].key) {
			snprintf(why, size, "\"%.80s\": a second %s; what is meant as \"or\" goes "
				 "into another line or option", text, keys[i].name);
			return -EINVAL;
		}
		if (!*term.value) {
			snprintf(why, size, "\"%.80s\" has no value", text);
			return -EINVAL;
		}
		clause->keys |= keys[i].key;
		return keys[i].take(&term);
	}
	snprintf(why, size, "\"%.80s\" is not KEY=VALUE with one of the keys user, program, unit, "
		 "container, net, port, protocol", text);
	return -EINVAL;
}

static void clause_fini(struct filter_clause *c)
{
	free(c->text);
	free(c->program.text);
	free(c->unit.text);
	free(c->container.text);
	*c = (struct filter_clause) { .keys = 0 };
}

int filter_add(struct filter *f, enum filter_list list, const char *text, char *why, size_t size)
{
	struct filter_clause *clause = &f->clauses[list][f->count[list]];
	char *copy, *rest, *term;
	int ret = 0;

	if (f->count[list] == FILTER_CLAUSES_MAX) {
		snprintf(why, size, "\"%.80s\" is one too many: at most %d", text,
			 FILTER_CLAUSES_MAX);
		return -EINVAL;
	}
	*clause = (struct filter_clause) { .text = strdup(text) };
	copy = rest = strdup(text);
	if (!clause->text || !copy)
		ret = -ENOMEM;
	while (!ret && (term = comma_next(&rest)))
		ret = take_term(clause, term, why, size);
	free(copy);
	if (ret)
		clause_fini(clause);
	else
		f->count[list]++;
	return ret;
}

void filter_clear(struct filter *f, enum filter_list list)
{
	while (f->count[list])
		clause_fini(&f->clauses[list][--f->count[list]]);
}
