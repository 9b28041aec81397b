#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# SIGHUP under load: good and bad configurations in turn, and nothing is lost.

. "$(dirname "$0")/lib.sh"

netns_pair
serve 80
conf=$work/nfwho.conf
mkdir "$work/logs" "$work/elsewhere"

# configure LINE…: what the next reload reads, beside stdout.
configure()
{
	printf '%s\n' 'output = stdout' "$@" >"$conf.new" && mv "$conf.new" "$conf"
}

answers()
{
	grep -c 'configuration read again\|reload refused' "$said"
}

# reload: until it has been answered.
reload()
{
	local before

	before=$(answers)
	kill -HUP "$collector"
	wait_for 10 answered "$before"
}

answered()
{
	(($(answers) > $1))
}

# said_of TITLE TEXT LINE…: a reload of these lines says that.
said_of()
{
	local title=$1 text=$2
	shift 2
	configure "$@"
	reload
	check "$title" grep -q "$text" <(tail -n 3 "$said")
}

connect()
{
	here "$load" short --to "$peer4:80" --count 1 --truth "$work/one.tsv" >/dev/null
}

last_start()
{
	jq -c 'select(.event.action == "connection_attempted")' "$1" | tail -n 1
}

configure "output = file:$work/logs/a.json" 'label = turn=0'
collector_start --config "$conf"
here "$load" short --to "$peer4:80" --to "[$peer6]:80" --count 4000 --rate 500 \
	--truth "$work/truth.tsv" >/dev/null &
loading=$!
children+=("$loading")
bad=0
for turn in {1..50}; do
	configure "output = file:$work/logs/a.json,keep=$turn" "label = turn=$turn" \
		"ledger-interval = $((turn % 5 + 1))" "output = file:$work/logs/b$((turn % 2)).json"
	reload
	configure 'label = turn=bad' 'rate = plenty'
	reload || bad=1
done
wait "$loading"
equal "fifty good configurations were taken" "$(grep -c 'read again' "$said")" 50
equal "and fifty bad ones refused with file, line and reason" \
	"$(grep -c "reload refused: $conf:3: rate: \"plenty\" is not a number" "$said")" 50
wait_for 10 all_written "$work/truth.tsv"
owned "no connection was lost or doubled" "$work/truth.tsv"
equal "nothing of a refused configuration came into force" \
	"$(jq -r 'select(.labels.turn == "bad") | 1' "$records" | wc -l)" 0
equal "no line is torn where outputs came and went" \
	"$(cat "$work"/logs/*.json | jq -r '.event.action | select(. == null)' 2>&1)" ""
equal "an output that stayed has all of it" \
	"$(grep -c '"action":"connection_attempted"' "$work/logs/a.json")" \
	"$(grep -c '"action":"connection_attempted"' "$records")"

configure 'label = turn=last' 'tag = one' 'tag = two' 'events = start'
reload
connect
wait_records 10 1 '.event.action == "connection_attempted" and .labels.turn == "last"'
equal "a label is in the next record" "$(last_start "$records" | jq -r .labels.turn)" last
equal "and tags are" "$(last_start "$records" | jq -c .tags)" '["one","two"]'
equal "an output that is gone gets nothing more" \
	"$(jq -r 'select(.labels.turn == "last") | 1' "$work"/logs/*.json | wc -l)" 0
said_of "what cannot change while running says so" \
	'group cannot change while running: restart for that' 'group = 700'
equal "and the rest of that configuration is taken" "$(grep -c 'read again' "$said")" 52
unknown="no output in a directory that was not known"
if grep -q 'files stay writable' "$said"; then
	skip "$unknown" "there is no mount_setattr(2)"
else
	said_of "$unknown" "file:$work/elsewhere/c.json: only the directories known at the start" \
		"output = file:$work/elsewhere/c.json"
fi
said_of "no output over TCP that was not there" 'tcp:127.0.0.1:9: cannot be added' \
	'output = tcp:127.0.0.1:9'
said_of "events that come back" 'read again' 'events = start,end'
mv "$conf" "$conf.away"
reload
check "a configuration that is not there is refused" grep -q "reload refused: $conf: No such file" "$said"
mv "$conf.away" "$conf"
said_of "a limit that is changed" 'read again' 'summary-interval = 1' 'command-line = none'
connect
wait_records 10 4002 '.event.action == "connection_attempted"'
equal "command lines are left out from the next record on" \
	"$(last_start "$records" | jq -r '.process.command_line // "none"')" none
equal "events are numbered without a gap" \
	"$(jq -r .event.sequence "$records" | awk '$1 != NR { print NR; exit }')" ""
collector_stop
equal "the ledger adds up" "$(ledger_gaps)" "0 0"

configure 'events = start'
collector_start --config "$conf"
said_of "ends that are not followed cannot be told" \
	'events cannot change while running, as this run follows no ends' 'events = start,end' 'final = yes'
said_of "nor what is open" 'final cannot change while running, as this run follows no ends' \
	'events = start' 'final = yes'
connect
wait_records 10 1 '.event.action == "connection_attempted"'
collector_stop
equal "nor are they" "$(grep -c '"action":"connection_[eo]' "$records")" 0
finish
