/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NFWHO_SYSCTL_H
#define NFWHO_SYSCTL_H

#include <stdbool.h>

/* conntrack's accounting, timestamps and events, without which an end has no bytes and no exact
 * times, or nobody tells of it. Entries made before they are on never get them. */
#define SYSCTL_DIRECTORY "/proc/sys/net/netfilter"

struct sysctl {
	int directory;		/* descriptor of it, with which they are put back; -1: not open */
	bool changed[3];	/* by us, to be put back */
	bool silent;		/* events are off, and stay so */
};

/* Turns on what is off, if `allowed`, and says so. */
void sysctl_init(struct sysctl *s, bool allowed);

/* Puts back what was changed, unless somebody else has changed it since. */
void sysctl_fini(struct sysctl *s);

#endif
