/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NFWHO_COMMA_H
#define NFWHO_COMMA_H

/* Text that has commas between its parts; "\," is a comma within one. */

/* The next part, in place: its end becomes a NUL, its "\," commas. *rest is moved behind it; NULL
 * there, and returned the next time, when it was the last one. */
char *comma_next(char **rest);

#endif
