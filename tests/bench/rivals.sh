# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# What else hears of connections, each with the settings that its documentation offers for speed, and
# what keeps it from running here. Sourced by `run`; see readers.sh.

audit_before='' opensnitchd=''
# What must be installed for each, besides what all need.
declare -A program=(
	[ulogd-packets]=ulogd [ulogd-both]=ulogd [tcplife]=tcplife [bpftrace]=bpftrace
	[audit]=auditd [audit-rule]=auditd [nethogs]=nethogs [ss]=ss [opensnitch]=iptables
)

# --- what keeps one from running here, a line; nothing where it can

cannot()
{
	local needs=${program[$1]:-}

	if [[ -n $needs ]] && ! command -v "$needs" >/dev/null; then
		echo "$needs is not installed"
	elif [[ $1 == ulogd-* && ! -e $plugins/ulogd_output_JSON.so ]]; then
		echo "ulogd2-json is not installed"
	elif [[ $1 == tcplife && ! -e /sys/kernel/btf/vmlinux ]]; then
		echo "this kernel has no BTF (CONFIG_DEBUG_INFO_BTF)"
	elif [[ $1 == audit* ]]; then
		audit_cannot
	elif [[ $1 == opensnitch ]]; then
		opensnitch_cannot
	fi
}

audit_cannot()
{
	local status

	status=$(auditctl -s 2>/dev/null) || { echo "this kernel has no audit (CONFIG_AUDIT)"; return; }
	if grep -qE '^(enabled [12]|pid [1-9])' <<<"$status"; then
		echo "audit is in use on this machine, and is left alone"
	fi
}

opensnitch_cannot()
{
	if [[ -e /etc/opensnitchd ]]; then
		echo "it is in use on this machine, and is left alone"
	elif [[ -z $opensnitchd ]]; then
		echo "its package could not be had (apt-get download opensnitch)"
	elif ! here iptables -t mangle -A OUTPUT -j NFQUEUE --queue-num $group --queue-bypass; then
		echo "this kernel has no NFQUEUE (CONFIG_NETFILTER_XT_TARGET_NFQUEUE)"
	fi 2>/dev/null
	rules_gone
}

ulogd_hears()
{
	group_bound $group && { [[ $1 == ulogd-packets ]] || conntrack_heard; }
}

bpf_attached()
{
	find "/proc/$reader/fd" -lname '*perf_event*' -o -lname '*bpf?link*' | grep -q .
}

audit_hears()
{
	auditctl -s | grep -qx "pid $reader"
}

# 50 packets at once, no fsync, JSON into a file.
ulogd_settings()
{
	local plugin

	printf '[global]\nlogfile="%s/ulogd.log"\nloglevel=5\n' "$work"
	for plugin in inppkt_NFLOG inpflow_NFCT raw2packet_BASE filter_IFINDEX filter_IP2STR output_JSON; do
		echo "plugin=\"$plugins/ulogd_$plugin.so\""
	done
	printf 'stack=%s\n' "$@"
	cat <<-END
		[log1]
		group=$group
		netlink_socket_buffer_size=33554432
		netlink_socket_buffer_maxsize=67108864
		netlink_qthreshold=50
		netlink_qtimeout=1
		[ct1]
		hash_enable=0
		event_mask=5
		accept_proto_filter=tcp
		netlink_socket_buffer_size=33554432
		netlink_socket_buffer_maxsize=67108864
		[json1]
		sync=0
		file="$work/out"
		[json2]
		sync=0
		file="$work/out2"
	END
}

packets_stack=log1:NFLOG,base1:BASE,ifi1:IFINDEX,ip2str1:IP2STR,json1:JSON
conntrack_stack=ct1:NFCT,ip2str2:IP2STR,json2:JSON

# ulogd_run NAME STACK…
ulogd_run()
{
	local name=$1
	shift

	start_rule && ulogd_settings "$@" >"$work/ulogd.conf" && out=$work/out || return
	"${in_here[@]}" ulogd -c "$work/ulogd.conf" >"$work/said" 2>&1 &
	reader=$!
	wait_for 10 ulogd_hears "$name"
}

start_ulogd-packets() { ulogd_run ulogd-packets $packets_stack; }
start_ulogd-both() { ulogd_run ulogd-both $packets_stack $conntrack_stack; }

# Its -b gives room to the socket that it asks on, not to the one that it hears on (1.4.7). That has what
# sockets begin with, which is one figure for all namespaces: put back at once, and by network_down.
start_conntrack()
{
	local heard

	rules && out=$work/out || return
	receive_default_was=$(sysctl -n $receive_default)
	sysctl -qw $receive_default=67108864
	"${in_here[@]}" conntrack -E -p tcp -e NEW,DESTROY >"$out" 2>"$work/said" &
	reader=$!
	wait_for 10 conntrack_heard
	heard=$?
	receive_default_back
	return $heard
}

# traced COMMAND…: with tracefs where it is looked for, in a mount namespace of its own.
traced()
{
	out=$work/out
	unshare -m -- sh -c '
		mountpoint -q /sys/kernel/tracing || mount -t tracefs tracefs /sys/kernel/tracing
		mountpoint -q /sys/kernel/debug || mount -t debugfs debugfs /sys/kernel/debug
		exec "$@"' sh "$@" >"$out" 2>"$work/said" &
	reader=$!
	wait_for 15 bpf_attached && sleep 0.3
}

start_tcplife()
{
	local IFS=,

	traced tcplife -D "${ports[*]}"
}

# The caller is known at SYN_SENT, the port at the next transition of the same socket.
start_bpftrace()
{
	export BPFTRACE_PERF_RB_PAGES=1024
	traced bpftrace -B full -e '
		tracepoint:sock:inet_sock_set_state /args->protocol == 6 && args->newstate == 2/ {
			@pid[args->skaddr] = pid; @name[args->skaddr] = comm;
		}
		tracepoint:sock:inet_sock_set_state /args->protocol == 6 && args->oldstate == 2 && @pid[args->skaddr]/ {
			printf("%d %s %s %d %s %d\n", @pid[args->skaddr], @name[args->skaddr],
				ntop(args->saddr), args->sport, ntop(args->daddr), args->dport);
			delete(@pid[args->skaddr]); delete(@name[args->skaddr]);
		}'
}

# As Debian configures it, but for where it writes and how much: nothing is rotated away. It has the
# audit of the whole machine, so all of it is put back.
start_audit()
{
	out=$work/audit.log
	mkdir -p "$work/audit/plugins.d" && : >"$out" && chmod 640 "$out" || return
	sed -e "s|^log_file *=.*|log_file = $out|" -e 's/^log_group *=.*/log_group = root/' \
		-e 's/^max_log_file *=.*/max_log_file = 2000/' -e 's/^num_logs *=.*/num_logs = 0/' \
		-e 's/^max_log_file_action *=.*/max_log_file_action = IGNORE/' \
		-e "s|^plugin_dir *=.*|plugin_dir = $work/audit/plugins.d|" \
		/etc/audit/auditd.conf >"$work/audit/auditd.conf" &&
	audit_before=$(auditctl -s) || return
	auditd -n -c "$work/audit" >"$work/said" 2>&1 &
	reader=$!
	wait_for 10 audit_hears &&
	auditctl -b 8192 --backlog_wait_time 60000 -f 1 >/dev/null &&
	auditctl -a always,exit -F arch=b64 -S connect -k nfwho-bench >/dev/null
}

audit_stop()
{
	local was

	was() { sed -n "s/^$1 //p" <<<"$audit_before"; }
	auditctl -d always,exit -F arch=b64 -S connect -k nfwho-bench >/dev/null 2>&1
	[[ -n $reader ]] && end "$reader"
	auditctl -e "$(was enabled)" -f "$(was failure)" -b "$(was backlog_limit)" \
		--backlog_wait_time "$(was backlog_wait_time)" >/dev/null 2>&1
	audit_before=''
}

# Installed it would decide on each connection of this machine, so its program is only unpacked.
opensnitch_unpack()
{
	(cd "$work" && apt-get -qq download opensnitch && dpkg-deb -x opensnitch_*.deb opensnitch) \
		</dev/null >/dev/null 2>&1 && opensnitchd=$work/opensnitch/usr/bin/opensnitchd
}

# The rule comes when the queue is there.
opensnitch_hears()
{
	kill -0 "$reader" && here iptables -t mangle -S OUTPUT | grep -q "NFQUEUE --queue-num $group"
}

# Without a configuration: iptables, allow. Only at debug its log says who connects. Asked to end, it
# takes five seconds.
start_opensnitch()
{
	out=$work/out stop=KILL
	mkdir -p "$work/opensnitch/rules" || return
	"${in_here[@]}" "$opensnitchd" -debug -process-monitor-method proc -queue-num $group \
		-rules-path "$work/opensnitch/rules" -ui-socket "unix://$work/nobody" \
		>"$out" 2>"$work/said" &
	reader=$!
	wait_for 10 opensnitch_hears
}

# Asked to end, it does when the ss under way has said all.
start_ss()
{
	out=$work/out stop=TERM
	"${in_here[@]}" sh -c 'trap enough=1 TERM; while [ -z "$enough" ] && sleep 0.1; do ss -tnpH; done' \
		>"$out" 2>"$work/said" &
	reader=$!
}

# Asked to end, it waits for a packet.
start_nethogs()
{
	out=$work/out stop=KILL
	"${in_here[@]}" nethogs -t -d 1 eth0 >"$out" 2>"$work/said" &
	reader=$!
	wait_for 5 grep -q Refreshing "$out" || sleep 1
}
