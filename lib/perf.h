/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NFWHO_PERF_H
#define NFWHO_PERF_H

#include "tuple.h"

#include <netinet/tcp.h>

/* The trace source: kernel tracepoints and process life, read from one perf ring per CPU and
 * merged in time order. No BPF, no kprobes, no module. */

struct perf;

struct perf_config {
	uint32_t ring_bytes;	/* per CPU, rounded up to a power of two of pages; 0: 512 KiB */
	bool ends;		/* what becomes of a connection, too: closes (IPv6 sockets' come in any
				 * case), and error reports where the kernel has them */
	bool sctp;		/* let SCTP's transitions pass the filter too */
};

enum perf_kind {
	PERF_SOCKET_STATE,	/* sock:inet_sock_set_state */
	PERF_ROUTE,		/* fib:fib_table_lookup (IPv4, TCP, with a source port) */
	PERF_SOCKET_ERROR,	/* sock:inet_sk_error_report */
	PERF_FORK,		/* a process or thread began: pid/tid are the new one's */
	PERF_EXEC,		/* sched:sched_process_exec, with the file name as passed */
	PERF_COMM,		/* renamed */
	PERF_EXIT,		/* a thread ended; the first one (tid == pid) may end before
				 * others, the process ends with its last */
	PERF_LOST,		/* this many records are missing here */
	PERF_DOUBT,		/* a CPU's ring was nearly full: records of it may be missing, and
				 * the next one will tell (time_ns is 0) */
	PERF_WHOLE,		/* it has come, or was waited for in vain: nothing is missing, unless a
				 * PERF_LOST follows */
};

/* One record, all kinds. Strings are valid during the callback only. */
struct perf_event {
	enum perf_kind kind;
	uint64_t time_ns;	/* CLOCK_MONOTONIC */
	uint32_t pid, tid;	/* current task, as the collector's pid namespace sees it; 0: idle
				 * task or a task of an outer pid namespace */
	uint64_t cgroup_id;	/* 0 where the kernel does not say: before 5.7, in cgroup v1, and
				 * for FORK, COMM, EXIT and LOST */
	uint16_t cpu;
	union {
		struct {
			uint64_t skaddr;	/* the socket's kernel address: a mere name */
			struct tuple tuple;	/* sport is only true as lib/trace explains */
			uint16_t protocol;	/* 6, 132, 262 */
			uint8_t old_state, new_state;	/* TCP_* of netinet/tcp.h */
		} socket;
		struct {
			struct tuple tuple;
		} route;
		struct {
			struct tuple tuple;
			int error;		/* positive errno */
		} error;
		struct {
			uint32_t parent_pid, parent_tid;
		} fork;
		struct {
			const char *filename;
			uint32_t old_tid;
		} exec;
		struct {
			const char *comm;	/* at most 15 bytes */
		} comm;
		struct {
			uint64_t count;	/* 0: maybe some, as of time_ns: a CPU came online
					 * unwatched */
		} lost;
	};
};

struct perf_stats {
	uint64_t records;
	uint64_t transitions;	/* PERF_SOCKET_STATE among them: compare with perf_passed */
	uint64_t lost;		/* sum of the PERF_LOST handed on: records meant for us, not here */
	uint64_t late;		/* CPUs that were online before they were watched: what was done there
				 * meanwhile is not known */
	uint64_t invalid;	/* records that cannot be understood, each one of the lost, too; what
				 * cannot even be a record empties its ring and is one */
};

typedef void perf_handler(const struct perf_event *event, void *data);

/* Finds tracefs (or mounts it privately for the time of reading), reads the formats, opens one
 * ring on every online CPU. Returns 0, or -errno: -EACCES/-EPERM no permission (CAP_PERFMON,
 * lockdown, tracefs unreadable), -ENOENT no such tracepoint or no tracefs, -EMFILE, -ENOMEM or
 * -EPERM for a ring over perf_event_mlock_kb, -EBADMSG a tracepoint's format is not understood.
 * `why` (may be NULL) receives a static phrase for people; with 0 that is "", or what is lost by a
 * tracepoint that is left out, as its format is not understood. The caller owns *out.
 *
 * Needs (tried on 6.18): CAP_DAC_READ_SEARCH where tracefs is mounted and we are not root, or
 * CAP_SYS_ADMIN where it has to be; CAP_PERFMON for the events (CAP_SYS_ADMIN
 * before 5.8, and where kernel.perf_event_paranoid is 3, as Debian has it: tried on its 6.1);
 * CAP_IPC_LOCK for rings above perf_event_mlock_kb (516 KiB: the default just fits); seven
 * descriptors per CPU. Afterwards only perf_update_cpus needs CAP_PERFMON still. */
int perf_open(struct perf **out, const struct perf_config *config, const char **why);

/* An epoll descriptor, readable when an exec record is waiting or a ring is half full: other
 * records do not wake. Each wake-up is told once (asking takes it away): take the clock and call
 * perf_read. Owned by perf. */
int perf_fd(const struct perf *p);

/* Whether exec records wake us (on after perf_open): switched off when they come faster than it
 * pays. A full half ring always wakes. One system call per CPU, none when nothing changes. */
int perf_wake_on_exec(struct perf *p, bool on);

/* Hands on every record up to `until_ns` (CLOCK_MONOTONIC, taken before the call); newer ones stay
 * for the next call. With until_ns = UINT64_MAX everything there is. Records of one CPU come in the
 * order written, records of different CPUs in time order, but for a record that was being written
 * during the last call: it comes late, so times may step back a little. The handler must not call
 * perf_read. Returns the number handed on. */
int perf_read(struct perf *p, uint64_t until_ns, perf_handler *handler, void *data);

/* Opens rings for CPUs that came online since, forgets those that left (once what they wrote has
 * been read). Returns the number of CPUs that should be watched and are not (0: all is well), or
 * -errno. Needs CAP_PERFMON where CPUs change; tracefs is not needed again. Costs two interrupts of
 * each CPU: for a timer of seconds. What happens on a CPU between its return and this call is not
 * seen; the next perf_read begins with a PERF_LOST of count 0 then, and every one does as long as
 * CPUs are missing. */
int perf_update_cpus(struct perf *p);

/* Whether other CPUs are online than at the last perf_update_cpus(), or that failed. One pread(2):
 * for each time that something is concluded from what perf_read() has not told. */
bool perf_cpus_changed(const struct perf *p);

/* Sum of read(2) on the socket state events: the transitions that passed the filter since they were
 * opened, lost or not. Once everything has been read, what is above stats->transitions was lost,
 * whether a LOST record said so or not. One system call per CPU. */
uint64_t perf_passed(const struct perf *p);

/* For when nobody reads any more: has one event of each CPU, which stands still otherwise, count
 * connects (TCP, and SCTP if wanted: CLOSE -> SYN_SENT in every network namespace, loopback too).
 * It goes on as long as somebody has its descriptor. Returns 0 or -errno. */
int perf_count_connects(struct perf *p);

/* The descriptors of these events, borrowed: up to max. Returns how many there are. */
unsigned int perf_counters(const struct perf *p, int *fds, unsigned int max);

/* What such an event has counted. Returns 0, or -EBADF if fd is none. */
int perf_counted(int fd, uint64_t *count);

/* The CPU of the i-th ring, ascending as long as none has come or gone; false behind the last. */
bool perf_cpu(const struct perf *p, unsigned int i, uint32_t *cpu);

/* Whether perf reports what happens while `cpu` is idle, when an interrupt may receive the answer
 * to a connect. Some kernels say nothing of the idle task of some CPUs, without a LOST record
 * and without counting it (6.18 here, CPU 1; 6.1 and 6.12 report all). Naps on that CPU, at
 * most some 100 ms. Returns 0: it does, a value below, or -errno. */
enum { PERF_IDLE_SILENT = 1, PERF_IDLE_UNKNOWN /* it was never idle */ };
int perf_probe_idle(uint32_t cpu);

/* Whether this kernel has inet_sk_error_report (5.14+): without it nobody says why a connect
 * failed. */
bool perf_reports_errors(const struct perf *p);

const struct perf_stats *perf_stats(const struct perf *p);
void perf_close(struct perf *p);

#endif
