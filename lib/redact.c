// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Arguments are looked at one by one; one with white space in it (sh -c '...', a header, JSON) is
 * looked at as a whole and then word by word, as a shell would split it. A word that names a secret
 * without giving it makes the next one the secret.
 *
 * Limits: a secret is known by its neighbourhood. Positional ones (htpasswd -b file user secret)
 * and those that a program hides in a syntax of its own are not seen.
 */
#include "redact.h"

#include "secret.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>

/* Quotes within quotes are followed this far. */
#define DEPTH_MAX 3

enum expected { ORDINARY, SECRET, SECRET_AFTER };

struct scan {
	char *out;
	size_t len, size;
	enum expected next;
	const char *after;	/* SECRET_AFTER: what ends the part that is no secret */
	struct secret_context context;
};

static void emit(struct scan *s, const char *bytes, size_t len)
{
	size_t room = s->size - 1 - s->len;

	if (len > room)
		len = room;
	memcpy(s->out + s->len, bytes, len);
	s->len += len;
}

static void mark(struct scan *s)
{
	emit(s, REDACT_MARK, strlen(REDACT_MARK));
}

static bool is_name(char c)
{
	return isalnum((unsigned char)c) || c == '_' || c == '-' || c == '.';
}

static bool is_quote(char c)
{
	return c == '"' || c == '\'';
}

/* Where the name before w[at] begins; quotes and backslashes around it are passed over, white space
 * too if it follows a quote (JSON). */
static size_t name_start(const char *w, size_t at, size_t *name_end)
{
	size_t quote = at;

	while (quote && isspace((unsigned char)w[quote - 1]))
		quote--;
	if (quote && w[quote - 1] == '"')
		at = quote;
	while (at && (is_quote(w[at - 1]) || w[at - 1] == '\\'))
		at--;
	*name_end = at;
	while (at && is_name(w[at - 1]))
		at--;
	return at;
}

/* A pair that is not the first ends where the next begins. */
static size_t value_end(const char *w, size_t at, size_t len)
{
	size_t k;

	for (; at < len; at++) {
		if (!strchr(",&;", w[at]))
			continue;
		for (k = at + 1; k < len && (is_name(w[k]) || is_quote(w[k]) ||
					isspace((unsigned char)w[k])); k++)
			;
		if (k > at + 1 && k < len && (w[k] == '=' || w[k] == ':'))
			break;
	}
	return at;
}

/* Where the quote that opens at w[at] closes; len if it does not. */
static size_t closing_quote(const char *w, size_t at, size_t len)
{
	for (size_t i = at + 1; i < len; i++) {
		if (w[i] == w[at])
			return i;
		i += w[i] == '\\';
	}
	return len;
}

/* Hides the value after w[sep]: '=', ':', or the '>' of an XML tag. Returns where to go on. */
static size_t hide_value(struct scan *s, const char *w, size_t name, size_t sep, size_t len)
{
	size_t at = sep + 1, end;

	while (at < len && isspace((unsigned char)w[at]))
		at++;
	emit(s, w + sep, at - sep);
	if (w[sep] == '>') {
		mark(s);
		while (at < len && w[at] != '<')
			at++;
		return at;
	}
	if (at == len) {
		s->next = SECRET;
		return len;
	}
	if (is_quote(w[at])) {
		emit(s, w + at, 1);
		mark(s);
		return closing_quote(w, at, len);
	}
	end = name == 0 ? len : value_end(w, at, len);
	mark(s);
	return end;
}

/* w[at] is the colon of "://": what of the following is user and password? 0: nothing. Up to *clear
 * it has been looked at already: whoever writes nothing but "://" shall not cost its square. */
static size_t url_credentials(const char *w, size_t at, size_t len, size_t *clear)
{
	size_t begin = at + 3, end = begin, found = 0, scheme = at;
	bool colon = false;

	for (; end < len && !strchr("/?#\"' <>", w[end]); end++) {
		if (w[end] == '@')
			found = end;
		else if (w[end] == ':' && !found && end + 1 < len)
			colon = !isdigit((unsigned char)w[end + 1]) || colon;
	}
	/* A slash in the password itself. */
	if (!found && colon && end < *clear)
		end = *clear;
	for (; !found && colon && end < len && end - begin < 1024 && !strchr("\"' <>", w[end]);
	     end++) {
		if (w[end] == '@')
			found = end;
	}
	if (!found && colon)
		*clear = end;
	if (!found)
		return 0;
	while (scheme && isalnum((unsigned char)w[scheme - 1]))
		scheme--;
	if (!memchr(w + begin, ':', found - begin) &&
	    strncasecmp(w + scheme, "http", 4) != 0 && strncasecmp(w + scheme, "ftp", 3) != 0)
		return 0;
	return found;
}

/* "user:secret@host" without a scheme; an image's digest is none. */
static bool plain_credentials(const char *w, size_t len, size_t *colon, size_t *at)
{
	const char *c = memchr(w, ':', len), *a = memchr(w, '@', len), *last;

	if (!c || !a || a < c || c == w || a == c + 1 || c[1] == '/')
		return false;
	last = memrchr(w, '@', len);
	if ((size_t)(w + len - last) > 7 && memcmp(last + 1, "sha256:", 7) == 0)
		return false;
	*colon = c - w;
	*at = last - w;
	return true;
}

/* Pairs, URLs and well-known tokens within one word. */
static void values(struct scan *s, const char *w, size_t len)
{
	size_t done = 0, clear = 0, colon, at, name, name_end, n;

	if (plain_credentials(w, len, &colon, &at)) {
		emit(s, w, colon + 1);
		mark(s);
		w += at;
		len -= at;
	}
	for (size_t i = 0; i < len && s->len < s->size - 1; i++) {
		if ((w[i] == ':' && len - i > 3 && w[i + 1] == '/' && w[i + 2] == '/')) {
			at = url_credentials(w, i, len, &clear);
			if (!at)
				continue;
			emit(s, w + done, i + 3 - done);
			mark(s);
			done = at;
			i = at;
		} else if (strchr("=:>", w[i])) {
			name = name_start(w, i, &name_end);
			if (name < done || !secret_name(w + name, name_end - name))
				continue;
			if (w[i] == '>' && (name == 0 || w[name - 1] != '<'))
				continue;
			emit(s, w + done, i - done);
			done = hide_value(s, w, name, i, len);
			i = done;
		} else if (i == 0 || !is_name(w[i - 1])) {
			n = secret_token(w + i, len - i);
			if (!n)
				continue;
			emit(s, w + done, i - done);
			mark(s);
			done = i + n;
			i = done - 1;
		}
	}
	if (done < len)
		emit(s, w + done, len - done);
}

/* The part after the first of the separators, if there is one. */
static void hide_after(struct scan *s, const char *separators, const char *w, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (!strchr(separators, w[i]))
			continue;
		if (w[i] == ':' && len - i > 2 && w[i + 1] == '/' && w[i + 2] == '/')
			break;
		emit(s, w, i + 1);
		mark(s);
		return;
	}
	if (separators[0])
		values(s, w, len);
	else
		mark(s);
}

/* A program's own options. Returns whether the word was one and is written. */
static bool own_option(struct scan *s, const char *w, size_t len)
{
	const struct secret_option *o;
	unsigned int row = 0;
	size_t n;

	while ((o = secret_option(&s->context, &row))) {
		n = strlen(o->option);
		if (o->next && secret_option_alone(o, w, len)) {
			emit(s, w, len);
			s->next = o->after[0] ? SECRET_AFTER : SECRET;
			s->after = o->after;
			return true;
		}
		if (!o->attached || len <= n || memcmp(w, o->option, n) != 0)
			continue;
		if (strncmp(o->option, "--", 2) == 0 && w[n++] != '=')
			continue;
		emit(s, w, n);
		hide_after(s, o->after, w + n, len - n);
		return true;
	}
	return false;
}

/* "--name" or "-name" of a secret that follows. */
static bool announces(const struct scan *s, const char *w, size_t len)
{
	size_t dashes = 0;

	while (dashes < len && w[dashes] == '-')
		dashes++;
	if (memchr(w, '=', len) || memchr(w, ':', len))
		return false;
	if (!dashes && !s->context.setting)
		return false;
	return secret_name(w + dashes, len - dashes);
}

static void word(struct scan *s, const char *w, size_t len)
{
	enum expected now = s->next;

	s->next = ORDINARY;
	if (now == SECRET) {
		mark(s);
		if (announces(s, w, len) || secret_scheme(w, len))
			s->next = SECRET;
		return;
	}
	if (now == SECRET_AFTER) {
		hide_after(s, s->after, w, len);
		return;
	}
	if (own_option(s, w, len))
		return;
	secret_context_add(&s->context, w, len);
	if (announces(s, w, len)) {
		emit(s, w, len);
		s->next = SECRET;
		return;
	}
	if (len > 5 && memcmp(w, "pass:", 5) == 0) {
		emit(s, w, 5);
		mark(s);
		return;
	}
	values(s, w, len);
}

/* End of the shell word that begins at line[at]. */
static size_t word_end(const char *line, size_t at, size_t len)
{
	char quote = 0;

	for (; at < len && (quote || !isspace((unsigned char)line[at])); at++) {
		if (line[at] == '\\')
			at += at + 1 < len;
		else if (quote)
			quote = line[at] == quote ? 0 : quote;
		else if (is_quote(line[at]))
			quote = line[at];
	}
	return at;
}

static bool has_space(const char *w, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (isspace((unsigned char)w[i]))
			return true;
	}
	return false;
}

/* "Name: the rest of it" and "name=the rest of it": white space does not end the value. */
static bool begins_with_pair(const char *w, size_t len)
{
	size_t n = 0;

	while (n < len && is_name(w[n]))
		n++;
	return n && n < len && (w[n] == ':' || w[n] == '=') && secret_name(w, n);
}

static void argument(struct scan *s, const char *w, size_t len, unsigned int depth)
{
	size_t at, end;

	if (s->next != ORDINARY || depth >= DEPTH_MAX || !has_space(w, len)) {
		word(s, w, len);
		return;
	}
	/* "-pcorrect horse": what a program finds in one argument is one value. */
	if (depth == 0 && (w[0] == '-' || w[0] == '/') && own_option(s, w, len))
		return;
	if (begins_with_pair(w, len) || w[0] == '{' || w[0] == '[') {
		values(s, w, len);
		return;
	}
	for (at = 0; at < len && s->len < s->size - 1; at = end) {
		for (end = at; end < len && isspace((unsigned char)w[end]); end++)
			;
		emit(s, w + at, end - at);
		at = end;
		end = word_end(w, at, len);
		if (end - at > 2 && is_quote(w[at]) && w[end - 1] == w[at]) {
			emit(s, w + at, 1);
			argument(s, w + at + 1, end - at - 2, depth + 1);
			emit(s, w + end - 1, 1);
		} else if (end > at) {
			word(s, w + at, end - at);
		}
	}
}

size_t redact(char *out, size_t size, const char *args, size_t len)
{
	struct scan s = { .out = out, .size = size };
	size_t n;

	while (len && args[len - 1] == '\0')
		len--;
	for (size_t at = 0; at < len && s.len < size - 1; at += n + 1) {
		if (at)
			emit(&s, " ", 1);
		n = strnlen(args + at, len - at);
		argument(&s, args + at, n, 0);
	}
	out[s.len] = '\0';
	return s.len;
}

size_t redact_nothing(char *out, size_t size, const char *args, size_t len)
{
	size_t n;

	while (len && args[len - 1] == '\0')
		len--;
	n = len < size - 1 ? len : size - 1;
	for (size_t i = 0; i < n; i++)
		out[i] = args[i] ? args[i] : ' ';
	out[n] = '\0';
	return n;
}
