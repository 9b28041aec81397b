#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The installed service under systemd: its sandbox, reload, restarts under load, the end.

. "$(dirname "$0")/lib.sh"

. "$here_dir/machine.sh"
((sanitized)) && skip_all "AddressSanitizer does not live in the service's sandbox"
command -v meson >/dev/null || skip_all "needs meson, to install"
log=/var/log/nfwho/nfwho.json

property()
{
	inside systemctl show nfwho -P "$1"
}

starts()
{
	inside grep -c '"action":"connection_attempted"' $log
}

enough()
{
	(($(starts) >= $1))
}

status_is()
{
	[[ $(property StatusText) == $1 ]]
}

wants=nfwho.service
if boot "
	DESTDIR=\$root/all meson install -C $NFWHO_BUILD --no-rebuild >/dev/null
	conf=\$(find usr/local/etc etc -name nfwho.conf -path '*etc/nfwho.conf' | head -n 1)
	sed -i 's/^#loopback = .*/loopback = yes/; s/^#ledger-interval = .*/ledger-interval = 1/
		s/^#rate = .*/rate = 0/; s/^#rate-total = .*/rate-total = 0/' \$conf
	chroot . systemd-sysusers" && wait_for 20 inside systemctl -q is-active nfwho; then
	ok "it is started"
else
	not_ok "it is started"
	cat "$work/boot.log"
	finish
fi
equal "nothing went wrong on the way" \
	"$(inside journalctl -u nfwho -p warning -o cat --no-pager | grep -v '^-- ')" ""
pid=$(property MainPID)
equal "as a user of its own" "$(inside ps -o user= -p "$pid")" nfwho
check "with the trace" grep -q CAP_PERFMON <(inside journalctl -u nfwho -o cat --no-pager)
equal "system calls are filtered" \
	"$(inside awk '$1 == "Seccomp:" { print $2 }' "/proc/$pid/status")" 2
check "its exposure is 2.0 or less" inside systemd-analyze security --threshold=20 nfwho

inside "$load" serve --to 127.0.0.1:80 >"$work/serve" &
children+=($!)
wait_for 10 grep -q listening "$work/serve"
inside "$load" short --to 127.0.0.1:80 --count 4000 --rate 500 --truth "$work/truth.tsv" \
	>/dev/null &
loading=$!
children+=("$loading")
for turn in 1 2 3; do
	wait_for 20 enough $((turn * 700))
	inside systemctl restart nfwho || not_ok "restart $turn"
done
wait_for 20 enough 2800
check "it is reloaded" inside systemctl reload nfwho
wait "$loading"
wait_for 20 enough 4000
inside cat $log >"$records"
inside cat "$work/truth.tsv" >"$work/seen.tsv"
compared "three restarts and a reload later every connection has one start" "$work/seen.tsv" \
	--at-least connections=4000 --at-most missing=0 --at-most duplicate=0 --at-most wrong=0
equal "systemd keeps the sockets" "$(property NFileDescriptorStore)" 4
check "the status is live" wait_for 10 status_is 'Group 617: [1-9]* connections*'
equal "it was restarted by nobody else" "$(property NRestarts)" 0
inside systemctl stop nfwho
equal "it stops as it should" "$(property Result)" success
equal "the table is gone with it" "$(inside nft list tables)" ""
finish
