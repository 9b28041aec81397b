# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# bash completion for nfwho(8)

_nfwho_values()
{
	case $1 in
	--output) echo 'stdout file: unix: stream: tcp: syslog ulogd:' ;;
	--ruleset) echo 'auto owned static none' ;;
	--hooks) echo 'output forward prerouting input postrouting' ;;
	--protocols) echo 'tcp udp sctp icmp' ;;
	--loopback | --conntrack | --sysctl | --final) echo 'yes no' ;;
	--events) echo 'start,end start end' ;;
	--only | --except) echo 'user= program= unit= container= net= port= protocol=' ;;
	--trace) echo 'auto on off' ;;
	--lookup) echo 'auto diag proc' ;;
	--command-line) echo 'redact full program none' ;;
	--log-level) echo 'error warning info debug' ;;
	esac
}

_nfwho()
{
	local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} options

	options='--config --output --group --ruleset --hooks --protocols --loopback --rule-limit
		--events --only --except --rate --burst --rate-total --summary-interval --ledger-interval
		--trace --trace-buffer --receive-buffer --lookup --conntrack --sysctl --flows --processes
		--command-line --label --tag --metrics --priority-boost --user --final --log-level
		--help --version'
	COMPREPLY=()
	if ((COMP_CWORD == 1)); then
		mapfile -t COMPREPLY < <(compgen -W 'run check rules --help --version' -- "$word")
	elif [[ ${COMP_WORDS[1]} == rules && $COMP_CWORD == 2 ]]; then
		mapfile -t COMPREPLY < <(compgen -W 'install remove show' -- "$word")
	elif [[ $before == --config || $before == --metrics || $before == --file ]]; then
		mapfile -t COMPREPLY < <(compgen -f -- "$word")
	elif [[ $before == --user ]]; then
		mapfile -t COMPREPLY < <(compgen -u -- "$word")
	elif [[ $before == --* && -n $(_nfwho_values "$before") ]]; then
		mapfile -t COMPREPLY < <(compgen -W "$(_nfwho_values "$before")" -- "$word")
	else
		[[ ${COMP_WORDS[1]} == rules ]] && options+=' --file'
		mapfile -t COMPREPLY < <(compgen -W "$options" -- "$word")
	fi
}

complete -F _nfwho nfwho
