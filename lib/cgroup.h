/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NFWHO_CGROUP_H
#define NFWHO_CGROUP_H

#include <stddef.h>

/*
 * What a control group's path says: the systemd unit and the container. Below a delegated group
 * (user@1000.service) the names are that user's own choice and prove no more than his word.
 */

#define CGROUP_NAME_MAX 256	/* NAME_MAX and its NUL */

struct cgroup_place {
	char unit[CGROUP_NAME_MAX];		/* nearest unit that is no slice; "" none */
	char container_id[CGROUP_NAME_MAX];	/* innermost; "" none */
	const char *container_runtime;		/* docker, podman, containerd, cri-o, lxc, nspawn;
						 * NULL if container_id is "" */
};

/* Takes a path as /proc/PID/cgroup shows it, absolute, ending at len or a NUL. Plain ids
 * under kubepods are called containerd's: since Kubernetes 1.24 only cri-dockerd makes the same. */
void cgroup_describe(const char *path, size_t len, struct cgroup_place *out);

/* Chooses the telling line of /proc/PID/cgroup: one that names a container, else the unified
 * hierarchy's, else systemd's. Returns the path's length (without " (deleted)") and where it
 * begins in bytes, or 0 if there is none. */
size_t cgroup_choose(const char *bytes, size_t len, const char **path);

#endif
