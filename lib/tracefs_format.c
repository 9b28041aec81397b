// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The text of a tracepoint's format file. One line per field:
 *
 *	field:__u8 saddr[4];	offset:32;	size:4;	signed:0;
 *	field:__data_loc char[] filename;	offset:8;	size:4;	signed:0;
 */
#include "tracefs.h"

#include <errno.h>
#include <string.h>

/* A piece of the text; never NUL-terminated. */
struct span {
	const char *at, *end;
};

static bool take_line(struct span *text, struct span *line)
{
	const char *newline;

	if (text->at == text->end)
		return false;
	newline = memchr(text->at, '\n', text->end - text->at);
	line->at = text->at;
	line->end = newline ? newline : text->end;
	text->at = newline ? newline + 1 : text->end;
	return true;
}

static void skip_blanks(struct span *s)
{
	while (s->at < s->end && (*s->at == ' ' || *s->at == '\t'))
		s->at++;
}

static bool take_prefix(struct span *s, const char *prefix)
{
	size_t len = strlen(prefix);

	skip_blanks(s);
	if ((size_t)(s->end - s->at) < len || memcmp(s->at, prefix, len) != 0)
		return false;
	s->at += len;
	return true;
}

static bool take_number(struct span *s, uint32_t max, uint32_t *value)
{
	uint64_t n = 0;
	const char *start;

	skip_blanks(s);
	for (start = s->at; s->at < s->end && *s->at >= '0' && *s->at <= '9'; s->at++) {
		n = n * 10 + (*s->at - '0');
		if (n > max)
			return false;
	}
	*value = n;
	return s->at > start;
}

/* What stands before the next ';'. */
static bool take_declaration(struct span *s, struct span *declaration)
{
	const char *end = memchr(s->at, ';', s->end - s->at);

	if (!end)
		return false;
	*declaration = (struct span){ s->at, end };
	s->at = end + 1;
	return true;
}

/* "__u8 saddr[4]": the last word, without its dimension. */
static struct span declared_name(struct span declaration)
{
	const char *bracket;
	struct span name;

	if (declaration.end > declaration.at && declaration.end[-1] == ']') {
		bracket = memrchr(declaration.at, '[', declaration.end - declaration.at);
		if (bracket)
			declaration.end = bracket;
	}
	name = declaration;
	for (name.at = name.end; name.at > declaration.at; name.at--)
		if (name.at[-1] == ' ' || name.at[-1] == '*')
			break;
	return name;
}

static bool take_place(struct span *line, struct tracefs_field *field)
{
	uint32_t offset, size, is_signed;

	if (!take_prefix(line, "offset:") || !take_number(line, UINT16_MAX, &offset) ||
	    !take_prefix(line, ";") ||
	    !take_prefix(line, "size:") || !take_number(line, UINT16_MAX, &size) ||
	    !take_prefix(line, ";") ||
	    !take_prefix(line, "signed:") || !take_number(line, 1, &is_signed) ||
	    offset + size > UINT16_MAX)
		return false;
	field->offset = offset;
	field->size = size;
	field->is_signed = is_signed;
	return true;
}

int tracefs_format_id(const char *format, size_t len, uint32_t *id)
{
	struct span text = { format, format + len }, line;

	while (take_line(&text, &line))
		if (take_prefix(&line, "ID:"))
			return take_number(&line, INT32_MAX, id) ? 0 : -EBADMSG;
	return -EBADMSG;
}

int tracefs_format_field(const char *format, size_t len, const char *name,
			 struct tracefs_field *field)
{
	struct span text = { format, format + len }, line, declaration, declared;

	while (take_line(&text, &line)) {
		if (!take_prefix(&line, "field:"))
			continue;
		if (!take_declaration(&line, &declaration))
			return -EBADMSG;
		declared = declared_name(declaration);
		if ((size_t)(declared.end - declared.at) != strlen(name) ||
		    memcmp(declared.at, name, strlen(name)) != 0)
			continue;
		if (!take_place(&line, field))
			return -EBADMSG;
		field->data_loc = take_prefix(&declaration, "__data_loc ");
		return field->data_loc && field->size != 4 ? -EBADMSG : 0;
	}
	return -ENOENT;
}
