#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Debian's logrotate, with the file that we ship, while the collector writes: nothing is lost.
. "$(dirname "$0")/lib.sh"

command -v logrotate >/dev/null || skip_all "no logrotate"

file=$work/log/nfwho.json

rotate()
{
	logrotate --force --state "$work/state" "$work/logrotate.conf" 2>&1 |
		sed 's/^/# /'
}

# What logrotate put away, oldest first, and what is being written.
everything()
{
	local number

	for number in 9 8 7 6 5 4 3 2 1; do
		[[ -e $file.$number ]] && cat "$file.$number"
		[[ -e $file.$number.gz ]] && gzip -dc "$file.$number.gz"
	done
	cat "$file"
}

has()
{
	(($(everything 2>/dev/null | wc -l) >= $1))
}

written_anew()
{
	[[ -s $file ]]
}

# Every number from the first record to the last, once and in order.
all_there()
{
	everything | jq -r .event.sequence | diff - <(seq "$(everything | wc -l)")
}

netns_pair
serve 80
mkdir -m 755 "$work/log"
collector_start --events start --ledger-interval 3600 --output "file:$file,size=0"
shipped logrotate "/var/log/nfwho/nfwho.json=$file" "su nfwho nfwho=su root root" |
	sed "s/systemctl.*/kill -HUP $collector/" >"$work/logrotate.conf"
here "$load" busy --to $peer4:80 --truth "$work/truth.tsv" --count 4000 --rate 1000 --seconds 20 \
	2>"$work/load" &
connecting=$!
for turn in 1 2 3 4 5; do
	wait_for 10 has $((turn * 600))
	rotate
	check "after rotation $turn the new file is written" wait_for 5 written_anew
done
wait "$connecting"
wait_for 10 has 4000
collector_stop && ok "it stops in order"
check "4,001 records in $(ls "$work/log" | wc -l) files, none lost, none torn" all_there
equal "as many as there were connections" "$(everything | wc -l)" 4001
check "the older ones are compressed" test -e "$file.2.gz" -a -e "$file.5.gz"
finish
