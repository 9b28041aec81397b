#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Connections that were open before the start: those that a process here has opened get an end, with
# that process's name; nobody else's, and nothing that begins meanwhile is taken for one.

. "$(dirname "$0")/lib.sh"

ended='.event.action == "connection_ended"'

# Listens on 3000, on 3001 with UDP, and on 3002, where it does not close. Holds what it opens, and
# does as it is told: open ADDRESS N, datagram, orphan (the socket outlives its descriptor), close.
program='
import os, socket, sys, threading
own, other = sys.argv[1:]
own6 = own.replace("198.51.100.", "2001:db8::")
held, taken = [], []
def drain(c):
    while c.recv(65536):
        pass
    c.close()
def serve(family, address, port):
    l = socket.create_server((address, port), family=family, backlog=256)
    while True:
        taken.append(l.accept()[0])
        if port == 3000:
            threading.Thread(target=drain, args=(taken.pop(),), daemon=True).start()
u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
u.bind((own, 3001))
def echo():
    while True:
        u.sendto(*u.recvfrom(100))
for run, arguments in ((serve, (socket.AF_INET, own, 3000)), (serve, (socket.AF_INET6, own6, 3000)),
                       (serve, (socket.AF_INET, "127.0.0.1", 3000)), (echo, ()),
                       (serve, (socket.AF_INET, own, 3002))):
    threading.Thread(target=run, args=arguments, daemon=True).start()
print("listening", flush=True)
for line in sys.stdin:
    word, *rest = line.split()
    if word == "open":
        held += [socket.create_connection((rest[0], 3000)) for _ in range(int(rest[1]))]
    elif word == "datagram":
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        s.connect((other, 3001))
        s.send(b"x")
        s.recv(100)
        held.append(s)
    elif word == "orphan":
        socket.create_connection((other, 3002)).close()
    elif word == "close":
        for s in held:
            if s.type == socket.SOCK_STREAM:
                s.sendall(b"x" * 1000)
            s.close()
        held.clear()
    print("done", flush=True)
'

# client NAME NAMESPACE OWN OTHER
client()
{
	local name=$1 answer

	eval "coproc $name { exec nsenter --net=\"/run/netns/\$2\" -- python3 -c \"\$program\" \"\$3\" \"\$4\"; }" 2>/dev/null
	children+=("$(eval "echo \$${name}_PID")")
	eval "read -rt 10 answer <&\${$name[0]}"
}

# tell NAME COMMAND…
tell()
{
	local name=$1 answer=''
	shift

	eval "echo \"\$*\" >&\${$name[1]}; read -rt 10 answer <&\${$name[0]}"
	[[ $answer == done ]] || not_ok "$name: $*"
}

netns_pair
serve 80
sysctl_in "$HERE" net.netfilter.nf_conntrack_tcp_timeout_time_wait=1 \
	net.netfilter.nf_conntrack_tcp_timeout_close=1 net.netfilter.nf_conntrack_udp_timeout=3 \
	net.netfilter.nf_conntrack_udp_timeout_stream=3 net.netfilter.nf_conntrack_acct=1 \
	net.netfilter.nf_conntrack_timestamp=1 net.netfilter.nf_conntrack_events=1
# Somebody else's rule has conntrack work before we do.
here nft -f - <<<'table inet other {
	chain c {
		type filter hook input priority 0
		ct state invalid counter
	}
}'
# Nobody saw their sockets close: what conntrack does not say is not known.
reason=closed
tells_state || reason=unknown
client OURS "$HERE" $here4 $peer4
client THEIRS "$PEER" $peer4 $here4

before=$(date +%s%N)
tell OURS open $peer4 30
tell OURS open $peer6 20
tell OURS open 127.0.0.1 5
tell OURS open $here4 5
tell OURS datagram
tell THEIRS open $here4 40
opened=$(date +%s%N)
collector_start --ledger-interval 1 --protocols tcp,udp
check "those that were open are taken over" wait_records 10 1 '.nfwho.ledger.resumed == 51'
here "$load" short --to "$peer4:80" --count 20 --truth "$work/truth.tsv" >/dev/null
tell OURS close
tell THEIRS close
check "all of them end" wait_ended 20 71
collector_stop
equal "inbound connections and those that stay here are left out" \
	"$(count_records "$ended and .nfwho.resumed")" 51
equal "each is its process's" "$(select_records "$ended and .nfwho.resumed" |
	jq -r '"\(.process.pid) \(.nfwho.owner)"' | sort | uniq -c | sed 's/^ *//')" \
	"51 $OURS_PID socket"
equal "one for each tuple" "$(select_records "$ended and .nfwho.resumed" |
	jq -r '"\(.source.ip) \(.source.port) \(.network.transport)"' | sort -u | wc -l)" 51
equal "with the bytes of the whole connection" "$(count_records \
	"$ended and .nfwho.resumed and .source.bytes > 1000 and
		(.event.reason // \"unknown\") == \"$reason\"")" 50
equal "and its beginning" "$(select_records "$ended and .nfwho.resumed" | jq -r '.event.start' |
	while read -r start; do
		at=$(date +%s%N -d "$start")
		((at >= before - 1000 && at <= opened)) && echo good
	done | wc -l)" 51
equal "no start is made up for them" \
	"$(count_records '.event.action == "connection_attempted"')" 20
owned "what begins after is as ever" "$work/truth.tsv"
equal "and its end is marked by nothing" \
	"$(count_records "$ended and .destination.port == 80 and (.nfwho | has(\"resumed\") | not)")" 20
equal "the ledger adds up" "$(ledger_gaps)" "0 0"
equal "ends are of what was started and resumed" "$(select_records '.event.action == "ledger"' |
	tail -n 1 | jq -c '.nfwho.ledger | [.started, .resumed, .ended]')" "[20,51,71]"

# Others' entries by the thousand, and traffic while they are read. Who began while nobody listened to
# conntrack has an entry that says nothing at its end.
sysctl_in "$HERE" net.netfilter.nf_conntrack_events=2 \
	net.netfilter.nf_conntrack_tcp_timeout_time_wait=120
seq 1 60000 | awk -v to=$here4 '{
	printf "-A -s 192.0.%d.%d -d %s -p tcp --sport %d --dport 443 -t 600 --state ESTABLISHED -u ASSURED,SEEN_REPLY\n",
		2 + $1 / 60000, $1 % 250 + 1, to, 1024 + $1 }' >"$work/entries"
if here conntrack -R "$work/entries" >/dev/null 2>"$work/loaded"; then
	tell OURS open $peer4 10
	collector_start --ledger-interval 1
	here "$load" short --to "$peer4:80" --count 300 --rate 300 --truth "$work/truth.tsv" >/dev/null
	check "in a full table ours are found" wait_records 20 1 '.nfwho.ledger.resumed == 10'
	wait_for 10 all_written "$work/truth.tsv"
	owned "while connections are named as ever" "$work/truth.tsv"
	equal "and theirs are not taken" "$(select_records '.event.action == "ledger"' | tail -n 1 |
		jq '.nfwho.ledger.resumed')" 10
	tell OURS close
	resumed="$ended and .nfwho.resumed"
	check "ends that conntrack does not tell of are asked for" wait_records 40 10 "$resumed"
	equal "and have their bytes" \
		"$(count_records "$resumed and .source.bytes > 1000 and .event.reason == \"closed\"")" 10
	collector_stop
else
	skip "in a full table ours are found" "$(head -n 1 "$work/loaded")"
fi

# An entry of datagrams outlives who made it, and another takes its ports.
sysctl_in "$HERE" net.netfilter.nf_conntrack_events=1 net.netfilter.nf_conntrack_udp_timeout=60 \
	net.netfilter.nf_conntrack_udp_timeout_stream=60
bound='
import signal, socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind((sys.argv[1], 4000))
s.connect((sys.argv[2], 3001))
if sys.argv[3] == "send":
    s.send(b"x")
    s.recv(100)
else:
    print("holds", flush=True)
    signal.pause()
'
here python3 -c "$bound" $here4 $peer4 send
pause 1.5
background "$HERE" python3 -c "$bound" $here4 $peer4 hold >"$work/later"
later=$!
wait_for 10 grep -q holds "$work/later"
collector_start --ledger-interval 1 --protocols udp
check "a connection of who is gone" wait_records 10 1 '.nfwho.ledger.resumed == 1'
kill "$later"
here conntrack -D -p udp --orig-port-src 4000 >/dev/null 2>&1
check "ends, too" wait_ended 20 1
equal "and is not given to who came later" "$(select_records "$ended" |
	jq -c '[.nfwho.resumed, .nfwho.owner, has("process"), has("user")]')" '[true,"none",false,false]'
collector_stop

# The other side does not close: the socket stands, and nobody has it.
sysctl_in "$HERE" net.netfilter.nf_conntrack_events=1
tell OURS orphan
collector_start --ledger-interval 1
check "a socket that nobody holds any more" wait_records 10 1 '.nfwho.ledger.resumed == 1'
kill -KILL "$THEIRS_PID"
check "ends" wait_ended 20 1
equal "without a process" "$(select_records "$ended" | jq -c '[.nfwho.resumed, has("process")]')" \
	"[true,false]"
collector_stop
finish
