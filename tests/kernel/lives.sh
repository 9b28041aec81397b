#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Bytes and packets as conntrack counts them, address translation, and the time a connection lived.
. "$(dirname "$0")/lib.sh"

python=$(python3 -c 'import sys; print(sys.executable)')

forget_soon()
{
	sysctl_in "$HERE" \
		net.netfilter.nf_conntrack_tcp_timeout_{time_wait,close,fin_wait,last_ack,close_wait}=2
}

# 1 MiB up and 3 MiB down; the client closes.
transfer()
{
	local family=$1 address=$2

	here "$python" -c '
import socket, sys
s = socket.create_connection((sys.argv[1], 3000))
s.sendall(bytes(1 << 20))
s.shutdown(socket.SHUT_WR)
got = 0
while True:
    data = s.recv(65536)
    if not data:
        break
    got += len(data)
sys.exit(got != 3 << 20)' "$address" || not_ok "the transfer itself, $family"
}

transfer_server='
import socket, threading
def serve(listener):
    while True:
        c, _ = listener.accept()
        while c.recv(65536):
            pass
        c.sendall(bytes(3 << 20))
        c.close()
for family, address in ((socket.AF_INET, "198.51.100.2"), (socket.AF_INET6, "2001:db8::2")):
    l = socket.socket(family)
    l.bind((address, 3000))
    l.listen()
    threading.Thread(target=serve, args=(l,)).start()
'

# The figures of the end record and of conntrack, one line each.
recorded_bytes()
{
	select_records ".event.action == \"connection_ended\" and .network.type == \"$1\"" |
		jq -r '"\(.source.packets) \(.source.bytes) \(.destination.packets) " +
			"\(.destination.bytes)"'
}

conntrack_bytes()
{
	grep -w "$1" "$work/conntrack" | grep 'dport=3000' | grep -oE '(packets|bytes)=[0-9]+' |
		cut -d = -f 2 | tr '\n' ' ' | sed 's/ $//'
}

# Bytes that one side has sent twice, at most: since the namespace is there.
resent_bytes()
{
	nsenter --net="/run/netns/$1" awk '/^Tcp: [0-9]/ { print $13 * 1500 }' /proc/net/snmp
}

plausible_bytes()
{
	recorded_bytes "$1" | tee /dev/stderr | awk -v up_again="$(resent_bytes "$HERE")" \
		-v down_again="$(resent_bytes "$PEER")" '{
		up = 2 ^ 20; down = 3 * 2 ^ 20
		good = $2 >= up + 40 * $1 && $2 <= up + up_again + 120 * $1 &&
		       $4 >= down + 40 * $3 && $4 <= down + down_again + 120 * $3 }
		END { exit !(NR == 1 && good) }'
}

run_bytes()
{
	local family

	collector_start --events end "$@" || return
	nsenter --net="/run/netns/$HERE" -- conntrack -E -e DESTROY -p tcp -o extended \
		>"$work/conntrack" 2>"$work/conntrack.said" &
	local listener=$!
	children+=("$listener")
	wait_for 5 conntrack_listens 2
	transfer ipv4 $peer4
	transfer ipv6 $peer6
	wait_for 20 both_forgotten
	wait_ended 10 2
	kill -KILL "$listener"
	wait "$listener" 2>/dev/null
	collector_stop
	for family in ipv4 ipv6; do
		equal "bytes and packets are conntrack's own, $family ($*)" \
			"$(recorded_bytes $family)" "$(conntrack_bytes $family)"
		check "bytes are the payload and 40 to 120 a packet, $family ($*)" \
			plausible_bytes $family
	done
}

# Netlink sockets of protocol 12 with the DESTROY group: nfwho's and conntrack's.
conntrack_listens()
{
	(($(here awk '$2 == 12 && $4 != "00000000"' /proc/self/net/netlink | wc -l) >= $1))
}

both_forgotten()
{
	conntrack_forgets
	(($(grep -c 'dport=3000' "$work/conntrack") >= 2))
}

# NAT: to another address and port, masquerade, both.
translate()
{
	ip -n "$HERE" route add default via $peer4
	ip -n "$HERE" route add default via $peer6
	here nft -f - <<-'EOF'
	table inet translation {
		chain output {
			type nat hook output priority -100
			ip daddr 203.0.113.9 tcp dport { 4001, 4003 } dnat to 198.51.100.2:4000
			ip6 daddr 2001:db8:9::9 tcp dport { 4001, 4003 } dnat to [2001:db8::2]:4000
		}
		chain postrouting {
			type nat hook postrouting priority 100
			meta l4proto tcp ct original proto-dst { 4002, 4003 } masquerade to :20000-20999
		}
	}
	EOF
}

# nat FAMILY PORT: original → translated.
nat()
{
	select_records ".event.action == \"connection_ended\" and .network.type == \"$1\" and
		.destination.port == $2" | jq -r '"\(.source.ip) \(.destination.ip) " +
		"\(.source.nat.ip // "-") \((.source.nat.port // 0) >= 20000 and
		(.source.nat.port // 0) <= 20999) \(.destination.nat.ip // "-") " +
		"\(.destination.nat.port // "-")"'
}

run_translation()
{
	translate
	collector_start || return
	here "$load" busy --to 203.0.113.9:4001 --to '[2001:db8:9::9]:4001' --to $peer4:4002 \
		--to "[$peer6]:4002" --to 203.0.113.9:4003 --to '[2001:db8:9::9]:4003' \
		--count 6 --hold-ms 50 --truth "$work/truth.tsv" || not_ok "connections through NAT"
	wait_ended 20 6
	collector_stop
	owned "behind NAT the owner and the application's own tuple are exact" "$work/truth.tsv" \
		--at-most extra=0
	equal "DNAT, IPv4" "$(nat ipv4 4001)" "$here4 203.0.113.9 - false $peer4 4000"
	equal "DNAT, IPv6" "$(nat ipv6 4001)" "$here6 2001:db8:9::9 - false $peer6 4000"
	equal "masquerade, IPv4" "$(nat ipv4 4002)" "$here4 $peer4 $here4 true - -"
	equal "masquerade, IPv6" "$(nat ipv6 4002)" "$here6 $peer6 $here6 true - -"
	equal "both, IPv4" "$(nat ipv4 4003)" "$here4 203.0.113.9 $here4 true $peer4 4000"
	equal "both, IPv6" "$(nat ipv6 4003)" "$here6 2001:db8:9::9 $here6 true $peer6 4000"
	here nft delete table inet translation
}

# Without the trace the end is reckoned from conntrack's timer, which runs in ticks of 4 or 10 ms.
# Of a packet that was read late no duration is told.
# run_durations KNOWN WITHIN-MS OPTIONS…
run_durations()
{
	local ms makers=() known=$1 within=$2
	local lasted='.event.action == "connection_ended" and .event.duration > 0'
	shift 2

	collector_start "$@" || return
	for ms in 10 1000 5000; do
		here "$load" busy --to $peer4:4000 --to "[$peer6]:4000" --workers 2 --count 2 \
			--hold-ms $ms --end close --truth "$work/truth.$ms" &
		makers+=($!)
	done
	wait "${makers[@]}"
	wait_ended 20 6
	collector_stop
	for ms in 10 1000 5000; do
		compared "a connection of $ms ms lived that long, within $within ms ($*)" \
			"$work/truth.$ms" --at-least durations=$known --at-most duration_off_ms=$within
	done
	((known == 0)) ||
		check "how long some of them lived is known ($*)" test "$(count_records "$lasted")" -ge 2
}

# The entry outlives the socket by more than what a socket is looked at again after: without a trace
# nobody but conntrack's last word tells of an answer.
run_outlived()
{
	sysctl_in "$HERE" net.netfilter.nf_conntrack_tcp_timeout_{last_ack,time_wait}=9
	background "$PEER" "$python" -c '
import socket
server = socket.create_server(("", 3001))
connection, _ = server.accept()
connection.sendall(b"x" * 1000)
connection.close()'
	wait_for 10 listening "$PEER" 3001
	collector_start --trace off || return
	here "$python" -c '
import socket, sys
s = socket.create_connection((sys.argv[1], 3001))
while s.recv(2000):
    pass' $peer4
	wait_ended 30 1
	collector_stop
	equal "a connection that the peer closed, long after its socket went (--trace off)" \
		"$(jq -r 'select(.event.action == "connection_ended") |
			"\(.event.outcome) \(.destination.bytes > 1000)"' "$records")" "success true"
	forget_soon
}

netns_pair
forget_soon
serve 4000 4002
background "$PEER" "$python" -c "$transfer_server"
wait_for 10 listening "$PEER" 3000
run_bytes --trace on
run_bytes --trace off
run_translation
run_durations 2 $((slow > 4 ? 25 : 5)) --trace on
if tells_state; then
	run_durations $((slow > 4 ? 0 : 2)) 25 --trace off
else
	skip "how long a connection lived (--trace off)" "conntrack does not say in which state it ended"
fi
run_outlived
finish
