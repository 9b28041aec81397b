#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Restarts under load, with a service manager that keeps descriptors: every connection has one start
# and one end, none has two, and the ledgers of all runs together hold what the kernel counted.

# NFWHO_KILLS=50 kills it more often than 20 times at random moments.
. "$(dirname "$0")/lib.sh"

count=4800 rate=$((5000 / slow / slow)) kills=${NFWHO_KILLS:-20}
((sanitized)) && rate=1000 kills=${NFWHO_KILLS:-5}
netns_pair
serve 80 81 82 83 84
# Ends come while others run, and while nobody does.
sysctl_in "$HERE" net.netfilter.nf_conntrack_tcp_timeout_close=2 \
	net.netfilter.nf_conntrack_tcp_timeout_time_wait=2
log=$work/log.json
said=$work/said

starts()
{
	grep -c '"action":"connection_attempted"' "$log"
}

enough()
{
	(($(starts) >= $1))
}

# sum FIELD: over the last ledgers of all runs.
sum()
{
	jq -s "map(select(.event.action == \"ledger\")) | group_by(.nfwho.run_id // .agent.ephemeral_id)
		| map(last.nfwho.ledger.$1 // 0) | add" "$log"
}

# adds_up LEDGERS NUMBER
adds_up()
{
	jq -es --argjson n "$2" 'map(.nfwho.ledger) | length == $n and all(
		.matched == .received + .sequence_gap + .lost_tail and .pending == 0)' "$1"
}

all_ended()
{
	conntrack_forgets
	(($(grep -c '"action":"connection_ended"' "$log") >= $1))
}

# Starts and ends of the same connection that name another process, or the same in other words.
of_two_minds()
{
	jq -c 'select(.event.action == "connection_attempted" or .event.action == "connection_ended") |
		[.nfwho.connection_id, .nfwho.owner, .process.pid, .process.entity_id,
		.process.executable, .process.command_line, .process.working_directory,
		.process.parent, .nfwho.unit, .nfwho.cgroup, .user, .event.start]' "$log" |
		sort | uniq -c | awk '$1 != 2' | wc -l
}

no_table()
{
	[[ -z $(here nft list tables) ]]
}

runs()
{
	jq -r '.agent.ephemeral_id' "$log" | sort -u | wc -l
}

manage "$NFWHO" run --rate 0 --rate-total 0 --output "file:$log,size=0"
equal "it starts" "$(tell start)" ready
cpus=$(getconf _NPROCESSORS_ONLN)
equal "and gives what is to be kept" "$(tell names)" \
	"account $(printf 'connects %.0s' $(seq "$cpus"))conntrack flows group rules"
here "$load" short --to "$peer4:80" --to "[$peer6]:80" --count $count --rate $((1000 / slow)) \
	--seconds $((30 * slow)) \
	--truth "$work/truth.tsv" >/dev/null &
loading=$!
children+=("$loading")
here "$load" busy --to "$peer4:84" --count 40 --workers 40 --hold-ms 4000 --end close \
	--truth "$work/held.tsv" >/dev/null &
children+=("$!")
for turn in 1 2 3 4 5; do
	wait_for 20 enough $((turn * count / 8))
	answer=$(tell restart)
	[[ $answer == "ended 0 ready" ]] || not_ok "restart $turn: $answer"
done
# As after an upgrade: other options, the same rules.
tell argument --label=turn=upgraded >/dev/null
wait_for 20 enough $((count * 3 / 4))
equal "it is restarted with other options" "$(tell restart)" "ended 0 ready"
removed=$(tell removed)
equal "what goes on to be used is not taken back meanwhile" "${removed% rules}" connects
wait "$loading"
tail -n +2 "$work/held.tsv" >>"$work/truth.tsv"
wait_for 20 enough $((count + 40))
check "all of them end" wait_for 20 all_ended $((count + 40))
records=$log
compared "every connection has one start, with no wrong owner, and one end" "$work/truth.tsv" \
	--at-least connections=$((count + 40)) --at-most missing=0 --at-most duplicate=0 --at-most wrong=0 \
	--at-most without_end=0 --at-most duplicate_end=0 --at-most ends_without_start=0
equal "which says the same of it" "$(of_two_minds)" 0
check "some of them a run later" test \
	"$(jq -c 'select(.event.action == "connection_ended" and .nfwho.resumed)' "$log" | wc -l)" -ge 40
equal "it is one table still" "$(here nft list tables)" "table inet nfwho"
equal "it stops" "$(tell stop)" "ended 0"
equal "there were seven runs" "$(runs)" 7
equal "their ledgers hold what was received: matched" "$(sum matched)" \
	"$(($(sum received) + $(sum sequence_gap) + $(sum lost_tail)))"
equal "nothing was lost" "$(sum sequence_gap) $(sum lost_tail)" "0 0"
equal "and no line is torn" "$(jq -r '.event.action | select(. == null)' "$log" 2>&1)" ""

# Logged while nobody runs.
here "$load" short --to "$peer4:81" --count 50 --truth "$work/gap.tsv" >/dev/null
before=$(starts)
equal "it starts again" "$(tell start)" ready
check "what was logged meanwhile is written" wait_for 10 enough $((before + 50))
compared "each once" "$work/gap.tsv" --at-least connections=50 --at-most missing=0 \
	--at-most duplicate=0 --at-most wrong=0

equal "it stops again" "$(tell stop)" "ended 0"
missed=$(jq 'select(.event.action == "ledger") | .nfwho.ledger.trace_missed' "$log" | tail -n 1)
# Others' are counted as well.
check "the connects that nobody watched are counted" test "$missed" -ge 50 -a "$missed" -lt 5000
equal "and starts" "$(tell start)" ready

# Killed, it leaves no list: the next run finds them by themselves.
from=$(date -u +%FT%T)
here "$load" busy --to "$peer4:84" --count 20 --workers 20 --hold-ms 6000 --end close \
	--truth "$work/orphans.tsv" >/dev/null &
loading=$!
children+=("$loading")
wait_for 10 enough $((before + 70))
equal "it is killed" "$(tell kill) $(tell start)" "ended 9 ready"
wait "$loading"
resumed='.nfwho.resumed and .destination.port == 84 and .event.start > $from'
orphans_ended()
{
	conntrack_forgets
	[[ $(jq -r --arg from "$from" "select(.event.action == \"connection_ended\" and $resumed) |
		\"\(.process.pid) \(.nfwho.owner)\"" "$log" | sort) == \
		"$(awk -F '\t' 'NR > 1 { print $1, "socket" }' "$work/orphans.tsv" | sort)" ]]
}
check "ends of what was open are their processes', by the socket" wait_for 20 orphans_ended

# Nothing waits for who listens, neither in the kernel's batch nor in his socket: what does is another
# run's to read.
all_read()
{
	local portid queued

	read -r _ portid queued _ < <(here cat /proc/self/net/netfilter/nfnetlink_log) &&
		((queued == 0)) && here awk -v portid="$portid" '$2 == 12 && $3 == portid { found = $5 == 0 }
			END { exit !found }' /proc/self/net/netlink
}

# Of the run that begins, or ended, after $marked lines.
first_ledger()
{
	tail -n +$((marked + 1)) "$log" | grep -m 1 '"action":"ledger"'
}
last_ledger()
{
	tail -n +$((marked + 1)) "$log" | grep '"action":"ledger"' | tail -n 1
}

# Whether it adds up, what is told as lost, and whether it says that it is no exact count.
exactness()
{
	jq -c '.nfwho.ledger | [.matched == .received + .sequence_gap + .lost_tail,
		.sequence_gap + .lost_tail, .matched_approximate]'
}

# killed_between RULES PORT: killed, it leaves an account of what it had not written, also if it had no
# time to tell of what the one before left; each third run lives to tell.
killed_between()
{
	local rules=$1 turn account= lost marked before loading

	marked=$(wc -l <"$log")
	before=$(starts)
	here "$load" busy --to "$peer4:$2" --to "[$peer6]:$2" --workers 2 --count $((rate * 4)) \
		--rate $rate --seconds 8 --truth "$work/kill.tsv" >/dev/null &
	loading=$!
	children+=("$loading")
	for turn in 1 2 3 4 5; do
		wait_for 10 enough $((before + turn * rate / 4))
		account+="$(tell kill), $(tell start), $(tell kill), $(tell start), "
		account+="$(tell stop), $(tell start). "
	done
	wait "$loading"
	equal "killed ten times it starts at once ($rules)" "$account" \
		"$(printf 'ended 9, ready, ended 9, ready, ended 0, ready. %.0s' 1 2 3 4 5)"
	# What the last one that was killed had read and not noted is missed with the next packet.
	here "$load" short --to "$peer4:81" --count 1 --truth "$work/next.tsv" >/dev/null
	check "all is read ($rules)" wait_for 10 all_read
	equal "it stops ($rules)" "$(tell stop)" "ended 0"
	tail -n +$((marked + 1)) "$log" >"$work/killed.json"
	records=$work/killed.json
	grep '"action":"ledger"' "$records" >"$work/ledgers.json"
	lost=$(jq -s 'map(.nfwho.ledger | .sequence_gap + .lost_tail) | add' "$work/ledgers.json")
	compared "their ledgers tell of each connection that is missing, $lost ($rules)" \
		"$work/kill.tsv" --at-least connections=$((rate * 4)) --at-most missing="$lost" \
		--at-most duplicate=0 --at-most wrong=0
	echo "# $(awk '$1 == "missing" { print $2 }' "$work/figures") are missing"
	check "they add up ($rules)" adds_up "$work/ledgers.json" 6
	equal "and none of them is approximate ($rules)" \
		"$(jq -c '.nfwho.ledger.matched_approximate // empty' "$work/ledgers.json")" ""
	records=$log
}

killed_between "its own rules" 82
tell argument --ruleset=static >/dev/null
equal "it starts again with static rules" "$(tell start)" ready
equal "which nobody owns" "$(here nft list table inet nfwho | grep -c 'flags owner')" 0
killed_between "static rules" 84

# What a table that is gone had counted is nothing to the next run.
equal "it starts again with static rules" "$(tell start)" ready
here "$load" short --to "$peer4:81" --count 50 --truth "$work/gap.tsv" >/dev/null
here nft -s list table inet nfwho >"$work/table.nft"
here nft -f - <<<"delete table inet nfwho; include \"$work/table.nft\""
here "$load" short --to "$peer4:81" --count 3 --truth "$work/gap.tsv" >/dev/null
check "all is read" wait_for 10 all_read
equal "it is restarted after they were loaded again" "$(tell restart)" "ended 0 ready"
marked=$(wc -l <"$log")
here "$load" short --to "$peer4:81" --count 5 --truth "$work/gap.tsv" >/dev/null
check "all is read" wait_for 10 all_read
equal "it stops" "$(tell stop)" "ended 0"
equal "and its ledger is exact" "$(last_ledger | exactness)" '[true,0,null]'
tell argument --ruleset=owned >/dev/null
equal "it starts again with its own" "$(tell start)" ready

# At random moments.
background "$HERE" "$load" short --to "$peer4:83" --count 100000 --rate 500 --seconds 200 \
	--truth "$work/killing.tsv" >/dev/null
loading=$!
survived=0 longest=0
for ((turn = 0; turn < kills; turn++)); do
	pause "0.$((RANDOM % 200 + 100))"
	begun=${EPOCHREALTIME/./}
	[[ $(tell kill) == "ended 9" && $(tell start) == ready ]] && survived=$((survived + 1))
	took=$(((${EPOCHREALTIME/./} - begun) / 1000))
	((took > longest)) && longest=$took
done
equal "killed $kills times under load it starts again at once" "$survived" "$kills"
echo "# within $longest ms at most"
equal "with one table still" "$(here nft list tables)" "table inet nfwho"
equal "and no line torn" "$(jq -r '.event.action | select(. == null)' "$log" 2>&1)" ""
kill "$loading"
wait "$loading" 2>/dev/null

# Anybody who may change a ruleset may do that, an owned table's too: who runs then says so, and who
# comes after is exact.
marked=$(wc -l <"$log")
here "$load" short --to "$peer4:81" --count 5 --truth "$work/gap.tsv" >/dev/null
check "all is read" wait_for 10 all_read
here nft reset counters table inet nfwho >/dev/null
equal "it is restarted after its counters were set back" "$(tell restart)" "ended 0 ready"
equal "its ledger adds up, and says how" "$(last_ledger | exactness | jq -c '[.[0], .[2]]')" \
	'[true,true]'
marked=$(wc -l <"$log")
here "$load" short --to "$peer4:81" --count 5 --truth "$work/gap.tsv" >/dev/null
check "all is read" wait_for 10 all_read
equal "it stops" "$(tell stop)" "ended 0"
equal "the next run's is exact" "$(last_ledger | exactness)" '[true,0,null]'
here nft reset counters table inet nfwho >/dev/null
tell argument --ledger-interval=1 >/dev/null
marked=$(wc -l <"$log")
equal "it starts after they were set back while nobody ran" "$(tell start)" ready
wait_for 10 first_ledger >/dev/null
equal "its ledger adds up, and says how" "$(first_ledger | exactness)" '[true,0,true]'

tell argument --protocols=tcp,udp >/dev/null
equal "other rules replace those that stand" "$(tell restart)" "ended 0 ready"
check "they are there" grep -q udp <(here nft list table inet nfwho)
tell argument --group=618 >/dev/null
tell argument --protocols=tcp,udp,icmp >/dev/null
equal "it stops" "$(tell stop)" "ended 0"
here "$load" short --to "$peer4:81" --count 7 --truth "$work/gap.tsv" >/dev/null
marked=$(wc -l <"$log")
equal "another group, and other rules, replace what was bound" "$(tell start)" ready
wait_for 10 first_ledger >/dev/null
equal "and what was logged to that one is told as lost" \
	"$(first_ledger | jq .nfwho.ledger.lost_tail)" 7
equal "only that one is bound" \
	"$(here awk '{ print $1 }' /proc/self/net/netfilter/nfnetlink_log | tr '\n' ' ')" "618 "
equal "and stops" "$(tell stop)" "ended 0"
equal "the ledger adds up all the same" "$(ledger_gaps)" "0 0"
exec {MANAGER[1]}>&-
if owns_tables; then
	check "without a manager the table goes" wait_for 10 no_table
else
	check "without a manager the table can be taken out" here "$NFWHO" rules remove \
		--file /nonexistent/nfwho.nft
	check "and is" no_table
fi
finish
