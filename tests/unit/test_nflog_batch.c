// SPDX-License-Identifier: GPL-2.0-or-later
#include "hex.h"
#include "nflog_batch.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/netfilter/nfnetlink_log.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>

#include <cmocka.h>

/* From a SYN of 198.51.100.1 to 198.51.100.99, Linux 6.18. */
static const char recorded[] =
	"8c000000 0004 0000 00000000 00000000 02000269 0800 0100 08000300"
	"0f00 0a00 6e6677686f3a206f757400 00 0800 0500 00000002 0800 0b00 00000000"
	"0800 0e00 00000000 0800 0c00 0000000b 4000 0900"
	"4500003c5cbf400040068931c6336401c6336463d18e00502179c2d700000000a002faf054fa0000"
	"020405b40402080a437d6ab8000000000103030a";

/* The smallest packet that is one. */
static const uint8_t syn[40] = {
	0x45, 0, 0, 40, 0, 0, 0, 0, 64, 6, 0, 0, 198, 51, 100, 1, 198, 51, 100, 2,
	0x9c, 0x40, 0x01, 0xbb, [32] = 0x50, 0x02,
};

struct seen {
	unsigned int count;
	struct nflog_packet last;
	char prefix[128];
};

static void see(const struct nflog_packet *packet, void *data)
{
	struct seen *seen = data;

	seen->count++;
	seen->last = *packet;
	strncpy(seen->prefix, packet->prefix, sizeof(seen->prefix) - 1);
}

/* A message with header, payload and, unless negative, a number. */
static struct nlmsghdr *build(void *buf, int64_t sequence)
{
	struct nfulnl_msg_packet_hdr hdr = { .hw_protocol = htons(0x0800), .hook = 3 };
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct nfgenmsg *nfg = mnl_nlmsg_put_extra_header(nlh, sizeof(*nfg));

	nlh->nlmsg_type = NFNL_SUBSYS_ULOG << 8 | NFULNL_MSG_PACKET;
	nfg->nfgen_family = AF_INET;
	mnl_attr_put(nlh, NFULA_PACKET_HDR, sizeof(hdr), &hdr);
	mnl_attr_put(nlh, NFULA_PAYLOAD, sizeof(syn), syn);
	if (sequence >= 0)
		mnl_attr_put_u32(nlh, NFULA_SEQ, htonl((uint32_t)sequence));
	return nlh;
}

static struct seen feed(struct nflog_count *count, const struct nlmsghdr *nlh)
{
	struct seen seen = { 0 };

	unsigned int handed_on = nflog_batch(count, nlh, nlh->nlmsg_len, see, &seen);

	assert_int_equal(handed_on, seen.count);
	return seen;
}

static void a_recorded_message_says_what_was_sent(void **state)
{
	uint32_t buf[64];
	struct nflog_count count = { 0 };
	char text[TUPLE_ADDRESS_MAX];
	struct seen seen;

	(void)state;
	assert_int_equal(hex_read((uint8_t *)buf, sizeof(buf), recorded), 140);
	seen = feed(&count, (struct nlmsghdr *)buf);
	assert_int_equal(seen.count, 1);
	assert_string_equal(seen.prefix, "nfwho: out");
	assert_int_equal(seen.last.hook, 3);
	assert_int_equal(seen.last.ifindex_out, 2);
	assert_int_equal(seen.last.ifindex_in, 0);
	assert_true(seen.last.has_uid && seen.last.has_gid);
	assert_int_equal(seen.last.uid, 0);
	assert_false(seen.last.has_ct);
	assert_int_equal(seen.last.mark, 0);
	assert_int_equal(seen.last.payload_len, 60);
	assert_int_equal(seen.last.status, PACKET_OK);
	assert_int_equal(ntohs(seen.last.packet.tuple.dport), 80);
	assert_string_equal(tuple_address(AF_INET, &seen.last.packet.tuple.dst, text),
			    "198.51.100.99");
	assert_int_equal(count.next_sequence, 12);
}

/* Cut in the datagram, and cut with a length that owns up to it. */
static void a_message_cut_anywhere_is_counted_and_not_handed_on(void **state)
{
	uint8_t whole[140];
	struct nflog_count count;
	struct seen seen = { 0 };
	struct nlmsghdr *copy;

	(void)state;
	hex_read(whole, sizeof(whole), recorded);
	for (size_t n = 1; n < sizeof(whole); n++) {
		copy = malloc(n);
		assert_non_null(copy);
		memcpy(copy, whole, n);
		for (int honest = 0; honest < 2; honest++) {
			count = (struct nflog_count){ 0 };
			if (n < sizeof(*copy) && honest)
				continue;
			if (honest)
				copy->nlmsg_len = n;
			assert_int_equal(nflog_batch(&count, copy, n, see, &seen), 0);
			assert_int_equal(count.stats.received, 1);
			assert_int_equal(count.stats.invalid, 1);
		}
		free(copy);
	}
}

static void what_the_kernel_leaves_out_is_unknown(void **state)
{
	uint32_t buf[64];
	struct nflog_count count = { 0 };
	struct seen seen = feed(&count, build(buf, -1));

	(void)state;
	assert_int_equal(seen.count, 1);
	assert_false(seen.last.has_uid || seen.last.has_gid || seen.last.has_ct);
	assert_string_equal(seen.prefix, "");
	assert_false(count.sequence_known);
}

static void an_attribute_of_the_wrong_length_is_not_read(void **state)
{
	uint32_t buf[64];
	struct nlmsghdr *nlh = build(buf, 0);
	struct nflog_count count = { 0 };
	struct seen seen;

	(void)state;
	mnl_attr_put_u16(nlh, NFULA_UID, 1);
	mnl_attr_put_u64(nlh, NFULA_GID, 1);
	mnl_attr_put_u8(nlh, NFULA_MARK, 1);
	mnl_attr_put(nlh, NFULA_PREFIX, 4, "evil");	/* no NUL */
	mnl_attr_put(nlh, NFULA_IFINDEX_OUTDEV, 0, NULL);
	seen = feed(&count, nlh);
	assert_int_equal(seen.count, 1);
	assert_false(seen.last.has_uid || seen.last.has_gid);
	assert_int_equal(seen.last.mark, 0);
	assert_int_equal(seen.last.ifindex_out, 0);
	assert_string_equal(seen.prefix, "");
}

static void a_message_without_a_packet_still_has_its_number(void **state)
{
	uint32_t buf[64];
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct nflog_count count = { .sequence_known = true };

	(void)state;
	nlh->nlmsg_type = NFNL_SUBSYS_ULOG << 8 | NFULNL_MSG_PACKET;
	mnl_nlmsg_put_extra_header(nlh, sizeof(struct nfgenmsg));
	mnl_attr_put_u32(nlh, NFULA_SEQ, htonl(0));
	assert_int_equal(feed(&count, nlh).count, 0);
	assert_int_equal(count.stats.received, 1);
	assert_int_equal(count.stats.invalid, 1);
	assert_int_equal(feed(&count, build(buf, 1)).count, 1);
	assert_int_equal(count.stats.sequence_gap, 0);
}

/* It is not counted as received and as missing, too. */
static void a_message_that_cannot_be_read_is_no_gap(void **state)
{
	uint32_t buf[64];
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct nflog_count count = { .sequence_known = true };
	struct seen seen = { 0 };

	(void)state;
	nlh->nlmsg_type = NFNL_SUBSYS_ULOG << 8 | NFULNL_MSG_PACKET;
	mnl_nlmsg_put_extra_header(nlh, sizeof(struct nfgenmsg));
	assert_int_equal(feed(&count, nlh).count, 0);
	assert_int_equal(feed(&count, build(buf, 1)).count, 1);
	nlh = build(buf, 2);
	assert_int_equal(nflog_batch(&count, nlh, nlh->nlmsg_len / 2, see, &seen), 0);
	assert_int_equal(feed(&count, build(buf, 4)).count, 1);
	assert_int_equal(count.stats.received, 4);
	assert_int_equal(count.stats.invalid, 2);
	assert_int_equal(count.stats.sequence_gap, 1);
}

static void the_conntrack_entry_gives_id_and_zone(void **state)
{
	uint32_t buf[64];
	struct nlmsghdr *nlh = build(buf, 0);
	struct nlattr *nest = mnl_attr_nest_start(nlh, NFULA_CT);
	struct nflog_count count = { 0 };
	struct seen seen;

	(void)state;
	mnl_attr_put_u32(nlh, CTA_ID, htonl(0xda00be13));
	mnl_attr_put_u16(nlh, CTA_ZONE, htons(7));
	mnl_attr_nest_end(nlh, nest);
	seen = feed(&count, nlh);
	assert_true(seen.last.has_ct);
	assert_int_equal(seen.last.ct_id, 0xda00be13);
	assert_int_equal(seen.last.ct_zone, 7);
}

static void missing_numbers_are_lost_packets(void **state)
{
	static const struct {
		bool known;
		uint32_t next, numbers[5];
		unsigned int count;
		uint64_t gap;
	} cases[] = {
		{ true, 0, { 0, 1, 2 }, 3, 0 },
		{ true, 0, { 3 }, 1, 3 },
		{ true, 5, { 5, 9, 10, 20 }, 4, 12 },
		{ false, 0, { 1000, 1001 }, 2, 0 },
		{ true, 0xfffffffe, { 0xfffffffe, 0xffffffff, 0, 1 }, 4, 0 },
		{ true, 0xfffffffe, { 0xfffffffe, 2 }, 2, 3 },
		{ true, 0, { 100, 0, 1 }, 3, 100 },	/* bound anew */
	};
	uint32_t buf[64];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct nflog_count count = {
			.sequence_known = cases[i].known, .next_sequence = cases[i].next,
		};

		for (unsigned int j = 0; j < cases[i].count; j++)
			feed(&count, build(buf, cases[i].numbers[j]));
		assert_int_equal(count.stats.sequence_gap, cases[i].gap);
		assert_int_equal(count.stats.received, cases[i].count);
	}
}

static void a_batch_ends_with_done_and_rubbish_behind_it_is_counted(void **state)
{
	uint32_t buf[256];
	struct nflog_count count = { .sequence_known = true };
	struct seen seen = { 0 };
	struct nlmsghdr *nlh;
	size_t len = 0;

	(void)state;
	for (unsigned int i = 0; i < 3; i++)
		len += build((uint8_t *)buf + len, i)->nlmsg_len;
	nlh = mnl_nlmsg_put_header((uint8_t *)buf + len);
	nlh->nlmsg_type = NLMSG_DONE;
	len += nlh->nlmsg_len;
	assert_int_equal(nflog_batch(&count, buf, len, see, &seen), 3);
	assert_int_equal(count.stats.received, 3);
	assert_int_equal(count.stats.invalid, 0);

	memset((uint8_t *)buf + len, 0xff, 32);	/* a length over 2 GiB */
	assert_int_equal(nflog_batch(&count, buf, len + 32, see, &seen), 3);
	assert_int_equal(count.stats.received, 7);
	assert_int_equal(count.stats.invalid, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_recorded_message_says_what_was_sent),
		cmocka_unit_test(a_message_cut_anywhere_is_counted_and_not_handed_on),
		cmocka_unit_test(what_the_kernel_leaves_out_is_unknown),
		cmocka_unit_test(an_attribute_of_the_wrong_length_is_not_read),
		cmocka_unit_test(a_message_without_a_packet_still_has_its_number),
		cmocka_unit_test(a_message_that_cannot_be_read_is_no_gap),
		cmocka_unit_test(the_conntrack_entry_gives_id_and_zone),
		cmocka_unit_test(missing_numbers_are_lost_packets),
		cmocka_unit_test(a_batch_ends_with_done_and_rubbish_behind_it_is_counted),
	};

	return cmocka_run_group_tests_name("nflog_batch", tests, NULL, NULL);
}
