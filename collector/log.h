/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NFWHO_LOG_H
#define NFWHO_LOG_H

#include <stdbool.h>
#include <stddef.h>

/* Diagnostics: one line each on stderr. Whatever is in the arguments, no control character and no
 * byte above 0x7e reaches the terminal as such. */

enum log_level { LEVEL_ERROR, LEVEL_WARNING, LEVEL_INFO, LEVEL_DEBUG };

/* What is said from now on: this level and worse. LEVEL_INFO at first. */
void log_set_level(enum log_level level);

/* While something starts: warnings and information wait until it is known whether it does, so that
 * a refusal is the one line it should be. log_release(false) drops what waits. */
void log_hold(void);
void log_release(bool say_it);

void log_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_warning(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_info(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_debug(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Copies text with \xNN for what must not reach a terminal. Returns the length without NUL; what
 * does not fit is cut between characters. */
size_t log_escape(const char *text, char *buf, size_t size);

#endif
