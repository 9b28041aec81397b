# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# What the number of connections at once costs, how late a line is, and what idling costs. Sourced by
# `run`.

resident_kib()
{
	awk '$1 == "VmRSS:" { print $2 }' "/proc/$reader/status"
}

wakeups()
{
	awk '$1 == "voluntary_ctxt_switches:" { print $2 }' "/proc/$reader/status"
}

growth_sizes=(1000 10000 100000 1000000)
growth_rate=10000

# A tuple that conntrack still has is one connection less: with so many addresses, ports and source ports
# one in a hundred of a million.
growth_network()
{
	ip -n $PEER route add local 198.51.100.0/24 dev lo &&
	ip -n $HERE route add 198.51.100.0/24 via $peer4 &&
	network_set "ipv4.ip_local_port_range=1024 65535"
	to=("${ports[@]/#/--to=198.51.100.0:}" --addresses 256)
}

# growth_hold CONNECTIONS: so many more are followed. Conntrack does not forget them for a while, and
# nfwho waits for its word on each: not longer than JOIN_DESTROY_NS (150 s) before it asks.
growth_hold()
{
	network_set netfilter.nf_conntrack_tcp_timeout_close=600
	load busy --workers 2 --count "$1" --seconds 90
	network_set netfilter.nf_conntrack_tcp_timeout_close=1
	until_at_rest nfwho-both
}

# Its metrics are written anew every second.
followed()
{
	rm -f "$work/metrics"
	wait_for 5 test -e "$work/metrics"
	awk '$1 == "nfwho_flows" { print $2 }' "$work/metrics"
}

# growth_round ROUND FLOWS: others come and go beside them.
growth_round()
{
	local before after

	before=$(cpu_ns nfwho-both)
	load busy --workers 2 --rate $growth_rate --count $((growth_rate * side_seconds)) \
		--seconds $((side_seconds * 3))
	let_conntrack_forget
	until_at_rest nfwho-both
	after=$(cpu_ns nfwho-both)
	"$bench/seen" none "$work/truth" | measured growth round="$1" flows="$2" rate=$growth_rate \
		cpu_ns=$((after - before)) resident_kib="$(resident_kib)"
	progress 'beside %7s flows: %s us of CPU per connection, %s KiB' "$2" \
		"$(last '.cpu_ns / .made / 10 | round / 100')" "$(resident_kib)"
}

# Where conntrack has no room for so many, and none can be made, as many as it has room for.
growth_program()
{
	local to most had=0 size round flows

	conntrack_make_room $((growth_sizes[-1] * 5 / 4))
	most=$(($(sysctl -n net.netfilter.nf_conntrack_max) * 4 / 5))
	growth_network
	out=$work/out
	nfwho_run --flows 1300000 --ledger-interval 1 --metrics "$work/metrics" \
		--output "file:$out,size=100M,keep=1" ||
		{ warn "nfwho does not start: $(tail -n 1 "$work/said")"; reader_stop; return; }
	for size in "${growth_sizes[@]}"; do
		((size > most)) && size=$most
		((size > had)) || break
		growth_hold $((size - had))
		flows=$(followed)
		[[ -n $flows ]] || warn "growth: beside $size nfwho did not say how many it follows"
		for ((round = 0; round < rounds; round++)); do
			growth_round $round "$flows"
		done
		had=$size
	done
	jq -cn '{}' | measured trace \
		lost="$(awk '$1 == "nfwho_trace_lost_total" { print $2 }' "$work/metrics")"
	reader_stop
	network_set "ipv4.ip_local_port_range=32768 60999"
	here conntrack -F >/dev/null 2>&1
	conntrack_room_back
}

growth_tables()
{
	"$build/tests/bench/bench_flow" >"$work/flow" || { warn "bench_flow failed"; return; }
	progress '%s' "$(tail -n 1 "$work/flow")"
	jq -cn --rawfile text "$work/flow" '{ text: $text }' | measured tables
}

part_growth()
{
	growth_tables
	growth_program
}

# delay_one RATE EVENTS ROUND: from before connect() to the line in the hands of a reader of nfwho's
# standard output.
delay_one()
{
	local reading hold

	rm -f "$work/fifo" "$work/arrivals"
	mkfifo "$work/fifo" || return
	# A pipe is opened by both its ends at once: this one is there already.
	exec {hold}<>"$work/fifo"
	"$bench/arrivals" "$work/truth" <"$work/fifo" >"$work/arrivals" 2>"$work/reading" {hold}>&- &
	reading=$!
	wait_for 10 grep -q reading "$work/reading"
	nfwho_run --events "$2" --output stdout,format=ecs >"$work/fifo" {hold}>&- ||
		warn "nfwho does not start: $(tail -n 1 "$work/said")"
	exec {hold}>&-
	load busy --workers 2 --rate "$1" --count $(($1 * delay_seconds)) --seconds $((delay_seconds * 2))
	until_at_rest nfwho-start
	reader_stop
	wait_for 10 gone $reading
	end $reading
	measured delay rate="$1" events="$2" round="$3" <"$work/arrivals"
	progress '%s, %-9s: median %s ms, 99th percentile %s ms' "$(rate_text "$1")" "$2" \
		"$(last .median_ms)" "$(last .p99_ms)"
}

part_delay()
{
	local round rate

	for ((round = 0; round < rounds; round++)); do
		for rate in 20 1000 10000; do
			delay_one $rate start $round
			delay_one $rate start,end $round
		done
	done
}

part_idle()
{
	local cpu woken round

	out=$work/out
	nfwho_run --output "file:$out" ||
		{ warn "nfwho does not start: $(tail -n 1 "$work/said")"; reader_stop; return; }
	sleep 2
	for ((round = 0; round < rounds; round++)); do
		cpu=$(cpu_ns nfwho-both) woken=$(wakeups)
		sleep "$idle_seconds"
		jq -cn '{}' | measured idle round=$round seconds="$idle_seconds" \
			cpu_ns=$(($(cpu_ns nfwho-both) - cpu)) wakeups=$(($(wakeups) - woken)) \
			resident_kib="$(resident_kib)"
		progress '%s s: %s wake-ups, %s ms of CPU, %s KiB' "$idle_seconds" "$(last .wakeups)" \
			"$(last '.cpu_ns / 1e6')" "$(last .resident_kib)"
	done
	reader_stop
}
