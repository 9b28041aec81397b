/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NFWHO_ULOGD_H
#define NFWHO_ULOGD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Frames for ulogd2's UNIXSOCK input: the packet as captured, and what is known beside it. */

#define ULOGD_FRAME_MAX 4096
#define ULOGD_FRAME_STEP 512	/* every frame is a multiple of this */

struct ulogd_packet {
	const void *payload;		/* from the IP header on */
	size_t payload_len;
	const char *prefix;		/* the strings: NULL or "" if there is none */
	const char *in, *out;		/* interface names */
	const char *user;
	const char *application;
	uint32_t time_s;		/* wall time */
	uint32_t uid;
	bool has_uid;
};

/* Returns the length, -ENOSPC, or -EINVAL for what is no IP packet. Strings are cut at 255
 * bytes. */
int ulogd_frame(const struct ulogd_packet *packet, void *buf, size_t size);

#endif
