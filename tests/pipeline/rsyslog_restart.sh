#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# rsyslogd stopped and started under us: a file loses nothing, a socket what the ledger says, and
# beyond that only what the kernel had taken and rsyslogd had not read.
. "$(dirname "$0")/lib.sh"

command -v rsyslogd >/dev/null || skip_all "no rsyslogd"

inputs=(unix tcp file)
tcp=127.0.0.1:10514

configure()
{
	local out=/var/log/nfwho/rsyslog.json

	shipped rsyslog-unix.conf "/run/rsyslog/nfwho=$work/unix" "$out=$work/unix.out" |
		rsyslog_configure unix
	shipped rsyslog-tcp.conf "$out=$work/tcp.out" | rsyslog_configure tcp
	shipped rsyslog-file.conf "/var/log/nfwho/nfwho.json=$work/all" "$out=$work/file.out" |
		rsyslog_configure file
}

start()
{
	local input

	for input in "${inputs[@]}"; do
		rsyslog_start $input "$HERE"
	done
	wait_for 10 test -S "$work/unix" && wait_for 10 listening "$HERE" 10514 ||
		not_ok "rsyslogd listens"
}

stop()
{
	local input

	for input in "${inputs[@]}"; do
		rsyslog_stop $input
	done
}

connect()
{
	here "$load" busy --to $peer4:80 --truth "$work/truth.tsv" --count "$1" --rate "$2" \
		--seconds 20 2>"$work/load"
}

begin()
{
	: >"$work/all"
	rm -f "$work"/*.out
	start
	collector_start --events start --ledger-interval 3600 --output "file:$work/all" \
		--output "unix:$work/unix$1" --output "tcp:$tcp$1"
}

# Every record is with rsyslogd or counted as dropped: count - dropped lines are there.
all_read()
{
	(($(lines "$work/$1.out") + ${2:-0} >= $(lines "$work/all")))
}

work_again()
{
	wait_for 10 grep -q "unix:.* works again" "$said" && wait_for 10 grep -q "tcp:.* works again" "$said"
}

# Nothing is on its way when rsyslogd stops: exactly what the queue had no room for is lost.
stopped_while_idle()
{
	local input target lost dropped

	begin ,queue=64K
	connect 300 600
	for input in "${inputs[@]}"; do
		wait_for 10 all_read $input
	done
	stop
	connect 600 600
	start
	check "the outputs work again" work_again
	connect 300 600
	collector_stop || return
	for input in unix tcp; do
		target=unix:$work/unix
		[[ $input == tcp ]] && target=tcp:$tcp
		dropped=$(sink "$work/all" "$target" dropped)
		wait_for 10 all_read $input "$dropped"
		lost=$(missing "$work/all" "$work/$input.out")
		equal "$input, stopped while idle: lost is what the ledger says was dropped" \
			"${lost%% *}" "$dropped"
		check "$input: the queue was full, and before that it held some" \
			test "$dropped" -gt 300 -a "$dropped" -lt 600
	done
	wait_for 10 all_read file
	check "file: nothing is lost" same_objects "$work/all" "$work/file.out"
	stop
}

# In the middle of 1,000 records a second: the queue holds what comes meanwhile.
stopped_under_load()
{
	local input lost connecting limit=$(($(</proc/sys/net/unix/max_dgram_qlen) + 1))

	begin ""
	connect 5000 1000 &
	connecting=$!
	wait_for 10 all_lines 1500
	stop
	wait_for 10 all_lines 3000
	start
	wait "$connecting"
	check "the outputs work again" work_again
	collector_stop || return
	equal "nothing was dropped" "$(tail -n 1 "$work/all" |
		jq '[.nfwho.ledger.sinks[].dropped] | add')" 0
	wait_for 10 all_read file
	check "file, stopped under load: nothing is lost" same_objects "$work/all" "$work/file.out"
	wait_for 10 all_read unix $limit
	lost=$(missing "$work/all" "$work/unix.out")
	check "unix: at most what the socket holds is lost, in one piece ($lost)" \
		within $limit $lost
	# What the two kernels hold of 2 KiB records: both buffers, which the system may enlarge.
	wait_for 10 all_read tcp 1000
	lost=$(missing "$work/all" "$work/tcp.out")
	check "tcp: at most what the sockets hold is lost, in one piece ($lost)" within 1000 $lost
	stop
}

all_lines()
{
	(($(lines "$work/all") >= $1))
}

# within LIMIT LOST RUNS
within()
{
	(($2 <= $1 && $3 <= 1))
}

netns_pair
serve 80
configure
stopped_while_idle
stopped_under_load
finish
