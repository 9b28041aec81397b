// SPDX-License-Identifier: GPL-2.0-or-later
#include "diag.h"
#include "hex.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

/* Answers of Linux 6.18. */
#define SHUTDOWN_AND_CGROUP "05000800 00000000 08000f00 00000000 0c001500 5200000000000000" \
	"06001600 52000000"

static const char established[] =
	"02010000 8f52b437 7f000001 000000000000000000000000 7f000001 000000000000000000000000"
	"00000000 9a1c0000 00000000 00000000 00000000 00000000 e8030000 3fb81f00"
	SHUTDOWN_AND_CGROUP;

static const char mapped[] =
	"0a010000 e964e631 00000000000000000000ffff7f000001 00000000000000000000ffff7f000001"
	"00000000 9d1c0000 01000000 00000000 00000000 00000000 00000000 48b81f00"
	SHUTDOWN_AND_CGROUP;

static const char time_wait[] =
	"02060300 e6b49ddf 7f000001 000000000000000000000000 7f000001 000000000000000000000000"
	"00000000 9e1c0000 00000000 60ea0000 00000000 00000000 00000000 00000000"
	"08000f00 00000000";

static int decode(const char *hex, struct tuple *tuple, struct sock *sock)
{
	uint8_t bytes[256];
	size_t len = hex_read(bytes, sizeof(bytes), hex);

	return diag_decode(bytes, len, IPPROTO_TCP, tuple, sock);
}

static void an_established_socket_is_read(void **state)
{
	struct tuple t;
	struct sock s;

	(void)state;
	assert_int_equal(decode(established, &t, &s), 0);
	assert_int_equal(t.family, AF_INET);
	assert_int_equal(t.src.ip4, htonl(INADDR_LOOPBACK));
	assert_int_equal(ntohs(t.sport), 0x8f52);
	assert_int_equal(ntohs(t.dport), 0xb437);
	assert_int_equal(s.inode, 0x1fb83f);
	assert_int_equal(s.cookie, 0x1c9a);
	assert_int_equal(s.cgroup_id, 0x52);
	assert_int_equal(s.uid, 1000);
	assert_int_equal(s.state, TCP_ESTABLISHED);
}

static void a_mapped_socket_is_ipv4_and_a_cookie_has_64_bits(void **state)
{
	struct tuple t;
	struct sock s;

	(void)state;
	assert_int_equal(decode(mapped, &t, &s), 0);
	assert_int_equal(t.family, AF_INET);
	assert_int_equal(t.dst.ip4, htonl(INADDR_LOOPBACK));
	assert_true(s.cookie == 0x100001c9dULL);
}

static void time_wait_has_no_inode(void **state)
{
	struct tuple t;
	struct sock s;

	(void)state;
	assert_int_equal(decode(time_wait, &t, &s), 0);
	assert_int_equal(s.state, TCP_TIME_WAIT);
	assert_int_equal(s.inode, 0);
	assert_int_equal(s.cgroup_id, 0);
}

static void what_contradicts_itself_is_refused(void **state)
{
	uint8_t bytes[256];
	size_t len = hex_read(bytes, sizeof(bytes), established);
	struct tuple t;
	struct sock s;

	(void)state;
	for (size_t cut = 0; cut < 72; cut++)
		assert_int_equal(diag_decode(bytes, cut, IPPROTO_TCP, &t, &s), -EBADMSG);
	bytes[88] = 11;		/* the cgroup's attribute, a byte too short */
	assert_int_equal(diag_decode(bytes, len, IPPROTO_TCP, &t, &s), -EBADMSG);
	bytes[88] = 0xff;	/* reaches beyond the message */
	bytes[89] = 0xff;
	assert_int_equal(diag_decode(bytes, len, IPPROTO_TCP, &t, &s), -EBADMSG);
	bytes[0] = AF_UNIX;
	assert_int_equal(diag_decode(bytes, 72, IPPROTO_TCP, &t, &s), -EBADMSG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_established_socket_is_read),
		cmocka_unit_test(a_mapped_socket_is_ipv4_and_a_cookie_has_64_bits),
		cmocka_unit_test(time_wait_has_no_inode),
		cmocka_unit_test(what_contradicts_itself_is_refused),
	};

	return cmocka_run_group_tests_name("diag", tests, NULL, NULL);
}
