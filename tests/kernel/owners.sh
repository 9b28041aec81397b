#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Owners that are easily mistaken: shared and passed sockets, names that lie, other namespaces.
. "$(dirname "$0")/lib.sh"

python=$(python3 -c 'import sys; print(sys.executable)')
port=1000

# held TITLE COMMAND…: started in the namespace with PORT in its environment, a port of its own;
# waits for its record, which is then in $record; the process is in $pid.
held()
{
	local title=$1
	shift

	port=$((port + 1))
	PORT=$port PEER4=$peer4 nsenter --net="/run/netns/$HERE" -- "$@" 2>"$work/client" </dev/null &
	pid=$!
	children+=($pid)
	wait_records 10 1 ".destination.port == $port"
	record=$(select_records ".destination.port == $port")
	[[ $(wc -l <<<"$record") == 1 && $record ]] && return 0
	not_ok "$title: $(wc -l <<<"$record") records. $(<"$work/client") $record"
	return 1
}

# says TITLE JQ-FILTER EXPECTED
says()
{
	equal "$1 ($mode)" "$(jq -c "$2" <<<"$record")" "$3"
}

connector='exec 3<>/dev/tcp/$PEER4/$PORT; read -u 3 line'

shared_socket()
{
	held "a shared socket" "$python" -c '
import os, signal, socket
s = socket.socket()
s.bind(("", 0))
if os.fork() == 0:
    s.connect((os.environ["PEER4"], int(os.environ["PORT"])))
signal.pause()' || return
	local child
	child=$(pgrep -P "$pid")
	if [[ $mode == trace ]]; then
		says "of a shared socket the one that connected" .process.pid "$child"
	else
		says "of a shared socket the oldest holder" .process.pid "$pid"
		says "and all holders are told" '.nfwho.holders | sort' "[$pid,$child]"
	fi
	children+=("$child")
}

passed_socket()
{
	held "a passed socket" "$python" -c '
import os, signal, socket
a, b = socket.socketpair(socket.AF_UNIX)
if os.fork() == 0:
    a.close()
    _, fds, _, _ = socket.recv_fds(b, 1, 1)
    received = socket.socket(fileno=fds[0])
    received.connect((os.environ["PEER4"], int(os.environ["PORT"])))
    signal.pause()
b.close()
s = socket.socket()
socket.send_fds(a, [b"x"], [s.fileno()])
s.close()
signal.pause()' || return
	children+=("$(pgrep -P "$pid")")
	says "a socket passed on belongs to the one that connects it" .process.pid "$(pgrep -P "$pid")"
}

renamed()
{
	held "a renamed process" bash -c "printf 'x) R 1 (\"\n' >/proc/self/comm; $connector" || return
	says "a process that calls itself otherwise keeps its program's name" .process.name '"bash"'
	says "and its own name is told" .process.thread.name '"x) R 1 (\"\n"'
	says "and its pid is right" .process.pid "$pid"
}

deleted()
{
	cp /bin/bash "$work/ghost"
	held "a deleted executable" "$work/ghost" -c "rm $work/ghost; $connector" || return
	says "a deleted executable" '[.process.executable, .nfwho.executable_deleted, .process.name]' \
		"[\"$work/ghost\",true,\"ghost\"]"
}

pid_namespace()
{
	held "a pid namespace" unshare --pid --fork --kill-child bash -c "$connector" || return
	says "in a pid namespace both pids are told" '[.process.pid, .process.vpid]' \
		"[$(pgrep -P "$pid"),1]"
	children+=("$(pgrep -P "$pid")")
}

user_namespace()
{
	held "a user namespace" setpriv --reuid=65534 --regid=65534 --clear-groups \
		unshare --user --map-root-user bash -c "$connector" || return
	says "in a user namespace the ids are those of the host" '[.user.id, .process.user.id]' \
		'["65534","65534"]'
	says "and the pid is right" .process.pid "$pid"
}

setuid_program()
{
	local noexec="no program is setuid in $work: mounted nosuid"

	gcc -nostdlib -static -ffreestanding -fno-stack-protector -fno-pie -no-pie -O1 \
		-o "$work/setuid" "$here_dir/bare.c" && chmod 4755 "$work/setuid"
	if findmnt -no OPTIONS -T "$work" | grep -qw nosuid; then
		skip "a setuid program" "$noexec"
		return
	fi
	held "a setuid program" setpriv --reuid=65534 --regid=65534 --clear-groups "$work/setuid" \
		"$(printf '0200%04xc63364020000000000000000' $((port + 1)))" || return
	says "a setuid program: who it is and who started it" \
		'[.user.id, .process.user.id, .process.real_user.id]' '["0","0","65534"]'
}

thread()
{
	held "a thread" "$python" -c '
import os, signal, socket, threading
def run():
    open("/proc/thread-self/comm", "w").write("worker")
    s = socket.create_connection((os.environ["PEER4"], int(os.environ["PORT"])))
    s.recv(1)
threading.Thread(target=run).start()
signal.pause()' || return
	says "a thread belongs to its process" .process.pid "$pid"
	[[ $mode == trace ]] && says "and its name is told" .process.thread.name '"worker"'
}

hostile_command_line()
{
	held "a command line of any bytes" bash -c "$connector" $'\xff\xfe\e[31m' $'a\nb' || return
	says "a command line of any bytes" '.process.command_line | test("\u001b\\[31m a\nb$")' true
}

# A record that would be too long for the kernel's buffer is not written, nor counted as lost: the program
# before it must not be taken for it.
long_path()
{
	local path

	[[ $mode == trace ]] || return
	printf -v path '/%s%s' "$(printf './%.0s' {1..2000})" "${BASH#/}"
	port=$((port + 1))
	PORT=$port PEER4=$peer4 here dash -c 'exec "$0" -c "exec 3<>/dev/tcp/$PEER4/$PORT"' "$path"
	wait_records 10 1 ".destination.port == $port" || { not_ok "a long path is recorded"; return; }
	record=$(select_records ".destination.port == $port")
	says "a program by a path of 4,000 bytes is not the one before" \
		'[.process.name, ((.process.executable // "") | test("dash$"))]' '["bash",false]'
}

# Subflows that the kernel opens by itself have no process.
mptcp_subflow()
{
	local subflow

	[[ -d /proc/sys/net/mptcp ]] || { skip "MPTCP subflow" "this kernel has no MPTCP"; return; }
	ip -n "$HERE" addr add 198.51.100.3/24 dev eth0 2>/dev/null
	ip -n "$HERE" mptcp limits set subflows 2 add_addr_accepted 2
	ip -n "$PEER" mptcp limits set subflows 2 add_addr_accepted 2
	ip -n "$HERE" mptcp endpoint add 198.51.100.3 dev eth0 subflow 2>/dev/null
	background "$PEER" "$python" -c '
import signal, socket
s = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 262)
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(("", 999))
s.listen()
held = [s.accept()]
print(held[0][0].recv(1))
signal.pause()'
	wait_for 5 listening "$PEER" 999
	local port=999
	background "$HERE" "$python" -c '
import signal, socket
s = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 262)
s.connect(("198.51.100.2", 999))
s.sendall(b"x")
signal.pause()' 2>"$work/client"
	pid=$!
	wait_records 10 2 ".destination.port == $port" ||
		{ not_ok "an MPTCP subflow is recorded: $(<"$work/client")"; return; }
	record=$(select_records ".destination.port == $port and .source.ip == \"$here4\"")
	says "the first subflow belongs to the process" .process.pid "$pid"
	subflow=$(select_records ".destination.port == $port and .source.ip != \"$here4\"")
	record=$subflow
	if [[ $mode == trace ]]; then
		says "a further subflow belongs to the kernel" '[.nfwho.owner, .process.pid]' \
			'["kernel",null]'
	else
		says "a further subflow belongs to no other process" \
			".process.pid == null or .process.pid == $pid" true
	fi
	kill -KILL "$pid" "${children[-2]}"
}

# The first packet after a start wakes us, and has not stood in a queue.
after_a_silence()
{
	mode="no trace"
	collector_start --events start --protocols udp --trace off || return
	sleep 1
	held "a datagram after a silence" "$python" -c '
import os, socket, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.connect((os.environ["PEER4"], int(os.environ["PORT"])))
s.send(b"x")
time.sleep(60)' && says "a datagram after a silence" '[.nfwho.owner, .process.pid]' "[\"socket\",$pid]"
	kill -KILL "$pid"
	collector_stop
}

# Reading its configuration takes seconds; meanwhile a datagram is sent, and its sender goes. Who has the
# tuple afterwards has not sent it.
while_it_was_busy()
{
	local title="a datagram from before its port's next user" conf=$work/nfwho.conf strace
	local sends='
import os, socket, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("", 40404))
s.connect((os.environ["PEER4"], int(os.environ["PORT"])))
s.send(b"x")
time.sleep(int(sys.argv[1]))'

	command -v strace >/dev/null || { skip "$title" "needs strace"; return; }
	mode="no trace"
	: >"$conf"
	collector_start --events start --protocols udp --trace off --config "$conf" || return
	strace -qq -o "$work/calls" -P "$conf" -e trace=openat \
		-e inject=openat:delay_enter=$((2000000 + 400000 * slow)) -p "$collector" 2>"$work/strace" &
	strace=$!
	children+=("$strace")
	wait_for 5 grep -q 'TracerPid:[[:space:]]*[1-9]' "/proc/$collector/status"
	sleep 0.5
	kill -HUP "$collector"
	sleep 0.3
	PORT=$((port + 1)) PEER4=$peer4 here "$python" -c "$sends" 0
	equal "it was sent while the collector was busy" "$(grep -c 'read again' "$said")" 0
	sleep 0.3
	held "$title" "$python" -c "$sends" 60 &&
		says "$title" '[.nfwho.owner, .process.pid]' '["uid",null]'
	kill "$pid" "$strace"
	wait "$strace"
	collector_stop
}

all()
{
	mode=$1
	shift
	collector_start --events start --command-line full "$@" || return
	shared_socket
	passed_socket
	renamed
	deleted
	pid_namespace
	user_namespace
	setuid_program
	thread
	hostile_command_line
	long_path
	mptcp_subflow
	collector_stop
}

netns_pair
serve {1001..1020}
all trace --trace on
serve {1021..1040}
all "no trace" --trace off
after_a_silence
while_it_was_busy
finish
