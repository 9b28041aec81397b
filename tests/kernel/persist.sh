#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Tables that stay when their owner is gone (flag persist, Linux 6.9): ours is none, those of others
# are left alone.
. "$(dirname "$0")/lib.sh"

# orphan NAME: owned by a process that is gone.
orphan()
{
	here nft -f - <<-EOF
	table inet $1 {
		flags owner, persist
		chain output {
			type filter hook output priority 0
		}
	}
	EOF
}

stands()
{
	here nft list tables | grep -qx "table inet $1"
}

netns_pair
serve 80
if ! orphan other 2>"$work/nft"; then
	lack=$(grep -m 1 'syntax error\|not supported\|Invalid argument\|unknown table option' "$work/nft") ||
		{ not_ok "a table is made that stays: $(head -n 1 "$work/nft")"; finish; }
	skip_all "needs the table flag persist: $lack"
fi
check "a table stays when its owner is gone" stands other || finish
collector_start --ruleset owned || finish
here "$load" short --to $peer4:80 --count 10 --truth "$work/truth.tsv" >/dev/null
wait_for 10 all_written "$work/truth.tsv"
collector_stop
check "theirs stays" stands other
owned "beside it everything is recorded" "$work/truth.tsv"
check "ours goes with us" wait_for 5 eval '! stands nfwho'

orphan nfwho
here "$NFWHO" run --ruleset owned >"$work/out" 2>"$said" </dev/null
equal "a table of our name that is not ours is not touched" "$?" 1
check "and that is said in a line" test "$(grep -c 'inet nfwho' "$said")" = 1
check "it stands as it did" stands nfwho
finish
