#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Static rules that somebody takes away are missed at once, told, and put back when asked for.
. "$(dirname "$0")/lib.sh"

gap='.event.action == "ruleset_gap"'

gap_told()
{
	at_least "$1" "$gap"
}

gaps()
{
	count_records "$gap"
}

# What the gaps were: change, by whom, whether it is over, restored.
told()
{
	select_records "$gap" | jq -r '[.nfwho.ruleset.change, .process.name // "-",
		(if .event.end then "over" else "missing" end), .nfwho.ruleset.restored] |
		join(", ")'
}

adds_up()
{
	equal "$1: the ledger adds up" "$(ledger_gaps)" "0 0"
}

listed()
{
	[[ $(here nft list table inet nfwho) == *"$1"* ]]
}

rules_stand()
{
	listed 'group 617'
}

# taken_away TITLE COMMAND…
taken_away()
{
	local title=$1 gaps
	shift

	gaps=$(gaps)
	here "$@" || not_ok "$title: the command itself"
	check "$title: is told" wait_for $((5 * slow)) gap_told $((gaps + 1))
	check "$title: is mended" wait_for $((5 * slow)) rules_stand
	equal "$title: by whom, from when, until when" "$(select_records \
		'.event.action == "ruleset_gap"' | tail -n 1 | jq -r '[.process.name,
		(.event.start <= .event.end), .nfwho.ruleset.restored] | @tsv')" \
		$'nft\ttrue\ttrue'
	here "$load" short --to $peer4:$port --count 5 --truth "$work/truth.tsv" ||
		not_ok "$title: load"
	port=$((port + 1))	# a source port used again is no duplicate
	wait_for $((5 * slow)) all_recorded
	owned "$title: afterwards all is recorded again" "$work/truth.tsv"
}

all_recorded()
{
	"$compare" "$work/truth.tsv" "$records" --at-most missing=0
}


# watching OPTIONS…: a collector that has begun to watch a table that may have stood before.
watching()
{
	collector_start "$@" && wait_for $((5 * slow)) watched
}

# NFNLGRP_NFTABLES is the seventh group.
watched()
{
	here grep -q ' 00000040 ' /proc/self/net/netlink
}

# Rules that the administrator keeps in a file.
static()
{
	local handle gaps port=81

	watching --ruleset static || finish
	taken_away "nft delete table" nft delete table inet nfwho
	taken_away "nft flush ruleset" nft flush ruleset
	taken_away "nft flush chain" nft flush chain inet nfwho output
	handle=$(here nft -a list chain inet nfwho output | awk '/group/ { print $NF; exit }')
	taken_away "nft delete rule" nft delete rule inet nfwho output handle "$handle"
	taken_away "a dormant table" nft 'add table inet nfwho { flags dormant; }'
	gaps=$(gaps)
	here nft add table inet other
	here nft add chain inet other output
	here nft delete table inet other
	here nft -f - <<<"flush ruleset; include \"$work/nfwho.nft\""
	here "$load" short --to $peer4:80 --count 5 --truth "$work/truth.tsv"
	wait_for $((5 * slow)) all_recorded
	collector_stop
	equal "neither others' changes nor a file loaded again are a gap" "$(gaps)" "$gaps"
	equal "five gaps in all" "$gaps" 5
	adds_up static
	check "the static table is left standing" rules_stand
}

# An owned table is out of reach: here of what Debian's nftables.service does at a restart.
owned_untouched()
{
	owns_tables || { skip "an owned table" "needs tables with an owner"; return; }
	printf 'flush ruleset\ntable inet filter {\n}\n' >"$work/nftables.conf"
	collector_start --ruleset owned || return
	here nft flush ruleset
	here nft -f "$work/nftables.conf"
	here nft flush ruleset
	here "$load" short --to $peer4:80 --count 5 --truth "$work/truth.tsv"
	wait_for $((5 * slow)) all_recorded
	check "an owned table: outlives flush ruleset and a restart of nftables" rules_stand
	collector_stop
	owned "an owned table: all is recorded" "$work/truth.tsv"
	equal "an owned table: no gap" "$(gaps)" 0
	adds_up "an owned table"
	check "an owned table: goes with us" no_table
	here nft delete table inet filter 2>/dev/null
}

# Anybody who may change a ruleset may do that, with an owned table, too.
set_back()
{
	local port

	collector_start --ruleset owned || return
	for port in 84 85; do
		here "$load" short --to $peer4:$port --count 5 --truth "$work/truth.tsv"
		wait_for $((5 * slow)) all_recorded
		((port == 85)) || here nft reset counters table inet nfwho >/dev/null
	done
	collector_stop
	adds_up "counters that were set back"
	equal "counters that were set back: the ledger says so" "$(select_records \
		'.event.action == "ledger"' | tail -n 1 |
		jq -c '.nfwho.ledger | [.matched, .matched_approximate]')" '[10,true]'
	check "counters that were set back: so does standard error" \
		grep -q "counter says 5 packets less" "$said"
}

no_table()
{
	! here nft list table inet nfwho
}

# auto uses the static table, puts it back if nothing logs any more, and takes that away at exit.
auto()
{
	here nft -f "$work/nfwho.nft"
	watching --ruleset auto || return
	here nft insert rule inet nfwho output ip daddr 203.0.113.77 return
	wait_for $((5 * slow)) gap_told 1
	check "auto: an altered table that logs is left alone" listed 203.0.113.77
	here nft -f "$work/nfwho.nft"
	wait_for $((5 * slow)) gap_told 2
	here nft delete table inet nfwho
	wait_for $((5 * slow)) rules_stand
	check "auto: the firewall's file goes on loading" here nft -f "$work/nfwho.nft"
	here nft delete table inet nfwho
	wait_for $((5 * slow)) gap_told 4
	here nft add rule inet nfwho output counter
	wait_for $((5 * slow)) gap_told 5
	here nft delete table inet nfwho
	wait_for $((5 * slow)) gap_told 6
	collector_stop
	equal "auto: what was told" "$(told)" "rules altered, nft, missing, false
rules altered, nft, over, false
table removed, nft, over, true
table removed, nft, over, true
rules altered, nft, missing, false
rules altered, nft, over, true"
	check "auto: what was put back goes at exit" no_table
}

# What auto finds altered at the start is somebody's: one line, and no table touched.
refuses()
{
	here nft -f "$work/nfwho.nft"
	here nft add rule inet nfwho output counter
	here "$NFWHO" run >"$work/out" 2>"$said"
	equal "auto: refuses an altered table with one line" "$? $(wc -l <"$said")" "1 1"
	check "auto: says what would do" grep -q 'ruleset static' "$said"
	check "auto: leaves it" rules_stand
	here nft flush ruleset
	here nft add table inet nfwho
	here "$NFWHO" run --ruleset static >"$work/out" 2>"$said"
	equal "static: a foreign table is refused with one line" "$? $(wc -l <"$said")" "1 1"
	here nft delete table inet nfwho
}

# A ruleset that others change all the time.
busy()
{
	local before after

	here nft -f "$work/nfwho.nft"
	watching --ruleset static || return
	before=$(sleeps)
	for _ in {1..500}; do
		echo 'add table inet other; delete table inet other'
	done | here nft -i >/dev/null
	after=$(sleeps)
	check "500 changes by others wake us less than 100 times" test $((after - before)) -lt 100
	here nft delete table inet nfwho
	check "and ours is not missed among them" wait_for $((5 * slow)) gap_told 1
	collector_stop
	equal "by the right process, once" "$(told)" "table removed, nft, over, true"
	here nft flush ruleset
}

sleeps()
{
	awk '/^voluntary/ { print $2 }' "/proc/$collector/status"
}

# Other people's rules are not ours to put back.
others()
{
	here nft -f - <<-'NFT'
	table ip logger {
		chain output {
			type filter hook output priority -150
			tcp flags & (syn|ack) == syn log group 617
		}
	}
	NFT
	watching --ruleset none || return
	here nft add table inet other
	here nft flush chain ip logger output
	wait_for $((5 * slow)) gap_told 1
	here nft add rule ip logger output tcp flags syn log group 617
	wait_for $((5 * slow)) gap_told 2
	collector_stop
	equal "none: what was told" "$(told)" "no rule logs to the group, nft, missing, false
no rule logs to the group, nft, over, false"
	here nft flush ruleset
}

# owned_for_a_second COMMAND…: by an nft that makes of them a table of its own, which goes with it. The kernel
# tells nobody of that.
owned_for_a_second()
{
	{ printf '%s\n' "$@"; sleep 1; } | here nft -i >/dev/null
}

gone_with_its_owner()
{
	owns_tables || { skip "a table that goes with its owner" "needs tables with an owner"; return; }
	here nft -f "$work/nfwho.nft"
	watching --ruleset static || return
	owned_for_a_second 'delete table inet nfwho; add table inet nfwho { flags owner; }'
	check "static: a table that somebody took and that went with him is put back" \
		wait_for $((5 * slow)) gap_told 2
	collector_stop
	equal "static: told" "$(told)" "table replaced by one that is not ours, nft, missing, false
table replaced by one that is not ours, nft, over, true"
	here nft flush ruleset

	watching --ruleset none --ledger-interval 1 || return
	owned_for_a_second 'add table ip logger { flags owner; }' \
		'add chain ip logger output { type filter hook output priority -150; }' \
		'add rule ip logger output tcp flags syn log group 617'
	check "none: rules that went with their owner are missed" wait_for $((5 * slow)) gap_told 1
	collector_stop
	equal "none: told, by nobody known" "$(told)" "no rule logs to the group, -, missing, false"
}

# Somebody else has the group: said, with his name, and taken back when he is gone.
taken()
{
	local taker

	collector_start --ledger-interval 1 || return
	background "$HERE" "$here_dir/borrow.py" "$collector" 00000000 take 617
	taker=$!
	wait_for $((5 * slow)) gap_told 1
	kill "$taker"
	wait "$taker" 2>/dev/null
	wait_for $((5 * slow)) gap_told 2
	collector_stop
	equal "a group that another process holds: told" "$(told)" \
		"group held by another process, python3, missing, false
group held by another process, python3, over, true"
	equal "a group that another process holds: its pid" "$(select_records "$gap" |
		jq .process.pid | uniq)" "$taker"
	adds_up "a group that another process holds"
}

# With no more rights than are kept.
confined()
{
	here nft -f "$work/nfwho.nft"
	watching --ruleset static --user nobody --ledger-interval 1 || return
	here nft delete table inet nfwho
	wait_for $((5 * slow)) gap_told 1
	"$here_dir/borrow.py" "$collector" 00000000 unbind 617 || not_ok "borrowing the socket"
	wait_for $((5 * slow)) gap_told 2
	check "as an ordinary user: rules and group are back" collector_ready 617 nfwho
	collector_stop
	equal "as an ordinary user: told" "$(told)" "table removed, nft, over, true
group unbound, -, over, true"
	here nft flush ruleset
}

# Through a copy of our own socket, the only way there is.
unbound()
{
	collector_start --ledger-interval 1 || return
	"$here_dir/borrow.py" "$collector" 00000000 unbind 617 || not_ok "borrowing the socket"
	wait_for $((5 * slow)) gap_told 1
	check "a group that was unbound is bound again" collector_ready 617 nfwho
	here "$load" short --to $peer4:80 --count 5 --truth "$work/truth.tsv"
	wait_for $((5 * slow)) all_recorded
	collector_stop
	owned "a group that was unbound: afterwards all is recorded" "$work/truth.tsv"
	equal "a group that was unbound: told" "$(told)" "group unbound, -, over, true"
	adds_up "a group that was unbound"
}

netns_pair
serve 80 81 82 83 84 85
check "rules install" here "$NFWHO" rules install --file "$work/nfwho.nft"
static
here "$NFWHO" rules remove --file /nonexistent/nfwho.nft 2>/dev/null
owned_untouched
set_back
auto
refuses
busy
others
gone_with_its_owner
unbound
taken
confined
finish
