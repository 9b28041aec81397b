#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The installed service under systemd: its sandbox, reload, outputs, the end. What restarts cost is
# package.sh's to judge.

. "$(dirname "$0")/lib.sh"

. "$here_dir/machine.sh"
((sanitized)) && skip_all "AddressSanitizer does not live in the service's sandbox"
command -v meson >/dev/null || skip_all "needs meson, to install"
log=/var/log/nfwho/nfwho.json
conf=/usr/local/etc/nfwho.conf

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
	sed -i 's/^#loopback = .*/loopback = yes/; s/^#ledger-interval = .*/ledger-interval = 1/
		s/^#rate = .*/rate = 0/; s/^#rate-total = .*/rate-total = 0/' .$conf
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
# Bit 21. systemd's filter may refuse to have it given up: then that is said.
equal "of CAP_SYS_ADMIN it says what is true" \
	"$(inside journalctl -u nfwho -o cat --no-pager | grep 'confined:' | grep -c CAP_SYS_ADMIN)" \
	"$((0x$(inside awk '$1 == "CapEff:" { print $2 }' "/proc/$pid/status") >> 21 & 1))"

inside "$load" serve --to 127.0.0.1:80 >"$work/serve" &
children+=($!)
wait_for 10 grep -q listening "$work/serve"
check "it is reloaded" inside systemctl reload nfwho
inside "$load" short --to 127.0.0.1:80 --count 40 --truth "$work/truth.tsv" >/dev/null
wait_for 20 enough 40
inside cat $log >"$records"
inside cat "$work/truth.tsv" >"$work/seen.tsv"
compared "every connection has one start" "$work/seen.tsv" --at-least connections=40 \
	--at-most missing=0 --at-most duplicate=0 --at-most wrong=0 --at-most unnamed=0
equal "systemd keeps the sockets" "$(property NFileDescriptorStore)" \
	$((5 + $(inside getconf _NPROCESSORS_ONLN)))
check "the status is live" wait_for 10 status_is 'Group 617: [1-9]* connections*'
equal "it was restarted by nobody else" "$(property NRestarts)" 0

# The drop-in files of the manual, all at once; the receiver is on this host.
sed -n '/^\.SH SERVICE/,/^\.SH LIMITS/p' "$here_dir/../../collector/nfwho.8" |
	awk '/^\.nf/ { shown = 1; next } /^\.fi/ { shown = 0; print "" } shown' |
	sed 's/\\-/-/g; s/198\.51\.100\.7/127.0.0.1/' >"$work/manual.conf"
equal "there are three drop-in files in the manual" "$(grep -c '^\[Service]' "$work/manual.conf")" 3
inside mkdir -p /etc/systemd/system/nfwho.service.d /srv/log
inside chown nfwho /srv/log
inside dd status=none of=/etc/systemd/system/nfwho.service.d/manual.conf <"$work/manual.conf"
inside dd status=none oflag=append conv=notrunc of="$conf" <<-EOF

	output = tcp:127.0.0.1:5140
	output = file:/var/log/nfwho/adm.json,group=adm
	output = file:/srv/log/other.json
EOF
inside socat -u TCP-LISTEN:5140,reuseaddr OPEN:/srv/received.json,creat &
children+=($!)
check "with them and outputs that want them it is restarted" inside sh -c \
	'systemctl daemon-reload && systemctl restart nfwho'
inside "$load" short --to 127.0.0.1:80 --count 3 --truth "$work/truth.tsv" >/dev/null
for file in /srv/received.json /srv/log/other.json /var/log/nfwho/adm.json; do
	check "records arrive in ${file##*/}" wait_for 10 inside \
		grep -q '"action":"connection_attempted"' "$file"
done
equal "the group of a file is the one that was asked for" \
	"$(inside stat -c %G /var/log/nfwho/adm.json)" adm
inside systemctl stop nfwho
equal "it stops as it should" "$(property Result)" success
equal "the table is gone with it" "$(inside nft list tables)" ""
finish
