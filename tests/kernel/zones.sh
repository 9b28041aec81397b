#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# One tuple in two conntrack zones at once, of whose first connection conntrack tells the end only:
# which word is of which connection is known by the id alone, that comes with the packet.
. "$(dirname "$0")/lib.sh"

TWIN=$NFWHO_TEST_ID-twin

# A second way to the same address, in a namespace that looks like the peer's.
second_peer()
{
	ip netns add "$TWIN" && ip -n "$TWIN" link set lo up &&
		ip link add eth1 address 02:00:00:00:00:03 netns "$HERE" type veth \
			peer name eth0 address 02:00:00:00:00:04 netns "$TWIN" &&
		ip -n "$HERE" addr add $here4/24 dev eth1 &&
		ip -n "$TWIN" addr add $peer4/24 dev eth0 &&
		ip -n "$HERE" link set eth1 up && ip -n "$TWIN" link set eth0 up ||
		{ not_ok "there is a second way"; finish; }
	ip -n "$HERE" neigh replace $peer4 lladdr 02:00:00:00:00:04 dev eth1
	ip -n "$TWIN" neigh replace $here4 lladdr 02:00:00:00:00:03 dev eth0
	sysctl_in "$HERE" net.ipv4.conf.{all,eth0,eth1}.rp_filter=0 \
		net.ipv4.conf.{all,eth0,eth1}.arp_ignore=1 \
		net.netfilter.nf_conntrack_tcp_timeout_{time_wait,close,fin_wait,last_ack}=1
	background "$TWIN" "$load" serve --to $peer4:80 >"$work/serve-twin"
	wait_for 20 grep -q listening "$work/serve-twin" || { not_ok "it listens"; finish; }
}

# Of the first, NEW is not sent: its DESTROY is the first that conntrack tells.
divide()
{
	here nft -f - <<-'EOF'
	table inet zones {
		chain output {
			type filter hook output priority -300
			oifname eth0 ct zone set 1
			oifname eth1 ct zone set 2
		}
		chain prerouting {
			type filter hook prerouting priority -300
			iifname eth0 ct zone set 1
			iifname eth1 ct zone set 2
		}
		chain events {
			type filter hook output priority -160
			oifname eth0 ct state new ct event set destroy
		}
	}
	EOF
}

# Whether packets come with the entry's id.
glue()
{
	{ cat "/boot/config-$(uname -r)" || zcat /proc/config.gz; } 2>/dev/null |
		grep '^CONFIG_NETFILTER_NETLINK_GLUE_CT=y' >/dev/null
}

ids()
{
	select_records ".event.action == \"$1\"" |
		jq -r '"\(.observer.egress.interface.name) \(.nfwho.conntrack_id)"' | sort
}

glue || skip_all "needs NETLINK_GLUE_CT: packets that come with conntrack's id"
netns_pair
serve 80
second_peer
divide || { not_ok "zones are made of them"; finish; }
collector_start --conntrack yes || finish
here python3 "$here_dir/zones.py" $peer4 80 eth0 eth1 &
children+=($!)
wait $!
wait_for 30 ended 2
collector_stop
equal "both begin" "$(count_records '.event.action == "connection_attempted"')" 2
equal "each has an id of its own" "$(ids connection_attempted | awk '{ print $2 }' | sort -u |
	wc -l)" 2
equal "its end has the same" "$(ids connection_ended)" "$(ids connection_attempted)"
for number in 1 2; do
	check "connection $number has its own bytes" test "$(select_records \
		".event.action == \"connection_ended\" and
		.observer.egress.interface.name == \"eth$((number - 1))\"" |
		jq -r '.source.bytes / 1000 | floor')" = "$number"
done
finish
