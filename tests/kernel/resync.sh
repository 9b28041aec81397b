#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# conntrack forgets living connections, its messages are lost, or our own table is full: the
# collector goes on, ends are written once, with what is sure.
. "$(dirname "$0")/lib.sh"

ct_groups=00000005	# NEW and DESTROY
ended='.event.action == "connection_ended"'

# Reads all there is on every connection.
server='
import socket, threading
def drain(c):
    while c.recv(65536):
        pass
    c.close()
l = socket.socket()
l.bind(("198.51.100.2", 3000))
l.listen(256)
while True:
    threading.Thread(target=drain, args=(l.accept()[0],), daemon=True).start()
'

# Holds connections and does as it is told: open N, send BYTES, close N.
client='
import socket, sys
held = []
for line in sys.stdin:
    word, n = line.split()
    n = int(n)
    if word == "open":
        held += [socket.create_connection(("198.51.100.2", 3000)) for _ in range(n)]
    elif word == "send":
        for s in held:
            s.sendall(bytes(n))
    else:
        for s in held[:n]:
            s.shutdown(socket.SHUT_WR)
            s.recv(1)
            s.close()
        del held[:n]
    print("done", flush=True)
'

# tell COMMAND N: and waits until it is done.
tell()
{
	local answer

	echo "$@" >&"${CLIENT[1]}"
	read -rt 10 answer <&"${CLIENT[0]}" && [[ $answer == done ]] || not_ok "client: $*"
}

client_start()
{
	coproc CLIENT { exec nsenter --net="/run/netns/$HERE" -- python3 -c "$client"; }
	children+=("$CLIENT_PID")
}

client_stop()
{
	kill "$CLIENT_PID"
	wait "$CLIENT_PID" 2>/dev/null
}

# conntrack's own word, added up over all entries of a port: packets and bytes, both directions.
conntrack_sums()
{
	grep 'dport=3000 packets' "$work/conntrack" | tr '=' ' ' | awk '{
		for (i = n = 0; ++i <= NF;) {
			if ($i == "sport" && !n)
				port = $(i + 1)
			if ($i == "packets" || $i == "bytes")
				sum[port, ++n] += $(i + 1)
		}
		ports[port]
	} END { for (p in ports) print p, sum[p, 1], sum[p, 2], sum[p, 3], sum[p, 4] }' | sort
}

recorded_sums()
{
	select_records "$ended" | jq -r '"\(.source.port) \(.source.packets) \(.source.bytes) " +
		"\(.destination.packets) \(.destination.bytes)"' | sort
}

# Ends by reason, and how many of them have bytes.
ends()
{
	select_records "$ended" | jq -rs '"\(length) ended, \(map(.source.port) | unique | length) " +
		"different, \(map(select(.source.bytes)) | length) with bytes: " +
		(group_by(.event.reason) | map("\(length) \(.[0].event.reason // "-")") | join(", "))'
}

gaps_none()
{
	equal "the ledger adds up ($*)" "$(ledger_gaps)" "0 0"
}

ledger()
{
	select_records '.event.action == "ledger"' | tail -n 1 | jq ".nfwho.ledger.$1"
}

destroyed()
{
	conntrack_forgets
	(($(grep -c dport=3000 "$work/conntrack") >= $1))
}

listeners()
{
	(($(here awk '$2 == 12 && $4 != "00000000"' /proc/self/net/netlink | wc -l) >= $1))
}

# Twenty connections; their entries are flushed while they live.
flushed()
{
	local closed=closed

	collector_start "$@" || return
	nsenter --net="/run/netns/$HERE" -- conntrack -E -e DESTROY -p tcp -o extended \
		>"$work/conntrack" 2>/dev/null &
	local listener=$!
	children+=("$listener")
	wait_for 5 listeners 2
	client_start
	tell open 20
	tell send 1000
	wait_records 5 20 '.event.action == "connection_attempted"'
	here conntrack -F 2>/dev/null
	wait_for 5 destroyed 20
	equal "a flush ends no living connection ($*)" "$(count_records "$ended")" 0
	tell send 5000
	tell close 20
	wait_for 10 destroyed 40
	wait_ended 10 20
	kill "$listener"
	wait "$listener" 2>/dev/null
	client_stop
	collector_stop
	# Linux 5.10 says no more than that it ended: only the trace tells how.
	[[ $stateful == 1 || $* != *"--trace off"* ]] || closed=-
	equal "each ends once, closed ($*)" "$(ends)" \
		"20 ended, 20 different, 20 with bytes: 20 $closed"
	equal "with the bytes of both entries ($*)" "$(recorded_sums)" "$(conntrack_sums)"
	gaps_none "flushed" "$@"
}

lost()
{
	collector_start "$@" || return
	client_start
	tell open 30
	wait_records 5 30 '.event.action == "connection_attempted"'
	check "a small receive buffer" "$here_dir/borrow.py" "$collector" $ct_groups shrink
	kill -STOP "$collector"
	tell send 1000
	tell close 20
	here "$load" short --to $peer4:80 --count 100 --truth "$work/truth.tsv"
	wait_for 10 forgotten
	kill -CONT "$collector"
	wait_for 10 ended 120
	equal "what ended while messages were lost ends within seconds ($*)" \
		"$(count_records "$ended")" 120
	check "a larger one" "$here_dir/borrow.py" "$collector" $ct_groups grow
	tell send 1000
	tell close 10
	wait_ended 10 130
	client_stop
	collector_stop
	check "messages were lost ($*)" test "$(ledger conntrack_lost)" -gt 0
	check "ends that this may concern are counted ($*)" test "$(ledger ends_uncertain)" -ge 100
	equal "each connection ends once ($*)" "$(select_records "$ended" | jq -r \
		.nfwho.connection_id | sort | uniq -c | awk '{ print $1 }' | sort | uniq -c | xargs)" "130 1"
	equal "none is taken for blocked ($*)" \
		"$(count_records "$ended and .event.reason == \"blocked\"")" 0
	equal "what lived on has its bytes ($*)" "$(count_records \
		"$ended and .destination.port == 3000 and (.source.bytes // 0) > 2000")" 10
	gaps_none "lost" "$@"
}

# Only what is still held has an entry.
forgotten()
{
	conntrack_forgets
	(($(here conntrack -L -p tcp 2>/dev/null | wc -l) <= 10))
}

# 1,024 flows, more connections than that: unanswered ones go first.
full()
{
	ip -n "$HERE" neigh replace $nobody4 lladdr 02:00:00:00:00:99 dev eth0
	collector_start --flows 1024 --final yes || return
	client_start
	tell open 20
	wait_records 5 20 '.event.action == "connection_attempted"'
	here python3 -c '
import resource, socket, time
resource.setrlimit(resource.RLIMIT_NOFILE, (2048, 2048))
held = []
for n in range(1500):
    s = socket.socket()
    s.setblocking(False)
    s.connect_ex(("198.51.100.99", 443))
    held.append(s)
    if n % 50 == 0:
        time.sleep(0.02)
'
	wait_records 10 1520 '.event.action == "connection_attempted"'
	tell close 20
	wait_for 15 answered_ended
	client_stop
	collector_stop
	# One that was given up and is tried again, as on a slow machine, is a start once more.
	equal "with a full table every start is written" "$(select_records \
		'.event.action == "connection_attempted"' | jq -c '[.source.port, .destination.port]' |
		sort -u | wc -l)" 1520
	equal "answered connections outlive unanswered ones" "$(count_records \
		"$ended and .destination.port == 3000 and .event.reason == \"closed\"")" 20
	check "what was given up is counted" test "$(ledger ends_evicted)" -gt 0
	equal "starts are ends, ends given up, and what is open" "$(select_records \
		'.event.action == "ledger"' | tail -n 1 | jq '.nfwho.ledger |
		.started - .ended - .ends_evicted')" "$(count_records \
		'.event.action == "connection_open"')"
	gaps_none "full table"
}

# Long enough that both sides' FINs are of one entry on a busy machine.
forget_after()
{
	local state

	for state in time_wait close fin_wait last_ack close_wait; do
		sysctl_in "$HERE" net.netfilter.nf_conntrack_tcp_timeout_$state="$1"
	done
}

answered_ended()
{
	conntrack_forgets
	(($(count_records "$ended and .destination.port == 3000") >= 20))
}

netns_pair
serve 80
background "$PEER" python3 -c "$server"
wait_for 10 listening "$PEER" 3000
here nft "table inet warm { chain c { type filter hook output priority 0; ct state new; }; }"
sysctl_in "$HERE" net.netfilter.nf_conntrack_{acct,timestamp}=1
here nft delete table inet warm
forget_after 2
stateful=0
tells_state && stateful=1
flushed --trace on
flushed --trace off
forget_after 1
lost --trace on
lost --trace off
full
finish
