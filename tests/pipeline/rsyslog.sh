#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Debian's rsyslogd takes what we write, over each of its inputs, object for object.
. "$(dirname "$0")/../kernel/lib.sh"

inputs=(unix stream tcp)
port=10514

command -v rsyslogd >/dev/null || skip_all "no rsyslogd"

configure()
{
	local input

	cat <<-EOF
	global(workDirectory="$work")
	module(load="imuxsock" SysSock.Use="off")
	module(load="imptcp")
	module(load="mmjsonparse")
	template(name="object" type="string" string="%\$!all-json-plain%\n")
	input(type="imuxsock" Socket="$work/unix" UseSpecialParser="off" ParseHostname="off"
	      RateLimit.Interval="0" ruleset="unix")
	input(type="imptcp" path="$work/stream" ruleset="stream")
	input(type="imptcp" address="127.0.0.1" port="$port" ruleset="tcp")
	EOF
	for input in "${inputs[@]}"; do
		cat <<-EOF
		ruleset(name="$input") {
			action(type="mmjsonparse" cookie="" useRawMsg="on")
			action(type="omfile" file="$work/$input.out" template="object")
		}
		EOF
	done
}

rsyslog_start()
{
	nsenter --net="/run/netns/$HERE" -- rsyslogd -n -f "$work/rsyslog.conf" \
		-i "$work/rsyslog.pid" 2>"$work/rsyslog.err" &
	rsyslog=$!
	children+=("$rsyslog")
	wait_for 10 test -S "$work/unix" -a -S "$work/stream" && wait_for 10 listening "$HERE" $port
}

rsyslog_stop()
{
	kill -TERM "$rsyslog"
	wait_for 20 gone "$rsyslog"
	wait "$rsyslog" 2>/dev/null
}

lines()
{
	wc -l <"$1"
}

as_many_lines()
{
	(($(lines "$1") >= $(lines "$2")))
}

both_ends_written()
{
	(($(lines "$work/all") >= 2 * ($(lines "$work/truth.tsv") - 1)))
}

# The same objects, whatever their order and the order of their members.
same_objects()
{
	python3 - "$1" "$2" <<-'EOF'
	import collections, json, sys
	def objects(path):
	    with open(path) as lines:
	        return collections.Counter(json.dumps(json.loads(l), sort_keys=True) for l in lines)
	a, b = map(objects, sys.argv[1:])
	print(f"{a.total()} and {b.total()} objects, {(a - b).total()} missing, {(b - a).total()} extra")
	for text in list((a - b) | (b - a))[:4]:
	    print(text)
	sys.exit(a != b)
	EOF
}

nothing_dropped()
{
	tail -n 1 "$work/all" | jq -e '[.nfwho.ledger.sinks[].dropped] | add == 0'
}

netns_pair
serve 80
configure >"$work/rsyslog.conf"
rsyslog_start && ok "rsyslogd starts" || { not_ok "rsyslogd starts"; finish; }

collector_start --ledger-interval 3600 --output "file:$work/all" --output "unix:$work/unix" \
	--output "stream:$work/stream" --output "tcp:127.0.0.1:$port"
here "$load" busy --to $peer4:80 --truth "$work/truth.tsv" --count 10000 --rate 4000 \
	2>"$work/load"
# Conntrack forgets a reset connection after ten seconds, and then we write its end.
wait_for 40 both_ends_written
collector_stop && ok "the collector stops in order"
for input in "${inputs[@]}"; do
	wait_for 10 as_many_lines "$work/$input.out" "$work/all"
	check "$input: $(lines "$work/all") records in, the same objects out" \
		same_objects "$work/all" "$work/$input.out"
done
check "the ledger says that nothing was dropped" nothing_dropped
rsyslog_stop
finish
