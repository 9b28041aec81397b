/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NFWHO_FILTER_H
#define NFWHO_FILTER_H

#include "tuple.h"

#include <stddef.h>

/*
 * Which connections are recorded: those that one of the `only` clauses matches, or any if there is
 * none, and that no `except` clause matches. A clause matches if all of its terms do. What is not
 * known matches no term.
 */

#define FILTER_CLAUSES_MAX 32	/* in each list */

enum filter_list { FILTER_ONLY, FILTER_EXCEPT, FILTER_LISTS };

enum filter_key {
	FILTER_USER		= 1 << 0,
	FILTER_PROGRAM		= 1 << 1,
	FILTER_UNIT		= 1 << 2,
	FILTER_CONTAINER	= 1 << 3,
	FILTER_NET		= 1 << 4,	/* the destination's */
	FILTER_PORT		= 1 << 5,	/* the same */
	FILTER_PROTOCOL		= 1 << 6,
};

/* What a packet says of itself. */
#define FILTER_PACKET_KEYS (FILTER_NET | FILTER_PORT | FILTER_PROTOCOL)

struct filter_pattern {
	char *text;
	bool wild;		/* fnmatch(3) */
};

struct filter_clause {
	char *text;		/* as it was written */
	uint32_t keys;		/* enum filter_key: the terms it has */
	uint32_t uid;
	struct filter_pattern program, unit, container;
	union address net;
	uint8_t family, prefix_len;
	uint8_t protocol;	/* IPPROTO_ICMP: ICMPv6, too */
	uint16_t port_first, port_last;
};

/* Zeroed memory is a filter that lets everything pass. */
struct filter {
	struct filter_clause clauses[FILTER_LISTS][FILTER_CLAUSES_MAX];
	unsigned int count[FILTER_LISTS];
};

/* Adds a clause: KEY=VALUE with commas between; "\," is a comma in a value. Users are those
 * of /etc/passwd. Returns 0, -ENOMEM, or -EINVAL after saying in `why` what was
 * wrong with it and what would be right. */
int filter_add(struct filter *f, enum filter_list list, const char *text, char *why, size_t size);

/* Takes all clauses out of a list. */
void filter_clear(struct filter *f, enum filter_list list);

/* True if it lets everything pass. */
bool filter_empty(const struct filter *f);

/* Whether both say the same, in the same words and of the same users. */
bool filter_equal(const struct filter *a, const struct filter *b);

/* A connection, as far as it is known. Borrowed. */
struct filter_subject {
	const struct tuple *tuple;
	const char *program;		/* path of the executable; NULL: not known */
	const char *unit, *container_id;	/* NULL: none, or not known */
	uint32_t uid;
	bool has_uid;
};

bool filter_passes(const struct filter *f, const struct filter_subject *subject);

/* What of the filter can be decided by these keys alone (user and packet keys only), without
 * leaving out what the whole lets pass: its clauses, with no terms but these. Owns nothing. */
void filter_part(const struct filter *whole, uint32_t keys, struct filter *part);

/* Whether rules made of this may have left out a packet of the connection. A user that is not known
 * here was known there. */
bool filter_may_stop(const struct filter *f, const struct filter_subject *subject);

#endif
