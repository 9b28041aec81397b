#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# --only and --except on real traffic: of two users, two programs, a unit and a container, to two
# networks of each family, two ports and two protocols; what is left out is counted, exactly.

. "$(dirname "$0")/lib.sh"

other4=203.0.113.2 other6=2001:db8:1::2
container=$(printf '%064x' $$)
cgroups=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/mounts)
[[ $cgroups ]] || skip_all "needs cgroup2"
groups=$cgroups/$NFWHO_TEST_ID-filter
python=$(python3 -c 'import os, sys; print(os.path.realpath(sys.executable))')
home=$(python3 -c 'import sys; print(sys.base_prefix)')
program=$work/client

# user, executable, group
clients=("0 $python plain" "65534 $python plain" "0 $program plain" "65534 $program plain"
	"0 $python web.service" "0 $python docker-$container.scope")

leave_groups()
{
	rmdir "$groups"/* "$groups" 2>/dev/null
	[[ ! -d $groups ]]
}
trap 'cleanup; wait_for 5 leave_groups' EXIT

networks()
{
	netns_pair
	ip -n "$PEER" addr add $other4/24 dev eth0
	ip -n "$PEER" addr add $other6/64 dev eth0 nodad
	ip -n "$HERE" route add 203.0.113.0/24 via $peer4
	ip -n "$HERE" route add 2001:db8:1::/64 via $peer6
	sysctl_in "$HERE" net.netfilter.nf_conntrack_udp_timeout{,_stream}=1 \
		net.netfilter.nf_conntrack_tcp_timeout_{time_wait,close,fin_wait,last_ack}=1
}

servers()
{
	local port address to=()

	for port in 80 81; do
		for address in $peer4 $other4 "[$peer6]" "[$other6]"; do
			to+=(--to "$address:$port")
		done
	done
	background "$PEER" "$load" serve "${to[@]}" >"$work/serve"
	wait_for 10 grep -q listening "$work/serve" || exit 1
}

# Makes a connection of every kind, tells them, and holds them until its standard input ends. Datagrams are
# nobody's by the trace: whose they are is searched for in /proc, for a fifth of the time that passes, of
# which a slow machine needs more for each.
cat >"$work/client.py" <<'END'
import os, socket, sys, time

user, program, group = sys.argv[1:4]
os.setresuid(int(user), int(user), int(user))
held, lines = [], []
for address in sys.argv[4:]:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    for port in 80, 81:
        for kind, name in (socket.SOCK_STREAM, "tcp"), (socket.SOCK_DGRAM, "udp"):
            s = socket.socket(family, kind)
            s.connect((address, port))
            if name == "udp":
                s.send(b"?")
                time.sleep(0.02 * (int(os.environ["SLOW"]) - 1))
            held.append(s)
            lines.append(f"{user} {program} {group} {name} {address} {port} {s.getsockname()[1]}")
print("\n".join(lines), flush=True)
sys.stdin.read()
END

# connect_all: lines of what all clients did into $work/truth; they hold until let_go.
connect_all()
{
	local client user executable group i=0

	rm -f "$work/hold" "$work"/told.*
	mkfifo "$work/hold"
	holding=()
	for client in "${clients[@]}"; do
		read -r user executable group <<<"$client"
		(
			echo $BASHPID >"$groups/$group/cgroup.procs"
			exec nsenter --net="/run/netns/$HERE" -- env PYTHONHOME="$home" SLOW="$slow" \
				"$executable" "$work/client.py" "$user" "$executable" "$group" \
				$peer4 $other4 $peer6 $other6 <"$work/hold" >"$work/told.$i"
		) &
		holding+=($!)
		children+=($!)
		i=$((i + 1))
	done
	exec {hold}>"$work/hold"
	wait_for 20 all_told || not_ok "the clients connect"
	sort "$work"/told.* >"$work/truth"
}

all_told()
{
	(($(cat "$work"/told.* | wc -l) == 16 * ${#clients[@]}))
}

let_go()
{
	exec {hold}>&-
	wait "${holding[@]}"
}

# wanted CONDITION: of the truth, in terms of user, program, group, protocol, address, port.
wanted()
{
	awk "{ user = \$1; program = \$2; group = \$3; protocol = \$4; address = \$5; port = \$6 }
		$1" "$work/truth"
}

found()
{
	select_records ".event.action == \"$1\"" | jq -r '"\(.user.id) \(.process.executable) " +
		(.nfwho.cgroup | split("/") | last) + " \(.network.transport) \(.destination.ip) " +
		"\(.destination.port) \(.source.port)"' | sort
}

ledger()
{
	jq -r "select(.event.action == \"ledger\") | .nfwho.ledger.$1 // 0" "$records" | tail -n 1
}

# filters TITLE CONDITION RULES OPTIONS…: RULES is what passes those terms that the rules decide,
# where they are ours alone.
filters()
{
	local title=$1 condition=$2 rules=$3 count by_rule=0
	shift 3

	collector_start --protocols tcp,udp --ruleset "$ruleset" "$@" || return
	connect_all
	wanted "$condition" >"$work/wanted"
	count=$(wc -l <"$work/wanted")
	((ours)) && by_rule=$((96 - $(wanted "$rules" | wc -l)))
	wait_records 10 "$count" '.event.action == "connection_attempted"'
	let_go
	wait_ended 20 "$count"
	((ours)) && here nft list chain inet nfwho filter >"$work/chain"
	collector_stop || return
	title+=" ($ruleset)"
	equal "$title: starts" "$(found connection_attempted)" "$(<"$work/wanted")"
	equal "$title: ends" "$(found connection_ended)" "$(<"$work/wanted")"
	equal "$title: what was left out is counted" \
		"$(ledger filtered) $(ledger filtered_by_rule) $(ledger_gaps) $(ledger unsent)" \
		"$((96 - count - by_rule)) $by_rule 0 0 0"
}

chain_has()
{
	((ours)) || { skip "the rules say: $1" "needs tables with an owner"; return; }
	check "the rules say: $1" grep -qF -- "$1" "$work/chain"
}

all_filters()
{
	filters "all" 1 1
	filters "no user" 'user != 65534' 'user != 65534' --except user=nobody
	chain_has 'meta skuid 65534 counter name "filtered" accept'
	filters "only a program by name" 'program ~ /client$/' 1 --only program=client
	filters "no program by path" "program != \"$python\"" 1 --except "program=$python"
	filters "only a unit" 'group ~ /web/' 1 --only unit=web.service
	filters "no container" 'group !~ /docker/' 1 --except "container=${container::12}"
	filters "any container" 'group ~ /docker/' 1 --only 'container=*'
	filters "two networks" 'address ~ /^203/ || (address ~ /^2001:db8:1:/ && port == 81)' \
		'address ~ /^203/ || (address ~ /^2001:db8:1:/ && port == 81)' \
		--only net=203.0.113.0/24 --only net=2001:db8:1::/64,port=81
	chain_has 'ip daddr 203.0.113.0/24 return'
	chain_has 'ip6 daddr 2001:db8:1::/64'
	filters "one protocol, not all ports" 'protocol == "udp" && port != 80' \
		'protocol == "udp" && port != 80' --only protocol=udp --except port=1-80
	filters "one combination" '!(user == 65534 && program ~ /client$/ && protocol == "tcp" &&
		port == 80 && address ~ /^198/)' 1 \
		--except user=65534,program=client,protocol=tcp,port=80,net=198.51.100.0/24
	filters "a user and a network, not all ports" \
		'user == 0 && address ~ /^203/ && port == 81' \
		'user == 0 && address ~ /^203/ && port == 81' \
		--only user=0,net=203.0.113.0/24 --except port=80
	filters "a user with a program" 'user == 0 && program ~ /client$/' 'user == 0' \
		--only user=0,program=client
}

static_filters()
{
	filters "a user and a network, not all ports" \
		'user == 0 && address ~ /^203/ && port == 81' 1 \
		--only user=0,net=203.0.113.0/24 --except port=80
	here nft delete table inet nfwho
}

# Dropped before our hook: such connects are seen by the trace alone.
unsent()
{
	here nft -f - <<-END
		table inet drops {
			chain output {
				type filter hook output priority -300
				tcp dport { 98, 99 } drop
			}
		}
	END
	collector_start --trace on --except port=99 || return
	here timeout 0.3 bash -c "exec 3<>/dev/tcp/$peer4/99"
	here timeout 0.3 bash -c "exec 3<>/dev/tcp/$peer4/98"
	wait_records 20 1 '.event.reason == "unsent"'
	collector_stop || return
	here nft delete table inet drops
	equal "a connect that never left is left out, too" "$(select_records \
		'.event.reason == "unsent"' | jq -r .destination.port)" 98
	equal "and counted" "$(ledger trace_filtered) $(ledger unsent) $(ledger_gaps)" "1 1 0 0"
}

# What changes is which of another user's connections are written: root's always are.
changes=('except = user=65534' 'except = user=nobody,port=81' 'only = user=65534,port=80'
	'only = net=198.51.100.0/24' 'only = user=nobody,program=load'
	'except = program=load,user=65534' 'only = program=load')

configure()
{
	printf '%s\n' 'output = stdout' "$@" >"$work/conf.new" && mv "$work/conf.new" "$work/conf"
}

reloaded()
{
	(($(grep -c 'configuration read again' "$said") >= $1))
}

attempts()
{
	cat "$@" | grep -vc '^pid'
}

# Each of the other user's is written or counted, once.
all_accounted()
{
	local starts

	starts=$(grep -c '"action":"connection_attempted"' "$records")
	equal "every connection is written or counted as left out" \
		"$(ledger started) $(($(ledger started) + $(ledger filtered) +
			$(ledger filtered_by_rule))) $(ledger_gaps)" \
		"$starts $(attempts "$work"/{root,other}.tsv) 0 0"
	equal "none is written twice" "$(select_records '.event.action == "connection_attempted"' |
		jq -c '[.source.ip, .source.port, .event.start]' | sort | uniq -d | wc -l)" 0
	equal "none is said not to have been sent" "$(ledger unsent)" 0
	check "some of the other user's were left out here, some written" \
		test "$(ledger filtered)" -gt 0 -a "$starts" -gt "$(attempts "$work/root.tsv")"
	check "and some by rules, where they are ours alone" \
		test $(($(ledger filtered_by_rule) > 0)) = "$ours"
}

# Filters change while connections are made.
reloads()
{
	local turn user loading=()
	declare -A uid=([root]=0 [other]=65534)

	configure "${changes[0]}"
	collector_start --config "$work/conf" --trace on --ruleset owned || return
	for user in root other; do
		here "$load" short --to $peer4:80 --to "[$other6]:81" --to "[$peer6]:80" \
			--to $peer4:81 --uid "${uid[$user]}" \
			--count 3000 --rate 300 --seconds 60 --truth "$work/$user.tsv" >/dev/null &
		loading+=($!)
		children+=($!)
	done
	for turn in {1..60}; do
		configure "${changes[turn % ${#changes[@]}]}" 'only = user=0' "except = port=$turn"
		kill -HUP "$collector"
		wait_for 10 reloaded "$turn"
		pause 0.1
	done
	wait "${loading[@]}"
	wait_for 10 all_of_root
	collector_stop || return
	# Ports are used again by the other user, whose packets are not there to tell them apart.
	select_records '.event.action == "ledger" or .user.id == "0"' >"$work/root.json"
	check "no connection that always passes is lost, doubled or another's" "$compare" \
		"$work/root.tsv" "$work/root.json" --at-least connections=$((3000 / slow)) \
		--at-least right%=99.9 \
		--at-most missing=0 --at-most duplicate=0 --at-most wrong=0 --at-most wrong_user=0
	equal "none is said to be blocked" "$(count_records '.event.reason == "blocked"')" 0
	all_accounted
}

all_of_root()
{
	(($(select_records '.user.id == "0" and .event.action == "connection_attempted"' |
		wc -l) >= $(attempts "$work/root.tsv")))
}

says()
{
	local part='' whole=''

	((ours)) && part=' (in part in the rules)' whole=' (in the rules)'
	here "$NFWHO" check --protocols tcp --output "file:$work/check.json" --except user=nobody \
		--except program=client --only port=80,program=client --only protocol=udp,user=7 \
		>"$work/check"
	equal "check says which filters are in force, and where" \
		"$(grep -E '^[^ ]+ +(only|except) ' "$work/check" | tr -s ' ')" \
"ok only port=80,program=client$part
less only protocol=udp,user=7: matches nothing, as --protocols has not this one
ok except user=nobody$whole
ok except program=client"
}

mkdir "$groups" "$groups"/{plain,web.service,"docker-$container.scope"} || exit 1
cp "$python" "$program"
networks
servers
# Whether rules leave out: where others cannot change them.
ours=0
owns_tables && ours=1
says
reloads
ruleset=owned
all_filters
ruleset=static ours=0
static_filters
unsent
finish
