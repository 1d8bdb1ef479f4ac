#!/usr/bin/env bats
# forge-session: one agent at work, with a program (provider command) and with
# tests/fake/agent, which speaks as Claude Code does.

# Tests are subshells, and run sets stderr.
# shellcheck disable=SC2030,SC2031,SC2154
bats_require_minimum_version 1.5.0
load lib
load session

setup() { session_setup; }
teardown() { session_teardown; }

# state ID: the state of a session
state()
{
	forge-session show "$1" -q .state
}

is_state()
{
	[ "$(state "$1")" = "$2" ]
}

# said ID: what the agent said, a line each
said()
{
	forge-session log "$1" -q 'select(.kind == "output") | .data.text'
}

# kinds ID: the kinds of all events, in order
kinds()
{
	forge-session log "$1" -q .kind | tr '\n' ' '
}

# start TEXT [OPTION...]: an agent in the background; sets id
start()
{
	id=$(forge-session start -p "$@")
}

# ---- any program ----

@test "run: stdin is the prompt, stdout the events, the status the outcome" {
	run -0 --separate-stderr bash -c \
		'echo hello | forge-session run -P command -- tr a-z A-Z'
	[ "$stderr" = "" ]
	[ "$(jq -r .kind <<<"$output" | tr '\n' ' ')" = \
		"message output result status " ]
	[ "$(jq -r .seq <<<"$output" | tr '\n' ' ')" = "1 2 3 4 " ]
	[ "$(jq -r 'select(.kind == "output") | .data.text' \
		<<<"$output")" = HELLO ]
	[ "$(jq -r 'select(.kind == "status") | .data.state' \
		<<<"$output")" = completed ]
	# the transcript is the same, byte for byte
	id=$(forge-session list --all -q .id)
	[ "$(forge-session log "$id")" = "$output" ]
}

@test "run: what fails says why, and keeps it" {
	run -1 --separate-stderr forge-session run -P command --name x -p hi \
		-- sh -c 'echo out; echo first >&2; echo "it hurts" >&2; exit 3'
	[ "$stderr" = "forge-session: session 'x' failed: the agent ended with status 3: it hurts" ]
	[ "$(state x)" = failed ]
	[ "$(forge-session show x -q .reason)" = \
		"the agent ended with status 3: it hurts" ]
	[ "$(cat state/session/x/stderr)" = "first
it hurts" ]
	run -1 forge-session wait x
	run -1 --separate-stderr forge-session run -P command --name y -p hi \
		-- sh -c 'kill -SEGV $$'
	[[ $stderr == *"the agent was killed by signal 11 ("* ]]
	run -3 --separate-stderr forge-session run -P command --name z -p hi \
		-- /no/such/program
	[[ $stderr == *"session 'z' failed: "*"/no/such/program"* ]]
}

@test "run: mistakes of usage begin nothing" {
	run -2 --separate-stderr forge-session run -P command -p hi
	[ "${stderr_lines[0]}" = \
		"forge-session: provider command needs -- COMMAND" ]
	run -2 --separate-stderr bash -c \
		'forge-session run -P command -- cat </dev/null'
	[ "${stderr_lines[0]}" = \
		"forge-session: there is no message for the agent" ]
	run -3 --separate-stderr forge-session run -P no-such -p hi
	[ "$stderr" = "forge-session: no provider 'no-such'; 'forge-session providers' lists those there are" ]
	run -3 forge-session run -P command -d no/such/dir -p hi -- cat
	[ "$(forge-session list --all --json)" = "" ]
	forge-session run -P command --name x -p hi -- cat >/dev/null
	run -4 --separate-stderr forge-session run -P command --name x -p hi \
		-- cat
	[[ $stderr == "forge-session: a session 'x' exists; "* ]]
	run -3 --separate-stderr forge-session run -P command --name w -p hi \
		--in nowhere -- cat
	[[ $stderr == *"no place 'nowhere'"* ]]
}

@test "run: place, directory and environment are those asked for" {
	mkdir there
	printf '[place "again"]\n run = env PLACED=yes\n' >>config
	export MINE=mine
	forge-session run -P command --name x -p hi --in again -d there \
		-e MINE -e HIS=his -- sh -c \
		'pwd; echo "$PLACED $MINE $HIS $FORGE_SESSION"' >/dev/null
	[ "$(said x)" = "$PWD/there
yes mine his x" ]
	# without a directory: one of its own
	forge-session run -P command --name y -p hi -- pwd >/dev/null
	[ "$(said y)" = "$PWD/state/session/y/work" ]
	[ "$(forge-session show y -q .dir)" = "$PWD/state/session/y/work" ]
}

@test "run: bytes of all kinds are text, and lines have an end" {
	forge-session run -P command --name x -p hi -- printf \
		'a\rb\n\0z\n\377\n\nlast' >/dev/null
	forge-session log x >log
	[ "$(jq -c 'select(.kind == "output") | .data.text' log)" = \
'"a\rb"
"?z"
"�"
""
"last"' ]
	# one line of 200 KiB comes in pieces
	forge-session run -P command --name y -p hi -- sh -c \
		'head -c 204800 /dev/zero | tr "\0" x' >/dev/null
	[ "$(said y | tr -d '\n' | wc -c)" = 204800 ]
}

@test "run: 20000 lines, none lost, none twice" {
	forge-session run -P command --name x -p hi -- seq 20000 >log
	[ "$(wc -l <log)" = 20003 ]
	jq -r 'select(.kind == "output") | .data.text' log >got
	seq 20000 | cmp - got
	jq -r .seq log | cmp - <(seq 20003)
	forge-session log x --since 19990 >last
	[ "$(wc -l <last)" = 13 ]
	cmp last <(tail -n 13 log)
}

# ---- in the background ----

@test "start, send, wait, stop: a conversation" {
	start one -P command -- sed 's/^/got /'
	[[ $id =~ ^[0-9a-z]{8}$ ]]
	forge-session wait "$id" --timeout 60s
	[ "$(state "$id")" = idle ]
	forge-session send "$id" two words
	echo "from stdin" | forge-session send "$id"
	forge-session send -p -dash "$id"
	forge-session wait "$id" --timeout 60s
	[ "$(said "$id")" = "got one
got two words
got from stdin
got -dash" ]
	[ "$(forge-session show "$id" -q '.turns, .messages_waiting')" = "4
0" ]
	run -0 --separate-stderr forge-session stop "$id"
	[ "$output$stderr" = "" ]
	[ "$(state "$id")" = stopped ]
	run -143 forge-session wait "$id"
	run -4 --separate-stderr forge-session send "$id" more
	[ "$stderr" = "forge-session: session '$id' is stopped; go on with: forge-session resume $id" ]
	run -0 forge-session stop "$id"
	run -3 forge-session send nobody hello
}

@test "events: each state is told with its fact" {
	start one --name x -P command -- cat
	forge-session wait x --timeout 60s
	forge-session send x two
	forge-session wait x --timeout 60s
	forge-session stop x
	forge-session rm x
	[ "$(forge-watch events -q \
		'select(.subject == "x") | .kind' | tr '\n' ' ')" = \
"session.requested session.running session.idle session.told session.running session.idle session.told session.stopped session.forgotten " ]
	[ ! -e state/session/x ]
	run -3 forge-session show x
}

@test "start --once ends by itself; rm wants it to" {
	start one --once -P command -- sh -c 'sleep 0.3; cat'
	run -4 --separate-stderr forge-session rm "$id"
	[[ $stderr == *"stop it first: forge-session stop $id" ]]
	forge-session wait "$id" --over --timeout 60s
	[ "$(state "$id")" = completed ]
	forge-session rm "$id"
	[ "$(forge-session list --all --json)" = "" ]
}

@test "resume: the next message, or the last one again" {
	forge-session run -P command --name x -p one -- cat >/dev/null
	[ "$(forge-session resume x -p two)" = x ]
	forge-session wait x --over --timeout 60s
	[ "$(forge-session resume x)" = x ]
	forge-session wait x --over --timeout 60s
	[ "$(said x)" = "one
two
two" ]
	forge-session resume -f x -p four >log
	[ "$(jq -r .seq log | head -1)" = 13 ]
	start five --name y -P command -- cat
	run -4 --separate-stderr forge-session resume y
	[[ $stderr == *"only one that is over is resumed" ]]
}

@test "attach: what was, what comes, typed lines, the outcome" {
	start one -P command -- sed 's/^/got /'
	mkfifo typed
	forge-session attach "$id" <typed >seen 2>err 3>&- &
	attached=$!
	exec 5>typed
	wait_until 60 grep -q '"got one"' seen
	echo two >&5
	wait_until 60 grep -q '"got two"' seen
	exec 5>&-
	# the end of stdin of a script ends nothing
	forge-session send "$id" three
	wait_until 60 grep -q '"got three"' seen
	forge-session stop "$id"
	status=0
	wait "$attached" || status=$?
	[ "$status" = 143 ]
	[ "$(cat err)" = "forge-session: session '$id' is stopped: stopped" ]
	jq -r .seq seen | cmp - <(seq "$(wc -l <seen)")
}

@test "attach: killed, the session goes on" {
	start one -P command -- cat
	background seen forge-session attach "$id"
	wait_until 60 grep -q '"one"' seen
	kill -KILL "$LAST_PID"
	wait_until 60 bash -c "! kill -0 $LAST_PID 2>/dev/null"
	[ "$(state "$id")" = idle ]
	forge-session send "$id" two
	forge-session wait "$id" --timeout 60s
}

@test "log -f: 5 followers see every line once, and the end" {
	start seq -P command -- sh -c 'read x; seq 2000; sleep 0.2'
	for i in 1 2 3 4 5; do
		background "seen$i" forge-session log -f "$id"
	done
	forge-session wait "$id" --timeout 60s
	forge-session stop "$id"
	while read -r pid; do
		wait_until 60 bash -c "! kill -0 $pid 2>/dev/null"
	done <pids
	for i in 1 2 3 4 5; do
		cmp "seen$i" <(forge-session log "$id")
		[ "$(wc -l <"seen$i")" = 2003 ]
	done
}

# ---- an agent that stays ----

@test "claude's frames: output, usage, agent session, model" {
	start "say hello there" --name x -m m-1
	forge-session wait x --timeout 60s
	[ "$(kinds x)" = "message status output usage result " ]
	[ "$(said x)" = "hello there" ]
	forge-session send x cost 0.25
	forge-session send x cost 0.5
	forge-session wait x --timeout 60s
	[ "$(forge-session show x -q '[.cost_usd, .tokens_in, .tokens_out,
		.turns, .model] | tostring')" = '[0.75,750,75,3,"m-1"]' ]
	[[ $(forge-session show x -q .agent_session) =~ ^[0-9a-f-]{36}$ ]]
	# another process of the agent begins at nothing: it adds up
	forge-session stop x
	forge-session resume x -p "cost 1" >/dev/null
	forge-session wait x --timeout 60s
	[ "$(forge-session show x -q .cost_usd)" = 1.75 ]
}

@test "asks: a row, the state waiting, and what becomes of them" {
	start "use Bash touch hello" --name x
	run -9 --separate-stderr forge-session wait x --asks --timeout 60s
	[ "$stderr" = \
		"forge-session: session 'x' is waiting: it waits for an answer" ]
	[ "$(forge-session show x -q .asks_open)" = 1 ]
	[ "$(forge-session log x -q 'select(.kind == "ask") | .data |
		[.tool, .input.command, .ask] | tostring')" = \
		'["Bash","touch hello",1]' ]
	[ "$(sqlite3 state/forge.db "SELECT state, tool FROM ask")" = \
		"open|Bash" ]
	# interrupted, nobody needs to answer any more
	forge-session interrupt x
	forge-session wait x --timeout 60s
	[ "$(sqlite3 state/forge.db "SELECT state FROM ask")" = withdrawn ]
	[ "$(forge-session show x -q .asks_open)" = 0 ]
}

@test "interrupt: the turn ends, the agent stays" {
	start hang --name x
	wait_until 60 grep -q hanging state/session/x/log.ndjson
	agent=$(forge-session show x -q .agent_session)
	forge-session interrupt x
	forge-session wait x --timeout 60s
	[ "$(forge-session log x -q 'select(.kind == "result") | .data |
		[.ok, .interrupted] | tostring')" = '[false,true]' ]
	forge-session send x say still here
	forge-session wait x --timeout 60s
	[ "$(said x | tail -n 1)" = "still here" ]
	[ "$(forge-session show x -q .agent_session)" = "$agent" ]
	# with nothing to interrupt it does nothing
	forge-session interrupt x
	forge-session send x say and here
	forge-session wait x --timeout 60s
	[ "$(said x | tail -n 1)" = "and here" ]
}

@test "an error result fails a run, and leaves a session idle" {
	run -1 --separate-stderr forge-session run --name x -p "fail no luck"
	[ "$stderr" = "forge-session: session 'x' failed: no luck" ]
	start "fail no luck" --name y
	forge-session wait y --timeout 60s
	[ "$(forge-session show y -q '.state, .reason')" = "idle
no luck" ]
}

@test "resume: the agent's own memory" {
	run -0 forge-session run --name x -p "say one"
	run -0 forge-session resume -f x
	[ "$(said x)" = "one
I remember: say one" ]
	[ "$(jq -r 'select(.kind == "message") | .data.text' \
		state/session/x/log.ndjson)" = "say one
Continue from where you left off." ]
}

@test "a rate limit: limited until then, then the message again" {
	start "limit 2500" --name x
	wait_until 60 is_state x limited
	[ "$(forge-session show x -q '.limited_until > 0, .reason')" = "true
rate limited" ]
	forge-session wait x --timeout 60s
	[ "$(said x)" = "limit over" ]
	[ "$(kinds x)" = "message status status usage result message status output usage result " ]
}

@test "signals: INT and TERM stop a run, a deaf agent is killed" {
	forge-session run --name x -p hang >log 2>err 3>&- &
	pid=$!
	wait_until 60 grep -q hanging log
	kill -TERM "$pid"
	status=0
	wait "$pid" || status=$?
	[ "$status" = 143 ]
	[ "$(cat err)" = \
		"forge-session: session 'x' stopped: stopped by SIGTERM" ]
	[ "$(state x)" = stopped ]
	forge-session run --name y -p deaf >log 2>err 3>&- &
	pid=$!
	wait_until 60 grep -q deaf log
	kill -TERM "$pid"
	wait_until 60 grep -q TERM state/session/y/log.ndjson || kill -TERM "$pid"
	kill -TERM "$pid" 2>/dev/null || :
	status=0
	wait "$pid" || status=$?
	[ "$status" = 143 ]
}

# ---- agents that misbehave ----

@test "death in the middle of a line: failed, with its last words" {
	run -1 --separate-stderr forge-session run --name x -p "die 7"
	[ "$stderr" = "forge-session: session 'x' failed: the agent ended with status 7: it hurts, without a result" ]
	[ "$(kinds x)" = "message status raw status " ]
	[ "$(forge-session log x -q \
		'select(.kind == "raw") | .data.line')" = '{"type":"assist' ]
}

@test "garbage: kept as raw; too much of it is the end" {
	run -0 forge-session run --name x -p "garbage 50"
	[ "$(forge-session log x -q 'select(.kind == "raw") | .seq' |
		wc -l)" = 50 ]
	run -1 --separate-stderr forge-session run --name y -p "garbage 500"
	[[ $stderr == *"session 'y' failed: the agent prints no JSON: 101 lines in a row, the last 'no json 100'"* ]]
	run -0 forge-session run --name z -p unknown
	[ "$(forge-session log z -q \
		'select(.kind == "raw") | .data.line.type')" = \
		news_from_tomorrow ]
}

@test "a line of 2 MiB is whole, one of 9 MiB the end" {
	forge-session run --name x -p "long 2" >log
	[ "$(jq -r 'select(.kind == "output") | .data.text | length' log)" = \
		2097152 ]
	run -8 --separate-stderr forge-session run --name y -p "long 9"
	[ "$stderr" = "forge-session: session 'y' failed: the agent prints a line of more than 8 MiB" ]
}

@test "an agent that says nothing: start-timeout" {
	mkdir -p state/providers/mute
	printf '[provider]\n\tcommand = sleep 1000\n\tstart-timeout = 300ms\n' \
		>state/providers/mute/provider
	chmod 700 state
	run -5 --separate-stderr forge-session run -P mute --name x -p hi
	[ "$stderr" = "forge-session: session 'x' failed: the agent said nothing within its start timeout" ]
}

@test "an agent's children do not outlive it" {
	forge-session run --name x -p child >/dev/null
	pid=$(said x)
	wait_until 60 bash -c "! kill -0 $pid 2>/dev/null"
}

@test "a provider that is wrong is told with its file" {
	mkdir -p -m 700 state
	mkdir -p state/providers/{one,two,three}
	echo '[provider]' >state/providers/one/provider
	run -1 --separate-stderr forge-session run -P one -p hi
	[ "$stderr" = "forge-session: $PWD/state/providers/one/provider: command must be a command line" ]
	printf '[provider]\n\tcommand = cat\n\tprocess = never\n' \
		>state/providers/two/provider
	run -1 --separate-stderr forge-session models two
	[ "$stderr" = "forge-session: $PWD/state/providers/two/provider: process must be session or turn" ]
	printf '[provider]\n\tcommand = cat\n\tprocess = turn\n' \
		>state/providers/three/provider
	echo '.line | nonsense(' >state/providers/three/out.jq
	run -1 --separate-stderr forge-session run -P three -p hi
	[[ $stderr == *"jq of provider 'three': jq: error: syntax error"* ]]
}
