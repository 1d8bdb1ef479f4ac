#!/usr/bin/env bats
# forge-vm: what is no name, size, port, path or time is status 2 and one
# clear line, for every verb, before anything is done.

# Tests are subshells and run sets stderr.
# shellcheck disable=SC2030,SC2031,SC2154

load lib
load images

setup() {
	common_setup
	use_image busybox
}
teardown() { common_teardown; }

# refused LINE: "ARGUMENTS | what the first line says", a pattern.  %e is the
# empty string, %c an escape sequence, %l something long.
refused() {
	local words=${1%%|*} want=${1#*| } arguments=() word long
	long=$(printf '%0300d' 7)
	for word in $words; do
		case $word in
		%e) word= ;;
		%c) word=$'a\033[31m' ;;
		%l) word=$long ;;
		esac
		arguments+=("$word")
	done
	run -2 --separate-stderr forge-vm "${arguments[@]}" </dev/null
	[ "$output" = '' ]
	# shellcheck disable=SC2053 # a pattern
	[[ "${stderr_lines[0]}" == forge-vm:\ $want ]]
	[ "${#stderr_lines[@]}" -le 2 ]
	[[ "$stderr" != *$'\033'* ]]
}

@test "names are one word of a path, and no options" {
	local verb bad
	for verb in 'exec @ true' 'stop @' 'destroy @' 'wait @' 'show @' \
		'logs @' 'console @' 'forward @ 0:80' 'lease take @' \
		'lease release @' 'image show @' 'image rm @' \
		'start -i busybox -n @' 'run -i busybox -n @ -- true' \
		'start -i @' 'run -i @ -- true' 'plan -i @' \
		'start -i busybox --driver @'; do
		for bad in %e ../x a/b .a %c %l; do
			refused "${verb/@/$bad} | *is not a name: 1 to 63 letters, digits, '.', '_' or '-', and a letter or digit first"
		done
	done
	[ ! -e "$FORGE_STATE/vm" ] || [ -z "$(ls "$FORGE_STATE/vm")" ]
}

@test "sizes, numbers, times and modes" {
	while read -r line; do
		refused "$line"
	done <<-'E'
	start -i busybox -m 1x | --memory: '1x' is not a size like 512M or 4G
	start -i busybox -m -1 | --memory: '-1' is not a size like 512M or 4G
	start -i busybox -m 1K | --memory: '1K' is not between 64M and *
	plan -i busybox -m %e | --memory: '' is not a size like 512M or 4G
	run -i busybox -m %c -- true | --memory: 'a?[[]31m' is not a size like 512M or 4G
	start -i busybox --cpus 0 | --cpus: 0 is not 1 to 255
	start -i busybox --cpus -1 | --cpus: -1 is not 1 to 255
	start -i busybox --cpus 1000 | --cpus: 1000 is not 1 to 255
	start -i busybox --net %c | --net: 'a?[[]31m' is not *
	start -i busybox --boot-timeout 5q | --boot-timeout: '5q' is not a duration like 90s, 5m or 1h30m
	run -i busybox --timeout -1s -- true | --timeout: '-1s' is not a duration like 90s, 5m or 1h30m
	run -i busybox -e x -- true | --env: 'x' is not NAME=VALUE
	run -i busybox -e =x -- true | --env: '=x' is not NAME=VALUE
	run -i busybox --env-fd 99 -- true | --env-fd 99: Bad file descriptor
	exec a | exec: a command is needed
	stop --timeout x a | --timeout: 'x' is not a duration like 90s, 5m or 1h30m
	wait --for x a | --for: 'x' is neither ready nor stopped
	wait --timeout x a | --timeout: 'x' is not a duration like 90s, 5m or 1h30m
	logs -n -2 a | --lines: -2 is not a number of lines
	logs --since %c a | --since: 'a?[[]31m' is neither a duration like 10m nor a time like *
	cp --max-size x a:b c | --max-size: 'x' is not a size like 512M or 4G
	start | --image is needed
	list x | list: too many arguments
	show | show: too few arguments
	nosuch | unknown command 'nosuch'
	%c | unknown command 'a?[[]31m'
	list --nosuch | *--nosuch*
	E
}

@test "paths and ports" {
	while read -r line; do
		refused "$line"
	done <<-'E'
	cp a b | one of 'a' and 'b' must be NAME:PATH, the other not
	cp a:b c:d | one of 'a:b' and 'c:d' must be NAME:PATH, the other not
	cp %e a:b | a path is empty
	cp a:b %e | a path is empty
	cp .x:b c | NAME: '.x' is not a name*
	cp %c x | one of 'a?[[]31m' and 'x' must be NAME:PATH, the other not
	forward a x:1 | HOSTPORT: 'x' is not a number
	forward a 1:x | PORT: 'x' is not a number
	forward a 1:0 | PORT: '0' is not between 1 and 65535
	forward a 99999:1 | HOSTPORT: '99999' is not between 0 and 65535
	forward a %e | '' is not *ADDR:*HOSTPORT:PORT or PATH:PORT
	forward a %c:1:1 | *
	forward a | forward: a port is needed
	image build -p x busybox | --package needs *
	E
}
