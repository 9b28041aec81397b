# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# This host's own systemd, started once more as the first process of namespaces of its own, on an
# overlay of this host's files. Sourced behind lib.sh; needs tests to be allowed to mount.
#
#	boot COMMANDS: they are run in the overlay's root before systemd is started
#	inside COMMAND...: in it

systemd=$(command -v /lib/systemd/systemd /usr/lib/systemd/systemd | head -n 1)
[[ $systemd ]] || skip_all "needs systemd"
grep -qw overlay /proc/filesystems || modprobe -q overlay || skip_all "needs overlayfs"
cgroups=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/mounts)
[[ $cgroups ]] || skip_all "needs cgroup2"
machine= first= wants=
group=$cgroups/$NFWHO_TEST_ID-systemd

# As root of all namespaces but the user's.
prepare()
{
	cat <<-EOF
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
		rm -rf var/log/nfwho usr/sbin/policy-rc.d
		printf '[Unit]\nDefaultDependencies=no\nWants=systemd-journald.service $wants\n' \
			>etc/systemd/system/test.target
		$1
		sysctl -qw net.netfilter.nf_conntrack_acct=1 net.netfilter.nf_conntrack_timestamp=1
		ip link set lo up
		# The first process raises limits of the whole machine where it can.
		mount --bind proc/sys proc/sys && mount -o remount,bind,ro proc/sys
		exec chroot . /usr/bin/env -i container=test PATH=\$PATH $systemd --unit=test.target
	EOF
}

boot()
{
	prepare "$1" >"$work/boot"
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
	first=$(pgrep -P "$machine") && inside systemctl -q is-active test.target
}

inside()
{
	timeout 20 nsenter -t "$first" -a -r -w -- "$@"
}

leave()
{
	[[ $machine ]] && kill -KILL "$machine" 2>/dev/null
	wait_for 10 emptied
	[[ -d $group ]] && find "$group" -depth -type d -exec rmdir {} +
	cleanup
}

emptied()
{
	! grep -q 'populated 1' "$group/cgroup.events" 2>/dev/null
}

trap leave EXIT
