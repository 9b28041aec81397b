// SPDX-License-Identifier: GPL-2.0-or-later
#include "ration.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <cmocka.h>

#define MS 1000000ull
#define BEGIN_NS (1000 * MS)
#define TAG 6

struct world {
	struct ration ration;
	int epoll_fd, pipe[2];
	uint64_t now_ns;
};

/* A source that always has something. */
static int set_up(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	*state = w;
	w->now_ns = BEGIN_NS;
	w->epoll_fd = epoll_create1(0);
	if (w->epoll_fd < 0 || pipe(w->pipe) || write(w->pipe[1], "x", 1) != 1)
		return -1;
	return ration_open(&w->ration, w->epoll_fd, w->pipe[0], TAG, 20 * MS, w->now_ns);
}

static int tear_down(void **state)
{
	struct world *w = *state;

	close(w->epoll_fd);
	close(w->pipe[0]);
	close(w->pipe[1]);
	free(w);
	return 0;
}

static bool is_told(const struct world *w)
{
	struct epoll_event event = { 0 };

	return epoll_wait(w->epoll_fd, &event, 1, 0) == 1 && event.data.u32 == TAG;
}

/* How often it wakes us until it is left alone, at one instant. */
static unsigned int woken(struct world *w)
{
	unsigned int count = 0;

	while (is_told(w) && count < 1000) {
		ration_take(&w->ration, w->now_ns);
		ration_drained(&w->ration, true, w->now_ns);
		count++;
	}
	return count;
}

static void a_burst_wakes_at_once_until_there_are_no_tokens(void **state)
{
	struct world *w = *state;

	assert_int_equal(ration_next_ns(&w->ration), UINT64_MAX);
	assert_int_equal(woken(w), 51);
	assert_int_equal(ration_next_ns(&w->ration), w->now_ns + RATION_PAUSE_NS);
}

static void what_goes_on_is_looked_at_once_a_pause(void **state)
{
	struct world *w = *state;

	woken(w);
	for (int i = 0; i < 100; i++) {
		w->now_ns += RATION_PAUSE_NS;
		assert_int_equal(ration_next_ns(&w->ration), w->now_ns);
		ration_drained(&w->ration, true, w->now_ns);
		assert_false(is_told(w));
	}
}

/* Another source may have woken us meanwhile: it was read, and need not be looked at so soon. */
static void whatever_drains_it_puts_the_look_off(void **state)
{
	struct world *w = *state;

	woken(w);
	w->now_ns += RATION_PAUSE_NS / 2;
	ration_drained(&w->ration, true, w->now_ns);
	assert_int_equal(ration_next_ns(&w->ration), w->now_ns + RATION_PAUSE_NS);
	w->now_ns += RATION_PAUSE_NS / 2;
	ration_drained(&w->ration, false, w->now_ns);
	assert_false(is_told(w));
}

static void after_a_quiet_pause_it_is_listened_to(void **state)
{
	struct world *w = *state;

	woken(w);
	w->now_ns += RATION_PAUSE_NS;
	ration_drained(&w->ration, false, w->now_ns);
	assert_int_equal(ration_next_ns(&w->ration), UINT64_MAX);
	assert_true(is_told(w));
}

static void tokens_come_back_with_time_up_to_as_many_as_there_were(void **state)
{
	struct world *w = *state;

	woken(w);
	w->now_ns += 200 * MS;
	ration_drained(&w->ration, false, w->now_ns);
	assert_int_equal(woken(w), 11);
	w->now_ns += 3600000 * MS;
	ration_drained(&w->ration, false, w->now_ns);
	assert_int_equal(woken(w), 51);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_burst_wakes_at_once_until_there_are_no_tokens),
		TEST(what_goes_on_is_looked_at_once_a_pause),
		TEST(whatever_drains_it_puts_the_look_off),
		TEST(after_a_quiet_pause_it_is_listened_to),
		TEST(tokens_come_back_with_time_up_to_as_many_as_there_were),
	};

	return cmocka_run_group_tests_name("ration", tests, NULL, NULL);
}
