# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# For tests that have a machine of their own: the installed service under the machine's own systemd,
# whose network is this one. Sourced by tests/vm/*.sh.

. "$(dirname "$0")/../kernel/lib.sh"

packages=$NFWHO_BUILD/../packages
log=/var/log/nfwho/nfwho.json

# The peer behind a veth pair, as for the other tests, but this end is the machine's own.
network()
{
	ip netns add "$PEER" && sysctl_in "$PEER" net.ipv6.conf.default.accept_dad=0 &&
		ip link add veth0 address 02:00:00:00:00:01 type veth \
			peer name eth0 address 02:00:00:00:00:02 netns "$PEER" &&
		ip addr add $here4/24 dev veth0 && ip addr add $here6/64 dev veth0 nodad &&
		ip -n "$PEER" addr add $peer4/24 dev eth0 &&
		ip -n "$PEER" addr add $peer6/64 dev eth0 nodad &&
		ip link set veth0 up && ip -n "$PEER" link set lo up &&
		ip -n "$PEER" link set eth0 up &&
		sysctl -qw net.netfilter.nf_conntrack_tcp_timeout_close=1 ||
		{ not_ok "there is a network"; finish; }
	for address in $peer4 $peer6; do
		ip neigh replace $address lladdr 02:00:00:00:00:02 dev veth0
	done
}

# package 1|2: the older or the newer of those that were built.
package()
{
	ls "$packages/$1"/*.deb
}

property()
{
	systemctl show nfwho -P "$1"
}

main_pid()
{
	property MainPID
}

is_active()
{
	[[ $(systemctl is-active nfwho) == active ]]
}

journal_of()
{
	journalctl -u nfwho -o cat --no-pager "$@"
}

# What the service wrote, in the file and in those that it has rotated.
written()
{
	cat $log.[0-9]* $log 2>/dev/null
}

starts()
{
	written | grep -c '"action":"connection_attempted"'
}

enough()
{
	(($(starts) >= $1))
}

# wait_starts SECONDS NUMBER
wait_starts()
{
	wait_for "$1" enough "$2"
}

all_ended()
{
	conntrack -L >/dev/null 2>&1
	(($(written | grep -c '"action":"connection_ended"') >= $1))
}

# each_once TITLE TRUTH NUMBER: every connection of the truth has one start, and no wrong owner.
each_once()
{
	wait_starts 30 "$(($(wc -l <"$2") - 1))"
	written >"$records"
	compared "$1" "$2" --at-least connections="$3" --at-most missing=0 --at-most duplicate=0 \
		--at-most wrong=0 --at-most wrong_user=0 "${@:4}"
}
