#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The Debian package: lintian, and its life under systemd: five restarts and an upgrade while 1,000
# connections are made a second.

. "$(dirname "$0")/lib.sh"

. "$here_dir/machine.sh"
((sanitized)) && skip_all "a package is not built with sanitizers"
for need in meson dpkg-deb dpkg-shlibdeps deb-systemd-helper; do
	command -v "$need" >/dev/null || skip_all "needs $need"
done

log=/var/log/nfwho/nfwho.json

log_of()
{
	inside journalctl -u nfwho -o cat --no-pager
}

is_there()
{
	inside ls -d "$1" 2>/dev/null
}

# What was written, in the file and in the one that it has been rotated to.
written()
{
	inside sh -c "cat $log.1 $log 2>/dev/null"
}

all_ended()
{
	inside conntrack -L >/dev/null 2>&1
	(($(written | grep -c '"action":"connection_ended"') >= $1))
}

# Everything of the truth has one start and one end, whichever run wrote it. Who connected while none
# ran is not always known.
under_load()
{
	local turn count=20000 loading

	inside sed -i 's/^#loopback = .*/loopback = yes/; s/^#ledger-interval = .*/ledger-interval = 1/
		s/^#rate = .*/rate = 0/; s/^#rate-total = .*/rate-total = 0/' /etc/nfwho.conf
	inside systemctl restart nfwho
	# Not with `inside`, which has patience for 20 s.
	nsenter -t "$first" -a -r -w -- "$load" serve --to 127.0.0.1:80 >"$work/serve" &
	children+=($!)
	wait_for 10 grep -q listening "$work/serve"
	nsenter -t "$first" -a -r -w -- "$load" busy --workers 2 --to 127.0.0.1:80 --count $count \
		--rate 1000 --seconds 60 --truth "$work/truth.tsv" >/dev/null &
	loading=$!
	children+=("$loading")
	for turn in 1 2 3 4 5; do
		pause 0.2
		inside systemctl restart nfwho || not_ok "restart $turn"
	done
	check "it is upgraded under load" inside dpkg -i /srv/nfwho.deb
	check "which lasts until then" kill -0 "$loading"
	wait "$loading"
	check "all of them end" wait_for 30 all_ended $count
	written >"$records"
	inside cat "$work/truth.tsv" >"$work/seen.tsv"
	compared "five restarts and an upgrade later every connection has one start and one end" \
		"$work/seen.tsv" --at-least connections=$count --at-most missing=0 \
		--at-most duplicate=0 --at-most wrong=0 --at-most without_end=0 \
		--at-most duplicate_end=0 --at-most ends_without_start=0
	equal "nothing was lost" "$(jq 'select(.event.action == "ledger").nfwho.ledger |
		(.sequence_gap // 0) + (.lost_tail // 0)' "$records" | sort -u)" 0
	equal "by seven runs" "$(select_records '.event.action == "connection_attempted"' |
		jq -r .nfwho.run_id | uniq | wc -l)" 7
	equal "with one table" "$(inside nft list tables)" "table inet nfwho"
}

check "it is built" "$here_dir/../../collector/package" "$work" || finish
package=$(ls "$work"/nfwho_*.deb)
if command -v lintian >/dev/null; then
	# Who builds it, and where, is not ours to judge.
	equal "lintian finds no error" "$(lintian --allow-root --fail-on none "$package" 2>&1 |
		grep '^E:' | grep -v 'mail-host\|root-in-contact')" ""
else
	skip "lintian finds no error" "needs lintian"
fi
boot "cp $package srv/nfwho.deb
	sysctl -qw net.netfilter.nf_conntrack_tcp_timeout_close=1" || { not_ok "systemd starts"; cat "$work/boot.log"; finish; }
check "it is installed" inside dpkg -i /srv/nfwho.deb
equal "and runs" "$(inside systemctl is-active nfwho)" active
equal "and will" "$(inside systemctl is-enabled nfwho)" enabled
check "and writes its file" is_there /var/log/nfwho/nfwho.json
before=$(inside systemctl show -P MainPID nfwho)
inside sh -c 'echo "# mine" >>/etc/nfwho.conf'
check "it is upgraded" inside dpkg -i /srv/nfwho.deb
equal "runs" "$(inside systemctl is-active nfwho)" active
check "anew" test "$(inside systemctl show -P MainPID nfwho)" != "$before"
check "and goes on where the old one ended" grep -q 'rules of the last run stand' <(log_of)
equal "the configuration stays" "$(inside tail -n 1 /etc/nfwho.conf)" "# mine"
under_load
check "it is removed" inside dpkg -r nfwho
check "and runs no more" test "$(inside systemctl is-active nfwho)" != active
equal "its table is gone" "$(inside nft list tables)" ""
check "the configuration stays again" is_there /etc/nfwho.conf
check "it is purged" inside dpkg -P nfwho
equal "nothing is left" "$(for path in /etc/nfwho.conf /var/log/nfwho /var/lib/nfwho /run/nfwho \
	/etc/systemd/system/multi-user.target.wants/nfwho.service; do is_there "$path"; done)" ""
finish
