#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# faults.sh [all|CALL…]
#
# Every system call that nfwho makes is made to fail: at the start, while it works, while it reads
# its configuration again. It may refuse to start, and it may go on with less; it may not die of a
# signal, hang, leak, write half a line or a wrong one, or lose something without a word on stderr
# or a number in the ledger.
#
# Without an argument each call fails once at the start and for a while at work, with one errno.
# With "all", or with the names of calls, it fails at each position up to the tenth, at some later
# ones, and from one on, with every errno that the kernel gives: all of them take about an hour.

. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/judge.sh"

fault=$NFWHO_BUILD/tests/kernel/fault
[[ -x $fault ]] || skip_all "$fault is not built"

# What is called at the start, and what goes on to be called.
starting='access bind capget capset chdir clock_nanosleep close epoll_create1 epoll_ctl fchmod fcntl
flock fsconfig fsmount fsopen fstatfs getcwd getdents64 getrandom getsockname getsockopt ioctl lseek mmap
mount mount_setattr munmap newfstatat openat perf_event_open poll prctl pread64 prlimit64 read readlink
readlinkat recvmmsg recvmsg renameat sched_setattr seccomp sendto setsockopt signalfd4 socket timerfd_create
timerfd_settime unlinkat unshare write'
working='close epoll_ctl epoll_wait getsockopt ioctl newfstatat openat pread64 read readlinkat
recvmmsg recvmsg renameat sendto timerfd_settime unlinkat write'

# Those of the start without which there is none.
refusing='bind epoll_create1 epoll_ctl fcntl flock getdents64 mmap openat signalfd4 socket
timerfd_create'

# What glibc before 2.33 calls where later ones call newfstatat: made to fail where it is called.
older='fstat lstat stat'

# Not made to fail: they cannot, or the C library makes them and does without. brk says otherwise
# than by an errno that it failed. clock_gettime is a call where there is no clock to be read without
# (an emulated processor), and syscall_0x1ba is what an older strace calls mount_setattr.
never=' arch_prctl brk clock_gettime execve exit_group geteuid getpid getuid gettid mprotect rseq
rt_sigaction rt_sigprocmask set_robust_list set_tid_address syscall_0x1ba uname umask getppid '

# The errnos of a call: what the kernel gives by the manual pages, for lack of memory or
# descriptors, or because a security module refuses. Not EAGAIN where something is queued: that would
# be a lie, and absence is evidence.
errnos()
{
	case $1 in
	access) echo EACCES ENOMEM EIO ;;
	bind) echo ENOMEM EADDRINUSE EPERM ;;
	capget | capset) echo EPERM ;;
	chdir | sched_setattr | unshare) echo EPERM ENOMEM ;;
	clock_nanosleep | epoll_wait) echo EINTR ;;
	close) echo EIO EINTR ENOSPC ;;
	epoll_create1 | signalfd4 | timerfd_create) echo EMFILE ENFILE ENOMEM ;;
	epoll_ctl) echo ENOMEM ENOSPC EPERM ;;
	fchmod) echo EPERM EROFS EIO ;;
	fcntl) echo EINVAL ENOLCK ;;
	flock) echo ENOLCK EAGAIN EINTR ;;
	fsconfig | fsmount | fsopen | mount | mount_setattr) echo EPERM ENOSYS ENOMEM EBUSY ;;
	fstatfs) echo EIO ENOMEM ;;
	getcwd) echo ENOENT ENOMEM ;;
	getdents64) echo EIO ENOENT ENOMEM ;;
	getrandom) echo ENOSYS EAGAIN EINTR ;;
	getsockname) echo ENOBUFS ENOMEM ;;
	getsockopt) echo ENOPROTOOPT ENOMEM ;;
	ioctl) echo ENOMEM EINVAL EINTR ;;
	lseek) echo ESPIPE ;;
	mmap) echo ENOMEM EAGAIN EPERM ;;
	munmap) echo ENOMEM ;;
	newfstatat | fstat | lstat | stat) echo ENOMEM EACCES EIO ENOENT ;;
	openat) echo EMFILE ENFILE ENOMEM EACCES EINTR EIO ;;
	perf_event_open) echo EMFILE EACCES ENODEV ENOMEM ENOENT EINVAL ENOSPC ;;
	poll) echo EINTR ENOMEM ;;
	prctl) echo EPERM EINVAL ;;
	pread64) echo EIO EINTR ;;
	prlimit64) echo EPERM ;;
	read) echo EIO EINTR ENOMEM ESRCH EAGAIN ;;
	readlink | readlinkat) echo EACCES ENOMEM EIO ENOENT ENAMETOOLONG ;;
	recvmmsg | recvmsg) echo ENOBUFS ENOMEM EINTR ;;
	renameat | unlinkat) echo ENOSPC EIO EROFS EACCES ;;
	seccomp) echo ENOMEM EINVAL EACCES ;;
	sendto) echo ENOBUFS ENOMEM EINTR EAGAIN EPERM ;;
	setsockopt) echo EPERM ENOMEM ENOPROTOOPT ;;
	socket) echo EMFILE ENFILE ENOBUFS EAFNOSUPPORT EPERM EPROTONOSUPPORT ;;
	timerfd_settime) echo ECANCELED EINVAL ;;
	write) echo ENOSPC EIO EINTR EDQUOT EAGAIN ;;
	esac
}

# failing CALL ERRNO FIRST[-[LAST]] [--while FILE]
failing()
{
	local may_leak=0

	# It is not made: the kernel's own closes the descriptor, whatever it says (close(2)).
	[[ $1 == close ]] && may_leak=1000
	one "$*" "$fault" "$@" --tell "$told"
}

at_start()
{
	failing "$1" "$2" 1
}

# For a while; no call fails for ever with what is tried again at once. What is called with each ledger
# has its turn within a second.
at_work()
{
	local relent=file_removed

	[[ " $working " == *[[:space:]]"$1"[[:space:]]* ]] && relent=struck_and_over
	recovers=1 failing "$1" "$2" 1-200 --while "$on"
}

struck_and_over()
{
	gone "$collector" || wait_for 2 test -s "$on"
	file_removed
}

# How often a sound run makes the call is not known beforehand: it ends where it does not.
everywhere()
{
	local call=$1 error=$2 first

	for first in {1..10} 12 15 20 30 50 80 130 200 300 500 700 1000; do
		failing "$call" "$error" "$first"
		((seen < first)) && break
	done
	# Said once for each cause: no kernel gives them for ever.
	[[ $error == EINTR || $error == EAGAIN ]] && return
	for first in 1 3 10 30 100 300 1000; do
		failing "$call" "$error" "$first-"
		((seen < first)) && break
	done
}

sweep()
{
	local call=$1 error

	for error in $(errnos "$call"); do
		everywhere "$call" "$error"
		at_work "$call" "$error"
		verdict "$call fails with $error"
	done
}

# Calls that the lists above do not know would never be made to fail.
known_calls()
{
	local call unknown=

	command -v strace >/dev/null || { skip "every call is made to fail" "needs strace"; return; }
	one "under strace" strace -D -qq -o "$work/calls"
	wait_for 5 grep -q exit_group "$work/calls"
	for call in $(sed 's/(.*//' "$work/calls" | grep '^[a-z0-9_]*$' | sort -u); do
		[[ " $older " == *" $call "* ]] && starting+=" $call" working+=" $call"
		[[ " $starting $working $never " == *[[:space:]]"$call"[[:space:]]* ]] || unknown+=" $call"
		made+=" $call"
	done
	equal "every call that is made is made to fail" "$unknown" ""
	: >"$work/bad"
	bad=0
}

# Whether this call was made to fail in the last run. What only the loader makes is never.
note_struck()
{
	((failures)) || unstruck+=" $1"
}

# known_struck TITLE CALL…: those that it is known to make were made to fail; the others are named.
known_struck()
{
	local title=$1 call missed=

	for call in $unstruck; do
		[[ " ${*:2} " == *[[:space:]]"$call"[[:space:]]* ]] && missed+=" $call"
	done
	echo "# not made to fail:$unstruck"
	equal "$title" "$missed" ""
	unstruck=
}

# With sanitizers, which find leaks, what makes it refuse to start, or its configuration; without
# them the others.
representative()
{
	local call calls= made= unstruck=

	if ((sanitized)); then
		calls=$refusing
		working='newfstatat openat read write'
		made="$refusing openat read write"
	else
		known_calls
		for call in $starting; do
			[[ " $refusing " == *[[:space:]]"$call"[[:space:]]* ]] || calls+=" $call"
		done
	fi
	for call in $calls; do
		brief=1 at_start "$call" "$(errnos "$call" | cut -d ' ' -f 1)"
		note_struck "$call"
	done
	verdict "a call that fails at the start"
	known_struck "each that is made at the start was made to fail" $made
	for call in $working; do
		at_work "$call" "$(errnos "$call" | cut -d ' ' -f 1)"
		note_struck "$call"
	done
	verdict "a call that fails at work"
	known_struck "each that is made at work was made to fail" $made
}

netns_pair
serve 80
sound_run
if (($# == 0)); then
	representative
	finish
fi
[[ $1 == all ]] && set -- $(tr ' ' '\n' <<<"$starting $working" | sort -u)
for call; do
	sweep "$call"
done
finish
