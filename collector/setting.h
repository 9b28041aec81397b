/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NFWHO_SETTING_H
#define NFWHO_SETTING_H

#include "option.h"
#include "value.h"

/* The one table of options. */

struct setting;

/* Puts a value where it belongs. Returns 0, -ENOMEM, or -EINVAL after saying in `why` what was
 * wrong with the value and what would be right. */
typedef int setting_set(const struct setting *setting, struct options *options, const char *value,
			char *why, size_t size);

#define SETTING_WHY_SIZE 384
#define SETTINGS_MAX 64

struct setting {
	const char *name, *argument, *preset, *help;	/* preset NULL: none */
	setting_set *set;	/* NULL: the command line only */
	size_t at;		/* where in struct options */
	uint64_t min, max;
	const struct value_word *words;
	bool repeats;		/* adds to what was set before */
	bool fixed;		/* cannot change while running */
	/* Takes out what was set before: the first value on the command line replaces all of the
	 * file. NULL: the last value counts, or set() knows. */
	void (*forget)(const struct setting *setting, struct options *options);
};

extern const struct setting settings[];
extern const unsigned int setting_count;

/* NULL if there is none of this name. */
const struct setting *setting_find(const char *name);

/* Of one that is fixed: puts back what `before` has. True if that was something else. */
bool setting_keep(const struct setting *setting, struct options *options,
		  const struct options *before);

/* " (did you mean ...?)", or "" if no name is near. */
void setting_suggest(const char *name, char *text, size_t size);

#endif
