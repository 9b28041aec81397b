// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Everything is big-endian but the values that ulogd2 hands on as they are.
 *
 * Two things of ulogd2 2.0.8 (ulogd_inppkt_UNIXSOCK.c) shape a frame. It reads on past a packet
 * that has no option, so the time is always sent. And it takes 4,096 bytes at a time and looks at
 * the first fields of what is left without asking whether they are there: so frames have sizes that
 * 4,096 is a multiple of. The value of the time, which is sent last, is long enough for that.
 */
#include "ulogd.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#define SIGNATURE	0x41c90fd4
#define ALIGN_BYTES	8
#define STRING_MAX	255

enum ulogd_option {
	ULOGD_PREFIX		= 1,
	ULOGD_IN		= 2,
	ULOGD_OUT		= 3,
	ULOGD_TIME		= 4,
	ULOGD_USER		= 200,
	ULOGD_UID		= 201,
	ULOGD_APPLICATION	= 205,
};

struct header {
	uint32_t signature;
	uint16_t size;			/* from itself to the end */
	uint32_t version;
	uint16_t payload_len;
} __attribute__((packed));

struct frame {
	uint8_t *data;
	size_t len, size;
	bool full;
};

static void add(struct frame *f, const void *data, size_t len)
{
	if (f->full || len > f->size - f->len) {
		f->full = true;
		return;
	}
	memcpy(f->data + f->len, data, len);
	f->len += len;
}

static void add_padded(struct frame *f, const void *data, size_t len)
{
	static const uint8_t zeros[ALIGN_BYTES];

	add(f, data, len);
	add(f, zeros, (ALIGN_BYTES - len % ALIGN_BYTES) % ALIGN_BYTES);
}

static void add_option(struct frame *f, enum ulogd_option id, const void *value, size_t len)
{
	uint32_t head[2] = { htonl(id), htonl((uint32_t)len) };

	add(f, head, sizeof(head));
	add_padded(f, value, len);
}

/* With its NUL, as ulogd2 wants it. */
static void add_string(struct frame *f, enum ulogd_option id, const char *text)
{
	char value[STRING_MAX + 1] = "";
	size_t len = text ? strnlen(text, STRING_MAX) : 0;

	if (!len)
		return;
	memcpy(value, text, len);
	add_option(f, id, value, len + 1);
}

/* The last option, not padded: the header's 12 bytes leave four too many for that. Whatever its
 * length, ulogd2 reads four bytes of it. */
static void add_time(struct frame *f, uint32_t time_s)
{
	uint8_t value[ULOGD_FRAME_STEP] = { 0 };
	size_t len = ULOGD_FRAME_STEP - (f->len + 2 * sizeof(uint32_t)) % ULOGD_FRAME_STEP;
	uint32_t head[2] = { htonl(ULOGD_TIME), htonl((uint32_t)len) };

	memcpy(value, &time_s, sizeof(time_s));
	add(f, head, sizeof(head));
	add(f, value, len);
}

static bool is_ip(const struct ulogd_packet *packet)
{
	uint8_t version = packet->payload_len ? *(const uint8_t *)packet->payload >> 4 : 0;

	return (version == 4 && packet->payload_len >= 20) ||
	       (version == 6 && packet->payload_len >= 40);
}

int ulogd_frame(const struct ulogd_packet *packet, void *buf, size_t size)
{
	struct frame f = { .data = buf, .size = size < ULOGD_FRAME_MAX ? size : ULOGD_FRAME_MAX };
	struct header header = { .signature = htonl(SIGNATURE) };

	if (!is_ip(packet) || packet->payload_len > UINT16_MAX)
		return -EINVAL;
	header.payload_len = htons((uint16_t)packet->payload_len);
	add(&f, &header, sizeof(header));
	add_padded(&f, packet->payload, packet->payload_len);
	add_string(&f, ULOGD_PREFIX, packet->prefix);
	add_string(&f, ULOGD_IN, packet->in);
	add_string(&f, ULOGD_OUT, packet->out);
	add_string(&f, ULOGD_USER, packet->user);
	if (packet->has_uid)
		add_option(&f, ULOGD_UID, &packet->uid, sizeof(packet->uid));
	add_string(&f, ULOGD_APPLICATION, packet->application);
	add_time(&f, packet->time_s);
	if (f.full)
		return -ENOSPC;
	header.size = htons((uint16_t)(f.len - offsetof(struct header, size)));
	memcpy(buf, &header, sizeof(header));
	return (int)f.len;
}
