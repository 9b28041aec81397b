// SPDX-License-Identifier: GPL-2.0-or-later
#include "notify.h"
#include "log.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

/* Its queue has room for few (net.unix.max_dgram_qlen is 10 where nobody raised it). */
#define PATIENCE_US 200000

/* "/path" or "@abstract"; other transports are for virtual machines' managers. 0 or -EINVAL. */
static int parse_address(struct notify *n, const char *name)
{
	size_t len = strlen(name);

	if (len < 2 || len >= sizeof(n->address.sun_path) || !strchr("/@", name[0]))
		return -EINVAL;
	n->address.sun_family = AF_UNIX;
	memcpy(n->address.sun_path, name, len + 1);
	n->address_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + 1);
	if (name[0] == '@') {
		n->address.sun_path[0] = '\0';
		n->address_len--;
	}
	return 0;
}

/* The watchdog may be meant for another process: WATCHDOG_PID says for which. */
static uint64_t watchdog_ns(void)
{
	const char *time = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
	uint64_t us;
	char *end;

	if (!time || (pid && strtoull(pid, NULL, 10) != (unsigned long long)getpid()))
		return 0;
	errno = 0;
	us = strtoull(time, &end, 10);
	return errno || *end || us > UINT64_MAX / 1000 ? 0 : us * 1000 / 2;
}

void notify_open(struct notify *n)
{
	const char *name = getenv("NOTIFY_SOCKET");
	const struct timeval patience = { .tv_usec = PATIENCE_US };

	*n = (struct notify) { .fd = -1 };
	if (name && parse_address(n, name) == 0)
		n->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (n->fd >= 0)
		setsockopt(n->fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	if (n->fd >= 0)
		n->watchdog_ns = watchdog_ns();
	unsetenv("NOTIFY_SOCKET");
	unsetenv("WATCHDOG_USEC");
	unsetenv("WATCHDOG_PID");
}

void notify_close(struct notify *n)
{
	if (n->fd >= 0)
		close(n->fd);
	n->fd = -1;
}

/* Each time with the address, so that a manager that made its socket anew is reached. */
static void tell(const struct notify *n, const char *text, int flags)
{
	if (n->fd >= 0)
		sendto(n->fd, text, strlen(text), MSG_NOSIGNAL | flags,
		       (const struct sockaddr *)&n->address, n->address_len);
}

void notify_ready(const struct notify *n, const char *status)
{
	char text[512];

	snprintf(text, sizeof(text), "READY=1\nSTATUS=%s", status);
	tell(n, text, 0);
}

void notify_status(const struct notify *n, const char *status)
{
	char text[512];

	snprintf(text, sizeof(text), "STATUS=%s", status);
	tell(n, text, MSG_DONTWAIT);
}

void notify_watchdog(const struct notify *n)
{
	tell(n, "WATCHDOG=1", MSG_DONTWAIT);
}

void notify_reloading(const struct notify *n, uint64_t now_monotonic_ns)
{
	char text[128];

	snprintf(text, sizeof(text), "RELOADING=1\nMONOTONIC_USEC=%" PRIu64,
		 now_monotonic_ns / 1000);
	tell(n, text, 0);
}

static void tell_with(const struct notify *n, const char *text, const int *fds,
		      unsigned int count)
{
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(NOTIFY_STORE_MAX * sizeof(int))];
	} control = { 0 };
	struct iovec iov = { (char *)text, strlen(text) };
	struct msghdr message = {
		.msg_name = (void *)&n->address,
		.msg_namelen = n->address_len,
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = CMSG_SPACE(count * sizeof(int)),
	};

	control.header.cmsg_level = SOL_SOCKET;
	control.header.cmsg_type = SCM_RIGHTS;
	control.header.cmsg_len = CMSG_LEN(count * sizeof(int));
	memcpy(CMSG_DATA(&control.header), fds, count * sizeof(int));
	if (n->fd >= 0 && sendmsg(n->fd, &message, MSG_NOSIGNAL) < 0)
		log_warning("the service manager cannot be given what the next run would go on with: %s",
			    strerror(errno));
}

void notify_forget(const struct notify *n, const char *name)
{
	char text[128];

	snprintf(text, sizeof(text), "FDSTOREREMOVE=1\nFDNAME=%s", name);
	tell(n, text, 0);
}

void notify_store(const struct notify *n, const char *name, const int *fds, unsigned int count)
{
	char text[128];

	snprintf(text, sizeof(text), "FDSTORE=1\nFDPOLL=0\nFDNAME=%s", name);
	tell_with(n, text, fds, count);
}

void notify_stopping(const struct notify *n)
{
	tell(n, "STOPPING=1\nSTATUS=Writing what is left", 0);
}
