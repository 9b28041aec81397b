#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# hardship.sh [all]
#
# What can befall a running collector other than a call that fails: no descriptors left, netlink
# messages cut or late, a clock that is set, no memory, no tracefs, a /proc that hides processes, a
# CPU that leaves and comes back. It may go on with less and has to say so; it may not die, hang,
# write a wrong record or lose one without a word. With "all", every message and every allocation
# has its turn: about half an hour. With sanitizers messages are mangled from the start, and else
# without a trace; late ones, the clock and memory (which is theirs) are left out.

# Mounts that nobody else sees, and that are gone with this script.
if [[ ! ${NFWHO_OWN_MOUNTS:-} ]]; then
	NFWHO_OWN_MOUNTS=1 exec unshare --mount --propagation private "$0" "$@"
fi
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/judge.sh"

preloads=$NFWHO_BUILD/tests/kernel
[[ -e $preloads/mangle.so ]] || skip_all "$preloads/mangle.so is not built"
all=0
[[ ${1:-} == all ]] && all=1
cpu=/sys/devices/system/cpu/cpu1/online

# with LIBRARY VARIABLE=VALUE… : for `one`.
with()
{
	preloaded=(env "LD_PRELOAD=$preloads/$1.so" "FAULT_TELL=$told" "${@:2}")
}

# --- no descriptors

descriptors_taken()
{
	local has

	has=$(find "/proc/$collector/fd" -type l | wc -l)
	prlimit --pid "$collector" --nofile="$((has + spare)):"
}

descriptors_given()
{
	gone "$collector" || prlimit --pid "$collector" --nofile=1024:
}

# As many as it has, or one more, and none for whatever it wants to open.
no_descriptors()
{
	local befall=descriptors_taken relent=descriptors_given spare

	for spare in 0 1; do
		must_tell=1 recovers=1 one "$spare descriptors" env
	done
	verdict "without descriptors it goes on, says so, and recovers"
}

# --- netlink

# mangled_for_a_while TITLE: packets and conntrack's messages, and each is counted.
mangled_for_a_while()
{
	with mangle "FAULT_NETLINK=$how" "FAULT_WHILE=$on"
	recovers=1 one "$1" "${preloaded[@]}"
	(($(figure ledger.conntrack_lost) > 0 &&
	  $(figure ledger.sequence_gap) + $(figure ledger.undecodable) > 0)) ||
		not_ok "$1: both are counted"
}

mangled()
{
	local how must_strike=1

	for how in cut short long tiny; do
		((sanitized)) || mangled_for_a_while "messages that are $how for a while"
		with mangle "FAULT_NETLINK=$how"
		one "messages that are $how from the start" "${preloaded[@]}"
		((all)) && each_message "$how"
		verdict "netlink messages that are $how"
	done
}

# Without a trace sock_diag's answers say who has a socket: mangled, they say nothing, and nobody else is
# named. With packets mangled as well nobody would ask it.
mangled_answers()
{
	local options=(--trace off) named=0 hold_ms=100 how must_strike=1

	must_strike=0 sound_run "no trace"
	check "no trace: holders of sockets are found" test "$(figure right)" -ge 6
	for how in cut short long tiny; do
		mangled_for_a_while "no trace, and messages that are $how for a while"
		with mangle "FAULT_NETLINK=$how" FAULT_BUS=4 "FAULT_WHILE=$on"
		recovers=1 one "no trace, and answers of sock_diag that are $how" "${preloaded[@]}"
		check "no trace, and answers of sock_diag that are $how: it says so" \
			grep -q 'sockets could not be looked up' "$said"
	done
	verdict "netlink messages that are mangled without a trace"
}

# Each takes longer than a batch of NFLOG, a request and the pause between two wake-ups.
late()
{
	local call must_strike=1

	for call in recvmsg recvmmsg; do
		recovers=1 one "messages that are late for a while ($call)" \
			"$NFWHO_BUILD/tests/kernel/fault" $call 60 1-40 --while "$on" --tell "$told"
	done
	# What is read too late is nobody's, which is what its record says.
	named=0 one "messages that are late from the start" "$NFWHO_BUILD/tests/kernel/fault" \
		recvmsg 20 1-60 --tell "$told"
	verdict "netlink messages that are late"
}

each_message()
{
	local number must_strike=0

	for number in {1..60}; do
		with mangle "FAULT_NETLINK=$1" "FAULT_MESSAGES=$number"
		one "message $number $1" "${preloaded[@]}"
		((seen < number)) && break
	done
}

# --- the clock

clock_set()
{
	echo "$step" >"$work/clock"
}

clock_set_back()
{
	echo 0 >"$work/clock"
}

# How many connections were recorded at a time that is as wrong as the clock was.
at_that_time()
{
	jq -r --argjson off "$step" --argjson now "$EPOCHSECONDS" '
		select(.event.action == "connection_attempted") |
		(.event.created[:19] + "Z" | fromdate) - $now - $off |
		select(. > -60 and . <= 60)' "$records" | wc -l
}

# Records of a clock that was set are as wrong as the clock, but no connection lasts longer for it.
clock_is_set()
{
	local befall=clock_set relent=clock_set_back step

	for step in 3600 -3600 $( ((all)) && echo 1 -1 315360000 -31536000); do
		clock_set_back
		with clock "FAULT_CLOCK=$work/clock"
		one "the clock is set by $step s" "${preloaded[@]}"
		check "the clock is set by $step s" test "$seen" -gt 0
		((${step#-} == 1)) || equal "the clock is set by $step s: what is recorded then says so" \
			"$(at_that_time)" 6
		equal "the clock is set by $step s: it says so, there and back" \
			"$(grep -o 'the clock went by [-+]' "$said" | xargs)" \
			"$( ((step > 0)) && echo the clock went by + the clock went by - ||
				echo the clock went by - the clock went by +)"
		check "the clock is set by $step s: all is named" \
			test "$(figure right) $(figure missing)" == "18 0"
		equal "the clock is set by $step s: no connection took longer than it did" "$(jq -c '
			select(.event.duration != null and
			       (.event.duration < 0 or .event.duration > 60e9)) |
			[.event.action, .event.duration]' "$records")" ""
	done
	verdict "a clock that is set"
}

# --- memory

# Which allocations are tried: here and there, or each.
allocations()
{
	if ((all)); then
		seq 1 "$1"
	else
		seq 3 "$(($1 / 6 + 1))" "$1"
	fi
}

# allocation NUMBER[-] TITLE: it fails, and no more is left at the end than in a sound run.
allocation()
{
	with short_of_memory "FAULT_ALLOCATION=$1" "FAULT_HELD=$work/held"
	one "$2" "${preloaded[@]}"
	[[ $1 == 0 || $failures != 0 ]] || echo "# $2: not made"
	(($(<"$work/held") <= left)) && return
	problems="$(<"$work/held") allocations are left at the end, not $left"
	note "$2"
}

no_memory()
{
	local number whole left=1000

	allocation 0 "allocations counted"
	whole=$seen left=$(<"$work/held")
	check "allocations are counted" test "$whole" -gt 50
	for number in $(allocations "$whole"); do
		allocation "$number" "allocation $number of $whole"
	done
	for number in $((whole / 3)) $((whole * 3 / 4)); do
		allocation "$number-" "no memory after allocation $number of $whole"
	done
	verdict "an allocation that fails"
}

# --- what is mounted

# In these mounts, and in the collector's own, which it has made of them.
tracefs_leaves()
{
	local of at

	for of in $$ "$collector"; do
		for at in $(awk '$3 == "tracefs" { print $2 }' "/proc/$of/mounts"); do
			nsenter --mount="/proc/$of/ns/mnt" -- umount -l "$at" && left=$of
		done
		! grep ' tracefs ' "/proc/$of/mounts" || problem "tracefs stays"
	done
	# Where files cannot be made read-only (Linux 5.10) it has no mounts of its own.
	[[ /proc/$$/ns/mnt -ef /proc/$collector/ns/mnt ]] && left=$collector
	return 0
}

# The rings that are open stay open, and nothing is looked up in it again.
tracefs_unmounted()
{
	local befall=tracefs_leaves relent=: left=$$

	mountpoint -q /sys/kernel/tracing || mount -t tracefs nfwho-tracing /sys/kernel/tracing
	one "tracefs is unmounted" env
	check "tracefs is unmounted: the collector had it" test "$left" != $$
	equal "tracefs is unmounted: all is named before it, without it and after a reload" \
		"$(figure right) $(figure missing)" "18 0"
	check "tracefs is unmounted: the configuration is read again" \
		grep -q 'configuration read again' "$said"
	verdict "tracefs is unmounted while it traces"
}

no_tracefs()
{
	umount -l /sys/kernel/tracing 2>"$work/out"
	umount -l /sys/kernel/debug/tracing 2>"$work/out"
	one "without tracefs" env
	is_sound || problem "without tracefs it does not trace"
	[[ ! $problems ]] || bad=1
	verdict "without tracefs it mounts its own"
	must_tell=1 one "without tracefs and the right to mount it" \
		setpriv --bounding-set=-sys_admin --inh-caps=-sys_admin --
	check "without the right to, it says that there is no trace" grep -q 'no trace' "$said"
	verdict "without tracefs and the right to mount it"
}

processes_hidden()
{
	mount -o remount,hidepid=2 /proc
}

processes_shown()
{
	mount -o remount,hidepid=0 /proc
}

# A mount of its own, which is changed while the collector runs.
hidden_processes()
{
	local befall=processes_hidden relent=processes_shown

	mount -t proc nfwho-hidden /proc || { skip "/proc hides processes" "none can be mounted"; return; }
	one "hidepid=2 with CAP_SYS_PTRACE" env
	must_tell=1 recovers=1 one "hidepid=2 without CAP_SYS_PTRACE" \
		setpriv --bounding-set=-sys_ptrace --inh-caps=-sys_ptrace --
	verdict "/proc hides processes for a while"
	umount -l /proc
}

# --- a CPU

cpu_off()
{
	echo 0 >"$cpu"
}

cpu_on()
{
	echo 1 >"$cpu"
}

# Only when asked for: everybody on the machine feels it.
cpu_leaves()
{
	local befall=cpu_off relent=cpu_on

	if [[ ! ${NFWHO_TEST_CPU_HOTPLUG:-} || ! -w $cpu ]]; then
		skip "a CPU leaves and comes back" "NFWHO_TEST_CPU_HOTPLUG is not set, or cpu1 stays"
		return
	fi
	trap 'cpu_on; cleanup' EXIT
	# Not before a ledger, but at the first packet the new CPU is noticed. Who was too short-lived
	# until then is nobody.
	options=(--ledger-interval 3600)
	one "cpu1 leaves and comes back" env
	equal "a CPU leaves and comes back: no connection is missing" "$(figure missing)" 0
	check "a CPU leaves and comes back: those before and meanwhile are named" \
		test "$(figure right)" -ge 12
	options=()
	verdict "a CPU leaves and comes back"
}

netns_pair
serve 80
sound_run
mangled
if ((sanitized || all)); then
	mangled_answers
fi
no_descriptors
hidden_processes
tracefs_unmounted
no_tracefs
if ((!sanitized)); then
	late
	clock_is_set
	no_memory
	cpu_leaves
fi
finish
