#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Others queue packets to a program of theirs (nft queue), before our rule and behind it: what waits
# there is logged once, and its owner is who connected, not who gave the verdict.
. "$(dirname "$0")/lib.sh"

# verdicts NUMBER accept|drop
verdicts()
{
	background "$HERE" python3 "$here_dir/queue.py" "$@" >"$work/queue$1"
	wait_for 20 grep -q bound "$work/queue$1" || { not_ok "queue $1 is bound"; finish; }
}

fates_of()
{
	select_records ".event.action == \"connection_ended\" and .destination.port == $1" |
		jq -r '.event.reason' | sort | uniq -c | xargs
}

netns_pair
serve 80 81 82 83
here nft -f - 2>"$work/nft" <<-'EOF' || skip_all "needs nft queue: $(head -n 1 "$work/nft")"
	table inet other {
		chain before {
			type filter hook output priority -170
			tcp dport 80 queue num 7
		}
		chain behind {
			type filter hook output priority 0
			tcp dport { 80, 81 } queue num 7
			tcp flags & (syn | ack) == syn tcp dport 82 queue num 8
			tcp flags & (syn | ack) == syn tcp dport 83 queue num 9
		}
	}
EOF
[[ -e /proc/net/netfilter/nfnetlink_queue ]] || modprobe -q nfnetlink_queue ||
	skip_all "needs nfnetlink_queue"
verdicts 7 accept
verdicts 8 drop

collector_start || finish
for port in 80 81; do
	here "$load" short --workers 2 --count 200 --to "$peer4:$port" --to "[$peer6]:$port" \
		--truth "$work/truth$port.tsv" 2>"$work/load" || not_ok "the load: $(<"$work/load")"
done
# A queue whose verdict is to drop, and one where nobody gives any.
for port in 82 83; do
	here "$load" blackhole --count 4 --timeout-ms 1500 --to "$peer4:$port" \
		--truth "$work/truth$port.tsv" 2>"$work/load" || not_ok "the load: $(<"$work/load")"
done
wait_records 20 408 '.event.action == "connection_attempted"'
wait_records 20 8 '.event.action == "connection_ended" and .destination.port >= 82'
collector_stop
tail -qn +2 "$work"/truth8[123].tsv | cat "$work/truth80.tsv" - >"$work/truth.tsv"
owned "what was queued is logged once, with its owner" "$work/truth.tsv" \
	--at-most extra=0 --at-most ledger.kernel_gap=0 --at-most ledger.own_gap=0
equal "dropped by a verdict is blocked" "$(fates_of 82)" "4 blocked"
equal "dropped because nobody answers the queue is blocked" "$(fates_of 83)" "4 blocked"
finish
