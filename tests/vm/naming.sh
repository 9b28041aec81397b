#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# With the trace every connection is named, and none wrongly, as fast as this machine makes them:
# by processes that go on, by a fork for each connection, by a program for each connection.

. "$(dirname "$0")/lib.sh"

# named MODE TO
named()
{
	local mode=$1 to=$2

	collector_start --trace on || return
	here "$load" "$mode" --workers 2 --count 1500 --seconds 8 --to "$to" \
		--truth "$work/truth.tsv" 2>"$work/load" || not_ok "the load: $(<"$work/load")"
	wait_for 60 all_written "$work/truth.tsv"
	collector_stop || return
	compared "$mode, to $to: each has its record, and its program" \
		"$work/truth.tsv" --at-least connections=100 --at-most missing=0 --at-most duplicate=0 \
		--at-most extra=0 --at-most wrong_user=0 --at-most ledger.kernel_gap=0 \
		--at-most ledger.own_gap=0 --at-most executable.wrong=0 --at-most parent_pid.wrong=0
	check "$mode, to $to: all named, none wrongly: $(figures)" \
		hold 'right%>=100' 'wrong<=0' 'unnamed<=0'
}

# What the comparison found, of all connections made.
figures()
{
	awk '$1 ~ /^(connections|right|wrong|unnamed|missing)$/ { printf "%s%s %s", sep, $1, $2; sep = ", " }' \
		"$work/figures"
}

netns_pair
serve 80
for mode in busy short spawn; do
	for to in "$peer4:80" "[$peer6]:80"; do
		named "$mode" "$to"
	done
done
finish
