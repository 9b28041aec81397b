#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# SCTP: one start for an association, with its user and never another process's name, and one end
# with bytes.
. "$(dirname "$0")/lib.sh"

grep -q '^SCTP ' /proc/net/protocols || modprobe -q sctp || skip_all "needs a kernel with SCTP"

# of PORT FILTER: from the records of that port.
of()
{
	select_records ".destination.port == $1 and .network.transport == \"sctp\"" | jq -r "$2"
}

# one TITLE HOW ADDRESS PORT: is recorded while it lives.
one()
{
	local title=$1 port=$4 pid

	background "$HERE" setpriv --reuid=65534 --regid=65534 --clear-groups \
		python3 "$here_dir/sctp.py" connect "$2" "$3" "$port"
	pid=$!
	wait_records 20 1 ".destination.port == $port"
	equal "$title: one start, of its user" \
		"$(of "$port" '"\(.event.action) \(.user.id)"')" "connection_attempted 65534"
	echo "# known by $(of "$port" .nfwho.owner)"
	check "$title: no other process is named" \
		grep -qx "null\|$pid" <(of "$port" .process.pid)
	wait_for 20 waits $pid
	kill -USR1 $pid
	wait $pid
}

# For the signal: it has connected and read.
waits()
{
	[[ $(<"/proc/$1/wchan") == *sigtimedwait* || $(awk '{ print $1 }' "/proc/$1/syscall") == 128 ]]
}

# Entries do not end in their order: who was refused may be among the first.
all_ended()
{
	conntrack_forgets
	(($(count_records '.event.action == "connection_ended" and .destination.port < 83') == 3))
}

# has_bytes END: one, whose first two words are not null and not 0.
has_bytes()
{
	echo "$1"
	[[ $1 =~ ^[1-9][0-9]*\ [1-9][0-9]*\ [a-z]+$ ]]
}

netns_pair
for port in 80 81 82; do
	background "$PEER" python3 "$here_dir/sctp.py" serve $port >"$work/serve$port"
	wait_for 10 grep -q listening "$work/serve$port" || { not_ok "it listens"; finish; }
done
sysctl_in "$HERE" net.netfilter.nf_conntrack_sctp_timeout_{closed,shutdown_ack_sent}=1

collector_start --protocols tcp,sctp || finish
one "a stream socket, IPv4" stream $peer4 80
one "a stream socket, IPv6" stream $peer6 81
one "a socket for many associations" many $peer4 82
here python3 "$here_dir/sctp.py" connect refused $peer4 83
wait_for 60 all_ended
collector_stop
for port in 80 81 82; do
	check "one end, with bytes, port $port" has_bytes "$(of $port 'select(.event.action ==
		"connection_ended") | "\(.source.bytes) \(.destination.bytes) \(.event.reason)"')"
done
equal "who is refused is recorded, too" "$(of 83 'select(.event.action ==
	"connection_attempted").event.action')" connection_attempted
equal "the ledger adds up" "$(ledger_gaps)" "0 0"
finish
