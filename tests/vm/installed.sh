#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The Debian package's life under systemd: installed, restarted and upgraded under load, reloaded,
# hung, killed, idle, stopped, purged.

. "$(dirname "$0")/lib.sh"

network
serve 80 81 82 83

# configure NAME=VALUE…
configure()
{
	local line

	for line; do
		sed -i "s|^#\?${line%%=*} = .*|${line%%=*} = ${line#*=}|" /etc/nfwho.conf
	done
}

# install_and_start: what an administrator does.
install_and_start()
{
	check "the package is installed" dpkg -i "$(package 1)" || finish
	check "and runs" wait_for 30 is_active || { journal_of | sed 's/^/# /'; finish; }
	equal "and will" "$(systemctl is-enabled nfwho)" enabled
	equal "as a user of its own" "$(ps -o user= -p "$(main_pid)")" nfwho
	equal "with system calls filtered" \
		"$(awk '$1 == "Seccomp:" { print $2 }' "/proc/$(main_pid)/status")" 2
	check "its exposure is 2.0 or less" exposure
	# Bit 21. systemd's filter may refuse to have it given up: then that is said.
	equal "of CAP_SYS_ADMIN it says what is true" \
		"$(journal_of | grep 'confined:' | tail -n 1 | grep -c CAP_SYS_ADMIN)" \
		"$((0x$(awk '$1 == "CapEff:" { print $2 }' "/proc/$(main_pid)/status") >> 21 & 1))"
	configure rate=0 rate-total=0 ledger-interval=1
	check "it is restarted with another configuration" systemctl restart nfwho
	equal "of the type that this systemd can" "$(property Type)" \
		"$( (($(systemd_version) >= 253)) && echo notify-reload || echo notify)"
	# An older systemd does not know every line of the unit.
	equal "nothing it says is a warning" \
		"$(journal_of -p warning | grep -v '^-- \|: Unknown key name ')" ""
	# At least the group's, conntrack's, and the account.
	check "systemd keeps the sockets" test "$(property NFileDescriptorStore)" -ge 3
}

systemd_version()
{
	systemctl --version | awk 'NR == 1 { print $2 + 0 }'
}

exposure()
{
	local text

	# systemd before 250 has no --threshold.
	text=$(systemd-analyze security --no-pager nfwho | grep 'Overall exposure')
	echo "$text"
	awk '{ for (i = 1; i < NF; i++) if ($i == "nfwho.service:") exit !($(i + 1) <= 2.0) }' \
		<<<"$text"
}

# Until there is a file "enough", at a rate that a machine that is emulated can keep up while it restarts
# services.
keep_connecting()
{
	local turn

	for ((turn = 0; turn < 60; turn++)); do
		[[ ! -e $work/enough ]] || break
		"$load" busy --workers 2 --rate 250 --count 2500 --seconds 10 --to "$peer4:80" \
			--to "[$peer6]:80" --truth "$work/part.tsv"
		tail -n +$((1 + (turn > 0))) "$work/part.tsv" >>"$work/truth.tsv"
	done
}

# Some that have a start and no end: what was written of them, and what is known of them still.
tell_endless()
{
	local id port

	written | jq -r 'select(.event.action == "connection_attempted").nfwho.connection_id' |
		sort >"$work/begun"
	written | jq -r 'select(.event.action == "connection_ended").nfwho.connection_id' |
		sort >"$work/ended"
	comm -23 "$work/begun" "$work/ended" | head -n 4 | while read -r id; do
		written | grep -F "\"$id\"" | cut -c 1-3000
		port=$(written | grep -F "\"$id\"" | head -n 1 | jq .source.port)
		conntrack -L 2>/dev/null | grep "sport=$port "
	done
	written | jq -c 'select(.event.action == "ledger") | [.["@timestamp"], .agent.ephemeral_id,
		(.nfwho.ledger | .ends_uncertain, .ends_evicted, .resumed, .trace_lost,
		.conntrack_lost, .enobufs)]' | tail -n 8
}

restarts_under_load()
{
	local turn runs

	keep_connecting >"$work/load" 2>&1 &
	loading=$!
	children+=("$loading")
	for turn in 1 2 3 4 5; do
		wait_starts 60 $((turn * 400))
		systemctl restart nfwho || not_ok "restart $turn"
	done
	wait_starts 60 2400
	check "it is upgraded under load" dpkg -i "$(package 2)"
	equal "to the next version" "$(nfwho --version | grep -o '[0-9.]*\.1$')" \
		"$(dpkg-query -W -f '${Version}' nfwho)"
	kill -0 "$loading" 2>/dev/null || not_ok "the load lasts until then"
	touch "$work/enough"
	wait "$loading"
	check "all of them end" wait_for 60 all_ended "$(($(wc -l <"$work/truth.tsv") - 1))" || {
		tell_endless | sed 's/^/# /'
		wait_for 200 all_ended "$(($(wc -l <"$work/truth.tsv") - 1))" && echo "# late"
	}
	each_once "five restarts and an upgrade later every connection has one start and one end" \
		"$work/truth.tsv" 2400 --at-most without_end=0 --at-most duplicate_end=0 \
		--at-most ends_without_start=0
	echo "# $(wc -l <"$work/truth.tsv") connections"
	runs=$(written | jq -r .agent.ephemeral_id | sort -u | wc -l)
	equal "there were eight runs" "$runs" 8
	equal "nothing was lost" "$(written | jq 'select(.event.action == "ledger").nfwho.ledger |
		(.sequence_gap // 0) + (.lost_tail // 0)' | sort -u)" 0
	equal "no line is torn" "$(written | jq -r '.event.action | select(. == null)' 2>&1)" ""
	equal "it is one table still" "$(nft list tables | grep -c nfwho)" 1
}

reloads()
{
	local pid before

	pid=$(main_pid)
	configure label=site=lab
	check "it is reloaded" systemctl reload nfwho
	before=$(starts)
	"$load" short --to $peer4:81 --count 5 --truth "$work/reload.tsv" >/dev/null
	wait_starts 20 $((before + 5))
	equal "with what is new" "$(written | grep '"port":81[,}]' | jq -r 'select(
		.event.action == "connection_attempted").labels.site' | uniq -c | xargs)" "5 lab"
	equal "by the same process" "$(main_pid)" "$pid"
	check "systemd is told figures" grep -q 'Group 617: [1-9][0-9,]* connections' \
		<(property StatusText)
	echo "colour = blue" >>/etc/nfwho.conf
	systemctl reload nfwho 2>/dev/null
	check "a bad line is refused and named" wait_for 10 said_of 'nfwho.conf:[0-9]*:.*colour'
	sed -i '/^colour/d' /etc/nfwho.conf
	equal "and the service goes on" "$(main_pid) $(systemctl is-active nfwho)" "$pid active"
}

# As logrotate(8) does it, with the command that it is given. (Debian's logrotate with the rest of that
# file: tests/pipeline/logrotate.sh.)
rotates()
{
	local pid before

	pid=$(main_pid) before=$(starts)
	mv $log $log.1
	check "rotated by another: what it is told then is done" sh -e -c \
		"$(sed -n '/postrotate/,/endscript/{//!p}' /usr/share/nfwho/pipelines/logrotate)"
	check "it writes a new file" wait_for 10 test -e $log
	"$load" short --to $peer4:81 --count 5 --truth "$work/rotated.tsv" >/dev/null
	check "nothing is lost" wait_starts 20 $((before + 5))
	check "and all is there" test "$(grep -c '"action":"connection_attempted"' $log)" -ge 5
	equal "from the same process" "$(main_pid)" "$pid"
}

# The service names as the program does: with the trace, for all its sandbox.
names()
{
	local before

	before=$(starts)
	"$load" spawn --count 200 --to "$peer4:83" --truth "$work/named.tsv" >/dev/null
	wait_starts 30 $((before + 200))
	each_once "every owner is named" "$work/named.tsv" 200 --at-least right%=100 \
		--at-most unnamed=0 --at-most executable.wrong=0
}

said_of()
{
	journal_of | grep -q "$1"
}

restarted()
{
	local pid

	pid=$(main_pid)
	is_active && [[ $pid != "$1" && $pid != 0 ]]
}

# What systemd does to a service that hangs; what was logged while it hung is written after.
hangs()
{
	local pid before

	mkdir -p /run/systemd/system/nfwho.service.d
	printf '[Service]\nWatchdogSec=4s\n' >/run/systemd/system/nfwho.service.d/short.conf
	systemctl daemon-reload && systemctl restart nfwho
	pid=$(main_pid) before=$(starts)
	sleep 6
	equal "it answers the watchdog, and lives on" "$(main_pid)" "$pid"
	kill -STOP "$pid"
	"$load" short --to $peer4:82 --count 30 --truth "$work/hung.tsv" >/dev/null
	check "when it hangs the watchdog ends it and it is started again" \
		wait_for 60 restarted "$pid"
	check "what was logged meanwhile is written" wait_starts 20 $((before + 30))
	each_once "each connection once" "$work/hung.tsv" 30
	rm -r /run/systemd/system/nfwho.service.d
	systemctl daemon-reload
	pid=$(main_pid)
	kill -KILL "$pid"
	check "killed, it is started again" wait_for 30 restarted "$pid"
	equal "with one table" "$(nft list tables | grep -c nfwho)" 1
}

# 60 s in which nothing happens: the ledger's interval and half the watchdog's are one minute.
idles()
{
	local pid

	configure ledger-interval=60
	conntrack -F 2>/dev/null
	systemctl restart nfwho
	pid=$(main_pid)
	sleep 5
	timeout --signal=INT 60 strace -qq -tt -p "$pid" -o "$work/strace" 2>/dev/null
	# By `enum tag` of the loop: 1 is the timer; 2 are new programs, the machine's own.
	grep 'epoll_wait.* -1) \+= [1-9]' "$work/strace" |
		sed 's/.*\(u32=\|data=0x\)\([0-9]\).*/\2/' >"$work/wakes"
	equal "idle for a minute no packet, message or change wakes it" \
		"$(grep -vx '[12]' "$work/wakes")" ""
	check "but the timers of ledger and watchdog: $(grep -cx 1 "$work/wakes") times" \
		test "$(grep -cx 1 "$work/wakes")" -ge 1 -a "$(grep -cx 1 "$work/wakes")" -le 4
}

stops_and_leaves()
{
	local path

	check "it stops" systemctl stop nfwho
	equal "as it should" "$(property Result)" success
	# With the socket that owns it the manager closes the table.
	if owns_tables; then
		equal "its table goes" "$(nft list tables | grep nfwho)" ""
	else
		check "its table can be taken out" nfwho rules remove
	fi
	equal "and its group" "$(cat /proc/net/netfilter/nfnetlink_log)" ""
	check "it is disabled" systemctl disable nfwho
	equal "and will not" "$(systemctl is-enabled nfwho)" disabled
	check "it is enabled and started" systemctl enable --now nfwho
	check "it starts again" wait_for 30 is_active
	check "it is removed" dpkg -r nfwho
	check "and runs no more" test "$(systemctl is-active nfwho)" != active
	equal "no table stays" "$(nft list tables | grep nfwho)" ""
	check "the configuration does" test -f /etc/nfwho.conf
	check "it is purged" dpkg -P nfwho
	equal "nothing is left" "$(for path in /etc/nfwho.conf /var/log/nfwho /var/lib/nfwho \
		/run/nfwho /etc/systemd/system/multi-user.target.wants/nfwho.service; do
		ls -d $path; done 2>/dev/null)" ""
}

install_and_start
restarts_under_load
reloads
rotates
names
hangs
idles
stops_and_leaves
finish
