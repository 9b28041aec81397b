# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# The system calls that nfwho makes, and how each can fail. Sourced by the tests that make them fail.

fault=$NFWHO_BUILD/tests/kernel/fault
[[ -x $fault ]] || skip_all "$fault is not built"

# What is called at the start, and what goes on to be called.
starting='bind capget capset chdir clock_nanosleep close epoll_create1 epoll_ctl fchmod fcntl
flock fsconfig fsmount fsopen fstatfs getcwd getdents64 getrandom getsockname getsockopt ioctl lseek mmap
mount mount_setattr munmap newfstatat openat perf_event_open poll prctl pread64 prlimit64 read readlink
readlinkat recvmmsg recvmsg renameat sched_setattr seccomp sendto setsockopt signalfd4 socket timerfd_create
timerfd_settime unlinkat unshare write'
working='close epoll_wait getsockopt newfstatat openat pread64 read readlinkat
recvmmsg recvmsg renameat sendto timerfd_settime unlinkat write'

# Those of the start without which there is none.
refusing='bind epoll_create1 epoll_ctl fcntl flock getdents64 mmap openat signalfd4 socket
timerfd_create'

# What the other configurations and commands call beside these.
also='accept clock_adjtime clone connect dup dup2 faccessat2 fchown fsync ftruncate kill listen
memfd_create mkdir open_by_handle_at pipe2 pwrite64 recvfrom sched_getaffinity sched_setaffinity sendmmsg
sendmsg setgroups setresgid setresuid unlink wait4'

# What glibc before 2.33 calls where later ones call newfstatat: made to fail where it is called.
older='fstat lstat stat'

# Not made to fail: they cannot, or the C library makes them and does without. brk says otherwise
# than by an errno that it failed. clock_gettime is a call where there is no clock to be read without
# (an emulated processor), syscall_0x1ba is what an older strace calls mount_setattr, and with
# restart_syscall a poll goes on that strace's own signal has interrupted.
never=' access arch_prctl brk clock_gettime execve exit_group futex geteuid getpid getuid gettid mprotect restart_syscall
rseq rt_sigaction rt_sigprocmask set_robust_list set_tid_address syscall_0x1ba uname umask getppid '

# The errnos of a call: what the kernel gives by the manual pages, for lack of memory or
# descriptors, or because a security module refuses. Not EAGAIN where something is queued: that would
# be a lie, and absence is evidence.
errnos()
{
	case $1 in
	accept | pipe2) echo EMFILE ENFILE ENOMEM ;;
	bind | listen) echo ENOMEM EADDRINUSE EPERM ;;
	capget | capset) echo EPERM ;;
	clock_adjtime | kill | sched_getaffinity | sched_setaffinity) echo EPERM ;;
	clone) echo EAGAIN ENOMEM ;;
	connect) echo ECONNREFUSED ENOENT EAGAIN ;;
	dup | dup2 | memfd_create) echo EMFILE ENFILE ENOMEM ;;
	faccessat2 | mkdir) echo EACCES ENOMEM EIO ;;
	fchown) echo EPERM EROFS ;;
	fsync | ftruncate | pwrite64) echo EIO ENOSPC ;;
	open_by_handle_at) echo EPERM ENOMEM ;;
	sendmmsg | sendmsg) echo ENOBUFS ECONNREFUSED ENOMEM ;;
	setgroups | setresgid | setresuid) echo EPERM ENOMEM ;;
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
	recvfrom | recvmmsg | recvmsg) echo ENOBUFS ENOMEM EINTR ;;
	renameat | unlink | unlinkat) echo ENOSPC EIO EROFS EACCES ;;
	seccomp) echo ENOMEM EINVAL EACCES ;;
	sendto) echo ENOBUFS ENOMEM EINTR EAGAIN EPERM ;;
	setsockopt) echo EPERM ENOMEM ENOPROTOOPT ;;
	socket) echo EMFILE ENFILE ENOBUFS EAFNOSUPPORT EPERM EPROTONOSUPPORT ;;
	timerfd_settime) echo ECANCELED EINVAL ;;
	wait4) echo EINTR ;;
	write) echo ENOSPC EIO EINTR EDQUOT EAGAIN ;;
	esac
}

# Sets made, from what strace wrote.
tell_unknown()
{
	local call unknown=

	made=
	for call in $(sed 's/^[0-9]* *//; s/(.*//' "$work/calls" | grep '^[a-z0-9_]*$' | sort -u); do
		[[ " $older " == *" $call "* && " $starting " != *" $call "* ]] &&
			starting+=" $call" working+=" $call"
		[[ " $starting $working $also $never " == *[[:space:]]"$call"[[:space:]]* ]] ||
			unknown+=" $call"
		made+=" $call"
	done
	equal "$1: every call that is made is made to fail" "$unknown" ""
}

# Whether this call was made to fail in the last run, into unstruck. What only the loader makes is never.
note_struck()
{
	((failures)) || unstruck+=" $1"
}

# known_struck TITLE CALL…: those that it is known to make were made to fail; the others are named. Whether
# the older ones are made at the start, at work or at both nobody has told.
known_struck()
{
	local title=$1 call missed=

	for call in $unstruck; do
		[[ " $older " != *" $call "* && " ${*:2} " == *[[:space:]]"$call"[[:space:]]* ]] && missed+=" $call"
	done
	echo "# not made to fail:$unstruck"
	equal "$title" "$missed" ""
	unstruck=
}
