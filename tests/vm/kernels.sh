#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What this kernel can is what the manual's table says of Debian's: that nothing looks lost by a probe
# that is wrong, for the tests leave out, or skip, what their probes say is not there.

. "$(dirname "$0")/lib.sh"

# its_column: of this kernel in the table.
its_column()
{
	case $(uname -r) in
	5.10.*) echo 2 ;;
	6.1.*) echo 3 ;;
	6.12.*) echo 4 ;;
	esac
}

# said ROW: "yes" or "no", of the row that begins so.
said()
{
	awk -F '\t' -v row="$1" -v column="$(its_column)" '
		/^\.SH/ { inside = $0 == ".SH KERNELS" }
		inside && index($1, row) == 1 { print $column }' "$here_dir/../../collector/nfwho.8"
}

# agrees ROW COMMAND…: the table, and what there is.
agrees()
{
	local row=$1 found=no
	shift

	"$@" >/dev/null 2>&1 && found=yes
	equal "$row: $(said "$row")" "$found" "$(said "$row")"
}

persists()
{
	unshare --net nft 'table inet owned { flags owner, persist; }'
}

logs_conntrack()
{
	grep -q '^CONFIG_NETFILTER_NETLINK_GLUE_CT=y' "/boot/config-$(uname -r)"
}

# Where it is, `check` finds its own files read-only.
sets_mounts()
{
	local said

	said=$("$NFWHO" check 2>&1)
	[[ $said == *confinement* && $said != *"files stay writable"* ]]
}

tells_without_listeners()
{
	[[ $(</proc/sys/net/netfilter/nf_conntrack_events) == 1 ]]
}

netns_pair
agrees "tables with an owner" owns_tables
agrees "table flag persist" persists
agrees "inet_sk_error_report" reports_errors
agrees "TCP state in conntrack's last word" tells_state
agrees "conntrack entry in the log message" logs_conntrack
agrees "mount_setattr" sets_mounts
agrees "last word without listeners" tells_without_listeners
finish
