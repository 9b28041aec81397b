#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The rate limit: what a flood and a scan leave visible, and that nothing is lost from the sums.
. "$(dirname "$0")/lib.sh"

if ((sanitized || slow > 4)); then
	flood=6000 ports=4000 many=2000
else
	flood=100000 ports=10000 many=4000
fi
fresh4=198.51.100.50

# sum FILTER FIELD: a number of the summaries that match, added up.
sum()
{
	jq -r "select(.event.action == \"connections_suppressed\" and ($1)) |
		.nfwho.suppressed.$2" "$records" | awk '{ sum += $1 } END { printf "%d\n", sum }'
}

starts()
{
	count_records ".event.action == \"connection_attempted\" and ($1)"
}

ledger()
{
	jq -r "select(.event.action == \"ledger\") | .nfwho.ledger.$1 // 0" "$records" | tail -n 1
}

attempts()
{
	awk 'NR > 1 && $3 == '"$2"' { n++ } END { print n + 0 }' "$1"
}

# all_told TRUTH…: every connection is written or in a summary, and so is its end.
all_told()
{
	local attempted

	attempted=$(cat "$@" | grep -vc '^pid')
	conntrack_forgets
	(($(grep -c '"action":"connection_attempted"' "$records") + $(sum true count) >= attempted &&
	  $(grep -c '"action":"connection_ended"' "$records") + $(sum true ended) >= attempted))
}

# Bytes that conntrack saw too: the counter stands after it, where packets leave.
count_bytes()
{
	here nft -f - <<-END
		table inet outgoing {
			counter sent { }
			chain sent {
				type filter hook postrouting priority 300
				meta l4proto tcp counter name sent
			}
		}
	END
}

counted_bytes()
{
	here nft -j list counter inet outgoing sent | jq '.nftables[] | .counter? // empty | .bytes'
}

written_bytes()
{
	jq -r 'select(.event.action == "connection_ended" or
		.event.action == "connections_suppressed") | .source.bytes // 0' "$records" |
		awk '{ sum += $1 } END { printf "%d\n", sum }'
}

judge_flood()
{
	local written begun lasted

	equal "the other user's connections are all written" "$(starts '.user.id == "65534"')" 20
	equal "so is the one to a fresh address, of the loud program itself" \
		"$(starts ".destination.ip == \"$fresh4\"")" 1
	equal "written and held back are what was attempted, per owner" \
		"$(($(starts '.user.id == "0"') + $(sum '.user.id == "0"' count))) $(sum \
			'.user.id == "65534"' count)" "$(attempts "$work/loud.tsv" 0) 0"
	equal "so are their ends" "$(($(count_records '.event.action == "connection_ended"') +
		$(sum true ended)))" "$(cat "$work"/{loud,quiet}.tsv | grep -vc '^pid')"
	equal "no end without its start" "$(count_records '.event.action == "connection_ended"')" \
		"$(starts true)"
	equal "every summary names the process" "$(count_records '.event.action ==
		"connections_suppressed" and (.process.pid == null or .nfwho.owner != "trace")')" 0
	equal "the ledger adds up" "$(ledger_gaps) $(ledger started) $(ledger suppressed)" \
		"0 0 $(starts true) $(sum true count)"
	written=$(starts '.user.id == "0"')
	begun=$(jq -rs 'map(select(.event.action == "connection_attempted" and .user.id == "0") |
		.event.created[17:] | rtrimstr("Z") | tonumber) | first' "$records")
	lasted=$(jq -rs 'map(select(.event.action == "connection_attempted" and .user.id == "0") |
		.event.created[17:] | rtrimstr("Z") | tonumber) | last' "$records")
	check "what is written stays within burst and rate ($written of $flood)" awk "BEGIN {
		lasted = $lasted - $begun; if (lasted < 0) lasted += 60
		exit !($written <= 1000 + 100 * (lasted + 0.1) + 2) }"
	equal "bytes written and held back are those that left" "$(written_bytes)" "$(<"$work/sent")"
}

flood()
{
	local loud

	sysctl_in "$HERE" \
		net.netfilter.nf_conntrack_tcp_timeout_{time_wait,close,fin_wait,last_ack,close_wait}=1 \
		net.ipv4.ip_local_port_range="1024 65535"
	collector_start --trace on --rate 100 --burst 1000 --rate-total 5000 --summary-interval 2 ||
		return
	count_bytes
	here "$load" busy "${to[@]}" --halfway $fresh4:80 --count $flood --rate 10000 --seconds 30 \
		--truth "$work/loud.tsv" 2>"$work/load" &
	loud=$!
	children+=("$loud")
	here "$load" busy --to $peer4:80 --uid 65534 --count 20 --rate 10 --seconds 20 \
		--truth "$work/quiet.tsv" 2>>"$work/load" || not_ok "the load: $(<"$work/load")"
	wait "$loud" || not_ok "the load: $(<"$work/load")"
	equal "the flood is as large as intended" "$(attempts "$work/loud.tsv" 0)" "$flood"
	wait_for 60 all_told "$work"/{loud,quiet}.tsv
	counted_bytes >"$work/sent"
	here nft delete table inet outgoing
	collector_stop || return
	judge_flood
}

# scan USER TARGETS: connects to each of what the Python expression yields, and waits for no answer
# longer than 10 ms.
scan()
{
	here python3 -c '
import os, socket, sys
os.setuid(int(sys.argv[1]))
for address, port in eval(sys.argv[2]):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family) as s:
        s.settimeout(0.01)
        s.connect_ex((address, port))
' "$1" "$2" || not_ok "the scan of user $1"
}

# one_line USER: the numbers of a user's scan, a line for each summary.
one_line()
{
	jq -r "select(.event.action == \"connections_suppressed\" and .user.id == \"$1\") |
		\"\(.nfwho.suppressed.count) \(.nfwho.suppressed.destinations) \
\(.nfwho.suppressed.ports) \(.nfwho.suppressed.reasons.refused)\"" "$records"
}

scans()
{
	local written

	ip -n "$HERE" route add 2001:db8:1::/64 via $peer6
	ip -n "$PEER" route add local 2001:db8:1::/64 dev lo
	collector_start --trace on --rate 1 --burst 20 --rate-total 5000 --summary-interval 60 ||
		return
	scan 1001 "[('$peer4', port) for port in range(1001, 1001 + $ports)]"
	scan 1002 "[(f'2001:db8:1::{i:x}', 90) for i in range(1, 1001)]"
	scan 1003 "[(f'2001:db8:1::{i:x}', 90) for i in range(1, 1 + $many)]"
	collector_stop || return

	written=$(starts '.user.id == "1001"')
	equal "a scan of $ports ports is one line with the true numbers" "$(one_line 1001)" \
		"$((ports - written)) 1 $((ports - written)) $((ports - written))"
	check "and says so" jq -es 'map(select(.event.action == "connections_suppressed" and
		.user.id == "1001")) | .[0].message |
		test("^python3[.0-9]*\\[[0-9]+\\] [0-9]+,[0-9]{3} connections held back: to '$peer4', [0-9]+,[0-9]{3} ports$")' "$records"
	written=$(starts '.user.id == "1002"')
	equal "a scan of 1,000 addresses is one line with the true numbers" "$(one_line 1002)" \
		"$((1000 - written)) $((1000 - written)) 1 $((1000 - written))"
	written=$(starts '.user.id == "1003"')
	check "one of $many addresses is within 3 %: $(one_line 1003)" awk -v found="$(one_line 1003)" "BEGIN {
		n = split(found, f); true = $many - $written
		exit !(n == 4 && f[1] == true && f[2] > 0.97 * true && f[2] < 1.03 * true) }"
	equal "the ledger adds up" "$(ledger_gaps) $(ledger suppressed)" "0 0 $(sum true count)"
}

# Dropped before our hook: there is no packet for the equations, but the sums hold all the same.
unsent()
{
	here nft -f - <<-END
		table inet drops {
			chain output {
				type filter hook output priority -300
				tcp dport 99 drop
			}
		}
	END
	collector_start --trace on --rate 1 --burst 20 --rate-total 5000 --summary-interval 1 ||
		return
	scan 1004 "[('$peer4', 99)] * 200"
	wait_for 10 all_unsent
	collector_stop || return
	here nft delete table inet drops
	equal "what never left is summed up too" "$(($(starts true) + $(sum true count))) \
$(($(count_records '.event.reason == "unsent"') + $(sum true reasons.unsent)))" "200 200"
	equal "and the ledger knows it from the rest" "$(ledger_gaps) $(ledger suppressed) \
$(ledger unsent) $(ledger unsent_suppressed)" "0 0 0 $(starts true) $(sum true count)"
}

all_unsent()
{
	(($(starts true) + $(sum true count) >= 200))
}

netns_pair
ip -n "$PEER" addr add $fresh4/24 dev eth0
ip -n "$HERE" neigh replace $fresh4 lladdr 02:00:00:00:00:02 dev eth0
# Enough ports that hardly any tuple is used twice.
to=()
for port in {80..95}; do
	to+=(--to "$peer4:$port" --to "[$peer6]:$port")
done
background "$PEER" "$load" serve "${to[@]}" --to $fresh4:80 >"$work/serve"
wait_for 10 grep -q listening "$work/serve" || exit 1
flood
scans
unsent
finish
