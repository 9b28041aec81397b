#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Debian's rsyslogd takes what we write, over each of its inputs, object for object, with the
# configuration files that we ship.
. "$(dirname "$0")/lib.sh"

command -v rsyslogd >/dev/null || skip_all "no rsyslogd"

# A unix stream: not shipped, as no distribution makes a directory for it.
stream()
{
	cat <<-EOF
	module(load="imptcp")
	input(type="imptcp" path="$work/stream" ruleset="stream")
	template(name="stream" type="string" string="%rawmsg%\n")
	ruleset(name="stream") {
		action(type="omfile" file="$work/stream.out" template="stream")
	}
	EOF
}

nothing_dropped()
{
	tail -n 1 "$work/all" | jq -e '[.nfwho.ledger.sinks[].dropped] | add == 0'
}

netns_pair
serve 80
: >"$work/all"
out=/var/log/nfwho/rsyslog.json
shipped rsyslog-unix.conf "/run/rsyslog/nfwho=$work/unix" "$out=$work/unix.out" |
	rsyslog_configure unix
shipped rsyslog-tcp.conf "$out=$work/tcp.out" | rsyslog_configure tcp
shipped rsyslog-file.conf "/var/log/nfwho/nfwho.json=$work/all" "$out=$work/file.out" |
	rsyslog_configure file
stream | rsyslog_configure stream
inputs=(unix tcp file stream)
for input in "${inputs[@]}"; do
	rsyslog_start $input "$HERE"
done
wait_for 10 test -S "$work/unix" -a -S "$work/stream" && wait_for 10 listening "$HERE" 10514 &&
	ok "rsyslogd listens"

collector_start --ledger-interval 3600 --output "file:$work/all" --output "unix:$work/unix" \
	--output "stream:$work/stream" --output "tcp:127.0.0.1:10514"
here "$load" busy --to $peer4:80 --truth "$work/truth.tsv" --count 10050 --rate 4000 \
	--seconds 20 2>"$work/load"
wait_for 20 written "$work/all" 20000
collector_stop && ok "the collector stops in order"
check "20,000 records are written" test "$(lines "$work/all")" -ge 20000
for input in "${inputs[@]}"; do
	wait_for 10 as_many_lines "$work/$input.out" "$work/all"
	check "$input: $(lines "$work/all") records in, the same objects out" \
		same_objects "$work/all" "$work/$input.out"
done
check "the ledger says that nothing was dropped" nothing_dropped
for input in "${inputs[@]}"; do
	rsyslog_stop $input
	rsyslog_content $input
done
finish
