// SPDX-License-Identifier: GPL-2.0-or-later
#include "points.h"

#include "tracefs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/*
 * Transitions: the connect itself (to SYN_SENT, 2), its outcome (from SYN_SENT), and the steps at
 * which a connection closes: FIN_WAIT1 (4) and LAST_ACK (9) are mostly reported by the process that
 * closes, CLOSE_WAIT (8) and CLOSE (7) by whoever receives the segment. Not: listening sockets
 * (10), and a closed socket being closed. 262 is MPTCP, whose events have no addresses. For starts alone
 * IPv6 sockets' closes are kept (family 10): where the outcome is not reported, by a CPU that is silent
 * while idle, they tell the port, which for IPv4 a route lookup has told.
 */
#define CONNECTS "newstate == 2 || oldstate == 2"
#define CLOSES "(oldstate != 10 && oldstate != 7 && " \
	"(newstate == 4 || newstate == 7 || newstate == 8 || newstate == 9))"
#define STATES CONNECTS " || " CLOSES
#define STATES_OF_STARTS CONNECTS " || (family == 10 && " CLOSES ")"

/*
 * Output lookups enter with the loopback's index (1) as incoming interface, whatever the socket is
 * bound to; lookups for received packets have the device's. Only a lookup that found
 * something: a table without an answer is followed by the next one, and a connect without any route
 * sends nothing. Not those of a softirq (TRACE_FLAG_SOFTIRQ, 16), which are a server's for its
 * SYN-ACK: two of three where a connection's both ends are on this machine.
 */
#define ROUTES "proto == 6 && sport != 0 && iif == 1 && err == 0 && !(common_flags & 16)"

static const struct point {
	enum sample_source source;
	const char *event;
	const char *absent;	/* why the trace is not; NULL: it goes without this one */
	const char *strange;	/* its format is not understood: why the trace is not, or what it
				 * lacks */
} points[] = {
	{ SAMPLE_EXEC, "sched/sched_process_exec",
	  "the kernel has no tracepoint sched:sched_process_exec",
	  "the format of tracepoint sched:sched_process_exec is not understood" },
	{ SAMPLE_SOCKET_STATE, "sock/inet_sock_set_state",
	  "the kernel has no tracepoint sock:inet_sock_set_state (Linux 4.16)",
	  "the format of tracepoint sock:inet_sock_set_state is not understood" },
	{ SAMPLE_ROUTE, "fib/fib_table_lookup", NULL,
	  "the format of tracepoint fib:fib_table_lookup is not understood: some IPv4 owners are "
	  "known by their socket only" },
	{ SAMPLE_SOCKET_ERROR, "sock/inet_sk_error_report", NULL,
	  "the format of tracepoint sock:inet_sk_error_report is not understood: why connections "
	  "fail is not known" },
};

static int point_load(int tracefs_fd, const struct point *point, char *format,
		      struct watch_config *watch, struct sample_layout *layout)
{
	int len, error;

	len = tracefs_read_format(tracefs_fd, point->event, format, TRACEFS_FORMAT_MAX);
	if (len < 0)
		return len;
	error = tracefs_format_id(format, len, &watch->source[point->source].id);
	if (!error)
		error = sample_layout_parse(layout, point->source, format, len);
	if (!error)
		watch->source[point->source].wanted = true;
	return error;
}

static const char *tracefs_why(int error)
{
	return error == -EPERM || error == -EACCES ?
	       "tracefs cannot be read or mounted (CAP_SYS_ADMIN, or root where it is mounted; "
	       "lockdown)" : "no tracefs: the kernel is built without tracepoints";
}

static int points_read(struct watch_config *watch, struct sample_layout *layout,
		       const struct perf_config *config, const char **why)
{
	char *format = malloc(TRACEFS_FORMAT_MAX);
	int tracefs_fd, error = 0;

	if (!format)
		return -ENOMEM;
	tracefs_fd = tracefs_open();
	if (tracefs_fd < 0) {
		*why = tracefs_why(tracefs_fd);
		free(format);
		return tracefs_fd;
	}
	for (size_t i = 0; i < sizeof(points) / sizeof(points[0]) && !error; i++) {
		if (points[i].source == SAMPLE_SOCKET_ERROR && !config->ends)
			continue;
		error = point_load(tracefs_fd, &points[i], format, watch, layout);
		if (!error)
			continue;
		if (!points[i].absent && (error == -ENOENT || error == -EBADMSG)) {
			if (error == -EBADMSG && !*watch->lacks)
				watch->lacks = points[i].strange;
			error = 0;
		} else {
			*why = error == -ENOENT ? points[i].absent :
			       error == -EBADMSG ? points[i].strange : tracefs_why(error);
		}
	}
	close(tracefs_fd);
	free(format);
	return error;
}

/* Where perf_event is a version 1 controller the samples' cgroup ids belong to its hierarchy, in
 * which the same number means another cgroup than in version 2. */
static bool cgroup_is_version_1(void)
{
	FILE *file = fopen("/proc/self/cgroup", "re");
	char *line = NULL, *controllers, *end;
	size_t size = 0;
	bool found = false;

	if (!file)
		return true;
	while (!found && getline(&line, &size, file) > 0) {
		controllers = strchr(line, ':');
		end = controllers ? strchr(controllers + 1, ':') : NULL;
		if (!end)
			continue;
		*end = '\0';
		found = strstr(controllers, "perf_event") != NULL;
	}
	free(line);
	fclose(file);
	return found;
}

/* PERF_SAMPLE_CGROUP: Linux 5.7 with CONFIG_CGROUP_PERF. */
static bool cgroup_is_accepted(void)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_SOFTWARE,
		.size = sizeof(attr),
		.config = PERF_COUNT_SW_DUMMY,
		.sample_type = SAMPLE_TYPE_FULL | PERF_SAMPLE_CGROUP,
		.disabled = 1,
		.exclude_kernel = 1,
	};
	int fd = syscall(SYS_perf_event_open, &attr, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);

	if (fd < 0)
		return false;
	close(fd);
	return true;
}

int points_load(struct watch_config *watch, struct sample_layout *layout,
		const struct perf_config *config, const char **why)
{
	const char *protocols = config->sctp ? "(protocol == 6 || protocol == 132)" :
				"protocol == 6";
	int error;

	memset(watch->source, 0, sizeof(watch->source));
	watch->lacks = "";
	error = points_read(watch, layout, config, why);
	if (error)
		return error;
	watch->source[SAMPLE_PROCESS].wanted = true;
	watch->source[SAMPLE_WAKE].wanted = true;
	watch->source[SAMPLE_WAKE].id = watch->source[SAMPLE_EXEC].id;

	snprintf(watch->source[SAMPLE_SOCKET_STATE].filter, WATCH_FILTER_MAX, "%s && (%s)",
		 protocols, config->ends ? STATES : STATES_OF_STARTS);
	snprintf(watch->connects, WATCH_FILTER_MAX, "%s && newstate == 2", protocols);
	snprintf(watch->source[SAMPLE_SOCKET_ERROR].filter, WATCH_FILTER_MAX,
		 "%s && error != 0", protocols);	/* 0: read by getsockopt */
	snprintf(watch->source[SAMPLE_ROUTE].filter, WATCH_FILTER_MAX, ROUTES);

	layout->cgroup = !cgroup_is_version_1() && cgroup_is_accepted();
	watch->sample_type = SAMPLE_TYPE_FULL | (layout->cgroup ? PERF_SAMPLE_CGROUP : 0);
	return 0;
}
