# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# What reads connections, one at a time. For each NAME there is start_NAME, here or in rivals.sh, which
# leaves its pid in `reader` and what it writes in `out`, and returns when it hears; `form` says how
# `seen` is to read that. Sourced by `run`.

reader='' out='' stop=INT	# SIGINT is what ends a tool that a person would watch
declare -A form=(
	[discard]=none [discard-start]=none [nfwho-start]=nfwho [nfwho-both]=nfwho [nfwho-blind]=nfwho
	[ulogd-packets]=ulogd [ulogd-both]=ulogd [conntrack]=conntrack [tcplife]=tcplife
	[bpftrace]=bpftrace [audit]=audit [ss]=ss [nethogs]=nethogs [opensnitch]=opensnitch
	[none]=none [rule]=none [audit-rule]=none
)

# --- whether one hears

group_bound()
{
	kill -0 "$reader" && here awk -v group="$1" '$1 == group { found = 1 } END { exit !found }' \
		/proc/self/net/netfilter/nfnetlink_log
}

conntrack_heard()
{
	# Nobody else is in this namespace. (Which of its sockets has the pid for address, chance decides.)
	kill -0 "$reader" && here awk '$2 == 12 && $4 != "00000000" { found = 1 } END { exit !found }' \
		/proc/self/net/netlink
}

nfwho_stands()
{
	group_bound 617 && here nft list table inet nfwho
}

# --- starting them

start_none() { :; }
start_rule() { rules "log prefix \"bench\" group $group snaplen 256"; }
start_audit-rule() { start_rule; }

# discard_run [start]
discard_run()
{
	start_rule && out=$work/out || return
	"${in_here[@]}" nice -n -10 "$build/tests/bench/discard" $group "$@" >"$out" 2>"$work/said" &
	reader=$!
	wait_for 10 group_bound $group
}

start_discard() { discard_run; }
start_discard-start() { discard_run start; }

# nfwho_run OPTION…: its output is $out.
nfwho_run()
{
	"${in_here[@]}" "$build/collector/nfwho" run --rate 0 --rate-total 0 "$@" 2>"$work/said" &
	reader=$!
	wait_for 10 nfwho_stands
}

start_nfwho-start()
{
	out=$work/out
	nfwho_run --events start --output "file:$out,size=10G"
}

start_nfwho-both()
{
	out=$work/out
	nfwho_run --output "file:$out,size=10G"
}

start_nfwho-blind()
{
	out=$work/out
	nfwho_run --events start --trace off --output "file:$out,size=10G"
}

# --- what they take, and the end

# Nanoseconds of CPU, user and system, of all threads and of children that have ended; for audit the
# kernel's thread that hands its records over as well.
cpu_ns()
{
	local pids=$reader sum=0 ns tick=$((1000000000 / $(getconf CLK_TCK))) file

	[[ -n $reader ]] || { echo 0; return; }
	[[ $1 == audit ]] && pids+=" $(pgrep -x kauditd)"
	for pid in $pids; do
		for file in /proc/"$pid"/task/*/schedstat; do
			read -r ns _ <"$file" && sum=$((sum + ns))
		done
		ns=$(awk '{ print $16 + $17 }' "/proc/$pid/stat") && sum=$((sum + ns * tick))
	done 2>/dev/null
	echo $sum
}

# until_at_rest NAME: when what was asked of it has been done, ten seconds at most.
until_at_rest()
{
	local before now turn

	before=$(cpu_ns "$1")
	for ((turn = 0; turn < 50; turn++)); do
		sleep 0.2
		now=$(cpu_ns "$1")
		((now - before < 2000000)) && return
		before=$now
	done
}

reader_start()
{
	rm -f "$work/out" "$work/out2" "$work/audit.log" "$work/said"
	: >"$work/out"
	out='' reader=''
	"start_$1" && return
	warn "$1 does not start: $(tail -n 1 "$work/said" 2>/dev/null)"
	jq -cn '{}' | measured failed of="$part" reader="$1"
	reader_stop
	return 1
}

reader_stop()
{
	if [[ -n $audit_before ]]; then
		audit_stop
	elif [[ -n $reader ]]; then
		{ kill -"$stop" "$reader"; wait_for 1 gone "$reader"; end "$reader"; } 2>/dev/null
	fi
	reader='' stop=INT
	rules_gone
}
