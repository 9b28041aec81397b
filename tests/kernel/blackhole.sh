#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Several processes connect to one address that never answers: named within 500 ms, none swapped.
. "$(dirname "$0")/lib.sh"

# unanswered TITLE DESTINATION BOUND… [-- LOAD OPTIONS…]
unanswered()
{
	local title=$1 to=$2 bounds=()
	shift 2

	while (($#)) && [[ $1 != -- ]]; do
		bounds+=("$1")
		shift
	done
	shift
	collector_start --trace on || return
	here "$load" blackhole --to "$to" --truth "$work/truth.tsv" --workers 4 --count 20 \
		--timeout-ms 300 --seconds 20 "$@"
	wait_for 10 all_written "$work/truth.tsv"
	collector_stop || return
	compared "$title" "$work/truth.tsv" --at-least connections=20 --at-least right%=95 \
		--at-most missing=0 --at-most duplicate=0 --at-most extra=0 --at-most wrong=0 \
		--at-most wrong_user=0 --at-most latest_ms=600 "${bounds[@]}"
}

pending()
{
	(($(ip netns exec "$HERE" ss -Htn state syn-sent | wc -l) >= $1))
}

netns_pair
# No answer at all, not even "no such neighbour".
ip -n "$HERE" neigh add $nobody4 lladdr 02:00:00:00:00:99 dev eth0
ip -n "$HERE" neigh add $nobody6 lladdr 02:00:00:00:00:99 dev eth0
unanswered "four processes, IPv4" $nobody4:443
unanswered "four processes, IPv6" "[$nobody6]:443"
unanswered "two users, IPv4" $nobody4:443 -- --uid 0 --uid 65534
unanswered "two users, IPv6" "[$nobody6]:443" -- --uid 0 --uid 65534

# Connects that are older than the collector: seen first when they try again.
background "$HERE" "$load" blackhole --to $nobody4:443 --to "[$nobody6]:443" --workers 4 --count 8 \
	--timeout-ms 4500 --seconds 8 --truth "$work/truth.tsv"
wait_for 5 pending 4
collector_start --trace on || finish
wait_for 20 test -s "$work/truth.tsv"
wait_for 10 all_written "$work/truth.tsv"
collector_stop
compared "connects under way when the collector starts get no wrong name" "$work/truth.tsv" \
	--at-least connections=4 --at-most wrong=0 --at-most extra=0 --at-most missing=0
finish
