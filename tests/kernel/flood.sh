#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Tens of thousands of connections a second, with ends; then losses, and every one accounted for.
. "$(dirname "$0")/lib.sh"

if ((sanitized)); then
	rate=3000 seconds=2
else
	# An emulated machine of two processors makes a few hundred a second.
	rate=$((30000 / slow / slow)) seconds=5
fi

ledger()
{
	tail -n 1 "$records" | jq -r ".nfwho.ledger.$1 // 0"
}

# Conntrack forgets at once, or its table fills: 30,000/s for 5 s are 150,000 entries.
forget_at_once()
{
	sysctl_in "$HERE" \
		net.netfilter.nf_conntrack_tcp_timeout_{time_wait,close,fin_wait,last_ack,close_wait}=1
	((rate < 20000)) || sysctl_in "$HERE" net.ipv4.ip_local_port_range="1024 65535"
}

flood()
{
	here "$load" busy --to $peer4:80 --to $peer4:81 --to $peer4:82 --to "[$peer6]:80" \
		--to "[$peer6]:81" --to "[$peer6]:82" --workers 4 --rate $rate \
		--count $((rate * seconds)) --seconds $((seconds * 4)) --truth "$1" 2>"$work/load" ||
		not_ok "the load itself: $(<"$work/load")"
}

# The ledger is the last line.
flooded()
{
	collector_start "$@" || return
	flood "$work/truth.tsv"
	wait_for 30 all_written "$work/truth.tsv"
}

flooded_to_the_end()
{
	flooded "$@" || return
	wait_ended 30 $(($(wc -l <"$work/truth.tsv") - 1))
	collector_stop
}

# without_loss COLLECTOR-OPTION… -- BOUND…
without_loss()
{
	local bounds=() options=()

	while (($#)) && [[ $1 != -- ]]; do
		options+=("$1")
		shift
	done
	shift
	bounds=("$@")
	set -- "${options[@]}"
	flooded_to_the_end "$@" || return
	compared "$rate/s for $seconds s, starts and ends, all there ($*)" "$work/truth.tsv" \
		--at-least connections=$((rate * seconds)) --at-most missing=0 \
		--at-most duplicate=0 --at-most wrong=0 --at-most wrong_user=0 \
		--at-most extra=0 --at-most ledger.kernel_gap=0 --at-most ledger.own_gap=0 \
		--at-most ledger.sequence_gap=0 --at-most ledger.lost_tail=0 \
		--at-most ledger.conntrack_lost=0 \
		--at-most without_end=0 --at-most duplicate_end=0 --at-most ends_without_start=0 \
		--at-most ends_without_bytes=0 --at-most reason.blocked=0 "${bounds[@]}"
	equal "matched is received, started is ended ($*)" "$(ledger matched) $(ledger started)" \
		"$(ledger received) $(ledger ended)"
}

# The trace's buffers hold what comes in a fraction of a second. That nothing of it is lost depends
# on being run in time: two of three floods, of which the one just judged is the first.
trace_loses_nothing()
{
	local lost all='' good=0 bad=0 seconds=2

	while lost=$(ledger trace_lost); do
		all+=" $lost"
		if ((lost)); then bad=$((bad + 1)); else good=$((good + 1)); fi
		((good < 2 && bad < 2)) || break
		flooded --trace on && collector_stop || return
	done
	equal "$rate/s: the trace loses nothing in two of three floods (lost:$all)" \
		"$((good == 2))" 1
}

begun()
{
	(($(grep -c '"action":"connection_attempted"' "$records") > 100))
}

# The collector is stopped in the middle of it. Losses are counted, nothing is made up.
with_loss()
{
	local seconds=3

	collector_start --trace on || return
	flood "$work/truth.tsv" &
	local maker=$!
	wait_for 10 begun
	kill -STOP "$collector"
	wait_for 2 false
	kill -CONT "$collector"
	wait $maker
	wait_for 10 all_written "$work/truth.tsv"
	here "$load" short --to $peer4:90 --to "[$peer6]:90" --count 200 --rate 100 \
		--truth "$work/after.tsv" || not_ok "the load afterwards"
	tail -n +2 "$work/after.tsv" >>"$work/truth.tsv"
	wait_for 10 after_recorded
	wait_ended 5 "$(grep -c '"action":"connection_attempted"' "$records")"
	collector_stop || return
	echo "# lost: sequence gap $(ledger sequence_gap), tail $(ledger lost_tail)," \
		"trace $(ledger trace_lost), conntrack $(ledger conntrack_lost)"
	equal "they are said on stderr, each once" "$(losses_said)" \
		"$(($(ledger sequence_gap) + $(ledger lost_tail))) $(ledger trace_lost) $(ledger \
			conntrack_lost)"
	compared "stopped for 2 s: losses are in the ledger exactly, no wrong name, none blocked" \
		"$work/truth.tsv" --at-most wrong=0 --at-most wrong_user=0 --at-most duplicate=0 \
		--at-most duplicate_end=0 --at-most ends_without_start=0 --at-most reason.blocked=0 \
		--at-most ledger.kernel_gap=0 --at-most ledger.own_gap=0
	grep '"port":90[,}]' "$records" >"$work/after.json"
	mv "$work/after.json" "$records"
	owned "afterwards all is right again" "$work/after.tsv"
}

losses_said()
{
	awk '/lost since this was last said/ {
		sub(/.*said: /, "")
		packets += $1; records += $3; messages += $8
	} END { print packets + 0, records + 0, messages + 0 }' "$said"
}

after_recorded()
{
	(($(grep '"action":"connection_attempted"' "$records" | grep -c '"port":90[,}]') >= 200))
}

# Loss on purpose must not look like blocking: untracked packets, exhausted NAT ports.
never_blocked()
{
	here nft -f - <<-'EOF'
	table inet odd {
		chain raw {
			type filter hook output priority -300
			tcp dport 81 notrack
		}
		chain postrouting {
			type nat hook postrouting priority 100
			tcp dport 82 masquerade to :20000-20003
		}
	}
	EOF
	collector_start --trace on || return
	here "$load" short --to $peer4:81 --to "[$peer6]:81" --count 100 --truth "$work/untracked.tsv"
	here "$load" blackhole --to $peer4:82 --count 40 --workers 20 --timeout-ms 500 \
		--truth "$work/ports.tsv" 2>/dev/null
	wait_ended 10 140
	collector_stop
	owned "untracked connections" "$work/untracked.tsv"
	equal "untracked connections are never blocked" "$(count_records '.destination.port == 81
		and .event.reason == "blocked"')" 0
	equal "with NAT ports used up, none that got through is blocked" "$(comm -12 \
		<(awk -F '\t' '$4 == 0 && NR > 1 { print $6 }' "$work/ports.tsv" | sort -u) \
		<(select_records '.destination.port == 82 and .event.reason == "blocked"' |
			jq -r .source.port | sort -u))" ""
	here nft delete table inet odd
}

netns_pair
serve 80 81 82 90
forget_at_once
without_loss --trace on -- --at-least right%=100
trace_loses_nothing
((sanitized)) || with_loss
rate=$((rate / 6)) seconds=2
without_loss --trace off --lookup diag --
never_blocked
finish
