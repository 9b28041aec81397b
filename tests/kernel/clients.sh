#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Real clients: one record each, with exactly their pid, parent, executable, command line and user.
. "$(dirname "$0")/lib.sh"

python=$(python3 -c 'import sys; print(sys.executable)')
bare()
{
	local flags=(-nostdlib -static -ffreestanding -fno-stack-protector -fno-pie -no-pie -O1)

	gcc "${flags[@]}" "$@" "$here_dir/bare.c" 2>"$work/gcc"
}

# hex FAMILY PORT: a struct sockaddr of the peer.
hex()
{
	if [[ $1 == 4 ]]; then
		printf '0200%04xc63364020000000000000000' "$2"
	else
		printf '0a00%04x0000000020010db800000000000000000000000200000000' "$2"
	fi
}

# client NAME USER COMMAND…: started in the namespace, held until killed.
names=() pids=() apart=0
client()
{
	local name=$1 user=$2
	shift 2

	if ! command -v "$1" >/dev/null; then
		skip "$name" "$1 is not installed"
		return
	fi
	nsenter --net="/run/netns/$HERE" -- setpriv --reuid="$user" --regid="$user" --clear-groups \
		-- "$@" >/dev/null 2>&1 </dev/null &
	children+=($!)
	pids+=($!)
	names+=("$name")
	((!apart)) || wait_started
}

wait_started()
{
	wait_records 30 ${#pids[@]} '.event.action == "connection_attempted"'
}

start_clients()
{
	local family=$1 address=$2 url=$3

	client "curl, $family" 0 curl -s "http://$url/"
	client "wget, $family" 0 wget -q -O - "http://$url/"
	client "wget of another user, $family" 65534 wget -q -O - "http://$url/"
	client "ssh, $family" 0 ssh -F none -o BatchMode=yes -o UserKnownHostsFile=/dev/null \
		-p 80 "$address"
	client "git, $family" 0 git ls-remote "git://$url/nothing"
	client "python3, $family" 0 "$python" -c \
		"import socket; socket.create_connection(('$address', 80)).recv(1)"
	client "nc, $family" 0 nc -d "$address" 80
	client "node, $family" 0 node -e "require('net').connect(80, '$address')"
	client "bash, $family" 65534 bash -c "exec 3<>/dev/tcp/$address/80; read -u 3 line"
	[[ -x $work/bare64 ]] &&
		client "a static program without libc, $family" 0 "$work/bare64" \
			"$(hex "${family#IPv}" 80)"
	[[ -x $work/bare32 ]] &&
		client "a 32-bit program, $family" 0 "$work/bare32" "$(hex "${family#IPv}" 80)"
}

# One line for each process, from /proc while it lives.
truth()
{
	local pid=$1

	printf '%s %s %s %s %s' "$pid" "$$" "$(stat -c %u "/proc/$pid")" \
		"$(readlink "/proc/$pid/exe")" "$(readlink "/proc/$$/exe")"
	tr '\0' ' ' <"/proc/$pid/cmdline" | sed 's/ $//; s/^/ /'
}

recorded()
{
	select_records ".event.action == \"connection_attempted\" and .process.pid == $1" |
		jq -r '"\(.process.pid) \(.process.parent.pid) \(.process.user.id) " +
			"\(.process.executable) \(.process.parent.executable) " +
			.process.command_line'
}

# run_clients TITLE RUNG OPTIONS…
run_clients()
{
	local title=$1 rung=$2 i
	shift 2

	names=() pids=()
	collector_start --events start --command-line full "$@" || return
	start_clients IPv4 $peer4 $peer4:80
	start_clients IPv6 $peer6 "[$peer6]:80"
	wait_started
	for i in "${!pids[@]}"; do
		truth "${pids[i]}" >"$work/truth.$i" 2>&1
	done
	collector_stop
	for i in "${!pids[@]}"; do
		equal "${names[i]} ($title)" "$(recorded "${pids[i]}")" "$(<"$work/truth.$i")"
		kill -KILL "${pids[i]}"
		wait "${pids[i]}" 2>/dev/null
	done
	equal "nothing else is written ($title)" \
		"$(select_records '.event.kind == "event"' | wc -l)" "${#pids[@]}"
	equal "the socket's user is right ($title)" \
		"$(count_records '.user.id == .process.user.id and .event.kind == "event"')" \
		"${#pids[@]}"
	equal "how the owner is known ($title)" \
		"$(select_records '.event.kind == "event"' | jq -r .nfwho.owner | sort -u)" "$rung"
}

bare -o "$work/bare64" || skip "a static program without libc" "gcc cannot build it here"
if ! bare -m32 -o "$work/bare32"; then
	skip "a 32-bit program" "gcc cannot build it here"
elif "$work/bare32"; (($? != 1)); then
	rm "$work/bare32"
	skip "a 32-bit program" "this kernel runs no 32-bit programs"
fi
netns_pair
serve 80
run_clients "trace" trace --trace on
# The search for a holder has 30 ms at once, and a fifth of half a second: an emulated machine that starts
# twenty programs meanwhile does not get through its processes.
((slow > 4)) && apart=1
run_clients "no trace, sock_diag" socket --trace off --lookup diag
run_clients "no trace, /proc/net" socket --trace off --lookup proc
finish
