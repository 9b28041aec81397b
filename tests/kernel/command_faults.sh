#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# command_faults.sh [rules|check]
#
# Every system call of `nfwho rules` and `nfwho check` is made to fail. They do what they say or say
# what they could not, and leave no half of it.
#
# Without an argument each call of rules fails at its first two positions, with one errno, and of check
# some that nothing else makes; with one, each at all positions, with every errno: check, which takes a
# second, at some.

. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/judge.sh"
. "$(dirname "$0")/calls.sh"

((sanitized)) || command -v strace >/dev/null || skip_all "needs strace"
etc=$work/etc
unstruck=

# failing_command CALL ERRNO FIRST ARGUMENT…
failing_command()
{
	rm -f "$told"
	here timeout --kill-after=1 20 "$fault" "$1" "$2" "$3" --tell "$told" "$NFWHO" "${@:4}" \
		>"$work/out" 2>"$said" </dev/null
	status=$? runs=1 seen=0 failures=0 problems=
	wait_for 5 all_told
}

installed()
{
	cmp "$etc/nfwho.nft" "$work/whole.nft" && here nft list table inet nfwho
}

removed()
{
	[[ ! -e $etc/nfwho.nft ]] && ! here nft list table inet nfwho
}

# judge_command TITLE DONE: it did what it says, and left no half of it.
judge_command()
{
	case $status in
	0) "$2" >"$work/out" 2>&1 || problem "it is not $2" ;;
	1 | 2) grep -q '^nfwho: ' "$said" || problem "it ends without a word" ;;
	*) problem "it ends with status $status" ;;
	esac
	grep -q 'Sanitizer\|runtime error' "$said" && problem "a sanitizer has something to say"
	[[ ! -e $etc/nfwho.nft ]] || cmp -s "$etc/nfwho.nft" "$work/whole.nft" ||
		problem "it leaves half a file"
	[[ $1 == *unlinkat* || -z $(find "$etc" -mindepth 1 ! -name nfwho.nft 2>/dev/null) ]] ||
		problem "it leaves $(ls -A "$etc")"
	note "$1"
}

install_fails()
{
	here nft delete table inet nfwho 2>"$work/out"
	rm -rf "$etc"
	failing_command "$@" rules install --file "$etc/nfwho.nft"
	judge_command "rules install: $*" installed
}

remove_fails()
{
	here "$NFWHO" rules install --file "$etc/nfwho.nft" 2>"$work/out"
	failing_command "$@" rules remove --file "$etc/nfwho.nft"
	judge_command "rules remove: $*" removed
}

# What others would see of it.
left_behind()
{
	here nft list ruleset
	here ip -br link
}

# Whatever it cannot find out is said as such.
check_fails()
{
	failing_command "$@" check --output "file:$work/checked.json"
	case $status in
	0) ;;
	1 | 3) grep -q '^less\|^NO' "$work/out" || problem "it does not say what it cannot" ;;
	2) grep -q '^nfwho: .*nfwho\.conf: ' "$said" || problem "it ends without a word" ;;
	*) problem "it ends with status $status" ;;
	esac
	[[ $(left_behind) == "$clean" ]] || problem "it leaves $(left_behind)"
	grep -q 'Sanitizer\|runtime error' "$said" && problem "a sanitizer has something to say"
	note "check: $*"
}

# known_to_fail TITLE COMMAND…: sets made, but with sanitizers, whose runtime
# makes calls of its own.
known_to_fail()
{
	local under=(strace -f -qq -o "$work/calls")

	((sanitized)) && under=()
	here "${under[@]}" "$NFWHO" "${@:2}" >"$work/out" 2>&1 </dev/null
	made=
	((sanitized)) || tell_unknown "$1"
}

# failing_at FIRST,… FUNCTION CALL…: each call at each of these positions, as long as it is made so often,
# with one errno, or in a whole sweep with each. One that the loader alone makes is at none.
failing_at()
{
	local first call error struck

	for call in "${@:3}"; do
		struck=0
		for error in $(errnos "$call" | if ((whole)); then cat; else cut -d ' ' -f 1; fi); do
			for first in ${1//,/ }; do
				"$2" "$call" "$error" "$first"
				struck=$((struck + failures))
				((seen < first)) && break
			done
		done
		failures=$struck note_struck "$call"
	done
}

# rules [whole]: at the first positions, or at all.
rules()
{
	local whole=${1:+1} positions=1,2
	local install='bind close fchmod fsync mkdir openat recvmsg renameat sendto setsockopt socket write'
	local remove='bind close openat read recvmsg sendto setsockopt socket unlinkat'

	((whole)) && positions=$(seq -s , 200)
	known_to_fail "rules install" rules install --file "$etc/nfwho.nft"
	cp "$etc/nfwho.nft" "$work/whole.nft"
	failing_at $positions install_fails $(printf '%s\n' $install $made | sort -u)
	verdict "rules install: a call that fails"
	known_struck "rules install: those that it is made of were made to fail" $install
	known_to_fail "rules remove" rules remove --file "$etc/nfwho.nft"
	failing_at $positions remove_fails $(printf '%s\n' $remove $made | sort -u)
	verdict "rules remove: a call that fails"
	known_struck "rules remove: those that it is made of were made to fail" $remove
	here "$NFWHO" rules remove --file "$etc/nfwho.nft" 2>"$work/out"
}

# check [whole]: by what its own connection is made and followed, or by all.
check_command()
{
	local whole=${1:+1} positions=1 own='accept clone connect kill pipe2 wait4' calls

	calls=$own
	known_to_fail check check --output "file:$work/checked.json"
	((whole)) && positions=1,2,3,5,8,12,20,40,80 calls="$own $made"
	failing_at $positions check_fails $calls
	verdict "check: a call that fails"
	known_struck "check: those that nothing else makes were made to fail" $own
}

netns_pair
clean=$(left_behind)
case ${1-} in
rules) rules whole ;;
check) check_command whole ;;
*)
	rules
	check_command ;;
esac
finish
