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
collector_start || finish
here timeout 60 "$NFWHO" check >"$work/check" 2>"$said" </dev/null
check "while the group is taken: the holder is named" grep -q "$collector" "$work/check" "$said"
collector_stop
equal "check --help and --version say something" \
	"$("$NFWHO" check --help | grep -c . | awk '{ print ($1 > 0) }')$("$NFWHO" --version |
		grep -c '[0-9]')" 11
finish
