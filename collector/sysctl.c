// SPDX-License-Identifier: GPL-2.0-or-later
#include "sysctl.h"
#include "log.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define COUNT 2

static const struct {
	const char *name, *path, *without;
} sysctls[COUNT] = {
	{ "net.netfilter.nf_conntrack_acct", "/proc/sys/net/netfilter/nf_conntrack_acct",
	  "ends have no bytes" },
	{ "net.netfilter.nf_conntrack_timestamp", "/proc/sys/net/netfilter/nf_conntrack_timestamp",
	  "ends that only conntrack saw have no time" },
};

/* '0', '1', or -errno. */
static int get(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), value;
	char c;
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = read(fd, &c, 1);
	value = n == 1 ? c : n < 0 ? -errno : -ENODATA;
	close(fd);
	return value;
}

static int set(const char *path, char value)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC), err;

	if (fd < 0)
		return -errno;
	err = write(fd, &value, 1) == 1 ? 0 : -errno;
	close(fd);
	return err;
}

void sysctl_init(struct sysctl *s, bool allowed)
{
	int err;

	*s = (struct sysctl) { { false } };
	for (int i = 0; i < COUNT; i++) {
		int value = get(sysctls[i].path);

		if (value == '1')
			continue;
		err = value < 0 ? value : allowed ? set(sysctls[i].path, '1') : 0;
		if (value == '0' && allowed && !err) {
			s->changed[i] = true;
			log_info("set %s = 1 until we stop", sysctls[i].name);
		} else if (err) {
			log_warning("cannot set %s = 1 (%s): %s", sysctls[i].name, strerror(-err),
				    sysctls[i].without);
		} else {
			log_warning("%s is 0 and --sysctl is no: %s", sysctls[i].name,
				    sysctls[i].without);
		}
	}
}

void sysctl_fini(struct sysctl *s)
{
	int err;

	for (int i = 0; i < COUNT; i++) {
		if (!s->changed[i] || get(sysctls[i].path) != '1')
			continue;
		err = set(sysctls[i].path, '0');
		if (err)
			log_warning("cannot put %s back to 0: %s", sysctls[i].name, strerror(-err));
		s->changed[i] = false;
	}
}
