/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NFWHO_TRACEFS_H
#define NFWHO_TRACEFS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Where tracepoints tell their number and the layout of what they record. */

/* Room for any event's format file up to its last field; what follows is only how to print it. */
#define TRACEFS_FORMAT_MAX 16384

struct tracefs_field {
	uint16_t offset, size;	/* bytes from the start of the raw data */
	bool is_signed;
	bool data_loc;		/* the field is a u32: offset of the value | its length << 16 */
};

/* Opens tracefs wherever it is mounted (tracefs itself, or `tracing` in debugfs); where it is not,
 * mounts it for nobody but the holder of this descriptor: a detached mount (Linux 5.2), before that
 * one in the mount namespace of a child that is gone when this returns. Nothing is left behind.
 * Returns a directory descriptor that the caller closes, or -errno: -EPERM/-EACCES needs
 * CAP_SYS_ADMIN for the mount or lockdown forbids it, -ENOENT the kernel has no tracefs. */
int tracefs_open(void);

/* Reads events/`event`/format ("sock/inet_sock_set_state"). buf gets at most size - 1 bytes and a
 * NUL. Returns the length, or -errno: -ENOENT no such event. */
int tracefs_read_format(int tracefs_fd, const char *event, char *buf, size_t size);

/* The event's number, for perf_event_attr.config. Returns 0 or -EBADMSG. */
int tracefs_format_id(const char *format, size_t len, uint32_t *id);

/* Finds a field by name. Returns 0, -ENOENT if there is none, -EBADMSG if its line is not
 * understood or it does not lie within the first 64 KiB. */
int tracefs_format_field(const char *format, size_t len, const char *name,
			 struct tracefs_field *field);

/* The next mount point of tracefs (or of debugfs: *is_debugfs) in one line of
 * /proc/self/mountinfo, unescaped into path. Returns false if the line is of no interest. */
bool tracefs_mountinfo_line(const char *line, char *path, size_t path_size, bool *is_debugfs);

#endif
