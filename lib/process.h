/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NFWHO_PROCESS_H
#define NFWHO_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The live process table: who a pid is, and who it was for a while after it is gone. Built from
 * /proc at start, kept by fork, exec, rename and exit records, completed from /proc once, early.
 */

#define PROCESS_COMM_MAX 16

/* What is known of a process; each bit covers the fields named beside it. */
enum process_known {
	PROCESS_PARENT		= 1 << 0,	/* ppid */
	PROCESS_START		= 1 << 1,	/* start_ticks, start_real_ns */
	PROCESS_COMM		= 1 << 2,
	PROCESS_EXECUTABLE	= 1 << 3,	/* executable, absolute, from /proc/PID/exe */
	PROCESS_EXECUTED	= 1 << 4,	/* executed: the name as passed to execve */
	PROCESS_COMMAND_LINE	= 1 << 5,
	PROCESS_IDS		= 1 << 6,	/* uid, ruid, gid, vpid */
	PROCESS_SESSION		= 1 << 7,	/* pgid, sid, tty */
	PROCESS_LOGIN		= 1 << 8,	/* login_uid, login_session: not (uint32_t)-1 */
	PROCESS_CGROUP		= 1 << 9,	/* cgroup, unit, container */
	PROCESS_NETNS		= 1 << 10,	/* netns */
	PROCESS_USERNS		= 1 << 11,	/* foreign_userns is certain */
	PROCESS_DIRECTORY	= 1 << 12,	/* directory */
	PROCESS_READ		= 1 << 13,	/* /proc was asked, whatever it answered */
};

struct thread;

/*
 * One program in one process: an exec begins a new one with the same pid and start time.
 * Reference counted; a holder keeps it as it was. Strings are as the kernel gave them, any bytes
 * but NUL (command_line: arguments separated by NUL, command_line_len bytes), and bounded. They are
 * shared with forked children (refstr): never changed or freed in place.
 *
 * A forked child has its parent's values and the bits for them, until /proc is read for it, but
 * not the bits of namespaces: clone(2) may have given it others. There netns and foreign_userns
 * are the parent's, likely and not certain.
 *
 * Chains of ancestors are not kept: an image has its parent link while the table or somebody else
 * holds it, not while only its children do.
 */
struct process {
	uint32_t refs;			/* of the table and of holders */
	uint32_t children;		/* images whose parent this is */
	uint32_t known;			/* enum process_known */
	uint32_t pid, ppid;
	uint32_t vpid;			/* in its own pid namespace, the innermost; 0 unknown */
	uint32_t uid, ruid, gid;	/* effective, real; in the collector's user namespace */
	uint32_t pgid, sid;
	uint32_t tty;			/* dev_t as in /proc/PID/stat; 0: none */
	uint32_t login_uid, login_session;
	uint64_t start_ticks;		/* field 22 of /proc/PID/stat: clock ticks since boot */
	uint64_t start_real_ns;		/* the same as wall time, computed once */
	uint64_t exit_ns;		/* CLOCK_MONOTONIC; 0: still alive */
	uint64_t cgroup_id;		/* cgroup v2 id; 0 unknown */
	uint32_t netns;			/* inode of /proc/PID/ns/net */
	bool kernel_thread;
	bool executable_deleted;	/* " (deleted)" was stripped from executable */
	bool foreign_userns;		/* its ids have no names in our passwd */
	bool command_line_cut;
	bool forked;			/* has not called exec: shows its parent's program */
	bool netns_inherited;		/* netns is its parent's, as read in that program */
	char comm[PROCESS_COMM_MAX];	/* of the main thread */
	char *executable;
	char *executed;
	char *command_line;
	uint32_t command_line_len;
	uint32_t args_count;		/* 0: unknown (none, or the line was cut) */
	char *directory;
	char *cgroup;			/* path in the unified (else the systemd) hierarchy */
	char *unit;			/* systemd's; NULL */
	char *container_id;
	const char *container_runtime;	/* a literal: docker, podman, containerd, lxc and so on */
	struct process *parent;		/* a reference; NULL if unknown or already shed */
	char *fragment[2];		/* JSON that lib/record printed: of starts, of ends */
	uint32_t fragment_len[2];
	uint32_t fragment_revision;	/* of lib/record's configuration then */
	uint32_t fragment_known[2];	/* what of it and of its parent was known then */

	/* The table's own. */
	struct process *next, *newer, *older;
	struct thread *threads;		/* living, other than the first */
	uint32_t unlisted_threads;	/* living, for which there was no room */
	uint32_t read_known;		/* bits that the last read gave */
	uint64_t read_begin_ns, read_end_ns;
	uint64_t inherited_ns;		/* when what it has from its parent was read of that one */
	uint64_t seen_ns;		/* of the record that made it; 0: made from /proc */
	uint64_t begun_ns;		/* of the exec that began it, told after /proc had shown it; 0 */
	uint64_t checked_ns;		/* when it was last known to be true */
	uint64_t start_stack;		/* of the program that was read */
	char comm_before[PROCESS_COMM_MAX];
	bool start_computed;		/* start_ticks may be one more than the kernel's */
	bool first_thread_gone;
};

struct process_table;

struct process_config {
	uint32_t max_processes;		/* live and remembered; the oldest dead go first */
	uint64_t linger_ns;		/* how long a dead one is remembered */
	uint32_t command_line_max_bytes;
	uint32_t reads_per_second;	/* bound on process_read(); 0: none */
	int proc_fd;			/* directory descriptor of /proc, borrowed */
};

struct process_stats {
	uint64_t live, remembered, shed;	/* shed: dropped for max_processes */
	uint64_t reads, reads_late;		/* late: the process was gone */
	uint64_t reads_deferred;		/* put off for reads_per_second */
	uint64_t failures;	/* files of /proc not read for want of descriptors or memory, or EIO */
	int last_failure;	/* errno of the last of them */
};

int process_table_new(struct process_table **out, const struct process_config *config);
void process_table_free(struct process_table *t);

/* Reads every process there is, wholly (about 60 us each). What the life records say of the same
 * time, before or after, changes nothing. Returns 0 or -errno. */
int process_scan(struct process_table *t);

/* Life records, in time order (CLOCK_MONOTONIC). comm and filename are copied. */
void process_fork(struct process_table *t, uint64_t time_ns, uint32_t pid, uint32_t tid,
		  uint32_t parent_pid, uint32_t parent_tid);
void process_exec(struct process_table *t, uint64_t time_ns, uint32_t pid, const char *filename);
void process_comm(struct process_table *t, uint64_t time_ns, uint32_t pid, uint32_t tid,
		  const char *comm);
void process_exit(struct process_table *t, uint64_t time_ns, uint32_t pid, uint32_t tid);

/* Life records were lost at about time_ns: what the table knew before is checked against /proc when
 * it is next asked for. */
void process_lost(struct process_table *t, uint64_t time_ns);

/* The cgroup id of a sample of this process. Another one than before takes back what was read of
 * the cgroup. */
void process_set_cgroup(struct process *p, uint64_t cgroup_id);

/* The program that pid runs at this point of the record stream, or ran last. Borrowed; NULL if
 * unknown. */
struct process *process_get(struct process_table *t, uint32_t pid);

/* The process that has this pid now: start time checked, made from /proc if the table has it not
 * (older than the trace, or no trace at all). start_ticks != 0: only that very process. Borrowed;
 * NULL if it is gone. */
struct process *process_find(struct process_table *t, uint32_t pid, uint64_t start_ticks);

/* Reads what only /proc has, once, command line first, if the process is still the same one (one
 * descriptor for all files, start time compared). Sets PROCESS_READ, unless it is put off for
 * reads_per_second. An exec record that is older than a read moves what was read to the program it
 * began. Returns true if anything new is known. */
bool process_read(struct process_table *t, struct process *p);

/* The same for processes whose exec has just been told, newest last. They may be gone within a
 * millisecond: the command lines of all are read before anything else of the first. */
void process_read_new(struct process_table *t, const uint32_t *pids, unsigned int count);

/* Whether what is known of it, or of its parent, was read after time_ns, and perhaps of the next
 * program, whose exec nobody has told of yet. One whose end has been told of has no next
 * program. */
bool process_is_ahead(const struct process *p, uint64_t time_ns);

/* Whether this program can have run in this process then, as far as has been told. */
bool process_ran_at(struct process_table *t, const struct process *p, uint64_t time_ns);

/* Whether it has surely started later than that: false if it is not known when it did. One tick of
 * tolerance: the start is taken a little before its record. */
bool process_starts_after(struct process_table *t, const struct process *p, uint64_t time_ns);

/* Whether it, or its program, may have begun later than that. */
bool process_may_begin_after(struct process_table *t, const struct process *p, uint64_t time_ns);

/* Looks at /proc again: names, ids and cgroup may be others, and without a trace the table hears of
 * no exec: then the image returned is a new one. Borrowed; NULL if the process is gone, or if
 * nothing can be read now: it stays in the table then. */
struct process *process_refresh(struct process_table *t, struct process *p);

/* The name of a thread (tid == pid: the process's). "" if unknown. */
const char *process_thread_name(struct process_table *t, uint32_t pid, uint32_t tid);

/* Forgets what died before now_ns - linger_ns. O(what is dropped). */
void process_expire(struct process_table *t, uint64_t now_ns);

struct process *process_ref(struct process *p);
void process_unref(struct process *p);

const struct process_stats *process_stats(const struct process_table *t);

#endif
