#!/usr/bin/env bats
# Events delivered to a product's HTTP server that fails, hangs and is killed,
# to ntfy, and to commands.

bats_require_minimum_version 1.5.0
load lib

setup()
{
	common_setup
	export FORGE_CONFIG=/dev/null
	mkdir -p product
}

teardown() { common_teardown; }

product_start() # [PORT]
{
	rm -f port
	background product.log "$ROOT/tests/fake/product" port product "$@"
	PRODUCT=$LAST_PID
	wait_until 60 test -e port
	PORT=$(cat port)
	URL=http://127.0.0.1:$PORT/hook
}

# config LINE...: a channel "p" of these settings
config()
{
	mkdir -p -m 700 state
	printf '[notify "p"]\n' >state/config
	printf '\t%s\n' "$@" >>state/config
}

db() { sqlite3 state/forge.db "$1"; }
event() { forge-vm lease take "$1" >/dev/null; } # kind lease.taken
column() { cut -d ' ' -f "$1" product/log; }
lines() { [ "$(wc -l <product/log)" -ge "$1" ]; } 2>/dev/null
again() { db 'UPDATE channel SET retry_at = 0'; }

@test "a channel is told what happens from its first look on, signed" {
	product_start
	echo s3cret >product/secret
	config "url = $URL" "secret-file = $PWD/product/secret"
	event before
	run -0 --separate-stderr forge-watch notify
	[ "$output$stderr" = "" ]
	[ ! -e product/log ]
	event one
	event two
	run -0 --separate-stderr forge-watch notify
	[ "$output$stderr" = "" ]
	run -0 forge-watch notify p
	[ "$(column 2 | sort -u)" = good ]
	[ "$(column 4)" = "lease.taken"$'\n'"lease.taken" ]
	# the body is the event as forge-watch events has it
	[ "$(cut -d ' ' -f 5- product/log)" = \
		"$(forge-watch events --json --since 1)" ]
	run -0 --separate-stderr forge-watch channels --json
	[ "$(jq -c '[.name, .state, .behind, .sent, .refused]' <<<"$output")" \
		= '["p","up",0,2,0]' ]
}

@test "an outage loses nothing and nothing comes twice: 1, 5, 30, 60, 60 s" {
	local wait waits=
	product_start
	config "url = $URL"
	run -0 forge-watch notify
	event one
	event two
	echo 503 >product/mode
	for wait in 1 2 3 4 5 6; do
		run -6 --separate-stderr forge-watch notify p
		[ "$output" = "" ]
		[[ $stderr == "forge-watch: 'p' answers 503 (failure $wait); \
next try in "* ]]
		waits+="$(db "SELECT (retry_at - updated_at + 500) / 1000 FROM
			channel") "
		# too early: nothing is tried
		run -6 forge-watch notify p
		lines "$wait"
		[ "$(wc -l <product/log)" = "$wait" ]
		again
	done
	[ "$waits" = "1 5 30 60 60 60 " ]
	[ "$(forge-watch channels -q .state)" = down ]
	[ "$(forge-watch events -q 'select(.kind == "notify.down") |
		[.subject, .data.failures, .data.error] | @csv')" = \
		"\"p\",5,\"'p' answers 503\"" ]
	rm product/mode product/log
	run -0 --separate-stderr forge-watch notify p
	[ "$output$stderr" = "" ]
	[ "$(column 4)" = "lease.taken"$'\n'"lease.taken" ]
	[ "$(forge-watch events -q 'select(.kind == "notify.up") | .subject')" \
		= p ]
	[ "$(forge-watch channels -q .state)" = up ]
	[ "$(db 'SELECT failures, retry_at, error IS NULL FROM channel')" = \
		'0|0|1' ]
}

@test "4xx is final and told; 429 waits as long as it is asked to" {
	product_start
	config "url = $URL"
	run -0 forge-watch notify
	event one
	echo 404 >product/mode
	run -0 --separate-stderr forge-watch notify -v p
	[ "$(wc -l <product/log)" = 1 ]
	[ "$(forge-watch events -q 'select(.kind == "notify.refused") |
		[.subject, .data.error] | @csv')" = "\"p\",\"'p' answers 404\"" ]
	rm product/mode
	# not again, not even the event that tells of it ...
	run -0 forge-watch notify p
	[ "$(wc -l <product/log)" = 1 ]
	# ... but when asked to
	run -0 forge-watch notify --since 0 p
	[ "$(wc -l <product/log)" = 2 ]
	event two
	echo 429 >product/mode
	run -6 forge-watch notify p
	[ "$(db 'SELECT (retry_at - updated_at + 500) / 1000 FROM channel')" = 7 ]
}

@test "a product that hangs, drops or is not there counts as failing" {
	product_start
	config "url = $URL" "timeout = 500ms"
	run -0 forge-watch notify
	event one
	echo hang >product/mode
	run -6 --separate-stderr forge-watch notify
	[[ $stderr == "forge-watch: 'p': "*" (failure 1); next try in "* ]]
	again
	config "url = $URL"
	echo drop >product/mode
	run -6 --separate-stderr forge-watch notify
	[[ $stderr == *" (failure 2); next try in "* ]]
	again
	stop_pid "$PRODUCT"
	run -6 --separate-stderr forge-watch notify
	[[ $stderr == *" (failure 3); next try in "* ]]
	rm product/mode product/log
	product_start "$PORT"
	again
	run -0 forge-watch notify
	[ "$(wc -l <product/log)" = 1 ]
}

@test "--follow delivers at once, over kill -9 of both sides" {
	local i follower
	told() { grep -q "\"subject\":\"$1\"" product/log; } 2>/dev/null
	product_start
	config "url = $URL"
	run -0 forge-watch notify
	for i in 1 2 3; do
		background follow.log forge-watch notify --follow p
		follower=$LAST_PID
		event "a$i"
		wait_until 60 told "a$i"
		kill -KILL "$PRODUCT"
		event "b$i"
		kill -KILL "$follower"
		product_start "$PORT"
		again
		background follow.log forge-watch notify --follow p
		follower=$LAST_PID
		wait_until 60 told "b$i"
		run -4 --separate-stderr forge-watch notify p
		[ "$stderr" = "forge-watch: another forge-watch notify \
delivers to 'p'" ]
		stop_pid "$follower"
	done
	# each at least once, in order
	[ "$(cut -d ' ' -f 5- product/log | jq -r .subject | uniq | xargs)" = \
		"a1 b1 a2 b2 a3 b3" ]
}

@test "TERM ends a follower that waits for a server that hangs" {
	product_start
	config "url = $URL" "timeout = 1h"
	run -0 forge-watch notify
	echo hang >product/mode
	background follow.log forge-watch notify --follow p
	event one
	wait_until 60 lines 1
	kill -TERM "$LAST_PID"
	gone() { ! kill -0 "$LAST_PID" 2>/dev/null; }
	wait_until 60 gone
	[ "$(db 'SELECT failures FROM channel')" = 0 ]
}

@test "events and filter say what is told, and how" {
	product_start
	config "url = $URL" "events = image.*, lease.taken" \
		'filter = select(.subject != \"two\") | {text: .subject}'
	run -0 forge-watch notify
	event one
	event two
	event three
	forge-vm lease release one
	run -0 forge-watch notify
	[ "$(cut -d ' ' -f 5- product/log | xargs -d '\n')" = \
		'{"text":"one"} {"text":"three"}' ]
	# a filter that fails for an event does not stand in the way of others
	config "url = $URL" 'filter = .subject | tonumber'
	event x
	event 7
	rm product/log
	run -0 forge-watch notify
	[ "$(cut -d ' ' -f 5- product/log)" = 7 ]
	[[ $(forge-watch events -q 'select(.kind == "notify.refused") |
		.data.error') == "notify.p.filter: filter: "*"(while parsing \
'x')" ]]
}

@test "ntfy: JSON at the server's root, with the token" {
	product_start
	echo tok >token
	config "ntfy = http://127.0.0.1:$PORT/topic" "token-file = $PWD/token"
	run -0 forge-watch notify --test p
	[ "$(cut -d ' ' -f 5- product/log)" = \
		'{"topic":"topic","title":"test","message":"p: this is a test"}' ]
	config "ntfy = http://127.0.0.1:$PORT/topic" \
		'filter = {message: .kind, priority: 4, topic: \"no\"}'
	rm product/log
	run -0 forge-watch notify --test p
	[ "$(cut -d ' ' -f 5- product/log)" = \
		'{"topic":"topic","title":"test","message":"test","priority":4}' ]
}

@test "a command gets the event on stdin; its failure is tried again" {
	cat >tell <<-'END'
	#!/bin/sh
	read -r body
	echo "$1 $FORGE_EVENT $FORGE_SUBJECT $FORGE_SEQ $body" >>told
	[ ! -e broken ] || { echo "no paper" >&2; exit 3; }
	END
	chmod +x tell
	config "command = $PWD/tell me"
	run -0 forge-watch notify
	touch broken
	event one
	run -6 --separate-stderr forge-watch notify
	[[ $stderr == *"no paper"*" (failure 1); next try in "* ]]
	rm broken told
	again
	run -0 forge-watch notify
	[ "$(cat told)" = "me lease.taken one 1 \
$(forge-watch events --json --since 0)" ]
}

@test "mistakes are told" {
	run -3 --separate-stderr forge-watch notify none
	[ "$stderr" = \
		"forge-watch: no [notify \"none\"] in the configuration" ]
	config "timeout = 1s"
	run -1 --separate-stderr forge-watch notify
	[ "$stderr" = "forge-watch: set one of notify.p.url, .ntfy and \
.command" ]
	config "url = http://192.0.2.1/" "filter = ]"
	run -1 --separate-stderr forge-watch notify
	[[ $stderr == "forge-watch: notify.p: filter ']': "* ]]
	config "url = http://192.0.2.1/"
	run -1 --separate-stderr forge-watch notify
	[ "$stderr" = "forge-watch: notify.p: 'http://192.0.2.1' would send \
secrets in the clear: use https" ]
	touch empty
	config "url = https://192.0.2.1/" "secret-file = $PWD/empty"
	run -1 --separate-stderr forge-watch notify
	[ "$stderr" = "forge-watch: notify.p.secret-file: '$PWD/empty' is \
empty" ]
	config "ntfy = https://ntfy.example/"
	run -1 --separate-stderr forge-watch notify
	[ "$stderr" = "forge-watch: notify.p.ntfy: write https://SERVER/TOPIC" ]
}

@test "forge-watch run delivers, and a new configuration is followed" {
	product_start
	config "url = $URL"
	run -0 forge-watch notify
	background watch.log forge-watch run
	event one
	wait_until 60 lines 1
	config "url = $URL" "filter = .subject"
	kill -HUP "$LAST_PID"
	reloaded() { [ -n "$(forge-watch events -q \
		'select(.kind == "watch.reloaded")')" ]; }
	wait_until 60 reloaded
	told() { event "$RANDOM$RANDOM"; grep -q ' lease.taken "' product/log; }
	wait_until 60 told
}
