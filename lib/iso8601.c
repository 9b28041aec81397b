// SPDX-License-Identifier: GPL-2.0-or-later
#include "iso8601.h"

#include <string.h>
#include <time.h>

#define DAY_SECONDS 86400
#define SECOND_NS 1000000000ULL

static void put_number(char *at, unsigned int digits, uint32_t value)
{
	while (digits--) {
		at[digits] = '0' + value % 10;
		value /= 10;
	}
}

static void set_day(struct iso8601 *cache, uint64_t day)
{
	time_t t = day * DAY_SECONDS;
	struct tm tm;

	gmtime_r(&t, &tm);
	cache->day = day;
	memcpy(cache->date, "0000-00-00T", sizeof(cache->date));
	put_number(cache->date, 4, tm.tm_year + 1900);
	put_number(cache->date + 5, 2, tm.tm_mon + 1);
	put_number(cache->date + 8, 2, tm.tm_mday);
}

size_t iso8601_format(struct iso8601 *cache, uint64_t real_ns, char buf[static ISO8601_MAX])
{
	uint64_t seconds = real_ns / SECOND_NS, day = seconds / DAY_SECONDS;
	uint32_t rest = seconds % DAY_SECONDS;

	if (!cache->date[0] || day != cache->day)
		set_day(cache, day);
	memcpy(buf, cache->date, sizeof(cache->date));
	memcpy(buf + 11, "00:00:00.000000Z", 17);
	put_number(buf + 11, 2, rest / 3600);
	put_number(buf + 14, 2, rest / 60 % 60);
	put_number(buf + 17, 2, rest % 60);
	put_number(buf + 20, 6, real_ns % SECOND_NS / 1000);
	return ISO8601_MAX - 1;
}
