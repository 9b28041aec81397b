// SPDX-License-Identifier: GPL-2.0-or-later
#include "json.h"

#include "utf8.h"

#include <errno.h>
#include <string.h>

static void put(struct json *j, const char *bytes, size_t len)
{
	if (j->full || len > (size_t)(j->end - j->at)) {
		j->full = true;
		return;
	}
	memcpy(j->at, bytes, len);
	j->at += len;
}

static void put_char(struct json *j, char c)
{
	put(j, &c, 1);
}

void json_init(struct json *j, char *buf, size_t size)
{
	j->start = j->at = buf;
	j->end = buf + size;
	j->full = false;
}

static void comma(struct json *j)
{
	if (j->at > j->start && j->at[-1] != '{' && j->at[-1] != '[')
		put_char(j, ',');
}

static void put_key(struct json *j, const char *key)
{
	size_t len;

	comma(j);
	if (!key)
		return;
	len = strlen(key);
	if (j->full || len + 3 > (size_t)(j->end - j->at)) {
		j->full = true;
		return;
	}
	*j->at++ = '"';
	memcpy(j->at, key, len);
	j->at += len;
	*j->at++ = '"';
	*j->at++ = ':';
}

void json_open(struct json *j, const char *key)
{
	put_key(j, key);
	put_char(j, '{');
}

void json_close(struct json *j)
{
	put_char(j, '}');
}

void json_open_array(struct json *j, const char *key)
{
	put_key(j, key);
	put_char(j, '[');
}

void json_close_array(struct json *j)
{
	put_char(j, ']');
}

#define DEL 0x7f
/* U+0080 to U+009F begin with it. */
#define C1_LEAD 0xc2

/* JSON leaves DEL and C1 as they are; terminals obey them. */
static bool is_c1(const char *text)
{
	return (unsigned char)text[0] == C1_LEAD && (unsigned char)text[1] >= 0x80 &&
	       (unsigned char)text[1] < 0xa0;
}

/* The letter after the backslash; 'u' for controls that have none; 0 where no escape is needed. */
static char escape_of(unsigned char c)
{
	static const char controls[0x20] = { ['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n',
					     ['\f'] = 'f', ['\r'] = 'r' };

	if (c == '"' || c == '\\')
		return c;
	if (c == DEL)
		return 'u';
	if (c >= 0x20)
		return 0;
	return controls[c] ? controls[c] : 'u';
}

static void put_escape(struct json *j, unsigned char c, char escape)
{
	static const char hex[] = "0123456789abcdef";
	const char text[] = { '\\', escape, '0', '0', hex[c >> 4], hex[c & 0xf] };

	put(j, text, escape == 'u' ? 6 : 2);
}

void json_open_text(struct json *j, const char *key)
{
	put_key(j, key);
	put_char(j, '"');
}

void json_close_text(struct json *j)
{
	put_char(j, '"');
}

void json_add_word(struct json *j, const char *word)
{
	put(j, word, strlen(word));
}

void json_add_number(struct json *j, uint64_t value)
{
	char digits[20];
	size_t at = sizeof(digits);

	do {
		digits[--at] = '0' + value % 10;
		value /= 10;
	} while (value);
	put(j, digits + at, sizeof(digits) - at);
}

void json_add_text(struct json *j, const void *bytes, size_t len)
{
	const unsigned char *at = bytes;
	size_t plain = 0, n;
	bool valid = true;
	char escape;

	for (size_t i = 0; i < len; i += n) {
		if (at[i] < 0x80) {
			n = 1;
			escape = escape_of(at[i]);
			if (!escape)
				continue;
			put(j, (const char *)at + plain, i - plain);
			put_escape(j, at[i], escape);
		} else {
			n = utf8_next(at + i, len - i, &valid);
			if (valid && (n != 2 || !is_c1((const char *)at + i)))
				continue;
			put(j, (const char *)at + plain, i - plain);
			if (valid)
				put_escape(j, at[i + 1], 'u');
			else
				put(j, UTF8_REPLACEMENT, strlen(UTF8_REPLACEMENT));
		}
		plain = i + n;
	}
	put(j, (const char *)at + plain, len - plain);
}

void json_text(struct json *j, const char *key, const void *bytes, size_t len)
{
	json_open_text(j, key);
	json_add_text(j, bytes, len);
	json_close_text(j);
}

void json_word(struct json *j, const char *key, const char *word)
{
	json_open_text(j, key);
	json_add_word(j, word);
	json_close_text(j);
}

void json_number(struct json *j, const char *key, uint64_t value)
{
	put_key(j, key);
	json_add_number(j, value);
}

void json_id(struct json *j, const char *key, uint64_t value)
{
	json_open_text(j, key);
	json_add_number(j, value);
	json_close_text(j);
}

void json_true(struct json *j, const char *key)
{
	put_key(j, key);
	put(j, "true", 4);
}

void json_members(struct json *j, const char *members, size_t len)
{
	if (!len)
		return;
	comma(j);
	put(j, members, len);
}

int json_finish(struct json *j)
{
	put(j, "\n", 2);
	return j->full ? -ENOSPC : j->at - j->start - 1;
}

bool json_escape_controls(char *text, size_t size)
{
	size_t len = strlen(text), more = 0;
	struct json j;
	char *at;

	for (size_t i = 0; i < len; i++)
		more += is_c1(text + i) ? 4 : text[i] == DEL ? 5 : 0;
	if (!more)
		return true;
	if (len + more >= size)
		return false;
	/* From behind what is yet to be written. */
	at = memmove(text + more, text, len + 1);
	json_init(&j, text, size);
	for (; *at; at++) {
		if (is_c1(at))
			put_escape(&j, (unsigned char)*++at, 'u');
		else if (*at == DEL)
			put_escape(&j, DEL, 'u');
		else
			put_char(&j, *at);
	}
	put_char(&j, '\0');
	return true;
}

/* Of the first byte; what escapes a C1 control stands for both of its bytes. */
static size_t printed_size(const char *text)
{
	char escape = escape_of((unsigned char)*text);

	if (is_c1(text))
		return 5;
	return !escape ? 1 : escape == 'u' ? 6 : 2;
}

size_t json_printed(const char *text)
{
	size_t printed = 0;

	for (; *text; text++)
		printed += printed_size(text);
	return printed;
}

bool json_fit(char *text, size_t max)
{
	size_t printed = 0, len = 0, back;

	while (text[len] && printed + printed_size(text + len) <= max)
		printed += printed_size(text + len++);
	if (!text[len])
		return false;
	for (back = len; back > len / 2 && text[back] != ' '; back--)
		;
	if (text[back] == ' ')
		len = back;
	while (len && (text[len] & 0xc0) == 0x80)
		len--;
	text[len] = '\0';
	return true;
}
