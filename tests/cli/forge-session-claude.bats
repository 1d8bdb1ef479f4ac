#!/usr/bin/env bats
# forge-session with the real claude CLI from npm; only the model is ours.

# Tests are subshells, and run sets stderr.
# shellcheck disable=SC2030,SC2031,SC2154
bats_require_minimum_version 1.5.0
load lib
load agents

setup_file()
{
	common_setup
	agents_install
	model_start
	export LIB_MODEL_URL=$MODEL_URL
}

teardown_file() { stop_background; }

setup()
{
	common_setup
	MODEL_URL=$LIB_MODEL_URL
	agents_install
	export FORGE_CONFIG=/dev/null
	mkdir work
	readarray -t env < <(agent_env claude)
	export "${env[@]}"
}

teardown()
{
	forge-session list -q .id | xargs -r timeout 60 forge-session stop
	common_teardown
}

said()
{
	forge-session log "$1" -q 'select(.kind == "output") | .data.text'
}

supervisor()
{
	sqlite3 state/forge.db \
		"SELECT supervisor FROM session WHERE id = '$1'" | cut -d: -f2
}

is_state()
{
	[ "$(forge-session show "$1" -q .state)" = "$2" ]
}

# has_it ID: the agent has taken every message
has_it()
{
	[ "$(forge-session show "$1" -q .messages_waiting)" = 0 ]
}

asks_for()
{
	forge-session asks -q '.data.input.command // .input.command' |
		grep -qF "$1"
}

@test "claude: a run, from stdin to the outcome, with what it cost" {
	run -0 --separate-stderr bash -c "printf '+think hm\n+say hello there' |
		forge-session run --name x -d work"
	[ "$stderr" = "" ]
	[ "$(said x)" = "hello there" ]
	[ "$(forge-session log x -q 'select(.kind == "result") |
		[.data.ok, .data.text] | tostring')" = '[true,"hello there"]' ]
	[ "$(forge-session show x -q '.state, .turns, .cost_usd > 0,
		.tokens_in > 0, .dir')" = "completed
1
true
true
$PWD/work" ]
	# nothing of its lines is unknown to the provider
	[ "$(forge-session log x -q 'select(.kind == "raw")')" = "" ]
	# its home is the session's
	[ -d state/session/x/home/.claude ]
	[ ! -e "$HOME/.claude" ]
}

@test "claude: what the API refuses fails the run with its words" {
	run -1 --separate-stderr forge-session run --name x -d work \
		-p '+status 400'
	[[ $stderr == "forge-session: session 'x' failed: API Error: 400"* ]]
	forge-session start --name y -d work -p '+status 429'
	wait_until 60 is_state y limited
	[ "$(forge-session show y -q '.limited_until > 0')" = true ]
	forge-session stop y
	is_state y stopped
}

@test "claude: asks, is interrupted, goes on; killed, it remembers" {
	forge-session start --name x -d work \
		-p $'+bash touch never\n+say done'
	run -9 forge-session wait --asks --timeout 60s x
	[ "$(forge-session log x -q 'select(.kind == "ask") | .data |
		[.tool, .input.command, .ask] | tostring')" = \
		'["Bash","touch never",1]' ]
	forge-session interrupt x
	forge-session wait --timeout 60s x
	[ "$(forge-session log x -q 'select(.kind == "result") | .data |
		[.ok, .interrupted, .reason] | tostring')" = \
		'[false,true,"interrupted"]' ]
	[ ! -e work/never ]

	agent=$(forge-session show x -q .agent_session)
	forge-session send x '+hang'
	wait_until 60 has_it x
	kill -KILL "$(supervisor x)"
	wait_until 60 is_state x interrupted
	forge-session resume -p '+recall' x
	forge-session wait --timeout 60s x
	[ "$(forge-session show x -q .agent_session)" = "$agent" ]
	said x | grep -q '^prompts: .*touch never'
	forge-session stop x
}

@test "claude: a commit in a worktree: allowed, denied" {
	git init -q src
	git -C src -c user.name=x -c user.email=x@x commit -q --allow-empty \
		-m first
	forge-session start --name x --repo src -p "Make a commit.
+write hello.txt hello
+bash git add -A && git commit -qm 'say hello'
+bash touch no
+say It is done."
	run -9 forge-session wait --asks --timeout 60s x
	[ "$(forge-session asks -q .tool)" = Write ]
	forge-session answer --allow "$(forge-session asks -q .id)"
	wait_until 60 asks_for "git commit"
	forge-session answer --allow "$(forge-session asks -q .id)"
	wait_until 60 asks_for "touch no"
	forge-session answer --deny --message "not that" \
		"$(forge-session asks -q .id)"
	forge-session wait --timeout 60s x
	[ "$(said x)" = "It is done." ]
	[ "$(forge-session log x -q 'select(.kind == "answer") | .data |
		[.allow, .by, .message] | tostring')" = \
		'[true,"user",null]
[true,"user",null]
[false,"user","not that"]' ]
	[ "$(forge-session log x -q 'select(.kind == "result") |
		.data.denied | tostring')" = '["Bash"]' ]
	work=$(forge-session show x -q .dir)
	[ "$(git -C "$work" log --format=%s -n 1)" = "say hello" ]
	[ "$(cat "$work/hello.txt")" = hello ]
	[ ! -e "$work/no" ]
	# the repository it came from is as it was
	[ "$(git -C src log --format=%s)" = first ]
	[ "$(git -C src branch | wc -l)" = 1 ]
}

@test "claude: a budget ends it" {
	run -8 --separate-stderr forge-session run --name x -d work \
		--budget-usd 0.001 --on-ask allow -p $'+bash touch a\n+say done'
	[[ $stderr == "forge-session: session 'x' failed: its budget is spent: \$"*" of \$0.0010" ]]
	[ "$(forge-session show x -q .state)" = failed ]
}
