# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# One run with a fault: connections before it, while it lasts and after it, the configuration read
# again in the middle, and a judgement of all that came of it. Sourced after lib.sh by tests that
# say with `one TITLE COMMAND…` by what the collector is started, and may set befall and relent.

told=$work/told		# how often the call was made, and how often it failed
on=$work/on		# there while the fault lasts
program=$NFWHO
options=()
befall=file_made relent=file_removed	# functions: the fault begins, and ends
declare -A figures	# of the run that is judged
status=0 runs=0 seen=0 failures=0 problems='' bad=0 recovers=0
brief=0		# no fault at work: only start and stop
managed=0	# by a service manager that keeps its descriptors, and is started twice
named=1		# whoever connects is named, however soon it is gone
hold_ms=0	# how long a connection lives
prepare=:	# a function: before each start
must_tell=0	# whatever the counts say, what is not sound has to be told
must_strike=0	# a run in which nothing failed has shown nothing
may_leak=0	# so many descriptors more afterwards are not the collector's doing

ready_or_gone()
{
	gone "$collector" || collector_ready 617 nfwho
}

read_again()
{
	gone "$collector" || grep -q 'configuration read again\|reload refused' "$said"
}

begin()
{
	counted=0
	[[ $* == *"$told"* ]] && counted=1
	: >"$records"
	: >"$said"
	rm -f "$work"/*.tsv "$work/file.json" "$work/metrics.prom" "$told"
	"$prepare"
	start "$@" "$program" run --rate 0 --rate-total 0 --ledger-interval 1 --output stdout \
		--output "file:$work/file.json" --metrics "$work/metrics.prom" "${options[@]}"
	wait_for 10 ready_or_gone || problem "it is neither ready nor gone after 10 s"
}

start()
{
	status=0 runs=1
	if ((managed)); then
		manage /bin/bash -c 'exec "$@" >>"$0"' "$records" "$@"
		answered $(tell start)
	else
		nsenter --net="/run/netns/$HERE" -- "$@" >"$records" 2>"$said" </dev/null &
		collector=$!
	fi
}

# answered ready|silent|ended STATUS [ready|…]: what the manager says of it. One that says nothing when
# it is ready may be.
answered()
{
	case ${1-} in
	ready | silent)
		read -r collector _ <"/proc/$MANAGER_PID/task/$MANAGER_PID/children" ;;
	ended)
		collector=
		ended_with $(($2 & 127 ? 128 + ($2 & 127) : $2 >> 8))
		(($# == 2)) || answered "${@:3}" ;;
	*)
		problem "its manager has no answer" ;;
	esac
}

# Of two runs the worse.
ended_with()
{
	((status >= $1)) || status=$1
}

# Two that are answered and one that is refused, by a process for each, and by a program for each:
# whatever the collector has not heard, it may not take a program for the one that forked it.
work()
{
	local file mode made=0 lines=()

	gone "$collector" && return
	for mode in short spawn; do
		here "$load" $mode --to "$peer4:80" --to "[$peer6]:80" --to "$peer4:9" --count 3 \
			--hold-ms $hold_ms --truth "$work/$1-$mode.tsv" 2>"$work/load"
	done
	for file in "$work"/*.tsv; do
		mapfile -t lines <"$file"
		made=$((made + ${#lines[@]} - 1))
	done
	wait_for 1 all_known "$made"
}

all_known()
{
	gone "$collector" || (($(grep -c connection_attempted "$records") >= $1))
}

reload()
{
	gone "$collector" && return
	kill -HUP "$collector"
	wait_for 2 read_again
}

# The next run begins with what the last one left.
restart()
{
	gone "$collector" && return
	runs=2
	answered $(tell restart)
	wait_for 10 ready_or_gone || problem "once more, it is neither ready nor gone after 10 s"
	# What is read in the first 30 ms (JOIN_CONFIRM_NS) may have been sent before it had a trace, and
	# is not named.
	pause 0.1
}

stop()
{
	gone "$collector" || kill -TERM "$collector"
	wait_for 10 gone "$collector" || {
		problem "it does not stop"
		kill -KILL "$collector"
	}
	if ((!managed)); then
		wait "$collector"
		ended_with $?
	elif [[ $collector ]]; then
		answered $(tell stop)
	fi
	collector=
}

# Sets status: how it ended. What was reset has expired (sound_run): conntrack tells of it when asked.
end()
{
	here conntrack -L >/dev/null 2>&1
	stop
	if ((managed)); then
		exec {MANAGER[1]}>&-
		wait "$MANAGER_PID"
		unset 'children[-1]'
	fi
	seen=0 failures=0
	((counted)) && wait_for 5 all_told
}

# By each of the runs.
all_told()
{
	local line lines=()

	mapfile -t lines <"$told"
	((${#lines[@]} == runs)) || return
	for line in "${lines[@]}"; do
		seen=$((seen + ${line% *})) failures=$((failures + ${line#* }))
	done
}

file_made()
{
	touch "$on"
}

file_removed()
{
	rm -f "$on"
}

problem()
{
	problems+="$*"$'\n'
}

# truth [PART]: of what was made before, during or after it, or of all.
truth()
{
	local files=("$work/${1-}"*.tsv)

	head -n 1 "${files[0]}"
	tail -qn +2 "${files[@]}"
}

figure()
{
	echo "${figures[$1]:-0}"
}

# Every line whole; nobody named wrongly; what the last ledger says adds up.
judge_records()
{
	local bounds=() name number

	for name in wrong wrong_user executable.wrong command_line.wrong parent_pid.wrong \
		parent_name.wrong extra duplicate duplicate_end ends_without_start \
		ledger.own_gap; do
		bounds+=(--at-most "$name=0")
	done
	figures=()
	: >"$work/figures"
	[[ -e $work/before-short.tsv ]] || return
	truth >"$work/truth"
	"$compare" "$work/truth" "$records" "${bounds[@]}" >"$work/figures" 2>&1 ||
		problem "$(grep '^BROKEN\|^#\|JSON' "$work/figures")"
	while IFS=$'\t' read -r name number; do
		[[ $name == [a-z]* ]] && figures[$name]=$number
	done <"$work/figures"
	((status)) || judge_losses
	for name in "$work"/file.json*; do
		cmp -s "$records" "$name" || [[ ! -s $name ]] ||
			jq -e 'has("event")' "$name" >"$work/out" 2>&1 ||
			problem "${name##*/}: $(tail -n 1 "$work/out")"
	done
	ended_otherwise && problem "they ended otherwise: $(cat "$work/reasons")"
}

# dropped OUTPUT: how many records that never took, by its last words.
dropped()
{
	awk -v output="$1:" '$2 == output && $5 == "dropped," { n += $3 + $6 } END { print n + 0 }' "$said"
}

attempts()
{
	grep -c connection_attempted "$1" 2>/dev/null
}

# Of a run that ended because it was told to. No warning will do: as many as are missing are told of as
# lost, and where the rules' counters are known the account of them is exact.
judge_losses()
{
	local lost unwritten file=$work/file.json

	lost=$(jq -s 'map(select(.event.action == "ledger").nfwho) | group_by(.run_id) |
		map(last.ledger | .sequence_gap + .lost_tail + .undecodable + .evicted) | add // 0' \
		"$records")
	unwritten=$(dropped stdout)
	(($(figure missing) <= lost + unwritten)) ||
		problem "$(figure missing) are missing, $lost told of as lost, $unwritten as unwritten"
	(($(attempts "$records") <= $(attempts "$file") + $(dropped "file:$file"))) ||
		problem "the file has $(attempts "$file") of $(attempts "$records"), and does not say so"
	[[ $unwritten != 0 || ! ${figures[ledger.matched]-} || $(figure ledger.kernel_gap) == 0 ]] ||
		problem "the ledger is $(figure ledger.kernel_gap) from the rules' counters"
}

# Port 80 answered, and load resets what was answered; port 9 refused. It may be that nobody knows.
ended_otherwise()
{
	jq -r 'select(.event.action == "connection_ended") |
		"\(.destination.port) \(.event.reason // "unknown")"' "$records" 2>/dev/null |
		grep -vE '^80 (reset|closed|expired|unknown)$|^9 (refused|unknown)$' >"$work/reasons"
}

# Whether anybody could see that something was wrong: a line that a sound run does not write, or a
# number in the ledger.
is_told()
{
	local name

	# Whether it was idle is the last run's doing.
	grep -vxFf "$work/usual" "$said" | grep -qv 'conntrack was idle' && return
	for name in sequence_gap lost_tail enobufs undecodable evicted trace_lost conntrack_lost \
		dropped; do
		((${figures[ledger.$name]:-0} > 0)) && return
	done
	return 1
}

# All that a sound run does, to the byte where that can be compared.
is_sound()
{
	local all=$((brief ? 6 : 18))

	((managed)) && all=$((all + 6))
	((status == 0)) && { ((brief)) || read_again; } && [[ -s $work/metrics.prom ]] &&
		[[ $(figure recorded) == "$all" ]] && { ((!named)) ||
			[[ $(figure right) == "$all" && $(figure executable.right) == "$all" ]]; } &&
		[[ $(figure ledger.kernel_gap) == 0 && $(figure ends_without_bytes) == 0 ]] &&
		[[ $(figure reason.refused) == $((all / 3)) && $(figure without_end) == 0 ]] &&
		cmp -s "$records" "$work/file.json"
}

# Sets held. Asked many times, so without a process of its own.
count_descriptors()
{
	local open=("/proc/$collector/fd"/*)

	held=${#open[@]}
}

holds_no_more_than()
{
	gone "$collector" && return
	count_descriptors
	((held <= $1))
}

# Once the fault is over, all is as if it had not been.
judge_recovery()
{
	[[ -e $work/after-short.tsv ]] || return
	truth after >"$work/truth"
	"$compare" "$work/truth" "$records" --at-most missing=0 \
		--at-most unnamed=$((named ? 0 : 6)) >"$work/out" 2>&1 ||
		problem "it does not recover: $(grep '^BROKEN\|^#' "$work/out")"
}

judge()
{
	case $status in
	0) ;;
	1 | 2) grep -q '^nfwho: ' "$said" || problem "it ends without a word" ;;
	*) problem "it ends with status $status" ;;
	esac
	grep -q 'Sanitizer\|runtime error' "$said" && problem "a sanitizer has something to say"
	judge_records
	((recovers)) && judge_recovery
	((failures || !must_strike)) || problem "nothing failed, of $seen that could have"
	((failures == 0 && !must_tell)) || is_told || is_sound ||
		problem "not a word of it: $(grep -v '[^0-9]0$' "$work/figures")"
}

# one TITLE COMMAND…: a run started by the command; what is wrong with it goes into $work/bad.
one()
{
	local title=$1 held=0 held_before
	shift

	problems=
	begin "$@"
	work before
	if ((!brief)); then
		count_descriptors
		held_before=$held
		gone "$collector" || "$befall"
		work during
		reload
		"$relent"
		work after
		# What failed before may be there now: an output that was not connected.
		((!recovers)) || wait_for 2 holds_no_more_than $((held_before + may_leak)) ||
			problem "it had $held_before descriptors and has $held"
	fi
	if ((managed)); then
		restart
		work next
	fi
	end
	judge
	note "$title"
}

# note TITLE: what was wrong with it, for the verdict.
note()
{
	[[ $problems ]] || return 0
	bad=1
	printf '%s\n%s\n%s\n' "--- $1" "$problems" "$(cat "$said")" >>"$work/bad"
}

# verdict TITLE: of all runs since the last one.
verdict()
{
	if ((bad)); then
		not_ok "$1"
		cut -c 1-400 "$work/bad" | head -n 60 | sed 's/^/# /'
	else
		ok "$1"
	fi
	: >"$work/bad"
	bad=0
}

# sound_run [TITLE]: what is said where nothing fails.
sound_run()
{
	: >"$work/usual"
	: >"$work/bad"
	sysctl_in "$HERE" net.netfilter.nf_conntrack_tcp_timeout_close=0
	one "a sound run" env
	cp "$said" "$work/usual"
	is_sound || problem "it is not sound: $(grep -v '^#' "$work/figures" | paste -sd ' ')"
	[[ ! $problems ]] || bad=1
	printf '%s' "$problems" >>"$work/bad"
	verdict "${1:+$1: }without a fault all is sound"
}
