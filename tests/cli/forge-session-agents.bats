#!/usr/bin/env bats
# Sessions with the real agents, and a model of our own (tests/fake/model)
# behind the proxy that has the key.

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
	export FORGE_CONFIG=/dev/null
	mkdir -m 700 "$FORGE_STATE"
	local name
	for name in claude codex gemini opencode; do
		forge-session key "$name" <<<"$AGENT_KEY"
		git config -f "$FORGE_STATE/config" "provider.$name.api" \
			"$MODEL_URL"
	done
	git init -q repo
	git -C repo config user.name Test
	git -C repo config user.email test@example.org
	cat >task <<-'TASK'
	Make a commit.
	+write hello.txt hello
	+bash git add -A && git commit -qm 'say hello'
	+say It is done.
	TASK
}
teardown() {
	local id
	for id in $(forge-session list -q .id 2>/dev/null); do
		timeout 30 forge-session stop "$id" 2>/dev/null || :
	done
	common_teardown
}

committed() {
	[ "$(git -C repo log --format=%s)" = 'say hello' ]
	[ "$(git -C repo show HEAD:hello.txt)" = hello ]
}
# said ID: what the agent said
said() { forge-session log "$1" -q 'select(.kind == "output") | .data.text'; }
# has ID KIND...: an event of that kind
has() {
	forge-session log "$1" -q .kind | grep -qx "$2"
}
# asked: the number of the ask that is open
asked() {
	ask=$(forge-session log "$id" -q 'select(.kind == "ask") | .data.ask' |
		tail -n 1)
	[ -n "$ask" ]
}
is_state() { [ "$(forge-session show "$1" -q .state)" = "$2" ]; }

@test "claude: a commit, and the key nowhere but at the API" {
	run -0 --separate-stderr forge-session run --name s1 --dir repo \
		--env "ANTHROPIC_LOG=debug" -- --allowedTools Bash,Write <task
	committed
	[ "$(said s1)" = 'It is done.' ]
	[ "$(jq -s 'map(select(.status == 200 and .path == "/v1/messages"))
		| length' "$FORGE_STATE/session/s1/api.ndjson")" = 3 ]
	[ -z "$(grep -rl "$AGENT_KEY" "$FORGE_STATE")" ]
	wait_until 20 eval '! pgrep -f "proxy -C $FORGE_STATE"'
}

@test "claude: what it may not tell is not in the transcript" {
	export DEPLOY_TOKEN=tok-0123456789-secret
	run -0 --separate-stderr forge-session run --name s1 --dir repo \
		--env DEPLOY_TOKEN -p '+bash env; printenv DEPLOY_TOKEN | base64; echo $DEPLOY_TOKEN >&2' \
		-- --allowedTools Bash
	run -0 forge-session log s1
	[[ $output = *'DEPLOY_TOKEN=[redacted: DEPLOY_TOKEN]'* ]]
	[[ $output = *'ANTHROPIC_API_KEY=[redacted: proxy token]'* ]]
	[[ $output != *0123456789-secret* ]]
	[[ $output != *"$(base64 <<<"$DEPLOY_TOKEN" | cut -c1-20)"* ]]
}
