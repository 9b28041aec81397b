#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Short-lived processes beside 500 others that hold 40 descriptors each.
. "$(dirname "$0")/lib.sh"
((sanitized)) && skip_all "rates are judged without sanitizers, which take most of the time"

# crowded TITLE BOUND… -- LOAD-OPTION… -- COLLECTOR-OPTION…
crowded()
{
	local title=$1 bounds=() options=()
	shift

	while (($#)) && [[ $1 != -- ]]; do
		bounds+=("$1")
		shift
	done
	shift
	while (($#)) && [[ $1 != -- ]]; do
		options+=("$1")
		shift
	done
	shift
	collector_start "$@" || return
	share_processor
	here "${sharing[@]}" "$load" spawn --to $peer4:80 --to "[$peer6]:80" --truth "$work/truth.tsv" \
		"${options[@]}" 2>"$work/load" || { not_ok "$title: $(<"$work/load")"; return; }
	wait_for 20 all_written "$work/truth.tsv"
	collector_stop || return
	compared "$title" "$work/truth.tsv" --at-most missing=0 --at-most duplicate=0 \
		--at-most extra=0 --at-most wrong=0 --at-most wrong_user=0 \
		--at-most executable.wrong=0 --at-most parent_pid.wrong=0 "${bounds[@]}" &&
	equal "$title: who is not named is known by user or cgroup" \
		"$(count_records '.event.action == "connection_attempted" and .process.pid == null
			and .nfwho.owner != "uid" and .nfwho.owner != "cgroup"')" 0
}

netns_pair
serve 80
background "$PEER" python3 -c '
import os, signal
for _ in range(500):
    if os.fork() == 0:
        held = [open("/dev/null") for _ in range(37)]
        signal.pause()
print("ready", flush=True)
signal.pause()' >"$work/crowd"
wait_for 60 grep -q ready "$work/crowd"

rate=$((100 / slow)) hold=$((20 * slow))
few=(--workers 4 --rate $rate --count 200 --seconds $((10 * slow)))
title="$rate new processes a second that hold $hold ms, no trace, sock_diag"
# conntrack's table is full of the loads before, and is read at the start: that must not take the time
# in which the first of these processes are gone.
timely "$title" 'right%>=99' crowded "$title" --at-least connections=200 \
	-- "${few[@]}" --hold-ms $hold -- --trace off --lookup diag
# Reading /proc/net/tcp takes 7 ms here, however few sockets there are, as it walks 262,144 buckets:
# what is gone after 20 ms cannot be had this way.
hold=$((200 * slow))
title="$rate new processes a second that hold $hold ms, no trace, /proc/net"
timely "$title" 'right%>=99' crowded "$title" --at-least connections=200 \
	-- "${few[@]}" --hold-ms $hold -- --trace off --lookup proc
rate=$((300 / slow))
many=(--rate $rate --count 600 --seconds $((10 * slow)))
title="$rate new processes a second, closed at once, trace"
share=yes timely "$title" 'command_line.right%>=99' crowded "$title" --at-least connections=600 \
	--at-least right%=100 --at-least executable.right%=100 --at-least parent_name.right%=100 \
	-- "${many[@]}" -- --trace on
crowded "$rate new processes a second, closed at once, no trace: no wrong name" \
	--at-least connections=600 -- "${many[@]}" -- --trace off
finish
