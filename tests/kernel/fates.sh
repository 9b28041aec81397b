#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Every fate a connection can have, made on purpose: one start, one end, the right reason.
. "$(dirname "$0")/lib.sh"

fates=$here_dir/fates.py
# Of what takes seconds, how many times as long it takes on a slow machine.
export PATIENCE=$((1 + slow / 4))

# The obstacles. Forgetting is made quick, so that the ends need not be waited for minutes, but not
# where either side may still have to close: whoever is not run for a second would be forgotten. That
# there is no neighbour is known before the SYN would be sent again: with the last of them under way
# an older kernel (5.10) takes that for a timeout.
obstruct()
{
	sysctl_in "$HERE" net.ipv{4,6}.neigh.eth0.{mcast_solicit=1,retrans_time_ms=300} \
		net.ipv4.tcp_syn_retries=1 \
		"net.netfilter.nf_conntrack_tcp_timeout_"{time_wait,close}"=$PATIENCE" \
		"net.netfilter.nf_conntrack_tcp_timeout_"{fin_wait,last_ack,close_wait}"=$((10 * PATIENCE))" \
		net.netfilter.nf_conntrack_tcp_timeout_established=$((3 * PATIENCE)) \
		net.netfilter.nf_conntrack_tcp_timeout_syn_sent=6
	here nft -f - <<-'EOF'
	table inet obstacle {
		set reset_ipv4 { type inet_service; flags dynamic; }
		set reset_ipv6 { type inet_service; flags dynamic; }
		chain input {
			type filter hook input priority 0
			tcp flags & rst == rst meta nfproto ipv4 add @reset_ipv4 { tcp sport }
			tcp flags & rst == rst meta nfproto ipv6 add @reset_ipv6 { tcp sport }
		}
		chain output {
			type filter hook output priority 0
			tcp flags & rst == rst meta nfproto ipv4 add @reset_ipv4 { tcp dport }
			tcp flags & rst == rst meta nfproto ipv6 add @reset_ipv6 { tcp dport }
			tcp dport { 2008, 2012 } drop
			tcp dport 2010 reject with tcp reset
			tcp dport 2011 reject with icmpx type port-unreachable
		}
		chain postrouting {
			type filter hook postrouting priority 0
			tcp dport 2009 drop
		}
	}
	EOF
	peer nft -f - <<-'EOF'
	table inet obstacle {
		chain input {
			type filter hook input priority 0
			tcp dport { 2007, 2013, 2014, 2015 } drop
			tcp dport 2006 reject with icmpx type host-unreachable
		}
	}
	EOF
}

# A side that was not run for 200 ms repeats its FIN. The answer to that may come when the socket is
# gone, which answers with RST: such a connection was closed, and reset. Of those only the wire tells.
was_reset()
{
	here nft list set inet obstacle "reset_$1" | grep -qw "$2"
}

# fate FAMILY-TYPE PORT: what was written of each connection, in order.
fate()
{
	jq -rs --arg type "$1" --argjson port "$2" '
		map(select(.network.type == $type and .destination.port == $port)) as $all |
		$all | map(.nfwho.connection_id) |
		reduce .[] as $id ([]; if index([$id]) then . else . + [$id] end) | .[] as $id |
		$all[] | select(.nfwho.connection_id == $id) |
		if .event.action == "connection_attempted" then "start"
		elif .event.action == "connection_ended" then
			"end \(.event.reason) \(.event.outcome)" +
			(if .event.type | index("denied") then " denied" else "" end)
		else .event.action end' "$records"
}

# story REASONS: what should be. A tuple tried twice has its lines in pairs.
story()
{
	local reason

	for reason in $1; do
		echo start
		case $reason in
		closed | reset | expired) echo "end $reason success" ;;
		blocked) echo "end $reason failure denied" ;;
		*) echo "end $reason failure" ;;
		esac
	done
}

# Nobody but the trace may know how a socket without an answer ended: such an end may be left open,
# which counts as right here; a wrong one may not.
left_out()
{
	local reason=${2%% *} outcome="failure"

	case $reason in
	blocked) outcome="failure denied" ;;
	closed | reset | expired | refused)
		echo "$1"
		return ;;
	esac
	sed "s/^end null .*/end $reason $outcome/" <<<"$1"
}

# On a machine whose perf is silent while a CPU is idle, what a timer or ICMP ends may have no reason
# (but no wrong one); with every CPU awake it must have. The least that keeps them so.
keep_awake()
{
	local cpu

	for cpu in $(seq 0 $(($(getconf _NPROCESSORS_ONLN) - 1))); do
		chrt --idle 0 taskset -c "$cpu" sh -c 'while :; do :; done' &
		children+=($!)
	done
}

forgotten_until_gone()
{
	conntrack_forgets
	gone "$1"
}

tell_fates()
{
	local mode=$1 family=$2 port reasons title found

	while IFS=$'\t' read -r port reasons title; do
		found=$(fate "$family" "$port")
		if [[ $reasons/$found == closed/*reset* ]] && was_reset "$family" "$port"; then
			echo "# $title, $family, $mode: and a RST was seen"
			reasons="reset"
		fi
		case $mode:$reasons in
		"trace, CPUs asleep:unreachable" | "trace, CPUs asleep:timed_out")
			found=$(left_out "$found" "$reasons") ;;
		trace*:unreachable | trace*:timed_out | trace*:aborted*)
			((reported)) || found=$(left_out "$found" "$reasons") ;;
		trace*:*) ;;
		*:closed | *:reset | *:expired)
			((stateful)) || found=${found/end null success/end $reasons success} ;;
		*)
			found=$(left_out "$found" "$reasons") ;;
		esac
		equal "$title, $family, $mode" "$found" "$(story "$reasons")"
	done < <(python3 "$fates" expected)
}

run_fates()
{
	local mode=$1 four six
	shift

	here nft "flush set inet obstacle reset_ipv4; flush set inet obstacle reset_ipv6"
	collector_start "$@" || return
	here python3 "$fates" connect 4 2>"$work/four" & four=$!
	here python3 "$fates" connect 6 2>"$work/six" & six=$!
	wait_for $((30 * PATIENCE)) forgotten_until_gone $six
	wait $four || not_ok "the connections are made, ipv4: $(<"$work/four")"
	wait $six || not_ok "the connections are made, ipv6: $(<"$work/six")"
	wait_ended $((15 * PATIENCE)) 38
	collector_stop
	tell_fates "$mode" ipv4
	tell_fates "$mode" ipv6
	equal "as many ends as starts, $mode" "$(count_records '.event.action == "connection_ended"')" \
		"$(count_records '.event.action == "connection_attempted"')"
	equal "every end belongs to a start, $mode" "$(jq -r 'select(.nfwho.connection_id)
		| .nfwho.connection_id' "$records" | sort | uniq -c | awk '$1 != 2' | wc -l)" 0
	equal "the ledger adds up, $mode" "$(ledger_gaps)" "0 0"
}

# Dropped before our hook: only the trace knows of it.
run_unsent()
{
	local found expected=$'connection_ended unsent\nconnection_ended unsent'

	here nft add table inet early
	here nft 'add chain inet early output { type filter hook output priority -300; }'
	here nft add rule inet early output tcp dport 2030 drop
	collector_start --trace on || return
	here "$load" blackhole --to $peer4:2030 --to "[$peer6]:2030" --count 2 \
		--timeout-ms $((200 * slow)) --truth "$work/truth.tsv"
	wait_ended $((10 * PATIENCE)) 2
	collector_stop
	found=$(jq -r 'select(.destination.port == 2030)
		| .event.action + " " + (.event.reason // "")' "$records" | grep ended | sort)
	equal "dropped before our hook, both families" "$found" "$expected" ||
		jq -c 'select(.event.action == "ledger").nfwho.ledger' "$records" |
		tail -n 1 | sed 's/^/# /'
}

netns_pair
reported=0 stateful=0
reports_errors && reported=1
obstruct
background "$PEER" python3 "$fates" serve 4 >"$work/serve4"
background "$PEER" python3 "$fates" serve 6 >"$work/serve6"
wait_for 10 grep -q listening "$work/serve4"
wait_for 10 grep -q listening "$work/serve6"
tells_state && stateful=1
echo "# errors are reported: $reported; conntrack's last word has the state: $stateful"
here "$NFWHO" check >"$work/check" 2>&1
if grep -q 'silent while CPU' "$work/check"; then
	run_fates "trace, CPUs asleep" --trace on
	keep_awake
fi
run_fates trace --trace on
run_fates "no trace" --trace off
run_unsent
finish
