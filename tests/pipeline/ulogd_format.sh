#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# format=ulogd side by side with Debian's ulogd2, which logs the same packets from a group of its own
# and the same conntrack events: for each connection the same keys with the same values.
. "$(dirname "$0")/lib.sh"

plugins=$(dirname "$(find /usr/lib* -name ulogd_inpflow_NFCT.so 2>/dev/null | head -n 1)")
[[ -e $plugins/ulogd_output_JSON.so ]] || skip_all "no ulogd2 with JSON"

# The second rule, behind ours.
other_rule()
{
	nsenter --net="/run/netns/$HERE" -- nft -f - <<-EOF
	table inet other {
		chain output {
			type filter hook output priority -149
			tcp flags & (fin|syn|rst|ack) == syn ct state new oif != "lo" \
				log prefix "nfwho" group 618 snaplen 256
		}
	}
	EOF
}

configure()
{
	local plugin

	printf '[global]\nlogfile="%s"\n' "$work/ulogd.log"
	for plugin in inppkt_NFLOG inpflow_NFCT filter_IFINDEX raw2packet_BASE filter_IP2STR \
		output_JSON; do
		printf 'plugin="%s"\n' "$plugins/ulogd_$plugin.so"
	done
	cat <<-EOF
	stack=log1:NFLOG,base1:BASE,ifi1:IFINDEX,ip2str1:IP2STR,json1:JSON
	stack=ct1:NFCT,ip2str1:IP2STR,json2:JSON
	[log1]
	group=618
	[ct1]
	hash_enable=0
	event_mask=0x00000004
	[json1]
	file="$work/packets.json"
	sync=1
	[json2]
	file="$work/flows.json"
	sync=1
	EOF
}

connections=200

as_many_flows()
{
	conntrack_forgets
	(($(lines "$work/flows.json") >= connections)) &&
		(($(grep -c '"ct.event"' "$work/ours.json") >= connections))
}

one_more()
{
	(($(lines "$work/packets.json") > connections && $(grep -vc '"ct.event"' "$work/ours.json") > connections))
}

netns_pair
serve 80
configure >"$work/ulogd.conf"
# Both for the collector and for ulogd2, which reads them when it starts.
sysctl_in "$HERE" net.netfilter.nf_conntrack_acct=1 net.netfilter.nf_conntrack_timestamp=1
other_rule
TZ=UTC nsenter --net="/run/netns/$HERE" -- ulogd -c "$work/ulogd.conf" 2>"$work/ulogd.err" &
children+=($!)
wait_for 10 here grep -q '^ *618 ' /proc/self/net/netfilter/nfnetlink_log ||
	not_ok "ulogd2 listens: $(cat "$work/ulogd.err" "$work/ulogd.log")"
collector_start --final yes --output "file:$work/ours.json,format=ulogd"
here "$load" busy --to $peer4:80 --to "[$peer6]:80" --truth "$work/truth.tsv" \
	--count $connections --uid 0 --uid 65534 --workers 2 --rate 200 2>"$work/load"
wait_for 25 as_many_flows
# One that is open when we stop has a packet, like the others, and no other line.
here bash -c "exec 3<>/dev/tcp/$peer4/80; exec sleep 30" &
children+=($!)
wait_for 5 one_more
collector_stop && ok "the collector stops in order"
check "packets: the same connections, keys and values" \
	python3 "$(dirname "$0")/ulogd_reader.py" packets $((connections + 1)) "$work/packets.json" \
	"$work/ours.json"
check "flows: the same connections, keys and values" \
	python3 "$(dirname "$0")/ulogd_reader.py" flows $connections "$work/flows.json" \
	"$work/ours.json"
finish
