// SPDX-License-Identifier: GPL-2.0-or-later
#include "community.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define VECTORS "tests/unit/data/community-id-vectors.txt"

enum column { SOURCE, PROTOCOL, SRC, DST, SPORT, DPORT, SEED0, SEED1, COLUMNS };

static bool is_icmp(uint8_t protocol)
{
	return protocol == IPPROTO_ICMP || protocol == IPPROTO_ICMPV6;
}

static struct tuple read_tuple(char *column[static COLUMNS])
{
	struct tuple t = { .protocol = strtoul(column[PROTOCOL], NULL, 10) };
	uint8_t family = strchr(column[SRC], ':') ? AF_INET6 : AF_INET;
	unsigned long sport = strtoul(column[SPORT], NULL, 10);
	unsigned long dport = strtoul(column[DPORT], NULL, 10);
	uint8_t src[16], dst[16];

	assert_int_equal(inet_pton(family, column[SRC], src), 1);
	assert_int_equal(inet_pton(family, column[DST], dst), 1);
	tuple_set_addresses(&t, family, src, dst);
	t.sport = htons(is_icmp(t.protocol) ? 1 : sport);
	t.dport = htons(is_icmp(t.protocol) ? sport << 8 | dport : dport);
	return t;
}

static void the_published_vectors_come_out(void **state)
{
	FILE *file = fopen(VECTORS, "re");
	char line[1024], id[COMMUNITY_ID_MAX], *column[COLUMNS];
	unsigned int count = 0;

	(void)state;
	assert_non_null(file);
	while (fgets(line, sizeof(line), file)) {
		char *rest = line;
		struct tuple t;

		if (line[0] == '#')
			continue;
		for (unsigned int i = 0; i < COLUMNS; i++)
			column[i] = strsep(&rest, "\t");
		assert_non_null(column[SEED1]);
		t = read_tuple(column);
		community_id(&t, 0, id);
		assert_string_equal(id, column[SEED0]);
		count++;
		if (column[SEED1][0] != '1')
			continue;
		community_id(&t, 1, id);
		assert_string_equal(id, column[SEED1]);
	}
	fclose(file);
	assert_true(count > 50);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_published_vectors_come_out),
	};

	return cmocka_run_group_tests_name("community", tests, NULL, NULL);
}
