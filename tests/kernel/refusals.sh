#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# What cannot be done is said in one line, and what can be done without it is done honestly.
. "$(dirname "$0")/lib.sh"

# refused TITLE PATTERN COMMAND…: exit status 1 and one line on stderr that the pattern matches.
refused()
{
	local title=$1 pattern=$2 status
	shift 2

	timeout 20 nsenter --net="/run/netns/$HERE" -- "$@" >"$work/out" 2>"$said" </dev/null
	status=$?
	equal "$title: exit status 1" "$status" 1
	equal "$title: one line" "$(wc -l <"$said")" 1 || cat "$said"
	check "$title: it says what is in the way: $(head -n 1 "$said")" grep -qiE "$pattern" "$said"
	equal "$title: no record" "$(grep -c connection_attempted "$work/out")" 0
}

# lesser TITLE WRAPPER…: without something, nfwho either refuses or names nobody wrongly.
lesser()
{
	local title=$1 program=$NFWHO
	shift

	printf '#!/bin/bash\nexec %s %q "$@"\n' "$*" "$program" >"$work/lesser"
	chmod +x "$work/lesser"
	NFWHO=$work/lesser collector_start --trace "$trace" >"$work/start" || {
		equal "$title: refuses in one line" "$(wc -l <"$said")" 1
		return
	}
	here "$load" short --to $peer4:80 --truth "$work/truth.tsv" --workers 2 --count 100 \
		--rate 200 --hold-ms 50 --uid 0 --uid 65534 2>"$work/load"
	wait_for 10 all_written "$work/truth.tsv"
	collector_stop
	compared "$title: every connection, no wrong name" "$work/truth.tsv" --at-least \
		connections=100 --at-most missing=0 --at-most extra=0 --at-most duplicate=0 \
		--at-most wrong=0 --at-most wrong_user=0 --at-most executable.wrong=0
}

without()
{
	local capability=$1
	shift
	echo setpriv --bounding-set="-$capability" --inh-caps="-$capability" -- "$@"
}

netns_pair
serve 80
refused "without root" 'root|cap_|permi' \
	setpriv --reuid=65534 --regid=65534 --clear-groups "$NFWHO" run
refused "without CAP_NET_ADMIN" 'cap_net_admin|permi' \
	setpriv --bounding-set=-net_admin --inh-caps=-net_admin "$NFWHO" run
refused "in a user namespace of its own, the network another's" 'cap_|permi' \
	unshare --user --map-root-user "$NFWHO" run
refused "where netfilter's netlink is not to be had (refused by a seccomp filter)" \
	'netlink|nf_tables|netfilter|nflog' \
	"$NFWHO_BUILD/tests/kernel/without-netfilter" "$NFWHO" run
here nft add table inet nfwho
here nft add chain inet nfwho other
refused "a foreign table of our name" 'nfwho' "$NFWHO" run --ruleset owned
equal "and it is left alone" "$(here nft list table inet nfwho | grep -c 'chain other')" 1
here nft delete table inet nfwho

cp "$NFWHO" "$work/holder"
nfwho=$NFWHO
NFWHO=$work/holder collector_start && {
	refused "the group is held by another process" "$collector.*holder|holder.*$collector" \
		"$nfwho" run
	refused "the group is held, with a ruleset of somebody else" "617.*$collector" \
		"$nfwho" run --ruleset none
	collector_stop
}

# Nobody tells of entries, then: that none was told of says nothing.
sysctl_in "$HERE" net.netfilter.nf_conntrack_events=0
collector_start --sysctl no
check "events of conntrack that are off are said" grep -q 'nf_conntrack_events is 0' "$said"
here "$load" refused --to $peer4:9 --to "[$peer6]:9" --truth "$work/truth.tsv" --count 20 --rate 100
here "$load" busy --to $peer4:80 --to "[$peer6]:80" --truth "$work/truth.tsv" --count 20 --rate 100
check "without conntrack's word ends come all the same" wait_ended 20 40
collector_stop
equal "without them: no connection that was refused is said to be blocked" \
	"$(count_records '.event.reason == "blocked"')" 0
equal "or to be anything but refused" "$(count_records '.event.action == "connection_ended" and
	.destination.port == 9 and .event.reason != null and .event.reason != "refused"')" 0
if ! ((sanitized)); then
	collector_start --sysctl no --trace off
	here "$load" busy --to $peer4:80 --to "[$peer6]:80" --truth "$work/truth.tsv" --count 4 \
		--workers 4 --hold-ms 5500 --end close
	check "and without the trace's" wait_ended 40 4
	collector_stop
fi
collector_start
equal "they are switched on while it runs" "$(here cat /proc/sys/net/netfilter/nf_conntrack_events)" 1
collector_stop
equal "and off again" "$(here cat /proc/sys/net/netfilter/nf_conntrack_events)" 0
sysctl_in "$HERE" net.netfilter.nf_conntrack_events=1

# A limit of the size of files: the records that are beyond it are lost, and counted; nobody dies.
printf '#!/bin/bash\nexec prlimit --fsize=65536 %q "$@"\n' "$NFWHO" >"$work/limited"
chmod +x "$work/limited"
NFWHO=$work/limited collector_start --conntrack no && {
	here "$load" busy --to $peer4:80 --truth "$work/truth.tsv" --count 200 --rate 2000
	wait_for 10 grep -q 'File too large' "$said"
	check "a file that may grow no more is said" grep -q 'File too large' "$said"
	equal "and it lives on" "$(gone "$collector" && echo gone)" ""
	collector_stop
}

# What a shell allows is less than what may be had, and less than the rings of many CPUs take.
printf '#!/bin/bash\nulimit -Sn 24\nexec %q "$@"\n' "$NFWHO" >"$work/limited"
NFWHO=$work/limited collector_start && {
	equal "more descriptors than at first are used" "$(grep 'no trace' "$said")" ""
	collector_stop
}

for trace in auto off; do
	lesser "without CAP_SYS_PTRACE (--trace $trace)" "$(without sys_ptrace)"
	# By its number: setpriv before 2.37 (libcap-ng 0.7) does not know the name.
	lesser "without CAP_PERFMON and CAP_SYS_ADMIN (--trace $trace)" \
		"$(without cap_38,-sys_admin)"
	lesser "/proc with hidepid=2 (--trace $trace)" \
		"unshare --mount sh -c 'mount -t proc -o hidepid=2 proc /proc && exec \"\$@\"' sh"
	lesser "/proc with hidepid=2, without CAP_SYS_PTRACE (--trace $trace)" \
		"unshare --mount sh -c 'mount -t proc -o hidepid=2 proc /proc && exec \"\$@\"' sh" \
		"$(without sys_ptrace)"
done
finish
