#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# nfwho check proves the whole way and leaves nothing behind.
. "$(dirname "$0")/lib.sh"

netns_pair
before=$(here nft list ruleset; here ip -br link)
here timeout 60 "$NFWHO" check >"$work/check" 2>"$said" </dev/null
status=$?
equal "check: all works, or works with less" "$((status == 0 || status == 3))" 1 ||
	sed 's/^/# /' "$work/check" "$said"
check "its own connection came back with its own pid" grep -qi 'pid' "$work/check"
equal "it leaves nothing behind" "$(here nft list ruleset; here ip -br link)" "$before"
here setpriv --reuid=65534 --regid=65534 --clear-groups timeout 60 "$NFWHO" check >"$work/check" \
	2>"$said" </dev/null
equal "without root: it cannot" $? 1
check "and says why" grep -qiE 'root|cap_|permi' "$work/check" "$said"
# checks TITLE [OPTION…]: that it says that nfwho works.
checks()
{
	here timeout 60 "$NFWHO" check "${@:2}" >"$work/check" 2>"$said" </dev/null
	status=$?
	equal "$1" "$((status == 0 || status == 3))" 1 || sed 's/^/# /' "$work/check" "$said"
}

checks "an output that is not there yet" --output "file:$work/new.json"
check "takes a test record" grep -q 'new.json took a test record' "$work/check"
check "and is no file of root's afterwards" test ! -e "$work/new.json"
if [[ -e /var/log/nfwho ]]; then
	skip "before the service was ever started" "nfwho is installed here"
else
	checks "before the service was ever started" --output file:/var/log/nfwho/nfwho.json
fi
here timeout 60 "$NFWHO" check --metrics "$work/none/nfwho.prom" >"$work/check" 2>"$said" </dev/null
equal "metrics for which there is no directory: it cannot" $? 1
check "which is said" grep -q 'metrics .*No such file' "$work/check"

# What loads a table of that name at boot, with an owned one in its way.
saved()
{
	[[ -e $work/etc ]] || { cp -a /etc "$work" && mkdir -p "$work/etc/nfwho"; } || return
	echo "$1" >"$work/etc/nftables.conf"
	unshare --mount sh -c 'mount --bind "$1/etc" /etc && shift && exec "$@"' sh "$work" \
		nsenter --net="/run/netns/$HERE" -- timeout 60 "$NFWHO" check --ruleset owned 2>&1 |
		grep 'saved ruleset'
}
if owns_tables; then
	check "a saved ruleset of others is not in the way" grep -q 'none holds' < \
		<(saved 'table inet filter { }')
	check "one that has our table is" grep -q 'less.*nftables.conf' < <(saved 'table inet nfwho { }')
	check "nor is one that would include it, were it there" grep -q 'none holds' < \
		<(rm -f "$work/etc/nfwho/nfwho.nft"; saved 'include "/etc/nfwho/*.nft"')
	touch "$work/etc/nfwho/nfwho.nft"
	check "as is one that includes it" grep -q 'less.*nftables.conf' < \
		<(saved 'include "/etc/nfwho/*.nft"')
else
	skip "saved rulesets" "needs tables with an owner"
fi

collector_start || finish
checks "beside a running one"
check "the holder is named" grep -q "read by pid $collector (nfwho)" "$work/check"
if owns_tables; then
	here timeout 60 "$NFWHO" check --group 618 >"$work/other" 2>"$said" </dev/null
	equal "another one beside it, for another group: cannot" $? 1
else
	skip "another one beside it, for another group: cannot" "needs tables with an owner"
fi
collector_stop
cp "$NFWHO" "$work/holder"
NFWHO=$work/holder collector_start || finish
here timeout 60 "$NFWHO" check >"$work/check" 2>"$said" </dev/null
equal "while another program has the group: it cannot" $? 1
check "and that one is named" grep -q "$collector (holder)" "$work/check"
collector_stop

# A CPU that something else never leaves.
cpu=$(taskset -cp $$ | grep -oE '[0-9]+' | sed -n 2p)
taskset -c "$cpu" bash -c 'while :; do :; done' &
busy=$!
children+=("$busy")
runs()
{
	awk '{ exit !($14 > 5) }' "/proc/$busy/stat"
}
check "a CPU is never idle" wait_for 20 runs
checks "while a CPU is never idle: it works"
check "and what is not known of it is said" grep -q "not known for CPU $cpu[ ,-]" "$work/check"
kill "$busy"

# As on a kernel that calls a field of one tracepoint by another name.
cat >"$work/other" <<-'EOF'
	#!/bin/bash
	[[ ${inside-} ]] || inside=1 exec unshare --mount "$0" "$@"
	at=$(awk '/ - tracefs / { print $5; exit }' /proc/self/mountinfo)
	[[ $at ]] || { at=/sys/kernel/tracing && mount -t tracefs tracefs $at; } || exit
	at+=/events/$point/format
	sed 's/ sport;/ port;/' "$at" >"${0%/*}/format" && mount --bind "${0%/*}/format" "$at" &&
		exec "$program" "$@"
EOF
chmod +x "$work/other"
export program=$NFWHO point=fib/fib_table_lookup
NFWHO=$work/other checks "without a tracepoint that is not understood: it works"
check "which is named" grep -q 'fib:fib_table_lookup is not understood' "$work/check"
NFWHO=$work/other collector_start --trace on || finish
collector_stop
equal "run warns of it once" "$(grep -c 'fib:fib_table_lookup is not understood' "$said")" 1
point=sock/inet_sock_set_state
NFWHO=$work/other checks "without one that the trace cannot do without: it works"
check "which is named too" grep -q 'sock:inet_sock_set_state is not understood' "$work/check"

equal "check --help and --version say something" \
	"$("$NFWHO" check --help | grep -c . | awk '{ print ($1 > 0) }')$("$NFWHO" --version |
		grep -c '[0-9]')" 11
finish
