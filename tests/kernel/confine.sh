#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The confined collector does all that it can do, and no call is refused. test_confine shows what
# is refused.

. "$(dirname "$0")/lib.sh"

netns_pair
serve 80
logs=$work/logs
mkdir "$logs" && chown nobody "$logs"

field()
{
	awk -v name="$1:" '$1 == name { print $2 }' "/proc/$collector/status"
}

reader()
{
	local path=${1#*:}

	socat -u "$1" "CREATE:$2" &
	children+=($!)
	wait_for 10 test -S "${path%%,*}"
}

# Whom strace follows is its child; it hands signals on, but not to a child that was started later.
traced()
{
	printf '#!/bin/bash\nexec strace -qq -o %q %q "$@"\n' "$work/calls" "$program" >"$work/traced"
	chmod 755 "$work/traced"
	NFWHO=$work/traced
}

inner()
{
	local child

	child=$(pgrep -P "$collector" -x nfwho) && collector=$child
}

rotated()
{
	[[ -e $logs/small.json.2 ]]
}

# The names of the calls that were. mount_setattr(2) is tried before there is a filter: the kernel
# itself has none before Linux 5.12.
refused()
{
	sed -n '/^seccomp(SECCOMP_SET_MODE_FILTER/,$!{/^\(mount_setattr\|syscall_0x1ba\)(/d}
		/ENOSYS\|SIGSYS/s/(.*//p' "$work/calls" | sort -u
}

# Every way out, every way to find an owner, a rotation, a reload, rules taken away.
drive()
{
	local i

	for i in 1 2 3; do
		here "$load" short --to "$peer4:80" --to "[$peer6]:80" --count 36 \
			--workers 18 --hold-ms $((300 * slow)) --truth "$work/out.tsv" || return 1
	done
	here bash -c "echo x >/dev/udp/$peer4/9"
	here bash -c "exec 3<>/dev/tcp/$nobody4/9" 2>/dev/null &
	children+=($!)
	wait_for 20 rotated || return 1
	mv "$logs/moved.json" "$logs/moved.away"
	kill -HUP "$collector"
	wait_for 10 test -e "$logs/moved.json" || return 1
	here nft delete table inet nfwho 2>/dev/null
	wait_for 10 at_least 2 '.event.action == "ledger"'
}

names_as_many_as()
{
	local count

	count=$(count_records '.event.action == "connection_attempted" and .process.name == "load"')
	echo "$count of 108;" $(jq -r 'select(.event.action == "connection_attempted").nfwho.owner' \
		"$records" | sort | uniq -c)
	((count >= $1))
}

confinement()
{
	local title=$1 ended
	shift

	collector_start --user nobody --ledger-interval 1 --protocols tcp,udp --final yes \
		--output stdout --output "file:$logs/small.json,size=64K,keep=3" \
		--output "file:$logs/moved.json" --output "unix:$work/datagram" \
		--output "stream:$work/stream" --output "tcp:127.0.0.1:9" --output syslog "$@" ||
		return
	[[ $NFWHO == "$program" ]] || inner
	check "it goes on working: $title" drive
	equal "as another user: $title" "$(field Uid)" "$(id -u nobody)"
	equal "without new privileges: $title" "$(field NoNewPrivs)" 1
	equal "capabilities that were given up are gone for good: $title" "$(field CapPrm)" \
		"$(field CapBnd)"
	check "its capabilities are named: $title" grep -q 'confined: uid .* CAP_NET_ADMIN' "$said"
	ended=$collector
	kill -TERM "$ended"
	wait_for 20 gone "$ended" || not_ok "it stops: $title"
	collector=
	check "it ends with a ledger: $title" at_least 3 '.event.action == "ledger"'
	check "and names processes: $title" names_as_many_as "$named"
	rm -f "$logs"/*
}

without()
{
	collector_start --output stdout "$@" || return
	here "$load" short --to "$peer4:80" --count 3 --rate 10 --truth "$work/out.tsv"
	check "without capabilities: it works" wait_records 10 3 \
		'.event.action == "connection_attempted"'
	collector_stop
}

program=$NFWHO named=90
reader UNIX-RECV:"$work/datagram" "$work/datagram.out"
reader UNIX-LISTEN:"$work/stream",fork "$work/stream.out"
chmod 777 "$work"/datagram "$work"/stream
sysctl_in "$HERE" net.netfilter.nf_conntrack_acct=0
confinement "with the trace" --trace on
equal "conntrack's settings are put back" \
	"$(here cat /proc/sys/net/netfilter/nf_conntrack_acct)" 0
# Of 18 at once a search that may use a fifth of the time finds not all on an emulated machine.
((slow > 1)) && named=54
confinement "without the trace" --trace off
check "datagrams arrived" grep -q connection_attempted "$work/datagram.out"
check "the stream arrived" grep -q connection_attempted "$work/stream.out"

if ! command -v strace >/dev/null; then
	skip "no call is refused" "needs strace"
elif ((sanitized)); then
	skip "no call is refused" "there is no filter with AddressSanitizer"
else
	traced
	# Slowed down, it comes too late for them.
	named=0
	confinement "under strace" --trace on
	equal "no call is refused" "$(refused)" ""
	confinement "under strace, without the trace" --trace off
	equal "no call is refused without the trace" \
		"$(refused)" ""
	NFWHO=$program
fi

# 38 is CAP_PERFMON, whose name setpriv before 2.37 (libcap-ng 0.7) does not know.
printf '#!/bin/bash\nexec setpriv --bounding-set +all,-sys_ptrace,-cap_38,-sys_admin %q "$@"\n' \
	"$program" >"$work/less"
chmod 755 "$work/less"
NFWHO=$work/less
without
check "without capabilities: what is lost is said" grep -q 'no CAP_SYS_PTRACE: ' "$said"
equal "without capabilities: once each" "$(grep -c 'no CAP_\|no trace' "$said")" 2
NFWHO=$program
finish
