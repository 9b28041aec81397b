/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NFWHO_JSON_H
#define NFWHO_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Writes one JSON object into a bounded buffer, members in the order they are given. For the parts
 * of a record that change with every connection; what repeats is printed once with cJSON and put
 * in with json_members(). What does not fit sets `full` and nothing is written from then on.
 */
struct json {
	char *start, *at, *end;
	bool full;
};

void json_init(struct json *j, char *buf, size_t size);

/* key NULL: the outermost object, or a value in an array. */
void json_open(struct json *j, const char *key);
void json_close(struct json *j);
void json_open_array(struct json *j, const char *key);
void json_close_array(struct json *j);

/* Any bytes: made valid UTF-8 and escaped. */
void json_text(struct json *j, const char *key, const void *bytes, size_t len);
/* A string known to be printable ASCII without quote or backslash. */
void json_word(struct json *j, const char *key, const char *word);
/* A string made of several parts. */
void json_open_text(struct json *j, const char *key);
void json_add_text(struct json *j, const void *bytes, size_t len);
void json_add_word(struct json *j, const char *word);
void json_add_number(struct json *j, uint64_t value);
void json_close_text(struct json *j);
void json_number(struct json *j, const char *key, uint64_t value);
/* The same number as a string: ids. */
void json_id(struct json *j, const char *key, uint64_t value);
void json_true(struct json *j, const char *key);
/* Members printed elsewhere, without the braces around them; objects may be left open. */
void json_members(struct json *j, const char *members, size_t len);

/* Adds the newline and a NUL. Returns the length without NUL, or -ENOSPC. */
int json_finish(struct json *j);

/* What cJSON has printed, with DEL and C1 controls escaped as here: a terminal would obey them.
 * False, and nothing changed, if that does not fit into `size` bytes with the NUL. */
bool json_escape_controls(char *text, size_t size);

/* Bytes that a valid UTF-8 string takes between its quotes, here and so escaped. */
size_t json_printed(const char *text);

/* Shortens a valid UTF-8 string to at most `max` bytes when printed, at a space in its second half
 * or else between two characters. Returns whether anything was cut. */
bool json_fit(char *text, size_t max);

#endif
