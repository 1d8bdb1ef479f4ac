#!/usr/bin/env bats
# The PROXY header before TLS, as [agents] proxy wants it: over live sockets,
# what is good, what is not, and what is not there.

load lib
load stream

setup_file() {
	common_setup
	stream_start '	proxy = true'
}
teardown_file() {
	stop_background
}
setup() {
	common_setup
	stream_setup
}
teardown() {
	common_teardown
}

hostile() {
	timeout 100 "$ROOT/tests/peer/hostile.py" "$PORT" "$@"
}
hex() {
	# shellcheck disable=SC2059 # it is a format
	printf "$1" | od -An -v -tx1 | tr -d ' \n'
}
V2='\r\n\r\n\0\r\nQUIT\n'

# behind HEADER: the port of a balancer that puts it before each connection
behind() {
	local port
	port=$(free_port)
	"$ROOT/tests/peer/hostile.py" "$PORT" forward "$port" "$1" >ready 3>&- 4>&- &
	echo $! >>"$(tmpdir)/pids"
	wait_until 60 grep -q ready ready
	PORT=$port
}

@test "version 1: an agent's address is the one that it says" {
	behind "$(hex 'PROXY TCP4 192.0.2.7 192.0.2.1 5555 443\r\n')"
	enrol
	agent_start normal
	wait_until 60 is_online
	[ "$(forge-register agent list --json -q "select(.id == \"$AGENT\") | .address")" = 192.0.2.7:5555 ]
	grep -q "agent.registered id=$AGENT address=192.0.2.7:5555" "$FILE/watch.log"
	agent_end
}

@test "version 2: the same over IPv6" {
	behind "$(hex "$V2\\x21\\x21\\0\\x24")20010db8000000000000000000000007$(
	)20010db800000000000000000000000115b301bb"
	enrol
	grep -q "agent.registered id=$AGENT address=\[2001:db8::7\]:5555" "$FILE/watch.log"
}

@test "good ones of other kinds: UNKNOWN, LOCAL" {
	local header
	for header in "$(hex 'PROXY UNKNOWN\r\n')" "$(hex "$V2\\x20\\0\\0\\0")"; do
		run -0 hostile proxy "$header"
		[ "$output" = 'settings alive 0' ]
	done
}

@test "a header that is none, or is not there, is cut off" {
	local header began=$SECONDS
	for header in '' "$(hex 'GET / HTTP/1.1\r\n\r\n')" \
		"$(hex 'PROXY TCP4 192.0.2.7 192.0.2.1 5555\r\n')" \
		"$(hex 'PROXY TCP4 192.0.2.700 192.0.2.1 5555 443\r\n')" \
		"$(hex 'PROXY TCP6 192.0.2.7 192.0.2.1 5555 443\r\n')" \
		"$(hex 'PROXY TCP4 192.0.2.7 192.0.2.1 5555 443 and what it likes to say beyond what there is room for in a header of this kind\r\n')" \
		"$(hex "$V2\\x31\\x11\\0\\x0c")c0000207c000020115b301bb" \
		"$(hex "$V2\\x21\\x11\\0\\x04")c0000207" \
		"$(hex "$V2\\x21\\x11\\xff\\xff")"; do
		run -0 hostile proxy "$header"
		echo "$header: $output"
		[ "$output" = closed ]
	done
	[ $((SECONDS - began)) -lt 45 ] # none of them by its deadline
}

@test "half a header, or nothing: 5 seconds" {
	hostile held 10 >silent &
	hostile held 10 "$(hex 'PROXY TCP4 192')" >half &
	wait
	cat silent half
	for f in silent half; do
		read -r _ n _ after <"$f"
		[ "$n" = 10 ]
		[ "$after" -ge 4 ]
		[ "$after" -lt 60 ]
	done
}
