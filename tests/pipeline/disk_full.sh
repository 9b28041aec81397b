#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A file on a full disk: no torn line, what is dropped is counted, and it goes on when there is room.

# The small disk is mounted where nobody else sees it, and is gone with this script.
if [[ ! ${NFWHO_OWN_MOUNTS:-} ]]; then
	NFWHO_OWN_MOUNTS=1 exec unshare --mount --propagation private "$0" "$@"
fi
. "$(dirname "$0")/../kernel/lib.sh"

disk=$work/disk
file=$disk/records.json

whole_lines()
{
	[[ -s $1 && $(tail -c 1 "$1") == '' ]] && jq -e 'has("event")' "$1" >/dev/null
}

# Every record of the run is written or dropped: the last one is the ledger, which counts all before.
nothing_uncounted()
{
	tail -n 1 "$file" | jq -e '.event.action == "ledger" and
		(.nfwho.ledger.sinks[0] | .dropped > 0 and .queued == 0) and
		(.nfwho.ledger.sinks[0] | .written + .dropped) == .event.sequence - 1' >/dev/null
}

netns_pair
serve 80
mkdir "$disk"
mount -t tmpfs -o size=256k nfwho-full "$disk" || skip_all "no tmpfs can be mounted"

collector_start --output "file:$file,queue=64K"
here "$load" busy --to $peer4:80 --truth "$work/truth.tsv" --count 600 --rate 600 2>"$work/load"
check "the full disk is said" wait_for 10 grep -q 'No space left on device' "$said"
check "the file holds whole lines only" whole_lines "$file"
full=$(wc -l <"$file")
check "the disk was full" test "$full" -gt 50 -a "$full" -lt 1000

: >"$file"
check "with room again it goes on" wait_for 10 grep -q 'works again' "$said"
here "$load" busy --to $peer4:80 --truth "$work/truth.tsv" --count 5 2>"$work/load"
check "new records are written" wait_for 10 grep -q '"connection_attempted"' "$file"
collector_stop && ok "it stops in order"
check "the file still holds whole lines only" whole_lines "$file"
check "written and dropped are all there were" nothing_uncounted
umount "$disk"
finish
