#!/usr/bin/env bats
# A transcript in the formats of others, read by their own programs: AG-UI's
# schemas and client, and schemas of builder's and Claude Code's events.

bats_require_minimum_version 1.5.0
load lib

setup()
{
	common_setup
	export FORGE_CONFIG=/dev/null PEER=$BUILD/peer-formats/node_modules
	transcript
}

teardown() { common_teardown; }

# A session "s1" that is over, with this transcript: "KIND DATA" a line.
transcript()
{
	forge-session list
	sqlite3 state/forge.db "
		INSERT INTO session (id, state, provider, place, created_at,
			updated_at) VALUES ('s1', 'pending', 'claude', 'here',
			1, 1);
		UPDATE session SET state = 'running';
		UPDATE session SET state = 'failed', reason = 'it died',
			status = 1;"
	mkdir -p state/session/s1
	jq -c -R 'capture("(?<kind>\\S+) (?<data>.*)")
		| {seq: input_line_number, at: (1763690000000
			+ input_line_number), kind, data: (.data | fromjson)}' \
		>state/session/s1/log.ndjson <<'END'
status {"state":"running"}
message {"text":"make it so","id":1}
status {"agent_session":"u-1","model":"fake-model","tools":["Bash"]}
thinking {"text":"hm\nhm"}
output {"text":"I will ","partial":true}
output {"text":"do","partial":true}
output {"text":"I will do"}
output {"text":"\u001b[2Jevil\rline\u009b1m"}
output {"text":""}
tool.use {"id":"t1","name":"Bash","input":{"command":"touch x\n\u001b[31m"}}
ask {"request":"r1","ask":7,"tool":"Bash","input":{"command":"touch x"},"text":"create","tool_use":"t1","suggestions":[]}
status {"state":"waiting"}
answer {"ask":7,"request":"r1","allow":true,"by":"user"}
tool.result {"id":"t1","output":"ok\n","error":false}
tool.use {"id":"t2","name":"Bash","input":{"command":"rm -rf /"}}
ask {"request":"r2","ask":8,"tool":"Bash","input":{"command":"rm -rf /"},"tool_use":"t2"}
answer {"ask":8,"request":"r2","allow":false,"by":"user","message":"no way"}
tool.result {"id":"t2","output":"denied","error":true}
ask {"request":"q1","ask":9,"text":"which?","choices":["a","b"]}
answer {"ask":9,"request":"q1","allow":true,"by":"user","message":"a"}
usage {"total":true,"cost_usd":0.0123,"input_tokens":10,"output_tokens":20}
raw {"line":{"type":"odd"}}
snapshot {"ref":"refs/x","message":1}
result {"ok":true,"text":"I did","denied":["Bash"]}
status {"state":"idle"}
message {"text":"again","id":2}
output {"text":"part","partial":true}
ask {"request":"r3","ask":10,"tool":"Write","input":{"file_path":"/x"}}
answer {"ask":10,"request":"r3","allow":false,"by":"withdrawn"}
result {"ok":false,"interrupted":true,"reason":"interrupted"}
message {"text":"third","id":3}
error {"text":"API down"}
result {"ok":false,"reason":"no answer"}
message {"text":"4th","id":4}
thinking {"text":"we","partial":true}
END
}

# reads FORMAT: the format, by whom it is made for; prints the events
reads()
{
	command -v npm >/dev/null || skip "npm is not installed"
	# installed before, where the environment was still the caller's
	[ -e "$BUILD/peer-formats/installed" ] ||
		skip "run tests/peer/install.sh formats first"
	forge-session log s1 --format "$1" >stream
	run -0 --separate-stderr node "$ROOT/tests/peer/formats.mjs" "$1" \
		<stream
	[ "$stderr" = "" ]
}

@test "ag-ui: valid events, in an order that AG-UI's client takes" {
	reads ag-ui
	[ "$output" = "$(wc -l <stream)" ]
	# three asks, and one that is withdrawn, are interrupts ...
	[ "$(jq -r 'select(.outcome.type == "interrupt") |
		.outcome.interrupts[] | [.id, .reason, .toolCallId] | @csv' \
		stream | xargs -d '\n')" = '"7","tool_approval","t1" '`
		`'"8","tool_approval","t2" "9","question", '`
		`'"10","tool_approval",' ]
	# ... and each is answered by the run that follows
	[ "$(jq -c '.input.resume[]? | [.interruptId, .status,
		.payload.approved]' stream | xargs -d '\n')" = \
		'["7","resolved",true] ["8","resolved",false] '`
		`'["9","resolved",true] ["10","cancelled",false]' ]
	[ "$(jq -r 'select(.type == "RUN_FINISHED" or .type == "RUN_ERROR") |
		.outcome.type // .message' stream | xargs -d '\n')" = \
		"interrupt interrupt interrupt success interrupt cancelled \
no answer it died" ]
	# pieces are not repeated by the whole
	[ "$(jq -rj 'select(.messageId == "text-5") | .delta // empty' \
		stream)" = "I will do" ]
}

@test "ag-ui: what the check is worth: broken streams do not pass" {
	local breakage
	reads ag-ui
	for breakage in /REASONING_END/d /TOOL_CALL_END/d /RUN_STARTED/d \
		's/"toolCallName"/"name"/' 's/"success"/"fine"/'; do
		sed "$breakage" stream >broken
		run -1 node "$ROOT/tests/peer/formats.mjs" ag-ui <broken
	done
	run -1 node "$ROOT/tests/peer/formats.mjs" ag-ui </dev/null
}

@test "builder: frames of server-sent events with the transcript's numbers" {
	reads builder
	[ "$(sed -n 's/^event: //p' stream | sort | uniq -c |
		awk '{print $2 "=" $1}' | xargs)" = "agent:output=3 \
agent:tool_result=2 agent:tool_use=2 session:completed=1 session:error=3 \
session:snapshot=1 session:status=3 session:waiting_for_input=4 sync=1 \
user:message=4" ]
	[ "$(grep -A 2 '^id: 14$' stream)" = "id: 14
event: agent:tool_result
data: {\"tool\":\"Bash\",\"output\":\"ok\\n\"}" ]
	# later: what a client that was away asks for
	[ "$(forge-session log s1 --since 32 --format builder |
		grep -c '^id: ')" = 2 ]
}

@test "claude: lines as Claude Code's, whatever the agent is" {
	reads claude
	[ "$(jq -r 'select(.type == "result") | .subtype' stream |
		xargs)" = "success error_during_execution \
error_during_execution" ]
	[ "$(jq -c 'select(.type == "result") | .permission_denials |
		map(.tool_use_id)' stream | head -n 1)" = '["t2"]' ]
	[ "$(jq -r 'select(.type == "control_request") | .request_id' stream |
		xargs)" = "7 8 9 10" ]
}

@test "text: for people, with nothing that steers their terminal" {
	run -0 --separate-stderr forge-session log s1 --format text
	[ "$stderr" = "" ]
	[ "$output" = "> make it so
~ hm
~ hm
I will do
?[2Jevil?line??1m
* Bash touch x\\n?[31m
? 7 Bash touch x
? 7 allowed by user
    ok
* Bash rm -rf /
? 8 Bash rm -rf /
? 8 denied by user: no way
! failed
    denied
? 9 which?
? 9 allowed by user: a
= done (\$0.0123)
> again
part
? 10 Write /x
? 10 withdrawn
= interrupted (\$0.0123)
> third
! API down
= failed: no answer (\$0.0123)
> 4th" ]
	# in a locale that has more than ASCII too
	LC_ALL=C.UTF-8 forge-session log s1 --format text >text
	run -1 grep -P '[\x00-\x08\x0b-\x1f\x7f]|\xc2[\x80-\x9f]' text
}

@test "ndjson is the transcript, and what the others are made of" {
	run -0 --separate-stderr forge-session log s1 --format ndjson
	[ "$output" = "$(cat state/session/s1/log.ndjson)" ]
}

@test "a format of one's own is a jq program; mistakes are told" {
	mkdir state/formats
	# shellcheck disable=SC2028 # jq reads the escape
	echo 'if .event.kind == "output" then {text: (.event.data.text +
		"\n")}, {state: {n: ((.state.n // 0) + 1)}}
		elif .event == null then {line: {n: .state.n,
			over: .session.over}}
		else empty end' >state/formats/mine.jq
	run -0 --separate-stderr forge-session log s1 --format mine
	[ "${lines[0]}" = "I will " ]
	[ "${lines[-1]}" = '{"n":6,"over":true}' ]
	echo '.event.data.text | ltrimstr("x") | {text: (. + 1)}' \
		>state/formats/bad.jq
	run -1 --separate-stderr forge-session log s1 --format bad
	[[ $stderr == "forge-session: format 'bad', event 2: filter: "* ]]
	echo '}' >state/formats/worse.jq
	run -1 --separate-stderr forge-session log s1 --format worse
	[[ $stderr == "forge-session: format 'worse': "* ]]
	run -3 --separate-stderr forge-session log s1 --format none
	[[ $stderr == "forge-session: no format 'none': there are ndjson, "* ]]
	[[ $stderr == *", ag-ui"* ]]
	[[ $stderr == *", mine"* ]]
	run -2 --separate-stderr forge-session log s1 --format ../x
	run -2 --separate-stderr forge-session log s1 --format text -q .
	[[ ${lines[0]-} == "" ]]
}
