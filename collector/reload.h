/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NFWHO_RELOAD_H
#define NFWHO_RELOAD_H

#include "collector.h"

/* SIGHUP: files are opened anew, the configuration is read again. All of it comes into force or
 * nothing, and no record is lost by it. A line on stderr says which and, of a file that is refused,
 * where and why; one more for each option that cannot change while running, and stays.
 *
 * `options` is what c->options points to; its content is replaced. */
void reload(struct collector *c, struct options *options);

#endif
