#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Rules that others wrote: read when asked to, never touched.
. "$(dirname "$0")/lib.sh"

foreign_rules()
{
	here nft -f - <<-'EOF'
	table inet filter {
		chain input {
			type filter hook input priority 0
			ct state new log prefix "in: " group 32
		}
		chain output {
			type filter hook output priority 0
			ct state new log prefix "out: " group 32
		}
	}
	table ip nat {
		chain postrouting {
			type nat hook postrouting priority 100
			ip daddr 203.0.113.7 masquerade
		}
	}
	EOF
}

starts()
{
	select_records ".event.action == \"connection_attempted\" and $1" | jq -c "$2"
}

no_table()
{
	! here nft list table inet nfwho
}

restored()
{
	here nft list table inet nfwho && at_least 1 '.event.action == "ruleset_gap"'
}

owned=0
owns_tables && owned=1
netns_pair
serve 80
foreign_rules
before=$(here nft list ruleset)
background "$HERE" "$load" serve --to $here4:81 --to "[$here6]:81" >"$work/serve-here"
wait_for 5 grep -q listening "$work/serve-here"

collector_start --ruleset none --group 32 || finish
equal "without rules of our own there is no table of ours" \
	"$(here nft list tables | grep -c nfwho)" 0
here "$load" short --to $peer4:80 --to "[$peer6]:80" --count 10 --hold-ms 50 \
	--truth "$work/out.tsv" 2>"$work/load" || not_ok "connections out: $(<"$work/load")"
peer "$load" short --to $here4:81 --to "[$here6]:81" --count 10 --hold-ms 50 \
	--truth "$work/in.tsv" 2>"$work/load" || not_ok "connections in: $(<"$work/load")"
wait_records 10 20 '.event.action == "connection_attempted"'
collector_stop
owned "somebody else's rule in output at priority 0" "$work/out.tsv"
compared "packets of the input hook are recorded once and get no owner" "$work/in.tsv" \
	--at-least connections=10 --at-least unnamed=10 --at-most missing=0 --at-most duplicate=0 \
	--at-most right=0 --at-most wrong=0
equal "the prefix is the rule's name" \
	"$(starts true '[.rule.name, .network.direction]' | sort | uniq -c | awk '{$1 = $1} 1')" \
	$'10 ["in: ","ingress"]\n10 ["out: ","egress"]'
equal "nothing else is written" "$(count_records '.event.action == "connection_attempted"')" 20
equal "their ruleset is the same, byte for byte" "$(here nft list ruleset)" "$before"

collector_start --ruleset owned || finish
check "an owned table stands beside theirs" here nft list table inet nfwho
if ((owned)); then
	equal "it survives: nft flush ruleset" \
		"$(here nft flush ruleset; here nft list tables)" "table inet nfwho"
else
	here nft flush ruleset
	check "without an owner it is put back: nft flush ruleset" wait_for 20 restored
fi
here "$load" short --to $peer4:80 --count 10 --truth "$work/out.tsv" 2>"$work/load"
wait_records 10 10 '.event.action == "connection_attempted"'
collector_stop
owned "and goes on logging" "$work/out.tsv"
equal "no gap is reported, but without an owner" \
	"$(count_records '.event.action == "ruleset_gap"')" $((1 - owned))
equal "the table goes with the collector" "$(here nft list ruleset)" ""

foreign_rules
collector_start --ruleset owned || finish
kill -KILL "$collector"
wait "$collector" 2>/dev/null
collector=
if ((owned)); then
	wait_for 5 no_table
	equal "killed, it leaves no rule behind, and theirs is the same" \
		"$(here nft list ruleset)" "$before"
else
	check "killed, it leaves its table" here nft list table inet nfwho
	collector_start --ruleset owned && collector_stop
	equal "the next one takes it over, and away; theirs is the same" \
		"$(here nft list ruleset)" "$before"
fi

rules=$work/nfwho.nft
check "rules install" here "$NFWHO" rules install --file "$rules"
standing=$(here nft list ruleset)
check "the file that it wrote loads" here nft -f "$rules"
equal "loading it twice changes nothing" "$(here nft list ruleset)" "$standing"
standing=$(here nft -s list ruleset)
collector_start --ruleset auto || finish
equal "auto uses the static rules that stand" "$(here nft -s list ruleset)" "$standing"
here "$load" short --to $peer4:80 --to "[$peer6]:80" --count 10 --truth "$work/out.tsv"
wait_records 10 10 '.event.action == "connection_attempted"'
collector_stop
owned "through static rules" "$work/out.tsv" --at-most extra=0 --at-most ledger.kernel_gap=0 \
	--at-most ledger.own_gap=0
check "static rules stay when the collector stops" here nft list table inet nfwho
check "rules remove" here "$NFWHO" rules remove --file "$rules"
equal "after rules remove theirs is the same, byte for byte" "$(here nft list ruleset)" "$before"
equal "and the file is gone" "$([[ -e $rules ]] && echo there)" ""
finish
