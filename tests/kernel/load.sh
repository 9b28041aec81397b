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
	! hold 'ledger.trace_lost<=0' >/dev/null || check "$title: all are named" hold 'right%>=100'
}

# both BOUNDS TITLE MODE PORT OPTIONS… -- BOUNDS…
both()
{
	timely "$2, IPv4" "$1" loaded "$2, IPv4" "$3" $peer4:"$4" "${@:5}"
	timely "$2, IPv6" "$1" loaded "$2, IPv6" "$3" "[$peer6]:$4" "${@:5}"
}

steer()
{
	ip netns exec "$HERE" sh -c "echo $1 >/sys/class/net/eth0/queues/rx-0/rps_cpus"
}

# Where the load is as fast as the machine the trace may lose some, which is known and told.
paced='right%>=100 ledger.trace_lost<=0' unpaced='right%>=100'
netns_pair
serve 80
both "$unpaced" "four processes as fast as they can" busy 80 --workers 4 --count $count --
both "$unpaced" "a fork for each connection" short 80 --workers 2 --count $((count / 6)) --
both "$paced" "a program for each connection, 2,000 a second" spawn 80 --workers 2 --rate 2000 \
	--count 1500 -- --at-least executable.right%=99.9 --at-least parent_pid.right%=99.9 \
	--at-least parent_name.right%=99.9
for peer in $peer4 "[$peer6]"; do
	timely "a program for each connection, 300 a second, to $peer" "command_line.right%>=99 $paced" \
		loaded "a program for each connection, 300 a second, to $peer" spawn "$peer:80" \
		--workers 1 --rate 300 --count 600 -- --at-least executable.right%=100 \
		--at-least parent_pid.right%=100 --at-least parent_name.right%=100
done
both "$unpaced" "refused as fast as they come" refused 81 --workers 4 --count $((count / 3)) --
loaded "two users" busy $peer4:80 --workers 4 --uid 0 --uid 65534 --count 4000 --

if steer "$(printf %x $(((1 << $(nproc)) - 1)))" 2>/dev/null && (($(nproc) > 1)); then
	both "$unpaced" "answers steered to the other processor (rps_cpus), busy" busy 80 --workers 4 \
		--count $((count / 2)) --
	both "$paced" "answers steered to the other processor, spawn" spawn 80 --workers 2 --rate 1000 \
		--count 700 --
else
	skip "answers steered to the other processor" "one processor, or no receive packet steering"
fi
finish
