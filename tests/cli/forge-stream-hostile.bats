#!/usr/bin/env bats
# Those who mean harm to forge-stream, over live sockets: the floods of HTTP/2
# by tests/peer/hostile.py, and in the middle of it an agent that means well.

load lib
load stream

setup_file() {
	common_setup
	stream_start
}
teardown_file() {
	stop_background
}
setup() {
	common_setup
	stream_setup
	STREAM=$(pgrep -P "$WATCH" -x forge-stream)
}
teardown() {
	common_teardown
	# whatever was done to it, it is the same process
	[ "$(pgrep -P "$WATCH" -x forge-stream)" = "$STREAM" ]
}

hostile() {
	timeout 100 "$ROOT/tests/peer/hostile.py" "$PORT" "$@"
}
kib() { # VmRSS | VmHWM
	awk -v w="$1:" '$1 == w { print $2 }' "/proc/$STREAM/status"
}
few_files() {
	local all=("/proc/$STREAM/fd/"*)
	[ "${#all[@]}" -lt 40 ]
}
# cut off, with or without a word: those who flood may not hear it
cut_off() {
	run -0 hostile "$@"
	echo "$*: $output"
	[[ $output == settings* && $output == *@(goaway|closed)* ]]
	[[ $output != *alive* && $output != *silence* ]]
}

@test "floods of frames without content end the connection" {
	cut_off rapid-reset 3000
	cut_off settings 10000
	cut_off ping 10000
	cut_off priority 10000
	cut_off empty-data 10000
	cut_off continuation 200
	cut_off big-frame 20000
	cut_off many-streams 130
}

@test "what a peer may do in part costs it the call, not the connection" {
	run -0 hostile big-headers 30
	[[ $output == *alive* && $output == *reset* ]]
	run -0 hostile many-streams 90
	[ "$output" = 'settings alive 90' ]
	run -0 hostile ping 200
	echo "$output"
	[[ $output == *alive* ]]
}

@test "who asks and does not read costs little memory" {
	local i before
	! grep -q __asan_init "$BUILD/libexec/forge-stream" ||
		skip 'AddressSanitizer keeps what is freed'
	hostile slow-reader 90 >one
	before=$(kib VmRSS)
	for i in {1..8}; do
		hostile slow-reader 90 >"slow.$i" &
		echo $! >>pids
	done
	wait_until 90 test -s slow.1 -a -s slow.2 -a -s slow.3 -a -s slow.4 \
		-a -s slow.5 -a -s slow.6 -a -s slow.7 -a -s slow.8
	echo "$before KiB, then at most $(kib VmHWM)"
	grep -q alive slow.1 # it is not deaf to it
	# 256 KiB of each are queued, and there is what the connections take
	[ "$(($(kib VmHWM) - before))" -lt 16384 ]
}

@test "silence, half a greeting, and no HTTP/2 after TLS: 10 seconds" {
	local began=$SECONDS
	hostile held 20 >silent &
	hostile held 20 160301020001 >half &
	hostile mute >mute &
	wait
	cat silent half mute
	for f in silent half; do
		read -r _ n _ after <"$f"
		[ "$n" = 20 ]
		[ "$after" -ge 9 ]
	done
	grep -q closed mute
	[ $((SECONDS - began)) -lt 60 ]
}

@test "more than 1024 strangers of one address are turned away; others stay" {
	enrol
	agent_start normal
	wait_until 60 is_online
	(
		ulimit -n 4096
		hostile held 1100 >crowd
	)
	read -r _ n _ after <crowd
	[ "$n" = 1100 ]
	is_online
	agent_end
	[ "$(tail -n 1 "$DIR/out")" = 'end OK:' ]
}

@test "in the middle of all that an agent is served" {
	local i began
	enrol
	hostile everything 10 >first &
	hostile everything 10 >second &
	agent_start normal
	wait_until 60 grep -q '^ping' "$DIR/out"
	wait_until 60 is_online
	for i in {1..5}; do
		DEADLINE=30 run -0 agent "$DIR" health ''
		[ "${lines[0]}" = SERVING ]
	done
	is_online
	agent_end
	[ "$(tail -n 1 "$DIR/out")" = 'end OK:' ]
	wait_until 90 test -s first -a -s second
	cat first second
	[ "$(awk '{ n += $2 } END { print n }' first second)" -ge 10 ]
	# nothing of it stays behind
	wait_until 60 few_files
}

@test "nothing secret is in the log" {
	local secret
	token >token
	agent "$DIR" register "$(cat token)" tart >registered
	agent "$DIR" register "$(cat token)" tart >again || :
	agent "$DIR" register reg_guessedbysomebody tart >guessed || :
	forge-register token create >bundle
	forge-register join --force "$(cat bundle)" >joined
	grep -q "agent.registered.*$(awk '/^registered/ { print $2 }' registered)" \
		"$FILE/watch.log"
	for secret in "$(cat token)" "$(cat bundle)" reg_guessed reg_ kfr1_ PRIVATE \
		BEGIN "$(sed -n 2p "$DIR/client.key")" \
		"$(sed -n 2p "$FORGE_STATE/trust/ca.key")" \
		"$(sed -n 2p "$FORGE_STATE/trust/server.key")"; do
		[ -n "$secret" ]
		run -1 grep -F -e "$secret" "$FILE/watch.log"
	done
}
