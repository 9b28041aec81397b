# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# Side by side: the same load with each reader in turn, what it takes of the CPU, what the application
# pays, and what was seen. Two workers connect and reset; rounds interleave, so that what else the
# machine does falls on all. Sourced by `run`.

side_rates=(1000 10000 0)	# connections a second; 0: as fast as they come
side_readers=(none rule discard-start discard nfwho-start nfwho-both nfwho-blind ulogd-packets
	ulogd-both conntrack tcplife bpftrace opensnitch)
# Once audit has been on, the kernel looks for it at each system call of each new process until it is
# booted again: so these come last, with a reference of their own.
side_last=(audit-rule audit)

side_count()
{
	(($1)) && echo $(($1 * side_seconds)) || echo "$side_most"
}

# Those that wait for the end of connections.
hears_ends()
{
	[[ $1 == discard || $1 == nfwho-both || $1 == ulogd-both || $1 == conntrack ]]
}

# side_one READER RATE ROUND
side_one()
{
	local before after count

	count=$(side_count "$2")
	# the ends of what others left behind are not its
	here conntrack -F >/dev/null 2>&1
	reader_start "$1" || return
	before=$(cpu_ns "$1")
	load busy --workers 2 --count "$count" --rate "$2" --seconds $((side_seconds * 3))
	hears_ends "$1" && let_conntrack_forget
	[[ -n $reader ]] && until_at_rest "$1"
	after=$(cpu_ns "$1")
	reader_stop
	[[ $1 != discard* ]] || grep -q 'lost 0, 0, 0$' "$work/out" || warn "$1: $(<"$work/out")"
	"$bench/seen" "${form[$1]}" "$work/truth" "$work/out" "$work/out2" "$work/audit.log" |
		measured side reader="$1" rate="$2" round="$3" cpu_ns=$((after - before))
	progress '%-16s %-8s %8s us of CPU, connect() %s us, right %s, lost %s' "$1" "$(rate_text "$2")" \
		"$(last '.cpu_ns / .made / 10 | round / 100')" \
		"$(last '(.connect_median_us // 0) * 10 | round / 10')" \
		"$(last '.right // "-"')" "$(last '.lost // "-"')"
}

# side_rounds READER…
side_rounds()
{
	local round rate name

	for ((round = 0; round < rounds; round++)); do
		for rate in "${side_rates[@]}"; do
			for name in "$@"; do
				side_one "$name" "$rate" "$round"
			done
		done
	done
}

# What the kernel holds for a reader is more than a burst of 40,000 fills: so once, for longer, nfwho alone.
# Each tuple is used again and again; `seen` lets each line take one connection of its tuple.
side_long()
{
	(($(df --output=avail -B 1M "$work" | tail -n 1) > 8192)) ||
		{ warn "less than 8 GiB are free in $work for the records of $long_seconds s"; return; }
	here conntrack -F >/dev/null 2>&1
	reader_start nfwho-both || return
	load busy --workers 2 --count 2000000 --seconds "$long_seconds"
	let_conntrack_forget
	until_at_rest nfwho-both
	reader_stop
	"$bench/seen" nfwho "$work/truth" "$work/out" | measured long reader=nfwho-both \
		seconds="$long_seconds"
	progress '%-16s %s s of %s/s: lost %s of %s, right %s' nfwho-both "$long_seconds" \
		"$(last '.per_second | round')" "$(last .lost)" "$(last .made)" "$(last .right)"
	rm -f "$work/out" "$work/truth"
}

# Leaves in `able` those of READER… that can run here, and says of the others why not.
able=()
side_able()
{
	local name why

	able=()
	for name; do
		why=$(cannot "$name")
		if [[ -n $why ]]; then
			not_run side "$name" "$why"
		else
			able+=("$name")
		fi
	done
}

part_side()
{
	side_able "${side_readers[@]}"
	side_rounds "${able[@]}"
	side_long
	side_able "${side_last[@]}"
	((${#able[@]})) && side_rounds "${able[@]}"
}
