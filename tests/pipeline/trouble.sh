#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Outputs in trouble: a reader that takes nothing, one that closes again and again, a directory where
# the file was. Nobody is delayed, no line is torn, what is dropped is counted, and it goes on.
. "$(dirname "$0")/lib.sh"

command -v socat >/dev/null || skip_all "no socat"

file=$work/log/records.json

# Takes a connection, reads some, closes; what each connection held goes into a file of its own.
closing_peer()
{
	exec python3 - "$work/closing" "$work/heard" <<-'EOF'
	import socket, sys
	listener = socket.socket(socket.AF_UNIX)
	listener.bind(sys.argv[1])
	listener.listen()
	for number in range(1000000):
	    peer, _ = listener.accept()
	    heard = b""
	    while len(heard) < 50000 and (more := peer.recv(10000)):
	        heard += more
	    peer.close()
	    with open(f"{sys.argv[2]}.{number}", "wb") as out:
	        out.write(heard)
	EOF
}

# Each connection begins with a whole record; only its last may be cut, by the closing.
whole_records()
{
	local heard count=0

	for heard in "$work"/heard.*; do
		[[ -s $heard ]] || continue
		count=$((count + 1))
		if [[ $(tail -c 1 "$heard") == '' ]]; then cat "$heard"; else sed '$d' "$heard"; fi |
			jq -e 'has("event")' >/dev/null || return 1
	done
	echo "$count connections"
	((count > 3))
}

# A number that the ledger last wrote.
counted()
{
	sink "$work/all" "$1" "$2"
}

nothing_uncounted()
{
	tail -n 1 "$work/all" | jq -e '(.event.sequence - 1) as $all |
		all(.nfwho.ledger.sinks[]; .written + .dropped + .queued == $all)'
}

connect()
{
	here "$load" busy --to $peer4:80 --truth "$work/truth.tsv" --count "$1" --rate 1000 \
		--seconds 20 2>"$work/load"
}

has()
{
	(($(lines "$1") >= $2))
}

netns_pair
serve 80
mkdir "$work/log" "$work/elsewhere"
check "a directory instead of a file is refused in one line" \
	test "$(here "$NFWHO" run --output "file:$work/log" 2>&1 | wc -l)" -eq 1

socat -u "UNIX-LISTEN:$work/blocked" "OPEN:$work/blocked.out,creat" 2>"$work/socat.err" &
blocked=$!
children+=("$blocked")
closing_peer 2>"$work/closing.err" &
children+=($!)
wait_for 10 test -S "$work/blocked" -a -S "$work/closing" || not_ok "the readers listen"
collector_start --events start --ledger-interval 3600 --output "file:$work/all" \
	--output "file:$file" --output "stream:$work/blocked,queue=64K" \
	--output "stream:$work/closing"
connect 50
wait_for 10 has "$work/blocked.out" 50 || not_ok "the reader reads"
kill -STOP "$blocked"
connect 1000
check "a reader that takes nothing delays nobody" wait_for 2 has "$work/all" 1050

mv "$file" "$work/elsewhere/"
mkdir "$file"
kill -HUP "$collector"
check "a directory where the file was is said" wait_for 5 grep -q "is a directory" "$said"
connect 100
check "and the file goes on where it is now" wait_for 5 has "$work/elsewhere/records.json" 1150
rmdir "$file"
kill -HUP "$collector"
kill -CONT "$blocked"
connect 100
check "with the directory gone there is a file again" wait_for 5 has "$file" 100
wait_for 10 has "$work/blocked.out" 200
collector_stop && ok "it stops in order"

check "what is written, dropped and queued is all there was" nothing_uncounted
dropped=$(counted "stream:$work/blocked" dropped)
check "what the blocked reader could not take was dropped ($dropped)" test "$dropped" -gt 100
wait_for 10 gone "$blocked"
lost=$(missing "$work/all" "$work/blocked.out")
equal "it has all the others, whole and once" "${lost%% *}" "$dropped"
check "each new connection to the one that closes begins with a whole record" whole_records
cat "$work/elsewhere/records.json" "$file" >"$work/both"
check "no record is missing in the file that moved" same_objects "$work/all" "$work/both"
finish
