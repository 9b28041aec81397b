// SPDX-License-Identifier: GPL-2.0-or-later
#include "sysctl.h"
#include "log.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define COUNT 3
#define EVENTS 2

static const struct {
	const char *name, *without;
} sysctls[COUNT] = {
	{ "nf_conntrack_acct", "ends have no bytes" },
	{ "nf_conntrack_timestamp", "ends that only conntrack saw have no time" },
	[EVENTS] = { "nf_conntrack_events", "conntrack tells of nothing" },
};

/* '0', '1', of events '2' (if somebody listens), or -errno. */
static int get(const struct sysctl *s, int i)
{
	int fd = openat(s->directory, sysctls[i].name, O_RDONLY | O_CLOEXEC), value;
	char c;
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = read(fd, &c, 1);
	value = n == 1 ? c : n < 0 ? -errno : -ENODATA;
	close(fd);
	return value;
}

static int set(const struct sysctl *s, int i, char value)
{
	int fd = openat(s->directory, sysctls[i].name, O_WRONLY | O_CLOEXEC), err;

	if (fd < 0)
		return -errno;
	err = write(fd, &value, 1) == 1 ? 0 : -errno;
	close(fd);
	return err;
}

void sysctl_init(struct sysctl *s, bool allowed)
{
	int err;

	*s = (struct sysctl) {
		.directory = open(SYSCTL_DIRECTORY, O_RDONLY | O_DIRECTORY | O_CLOEXEC),
	};
	for (int i = 0; i < COUNT; i++) {
		int value = get(s, i);

		if (value == '1' || value == '2')
			continue;
		err = value < 0 ? value : allowed ? set(s, i, '1') : 0;
		if (value == '0' && allowed && !err) {
			s->changed[i] = true;
			log_info("set net.netfilter.%s = 1 until we stop", sysctls[i].name);
		} else if (err) {
			log_warning("cannot set net.netfilter.%s = 1 (%s): %s", sysctls[i].name,
				    strerror(-err), sysctls[i].without);
		} else {
			log_warning("net.netfilter.%s is 0 and --sysctl is no: %s", sysctls[i].name,
				    sysctls[i].without);
		}
	}
	s->silent = get(s, EVENTS) == '0';
}

void sysctl_fini(struct sysctl *s)
{
	int err;

	for (int i = 0; i < COUNT; i++) {
		if (!s->changed[i] || get(s, i) != '1')
			continue;
		err = set(s, i, '0');
		if (err)
			log_warning("cannot put net.netfilter.%s back to 0: %s", sysctls[i].name,
				    strerror(-err));
		s->changed[i] = false;
	}
	if (s->directory >= 0)
		close(s->directory);
	s->directory = -1;
}
