#!/usr/bin/env bats
# One contract for all programs: help, versions, mistakes, manual pages and
# completions say the same, because each is compared with the other.

# Tests are subshells, and run sets stderr.
# shellcheck disable=SC2030,SC2031,SC2154
bats_require_minimum_version 1.5.0
load lib
load uniform

setup()
{
	common_setup
	export FORGE_CONFIG=/dev/null
}

teardown() { common_teardown; }

# two_lines PROGRAM ARG...: a mistake of usage: what, and how to get help
two_lines()
{
	run -2 --separate-stderr "$@"
	[ "$output" = "" ]
	[ "${#stderr_lines[@]}" = 2 ]
	[[ ${stderr_lines[0]} == "$1: "* ]]
	[[ ${stderr_lines[1]} == "Try '$1"*"--help'." ]]
}

@test "there are programs to look at" {
	[ "$(programs | wc -l)" -ge 4 ]
	[ -x "$BUILD/bin/forge" ]
}

@test "--help and --version: status 0, nothing on stderr" {
	local p
	for p in forge $(programs); do
		run -0 --separate-stderr "$p" --version
		[[ $output =~ ^$p\ [0-9]+\.[0-9]+\.[0-9]+$ ]]
		[ "$stderr" = "" ]
		run -0 --separate-stderr "$p" --help
		[[ $output == "Usage: $p "* ]]
		[ "$stderr" = "" ]
	done
}

@test "every command has --help" {
	local p verb
	for p in $(programs); do
		[ "$(help_verbs "$p" | wc -l)" -ge 3 ]
		while read -r verb; do
			# shellcheck disable=SC2086 # one or two words
			run -0 --separate-stderr "$p" $verb --help
			[[ ${lines[0]} == "$p $verb: "* ]]
			[[ ${lines[1]} == "Usage: $p $verb [OPTION...]"* ]]
			[ "$stderr" = "" ]
		done < <(help_verbs "$p")
	done
	# of a group of commands: those of the group
	run -0 --separate-stderr forge-vm lease --help
	[ "$(sed -n '/^Commands:/,/^$/p' <<<"$output" | grep -c '^  lease ')" = 3 ]
	[ "$(sed -n '/^Commands:/,/^$/p' <<<"$output" | grep -c '^  ')" = 3 ]
	[ "$stderr" = "" ]
	for verb in $(help_verbs forge | grep -v help); do
		run -0 --separate-stderr forge "$verb" --help
		[ "$stderr" = "" ]
	done
}

@test "a mistake of usage: status 2, two lines on stderr" {
	local p verb
	for p in forge $(programs); do
		two_lines "$p"
		two_lines "$p" --no-such-option
		[ "${stderr_lines[0]}" = \
			"$p: unknown option '--no-such-option'" ]
	done
	for p in $(programs); do
		two_lines "$p" no-such-command
		[ "${stderr_lines[0]}" = \
			"$p: unknown command 'no-such-command'" ]
		while read -r verb; do
			# shellcheck disable=SC2086 # one or two words
			two_lines "$p" $verb --no-such-option
		done < <(help_verbs "$p")
	done
}

@test "a mistake of usage says what is wrong" {
	two_lines forge-vm lease
	[ "${stderr_lines[0]}" = "forge-vm: 'lease' needs a second word" ]
	two_lines forge-vm lease no-such
	[ "${stderr_lines[0]}" = "forge-vm: unknown command 'lease no-such'" ]
	two_lines forge-vm run --cpus many --image x
	[ "${stderr_lines[0]}" = \
		"forge-vm: value 'many': invalid numeric value" ]
	two_lines forge-vm run --cpus=many --image x
	[ "${stderr_lines[0]}" = \
		"forge-vm: option '--cpus=many': invalid numeric value" ]
	two_lines forge-vm run --image
	[ "${stderr_lines[0]}" = \
		"forge-vm: option '--image': missing argument" ]
	two_lines forge-vm list web
	[ "${stderr_lines[0]}" = "forge-vm: list: too many arguments" ]
	two_lines forge-runner stop
	[ "${stderr_lines[0]}" = "forge-runner: stop: too few arguments" ]
	two_lines forge-vm ''
}

@test "a mistake of usage makes no state" {
	local p
	for p in forge $(programs); do
		run -2 "$p" --no-such-option
	done
	[ ! -e state ]
}

@test "stdout that is full is an error" {
	local p
	[ -w /dev/full ] || skip "no /dev/full"
	for p in $(programs); do
		run -1 bash -c "$p --help >/dev/full"
		[ "$output" = \
			"$p: cannot write to stdout: No space left on device" ]
	done
}

# ---- manual pages ----

@test "pages: commands are those of --help" {
	local p
	for p in $(programs); do
		[ -n "$(help_verbs "$p")" ]
		case $p in
		forge-watch | forge-webhook | forge-runner | forge-vm | \
			forge-session | forge-register | forge-agent) ;;
		*) false ;; # a program that has no test here yet
		esac
		same "$p" "$(help_verbs "$p")" "$(man_verbs "$(page "$p")")"
	done
	same forge "$(help_verbs forge)" "$(man_verbs "$ROOT/man/forge.1")"
}

@test "pages: options are those of --help, long and short" {
	local p f verb
	for p in $(programs); do
		f=$(page "$p")
		same "$p: named" "$(program_options "$p")" "$(man_options "$f")"
		same "$p: listed" \
			"$(program_options "$p" | grep -v -e --inetd)" \
			"$(man_listed "$f")"
		same "$p: short" "$(help_verbs "$p" | while read -r verb; do
			# shellcheck disable=SC2086 # one or two words
			help_shorts "$p" $verb
		done | sort -u)" "$(man_shorts "$f")"
	done
}

@test "pages: sections are in order, and those that matter are there" {
	local f order names all
	order='NAME
SYNOPSIS
DESCRIPTION
ENVIRONMENT
FILES
EXIT STATUS
EXAMPLES
SEE ALSO
CAVEATS
BUGS'
	for f in "$ROOT"/man/*.[1-8]; do
		names=$(sed -n 's/^\.Sh //p' "$f")
		all=$(grep -xF "$names" <<<"$order")
		same "$f" "$all" "$names"
		grep -q '^\.Sh SEE ALSO$' "$f"
		case $f in
		*forge*.1 | */forge-watch.8)
			[[ $names == *"EXIT STATUS"* ]]
			[ "$(section "$f" EXAMPLES | grep -c '^\.Bd ')" -ge 3 ]
			;;
		esac
	done
}

@test "pages: what they refer to is there" {
	local f name number
	for f in "$ROOT"/man/*.[1-8]; do
		while read -r _ name number _; do
			[ -e "$ROOT/man/$name.$number" ] || {
				echo "$f: $name($number)"
				false
			}
		done < <(grep -h '^\.Xr forge' "$f")
	done
	# and help names the section where the page is
	for name in $(programs); do
		f=$(page "$name")
		"$name" --help | grep -qF "$name(${f##*.})"
	done
}

@test "pages: exit statuses are those of lib/base/err.h" {
	local known f
	known=$(sed -nE 's/^\tEXIT_[A-Z]+ = ([0-9]+),.*/\1/p' \
		"$ROOT/lib/base/err.h" | sed 's/^128$/128+n/')
	[ "$(wc -l <<<"$known")" -ge 10 ]
	same "forge(7)" "$known" "$(section "$ROOT/man/forge.7" 'EXIT STATUS' |
		sed -n 's/^\.It Sy //p')"
	# garm has statuses of its own.
	for f in "$ROOT"/man/forge*.[1-8]; do
		section "$f" 'EXIT STATUS' | sed -n 's/^\.It Sy //p' |
			while read -r status; do
				grep -qxF "$status" <<<"$known"
			done
	done
}

@test "forge-config(5): keys and types are those of config_keys.c" {
	local f=$ROOT/man/forge-config.5 keys
	keys=$(sed -nE 's/^\t\{ "(.*)", (true|false), "(.*)", CONFIG_(.*) \},$/\1 \2 \3 \4/p' \
		"$ROOT/lib/state/config_keys.c" |
		while read -r section named key type; do
			[ "$named" = false ] || section+=.NAME
			echo "$section.$key ${type,,}"
		done | sed 's/ int$/ integer/' | sort)
	[ "$(wc -l <<<"$keys")" = \
		"$(grep -c 'CONFIG_.* },' "$ROOT/lib/state/config_keys.c")" ]
	same keys "$keys" "$(sed -nE 's/^\.It Sy (.*) Pq (.*)/\1 \2/p' "$f" |
		sort)"
}

# The examples of forge-config(5), one setting for each key, as a file.
config_examples()
{
	sed -nE 's/^\.It Sy (.*) Pq .*/\1/p; s/^\.D1 (.*)/= \1/p' \
		"$ROOT/man/forge-config.5" |
		while read -r first rest; do
			if [ "$first" != = ]; then
				section=${first%.*} key=${first##*.}
				section=${section/.NAME/ \"x\"}
				continue
			fi
			[ "${rest%% *}" = "$key" ] || return 1
			printf '[%s]\n\t%s\n' "$section" "$rest"
		done
}

@test "forge-config(5): every key has a default and an example that parses" {
	local f=$ROOT/man/forge-config.5 n
	n=$(grep -c '^\.It Sy .* Pq ' "$f")
	same "defaults" "" "$(awk '
		/^\.It Sy .* Pq / { item = $3; said = 0 }
		/[Dd]efault|[Nn]eeded/ { said = 1 }
		/^\.D1 / && item { if (!said) print item; item = "" }' "$f")"
	mkdir -m 700 state
	config_examples >state/config
	[ "$(grep -c '^\[' state/config)" = "$n" ]
	run -0 bash -c "forge-vm doctor -q \
		'select(.check == \"config\") | .status, .detail' || true"
	[ "${lines[0]}" = ok ]
	# the file of EXAMPLES, which is also one that the programs can use
	section "$f" EXAMPLES | sed -n '/^\[forge\]/,/^\.Ed/p' |
		grep -v '^\.Ed' >state/config
	run -0 forge-runner pools -q .name
	[ "$output" = linux ]
	run -0 bash -c "forge-vm doctor -q \
		'select(.check == \"config\") | .status' || true"
	[ "$output" = ok ]
}

@test "forge-events(5): kinds are those that the code writes" {
	local code
	# Strings "noun.verb" of lib, without those that are logged, or are
	# keys of JSON or of the configuration.
	code=$(cat "$ROOT"/lib/*/*.c |
		sed -E 's/(log_[a-z]+\(|(json_[a-z]+|sound_id)\([^"]*)"[^"]*"//g' |
		grep -oE '"(job|runner|vm|lease|image|delivery|watch|session|notify|identity|repo|ca|token|cert|agent)\.[a-z]+"' |
		tr -d '"' | sort -u |
		grep -vxF "$(sed -nE 's/^\.It Sy (.*) Pq .*/\1/p' \
			"$ROOT/man/forge-config.5")")
	[ "$(wc -l <<<"$code")" -ge 20 ]
	same kinds "$code" "$(sed -nE 's/^\.It Sy ([a-z]+\.[a-z]+)$/\1/p' \
		"$ROOT/man/forge-events.5" | sort)"
}

@test "forge-state(5): tables are those of the schema" {
	forge-vm list
	same tables "$(sqlite3 state/forge.db "SELECT name FROM sqlite_schema \
		WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite_%'
		ORDER BY name")" \
		"$(sed -nE 's/^\.It ([a-z_]+) Ta .*/\1/p' \
			"$ROOT/man/forge-state.5" | sort)"
}

@test "forge-state(5): names in cache are those of the code" {
	local name
	[ "$(grep -hoE '"cache/[a-z]+' "$ROOT"/lib/*/*.[ch] | wc -l)" -ge 3 ]
	for name in $(grep -hoE '"cache/[a-z]+' "$ROOT"/lib/*/*.[ch] |
		tr -d '"'); do
		sed -n '/^\.It Pa cache\/$/,/^\.El/p' \
			"$ROOT/man/forge-state.5" | grep -qE "\.Pq Pa ${name#*/}\b"
	done
}

@test "forge-state(5): locks are those that the code takes" {
	same locks "$(cat "$ROOT"/lib/*/*.c |
		grep -oE 'state_lock\([^,]*, "[a-z]+"' |
		sed -E 's/.*"(.*)"/run\/\1/' | sort -u)" \
		"$(sed -n '/^\.Ss Locks/,/^\.Ss What/p' \
			"$ROOT/man/forge-state.5" |
			sed -nE 's/^\.It Pa (run\/[a-z]+).*/\1/p' | sort)"
}

@test "forge-webhook(1): responses are those of the code" {
	same responses "$(sed -n '/table\[\] = /,/};/p' "$ROOT/lib/net/web.c" |
		grep -oE '\{ [0-9]{3}, ' | tr -dc '0-9\n' | sort)" \
		"$(sed -nE 's/^\.It ([0-9]{3})$/\1/p' \
			"$ROOT/man/forge-webhook.1" | sort)"
}

# ---- completions ----

# bash_complete WORD...: what bash offers for the last word
bash_complete()
{
	# shellcheck disable=SC2016 # for the inner shell
	bash --norc -c '. "$1"
		compopt() { :; }
		shift
		COMP_WORDS=("$@")
		COMP_CWORD=$(($# - 1))
		"_${1//-/_}"
		printf "%s\n" "${COMPREPLY[@]}"' - \
		"$BUILD/completions/bash/$1" "$@" | sed 's/=$//' | sort
}

# zsh_complete WORD...: the commands, or the options of one
zsh_complete()
{
	# shellcheck disable=SC2016 # for the inner shell
	zsh -fc '_describe() { print -l -- ${(P)2} }
		_arguments() { print -l -- "$@" }
		words=("${@:2}")
		CURRENT=${#words}
		complete_it() { . "$1" }
		complete_it "$1"' - "$BUILD/completions/zsh/$1" "$@"
}

@test "completions parse" {
	local p
	for p in forge $(programs); do
		[ -s "$BUILD/completions/bash/$p" ]
		bash -n "$BUILD/completions/bash/$p"
		[ -s "$BUILD/completions/zsh/$p" ]
		zsh -n "$BUILD/completions/zsh/$p"
		[ -s "$BUILD/completions/fish/$p" ]
		fish -n "$BUILD/completions/fish/$p"
	done
}

# offers SHELL: the commands, the second words of groups, and all options
offers()
{
	local p verb first
	for p in $(programs); do
		same "$p" "$(help_verbs "$p" | cut -d' ' -f1 | sort -u)" \
			"$("$1_complete" "$p" '' | cut -d: -f1 | sort)"
		for first in $(help_verbs "$p" | grep ' ' | cut -d' ' -f1 |
			sort -u); do
			same "$p $first" \
				"$(help_verbs "$p" | sed -n "s/^$first //p")" \
				"$("$1_complete" "$p" "$first" '' |
					cut -d: -f1 | sort)"
		done
		while read -r verb; do
			# shellcheck disable=SC2086 # one or two words
			same "$p $verb" "$(help_options "$p" $verb)" \
				"$("$1_complete" "$p" $verb -- |
					sed -nE 's/^(--[a-z-]+).*/\1/p' | sort)"
		done < <(help_verbs "$p")
	done
}

@test "bash offers the commands, and for each its options" { offers bash; }

@test "bash offers what there is: VMs, holders, jobs" {
	forge-vm lease take mine
	same holders mine "$(bash_complete forge-vm lease release '')"
	same holders mine "$(bash_complete forge-vm lease release m)"
	same nothing '' "$(bash_complete forge-vm lease release x)"
	same 'no VM' '' "$(bash_complete forge-vm exec '')"
}

@test "zsh offers the commands, and for each its options" { offers zsh; }

@test "an option with a value before the command is no command" {
	same bash "$(help_verbs forge-runner)" \
		"$(bash_complete forge-runner -C list '')"
	same zsh "$(help_verbs forge-runner)" \
		"$(zsh_complete forge-runner --state list '' |
			cut -d: -f1 | sort)"
}

# fish_complete WORD...
fish_complete()
{
	fish --no-config -c ". $BUILD/completions/fish/$1
		complete -C '$*'" 2>/dev/null | cut -f1 | sort -u
}

@test "fish offers the commands, and for each its options" { offers fish; }

@test "forge completes the programs" {
	local all p
	all=$(help_verbs forge)
	[ "$(wc -l <<<"$all")" = 9 ]
	same bash "$all" "$(bash --norc -c '. "$1"; complete -p forge' - \
		"$BUILD/completions/bash/forge" | grep -oE "'.*'" |
		tr -d "'" | xargs -n1 | sort)"
	fish_complete forge '' >offered
	for p in $(programs); do
		grep -qxF "${p#forge-}" offered
	done
}

@test "forge(7): what is in libexec is told of" {
	same libexec "$(cd "$BUILD/libexec" && printf '%s\n' * |
		sed 's/^driver-.*/driver-*/; s,^recipes$,recipes/,' | sort -u)" \
		"$(sed -n '/^.Pa PREFIX.libexec/,/^.El/s/^\.It Pa //p' \
			"$ROOT/man/forge.7" | sort)"
}
