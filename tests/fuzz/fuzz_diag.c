// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * sock_diag from its opening to its end, and routes. Input: how many questions (a byte), their
 * tuples, and then the kernel's datagrams (kernel.h): the answers to diag_open's dump, to the
 * questions, to the two dumps of what is connecting, and to where the tuples of the first two lead.
 */
#include "diag.h"
#include "fuzz.h"
#include "kernel.h"
#include "nl.h"
#include "route.h"

#include <assert.h>
#include <errno.h>
#include <linux/sock_diag.h>
#include <string.h>

#define QUERIES_MAX 80

struct expected {
	uint32_t first;		/* number of the first question; 0: none is asked now */
	uint64_t answers;
};

static void count_answer(const struct nlmsghdr *nlh, size_t payload_len, void *data)
{
	struct expected *expected = data;
	uint32_t first, last;

	(void)payload_len;
	kernel_asked(&first, &last);
	expected->answers += expected->first && nlh->nlmsg_type == SOCK_DIAG_BY_FAMILY &&
			     nlh->nlmsg_seq - first <= last - first;
}

static void check(const struct tuple *tuple, const struct sock *sock, void *data)
{
	uint64_t *dumped = data;

	(*dumped)++;
	assert(tuple->family == AF_INET || tuple->family == AF_INET6);
	assert(tuple->pad == 0 && tuple->protocol == IPPROTO_TCP);
	if (tuple->family == AF_INET)
		for (int i = 4; i < 16; i++)
			assert(tuple->src.bytes[i] == 0 && tuple->dst.bytes[i] == 0);
	(void)sock;
}

static unsigned int take_queries(struct sock_query *queries, const uint8_t **data, size_t *size)
{
	unsigned int count = *size ? (*data)[0] % (QUERIES_MAX + 1) : 0;

	*data += *size > 0;
	*size -= *size > 0;
	memset(queries, 0, QUERIES_MAX * sizeof(*queries));
	for (unsigned int i = 0; i < count; i++) {
		struct tuple *t = &queries[i].tuple;
		size_t n = *size < sizeof(*t) ? *size : sizeof(*t);

		memcpy(t, *data, n);
		t->family = t->family == AF_INET ? AF_INET : AF_INET6;
		t->pad = 0;
		*data += n;
		*size -= n;
	}
	return count;
}

static void look_up(struct diag *d, struct sock_query *queries, unsigned int count,
		    struct expected *expected)
{
	const struct diag_stats *stats = diag_stats(d);
	uint64_t found = 0, before = stats->invalid;
	int err;

	expected->first = 1;
	err = diag_lookup(d, queries, count);
	expected->first = 0;
	assert(err == 0 || err == -ECONNRESET || err == -EMSGSIZE);
	assert(err || stats->asked == count);
	assert(stats->found + stats->other + stats->invalid - before == expected->answers);
	for (unsigned int i = 0; i < count; i++)
		found += queries[i].found;
	for (unsigned int i = 0; i < count && !err; i++)
		assert(!(queries[i].found && queries[i].unknown));
	assert(found <= stats->found);
}

static void look_up_routes(const struct sock_query *queries)
{
	struct route *r;

	assert(route_open(&r) == 0);
	for (int i = 0; i < 2; i++)
		assert(route_is_local(r, &queries[i].tuple) <= 1);
	route_close(r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct sock_query queries[QUERIES_MAX];
	struct expected expected = { 0 };
	unsigned int count = take_queries(queries, &data, &size);
	uint64_t dumped = 0;
	struct diag *d;

	kernel_begin(data, size, count_answer, &expected);
	if (diag_open(&d) == 0) {
		look_up(d, queries, count, &expected);
		diag_dump_connecting(d, check, &dumped);
		diag_close(d);
	}
	look_up_routes(queries);
	kernel_end();
	return 0;
}
