#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Records go on to the rsyslogd of another machine: nothing is lost when either side stops.
. "$(dirname "$0")/lib.sh"

[[ $(find /usr/lib* -name omrelp.so 2>/dev/null) ]] || skip_all "no rsyslogd with RELP"

configure()
{
	shipped rsyslog-sender.conf "/var/log/nfwho/nfwho.json=$work/all" \
		"central.example.net=$peer4" |
		rsyslog_configure sender
	shipped rsyslog-central.conf "/var/log/nfwho/central/=$work/central/" |
		rsyslog_configure central
}

central_file()
{
	compgen -G "$work/central/*.json"
}

central_start()
{
	rsyslog_start central "$PEER"
	wait_for 10 listening "$PEER" 2514 || not_ok "the central rsyslogd listens"
}

# FILE holds so many lines.
has()
{
	(($(lines "$1" 2>/dev/null) >= $2))
}

# What came twice over a broken connection has the same event.id.
every_one()
{
	(($(sort -u "$(central_file)" | wc -l) >= $(lines "$work/all")))
}

queue_on_disk()
{
	compgen -G "$work/sender.spool/nfwho-sender.*"
}

connect()
{
	here "$load" busy --to $peer4:80 --truth "$work/truth.tsv" --count "$1" --rate 1000 \
		--seconds 20 2>"$work/load"
}

# All that was written until now has arrived.
caught_up()
{
	wait_for 10 has "$work/all" "$1"
	wait_for 20 central_has "$1"
}

central_has()
{
	has "$(central_file)" "$1"
}

# What omrelp was just sending: rsyslogd gives up that batch when it has to stop.
at_most_two_batches()
{
	local lost
	lost=$(missing "$work/all" "$(central_file)") || { echo "$lost"; return 1; }
	echo "missing: $lost"
	((${lost% *} <= 128))
}

begin()
{
	rm -rf "$work/central"
	: >"$work/all"
	central_start
	rsyslog_start sender "$HERE"
	collector_start --events start --ledger-interval 3600 --output "file:$work/all"
	connect "$1" &
	connecting=$!
}

# end CONDITION: which is waited for.
end()
{
	wait "$connecting"
	collector_stop || return
	wait_for 15 "$1"
}

one_at_a_time()
{
	begin 5000
	wait_for 10 has "$work/all" 1000
	rsyslog_stop central
	wait_for 10 has "$work/all" 2500
	central_start
	check "central again: what came meanwhile arrives" caught_up 2500
	rsyslog_stop sender
	wait_for 10 has "$work/all" 4000
	rsyslog_start sender "$HERE"
	end every_one
	check "$(lines "$work/all") records in, each side stopped once: the same objects out" \
		same_objects "$work/all" "$(central_file)" distinct
	check "the file has the host's name" \
		test "$(basename "$(central_file)" .json)" = "$(hostname)"
	rsyslog_stop sender
	rsyslog_stop central
}

both_at_once()
{
	begin 3000
	wait_for 10 has "$work/all" 1000
	rsyslog_stop central
	wait_for 10 has "$work/all" 2000
	rsyslog_stop sender
	check "the queue is kept on the disk" queue_on_disk
	rsyslog_start sender "$HERE"
	central_start
	end at_most_two_batches
	check "both stopped at once: at most what was just being sent is lost" at_most_two_batches
	rsyslog_stop sender
	rsyslog_stop central
}

netns_pair
serve 80
configure
one_at_a_time
both_at_once
finish
