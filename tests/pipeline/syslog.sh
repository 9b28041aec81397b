#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Records by way of /dev/log into Debian's rsyslogd, with the configuration that we ship.

# A /dev/log of our own: its /dev is seen by nobody else, and gone with this script.
if [[ ! ${NFWHO_OWN_MOUNTS:-} ]]; then
	NFWHO_OWN_MOUNTS=1 exec unshare --mount --propagation private "$0" "$@"
fi
. "$(dirname "$0")/lib.sh"

command -v rsyslogd >/dev/null || skip_all "no rsyslogd"

own_dev()
{
	local node

	mkdir "$work/dev" && mount -t tmpfs nfwho-dev "$work/dev" || return
	for node in null zero random urandom tty; do
		: >"$work/dev/$node" && mount --bind "/dev/$node" "$work/dev/$node" || return
	done
	ln -s /proc/self/fd "$work/dev/fd"
	mount --rbind "$work/dev" /dev
}

netns_pair
serve 80
own_dev || skip_all "no /dev of our own can be mounted"
shipped rsyslog-syslog.conf "/var/log/nfwho/rsyslog.json=$work/syslog.out" |
	rsyslog_configure syslog
sed -i '/imuxsock/s/.*/module(load="imuxsock")/' "$work/syslog.conf"
rsyslog_start syslog "$HERE"
wait_for 10 test -S /dev/log || not_ok "rsyslogd makes /dev/log"
collector_start --events start --ledger-interval 3600 --output "file:$work/all" --output syslog
here "$load" busy --to $peer4:80 --truth "$work/truth.tsv" --count 3000 --rate 2000 \
	2>"$work/load"
wait_for 10 written "$work/all" 3000
collector_stop && ok "the collector stops in order"
wait_for 10 as_many_lines "$work/syslog.out" "$work/all"
check "$(lines "$work/all") records in, the same objects out" \
	same_objects "$work/all" "$work/syslog.out"
rsyslog_stop syslog
rsyslog_content syslog
umount -l /dev
umount -R "$work/dev"
finish
