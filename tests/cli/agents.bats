#!/usr/bin/env bats
# The stand-in for a model and the real agents, without forge: that what the
# tests of sessions stand on holds.

load lib
load agents

setup_file() {
	common_setup
	model_start --api-key "$AGENT_KEY"
}
teardown_file() { stop_background; }

setup() {
	common_setup
	agents_install
	git init -q repo
	git -C repo config user.name Test
	git -C repo config user.email test@example.org
	cd repo || return 1
	cat >../task <<-'TASK'
	Make a commit.
	+write hello.txt hello
	+bash git add -A && git commit -qm 'say hello'
	+say It is done.
	TASK
}
teardown() { common_teardown; }

# agent NAME COMMAND...: with what NAME needs
agent() {
	local name=$1
	local -a env
	shift
	mapfile -t env < <(agent_env "$name")
	timeout 60 env "${env[@]}" "$@" >../out 2>../err || {
		echo "$name: status $?"
		tail -n 5 ../out ../err
		return 1
	}
}

committed() {
	cat ../err
	[ "$(git log --format=%s)" = 'say hello' ]
	[ "$(git show HEAD:hello.txt)" = hello ]
}

@test "agents: claude commits, and goes on with its conversation" {
	agent claude claude -p --output-format stream-json --verbose \
		--allowedTools Bash,Write <../task
	committed
	run jq -r 'select(.type == "result") | .subtype, .result' ../out
	[ "$output" = $'success\nIt is done.' ]
	id=$(jq -r 'select(.type == "result") | .session_id' ../out)
	agent claude claude -p --resume="$id" <<<'+recall'
	[ "$(cat ../out)" = 'prompts: Make a commit.' ]
}

@test "agents: codex commits" {
	agent codex codex exec --json --dangerously-bypass-approvals-and-sandbox \
		- <../task
	committed
	run jq -r 'select(.item.type == "agent_message") | .item.text' ../out
	[ "$output" = 'It is done.' ]
}

@test "agents: opencode commits" {
	agent opencode opencode run --format json --auto <../task
	committed
	run jq -r 'select(.type == "text") | .part.text' ../out
	[ "$output" = 'It is done.' ]
}

@test "agents: gemini commits" {
	agent gemini gemini -m gemini-2.5-flash -o stream-json --yolo --skip-trust -p "$(cat ../task)"
	committed
	run jq -rs 'map(select(.role == "assistant").content) | add' ../out
	[ "$output" = 'It is done.' ]
}

@test "agents: the model streams, refuses, and tells when to come back" {
	body='{"model":"m","stream":true,"tools":[{"name":"Bash"}],"messages":
		[{"role":"user","content":"+status 429 7 1\n+say hi"}]}'
	post() {
		curl -sS -m 20 -H "x-api-key: $1" -H 'anthropic-version: x' \
			-d "$body" -D ../head "$MODEL_URL/v1/messages"
	}
	run -0 post wrong
	[[ $output = *authentication_error* ]]
	run -0 post "$AGENT_KEY"
	[[ $output = *rate_limit_error* ]]
	grep -qi '^retry-after: 7' ../head
	grep -qi '^anthropic-ratelimit-unified-reset: [0-9]' ../head
	run -0 post "$AGENT_KEY"
	[[ $output = *'"text_delta", "text": "hi"'* ]]
	[ "$(model_calls 'select(.headers["x-api-key"] == "wrong").n' |
		wc -l)" -ge 1 ]
}
