#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The owner is the process that called connect(), however oddly it did.
. "$(dirname "$0")/lib.sh"

connects=$NFWHO_BUILD/tests/kernel/connects
[[ -x $connects ]] || skip_all "connects is not built: no liburing"

declare -A titles=(
	[plain]="a plain connect"
	[nonblocking]="a non-blocking connect"
	[abandoned]="a process that is gone before the answer comes"
	[thread]="a connect in a thread belongs to its process"
	[child_with_parents_socket]="a child connects its parent's socket"
	[received_descriptor]="a socket received over a unix socket"
	[bound_first]="bind before connect"
	[reuseport_pair]="two processes share a local port with SO_REUSEPORT"
	[second_connect]="a second connect after a refusal, its old port taken by another"
	[exec_after]="exec right after connect"
	[exec_while_connecting]="exec while the connect is under way"
	[reused_pid]="a pid used again within the run"
	[v4_mapped]="an IPv4 address on an IPv6 socket"
	[mptcp]="MPTCP"
	[fast_open]="TCP Fast Open by sendto"
	[fast_open_connect]="TCP Fast Open by connect, the SYN sent by another process"
	[uring]="io_uring"
	[uring_worker]="io_uring, in a worker of the ring"
)
order=(plain nonblocking abandoned thread child_with_parents_socket received_descriptor bound_first
	reuseport_pair second_connect exec_after exec_while_connecting reused_pid v4_mapped mptcp
	fast_open fast_open_connect uring uring_worker)

make_connections()
{
	local family=$1 served=$2 refused=$3 name

	for name in "${order[@]}"; do
		# An address of IPv6 is none of IPv4.
		[[ $name == v4_mapped && $family == IPv6 ]] && continue
		here "$connects" "$name" "$work/$name-$family.tsv" "$served" "$refused" \
			2>"$work/$name-$family.why"
		echo $? >"$work/$name-$family.status"
		[[ -f $work/all.tsv ]] || head -n 1 "$work/$name-$family.tsv" >"$work/all.tsv"
		tail -n +2 "$work/$name-$family.tsv" >>"$work/all.tsv"
	done
}

check_connections()
{
	local family=$1 name title

	for name in "${order[@]}"; do
		[[ -e $work/$name-$family.status ]] || continue
		title="${titles[$name]}, $family"
		case $(<"$work/$name-$family.status") in
		0) owned "$title" "$work/$name-$family.tsv" ;;
		77) skip "$title" "not with $family on this kernel" ;;
		*) not_ok "$title: $(<"$work/$name-$family.why")" ;;
		esac
	done
}

netns_pair
serve 80
sysctl_in "$HERE" net.ipv4.tcp_fastopen=1
sysctl_in "$PEER" net.ipv4.tcp_fastopen=0x403
collector_start --trace on || finish
make_connections IPv4 $peer4:80 $peer4:81
make_connections IPv6 "[$peer6]:80" "[$peer6]:81"
wait_for 10 all_written "$work/all.tsv"
collector_stop
check_connections IPv4
check_connections IPv6
compared "and nothing more was written" "$work/all.tsv" --at-most extra=0 --at-most duplicate=0 \
	--at-most duplicate_end=0 --at-most ends_without_start=0 --at-least connections=40

pid=$(awk 'NR == 2 { print $1 }' "$work/reused_pid-IPv4.tsv")
equal "a reused pid is two entities" "$(select_records ".process.pid == $pid and
	.event.action == \"connection_attempted\"" | jq -r .process.entity_id | sort -u | wc -l)" 2
equal "every owner is known by the trace" "$(select_records '
	.event.action == "connection_attempted"' | jq -r .nfwho.owner | sort -u)" trace

# Rules that stand already log as soon as somebody listens, and only then /proc is read: what comes in
# the first reading has waited for that.
background "$HERE" python3 -c '
import os, signal
for _ in range(300):
    if os.fork() == 0:
        signal.pause()
print("ready", flush=True)
signal.pause()' >"$work/crowd"
wait_for 20 grep -q ready "$work/crowd"
here "$NFWHO" rules show >"$work/rules.nft"
here nft -f "$work/rules.nft"
here "$load" busy --to "$peer4:80" --to "[$peer6]:80" --count $((900 / slow)) --rate $((300 / slow)) \
	--seconds 20 --truth "$work/first.tsv" >/dev/null &
loading=$!
children+=("$loading")
pause 0.3
collector_start --trace on --ruleset static || finish
wait "$loading"
check "what the first reading brings is written" wait_records 10 $((100 / slow)) \
	'.event.action == "connection_attempted"'
collector_stop
equal "and its owners are known by the trace" "$(select_records '
	.event.action == "connection_attempted"' | jq -r .nfwho.owner | sort -u)" trace
here nft delete table inet nfwho

# Connected before the rules stood, and after they were taken away: not logged, but they have left.
here "$load" short --to "$peer4:80" --to "[$peer6]:80" --count $((900 / slow)) --rate $((300 / slow)) \
	--seconds 20 --truth "$work/around.tsv" >/dev/null &
loading=$!
children+=("$loading")
pause 0.3
collector_start --trace on || finish
pause 0.5
collector_stop
wait "$loading"
equal "what nobody logged is not called unsent" "$(count_records '.event.reason == "unsent"')" 0

# The second's route is looked up, with its port, before its connect, when the thread's last is the first.
bound_at_once()
{
	here python3 - "$1" "$2" "$3" <<-'EOF'
	import socket, sys, time
	family = socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET
	sockets = [socket.socket(family) for _ in range(4)]
	for s in sockets:
	    s.bind((sys.argv[1], 0))
	    s.setblocking(False)
	    s.connect_ex((sys.argv[2], 85))
	time.sleep(float(sys.argv[3]))
	EOF
}
# A neighbour that takes what it gets, and says nothing.
for address in $nobody4 $nobody6; do
	here ip neigh replace "$address" lladdr 02:00:00:00:00:99 dev eth0
done
collector_start --trace on || finish
bound_at_once $here4 $nobody4 1
bound_at_once $here6 $nobody6 1
wait_ended 20 8
collector_stop
equal "several of one thread at once, bound first: they are named" "$(select_records '
	.event.action == "connection_attempted"' | jq -r .process.name | grep -c ^python)" 8
equal "IPv4: by the trace" "$(select_records '.event.action == "connection_attempted" and
	.network.type == "ipv4"' | jq -r .nfwho.owner | sort | uniq -c | awk '{ print $1, $2 }')" "4 trace"
equal "and fates" "$(select_records '.event.action == "connection_ended"' |
	jq -r '"\(.event.reason) \(.event.duration >= 900000000)"' |
	sort | uniq -c | awk '{ print $1, $2, $3 }')" \
	"8 $(reports_errors && echo aborted || echo null) true"
finish
