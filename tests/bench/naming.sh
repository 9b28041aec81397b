# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# Who is named: programs that live long or not, connections that are held or not, among idle processes
# that hold descriptors. Sourced by `run`.

# mode, connections a second (0: as fast as they come), milliseconds held
naming_cases=("busy 300 100" "busy 1000 0" "busy 0 0" "short 300 0" "short 300 100" "short 0 0"
	"spawn 300 0" "spawn 300 100" "spawn 0 0")
naming_readers=(nfwho-start nfwho-blind ss nethogs opensnitch)
naming_crowds=(10 500 5000)

# As many at once as the load may have: each worker waits for its own.
naming_workers()
{
	(($3 == 0)) && echo 2 && return
	[[ $1 == busy ]] && echo $(($2 * $3 / 1000 + 1)) || echo 4
}

naming_count()
{
	(($2)) && echo $(($2 * naming_seconds)) && return
	[[ $1 == busy ]] && echo 20000 || echo 2000
}

# naming_one READER CROWD MODE RATE HOLD
naming_one()
{
	local before cpu=()

	reader_start "$1" || return
	before=$(cpu_ns "$1")
	load "$3" --workers "$(naming_workers "$3" "$4" "$5")" --rate "$4" --hold-ms "$5" \
		--count "$(naming_count "$3" "$4")" --seconds $((naming_seconds * 2))
	# nethogs tells once a second; ss first looks at all descriptors of all processes, then at sockets
	case $1 in
	nethogs) sleep 1.5 ;;
	ss) kill -TERM "$reader"; wait_for 60 gone "$reader" || warn "ss is cut off beside $2" ;;
	*) until_at_rest "$1"; cpu=(cpu_ns=$(($(cpu_ns "$1") - before))) ;;
	esac
	reader_stop
	"$bench/seen" "${form[$1]}" "$work/truth" "$work/out" | measured naming reader="$1" \
		crowd="$2" mode="$3" rate="$4" hold_ms="$5" "${cpu[@]}"
	progress '%-12s beside %4s: %-6s %-8s held %3s ms: right %s of %s, wrong %s' "$1" "$2" "$3" \
		"$(rate_text "$4")" "$5" "$(last .right)" "$(last .made)" "$(last '.wrong // "-"')"
}

part_naming()
{
	local crowd case name names=() why

	for name in "${naming_readers[@]}"; do
		why=$(cannot "$name")
		[[ -n $why ]] && not_run naming "$name" "$why" || names+=("$name")
	done
	for crowd in "${naming_crowds[@]}"; do
		crowd_stand "$crowd" || { warn "no crowd of $crowd: $(<"$work/crowd.said")"; continue; }
		for case in "${naming_cases[@]}"; do
			for name in "${names[@]}"; do
				# shellcheck disable=SC2086
				naming_one "$name" "$crowd" $case
			done
		done
		crowd_leave
	done
}
