#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Static rules that somebody takes away are missed at once, told, and put back when asked for.
. "$(dirname "$0")/lib.sh"

gap_told()
{
	at_least "$1" '.event.action == "ruleset_gap"'
}

rules_stand()
{
	here nft list table inet nfwho | grep -q 'group 617'
}

# taken_away TITLE COMMAND…
taken_away()
{
	local title=$1 gaps
	shift

	gaps=$(count_records '.event.action == "ruleset_gap"')
	here "$@" || not_ok "$title: the command itself"
	check "$title: is told" wait_for 5 gap_told $((gaps + 1))
	check "$title: is mended" wait_for 5 rules_stand
	equal "$title: by whom, from when, until when" "$(select_records \
		'.event.action == "ruleset_gap"' | tail -n 1 | jq -r '[.process.name,
		(.event.start <= .event.end), .nfwho.ruleset.restored] | @tsv')" \
		$'nft\ttrue\ttrue'
	here "$load" short --to $peer4:80 --count 5 --truth "$work/truth.tsv" || not_ok "$title: load"
	wait_for 5 all_recorded
	owned "$title: afterwards all is recorded again" "$work/truth.tsv"
}

all_recorded()
{
	"$compare" "$work/truth.tsv" "$records" --at-most missing=0
}

netns_pair
serve 80
check "rules install" here "$NFWHO" rules install --file "$work/nfwho.nft"
collector_start --ruleset static || finish
taken_away "nft delete table" nft delete table inet nfwho
taken_away "nft flush ruleset" nft flush ruleset
taken_away "nft flush chain" nft flush chain inet nfwho output
handle=$(here nft -a list chain inet nfwho output | awk '/group/ { print $NF; exit }')
taken_away "nft delete rule" nft delete rule inet nfwho output handle "$handle"
here nft add table inet other
here nft add chain inet other output
gaps=$(count_records '.event.action == "ruleset_gap"')
here nft delete table inet other
collector_stop
equal "other people's changes are no gap" "$(count_records '.event.action == "ruleset_gap"')" "$gaps"
equal "four gaps in all" "$gaps" 4
here "$NFWHO" rules remove --file "$work/nfwho.nft"
finish
