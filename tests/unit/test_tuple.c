// SPDX-License-Identifier: GPL-2.0-or-later
#include "tuple.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static struct tuple make(const char *src, const char *dst)
{
	uint8_t family = strchr(src, ':') ? AF_INET6 : AF_INET;
	uint8_t a[16], b[16];
	struct tuple t = { .protocol = IPPROTO_TCP, .sport = htons(40000), .dport = htons(443) };

	assert_int_equal(inet_pton(family, src, a), 1);
	assert_int_equal(inet_pton(family, dst, b), 1);
	tuple_set_addresses(&t, family, a, b);
	return t;
}

static void a_v4_mapped_pair_is_ipv4(void **state)
{
	struct tuple mapped = make("::ffff:198.51.100.1", "::ffff:203.0.113.9");
	struct tuple plain = make("198.51.100.1", "203.0.113.9");

	(void)state;
	assert_true(tuple_equal(&mapped, &plain));
}

static void one_mapped_address_alone_stays_ipv6(void **state)
{
	struct tuple t = make("::ffff:198.51.100.1", "2001:db8::1");

	(void)state;
	assert_int_equal(t.family, AF_INET6);
}

static void reversing_twice_changes_nothing(void **state)
{
	struct tuple t = make("2001:db8::1", "2001:db8::2");
	struct tuple back = tuple_reverse(&t);

	(void)state;
	assert_false(tuple_equal(&t, &back));
	back = tuple_reverse(&back);
	assert_true(tuple_equal(&t, &back));
}

static void loopback_is_recognised_in_both_families(void **state)
{
	static const struct { const char *src, *dst; bool loopback; } cases[] = {
		{ "127.0.0.1", "127.0.0.1", true }, { "127.0.0.1", "127.255.255.254", true },
		{ "0.0.0.0", "0.0.0.0", true }, { "198.51.100.1", "128.0.0.1", false },
		{ "::1", "::1", true }, { "2001:db8::1", "2001:db8::2", false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct tuple t = make(cases[i].src, cases[i].dst);

		assert_int_equal(tuple_is_loopback(&t), cases[i].loopback);
	}
}

static void a_hash_depends_on_key_and_on_every_field(void **state)
{
	struct hash_key a = { 1, 2 }, b = { 1, 3 };
	struct tuple t = make("198.51.100.1", "203.0.113.9"), u = t;

	(void)state;
	assert_true(tuple_hash(&t, &a) != tuple_hash(&t, &b));
	u.dport = htons(444);
	assert_true(tuple_hash(&t, &a) != tuple_hash(&u, &a));
	u = t;
	u.protocol = IPPROTO_UDP;
	assert_true(tuple_hash(&t, &a) != tuple_hash(&u, &a));
}

static void an_address_is_printed_as_rfc_5952_says(void **state)
{
	struct tuple t = make("2001:db8:0:0:1:0:0:1", "2001:db8::");
	char text[TUPLE_ADDRESS_MAX];

	(void)state;
	assert_string_equal(tuple_address(t.family, &t.src, text), "2001:db8::1:0:0:1");
	assert_string_equal(tuple_address(t.family, &t.dst, text), "2001:db8::");
}

static void an_ipv4_address_is_printed_as_the_library_does(void **state)
{
	char text[TUPLE_ADDRESS_MAX], expected[INET_ADDRSTRLEN];
	union address a = { 0 };

	(void)state;
	for (unsigned int byte = 0; byte < 256; byte++) {
		for (unsigned int i = 0; i < 4; i++)
			a.bytes[i] = byte * (i + 1);
		assert_string_equal(tuple_address(AF_INET, &a, text),
				    inet_ntop(AF_INET, &a, expected, sizeof(expected)));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_v4_mapped_pair_is_ipv4),
		cmocka_unit_test(one_mapped_address_alone_stays_ipv6),
		cmocka_unit_test(reversing_twice_changes_nothing),
		cmocka_unit_test(loopback_is_recognised_in_both_families),
		cmocka_unit_test(a_hash_depends_on_key_and_on_every_field),
		cmocka_unit_test(an_address_is_printed_as_rfc_5952_says),
		cmocka_unit_test(an_ipv4_address_is_printed_as_the_library_does),
	};

	return cmocka_run_group_tests_name("tuple", tests, NULL, NULL);
}
