// SPDX-License-Identifier: GPL-2.0-or-later
#include "filter.h"

#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define ID64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static char why[384];

static struct tuple destination(const char *address, uint16_t port, uint8_t protocol)
{
	struct tuple t = { .protocol = protocol, .dport = htons(port) };
	uint8_t family = strchr(address, ':') ? AF_INET6 : AF_INET, src[16] = { 1 }, dst[16];

	assert_int_equal(inet_pton(family, address, dst), 1);
	tuple_set_addresses(&t, family, src, dst);
	return t;
}

/* Whether a clause, as `except`, leaves the connection out; and as `only`, lets it pass. */
static bool matches(const char *clause, const struct filter_subject *subject)
{
	struct filter only = { .count = { 0 } }, except = { .count = { 0 } };
	bool passes, stopped;

	assert_int_equal(filter_add(&only, FILTER_ONLY, clause, why, sizeof(why)), 0);
	assert_int_equal(filter_add(&except, FILTER_EXCEPT, clause, why, sizeof(why)), 0);
	passes = filter_passes(&only, subject);
	stopped = !filter_passes(&except, subject);
	assert_int_equal(passes, stopped);
	filter_clear(&only, FILTER_ONLY);
	filter_clear(&except, FILTER_EXCEPT);
	return passes;
}

static void a_term_matches_what_it_names(void **state)
{
	struct tuple tcp4 = destination("203.0.113.77", 443, IPPROTO_TCP);
	struct tuple udp6 = destination("2001:db8:1::5", 53, IPPROTO_UDP);
	struct tuple ping6 = destination("2001:db8:1::5", 128 << 8, IPPROTO_ICMPV6);
	struct filter_subject web = {
		.tuple = &tcp4, .program = "/usr/bin/curl", .unit = "user@7.service",
		.container_id = ID64, .uid = 7, .has_uid = true,
	}, dns = { .tuple = &udp6, .program = "./dig", .container_id = "web" },
	   ping = { .tuple = &ping6 };
	const struct {
		const char *clause;
		bool web, dns, ping;
	} cases[] = {
		{ "user=7", true, false, false }, { "user=root", false, false, false },
		{ "user=8", false, false, false }, { "program=curl", true, false, false },
		{ "program=/usr/bin/curl", true, false, false },
		{ "program=/bin/curl", false, false, false },
		{ "program=cur", false, false, false }, { "program=cur*", true, false, false },
		{ "program=/usr/*", true, false, false },
		{ "program=*/curl", true, false, false }, { "program=dig", false, true, false },
		{ "program=*", true, true, false }, { "unit=user@7.service", true, false, false },
		{ "unit=user@*.service", true, false, false }, { "unit=*", true, false, false },
		{ "unit=user@.service", false, false, false },
		{ "container=0123456789ab", true, false, false },
		{ "container=123", false, false, false }, { "container=web", false, true, false },
		{ "container=we", false, false, false }, { "container=*", true, true, false },
		{ "net=203.0.113.77", true, false, false },
		{ "net=203.0.113.0/24", true, false, false },
		{ "net=203.0.113.64/27", true, false, false },
		{ "net=203.0.113.96/27", false, false, false },
		{ "net=203.0.113.78/31", false, false, false },
		{ "net=0.0.0.0/0", true, false, false }, { "net=::/0", false, true, true },
		{ "net=2001:db8::/32", false, true, true },
		{ "net=2001:db8:1::4/127", false, true, true },
		{ "net=2001:db8:1::5", false, true, true },
		{ "net=2001:db9::/32", false, false, false }, { "port=443", true, false, false },
		{ "port=1-65535", true, true, false }, { "port=444-1000", false, false, false },
		{ "port=53-443", true, true, false }, { "protocol=tcp", true, false, false },
		{ "protocol=udp", false, true, false }, { "protocol=icmp", false, false, true },
		{ "protocol=sctp", false, false, false },
		{ "user=7,port=443", true, false, false },
		{ "user=7,port=80", false, false, false },
		{ "port=53,protocol=udp,net=2001:db8::/32", false, true, false },
		{ "port=53,protocol=udp,user=7", false, false, false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (matches(cases[i].clause, &web) != cases[i].web ||
		    matches(cases[i].clause, &dns) != cases[i].dns ||
		    matches(cases[i].clause, &ping) != cases[i].ping)
			fail_msg("%s", cases[i].clause);
	}
}

/* systemd escapes names with backslashes. */
static void a_backslash_in_a_pattern_is_one(void **state)
{
	struct tuple web = destination("203.0.113.77", 443, IPPROTO_TCP);
	struct filter_subject subject = { .tuple = &web, .unit = "srv-a\\x2db@1.service" };
	struct filter filter = { 0 };

	(void)state;
	assert_int_equal(filter_add(&filter, FILTER_ONLY, "unit=srv-a\\x2db@*.service", why,
				    sizeof(why)), 0);
	assert_true(filter_passes(&filter, &subject));
	filter_clear(&filter, FILTER_ONLY);
}

static void a_comma_in_a_value_has_a_backslash(void **state)
{
	struct tuple t = destination("203.0.113.77", 443, IPPROTO_TCP);
	struct filter_subject s = { .tuple = &t, .program = "/opt/a,b" };

	(void)state;
	assert_true(matches("program=/opt/a\\,b,port=443", &s));
	assert_false(matches("program=/opt/a\\,b,port=80", &s));
}

static void clauses_are_alternatives_and_except_wins(void **state)
{
	struct filter f = { .count = { 0 } };
	struct tuple t = destination("203.0.113.77", 443, IPPROTO_TCP);
	struct filter_subject s = { .tuple = &t, .uid = 7, .has_uid = true };

	(void)state;
	assert_true(filter_passes(&f, &s));
	assert_int_equal(filter_add(&f, FILTER_ONLY, "port=80", why, sizeof(why)), 0);
	assert_false(filter_passes(&f, &s));
	assert_int_equal(filter_add(&f, FILTER_ONLY, "port=443", why, sizeof(why)), 0);
	assert_true(filter_passes(&f, &s));
	assert_int_equal(filter_add(&f, FILTER_EXCEPT, "user=8", why, sizeof(why)), 0);
	assert_true(filter_passes(&f, &s));
	assert_int_equal(filter_add(&f, FILTER_EXCEPT, "user=7", why, sizeof(why)), 0);
	assert_false(filter_passes(&f, &s));
	filter_clear(&f, FILTER_EXCEPT);
	assert_true(filter_passes(&f, &s));
	filter_clear(&f, FILTER_ONLY);
	assert_int_equal(f.count[FILTER_ONLY] + f.count[FILTER_EXCEPT], 0);
}

static void a_bad_term_is_quoted_with_what_would_be_right(void **state)
{
	static const struct {
		const char *text, *said;
	} cases[] = {
		{ "", "\"\" is not KEY=VALUE with one of the keys user, program" },
		{ "443", "\"443\" is not KEY=VALUE" }, { "pid=7", "\"pid=7\" is not KEY=VALUE" },
		{ "port=443,", "\"\" is not KEY=VALUE" }, { "port=", "\"port=\" has no value" },
		{ "Port=80", "\"Port=80\" is not KEY=VALUE" },
		{ "port=80,port=443", "\"port=443\": a second port" },
		{ "user=no-such-user", "\"no-such-user\" is no user in /etc/passwd" },
		{ "user=4294967295", "\"4294967295\" is no user" },
		{ "user=-1", "\"-1\" is no user" },
		{ "program=bin/curl", "\"bin/curl\" is neither a path that begins with /" },
		{ "unit=nginx", "\"nginx\" is not the whole name of a unit" },
		{ "net=203.0.113.0/33", "\"203.0.113.0/33\" is not a network such as" },
		{ "net=203.0.113.0/", "\"203.0.113.0/\" is not a network" },
		{ "net=203.0.113.0/-1", "\"203.0.113.0/-1\" is not a network" },
		{ "net=203.0.113.0/24 ", "\"203.0.113.0/24 \" is not a network" },
		{ "net=203.0.113.1/24", "\"203.0.113.1/24\" is no network: an address bit" },
		{ "net=2001:db8::1/64", "\"2001:db8::1/64\" is no network" },
		{ "net=example.com", "\"example.com\" is not a network" },
		{ "net=::ffff:203.0.113.0/120", "\"::ffff:203.0.113.0/120\" is an IPv4 network" },
		{ "port=0", "\"0\" is not a port from 1 to 65535 or a range" },
		{ "port=65536", "\"65536\" is not a port" },
		{ "port=2-1", "\"2-1\" is not a port" },
		{ "port=1-", "\"1-\" is not a port" }, { "port=80 ", "\"80 \" is not a port" },
		{ "port=+80", "\"+80\" is not a port" },
		{ "protocol=dccp", "\"dccp\" is none of tcp, udp, sctp, icmp" },
	};
	struct filter f = { .count = { 0 } };

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(filter_add(&f, FILTER_ONLY, cases[i].text, why, sizeof(why)),
				 -EINVAL);
		if (strncmp(why, cases[i].said, strlen(cases[i].said)) != 0)
			fail_msg("%s: %s", cases[i].text, why);
		assert_int_equal(f.count[FILTER_ONLY], 0);
	}
}

static void there_is_room_for_so_many(void **state)
{
	struct filter f = { .count = { 0 } };
	char text[32];

	(void)state;
	for (int i = 1; i <= FILTER_CLAUSES_MAX; i++) {
		snprintf(text, sizeof(text), "port=%d", i);
		assert_int_equal(filter_add(&f, FILTER_EXCEPT, text, why, sizeof(why)), 0);
	}
	assert_int_equal(filter_add(&f, FILTER_EXCEPT, "port=99", why, sizeof(why)), -EINVAL);
	assert_string_equal(why, "\"port=99\" is one too many: at most 32");
	filter_clear(&f, FILTER_EXCEPT);
}

/* The part that rules decide never leaves out what the whole lets pass. */
static void a_part_leaves_out_less(void **state)
{
	static const char *const clauses[][2] = {
		{ "user=7", "user=8,port=80" }, { "user=7,program=curl", "port=443" },
		{ "program=curl", "port=443" }, { "net=203.0.113.0/24", "protocol=udp,unit=a.b" },
		{ "port=80", "container=x" },
	};
	static const char *const addresses[] = { "203.0.113.7", "198.51.100.7", "2001:db8::7" };
	const uint32_t keys = FILTER_PACKET_KEYS | FILTER_USER;
	unsigned int stopped = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(clauses) / sizeof(clauses[0]) * 4; i++) {
		struct filter whole = { .count = { 0 } }, part;

		for (int n = 0; n < 2; n++)
			assert_int_equal(filter_add(&whole, i >> n & 1, clauses[i / 4][n], why,
						    sizeof(why)), 0);
		filter_part(&whole, keys, &part);
		for (size_t k = 0; k < 3 * 2 * 2 * 2; k++) {
			struct tuple t = destination(addresses[k % 3], k / 3 & 1 ? 80 : 443,
						     k / 6 & 1 ? IPPROTO_UDP : IPPROTO_TCP);
			struct filter_subject s = { .tuple = &t, .program = "/bin/curl",
						    .uid = k / 12 & 1 ? 7 : 8, .has_uid = true };
			struct filter_subject unknown = { .tuple = &t };

			if (filter_passes(&part, &s)) {
				assert_false(filter_may_stop(&part, &s));
				continue;
			}
			stopped++;
			assert_false(filter_passes(&whole, &s));
			assert_true(filter_may_stop(&part, &s));
			assert_true(filter_may_stop(&part, &unknown));
		}
		filter_clear(&whole, FILTER_ONLY);
		filter_clear(&whole, FILTER_EXCEPT);
	}
	assert_true(stopped > 20);
}

static void filters_are_equal_if_they_say_the_same(void **state)
{
	struct filter a = { .count = { 0 } }, b = { .count = { 0 } };

	(void)state;
	assert_true(filter_equal(&a, &b));
	filter_add(&a, FILTER_ONLY, "port=80", why, sizeof(why));
	assert_false(filter_equal(&a, &b));
	filter_add(&b, FILTER_EXCEPT, "port=80", why, sizeof(why));
	assert_false(filter_equal(&a, &b));
	filter_add(&b, FILTER_ONLY, "port=80", why, sizeof(why));
	filter_add(&a, FILTER_EXCEPT, "port=80", why, sizeof(why));
	assert_true(filter_equal(&a, &b));
	filter_add(&a, FILTER_EXCEPT, "port=81", why, sizeof(why));
	filter_add(&b, FILTER_EXCEPT, "port=82", why, sizeof(why));
	assert_false(filter_equal(&a, &b));
	for (int list = 0; list < FILTER_LISTS; list++) {
		filter_clear(&a, list);
		filter_clear(&b, list);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_term_matches_what_it_names),
		cmocka_unit_test(a_backslash_in_a_pattern_is_one),
		cmocka_unit_test(a_comma_in_a_value_has_a_backslash),
		cmocka_unit_test(clauses_are_alternatives_and_except_wins),
		cmocka_unit_test(a_bad_term_is_quoted_with_what_would_be_right),
		cmocka_unit_test(there_is_room_for_so_many),
		cmocka_unit_test(a_part_leaves_out_less),
		cmocka_unit_test(filters_are_equal_if_they_say_the_same),
	};

	return cmocka_run_group_tests_name("filter", tests, NULL, NULL);
}
