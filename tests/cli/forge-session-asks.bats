#!/usr/bin/env bats
# What agents ask, and who answers: rules, --on-ask, people; with
# tests/fake/agent, which asks as Claude Code does.

# Tests are subshells, and run sets stderr.
# shellcheck disable=SC2030,SC2031,SC2154
bats_require_minimum_version 1.5.0
load lib
load session

setup() { session_setup; }
teardown() { session_teardown; }

# said ID: what the agent said, a line each
said()
{
	forge-session log "$1" -q 'select(.kind == "output") | .data.text'
}

# start MESSAGE [OPTION...]: sets id; returns when the agent has asked
asking()
{
	id=$(forge-session start -p "$@")
	run -9 forge-session wait --asks --timeout 60 "$id"
	ask=$(forge-session asks "$id" -q .id)
}

# run_agent MESSAGE [OPTION...]: in the foreground; output is what it said
run_agent()
{
	run --separate-stderr forge-session run --format ndjson -p "$@"
	output=$(jq -r 'select(.kind == "output") | .data.text' <<<"$output")
}

@test "asks lists what is open; an answer goes to the agent" {
	local ask
	asking "use Bash touch x"
	run -0 --separate-stderr forge-session asks --json
	[ "$stderr" = "" ]
	[ "$(jq -c '[.id, .session, .tool, .what, .state]' <<<"$output")" = \
		"[$ask,\"$id\",\"Bash\",\"touch x\",\"open\"]" ]
	[ "$(jq -c .data.input <<<"$output")" = '{"command":"touch x"}' ]
	run -0 --separate-stderr forge-session answer "$ask" --allow
	[ "$output$stderr" = "" ]
	forge-session wait --timeout 60 "$id"
	[ "$(said "$id")" = "allowed: touch x" ]
	run -0 forge-session asks
	[ "$output" = "" ]
	[ "$(forge-session asks --all -q '[.state, .answered_by] | @csv')" = \
		'"allowed","user"' ]
}

@test "denied, with a message; allowed with another input" {
	local ask
	asking "use Bash rm x"
	run -0 forge-session answer "$ask" --deny --message "not today"
	forge-session wait --timeout 60 "$id"
	[ "$(said "$id")" = "denied: not today" ]
	forge-session send "$id" "use Bash rm x"
	run -9 forge-session wait --asks --timeout 60 "$id"
	run -0 forge-session answer "$(forge-session asks -q .id)" --allow \
		--input '{"command":"ls"}'
	forge-session wait --timeout 60 "$id"
	[ "$(said "$id" | tail -n 1)" = "allowed: ls" ]
}

@test "an ask is answered once, and who is late is told" {
	local ask
	asking "use Bash x"
	run -0 forge-session answer "$ask" --allow
	run -4 --separate-stderr forge-session answer "$ask" --deny
	[ "$stderr" = "forge-session: ask $ask was allowed by user" ]
	forge-session wait --timeout 60 "$id"
	forge-session send "$id" "use Bash y"
	run -9 forge-session wait --asks --timeout 60 "$id"
	ask=$(forge-session asks -q .id)
	run -0 forge-session interrupt "$id"
	forge-session wait --timeout 60 "$id" || :
	run -4 --separate-stderr forge-session answer "$ask" --allow
	[ "$stderr" = "forge-session: ask $ask is void: the agent withdrew it" ]
	run -3 forge-session answer 4711 --allow
	run -2 forge-session answer x --allow
	run -2 forge-session answer "$ask"
	run -2 forge-session answer "$ask" --allow --deny
	run -2 forge-session answer "$ask" --deny --always
}

@test "after kill -9 of the supervisor an ask is void" {
	local ask pid
	asking "use Bash x"
	pid=$(sqlite3 state/forge.db "SELECT supervisor FROM session" |
		cut -d : -f 2)
	kill -KILL "$pid"
	unlocked() { flock -n "state/run/session/$id" true; }
	wait_until 60 unlocked
	run -4 --separate-stderr forge-session answer "$ask" --allow
	[ "$stderr" = "forge-session: ask $ask is void: session '$id' is \
interrupted" ]
	[ "$(forge-session asks)" = "" ]
}

@test "ten who answer at once: one is heard, nine are told" {
	local ask i
	asking "use Bash x"
	for i in 0 1 2 3 4 5 6 7 8 9; do
		(
			code=0
			forge-session answer "$ask" --allow --message "$i" \
				2>"err$i" 3>&- || code=$?
			echo $code >"status$i"
		) &
	done
	wait
	[ "$(cat status? | sort | uniq -c | awk '{print $2 "x" $1}' |
		xargs)" = "0x1 4x9" ]
	[ "$(cat err? | sort -u)" = \
		"forge-session: ask $ask was allowed by user" ]
	forge-session wait --timeout 60 "$id"
	[ "$(said "$id")" = "allowed: x" ]
}

@test "two asks at once are answered in any order" {
	asking "two x"
	two() { [ "$(forge-session asks -q .id | wc -l)" = 2 ]; }
	wait_until 60 two
	run -0 forge-session answer "$(forge-session asks -q .id |
		tail -n 1)" --deny
	[ "$(forge-session show "$id" -q .state)" = waiting ]
	run -0 forge-session answer "$(forge-session asks -q .id)" --allow
	forge-session wait --timeout 60 "$id"
	[ "$(said "$id")" = "allow deny" ]
}

@test "rules answer first: deny, ask, allow" {
	cat >rules <<-'END'
	allow Bash(git diff:*)
	allow Write(./)
	deny Write(/etc/**)
	deny Bash(rm:*)
	END
	run_agent "use Bash git diff --stat" --policy rules --on-ask fail
	[ "$status" = 0 ]
	[ "$output" = "allowed: git diff --stat" ]
	[ "$(forge-session asks --all -q .answered_by)" = \
		"policy $PWD/rules:1: allow Bash(git diff:*)" ]
	run_agent "use Bash rm x" --policy rules --on-ask allow
	[ "$output" = "denied: Denied by a rule: $PWD/rules:4: deny \
Bash(rm:*)" ]
	run_agent "use Bash git diff; touch y" --policy rules --on-ask deny
	[ "$output" = "denied: Nobody is there to ask." ]
	run_agent "write sub/file" --policy rules --on-ask fail
	[ "$output" = "allow sub/file" ]
	run_agent "write /etc/passwd" --policy rules --on-ask allow
	[ "$output" = "deny /etc/passwd" ]
	# for all sessions
	printf '[session]\n\tpolicy = %s\n' "$PWD/rules" >>config
	run_agent "use Bash git diff" --on-ask fail
	[ "$output" = "allowed: git diff" ]
}

@test "a mistake in the rules is found before anything begins" {
	printf 'allow Bash\n\npermit Bash\n' >rules
	run -1 --separate-stderr forge-session run -p "say x" --policy rules
	[ "$stderr" = "forge-session: $PWD/rules:3: a rule begins with allow, \
ask or deny" ]
	[ "$(forge-session list --all)" = "" ]
	run -3 --separate-stderr forge-session run -p "say x" --policy none
	run -2 --separate-stderr forge-session run -p "say x" --on-ask maybe
	[ "${stderr_lines[0]}" = "forge-session: --on-ask 'maybe': write \
allow, deny, fail, wait or wait=DURATION" ]
}

@test "--on-ask: allow, deny, fail and wait=" {
	run_agent "use Bash x" --on-ask allow
	[ "$output" = "allowed: x" ]
	[ "$(forge-session asks --all -q .answered_by)" = on-ask ]
	run -9 --separate-stderr forge-session run -p "use Bash x" --name f \
		--on-ask fail
	[[ $stderr == "forge-session: session 'f' failed: nobody answers ask \
"*": Bash" ]]
	[ "$(forge-session show f -q '[.state, .status] | @csv')" = \
		'"failed",9' ]
	run -9 --separate-stderr forge-session run -p "use Bash x" --name w \
		--on-ask wait=200ms
	[ "$stderr" = "forge-session: session 'w' failed: nobody answered in \
time; see 'forge-session asks w --all'" ]
	# a question is not answered by a rule or by "allow"
	echo 'allow *' >rules
	run -9 forge-session run -p question --policy rules --on-ask allow
}

@test "--always: the same is allowed from then on, and nothing else" {
	local ask
	asking "use Bash touch a"
	run -0 forge-session answer "$ask" --always
	forge-session wait --timeout 60 "$id"
	[ "$(cat "state/session/$id/policy")" = "allow Bash(touch a)" ]
	forge-session send "$id" "use Bash touch a"
	forge-session wait --timeout 60 "$id"
	[ "$(said "$id" | xargs -d '\n')" = "allowed: touch a allowed: touch a" ]
	forge-session send "$id" "use Bash touch a b"
	run -9 forge-session wait --asks --timeout 60 "$id"
	[ "$(forge-session asks --all -q .answered_by | xargs -d '\n')" = \
		"user policy session/$id/policy:1: allow Bash(touch a) null" ]
}

@test "questions are answered by --choice: a number or text, one for each" {
	local ask
	asking question
	[ "$(forge-session asks -q .what)" = "Which?" ]
	run -1 --separate-stderr forge-session answer "$ask" --choice 2
	[ "$stderr" = "forge-session: ask $ask has 2 questions: give --choice \
for each" ]
	run -0 forge-session answer "$ask" --choice 2 --choice "Jo Doe"
	forge-session wait --timeout 60 "$id"
	[ "$(said "$id")" = 'allow {"Which?": "blue", "Name?": "Jo Doe"}' ]
	asking "use Bash x"
	run -1 --separate-stderr forge-session answer "$ask" --choice 1
	[ "$stderr" = "forge-session: ask $ask is about the tool 'Bash': \
answer --allow or --deny" ]
}
