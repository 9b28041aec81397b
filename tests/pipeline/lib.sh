# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# For tests in which somebody else's program reads what the collector wrote. Sourced by
# tests/pipeline/*.sh.

. "$(dirname "${BASH_SOURCE[0]}")/../kernel/lib.sh"

pipelines=$here_dir/../../collector/pipelines
declare -A rsyslogs=()

# shipped FILE PATH=PATH…: one of the files we ship, with other paths in it.
shipped()
{
	local file=$1 edits=() edit
	shift

	for edit; do
		grep -qF -- "${edit%%=*}" "$pipelines/$file" ||
			not_ok "$file names ${edit%%=*}" >&2
		edits+=(-e "s|${edit%%=*}|${edit#*=}|g")
	done
	sed "${edits[@]}" "$pipelines/$file"
}

# rsyslog_configure NAME: what stands around our file (stdin) in a distribution's rsyslog.conf.
rsyslog_configure()
{
	mkdir -p "$work/$1.spool"
	cat >"$work/$1.shipped.conf"
	cat >"$work/$1.conf" <<-EOF
	global(workDirectory="$work/$1.spool")
	module(load="imuxsock" SysSock.Use="off")
	include(file="$work/$1.shipped.conf")
	EOF
}

# rsyslog_start NAME NAMESPACE
rsyslog_start()
{
	nsenter --net="/run/netns/$2" -- rsyslogd -n -f "$work/$1.conf" -i "$work/$1.pid" \
		2>>"$work/$1.err" &
	rsyslogs[$1]=$!
	children+=($!)
	wait_for 10 test -s "$work/$1.pid" || not_ok "rsyslogd starts ($1): $(<"$work/$1.err")"
}

rsyslog_stop()
{
	kill -TERM "${rsyslogs[$1]}"
	wait_for 20 gone "${rsyslogs[$1]}" || not_ok "rsyslogd stops ($1)"
	wait "${rsyslogs[$1]}" 2>/dev/null
	rm -f "$work/$1.pid"
}

rsyslog_content()
{
	check "rsyslogd takes our configuration without a word ($1)" \
		diff /dev/null "$work/$1.err"
}

lines()
{
	wc -l <"$1"
}

as_many_lines()
{
	(($(lines "$1") >= $(lines "$2")))
}

# written FILE NUMBER: as many records, ends among them that conntrack has to be asked for.
written()
{
	conntrack_forgets
	(($(lines "$1") >= $2))
}

# The same objects, whatever their order and the order of their members.
# same_objects WRITTEN READ [distinct]: with distinct, what was read twice counts once.
same_objects()
{
	python3 - "$@" <<-'EOF'
	import collections, json, sys
	def objects(path):
	    with open(path, encoding="utf-8", errors="strict") as lines:
	        return collections.Counter(json.dumps(json.loads(l), sort_keys=True) for l in lines)
	a, b = map(objects, sys.argv[1:3])
	if sys.argv[3:] == ["distinct"]:
	    b = collections.Counter(list(b))
	print(f"{a.total()} and {b.total()} objects, {(a - b).total()} missing, {(b - a).total()} extra")
	for text in list((a - b) | (b - a))[:4]:
	    print(text)
	sys.exit(a != b)
	EOF
}

# missing WRITTEN READ: how many records were not read, in how many runs of event.sequence. Nothing
# but whole records may have been read, each once.
missing()
{
	python3 - "$@" <<-'EOF'
	import json, sys
	def objects(path):
	    with open(path, encoding="utf-8", errors="strict") as lines:
	        for line in lines:
	            record = json.loads(line)
	            yield record["event"]["sequence"], record
	written, read = dict(objects(sys.argv[1])), list(objects(sys.argv[2]))
	if len(read) != len(dict(read)) or any(written.get(n) != r for n, r in read):
	    sys.exit("torn, twice or never written")
	gone = sorted(written.keys() - dict(read).keys())
	print(len(gone), sum(n - 1 not in gone for n in gone))
	EOF
}

# sink FILE TARGET NAME: a number of the last ledger in FILE.
sink()
{
	tail -n 1 "$1" | jq --arg target "$2" \
		".nfwho.ledger.sinks[] | select(.target == \$target) | .$3"
}
