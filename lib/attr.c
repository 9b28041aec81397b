// SPDX-License-Identifier: GPL-2.0-or-later
#include "attr.h"

#include <endian.h>
#include <errno.h>
#include <string.h>

/* As mnl_attr_get_*(), which are calls into another object: eight tables make up one conntrack
 * message, and those calls were most of its cost. */
static unsigned int type_of(const struct nlattr *attr)
{
	return attr->nla_type & NLA_TYPE_MASK;
}

static const void *payload_of(const struct nlattr *attr)
{
	return (const uint8_t *)attr + MNL_ATTR_HDRLEN;
}

static size_t payload_len_of(const struct nlattr *attr)
{
	return attr->nla_len - MNL_ATTR_HDRLEN;
}

int attr_table(const struct nlattr **tb, unsigned int max, const void *attrs, size_t len)
{
	const uint8_t *at = attrs;

	memset(tb, 0, (max + 1) * sizeof(*tb));
	while (len >= sizeof(struct nlattr)) {
		const struct nlattr *attr = (const struct nlattr *)at;
		size_t step = MNL_ALIGN((size_t)attr->nla_len);

		if (attr->nla_len < sizeof(*attr) || attr->nla_len > len)
			return -EBADMSG;
		if (type_of(attr) <= max)
			tb[type_of(attr)] = attr;
		if (step > len)		/* the last one's padding may be left out */
			step = len;
		at += step;
		len -= step;
	}
	return len ? -EBADMSG : 0;
}

int attr_table_of_message(const struct nlattr **tb, unsigned int max, const struct nlmsghdr *nlh,
			  size_t offset)
{
	size_t len = mnl_nlmsg_get_payload_len(nlh);

	offset = MNL_ALIGN(offset);
	if (len < offset)
		return -EBADMSG;
	return attr_table(tb, max, mnl_nlmsg_get_payload_offset(nlh, offset), len - offset);
}

int attr_table_of_nest(const struct nlattr **tb, unsigned int max, const struct nlattr *nest)
{
	if (!nest)
		return -ENOENT;
	return attr_table(tb, max, payload_of(nest), payload_len_of(nest));
}

static bool copy(const struct nlattr *attr, void *value, size_t size)
{
	if (!attr || payload_len_of(attr) != size)
		return false;
	memcpy(value, payload_of(attr), size);
	return true;
}

bool attr_u8(const struct nlattr *attr, uint8_t *value)
{
	return copy(attr, value, sizeof(*value));
}

bool attr_be16(const struct nlattr *attr, uint16_t *value)
{
	if (!copy(attr, value, sizeof(*value)))
		return false;
	*value = be16toh(*value);
	return true;
}

bool attr_be32(const struct nlattr *attr, uint32_t *value)
{
	if (!copy(attr, value, sizeof(*value)))
		return false;
	*value = be32toh(*value);
	return true;
}

bool attr_be64(const struct nlattr *attr, uint64_t *value)
{
	if (!copy(attr, value, sizeof(*value)))
		return false;
	*value = be64toh(*value);
	return true;
}

const char *attr_text(const struct nlattr *attr)
{
	return attr && memchr(payload_of(attr), '\0', payload_len_of(attr)) ? payload_of(attr) : NULL;
}
