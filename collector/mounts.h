/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NFWHO_MOUNTS_H
#define NFWHO_MOUNTS_H

/* Our own view of the files: all of them can be read as before, nothing can be written. */

/* Makes a mount namespace in which every mount is read-only, apart from the directories given and
 * what is below them; those that are not there are passed over. Unmounting goes on to reach us, so
 * that we hold nobody's disk. Descriptors opened before keep the rights they have.
 *
 * Returns 0 or -errno: -EPERM (no CAP_SYS_ADMIN), -ENOSYS (mount_setattr(2) is Linux 5.12),
 * -EINVAL (one of them is the root directory). Nothing is read-only then. */
int mounts_close(const char *const *directories, unsigned int count);

#endif
