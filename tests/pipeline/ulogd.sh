#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Debian's ulogd2 takes packets with user and program on its UNIXSOCK input, with the configuration
# that we ship.
. "$(dirname "$0")/lib.sh"

plugins=$(dirname "$(find /usr/lib -name ulogd_inppkt_UNIXSOCK.so 2>/dev/null | head -n 1)")
[[ -e $plugins/ulogd_output_JSON.so ]] || skip_all "no ulogd2 with JSON"

shipped ulogd.conf "/usr/lib/x86_64-linux-gnu/ulogd=$plugins" "/run/nfwho-ulogd.sock=$work/ulogd" \
	"/var/log/ulog/ulogd.log=$work/ulogd.log" "/var/log/ulog/nfwho.json=$work/ulogd.json" \
	>"$work/ulogd.conf"

connections=2000

all_there()
{
	(($(wc -l <"$work/ulogd.json") == connections))
}

# Tuple, user and program of each, as the load and our own records say them.
same_connections()
{
	diff <(jq -r 'select(.event.action == "connection_attempted") | [.source.ip, .source.port,
			.destination.ip, .destination.port, .user.name, .process.executable] | @tsv' \
			"$work/records" | sort) \
		<(jq -r '[.src_ip, .src_port, .dest_ip, .dest_port, .["nufw.user.name"],
			.["nufw.app.name"]] | @tsv' "$work/ulogd.json" | sort)
}

netns_pair
serve 80
ulogd -c "$work/ulogd.conf" 2>"$work/ulogd.err" &
children+=($!)
wait_for 10 test -S "$work/ulogd" || not_ok "ulogd starts"
collector_start --output "ulogd:$work/ulogd" --output "file:$work/records"
here "$load" busy --to $peer4:80 --to "[$peer6]:80" --truth "$work/truth.tsv" \
	--count $connections --uid 0 --uid 65534 --workers 2 2>"$work/load"
check "every connection's packet arrives" wait_for 10 all_there
check "with its tuple, user and program" same_connections
check "prefix and interface too" jq -se 'all(.["oob.prefix"] == "nfwho" and .["oob.out"] == "eth0")' \
	"$work/ulogd.json"
collector_stop && ok "the collector stops in order"
finish
