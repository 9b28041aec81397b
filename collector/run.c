// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The loop: one thread, one epoll set, one visible switch.
 *
 * Waking costs ten times what a message costs, so wake-ups are what is rationed (ration.h), and
 * whatever wakes us, all sources are read. NFLOG sends its packets in batches, by a timer of the
 * kernel: it may wake us more often than each of these, and sets the pace on a busy host. conntrack
 * tells of each connection twice, one message at a time, and soon has to wait for the packets. When
 * nothing happens nothing ticks: the timer is armed only for what the join, the rate limit or the
 * ledger is waiting for.
 *
 * New programs wake us by themselves, because their command lines may be gone a millisecond later;
 * this, too, is rationed per second.
 */
#include "run.h"
#include "clock.h"
#include "collector.h"
#include "emit.h"
#include "log.h"
#include "notify.h"
#include "ration.h"
#include "reload.h"
#include "takeover.h"

#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define SECOND_NS 1000000000ull
#define PACKET_TOKEN_NS 4000000ull	/* 250 wake-ups a second: twice what its timer makes of it */
#define MESSAGE_TOKEN_NS 20000000ull	/* 50 */
#define SLICE_NS 100000		/* the shortest there is */
#define EXEC_WAKES_PER_SECOND 1000
#define SIGNAL_FAILURES_MAX 1000

enum tag { TAG_SIGNAL, TAG_TIMER, TAG_TRACE, TAG_PACKETS, TAG_RULES, TAG_SINKS, TAG_CONNTRACK };

struct loop {
	struct collector *c;
	struct options *options;
	struct notify notify;
	int epoll_fd, signal_fd, timer_fd;
	uint64_t now_ns, ledger_ns, armed_ns;
	uint64_t watchdog_ns;		/* when it wants to hear from us; UINT64_MAX: never */
	struct ration packets, messages;
	uint64_t exec_second_ns;
	unsigned int exec_wakes, signal_failures;
	bool exec_quiet;
	bool rules_unheard;		/* the guard wants a rest from them */
	bool stop;
};

static int watch(int epoll_fd, int fd, enum tag tag)
{
	struct epoll_event event = { .events = EPOLLIN, .data.u32 = tag };

	return epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) ? -errno : 0;
}

/* Disarmed, a descriptor still gathers; nothing of it wakes us. */
static void listen_to_rules(struct loop *l)
{
	bool rest = l->c->guard.listen_ns != 0;
	struct epoll_event event = { .events = rest ? 0 : EPOLLIN, .data.u32 = TAG_RULES };

	if (rest == l->rules_unheard)
		return;
	epoll_ctl(l->epoll_fd, EPOLL_CTL_MOD, l->c->guard.fd, &event);
	l->rules_unheard = rest;
}

static int open_signals(void)
{
	sigset_t set;
	int fd;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	if (sigprocmask(SIG_BLOCK, &set, NULL))
		return -errno;
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return fd < 0 ? -errno : fd;
}

static int loop_open(struct loop *l)
{
	int err = 0;

	l->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	l->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (l->timer_fd < 0 || l->epoll_fd < 0)
		return -errno;
	err = ration_open(&l->packets, l->epoll_fd, nflog_group_fd(l->c->nflog), TAG_PACKETS,
			  PACKET_TOKEN_NS, l->now_ns);
	if (!err && l->c->ct)
		err = ration_open(&l->messages, l->epoll_fd, ct_fd(l->c->ct), TAG_CONNTRACK,
				  MESSAGE_TOKEN_NS, l->now_ns);
	if (!err)
		err = watch(l->epoll_fd, l->signal_fd, TAG_SIGNAL);
	if (!err)
		err = watch(l->epoll_fd, l->timer_fd, TAG_TIMER);
	if (!err)
		err = watch(l->epoll_fd, sinks_fd(l->c->sinks), TAG_SINKS);
	if (!err && l->c->perf)
		err = watch(l->epoll_fd, perf_fd(l->c->perf), TAG_TRACE);
	if (!err && l->c->guard.fd >= 0)
		err = watch(l->epoll_fd, l->c->guard.fd, TAG_RULES);
	return err;
}

static void close_descriptor(int fd)
{
	if (fd >= 0)
		close(fd);
}

static void loop_close(struct loop *l)
{
	close_descriptor(l->epoll_fd);
	close_descriptor(l->timer_fd);
	close_descriptor(l->signal_fd);
}

/* What `systemctl status` shows. */
static void say_status(struct loop *l, void (*say)(const struct notify *n, const char *status))
{
	const struct ledger *ledger = &l->c->ledger;
	char status[256];

	snprintf(status, sizeof(status), "Group %u: %" PRIu64 " connections, %" PRIu64 " ended, %"
		 PRIu64 " packets lost", l->c->options->group, ledger->started, ledger->ended,
		 ledger->sequence_gap + ledger->lost_tail);
	say(&l->notify, status);
}

static void take_hangup(struct loop *l)
{
	uint64_t interval_ns;

	notify_reloading(&l->notify, clock_ns(CLOCK_MONOTONIC));
	reload(l->c, l->options);
	interval_ns = l->options->ledger_interval_s * SECOND_NS;
	if (l->now_ns + interval_ns < l->ledger_ns)
		l->ledger_ns = l->now_ns + interval_ns;
	say_status(l, notify_ready);
}

/* One that cannot be read wakes us again at once. Returns 0, or -errno if that does not end. */
static int take_signals(struct loop *l)
{
	struct signalfd_siginfo info;
	ssize_t n;

	while ((n = read(l->signal_fd, &info, sizeof(info))) == sizeof(info)) {
		l->signal_failures = 0;
		if (info.ssi_signo == SIGHUP)
			take_hangup(l);
		else
			l->stop = true;
	}
	if (n < 0 && errno != EAGAIN && ++l->signal_failures == SIGNAL_FAILURES_MAX)
		return -errno;
	return 0;
}

static void ration_execs(struct loop *l)
{
	if (l->now_ns - l->exec_second_ns >= SECOND_NS) {
		l->exec_second_ns = l->now_ns;
		l->exec_wakes = 0;
	}
	if (++l->exec_wakes < EXEC_WAKES_PER_SECOND || l->exec_quiet)
		return;
	l->exec_quiet = true;
	perf_wake_on_exec(l->c->perf, false);
}

static void answer_watchdog(struct loop *l)
{
	if (l->now_ns < l->watchdog_ns)
		return;
	notify_watchdog(&l->notify);
	l->watchdog_ns = l->now_ns + l->notify.watchdog_ns;
}

/* What time brings, whatever the wake-up was for. */
static void let_time_pass(struct loop *l)
{
	ration_drained(&l->packets, l->c->packets_read, l->now_ns);
	ration_drained(&l->messages, l->c->messages_read, l->now_ns);
	if (l->exec_quiet && l->now_ns - l->exec_second_ns >= SECOND_NS) {
		l->exec_quiet = false;
		perf_wake_on_exec(l->c->perf, true);
	}
	guard_settle(l->c);
	listen_to_rules(l);
	answer_watchdog(l);
	if (l->now_ns >= limit_due_ns(l->c->limit))
		collector_summaries(l->c);
	if (l->now_ns >= l->ledger_ns) {
		l->ledger_ns += l->c->options->ledger_interval_s * SECOND_NS;
		if (l->ledger_ns <= l->now_ns)
			l->ledger_ns = l->now_ns + l->c->options->ledger_interval_s * SECOND_NS;
		guard_check(l->c);
		collector_ledger(l->c);
		say_status(l, notify_status);
		if (l->c->perf)
			collector_update_cpus(l->c);
	}
}

static void arm_timer(struct loop *l)
{
	uint64_t next_ns = join_next_ns(&l->c->join);
	uint64_t rules_ns = guard_next_ns(&l->c->guard);
	struct itimerspec when = { 0 };

	if (rules_ns < next_ns)
		next_ns = rules_ns;
	if (limit_due_ns(l->c->limit) < next_ns)
		next_ns = limit_due_ns(l->c->limit);
	if (l->ledger_ns < next_ns)
		next_ns = l->ledger_ns;
	if (l->watchdog_ns < next_ns)
		next_ns = l->watchdog_ns;
	if (ration_next_ns(&l->packets) < next_ns)
		next_ns = ration_next_ns(&l->packets);
	if (ration_next_ns(&l->messages) < next_ns)
		next_ns = ration_next_ns(&l->messages);
	if (l->exec_quiet && l->exec_second_ns + SECOND_NS < next_ns)
		next_ns = l->exec_second_ns + SECOND_NS;
	if (next_ns == l->armed_ns)
		return;
	l->armed_ns = next_ns;
	when.it_value.tv_sec = (time_t)(next_ns / SECOND_NS);
	when.it_value.tv_nsec = (long)(next_ns % SECOND_NS);
	timerfd_settime(l->timer_fd, TFD_TIMER_ABSTIME, &when, NULL);
}

/* more: there is something to read. */
static int wait_for_events(struct loop *l, struct epoll_event *events, int max, bool more)
{
	uint64_t began_ns = clock_ns(CLOCK_MONOTONIC);
	int n = epoll_wait(l->epoll_fd, events, max, more ? 0 : -1);

	l->now_ns = clock_ns(CLOCK_MONOTONIC);
	l->c->join.woken_ns = !more && l->now_ns - began_ns >= JOIN_ASLEEP_NS ? l->now_ns : 0;
	return n;
}

static int take_event(struct loop *l, enum tag tag)
{
	switch (tag) {
	case TAG_SIGNAL:
		return take_signals(l);
	case TAG_TIMER:
		l->armed_ns = UINT64_MAX;	/* setting it takes the tick: timerfd_create(2) */
		break;
	case TAG_TRACE:
		ration_execs(l);
		break;
	case TAG_PACKETS:
		ration_take(&l->packets, l->now_ns);
		break;
	case TAG_CONNTRACK:
		ration_take(&l->messages, l->now_ns);
		break;
	case TAG_RULES:
		guard_wake(l->c);
		break;
	case TAG_SINKS:
		sinks_flush(l->c->sinks);
		break;
	}
	return 0;
}

/* Returns 0, or -errno for a lost source. */
static int loop_run(struct loop *l)
{
	struct epoll_event events[8];
	int n, more = 0, err = 0;

	while (!l->stop && !l->c->reader_gone) {
		if (!more)
			arm_timer(l);
		n = wait_for_events(l, events, sizeof(events) / sizeof(events[0]), more);
		if (n < 0 && errno != EINTR)
			return -errno;
		for (int i = 0; i < n && !err; i++)
			err = take_event(l, (enum tag)events[i].data.u32);
		more = collector_drain(l->c);
		if (more < 0 || err)
			return err ? err : more;
		let_time_pass(l);
	}
	return 0;
}

/* struct sched_attr, which libc headers lack. */
struct scheduling {
	uint32_t size, policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime_ns, deadline_ns, period_ns;
};

/* So that hundreds of short-lived processes do not keep us from asking who they are. Not allowed is
 * no reason not to start. The short slice is a request of kernels since 6.12 for being woken
 * sooner; older ones ignore it. */
static void raise_priority(uint32_t boost)
{
	struct scheduling attr = {
		.size = sizeof(attr), .policy = SCHED_OTHER, .nice = -(int32_t)boost,
		.runtime_ns = SLICE_NS,
	};

	if (boost && syscall(SYS_sched_setattr, 0, &attr, 0))
		log_debug("cannot raise the priority by %u: %s", boost, strerror(errno));
}

/* For somebody who has just started it in a terminal. */
static void say_hello(const struct options *options)
{
	log_info("new connections of this host are logged from now on (try: curl -s "
		 "example.com); group %u, Ctrl-C stops", options->group);
}

int run_collect(struct options *options)
{
	struct collector c;
	struct loop l = {
		.c = &c, .options = options, .epoll_fd = -1, .timer_fd = -1,
		.armed_ns = UINT64_MAX, .watchdog_ns = UINT64_MAX,
	};
	bool watched = isatty(STDERR_FILENO);
	int err = -1;

	l.signal_fd = open_signals();
	if (l.signal_fd < 0) {
		log_error("signals: %s", strerror(-l.signal_fd));
		return 1;
	}
	notify_open(&l.notify);
	raise_priority(options->priority_boost);
	log_hold();
	if (collector_open(&c, options) == 0) {
		log_release(true);
		l.now_ns = l.exec_second_ns = clock_ns(CLOCK_MONOTONIC);
		l.ledger_ns = l.now_ns + options->ledger_interval_s * SECOND_NS;
		if (l.notify.watchdog_ns)
			l.watchdog_ns = l.now_ns;
		err = loop_open(&l);
		if (!err) {
			takeover_keep(&c, &l.notify);
			err = collector_drain(&c);	/* what came while we were starting */
		}
		if (err >= 0) {
			if (watched)
				say_hello(options);
			say_status(&l, notify_ready);
			err = loop_run(&l);
		}
		if (err < 0)
			log_error("a source is lost: %s", strerror(-err));
		notify_stopping(&l.notify);
		collector_stop(&c);
	}
	log_release(false);
	collector_close(&c);
	loop_close(&l);
	notify_close(&l.notify);
	return err ? 1 : 0;
}
