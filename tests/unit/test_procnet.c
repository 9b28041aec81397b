// SPDX-License-Identifier: GPL-2.0-or-later
#include "cgroupfs.h"
#include "procfd.h"
#include "procnet.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static int decode(const char *line, uint8_t family, struct tuple *t, struct sock *s)
{
	return procnet_decode(line, strlen(line), family, IPPROTO_TCP, t, s);
}

/* The words are this machine's byte order: "0100007F" is 127.0.0.1 on a little-endian one. */
static const bool little = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__;

static const char tcp4[] = "   5: 0100007F:8F52 0100007F:B437 01 00000000:00000000 00:00000000 "
	"00000000  1000        0 2078783 2 000000001b77aa79 20 0 0 10 -1";

static void a_line_of_tcp_is_read(void **state)
{
	struct tuple t;
	struct sock s;

	(void)state;
	assert_int_equal(decode(tcp4, AF_INET, &t, &s), 0);
	assert_int_equal(t.src.ip4, little ? htonl(INADDR_LOOPBACK) : 0x0100007f);
	assert_int_equal(ntohs(t.sport), 0x8f52);
	assert_int_equal(ntohs(t.dport), 0xb437);
	assert_int_equal(s.state, TCP_ESTABLISHED);
	assert_int_equal(s.uid, 1000);
	assert_int_equal(s.inode, 2078783);
}

static void a_mapped_line_of_tcp6_is_ipv4(void **state)
{
	struct tuple t;
	struct sock s;

	(void)state;
	assert_int_equal(decode("   3: 0000000000000000FFFF00000100007F:E964 "
				"0000000000000000FFFF00000100007F:E631 08 00000000:00000001 "
				"00:00000000 00000000     0        0 2078792 2 00000000b2fdda85",
				AF_INET6, &t, &s), 0);
	assert_int_equal(t.family, little ? AF_INET : AF_INET6);
	assert_int_equal(s.inode, 2078792);
}

static void a_line_cut_anywhere_is_refused_or_short_of_nothing(void **state)
{
	size_t whole = strstr(tcp4, "2078783") - tcp4 + strlen("2078783");
	struct tuple t;
	struct sock s;

	(void)state;
	for (size_t len = 0; len <= whole - strlen("2078783"); len++)
		assert_int_equal(procnet_decode(tcp4, len, AF_INET, IPPROTO_TCP, &t, &s), -EBADMSG);
	assert_int_equal(procnet_decode(tcp4, whole, AF_INET, IPPROTO_TCP, &t, &s), 0);
	assert_int_equal(decode(tcp4, AF_INET6, &t, &s), -EBADMSG);
}

static void nonsense_is_refused(void **state)
{
	static const char *const lines[] = {
		"", " ", "0:", "  sl  local_address rem_address   st tx_queue rx_queue",
		"0: 0100007F:8F52 0100007F:B437 01 0:0 0:0 0 4294967296 0 1 ",
		"0: 0100007F:8F52 0100007F:B437 01 0:0 0:0 0 0 0 18446744073709551616 ",
		"0: 0100007F:8F52 0100007F:B437 01 0:0 0:0 0 0 0 12x ",
		"0: 0100007F:8F52 0100007G:B437 01 0:0 0:0 0 0 0 12 ",
		"0: 0100007F8F52 0100007F:B437 01 0:0 0:0 0 0 0 12 ",
		"0: 0100007F:8F52 0100007F:B437 1 0:0 0:0 0 0 0 12 ",
		"0: 0100007F:8F52 0100007F:B437 01 0:0 0:0 0 -1 0 12 ",
	};
	struct tuple t;
	struct sock s;

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		assert_int_equal(decode(lines[i], AF_INET, &t, &s), -EBADMSG);
}

static void only_a_socket_link_is_a_socket(void **state)
{
	static const struct { const char *target; uint64_t inode; } cases[] = {
		{ "socket:[0]", 0 }, { "socket:[2078783]", 2078783 },
		{ "socket:[18446744073709551615]", UINT64_MAX },
	};
	static const char *const others[] = {
		"", "socket:[", "socket:[]", "socket:[12", "socket:12]", "pipe:[12]",
		"socket:[1 2]", "socket:[-1]", "/socket:[12]", "socket:[18446744073709551616]",
		"socket:[12] (deleted)",
	};
	uint64_t inode;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_true(procfd_socket_inode(cases[i].target, strlen(cases[i].target), &inode));
		assert_true(inode == cases[i].inode);
	}
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		assert_false(procfd_socket_inode(others[i], strlen(others[i]), &inode));
}

static void the_cgroup2_mount_is_found_in_mountinfo(void **state)
{
	char path[64];

	(void)state;
	assert_true(cgroupfs_mount_point("29 23 0:26 / /sys/fs/cgroup/unified rw,relatime shared:4 "
					 "master:1 - cgroup2 cgroup2 rw\n", path, sizeof(path)));
	assert_string_equal(path, "/sys/fs/cgroup/unified");
	assert_true(cgroupfs_mount_point("1 2 0:3 / /a\\040b\\134 rw - cgroup2 none rw\n", path,
					 sizeof(path)));
	assert_string_equal(path, "/a b\\");
	assert_false(cgroupfs_mount_point("1 2 0:3 / /a rw - cgroup cgroup rw,cpu\n", path,
					  sizeof(path)));
	assert_false(cgroupfs_mount_point("1 2 - cgroup2 none rw\n", path, sizeof(path)));
	assert_false(cgroupfs_mount_point("1 2 0:3 / /longer rw - cgroup2 none rw\n", path, 4));
	assert_false(cgroupfs_mount_point("", path, sizeof(path)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_line_of_tcp_is_read),
		cmocka_unit_test(a_mapped_line_of_tcp6_is_ipv4),
		cmocka_unit_test(a_line_cut_anywhere_is_refused_or_short_of_nothing),
		cmocka_unit_test(nonsense_is_refused),
		cmocka_unit_test(only_a_socket_link_is_a_socket),
		cmocka_unit_test(the_cgroup2_mount_is_found_in_mountinfo),
	};

	return cmocka_run_group_tests_name("procnet", tests, NULL, NULL);
}
