#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Names, arguments and paths made of every byte value: one valid JSON object to a line, and text
# without a control character. Secrets on command lines: nowhere by default.
. "$(dirname "$0")/lib.sh"

hostile=$(dirname "$0")/hostile.py
secrets=(Sesam1 Sesam2 Sesam3 Sesam4 Sesam5 Sesam6)

# Real processes with each secret where people put them. mysql is a shell by that name. They stay
# for a moment: whether the command line of one that does not is read in time is not judged here.
secret_processes()
{
	local connect="exec 3<>/dev/tcp/$peer4/80; read -rt 0.5 -u 3"

	ln -f "$work/bash" "$work/mysql"
	ln -f "$work/bash" "$work/curl"
	here "$work/bash" -c "$connect" backup --password=Sesam1 --verbose
	here "$work/bash" -c "$connect" backup --api-token Sesam2 --verbose
	here "$work/bash" -c "$connect" backup https://me:Sesam3@example.net/
	here "$work/mysql" -c "$connect" mysql -u root -pSesam4
	here "$work/curl" -c "$connect" curl -u me:Sesam5 example.net
	# As the parent's.
	here "$work/bash" -c "$work/bash -c '$connect'; true" backup --secret=Sesam6
}

# FILE… hold that many of the secrets.
secrets_in()
{
	local secret found=0

	for secret in "${secrets[@]}"; do
		cat "$@" | grep -q "$secret" && found=$((found + 1))
	done
	echo $found
}

outputs()
{
	printf '%s\n' --output "file:$work/$1.ecs" --output "file:$work/$1.ulogd,format=ulogd" \
		--output "file:$work/$1.text,format=text"
}

enough()
{
	(($(grep -c '"connection_attempted"' "$1") >= $2))
}

netns_pair
serve 80
cp "$(command -v bash)" "$work/bash"
chmod 755 "$work/bash"
mkdir "$work/places"

mapfile -t options < <(outputs hostile)
collector_start "${options[@]}"
here python3 "$hostile" run "$work/places" "$work/bash" $peer4 80 >"$work/truth" 2>"$work/ran" ||
	not_ok "every process ran: $(<"$work/ran")"
wait_for 10 enough "$work/hostile.ecs" "$(lines "$work/truth")"
collector_stop && ok "$(lines "$work/truth") processes of every byte value: the collector goes on"
check "every line is one JSON object of less than 8,000 bytes, ecs and ulogd" \
	python3 "$hostile" json "$work/truth" "$work/hostile.ecs" "$work/hostile.ulogd"
for format in ecs ulogd; do
	equal "jq reads as many objects as there are lines, $format" \
		"$(jq -c 'objects | 1' "$work/hostile.$format" | wc -l)" "$(lines "$work/hostile.$format")"
done
check "text has printable characters only" \
	python3 "$hostile" text "$work/truth" "$work/hostile.text"

mapfile -t options < <(outputs redacted)
collector_start "${options[@]}"
secret_processes
wait_for 10 enough "$work/redacted.ecs" ${#secrets[@]}
collector_stop
equal "no secret is written by default" "$(secrets_in "$work"/redacted.*)" 0

mapfile -t options < <(outputs full)
collector_start --command-line full "${options[@]}"
secret_processes
wait_for 10 enough "$work/full.ecs" ${#secrets[@]}
collector_stop
equal "all are with --command-line full" "$(secrets_in "$work/full.ecs")" ${#secrets[@]}
finish
