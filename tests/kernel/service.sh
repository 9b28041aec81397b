#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What a service manager is told, by a manager that speaks the same protocol; what systemd's own
# tools think of the unit.

. "$(dirname "$0")/lib.sh"

netns_pair
serve 80
told=$work/told

# manager ADDRESS: in the collector's network namespace, which abstract addresses belong to. Each datagram a line, its newlines as " | ".
manager()
{
	here python3 - "$1" >"$told" <<-'PYTHON' &
		import socket, sys
		s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
		name = sys.argv[1]
		s.bind("\0" + name[1:] if name[0] == "@" else name)
		print("bound", flush=True)
		while True:
		    print(s.recv(4096).decode().replace("\n", " | "), flush=True)
	PYTHON
	children+=($!)
	wait_for 10 grep -q bound "$told"
}

was_told()
{
	wait_for 10 grep -q "$1" "$told"
}

count_told()
{
	grep -c "$1" "$told"
}

more_told()
{
	(($(count_told "$1") > $2))
}

under_manager()
{
	local address=$1
	shift
	manager "$address"
	NOTIFY_SOCKET=$address WATCHDOG_USEC=400000 collector_start "$@"
}

under_manager "$work/notify" --output stdout --ledger-interval 1
check "it is ready when it listens" was_told '^READY=1 | STATUS=Group 617: 0 connections'
check "the watchdog is answered" wait_for 5 more_told '^WATCHDOG=1$' 3
here "$load" short --to "$peer4:80" --count 5 --truth "$work/out.tsv" >/dev/null
check "the status has live figures" was_told '^STATUS=Group 617: 5 connections'
kill -HUP "$collector"
check "a reload begins" was_told '^RELOADING=1 | MONOTONIC_USEC=[0-9]*$'
check "and ends" wait_for 10 more_told '^READY=1' 1
equal "in this order" "$(grep -o '^RELOADING\|^READY' "$told" | tr '\n' ' ')" \
	"READY RELOADING READY "
now=$(python3 -c 'import time; print(time.monotonic_ns() // 1000)')
then=$(sed -n 's/.*MONOTONIC_USEC=//p' "$told")
check "its time is the monotonic clock's" test $((now - then)) -ge 0 -a $((now - then)) -lt 60000000
collector_stop
check "it says that it stops" was_told '^STOPPING=1'
beats=$(count_told '^WATCHDOG')
check "about as often as it was asked to" test "$beats" -ge 4 -a "$beats" -le 200

WATCHDOG_PID=1 under_manager "@$NFWHO_TEST_ID" --output stdout
check "an abstract socket will do" was_told '^READY=1'
collector_stop
equal "another process's watchdog is not answered" "$(count_told '^WATCHDOG')" 0

NOTIFY_SOCKET=$work/nobody collector_start --output stdout
check "a manager that is gone harms nobody" kill -0 "$collector"
collector_stop

unit=$NFWHO_BUILD/collector/nfwho.service
if command -v systemd-analyze >/dev/null; then
	sed 's,^\(Exec[A-Za-z]*=\)[^ ]*,\1/bin/true,; /^Documentation/d' "$unit" >"$work/nfwho.service"
	# An older one passes over the keys that it does not know (PrivateIPC: 248).
	version=$(systemd-analyze --version | awk 'NR == 1 { print $2 + 0 }')
	equal "systemd finds no fault in the unit" \
		"$(systemd-analyze verify "$work/nfwho.service" 2>&1 |
			grep -v "$( ((version < 250)) && echo 'Unknown key name.*ignoring' || echo '^$')")" ""
	if ((version < 250)); then
		skip "its exposure is 2.0 or less" "systemd $version judges no unit that is not loaded"
	else
		check "its exposure is 2.0 or less" systemd-analyze security --offline=true \
			--threshold=20 "$work/nfwho.service"
	fi
else
	skip "its exposure is 2.0 or less" "needs systemd-analyze"
fi
finish
