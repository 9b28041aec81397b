// SPDX-License-Identifier: GPL-2.0-or-later
#include "ration.h"

#include <errno.h>
#include <sys/epoll.h>

#define TOKENS_MAX 50

int ration_open(struct ration *r, int epoll_fd, int fd, uint32_t tag, uint64_t token_ns,
		uint64_t now_ns)
{
	struct epoll_event event = { .events = EPOLLIN, .data.u32 = tag };

	*r = (struct ration) {
		.epoll_fd = epoll_fd, .fd = fd, .tag = tag, .tokens = TOKENS_MAX,
		.token_ns = token_ns, .earned_ns = now_ns,
	};
	return epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) ? -errno : 0;
}

/* Left alone, a descriptor still gathers; whoever makes it readable has not even to look for us
 * (ep_poll_callback). */
static void listen_to(struct ration *r, bool on)
{
	struct epoll_event event = { .events = on ? EPOLLIN : 0, .data.u32 = r->tag };

	epoll_ctl(r->epoll_fd, EPOLL_CTL_MOD, r->fd, &event);
}

void ration_take(struct ration *r, uint64_t now_ns)
{
	uint64_t earned = (now_ns - r->earned_ns) / r->token_ns;

	r->earned_ns += earned * r->token_ns;
	r->tokens = earned + r->tokens > TOKENS_MAX ? TOKENS_MAX : r->tokens + (unsigned int)earned;
	if (r->tokens) {
		r->tokens--;
		return;
	}
	listen_to(r, false);
	r->look_ns = now_ns + RATION_PAUSE_NS;
}

void ration_drained(struct ration *r, bool anything, uint64_t now_ns)
{
	if (!r->look_ns)
		return;
	if (anything) {
		r->look_ns = now_ns + RATION_PAUSE_NS;
	} else if (now_ns >= r->look_ns) {
		listen_to(r, true);
		r->look_ns = 0;
	}
}

uint64_t ration_next_ns(const struct ration *r)
{
	return r->look_ns ? r->look_ns : UINT64_MAX;
}
