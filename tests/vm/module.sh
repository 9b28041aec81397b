#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# conntrack is a module that nobody has needed so far: the first run has it loaded before it looks for its
# settings.

. "$(dirname "$0")/lib.sh"

netns_pair
serve 80
for module in nf_conntrack_netlink nft_ct nf_nat nf_conntrack; do
	modprobe -qr $module
done
check "conntrack is not loaded" test ! -e /proc/sys/net/netfilter/nf_conntrack_acct || finish
collector_start || finish
check "there are connections" here "$load" busy --to $peer4:80 --count 5 --truth "$work/truth.tsv"
check "they end" wait_ended 60 5
collector_stop
equal "no setting was missing" "$(grep 'cannot set' "$said")" ""
equal "what went is counted" "$(count_records '.event.action == "connection_ended" and .source.bytes > 0')" 5
finish
