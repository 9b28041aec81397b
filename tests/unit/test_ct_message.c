// SPDX-License-Identifier: GPL-2.0-or-later
#include "ct_message.h"
#include "hex.h"

#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nfnetlink.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>

#include <cmocka.h>

/* Linux 6.18: the end of an unanswered UDP conversation between 2001:db8::1 and ::2, and the
 * beginning of a TCP connection with zone 9 in its original direction alone. */
static const char destroy6[] =
	"1c010000 0201 0000 00000000 00000000 0a000000"
	"4c000180 2c000180 14000300 20010db8000000000000000000000001"
	"14000400 20010db8000000000000000000000002 1c000280 0500010011000000 06000200e1070000"
	"0600030014e90000"
	"4c000280 2c000180 14000300 20010db8000000000000000000000002"
	"14000400 20010db8000000000000000000000001 1c000280 0500010011000000 0600020014e90000"
	"06000300e1070000 08000c00adaa5615 0800030000000388"
	"1c000980 0c0001000000000000000001 0c0002000000000000000033"
	"1c000a80 0c0001000000000000000000 0c0002000000000000000000"
	"1c001480 0c00010018e9c522db3c36e4 0c00020018e9c52316d7eccd 0c001b0018e9c5238e8792ff";
static const char new_zone[] =
	"d8000000 0001 0006 00000000 00000000 02000000"
	"3c000180 14000180 08000100c6336401 08000200c6336402 1c000280 0500010006000000"
	"06000200d2e60000 060003001f430000 0600030000090000"
	"34000280 14000180 08000100c6336402 08000200c6336401 1c000280 0500010006000000"
	"060002001f430000 06000300d2e60000 08000c00da00be13 0800030000000188 0800070000000078"
	"30000480 2c000180 0500010001000000 050002000a000000 0500030000000000 0600040003000000"
	"0600050000000000 0c001b0018e9c522dab12581";

static struct nlmsghdr *read_hex(uint32_t *buf, size_t size, const char *hex)
{
	struct nlmsghdr *nlh = (struct nlmsghdr *)buf;

	size_t len = hex_read((uint8_t *)buf, size, hex);

	assert_int_equal(len, nlh->nlmsg_len);
	return nlh;
}

static void put_tuple(struct nlmsghdr *nlh, uint16_t type, const char *src, const char *dst,
		      uint8_t protocol)
{
	struct nlattr *tuple = mnl_attr_nest_start(nlh, type);
	struct nlattr *nest = mnl_attr_nest_start(nlh, CTA_TUPLE_IP);

	mnl_attr_put_u32(nlh, CTA_IP_V4_SRC, inet_addr(src));
	mnl_attr_put_u32(nlh, CTA_IP_V4_DST, inet_addr(dst));
	mnl_attr_nest_end(nlh, nest);
	nest = mnl_attr_nest_start(nlh, CTA_TUPLE_PROTO);
	mnl_attr_put_u8(nlh, CTA_PROTO_NUM, protocol);
	if (protocol == IPPROTO_ICMP) {
		mnl_attr_put_u16(nlh, CTA_PROTO_ICMP_ID, htons(4711));
		mnl_attr_put_u8(nlh, CTA_PROTO_ICMP_TYPE, 8);
		mnl_attr_put_u8(nlh, CTA_PROTO_ICMP_CODE, 3);
	} else if (protocol == IPPROTO_TCP) {
		mnl_attr_put_u16(nlh, CTA_PROTO_SRC_PORT, htons(40000));
		mnl_attr_put_u16(nlh, CTA_PROTO_DST_PORT, htons(443));
	}
	mnl_attr_nest_end(nlh, nest);
	mnl_attr_nest_end(nlh, tuple);
}

static struct nlmsghdr *build(void *buf, uint8_t protocol)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);

	nlh->nlmsg_type = NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_DELETE;
	mnl_nlmsg_put_extra_header(nlh, sizeof(struct nfgenmsg));
	put_tuple(nlh, CTA_TUPLE_ORIG, "198.51.100.1", "198.51.100.2", protocol);
	put_tuple(nlh, CTA_TUPLE_REPLY, "198.51.100.2", "203.0.113.7", protocol);
	return nlh;
}

static void put_counters(struct nlmsghdr *nlh, uint16_t type, uint64_t packets, uint64_t bytes)
{
	struct nlattr *nest = mnl_attr_nest_start(nlh, type);

	mnl_attr_put_u64(nlh, CTA_COUNTERS_PACKETS, htobe64(packets));
	mnl_attr_put_u64(nlh, CTA_COUNTERS_BYTES, htobe64(bytes));
	mnl_attr_nest_end(nlh, nest);
}

static void a_recorded_end_has_counters_and_times(void **state)
{
	uint32_t buf[128];
	struct ct_entry e;
	struct tuple reverse;
	char text[TUPLE_ADDRESS_MAX];

	(void)state;
	assert_int_equal(ct_message_parse(&e, read_hex(buf, sizeof(buf), destroy6)), 0);
	assert_int_equal(e.kind, CT_DESTROY);
	assert_int_equal(e.original.family, AF_INET6);
	assert_string_equal(tuple_address(AF_INET6, &e.original.dst, text), "2001:db8::2");
	assert_int_equal(e.original.protocol, IPPROTO_UDP);
	assert_int_equal(ntohs(e.original.sport), 57607);
	assert_int_equal(ntohs(e.original.dport), 5353);
	reverse = tuple_reverse(&e.original);
	assert_true(tuple_equal(&e.reply, &reverse));
	assert_true(e.has_counters && e.has_timestamps);
	assert_int_equal(e.packets[0], 1);
	assert_int_equal(e.bytes[0], 51);
	assert_int_equal(e.packets[1], 0);
	assert_true(e.start_real_ns == 0x18e9c522db3c36e4 && e.stop_real_ns == 0x18e9c52316d7eccd);
	assert_int_equal(e.id, 0xadaa5615);
	assert_int_equal(e.status, IPS_CONFIRMED | IPS_SRC_NAT_DONE | IPS_DST_NAT_DONE | IPS_DYING);
	assert_false(e.has_tcp_state || e.has_timeout);
	assert_int_equal(e.zone, 0);
}

static void a_recorded_beginning_shows_nothing_of_the_message_before(void **state)
{
	uint32_t buf[128];
	struct ct_entry e;

	(void)state;
	assert_int_equal(ct_message_parse(&e, read_hex(buf, sizeof(buf), destroy6)), 0);
	assert_int_equal(ct_message_parse(&e, read_hex(buf, sizeof(buf), new_zone)), 0);
	assert_int_equal(e.kind, CT_NEW);
	assert_int_equal(e.original.family, AF_INET);
	assert_true(e.original.src.bytes[4] == 0 && e.original.src.bytes[15] == 0);
	assert_int_equal(e.zone, 9);
	assert_true(e.has_tcp_state && e.has_timeout);
	assert_int_equal(e.tcp_state, 1);
	assert_int_equal(e.timeout_s, 120);
	assert_false(e.has_counters || e.has_timestamps);
	assert_true(!e.bytes[0] && !e.packets[0] && !e.start_real_ns && !e.stop_real_ns);
}

static void a_part_of_a_dump_is_no_event(void **state)
{
	uint32_t buf[128];
	struct nlmsghdr *nlh = read_hex(buf, sizeof(buf), new_zone);
	struct ct_entry e;

	(void)state;
	nlh->nlmsg_flags = NLM_F_MULTI;
	assert_int_equal(ct_message_parse(&e, nlh), 0);
	assert_int_equal(e.kind, CT_DUMPED);
}

static void a_message_cut_anywhere_is_refused_or_lacks_what_was_cut(void **state)
{
	uint32_t buf[128];
	struct nlmsghdr *nlh = read_hex(buf, sizeof(buf), destroy6), *copy;
	struct ct_entry whole, e;

	(void)state;
	assert_int_equal(ct_message_parse(&whole, nlh), 0);
	for (size_t n = sizeof(*nlh); n < nlh->nlmsg_len; n++) {
		copy = malloc(n);
		assert_non_null(copy);
		memcpy(copy, nlh, n);
		copy->nlmsg_len = n;
		if (ct_message_parse(&e, copy) == 0) {
			assert_true(tuple_equal(&e.original, &whole.original));
			assert_true(tuple_equal(&e.reply, &whole.reply));
			assert_true(!e.has_counters || e.bytes[0] == whole.bytes[0]);
			assert_true(!e.has_timestamps || e.stop_real_ns == whole.stop_real_ns);
		}
		free(copy);
	}
}

static void counters_have_64_bits_and_need_both_directions(void **state)
{
	uint32_t buf[128];
	struct nlmsghdr *nlh = build(buf, IPPROTO_TCP);
	struct ct_entry e;

	(void)state;
	put_counters(nlh, CTA_COUNTERS_ORIG, 0x123456789abcdef0, UINT64_MAX);
	assert_int_equal(ct_message_parse(&e, nlh), 0);
	assert_false(e.has_counters);
	assert_true(e.bytes[0] == 0);
	put_counters(nlh, CTA_COUNTERS_REPLY, 1ull << 32, 1);
	assert_int_equal(ct_message_parse(&e, nlh), 0);
	assert_true(e.has_counters);
	assert_true(e.packets[0] == 0x123456789abcdef0 && e.bytes[0] == UINT64_MAX);
	assert_true(e.packets[1] == 1ull << 32 && e.bytes[1] == 1);
}

static void icmp_has_its_number_type_and_code_for_ports(void **state)
{
	uint32_t buf[128];
	struct ct_entry e;

	(void)state;
	assert_int_equal(ct_message_parse(&e, build(buf, IPPROTO_ICMP)), 0);
	assert_int_equal(ntohs(e.original.sport), 4711);
	assert_int_equal(ntohs(e.original.dport), 8 << 8 | 3);
}

static void ports_are_needed_where_there_must_be_some(void **state)
{
	uint32_t buf[128];
	struct ct_entry e;

	(void)state;
	assert_int_equal(ct_message_parse(&e, build(buf, IPPROTO_GRE)), 0);
	assert_int_equal(e.original.sport, 0);
	assert_int_equal(ct_message_parse(&e, build(buf, IPPROTO_UDP)), -EBADMSG);
}

static void an_entry_without_both_tuples_is_refused(void **state)
{
	uint32_t buf[128];
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct ct_entry e;

	(void)state;
	nlh->nlmsg_type = NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_NEW;
	assert_int_equal(ct_message_parse(&e, nlh), -EBADMSG);
	mnl_nlmsg_put_extra_header(nlh, sizeof(struct nfgenmsg));
	assert_int_equal(ct_message_parse(&e, nlh), -EBADMSG);
	put_tuple(nlh, CTA_TUPLE_ORIG, "198.51.100.1", "198.51.100.2", IPPROTO_TCP);
	assert_int_equal(ct_message_parse(&e, nlh), -EBADMSG);
}

static void an_attribute_of_the_wrong_length_is_not_read(void **state)
{
	uint32_t buf[128];
	struct nlmsghdr *nlh = build(buf, IPPROTO_TCP);
	struct ct_entry e;

	(void)state;
	mnl_attr_put_u16(nlh, CTA_ID, 1);
	mnl_attr_put_u64(nlh, CTA_STATUS, 1);
	mnl_attr_put_u32(nlh, CTA_ZONE, 1);
	mnl_attr_put_u8(nlh, CTA_TIMEOUT, 1);
	mnl_attr_put_u32(nlh, CTA_PROTOINFO, 0);
	mnl_attr_put_u8(nlh, CTA_TIMESTAMP, 1);
	assert_int_equal(ct_message_parse(&e, nlh), 0);
	assert_true(!e.id && !e.status && !e.zone);
	assert_false(e.has_timeout || e.has_tcp_state || e.has_timestamps);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_recorded_end_has_counters_and_times),
		cmocka_unit_test(a_recorded_beginning_shows_nothing_of_the_message_before),
		cmocka_unit_test(a_part_of_a_dump_is_no_event),
		cmocka_unit_test(a_message_cut_anywhere_is_refused_or_lacks_what_was_cut),
		cmocka_unit_test(counters_have_64_bits_and_need_both_directions),
		cmocka_unit_test(icmp_has_its_number_type_and_code_for_ports),
		cmocka_unit_test(ports_are_needed_where_there_must_be_some),
		cmocka_unit_test(an_entry_without_both_tuples_is_refused),
		cmocka_unit_test(an_attribute_of_the_wrong_length_is_not_read),
	};

	return cmocka_run_group_tests_name("ct_message", tests, NULL, NULL);
}
