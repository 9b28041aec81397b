#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The installed service under this host's own systemd, started once more as the first process of
# namespaces of its own, on an overlay of this host's files: its sandbox, reload, restarts under
# load, the end.

. "$(dirname "$0")/lib.sh"

systemd=$(command -v /lib/systemd/systemd /usr/lib/systemd/systemd | head -n 1)
[[ $systemd ]] || skip_all "needs systemd"
((sanitized)) && skip_all "AddressSanitizer does not live in the service's sandbox"
command -v meson >/dev/null || skip_all "needs meson, to install"
grep -qw overlay /proc/filesystems || modprobe -q overlay || skip_all "needs overlayfs"
cgroups=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/mounts)
[[ $cgroups ]] || skip_all "needs cgroup2"
machine= first=
group=$cgroups/$NFWHO_TEST_ID-systemd
log=/var/log/nfwho/nfwho.json

# As root of all namespaces but the user's.
cat >"$work/boot" <<-EOF
	set -e
	root=$work/root
	mount --make-rprivate /
	mkdir \$root && mount -t tmpfs tmpfs \$root && cd \$root && mkdir upper work all
	mount -t overlay overlay -o lowerdir=/,upperdir=upper,workdir=work all && cd all
	mount -t proc proc proc
	mount -t sysfs sysfs sys
	mount -t cgroup2 cgroup2 sys/fs/cgroup
	mount -t tracefs tracefs sys/kernel/tracing
	mount -t tmpfs tmpfs run
	mount --rbind /dev dev
	rm -rf var/log/nfwho
	DESTDIR=\$root/all meson install -C $NFWHO_BUILD --no-rebuild >/dev/null
	conf=\$(find usr/local/etc etc -name nfwho.conf -path '*etc/nfwho.conf' | head -n 1)
	sed -i 's/^#loopback = .*/loopback = yes/; s/^#ledger-interval = .*/ledger-interval = 1/
		s/^#rate = .*/rate = 0/; s/^#rate-total = .*/rate-total = 0/' \$conf
	printf '[Unit]\nDefaultDependencies=no\nWants=systemd-journald.service nfwho.service\n' \
		>etc/systemd/system/test.target
	chroot . systemd-sysusers
	sysctl -qw net.netfilter.nf_conntrack_acct=1 net.netfilter.nf_conntrack_timestamp=1
	ip link set lo up
	# The first process raises limits of the whole machine where it can.
	mount --bind proc/sys proc/sys && mount -o remount,bind,ro proc/sys
	exec chroot . /usr/bin/env -i container=test PATH=\$PATH $systemd --unit=test.target
EOF

boot()
{
	mkdir "$group" || exit 1
	(
		echo 0 >"$group/cgroup.procs" &&
		exec unshare -m -p -n -u -i -C --fork --kill-child bash "$work/boot"
	) >"$work/boot.log" 2>&1 </dev/null &
	machine=$!
	children+=("$machine")
	wait_for 30 booted
}

booted()
{
	first=$(pgrep -P "$machine") && inside systemctl -q is-active nfwho
}

inside()
{
	timeout 20 nsenter -t "$first" -a -r -w -- "$@"
}

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

leave()
{
	[[ $machine ]] && kill -KILL "$machine" 2>/dev/null
	wait_for 10 emptied
	find "$group" -depth -type d -exec rmdir {} +
	cleanup
}

emptied()
{
	! grep -q 1 <(awk '$1 == "populated" { print $2 }' "$group/cgroup.events")
}

trap leave EXIT
if boot; then
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
