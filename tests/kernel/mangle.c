// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Preloaded: what comes over netlink is not what the kernel sent. FAULT_NETLINK says how:
 *
 *	cut	half of each, as if a buffer had been too small (MSG_TRUNC)
 *	short	half of each, and nobody says so
 *	long	a header that promises more than there is
 *	tiny	fewer bytes than a header has
 *
 * FAULT_BUS=NUMBER: on that netlink protocol (linux/netlink.h), and not on all. FAULT_MESSAGES=FIRST[-[LAST]]
 * which of them, all by default; FAULT_WHILE: only while that file exists. How many there were, and how
 * many were mangled, goes into FAULT_TELL's file at the end.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

static unsigned long seen, mangled, first = 1, last = (unsigned long)-1;
static const char *how = "", *while_there;
static int tell_fd = -1, bus = -1;
static ssize_t (*receive)(int fd, struct msghdr *msg, int flags);
static int (*receive_many)(int fd, struct mmsghdr *messages, unsigned int max, int flags,
			   struct timespec *timeout);

static bool is_netlink(int fd)
{
	int domain = 0, protocol = -1, error = errno;
	socklen_t len = sizeof(domain);
	bool is = getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) == 0 &&
		  getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &len) == 0 &&
		  domain == AF_NETLINK && (bus < 0 || protocol == bus);

	errno = error;
	return is;
}

static bool is_meant(void)
{
	int error = errno;
	bool there = !while_there || access(while_there, F_OK) == 0;

	errno = error;
	if (!there || ++seen < first || seen > last)
		return false;
	mangled++;
	return true;
}

static ssize_t mangle(struct msghdr *msg, ssize_t n)
{
	struct nlmsghdr *nlh = msg->msg_iov[0].iov_base;

	if (strcmp(how, "cut") == 0) {
		msg->msg_flags |= MSG_TRUNC;
		return n / 2;
	}
	if (strcmp(how, "short") == 0)
		return n / 2;
	if (strcmp(how, "tiny") == 0)
		return n < 7 ? n : 7;
	if (strcmp(how, "long") == 0 && n >= (ssize_t)sizeof(*nlh))
		nlh->nlmsg_len = (__u32)n + 100;
	return n;
}

ssize_t recvmsg(int fd, struct msghdr *msg, int flags)
{
	ssize_t n = receive(fd, msg, flags);

	if (n <= 0 || flags & MSG_PEEK || !is_netlink(fd) || !is_meant())
		return n;
	return mangle(msg, n);
}

int recvmmsg(int fd, struct mmsghdr *messages, unsigned int max, int flags,
	     struct timespec *timeout)
{
	int n = receive_many(fd, messages, max, flags, timeout);

	for (int i = 0; i < n; i++)
		if (is_netlink(fd) && is_meant())
			messages[i].msg_len = (unsigned int)mangle(&messages[i].msg_hdr,
								   messages[i].msg_len);
	return n;
}

__attribute__((constructor)) static void begin(void)
{
	const char *which = getenv("FAULT_MESSAGES"), *path = getenv("FAULT_TELL");
	char *end;

	receive = (ssize_t (*)(int, struct msghdr *, int))dlsym(RTLD_NEXT, "recvmsg");
	receive_many = (int (*)(int, struct mmsghdr *, unsigned int, int,
				struct timespec *))dlsym(RTLD_NEXT, "recvmmsg");
	while_there = getenv("FAULT_WHILE");
	if (getenv("FAULT_NETLINK"))
		how = getenv("FAULT_NETLINK");
	if (getenv("FAULT_BUS"))
		bus = atoi(getenv("FAULT_BUS"));
	/* No file can be opened for writing later. */
	tell_fd = path ? open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600) : -1;
	if (!which)
		return;
	first = last = strtoul(which, &end, 10);
	if (*end == '-')
		last = end[1] ? strtoul(end + 1, NULL, 10) : (unsigned long)-1;
}

__attribute__((destructor)) static void tell(void)
{
	if (tell_fd >= 0)
		dprintf(tell_fd, "%lu %lu\n", seen, mangled);
}
