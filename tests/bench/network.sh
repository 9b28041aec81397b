# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# Where the measurements take place: one network namespace that connects to another, on addresses that
# exist nowhere else. Sourced by `run`. What is started here ends in `network_down`.

HERE=nfwho-bench$$-here PEER=nfwho-bench$$-peer
here4=203.0.113.1 peer4=203.0.113.2
ports=(80 81 82 83)
group=618
serving='' standing=''

# In the background without the function: $! is then the program's own pid.
in_here=(nsenter --net="/run/netns/$HERE" --)
here()
{
	"${in_here[@]}" "$@"
}

# wait_for SECONDS COMMAND…
wait_for()
{
	local deadline=$((SECONDS + $1))
	shift

	until "$@" >/dev/null 2>&1; do
		((SECONDS <= deadline)) || return 1
		sleep 0.05
	done
}

# end PID…: asked first, then made to. Only what was started by us is ever named.
end()
{
	local pid

	for pid in "$@"; do
		kill -TERM "$pid" 2>/dev/null
		wait_for 5 gone "$pid" || kill -KILL "$pid" 2>/dev/null
		wait "$pid" 2>/dev/null
	done
}

gone()
{
	local state

	read -r _ _ state _ 2>/dev/null <"/proc/$1/stat" || return 0
	[[ $state == Z ]]
}

to=()
network_up()
{
	local port

	ip netns add $HERE && ip netns add $PEER &&
	ip link add eth0 netns $HERE type veth peer name eth0 netns $PEER &&
	ip -n $HERE addr add $here4/24 dev eth0 && ip -n $PEER addr add $peer4/24 dev eth0 &&
	ip -n $HERE link set lo up &&
	ip -n $HERE link set eth0 up && ip -n $PEER link set eth0 up || die "no namespaces"
	for port in "${ports[@]}"; do
		to+=(--to "$peer4:$port")
	done
	# nfwho switches the first two on; the others get the same conntrack.
	# A reset connection is forgotten after a second, so that a run hears the end of all.
	here modprobe -q nf_conntrack
	network_set netfilter.nf_conntrack_acct=1 netfilter.nf_conntrack_timestamp=1 \
		netfilter.nf_conntrack_tcp_timeout_close=1 || die "no conntrack"
	nsenter --net=/run/netns/$PEER -- "$build/tests/bench/load" serve \
		"${ports[@]/#/--to=0.0.0.0:}" --close-at-once >"$work/serve" &
	serving=$!
	wait_for 10 grep -q listening "$work/serve" || die "nobody serves"
}

# network_set NAME=VALUE…: sysctls below net. of the namespace, which go away with it.
network_set()
{
	ip netns exec $HERE sysctl -qw "${@/#/net.}"
}

# conntrack_make_room ENTRIES: how many there may be is one figure for all namespaces, put back by
# network_down however this ends. An entry takes 384 bytes of the kernel (6.18), a flow 270 of nfwho.
conntrack_max=net.netfilter.nf_conntrack_max conntrack_max_was=''
conntrack_make_room()
{
	local had

	had=$(sysctl -n $conntrack_max)
	((had < $1)) || return 0
	if (($(awk '$1 == "MemAvailable:" { print int($2 / 1024) }' /proc/meminfo) < 3072)); then
		warn "less than 3 GiB of memory are free: conntrack stays at $had entries"
		return
	fi
	conntrack_max_was=$had
	sysctl -qw $conntrack_max="$1" || warn "conntrack stays at $had entries"
}

conntrack_room_back()
{
	[[ -n $conntrack_max_was ]] && sysctl -qw $conntrack_max="$conntrack_max_was"
	conntrack_max_was=''
}

receive_default=net.core.rmem_default receive_default_was=''
receive_default_back()
{
	[[ -n $receive_default_was ]] && sysctl -qw $receive_default="$receive_default_was"
	receive_default_was=''
}

network_down()
{
	crowd_leave
	[[ -n $serving ]] && end $serving
	serving=''
	ip netns del $HERE 2>/dev/null
	ip netns del $PEER 2>/dev/null
	conntrack_room_back
	receive_default_back
}

# rules VERDICT…: what new connections meet, where nfwho's own rules do not stand.
rules()
{
	here nft -f - <<-END
		table inet bench {
			chain output {
				type filter hook output priority -149
				tcp flags & (fin | syn | rst | ack) == syn ct state new oifname != "lo" $*
			}
		}
	END
}

# OpenSnitch leaves its tables behind; nfwho's is its own, and goes away with it.
rules_gone()
{
	here nft flush ruleset 2>/dev/null
}

# Expired conntrack entries go, and are told of, when somebody looks at them: also at those that are not
# asked for, and not shown.
let_conntrack_forget()
{
	sleep 1.1
	here conntrack -L -f ipv6 >/dev/null 2>&1
}

# crowd_stand PROCESSES: idle processes with 40 descriptors each.
crowd_stand()
{
	"$build/tests/bench/crowd" "$1" 37 >"$work/crowd" 2>"$work/crowd.said" &
	standing=$!
	wait_for 60 grep -q standing "$work/crowd" && return
	crowd_leave
	return 1
}

crowd_leave()
{
	[[ -n $standing ]] && end $standing
	standing=''
}
