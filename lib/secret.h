/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NFWHO_SECRET_H
#define NFWHO_SECRET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What secrets are called and look like: the tables behind redact(). */

/* Whether an option, variable, header or key of this name holds a secret. */
bool secret_name(const char *name, size_t len);

/* Whether this is the first word of an Authorization value, with the secret still to come. */
bool secret_scheme(const char *word, size_t len);

/* Length of the well-known kind of token (with a telling prefix) that begins here; 0 none. */
size_t secret_token(const char *at, size_t len);

/* Options that mean a password to one program only. */
struct secret_option {
	const char *program;	/* base name; '*' at the end: what begins so */
	const char *option;
	bool attached;		/* -pSECRET, --user=SECRET */
	bool next;		/* -p SECRET */
	const char *after;	/* the secret follows the first of these ("user:secret"); "": all */
};

/* The words seen so far: which programs are in play. */
struct secret_context {
	uint64_t programs;	/* a bit for each row of the table */
	bool setting;		/* "config" or "set": a bare name may be followed by its value */
};

void secret_context_add(struct secret_context *context, const char *word, size_t len);

/* The next option that counts now, from *row of the table on, which begins with 0; NULL after the last. */
const struct secret_option *secret_option(const struct secret_context *context, unsigned int *row);

/* Whether the word is the option without its value, possibly behind others (-sSu). */
bool secret_option_alone(const struct secret_option *o, const char *word, size_t len);

#endif
