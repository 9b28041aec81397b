#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# faults.sh [CONFIGURATION] [all|CALL…]
#
# Every system call that nfwho makes is made to fail: at the start, while it works, while it reads
# its configuration again. It may refuse to start, and it may go on with less; it may not die of a
# signal, hang, leak, write half a line or a wrong one, or lose something without a word on stderr
# or a number in the ledger.
#
# Without an argument each call fails once at the start and for a while at work, with one errno, and
# in each other configuration those that no configuration before it makes. With "all", or with the
# names of calls, it fails at each position up to the tenth, at some later ones, and from one on, with
# every errno that the kernel gives: all of them take about an hour, in one configuration (usual).

. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/judge.sh"
. "$(dirname "$0")/calls.sh"

struck=0	# how many calls failed, in all runs

# configure usual|untraced|outputs|kept: what the collector is started with beside what every run has.
# untraced: as another user, who has to find the holders of sockets. outputs: to each kind, and to a
# file that ends in half a record and is soon full. kept: by a manager, and once more with what it kept.
configure()
{
	options=() named=1 hold_ms=0 managed=0 prepare=:
	case $1 in
	untraced)
		options=(--trace off --user nobody) named=0 hold_ms=100
		chown nobody "$work" ;;
	outputs)
		options=(--output "file:$work/file.json.full,size=64K,keep=2,group=daemon"
			--output "unix:$work/datagram" --output "stream:$work/stream"
			--output tcp:127.0.0.1:514 --output "ulogd:$work/stream")
		prepare=fill
		[[ -S $work/stream ]] || read_outputs ;;
	kept)
		managed=1 ;;
	esac
}

fill()
{
	yes '{"event":{}}' | head -c 64000 >"$work/file.json.full"
}

read_outputs()
{
	local from

	for from in "UNIX-RECV:$work/datagram" "UNIX-LISTEN:$work/stream,fork" \
		TCP-LISTEN:514,bind=127.0.0.1,fork; do
		background "$HERE" socat -u "$from" OPEN:/dev/null
	done
	wait_for 10 test -S "$work/datagram" -a -S "$work/stream" && wait_for 10 listening "$HERE" 514
}

# failing CALL ERRNO FIRST[-[LAST]] [--while FILE]
failing()
{
	local may_leak=0

	# It is not made: the kernel's own closes the descriptor, whatever it says (close(2)).
	[[ $1 == close ]] && may_leak=1000
	one "$*" "$fault" "$@" --tell "$told"
	struck=$((struck + failures))
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
	gone "$collector" || wait_for $((2 * slow)) test -s "$on"
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
	local call=$1 error before

	for error in $(errnos "$call"); do
		before=$struck
		everywhere "$call" "$error"
		at_work "$call" "$error"
		if ((struck == before && !bad)); then
			echo "# $call is not made: none failed with $error"
		else
			verdict "$call fails with $error"
		fi
	done
}

# Sets made. Calls that the lists above do not know would never be made to fail.
known_calls()
{
	local title=$1

	made=
	command -v strace >/dev/null || { skip "$title: every call is made to fail" "needs strace"; return; }
	rm -f "$work/calls"
	one "under strace" strace -D -A -qq -o "$work/calls"
	wait_for 5 all_ended
	tell_unknown "$title"
	: >"$work/bad"
	bad=0
}

all_ended()
{
	(($(grep -c exit_group "$work/calls") == runs))
}

# struck_by CALL COMMAND…: what is made only now and then, as the search for a cgroup is for who is not found,
# may not be made in a run: up to three of them, if it is one of those made.
struck_by()
{
	local call=$1 run
	shift

	for run in 1 2 3; do
		"$@"
		((failures)) || [[ " $made " != *[[:space:]]"$call"[[:space:]]* ]] && break
	done
	note_struck "$call"
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
		known_calls usual
		for call in $starting; do
			[[ " $refusing " == *[[:space:]]"$call"[[:space:]]* ]] || calls+=" $call"
		done
	fi
	for call in $calls; do
		brief=1 struck_by "$call" at_start "$call" "$(errnos "$call" | cut -d ' ' -f 1)"
	done
	verdict "a call that fails at the start"
	known_struck "each that is made at the start was made to fail" $made
	for call in $working; do
		struck_by "$call" at_work "$call" "$(errnos "$call" | cut -d ' ' -f 1)"
	done
	verdict "a call that fails at work"
	known_struck "each that is made at work was made to fail" $made
}

# What only this configuration makes.
representative_of()
{
	local configuration=$1 call made unstruck=

	configure "$configuration"
	sound_run "$configuration"
	known_calls "$configuration"
	for call in $also; do
		[[ " $made " == *" $call "* ]] || continue
		brief=1 struck_by "$call" failing "$call" "$(errnos "$call" | cut -d ' ' -f 1)" 1-2
	done
	verdict "$configuration: a call that fails"
	known_struck "$configuration: each that is made was made to fail" $made
}

netns_pair
serve 80
case ${1-} in
untraced | outputs | kept)
	configure "$1"
	sound_run "$1"
	shift ;;
*)
	configure usual
	sound_run usual ;;
esac
if (($# == 0)); then
	representative
	((sanitized)) && finish
	for configuration in untraced outputs kept; do
		representative_of "$configuration"
	done
	finish
fi
[[ $1 == all ]] && set -- $(tr ' ' '\n' <<<"$starting $working" | sort -u)
for call; do
	sweep "$call"
done
check "of all these calls some were made to fail" test "$struck" -gt 0
finish
