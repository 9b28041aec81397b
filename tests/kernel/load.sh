#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Every connection has its owner under load: busy processes, a fork or an exec for each connection.
. "$(dirname "$0")/lib.sh"
((sanitized)) && skip_all "rates are judged without sanitizers, which take most of the time"

# Bounded in time and number; two or three times each.
seconds=4 count=12000

# loaded TITLE MODE DESTINATIONS OPTIONS… -- BOUNDS…
loaded()
{
	local title=$1 mode=$2 to options=()

	for to in $3; do
		options+=(--to "$to")
	done
	shift 3

	while (($#)) && [[ $1 != -- ]]; do
		options+=("$1")
		shift
	done
	shift
	collector_start --trace on || return
	share_processor
	here "${sharing[@]}" "$load" "$mode" --truth "$work/truth.tsv" --seconds $seconds "${options[@]}" \
		2>"$work/load" || { not_ok "$title: $(<"$work/load")"; return; }
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

# always BOUNDS TITLE MODE DESTINATIONS OPTIONS… -- BOUNDS…
always()
{
	timely "$2" "$1" loaded "${@:2}"
}

steer()
{
	ip netns exec "$HERE" sh -c "echo $1 >/sys/class/net/eth0/queues/rx-0/rps_cpus"
}

# Where the load is as fast as the machine the trace may lose some, which is known and told.
paced='right%>=100 ledger.trace_lost<=0' unpaced='right%>=100'
both="$peer4:80 [$peer6]:80"
netns_pair
serve 80
for to in $both; do
	always "$unpaced" "four processes as fast as they can, to $to" busy "$to" --workers 4 \
		--count $count --
done
always "$unpaced" "a fork for each connection" short "$both" --workers 2 --count $((count / 6)) --
always "$paced" "a program for each connection, $((2000 / slow)) a second" spawn "$both" --workers 2 \
	--rate $((2000 / slow)) --count 1500 -- --at-least executable.right%=99.9 \
	--at-least parent_pid.right%=99.9 --at-least parent_name.right%=99.9
# A process that is gone within a millisecond. On an emulated machine 86 to 98 % of the command lines were
# right where it had another processor than the collector (5.10), and all where it had the same.
share=yes always "command_line.right%>=99 $paced" "a program for each connection, $((300 / slow)) a second" \
	spawn "$both" --workers 1 --rate $((300 / slow)) --count 600 -- --at-least executable.right%=100 \
	--at-least parent_pid.right%=100 --at-least parent_name.right%=100
always "$unpaced" "refused as fast as they come" refused "$peer4:81 [$peer6]:81" --workers 4 \
	--count $((count / 3)) --
loaded "two users" busy "$both" --workers 4 --uid 0 --uid 65534 --count 4000 --

if steer "$(printf %x $(((1 << $(nproc)) - 1)))" 2>/dev/null && (($(nproc) > 1)); then
	for to in $both; do
		always "$unpaced" "answers steered to the other processor (rps_cpus), busy, to $to" \
			busy "$to" --workers 4 --count $((count / 2)) --
	done
	always "$paced" "answers steered to the other processor, spawn" spawn "$both" --workers 2 \
		--rate 1000 --count 700 --
else
	skip "answers steered to the other processor" "one processor, or no receive packet steering"
fi
finish
