/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NFWHO_ATTR_H
#define NFWHO_ATTR_H

#include <libmnl/libmnl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Netlink attributes, read with their length checked. Netfilter's are in network order; values come
 * out in host order. */

/* Sorts attributes by type into tb[0..max], the others NULL; the last of several with one type
 * wins, types beyond max are passed over. Returns 0, or -EBADMSG when they do not fill exactly
 * `len` bytes. */
int attr_table(const struct nlattr **tb, unsigned int max, const void *attrs, size_t len);

/* The same for the attributes of a message behind a header of `offset` bytes. */
int attr_table_of_message(const struct nlattr **tb, unsigned int max, const struct nlmsghdr *nlh,
			  size_t offset);

/* The same for what is nested in `nest`, which may be NULL: -ENOENT. */
int attr_table_of_nest(const struct nlattr **tb, unsigned int max, const struct nlattr *nest);

/* True and *value if the attribute is there (not NULL) and has exactly that length; else false and
 * *value as it was. */
bool attr_u8(const struct nlattr *attr, uint8_t *value);
bool attr_be16(const struct nlattr *attr, uint16_t *value);
bool attr_be32(const struct nlattr *attr, uint32_t *value);
bool attr_be64(const struct nlattr *attr, uint64_t *value);

/* Its text up to the first NUL; NULL if it is not there or has no NUL. */
const char *attr_text(const struct nlattr *attr);

#endif
