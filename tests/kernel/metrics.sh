#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The file for Prometheus: what is in it, that it is whole, and what promtool thinks of it.

. "$(dirname "$0")/lib.sh"

netns_pair
serve 80
mkdir "$work/metrics"
chown nobody "$work/metrics"
file=$work/metrics/nfwho.prom

# value NAME[{LABELS}]
value()
{
	awk -v name="nfwho_$1" '$1 == name { print $2 }' "$file"
}

ledger()
{
	jq -r "select(.event.action == \"ledger\") | .nfwho.ledger$1 // 0" "$records" | tail -n 1
}

# Every sample has a type and a help, names and values are Prometheus's, no series is there twice.
well_formed()
{
	python3 - "$file" <<-'PYTHON'
		import re, sys
		types, helps, seen = {}, set(), set()
		text = open(sys.argv[1]).read()
		assert text.endswith("\n")
		for line in text.splitlines():
		    head = re.fullmatch(r"# (HELP|TYPE) ([a-z][a-z_]*) (.+)", line)
		    if head:
		        if head[1] == "HELP":
		            helps.add(head[2])
		        else:
		            assert head[3] in ("counter", "gauge", "histogram"), line
		            assert head[2] not in types, line
		            types[head[2]] = head[3]
		        continue
		    sample = re.fullmatch(r'([a-z][a-z_]*)(\{[a-z]+="[^"\\]*"(,[a-z]+="[^"\\]*")*\})? '
		                          r'([0-9]+(\.[0-9]+)?)', line)
		    assert sample, line
		    name = sample[1]
		    base = re.sub("_(bucket|sum|count)$", "", name)
		    if types.get(base) != "histogram":
		        base = name
		    assert base in types and base in helps, line
		    assert (types[base] == "counter") == name.endswith("_total"), line
		    assert (name, sample[2]) not in seen, line
		    seen.add((name, sample[2]))
		    assert not re.search(r"\d+\.\d+\.\d+\.\d+|::", sample[2] or "") or "version" in sample[2]
		assert len(seen) > 50
	PYTHON
}

buckets_rise()
{
	awk '/_bucket/ { if ($2 < before) exit 1; before = $2 }
		/^nfwho_connect_duration_seconds_count/ { exit $2 != before }' "$file"
}

sysctl_in "$HERE" net.netfilter.nf_conntrack_tcp_timeout_time_wait=1 \
	net.netfilter.nf_conntrack_tcp_timeout_close=1
collector_start --user nobody --metrics "$file" --ledger-interval 1 --output stdout \
	--output "file:$work/metrics/records.json" --output tcp:127.0.0.1:9 || finish
here "$load" short --to "$peer4:80" --to "[$peer6]:80" --count 300 --rate 300 \
	--truth "$work/out.tsv" >/dev/null
wait_for 10 all_written "$work/out.tsv"
wait_ended 20 250
check "it is written while running" wait_for 10 test -s "$file"
check "everybody can read it" test "$(stat -c %a "$file")" = 644
here timeout 3 bash -c "exec 3<>/dev/tcp/$peer4/9" 2>/dev/null
collector_stop
check "it is well formed" well_formed
equal "its sums are the ledger's: received" "$(value packets_received_total)" "$(ledger .received)"
equal "matched" "$(value packets_matched_total)" "$(ledger .matched)"
equal "started" "$(value 'packets_total{result="started"}')" "$(ledger .started)"
equal "owners" "$(value 'connections_total{owner="trace"}')" "$(ledger .owner.trace)"
equal "ended" "$(awk '/^nfwho_connections_ended_total/ { sum += $2 } END { print sum }' "$file")" \
	"$(ledger .ended)"
equal "an output's records" "$(value 'output_records_total{output="2",kind="file"}')" \
	"$(($(wc -l <"$work/metrics/records.json") - 1))"
check "buckets are cumulative" buckets_rise
check "latencies were counted" test "$(value connect_duration_seconds_count)" -gt 0
equal "nothing else is left in its directory" "$(ls -A "$work/metrics")" "nfwho.prom
records.json"
if command -v promtool >/dev/null; then
	check "promtool finds no fault" promtool check metrics <"$file"
else
	skip "promtool finds no fault" "needs promtool (Debian: prometheus)"
fi

here "$NFWHO" run --metrics "$work/nowhere/x.prom" >/dev/null 2>"$said"
equal "a directory that is not there is refused, status" $? 1
equal "and said" "$(cat "$said")" \
	"nfwho: --metrics $work/nowhere/x.prom: its directory: No such file or directory"
finish
