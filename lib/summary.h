/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NFWHO_SUMMARY_H
#define NFWHO_SUMMARY_H

#include "distinct.h"
#include "party.h"
#include "record.h"

/*
 * What was held back of one party in one interval, in about 45 KiB. Counts, reasons, bytes and the
 * number of ports are exact; that of addresses is as lib/distinct has it. Destinations (address and
 * port) are counted one by one for the first SUMMARY_DESTINATIONS_MAX that come: the most frequent
 * of those are listed, with exact counts. A later one is in the sums only. One that is frequent
 * enough to be worth listing is most likely among the first few hundred.
 */
#define SUMMARY_DESTINATIONS_MAX 512

struct summary;

/* A reference to the party's strings is taken. NULL without memory. */
struct summary *summary_new(const struct party *party, const struct hash_key *key);
void summary_free(struct summary *s);

/* Forgets all but the party: its memory may be used again without a failure. */
void summary_clear(struct summary *s);
bool summary_is_empty(const struct summary *s);

/* A connection, and the end of one. address_hash: of its destination address, keyed. */
void summary_start(struct summary *s, const struct flow *f, uint64_t address_hash);
void summary_end(struct summary *s, const struct flow *f);

/* As a record wants it, at interval_end_real_ns. Borrowed from the summary. */
void summary_tell(const struct summary *s, uint64_t interval_end_real_ns,
		  struct record_suppressed *out);

#endif
