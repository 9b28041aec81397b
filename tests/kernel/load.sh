#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Every connection has its owner under load: busy processes, a fork or an exec for each connection.
. "$(dirname "$0")/lib.sh"
((sanitized)) && skip_all "rates are judged without sanitizers, which take most of the time"

# Bounded in time and number; three to five times each.
seconds=4 count=12000

# loaded TITLE MODE DESTINATION OPTIONS… -- BOUNDS…
loaded()
{
	local title=$1 mode=$2 to=$3 options=()
	shift 3

	while (($#)) && [[ $1 != -- ]]; do
		options+=("$1")
		shift
	done
	shift
	collector_start --trace on || return
	here "$load" "$mode" --to "$to" --truth "$work/truth.tsv" --seconds $seconds \
		"${options[@]}" 2>"$work/load" || { not_ok "$title: $(<"$work/load")"; return; }
	wait_for 20 all_written "$work/truth.tsv"
	collector_stop || return
	compared "$title" "$work/truth.tsv" --at-least connections=1 --at-most missing=0 \
		--at-most duplicate=0 --at-most wrong=0 --at-most wrong_user=0 --at-most extra=0 \
		--at-most ledger.kernel_gap=0 --at-most ledger.own_gap=0 \
		--at-most ledger.sequence_gap=0 --at-most parent_pid.wrong=0 \
		--at-most executable.wrong=0 "$@" || return
	# Named is everyone of whom the trace has told, and it told of all if it was read in time.
	"$compare" "$work/truth.tsv" "$records" --at-most ledger.trace_lost=0 >/dev/null || return 0
	owned "$title: all are named" "$work/truth.tsv"
}

both()
{
	timely "$1, IPv4" right% 100 loaded "$1, IPv4" "$2" $peer4:"$3" "${@:4}"
	timely "$1, IPv6" right% 100 loaded "$1, IPv6" "$2" "[$peer6]:$3" "${@:4}"
}

steer()
{
	ip netns exec "$HERE" sh -c "echo $1 >/sys/class/net/eth0/queues/rx-0/rps_cpus"
}

netns_pair
serve 80
both "four processes as fast as they can" busy 80 --workers 4 --count $count --
both "a fork for each connection" short 80 --workers 2 --count $((count / 6)) --
both "a program for each connection, 2,000 a second" spawn 80 --workers 2 --rate 2000 \
	--count 1500 -- --at-least executable.right%=99.9 --at-least parent_pid.right%=99.9 \
	--at-least parent_name.right%=99.9
for peer in $peer4 "[$peer6]"; do
	timely "a program for each connection, 300 a second, to $peer" command_line.right% 99 \
		loaded "a program for each connection, 300 a second, to $peer" spawn "$peer:80" \
		--workers 1 --rate 300 --count 600 -- --at-least executable.right%=100 \
		--at-least parent_pid.right%=100 --at-least parent_name.right%=100
done
both "refused as fast as they come" refused 81 --workers 4 --count $((count / 3)) --
loaded "two users" busy $peer4:80 --workers 4 --uid 0 --uid 65534 --count 4000 --

if steer "$(printf %x $(((1 << $(nproc)) - 1)))" 2>/dev/null && (($(nproc) > 1)); then
	both "answers steered to the other processor (rps_cpus), busy" busy 80 --workers 4 \
		--count $((count / 2)) --
	both "answers steered to the other processor, spawn" spawn 80 --workers 2 --rate 1000 \
		--count 700 --
else
	skip "answers steered to the other processor" "one processor, or no receive packet steering"
fi
finish
