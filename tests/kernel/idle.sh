#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Without traffic and new programs only the timers of the ledger and the watchdog wake the
# collector. strace tells of each wake-up what it was for and what came of it; a trace of our own
# tells which programs and connections of the rest of this machine were good reasons, too.
# NFWHO_IDLE_SECONDS=60 looks at a minute instead of 9 s.

. "$(dirname "$0")/lib.sh"
command -v strace >/dev/null || skip_all "needs strace"

seconds=${NFWHO_IDLE_SECONDS:-9}
ledger_s=3 watchdog_s=2
tracefs=$work/tracing
others=$tracefs/instances/$NFWHO_TEST_ID

leave()
{
	rmdir "$others" 2>/dev/null
	mountpoint -q "$tracefs" && umount "$tracefs"
	cleanup
}
trap leave EXIT

listen_to_others()
{
	mkdir "$tracefs" && mount -t tracefs tracefs "$tracefs" && mkdir "$others" &&
	echo 'newstate == 2' >"$others/events/sock/inet_sock_set_state/filter" &&
	echo 1 >"$others/events/sock/inet_sock_set_state/enable" &&
	echo 1 >"$others/events/sched/sched_process_exec/enable"
} 2>/dev/null

followed()
{
	grep -q '^TracerPid:[[:space:]]*[1-9]' "/proc/$collector/status"
}

# Starts nothing: `read` and `echo` are the shell's own.
look()
{
	: >"$others/trace"
	begun=$EPOCHREALTIME
	pause "$seconds"
	ended=$EPOCHREALTIME
	echo 0 >"$others/tracing_on"
}

# A word for each time that the loop's epoll_wait returned, which is what it was for; of the timer
# for what came of it, or "timer" if nothing did. The numbers are those of `enum tag` in the loop,
# which alone waits without a limit.
wake_ups()
{
	awk -v begun="$begun" -v ended="$ended" '
		function over() {
			if (tag != "")
				print tag
			tag = ""
		}
		function due(what) {
			print what
			if (tag == "timer")
				tag = ""
		}
		{ returned = $1 + substr($NF, 2) }
		returned < begun || returned >= ended { next }
		match($2, /[0-9]+/) { fd = substr($2, RSTART, RLENGTH) }
		/epoll_wait.* -1\) +=/ { loop = fd }
		/epoll_wait/ && fd == loop { over() }
		/epoll_wait.* -1\) += [1-9]/ {
			split("signal timer program packet rules output conntrack", tags)
			tag = "unknown"
			if (match($0, /(u32=|data=0x)[0-6]/))
				tag = tags[substr($0, RSTART + RLENGTH - 1, 1) + 1]
		}
		/WATCHDOG=1/ { due("watchdog") }
		/action\\":\\"ledger/ { due("ledger") }
		END { over() }
	' "$work/calls"
}

# number WORD
number()
{
	grep -cx "$1" "$work/words"
}

# as_often TITLE FOUND SECONDS: as a timer of that many seconds rings meanwhile.
as_often()
{
	check "$1: $2 times in $seconds s" \
		test "$2" -ge $((seconds / $3 - 1)) -a "$2" -le $((seconds / $3 + 1))
}

netns_pair
listen_to_others || skip_all "needs tracefs, to know what else this machine does"
background "$HERE" python3 -c '
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1])
print("bound", flush=True)
while True:
    s.recv(4096)' "$work/notify" >"$work/manager"
wait_for 10 grep -q bound "$work/manager"
mkdir "$work/metrics"
NOTIFY_SOCKET=$work/notify WATCHDOG_USEC=$((watchdog_s * 2000000)) collector_start \
	--rate 100 --rate-total 5000 --summary-interval 1 --ledger-interval $ledger_s \
	--output "file:$work/log.json" --metrics "$work/metrics/nfwho.prom" || finish
strace -ttt -T -qq -s 400 -e trace=epoll_wait,sendto,write -o "$work/calls" -p "$collector" &
children+=($!)
wait_for 10 followed || skip_all "strace cannot follow it"
look
collector_stop
wake_ups >"$work/words"
grep -v '^#' "$others/trace" >"$work/others"
programs=$(grep -c sched_process_exec "$work/others")
connects=$(grep -c inet_sock_set_state "$work/others")
echo "# $(wc -l <"$work/words") wake-ups; others: $programs programs, $connects connects"
as_often "the ledger wakes it" "$(number ledger)" $ledger_s
as_often "the watchdog wakes it" "$(number watchdog)" $watchdog_s
check "as do new programs, at most once each: $(number program) of $programs" \
	test "$(number program)" -le "$programs"
if ((connects)); then
	skip "nothing else does" "$connects connects of others have deadlines of their own: $(
		grep -vx 'ledger\|watchdog\|program' "$work/words" | sort | uniq -c | xargs)"
else
	equal "nothing else does" "$(grep -vx 'ledger\|watchdog\|program' "$work/words")" ""
fi
finish
