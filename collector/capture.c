// SPDX-License-Identifier: GPL-2.0-or-later
#include "capture.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SETS (1 << 12)
#define WAYS 8

struct capture {
	struct hash_key key;
	uint64_t number;
	struct captured places[SETS][WAYS];
};

int capture_new(struct capture **out)
{
	struct capture *c = calloc(1, sizeof(*c));
	int err = c ? hash_key_init(&c->key) : -ENOMEM;

	if (err) {
		free(c);
		return err;
	}
	*out = c;
	return 0;
}

void capture_free(struct capture *c)
{
	free(c);
}

/* The place of this tuple, else the oldest of its set. */
static struct captured *find_place(struct capture *c, const struct tuple *tuple)
{
	struct captured *set = c->places[tuple_hash(tuple, &c->key) % SETS], *oldest = set;

	for (unsigned int i = 0; i < WAYS; i++) {
		if (tuple_equal(&set[i].tuple, tuple))
			return &set[i];
		if (set[i].number < oldest->number)
			oldest = &set[i];
	}
	return oldest;
}

void capture_keep(struct capture *c, const struct nflog_packet *packet)
{
	struct captured *place;

	if (packet->status != PACKET_OK)
		return;
	place = find_place(c, &packet->packet.tuple);
	place->tuple = packet->packet.tuple;
	place->number = ++c->number;
	place->ifindex_in = packet->ifindex_in;
	place->ifindex_out = packet->ifindex_out;
	place->len = (uint16_t)(packet->payload_len < CAPTURE_BYTES_MAX ? packet->payload_len :
				CAPTURE_BYTES_MAX);
	memcpy(place->payload, packet->payload, place->len);
}

const struct captured *capture_find(struct capture *c, const struct tuple *tuple)
{
	const struct captured *place = find_place(c, tuple);

	return place->number && tuple_equal(&place->tuple, tuple) ? place : NULL;
}
