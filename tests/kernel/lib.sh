# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# For tests that run the collector on real traffic. Sourced by tests/kernel/*.sh, which tests/run
# starts with NFWHO (the program), NFWHO_BUILD and NFWHO_TEST_ID (prefix of namespaces, swept away
# should a test be killed). By hand: NFWHO_BUILD=/tmp/b tests/kernel/NAME.sh
#
# A test prints "ok - title" or "not ok - title" for each check; `finish` sets the exit status.

set -u -o pipefail
# The distribution's own programs first: a python3 of a version manager takes half a second to start.
export LC_ALL=C PATH=/usr/sbin:/usr/bin:/sbin:/bin:$PATH
here_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
: "${NFWHO_BUILD:=$here_dir/../../build}" "${NFWHO_TEST_ID:=nfwho$$}"
: "${NFWHO:=$NFWHO_BUILD/collector/nfwho}"
# How many times slower than a real one this machine is: tests/vm's are emulated. Divides rates and
# multiplies times where what is judged depends on being in time.
slow=${NFWHO_TEST_SLOW:-1}
load=$NFWHO_BUILD/tests/bench/load
compare=$here_dir/../bench/compare
if [[ $NFWHO_BUILD == *sanitized* ]]; then sanitized=1; else sanitized=0; fi

HERE=$NFWHO_TEST_ID-here PEER=$NFWHO_TEST_ID-peer
here4=198.51.100.1 peer4=198.51.100.2 nobody4=198.51.100.99
here6=2001:db8::1 peer6=2001:db8::2 nobody6=2001:db8::99
work=$(mktemp -d "${TMPDIR:-/tmp}/nfwho-test.XXXXXX") && chmod 755 "$work" || exit 1
records=$work/records.json
said=$work/stderr
collector=
children=()
failed=0

# --- what is told

ok()
{
	echo "ok - $*"
}

not_ok()
{
	failed=1
	echo "not ok - $*"
}

# check TITLE COMMAND…: the command's own output is shown only when it fails.
check()
{
	local title=$1 output
	shift
	if output=$("$@" 2>&1); then
		ok "$title"
	else
		not_ok "$title"
		printf '%s\n' "$output" | cut -c 1-400 | head -n 60 | sed 's/^/# /'
		return 1
	fi
}

# equal TITLE FOUND EXPECTED
equal()
{
	if [[ $2 == "$3" ]]; then
		ok "$1"
	else
		not_ok "$1"
		diff <(printf '%s\n' "$3") <(printf '%s\n' "$2") | head -n 40 | sed 's/^/# /'
		return 1
	fi
}

skip()
{
	echo "ok - $1 # SKIP $2"
}

skip_all()
{
	echo "$*"
	exit 77
}

finish()
{
	exit "$failed"
}

# --- waiting: for a condition, never for a time

# pause SECONDS: without a process of its own, but for bash before 5.2, where a read's timeout is an
# alarm, and one that comes before the read has begun is lost: it then reads for ever (seen emulated;
# 5.1.4 did so within 20,000 reads of 10 us, 5.2.15 did not).
exec {idle}<> <(:)

pause()
{
	if ((BASH_VERSINFO[0] * 100 + BASH_VERSINFO[1] >= 502)); then
		read -rt "$1" -u "$idle"
	else
		sleep "$1"
	fi
	return 0
}

# wait_for SECONDS COMMAND…
wait_for()
{
	local deadline=$((SECONDS + $1))
	shift
	until "$@" >/dev/null 2>&1; do
		((SECONDS <= deadline)) || return 1
		pause 0.01
	done
	return 0
}

# --- two namespaces with a veth pair

here()
{
	nsenter --net="/run/netns/$HERE" -- "$@"
}

peer()
{
	nsenter --net="/run/netns/$PEER" -- "$@"
}

netns_pair()
{
	for namespace in "$HERE" "$PEER"; do
		ip netns add "$namespace" || exit 1
		sysctl_in "$namespace" net.ipv6.conf.all.accept_dad=0 \
			net.ipv6.conf.default.accept_dad=0
		# A reset connection is forgotten after a second, not after ten; where conntrack is not
		# loaded yet there is nothing to set.
		sysctl_in "$namespace" net.netfilter.nf_conntrack_tcp_timeout_close=1 2>/dev/null
	done
	# Neighbours are known: no test waits for their discovery.
	ip link add eth0 address 02:00:00:00:00:01 netns "$HERE" type veth \
		peer name eth0 address 02:00:00:00:00:02 netns "$PEER" &&
	ip -n "$HERE" addr add $here4/24 dev eth0 && ip -n "$PEER" addr add $peer4/24 dev eth0 &&
	ip -n "$HERE" addr add $here6/64 dev eth0 nodad &&
	ip -n "$PEER" addr add $peer6/64 dev eth0 nodad || exit 1
	for namespace in "$HERE" "$PEER"; do
		ip -n "$namespace" link set lo up
		ip -n "$namespace" link set eth0 up
	done
	for address in $peer4 $peer6; do
		ip -n "$HERE" neigh replace $address lladdr 02:00:00:00:00:02 dev eth0
	done
	for address in $here4 $here6; do
		ip -n "$PEER" neigh replace $address lladdr 02:00:00:00:00:01 dev eth0
	done
}

# Whether tables can have an owner (Linux 5.12): this one goes with the nft that makes it.
owns_tables()
{
	unshare --net nft 'table inet owned { flags owner; }' 2>/dev/null
}

# sysctl_in NAMESPACE NAME=VALUE…
sysctl_in()
{
	ip netns exec "$1" sysctl -qw "${@:2}"
}

listening()
{
	local namespace=$1 port=$2

	ip netns exec "$namespace" ss -Htnl "sport = :$port" | grep -q .
}

# background NAMESPACE COMMAND…: killed at the end. Its pid is in $!.
background()
{
	nsenter --net="/run/netns/$1" -- "${@:2}" &
	children+=($!)
}

# serve PORT…: accepts on both addresses of the peer.
serve()
{
	local port to=()

	for port; do
		to+=(--to "$peer4:$port" --to "[$peer6]:$port")
	done
	background "$PEER" "$load" serve "${to[@]}" >"$work/serve"
	wait_for 10 grep -q listening "$work/serve" || exit 1
}

# --- the collector

collector_ready()
{
	local group=$1 table=$2

	kill -0 "$collector" 2>/dev/null || return 0
	has_group "$group" && { [[ $table == none ]] || here nft list table inet nfwho; }
}

# Asked many times, so without a process of its own.
has_group()
{
	local group

	[[ /proc/$collector/ns/net -ef /run/netns/$HERE ]] &&
	while read -r group _; do
		[[ $group == "$1" ]] && return
	done <"/proc/$collector/net/netfilter/nfnetlink_log"
	return 1
}

# collector_start OPTIONS…: in namespace HERE, JSON into $records, diagnostics into $said.
collector_start()
{
	local group=617 table=nfwho options=("$@")

	while (($#)); do
		[[ $1 == --group ]] && group=$2
		[[ $1 == --ruleset && $2 == none ]] && table=none
		shift
	done
	: >"$records"
	nsenter --net="/run/netns/$HERE" -- "$NFWHO" run --rate 0 --rate-total 0 "${options[@]}" \
		>"$records" 2>"$said" </dev/null &
	collector=$!
	wait_for 20 collector_ready "$group" "$table"
	kill -0 "$collector" 2>/dev/null && return 0
	not_ok "the collector starts (${options[*]})"
	sed 's/^/# /' "$said"
	collector=
	return 1
}

# An emulated machine has one thread for its processors, in turn: a program that lives for a millisecond is
# over before the collector's has its turn. There, for share=yes, what connects by `here "${sharing[@]}" …`
# runs where the collector does, which comes first when it is woken.
sharing=()

share_processor()
{
	sharing=()
	[[ ${share-} ]] && ((slow > 4)) || return 0
	sharing=(taskset -c 0)
	taskset -acp 0 "$collector" >/dev/null
}

# manage COMMAND…: a service manager that keeps descriptors has it in its care, and is told what to do
# by `tell`. Its pid is in MANAGER_PID.
manage()
{
	coproc MANAGER { exec nsenter --net="/run/netns/$HERE" -- python3 "$here_dir/manager.py" \
		"$work/manager$SECONDS$RANDOM" "$@" 2>>"$said"; }
	children+=("$MANAGER_PID")
}

# tell COMMAND…: the manager's answer.
tell()
{
	local answer

	echo "$*" >&"${MANAGER[1]}"
	read -rt 30 answer <&"${MANAGER[0]}" && echo "$answer"
}

# collector_stop: 0 if it ended as it should.
collector_stop()
{
	local status

	[[ $collector ]] || return 1
	kill -TERM "$collector"
	wait_for 30 gone "$collector" || kill -KILL "$collector"
	wait "$collector"
	status=$?
	collector=
	((status == 0)) && return 0
	not_ok "the collector stops with status 0, not $status"
	tail -n 40 "$said" | sed 's/^/# /'
	return 1
}

# Without a process of its own, too.
gone()
{
	local stat

	[[ $1 ]] || return 0
	{ read -r stat <"/proc/$1/stat"; } 2>/dev/null || return 0
	[[ ${stat##*) } == Z* ]]
}

# select FILTER: the records for which a jq condition holds.
select_records()
{
	jq -c "select($1)" "$records"
}

count_records()
{
	select_records "$1" | wc -l
}

# wait_records SECONDS NUMBER FILTER: until that many are written.
wait_records()
{
	wait_for "$1" at_least "$2" "$3"
}

# compared TITLE TRUTH BOUND…: `compare` of the truth with what was written, whose figures are kept.
compared()
{
	local title=$1 truth=$2
	shift 2
	check "$title" figure "$truth" "$@"
}

figure()
{
	"$compare" "$1" "$records" "${@:2}" >"$work/figures" ||
		{ cat "$work/figures"; return 1; }
}

# hold FIGURE>=N FIGURE<=N…: of the last comparison. Prints what does not.
hold()
{
	awk -v bounds="$*" '
		{ figures[$1] = $2 }
		END {
			n = split(bounds, bound, " ")
			for (i = 1; i <= n; i++) {
				least = split(bound[i], part, ">=") == 2
				if (!least)
					split(bound[i], part, "<=")
				found = figures[part[1]] + 0
				if (least ? found >= part[2] + 0 : found <= part[2] + 0)
					continue
				printf " (%s %s)", part[1], found
				broken = 1
			}
			exit broken
		}' "$work/figures"
}

# timely TITLE BOUNDS COMMAND…: these bounds hold for two of three runs of the command, which
# compares. For what depends on being run in time, which no single run on a shared machine can
# promise. Stops as soon as two runs agree.
timely()
{
	local title=$1 bounds=$2 good=0 bad=0 broken=
	shift 2

	while ((good < 2 && bad < 2)); do
		"$@" || return
		if broken+=$(hold $bounds); then
			good=$((good + 1))
		else
			bad=$((bad + 1))
		fi
	done
	equal "$title: in two of three runs $bounds$broken" $good 2
}

# owned TITLE TRUTH: every connection of the truth is there once, with its process. What else was
# recorded is not looked at.
owned()
{
	compared "$1" "$2" --at-least connections=1 --at-least right%=100 --at-most missing=0 \
		--at-most duplicate=0 --at-most wrong=0 --at-most unnamed=0 --at-most wrong_user=0 \
		"${@:3}"
}

# all_written TRUTH: as many starts as the truth has lines, so that nothing need be waited for.
all_written()
{
	(($(grep -c '"action":"connection_attempted"' "$records") >= $(wc -l <"$1") - 1))
}

at_least()
{
	(($(count_records "$2" 2>/dev/null) >= $1))
}

# Expired conntrack entries are cleared away by a dump, and else when the kernel comes round to it,
# which may take a minute.
conntrack_forgets()
{
	here conntrack -L >/dev/null 2>&1
	pause 0.1
	return 0
}

# Since Linux 5.14: without it only conntrack may tell why a connection failed. tracefs need not be
# mounted where everybody sees it.
reports_errors()
{
	unshare --mount --propagation private sh -c '{ mountpoint -q /sys/kernel/tracing ||
			mount -t tracefs tracefs /sys/kernel/tracing; } &&
		test -d /sys/kernel/tracing/events/sock/inet_sk_error_report'
}

# Whether conntrack's last word has the TCP state: not on Linux 5.10. Port 9 is the peer's, and closed.
tells_state()
{
	here nft 'table inet probe { chain c { type filter hook output priority 0; ct state new; }; }'
	here stdbuf -oL conntrack -E -e DESTROY -p tcp >"$work/destroyed" 2>/dev/null &
	children+=($!)
	wait_for 10 eval 'here "$load" refused --to $peer4:9 --count 1 --truth "$work/probe.tsv";
		conntrack_forgets; grep -q tcp "$work/destroyed"'
	kill $!
	here nft delete table inet probe
	grep -q ' CLOSE ' "$work/destroyed"
}

# wait_ended SECONDS NUMBER: until that many ends are written.
wait_ended()
{
	wait_for "$1" ended "$2"
}

ended()
{
	conntrack_forgets
	(($(grep -c '"action":"connection_ended"' "$records") >= $1))
}

# How far the last ledger is from adding up: towards the kernel, and in itself.
ledger_gaps()
{
	jq -r 'select(.event.action == "ledger") | .nfwho.ledger |
		"\((.matched // 0) - (.received // 0) - (.sequence_gap // 0) - (.lost_tail // 0)
			- (.limited // 0)) \((.received // 0) - (.started // 0) - (.suppressed // 0)
			- (.retransmits // 0) - (.midstream // 0) - (.filtered // 0)
			- (.undecodable // 0) - (.evicted // 0) - (.pending // 0))"' "$records" |
		tail -n 1
}

# --- afterwards

cleanup()
{
	local pid namespace

	trap - EXIT
	for pid in $collector "${children[@]}"; do
		kill -KILL "$pid" 2>/dev/null
		wait "$pid" 2>/dev/null
	done
	for namespace in $(ip netns list | awk -v id="$NFWHO_TEST_ID" 'index($1, id) == 1 { print $1 }'); do
		for pid in $(ip netns pids "$namespace"); do
			kill -KILL "$pid" 2>/dev/null
		done
		ip netns del "$namespace"
	done
	rm -rf "$work"
}

trap cleanup EXIT
trap 'exit 1' INT TERM HUP
((EUID == 0)) || skip_all "needs root"
[[ -x $load ]] || skip_all "$load is not built"
