#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A process in network, pid and mount namespaces of its own, behind a veth pair and masquerade; and
# two networks that use the same addresses.
. "$(dirname "$0")/lib.sh"

INSIDE=$NFWHO_TEST_ID-inside TWIN=$NFWHO_TEST_ID-twin TWINPEER=$NFWHO_TEST_ID-twinpeer
python=$(python3 -c 'import sys; print(sys.executable)')

container_network()
{
	ip netns add "$INSIDE" && sysctl_in "$INSIDE" net.ipv6.conf.default.accept_dad=0
	ip link add eth0 netns "$INSIDE" type veth peer name inside netns "$HERE"
	ip -n "$INSIDE" addr add 203.0.113.2/24 dev eth0
	ip -n "$INSIDE" addr add 2001:db8:1::2/64 dev eth0 nodad
	ip -n "$HERE" addr add 203.0.113.1/24 dev inside
	ip -n "$HERE" addr add 2001:db8:1::1/64 dev inside nodad
	ip -n "$INSIDE" link set eth0 up
	ip -n "$HERE" link set inside up
	ip -n "$INSIDE" route add default via 203.0.113.1
	ip -n "$INSIDE" route add default via 2001:db8:1::1
	sysctl_in "$HERE" net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
	here nft -f - <<-'EOF'
	table inet translation {
		chain postrouting {
			type nat hook postrouting priority 100
			iifname "inside" masquerade
		}
	}
	EOF
}

# Connects to ADDRESS and waits, in pid and mount namespaces of its own; prints its pid inside.
contained()
{
	nsenter --net="/run/netns/$INSIDE" -- unshare --pid --mount --fork --kill-child \
		"$python" -c "
import os, signal, socket
s = socket.create_connection(('$1', 80))
signal.pause()" &
	children+=($!)
	contained=$!
}

run_container()
{
	local title=$1 address family pid
	shift

	collector_start --events start "$@" || return
	for address in $peer4 $peer6; do
		family=$([[ $address == *:* ]] && echo IPv6 || echo IPv4)
		contained "$address"
		wait_records 10 1 ".destination.ip == \"$address\""
		pid=$(pgrep -P "$contained")
		equal "$title: pid of the host and of the container, $family" "$(select_records \
			".destination.ip == \"$address\"" | jq -c '[.process.pid, .process.vpid,
			.network.direction, .source.ip]')" \
			"[$pid,1,\"egress\",\"$([[ $family == IPv6 ]] && echo 2001:db8:1::2 ||
				echo 203.0.113.2)\"]"
		kill -KILL "$pid" "$contained"
		wait "$contained" 2>/dev/null
	done
	nsenter --net="/run/netns/$INSIDE" -- "$load" short --to $peer4:80 --to "[$peer6]:80" \
		--count 200 --rate 400 --truth "$work/truth.tsv" || not_ok "load in the container"
	wait_records 10 202 '.event.action == "connection_attempted"'
	collector_stop
	owned "$title: short-lived processes in the container" "$work/truth.tsv" --at-most extra=2
}

# Same addresses, same ports, at the same time, in a network that is not logged.
run_twins()
{
	local namespace

	for namespace in "$TWIN" "$TWINPEER"; do
		ip netns add "$namespace"
		sysctl_in "$namespace" net.ipv6.conf.default.accept_dad=0
	done
	ip link add eth0 netns "$TWIN" type veth peer name eth0 netns "$TWINPEER"
	ip -n "$TWIN" addr add $here4/24 dev eth0
	ip -n "$TWIN" addr add $here6/64 dev eth0 nodad
	ip -n "$TWINPEER" addr add $peer4/24 dev eth0
	ip -n "$TWINPEER" addr add $peer6/64 dev eth0 nodad
	ip -n "$TWIN" link set eth0 up
	ip -n "$TWINPEER" link set eth0 up
	for namespace in "$HERE" "$TWIN"; do
		sysctl_in "$namespace" net.ipv4.ip_local_port_range="40000 40199"
	done
	background "$TWINPEER" "$load" serve --to $peer4:80 --to "[$peer6]:80" >"$work/twin"
	wait_for 10 grep -q listening "$work/twin"
	collector_start --events start --trace on || return
	background "$TWIN" "$load" busy --to $peer4:80 --to "[$peer6]:80" --workers 2 \
		--count 100000 --rate 400 --seconds 4 --truth "$work/twin.tsv"
	local twin=$!
	here "$load" busy --to $peer4:80 --to "[$peer6]:80" --workers 2 --count 1200 \
		--rate 400 --seconds 10 --truth "$work/truth.tsv" || not_ok "load in one of the twins"
	wait_for 10 all_written "$work/truth.tsv"
	collector_stop
	owned "the same addresses in two networks at once" "$work/truth.tsv" --at-most extra=0 \
		--at-most ledger.own_gap=0
	wait "$twin"
	equal "nobody of the other network is named" "$(jq -r 'select(.process.pid) | .process.pid' \
		"$records" | sort -u | comm -12 - <(cut -f 1 "$work/twin.tsv" | sort -u))" ""
	check "the two did use the same tuples" shared_tuples
}

shared_tuples()
{
	(($(comm -12 <(cut -f 5-8 "$work/twin.tsv" | sort -u) \
		<(cut -f 5-8 "$work/truth.tsv" | sort -u) | wc -l) > 10))
}

netns_pair
serve 80
container_network
run_container "forward" --hooks output,forward --trace on
run_container "forward and prerouting" --hooks output,forward,prerouting --trace on
run_twins
finish
