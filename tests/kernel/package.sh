#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The Debian package: lintian, and its life under systemd.

. "$(dirname "$0")/lib.sh"

. "$here_dir/machine.sh"
((sanitized)) && skip_all "a package is not built with sanitizers"
for need in meson dpkg-deb dpkg-shlibdeps deb-systemd-helper; do
	command -v "$need" >/dev/null || skip_all "needs $need"
done

log_of()
{
	inside journalctl -u nfwho -o cat --no-pager
}

is_there()
{
	inside ls -d "$1" 2>/dev/null
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
boot "cp $package srv/nfwho.deb" || { not_ok "systemd starts"; cat "$work/boot.log"; finish; }
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
check "it is removed" inside dpkg -r nfwho
check "and runs no more" test "$(inside systemctl is-active nfwho)" != active
equal "its table is gone" "$(inside nft list tables)" ""
check "the configuration stays again" is_there /etc/nfwho.conf
check "it is purged" inside dpkg -P nfwho
equal "nothing is left" "$(for path in /etc/nfwho.conf /var/log/nfwho /var/lib/nfwho /run/nfwho \
	/etc/systemd/system/multi-user.target.wants/nfwho.service; do is_there "$path"; done)" ""
finish
