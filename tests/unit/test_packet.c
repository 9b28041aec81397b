// SPDX-License-Identifier: GPL-2.0-or-later
#include "hex.h"
#include "packet.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/socket.h>

#include <cmocka.h>

/* 198.51.100.1 to 198.51.100.2, 2001:db8::1 to 2001:db8::2. TOTAL, protocol and what is behind the
 * header are filled in. */
#define IP4(total, flags, protocol) \
	"45 00 " total " 1234 " flags " 40 " protocol " 0000 c6336401 c6336402 "
#define ADDRESSES6 "20010db8000000000000000000000001 20010db8000000000000000000000002 "
#define IP6(payload, next) "60 000000 " payload " " next " 40 " ADDRESSES6
#define TCP "de36 1f40 d78b70d5 00000000 50 02 faf0 5499 0000 "
#define UDP "de36 1f40 0009 0000 78 "
#define SCTP "de36 1f40 00000000 00000000 "
#define PORTS 0xde36, 0x1f40

struct packet_case {
	const char *title, *hex;
	enum packet_status status;
	uint8_t protocol;
	uint16_t sport, dport;		/* both 0: not known */
	uint32_t length_bytes;
};

static const struct packet_case cases[] = {
	{ "TCP", IP4("0028", "0000", "06") TCP, PACKET_OK, 6, PORTS, 40 },
	{ "UDP", IP4("001d", "0000", "11") UDP, PACKET_OK, 17, PORTS, 29 },
	{ "SCTP", IP4("0020", "0000", "84") SCTP, PACKET_OK, 132, PORTS, 32 },
	{ "ICMP echo: its number, type and code",
	  IP4("001c", "0000", "01") "0800 8ea7 4fc7 0001", PACKET_OK, 1, 0x4fc7, 0x0800, 28 },
	{ "ICMP unreachable has no number",
	  IP4("001c", "0000", "01") "0301 8ea7 4fc7 0001", PACKET_OK, 1, 0, 0x0301, 28 },
	{ "GRE has no ports", IP4("001c", "0000", "2f") "0000 0800 0000 0000", PACKET_OK, 47, 0, 0,
	  28 },
	{ "ICMPv6 in IPv4 is nothing known", IP4("001c", "0000", "3a") "8000 8ea7 4fc7 0001",
	  PACKET_OK, 58, 0, 0, 28 },
	{ "options", "46 00 002c 1234 0000 40 06 0000 c6336401 c6336402 01010101 " TCP, PACKET_OK,
	  6, PORTS, 44 },
	{ "the longest options",
	  "4f 00 0050 1234 0000 40 06 0000 c6336401 c6336402 "
	  "01010101010101010101010101010101010101010101010101010101010101010101010101010101" TCP,
	  PACKET_OK, 6, PORTS, 80 },
	{ "first fragment", IP4("0028", "2000", "06") TCP, PACKET_OK, 6, PORTS, 40 },
	{ "later fragment", IP4("0028", "0001", "06") TCP, PACKET_OK, 6, 0, 0, 40 },
	{ "a first fragment too short for TCP", IP4("001c", "2000", "06") "de361f40 00000000",
	  PACKET_OK, 6, 0, 0, 28 },
	{ "what is behind the packet's end is not its own",
	  IP4("0018", "0000", "06") TCP, PACKET_OK, 6, 0, 0, 24 },
	{ "length 0 (big TCP)", IP4("0000", "0000", "06") TCP, PACKET_OK, 6, PORTS, 0 },
	{ "longer than what was captured", IP4("2710", "0000", "06") TCP, PACKET_OK, 6, PORTS,
	  10000 },
	{ "length below the header", IP4("0013", "0000", "06") TCP, PACKET_MALFORMED, 0, 0, 0, 19 },
	{ "header length below 20", "44 00 0028 1234 0000 40 06 0000 c6336401 c6336402 " TCP,
	  PACKET_MALFORMED, 0, 0, 0, 40 },
	{ "TCP header length below 20",
	  IP4("0028", "0000", "06") "de36 1f40 d78b70d5 00000000 40 02 faf0 5499 0000",
	  PACKET_MALFORMED, 6, 0, 0, 40 },
	{ "version 5", "5500 0028 1234 0000 40 06 0000 c6336401 c6336402 " TCP, PACKET_MALFORMED, 0,
	  0, 0, 0 },
	{ "version 0", "00", PACKET_MALFORMED, 0, 0, 0, 0 },
	{ "nothing", "", PACKET_TRUNCATED, 0, 0, 0, 0 },
	{ "half an IPv4 header", "4500 0028 1234 0000 4006", PACKET_TRUNCATED, 0, 0, 0, 0 },
	{ "half the options", "46 00 002c 1234 0000 40 06 0000 c6336401 c6336402 0101",
	  PACKET_TRUNCATED, 6, 0, 0, 44 },

	{ "TCP over IPv6", IP6("0014", "06") TCP, PACKET_OK, 6, PORTS, 60 },
	{ "UDP over IPv6", IP6("0009", "11") UDP, PACKET_OK, 17, PORTS, 49 },
	{ "ICMPv6 echo", IP6("0008", "3a") "8000 f8af 4fc8 0001", PACKET_OK, 58, 0x4fc8, 0x8000,
	  48 },
	{ "neighbour solicitation has no number", IP6("0008", "3a") "8700 f8af 4fc8 0001",
	  PACKET_OK, 58, 0, 0x8700, 48 },
	{ "ICMP in IPv6 is nothing known", IP6("0008", "01") "0800 f8af 4fc8 0001", PACKET_OK, 1, 0,
	  0, 48 },
	{ "no next header", IP6("0000", "3b"), PACKET_OK, 59, 0, 0, 40 },
	{ "ESP ends what can be read", IP6("0014", "32") TCP, PACKET_OK, 50, 0, 0, 60 },
	{ "hop-by-hop", IP6("001c", "00") "0600 0502 0000 0100 " TCP, PACKET_OK, 6, PORTS, 68 },
	{ "routing of 24 bytes",
	  IP6("002c", "2b") "0602 0200 0000 0000 20010db8000000000000000000000003 " TCP, PACKET_OK,
	  6, PORTS, 84 },
	{ "destination options", IP6("001c", "3c") "0600 0104 0000 0000 " TCP, PACKET_OK, 6, PORTS,
	  68 },
	{ "authentication header counts in fours",
	  IP6("002c", "33") "0604 0000 00000001 00000001 000000000000000000000000 " TCP, PACKET_OK,
	  6, PORTS, 84 },
	{ "first fragment of IPv6", IP6("001c", "2c") "0600 0001 00001234 " TCP, PACKET_OK, 6,
	  PORTS, 68 },
	{ "later fragment of IPv6", IP6("001c", "2c") "0600 0008 00001234 " TCP, PACKET_OK, 6, 0, 0,
	  68 },
	{ "a whole packet in a fragment header", IP6("001c", "2c") "0600 0000 00001234 " TCP,
	  PACKET_OK, 6, PORTS, 68 },
	{ "all of them",
	  IP6("004c", "00") "2b00 0502 0000 0100 3c00 0400 0000 0000 3300 0104 0000 0000 "
	  "2c04 0000 00000001 00000001 000000000000000000000000 0600 0000 00001234 " TCP,
	  PACKET_OK, 6, PORTS, 116 },
	{ "jumbogram: length 0 before hop-by-hop",
	  IP6("0000", "00") "0600 c204 00011170 " TCP, PACKET_OK, 6, PORTS, 40 },
	{ "length 0 without hop-by-hop has nothing behind it", IP6("0000", "06") TCP, PACKET_OK, 6,
	  0, 0, 40 },
	{ "hop-by-hop in second place",
	  IP6("0024", "3c") "0000 0104 0000 0000 0600 0104 0000 0000 " TCP, PACKET_MALFORMED, 0, 0,
	  0, 76 },
	{ "extension header beyond the packet's end", IP6("001c", "3c") "06ff 0104 0000 0000 " TCP,
	  PACKET_MALFORMED, 0, 0, 0, 68 },
	{ "extension header cut by the packet's end", IP6("0004", "3c") "0600 0104", PACKET_MALFORMED,
	  0, 0, 0, 44 },
	{ "extension header cut by the capture", IP6("001c", "3c") "0600 0104", PACKET_TRUNCATED, 0,
	  0, 0, 68 },
	{ "half an IPv6 header", "6000 0000 0014 0640 20010db8", PACKET_TRUNCATED, 0, 0, 0, 0 },
	{ "v4-mapped addresses never leave a host",
	  "6000 0000 0014 0640 00000000000000000000ffffc6336401 "
	  "00000000000000000000ffffc6336402 " TCP, PACKET_MALFORMED, 0, 0, 0, 60 },
};

#define CASES (sizeof(cases) / sizeof(cases[0]))

/* In an allocation of just that size, so that a sanitizer sees a read past it. */
static enum packet_status decode(struct packet *out, const uint8_t *data, size_t len)
{
	uint8_t *copy = malloc(len ? len : 1);
	enum packet_status status;

	assert_non_null(copy);
	memcpy(copy, data, len);
	status = packet_decode(out, copy, len);
	free(copy);
	return status;
}

static void each_kind_of_packet_is_decoded_or_refused(void **state)
{
	struct packet p;
	uint8_t data[256];

	(void)state;
	for (size_t i = 0; i < CASES; i++) {
		const struct packet_case *c = &cases[i];
		size_t len = hex_read(data, sizeof(data), c->hex);

		print_message("# %s\n", c->title);
		assert_in_range(len, 0, sizeof(data));
		assert_int_equal(decode(&p, data, len), c->status);
		assert_int_equal(p.tuple.protocol, c->protocol);
		assert_int_equal(ntohs(p.tuple.sport), c->sport);
		assert_int_equal(ntohs(p.tuple.dport), c->dport);
		assert_int_equal(p.length_bytes, c->length_bytes);
		assert_int_equal(p.ports_known, c->sport || c->dport);
	}
}

static void a_good_packet_cut_anywhere_is_never_called_malformed(void **state)
{
	struct packet whole, p;
	uint8_t data[256];

	(void)state;
	for (size_t i = 0; i < CASES; i++) {
		size_t len = hex_read(data, sizeof(data), cases[i].hex);

		if (cases[i].status != PACKET_OK)
			continue;
		decode(&whole, data, len);
		for (size_t n = 0; n < len; n++) {
			assert_int_not_equal(decode(&p, data, n), PACKET_MALFORMED);
			if (p.ports_known)
				assert_true(tuple_equal(&p.tuple, &whole.tuple));
		}
	}
}

static void addresses_flags_and_sequence_are_read(void **state)
{
	struct packet p;
	uint8_t data[256];
	char text[TUPLE_ADDRESS_MAX];
	size_t len = hex_read(data, sizeof(data), IP4("0028", "4000", "06") TCP);

	(void)state;
	assert_int_equal(decode(&p, data, len), PACKET_OK);
	assert_int_equal(p.tuple.family, AF_INET);
	assert_string_equal(tuple_address(AF_INET, &p.tuple.src, text), "198.51.100.1");
	assert_string_equal(tuple_address(AF_INET, &p.tuple.dst, text), "198.51.100.2");
	assert_int_equal(p.tcp_seq, 0xd78b70d5);
	assert_int_equal(p.tcp_flags, PACKET_TCP_SYN);

	len = hex_read(data, sizeof(data), IP6("0014", "06") TCP);
	assert_int_equal(decode(&p, data, len), PACKET_OK);
	assert_int_equal(p.tuple.family, AF_INET6);
	assert_string_equal(tuple_address(AF_INET6, &p.tuple.src, text), "2001:db8::1");
	assert_string_equal(tuple_address(AF_INET6, &p.tuple.dst, text), "2001:db8::2");
}

static void a_chain_of_extension_headers_has_an_end(void **state)
{
	struct packet p;
	uint8_t data[40 + 17 * 8 + 20];
	size_t len = hex_read(data, sizeof(data), IP6("009c", "3c"));

	(void)state;
	for (unsigned int count = 16; count <= 17; count++) {
		size_t end = len + count * 8;

		memset(data + len, 0, sizeof(data) - len);
		for (unsigned int i = 0; i < count; i++)
			data[len + i * 8] = i + 1 < count ? IPPROTO_DSTOPTS : IPPROTO_TCP;
		data[5] = (uint8_t)(count * 8 + 20);
		hex_read(data + end, sizeof(data) - end, TCP);
		assert_int_equal(decode(&p, data, end + 20),
				 count == 16 ? PACKET_OK : PACKET_MALFORMED);
		assert_int_equal(p.ports_known, count == 16);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_kind_of_packet_is_decoded_or_refused),
		cmocka_unit_test(a_good_packet_cut_anywhere_is_never_called_malformed),
		cmocka_unit_test(addresses_flags_and_sequence_are_read),
		cmocka_unit_test(a_chain_of_extension_headers_has_an_end),
	};

	return cmocka_run_group_tests_name("packet", tests, NULL, NULL);
}
