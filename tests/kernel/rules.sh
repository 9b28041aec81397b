#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# `nfwho rules`: what it writes and loads, and what it says when something is in the way.

# shellcheck source=tests/kernel/lib.sh
. "$(dirname "$0")/lib.sh"

directory=$work/etc/nfwho
file=$directory/nfwho.nft
mkdir "$work/etc"
netns_pair

rules()
{
	here "$NFWHO" rules "$@" >"$work/out" 2>"$said"
}

# refused TITLE STATUS TEXT ARGUMENTS…: exit status, and one line on stderr that has TEXT in it.
refused()
{
	local title=$1 status=$2 text=$3 found
	shift 3
	rules "$@"
	found="status $?, $(wc -l <"$said") line(s): $(cat "$said")"
	if [[ $found == "status $status, 1 line(s): "*"$text"* ]]; then
		ok "$title"
	else
		not_ok "$title"
		echo "# $found"
	fi
}

listing()
{
	here nft list ruleset
}

here nft -f - <<'NFT'
table ip nfwho {
	chain output { type filter hook output priority -150; counter; }
}
table inet filter {
	chain output { type filter hook output priority 0; ct state new accept; }
}
NFT
before=$(listing)

check "install succeeds" rules install --file "$file"
equal "the file is readable by all" "$(stat -c %a "$file")" 644
equal "nothing else is left beside it" "$(ls -A "$directory")" nfwho.nft
check "how to load it at boot is said" grep -q "at boot.*include \"$file\"" "$said"
installed=$(listing)
check "it is loaded" grep -q 'group 617' <<<"$installed"
check "the file can be loaded" here nft -f "$file"
equal "the file loads what install loaded" "$(listing)" "$installed"
check "install again succeeds" rules install --file "$file"
equal "and changes nothing" "$(listing)" "$installed"
here "$NFWHO" rules show >"$work/shown" 2>"$said"
equal "show prints the file" "$(cat "$work/shown")" "$(cat "$file")"
check "show says that it stands" grep -q 'loaded as printed' "$said"
here nft add rule inet nfwho output counter
rules show
check "show says when it is altered" grep -q 'other rules' "$said"

printf 'flush ruleset\ntable inet filter {\n}\ninclude "%s/*.nft"\n' "$directory" >"$work/boot.nft"
check "a boot's ruleset can include it" here nft -f "$work/boot.nft"
rules show
check "and it stands then" grep -q 'loaded as printed' "$said"
check "remove succeeds" rules remove --file "$file"
check "the file is gone" test ! -e "$file"
check "the boot's ruleset still loads without it" here nft -f "$work/boot.nft"
check "remove with nothing there succeeds" rules remove --file "$file"
here nft -f - <<<"flush ruleset; $before"
rules install --file "$file" --group 5 --hooks output,forward --protocols tcp,udp --rule-limit 9
equal "options shape the rules" "$(here nft list table inet nfwho | grep -c 'group 5 ')" 6
rules remove --file "$file"
equal "nobody else's table was touched" "$(listing)" "$before"

echo "mine" >"$file"
refused "remove leaves a file that is not ours" 1 "$file" remove --file "$file"
refused "install replaces none" 1 "not a file that nfwho wrote" install --file "$file"
equal "with its content" "$(cat "$file")" mine
rm "$file"
ln -s "$work/elsewhere" "$file"
refused "install does not follow a link" 1 "$file" install --file "$file"
check "and writes nothing through it" test ! -e "$work/elsewhere"
rm "$file"
refused "a directory that is not there is said" 1 "No such file" install --file "$work/a/b/c.nft"
mkdir "$work/full"
mount -t tmpfs -o size=4k tmpfs "$work/full" && head -c 4096 /dev/zero >"$work/full/filler"
refused "a full file system is said" 1 "No space left" install --file "$work/full/nfwho.nft"
equal "and leaves nothing there" "$(ls -A "$work/full")" filler
umount "$work/full"
equal "none of it reached the kernel" "$(listing)" "$before"

here nft add table inet nfwho
refused "a foreign table is named" 1 "table inet nfwho" install --file "$file"
check "no file is written then" test ! -e "$file"
refused "nor is it removed" 1 "table inet nfwho" remove --file "$file"
here nft delete table inet nfwho

held_by_another()
{
	local holder

	mkfifo "$work/hold"
	exec {hold}<>"$work/hold"
	nsenter --net="/run/netns/$HERE" -- nft -i <"$work/hold" >/dev/null 2>&1 &
	holder=$!
	children+=("$holder")
	echo 'add table inet nfwho { comment "nfwho: held"; flags owner; }' >&"$hold"
	wait_for 5 here nft list table inet nfwho
	refused "the process that owns the table is named" 1 "owned by pid $holder (nft)" \
		install --file "$file"
	refused "for remove, too" 1 "owned by pid $holder (nft)" remove --file "$file"
	kill "$holder" && wait "$holder" 2>/dev/null
	wait_for 5 gone "$holder"
	exec {hold}>&-
}

if owns_tables; then
	held_by_another
else
	skip "the process that owns the table is named" "needs tables with an owner"
fi
equal "nothing is left" "$(listing)" "$before"

chmod 755 "$work"
unprivileged()
{
	here setpriv --reuid 65534 --regid 65534 --clear-groups "$NFWHO" rules "$@" \
		>"$work/out" 2>"$said"
}
unprivileged install --file "$work/x.nft"
equal "without privilege that is said" "$? $(cat "$said")" \
	"1 nfwho: not permitted to change the nftables ruleset: needs root or CAP_NET_ADMIN"
check "show needs none" unprivileged show

refused "a word that is no command" 2 '"instal"' instal
refused "a file without name" 2 "--file" install --file
refused "an option that is none" 2 "--groop" install --groop 5
refused "rules that cannot be" 1 "conntrack" install --file "$file" --conntrack no --protocols udp

finish
