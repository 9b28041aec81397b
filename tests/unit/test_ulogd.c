// SPDX-License-Identifier: GPL-2.0-or-later
#include "ulogd.h"

#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static const uint8_t packet4[21] = { 0x45 };

static uint32_t be32_at(const uint8_t *frame, size_t offset)
{
	uint32_t value;

	memcpy(&value, frame + offset, sizeof(value));
	return ntohl(value);
}

static uint16_t be16_at(const uint8_t *frame, size_t offset)
{
	uint16_t value;

	memcpy(&value, frame + offset, sizeof(value));
	return ntohs(value);
}

/* Offset of an option's value, 0 if it is not there. */
static size_t find_option(const uint8_t *frame, size_t len, uint32_t id)
{
	size_t at = 12 + (be16_at(frame, 10) + 7U) / 8 * 8;

	while (at + 8 <= len) {
		if (be32_at(frame, at) == id)
			return at + 8;
		at += 8 + (be32_at(frame, at + 4) + 7) / 8 * 8;
	}
	/* The last one is four bytes short of its padding. */
	assert_int_equal(at, len + 4);
	return 0;
}

static void a_frame_holds_packet_and_options(void **state)
{
	struct ulogd_packet packet = {
		.payload = packet4, .payload_len = sizeof(packet4), .prefix = "nfwho",
		.out = "eth0", .user = "root", .application = "/usr/bin/curl", .time_s = 0x01020304,
		.uid = 7, .has_uid = true,
	};
	uint8_t frame[ULOGD_FRAME_MAX];
	int len = ulogd_frame(&packet, frame, sizeof(frame));
	uint32_t value;

	(void)state;
	assert_true(len > 0);
	assert_int_equal(be32_at(frame, 0), 0x41c90fd4);
	assert_int_equal(be16_at(frame, 4), len - 4);
	assert_int_equal(len % ULOGD_FRAME_STEP, 0);
	assert_int_equal(be16_at(frame, 10), sizeof(packet4));
	assert_memory_equal(frame + 12, packet4, sizeof(packet4));
	assert_string_equal((char *)frame + find_option(frame, (size_t)len, 1), "nfwho");
	assert_string_equal((char *)frame + find_option(frame, (size_t)len, 3), "eth0");
	assert_string_equal((char *)frame + find_option(frame, (size_t)len, 200), "root");
	assert_string_equal((char *)frame + find_option(frame, (size_t)len, 205), "/usr/bin/curl");
	memcpy(&value, frame + find_option(frame, (size_t)len, 4), sizeof(value));
	assert_int_equal(value, 0x01020304);
	memcpy(&value, frame + find_option(frame, (size_t)len, 201), sizeof(value));
	assert_int_equal(value, 7);
	assert_int_equal(find_option(frame, (size_t)len, 2), 0);
}

static void there_is_always_an_option(void **state)
{
	struct ulogd_packet packet = { .payload = packet4, .payload_len = sizeof(packet4) };
	uint8_t frame[ULOGD_FRAME_MAX];
	int len = ulogd_frame(&packet, frame, sizeof(frame));

	(void)state;
	assert_true(len > 0);
	assert_true(find_option(frame, (size_t)len, 4) > 0);
}

static void what_is_no_packet_or_has_no_room_is_refused(void **state)
{
	static char long_name[1000];
	struct ulogd_packet packet = { .payload = packet4, .payload_len = sizeof(packet4) };
	uint8_t frame[ULOGD_FRAME_MAX];

	(void)state;
	memset(long_name, 'a', sizeof(long_name) - 1);
	packet.application = long_name;
	assert_true(ulogd_frame(&packet, frame, sizeof(frame)) > 0);
	for (size_t size = 0; size < 60; size++)
		assert_int_equal(ulogd_frame(&packet, frame, size), -ENOSPC);
	packet.payload_len = 19;
	assert_int_equal(ulogd_frame(&packet, frame, sizeof(frame)), -EINVAL);
	packet.payload_len = 0;
	assert_int_equal(ulogd_frame(&packet, frame, sizeof(frame)), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_frame_holds_packet_and_options),
		cmocka_unit_test(there_is_always_an_option),
		cmocka_unit_test(what_is_no_packet_or_has_no_room_is_refused),
	};

	return cmocka_run_group_tests_name("ulogd", tests, NULL, NULL);
}
