#!/usr/bin/env bats
# Sessions with the real agents, and a model of our own (tests/fake/model)
# behind the proxy that has the key.

load lib
load session
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
	for name in claude acp codex gemini; do
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
teardown() { session_teardown; }

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
supervisor_dies() {
	kill -KILL "$(sqlite3 "$FORGE_STATE/forge.db" \
		"SELECT supervisor FROM session WHERE id = '$id'" |
		cut -d: -f2)"
	wait_until 60 is_state "$id" interrupted
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
	wait_until 60 eval '! pgrep -f "proxy -C $FORGE_STATE"'
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

# new_ask: one that was not there before; its number is in ask
new_ask() {
	local was=${ask-}
	asked && [ "$ask" != "$was" ]
}
# turns N: so many are over
turns() {
	[ "$(forge-session log "$id" -q 'select(.kind == "result").data.ok' |
		wc -l)" -ge "$1" ]
}
last_result() {
	forge-session log "$id" -q 'select(.kind == "result").data' | tail -n 1
}

@test "opencode by acp: allowed, denied, resumed, interrupted" {
	ask=
	id=$(forge-session start -P acp --dir repo <task)
	wait_until 120 new_ask
	run -0 forge-session asks -q '[.tool, .session] | @tsv'
	[ "$output" = "edit	$id" ]
	forge-session answer "$ask" --allow
	wait_until 120 new_ask
	forge-session answer "$ask" --allow
	wait_until 120 turns 1
	committed
	[[ "$(said "$id")" = *'It is done.'* ]]

	forge-session send "$id" $'+bash touch denied\n+say Well then.'
	wait_until 120 new_ask
	forge-session answer "$ask" --deny
	wait_until 120 turns 2
	[ ! -e repo/denied ]

	forge-session stop "$id"
	forge-session resume "$id" -p +recall
	wait_until 120 turns 3
	[[ "$(last_result | jq -r .text)" = 'prompts: Make a commit. | +bash touch denied'* ]]
	# What it says the whole session cost is not added up.
	[ "$(forge-session show "$id" -q '.cost_usd < 0.05 and .cost_usd > 0')" = true ]

	forge-session send "$id" +hang
	wait_until 120 eval "model_calls .prompt | grep -qx +hang"
	forge-session interrupt "$id"
	wait_until 120 turns 4
	[ "$(last_result | jq .interrupted)" = true ]

	# Killed after that, it goes on all the same.
	supervisor_dies
	forge-session resume "$id" -p +recall
	wait_until 120 turns 5
	[[ "$(last_result | jq -r .text)" = *'touch denied'* ]]
	forge-session stop "$id"
	# What it cost is known when the turn is over.
	id=$(forge-session start -P acp --dir repo --max-tokens 800 \
		--on-ask allow -p '+bash touch a')
	wait_until 120 is_state "$id" failed
	[ -e repo/a ]
	[[ "$(forge-session show "$id" -q .reason)" = *token* ]]
}

codex_options=(-P codex -m gpt-5.5 --dir repo)

@test "codex: allowed, denied, resumed, interrupted" {
	ask=
	id=$(forge-session start "${codex_options[@]}" <task)
	wait_until 60 new_ask
	run -0 forge-session asks -q '[.tool, (.data.input // .input).command] | @json'
	[ "$output" = '["command_execution","printf '"'%s' 'hello\\n' >'hello.txt'"'"]' ]
	forge-session answer "$ask" --allow
	wait_until 60 new_ask
	run -0 forge-session asks -q '(.data.input // .input).command'
	[ "$output" = "git add -A && git commit -qm 'say hello'" ]
	forge-session answer "$ask" --allow
	wait_until 60 turns 1
	committed
	[ "$(said "$id" | tail -n 1)" = 'It is done.' ]
	[ "$(forge-session show "$id" -q .tokens_in)" = 3000 ]

	forge-session send "$id" $'+bash touch denied\n+say Well then.'
	wait_until 60 new_ask
	forge-session answer "$ask" --deny --message 'not that'
	wait_until 60 turns 2
	[ ! -e repo/denied ]
	[ "$(forge-session log "$id" -q 'select(.kind == "tool.result" and
		.data.error) | .data.output')" = declined ]

	forge-session stop "$id"
	forge-session resume "$id" -p +recall
	wait_until 60 turns 3
	[[ "$(last_result | jq -r .text)" = *'Make a commit.'*'touch denied'* ]]

	# In the middle of its thoughts, and while it asks.
	forge-session send "$id" +hang
	wait_until 60 eval "model_calls .prompt | grep -q +hang"
	forge-session interrupt "$id"
	wait_until 60 turns 4
	[ "$(last_result | jq -c '[.ok, .interrupted]')" = '[false,true]' ]
	forge-session send "$id" '+bash touch never'
	wait_until 60 new_ask
	forge-session interrupt "$id"
	wait_until 60 turns 5
	[ "$(last_result | jq -c '[.ok, .interrupted]')" = '[false,true]' ]
	[ ! -e repo/never ]
	[ -z "$(forge-session asks -q .id)" ]
	[ -z "$(forge-session log "$id" -q 'select(.kind == "raw")')" ]
	[ -z "$(grep -rl "$AGENT_KEY" "$FORGE_STATE")" ]
}

@test "codex: killed, it remembers; rules answer; a budget ends it" {
	printf 'allow Bash(touch *)\ndeny Bash(rm:*)\n' >rules
	id=$(forge-session start "${codex_options[@]}" --policy rules \
		-p $'+bash touch yes\n+bash rm yes\n+say done')
	wait_until 60 turns 1 || { forge-session log "$id"; false; }
	[ -e repo/yes ]
	supervisor_dies
	forge-session resume "$id" -p +recall
	wait_until 60 turns 2
	[[ "$(last_result | jq -r .text)" = *'touch yes'* ]]
	forge-session stop "$id"
	run -8 --separate-stderr timeout 60 forge-session run \
		"${codex_options[@]}" --name s2 --max-tokens 1500 \
		--on-ask allow <task
	[[ $stderr = "forge-session: session 's2' failed: "*token* ]]
}

@test "gemini: a commit that was allowed" {
	ask=
	id=$(forge-session start --once -P gemini -m gemini-2.5-flash \
		--dir repo <task)
	wait_until 60 new_ask
	forge-session answer "$ask" --allow
	wait_until 60 new_ask
	forge-session answer "$ask" --allow
	run -0 timeout 60 forge-session wait "$id"
	committed
	[[ "$(said "$id")" = *'It is done.'* ]]
}

@test "bwrap: claude commits, and finds no key and no file of ours" {
	command -v bwrap >/dev/null || skip "bubblewrap is not installed"
	export ANTHROPIC_API_KEY=$AGENT_KEY HOST_SECRET=$AGENT_KEY
	echo "$AGENT_KEY" >outside
	# What could have it: environments, arguments, files.
	cat >repo/look <<-'SH'
	count() { awk -v a="$1" -v b="$2" 'index($0, a b) { n++ }
		END { print n + 0 }'; }
	cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline 2>/dev/null |
		count "$1" "$2"
	find "$HOME" /etc /tmp /run . -type f -exec cat {} + 2>/dev/null |
		count "$1" "$2"
	ls "$3" "$4" 2>/dev/null | wc -l
	touch /usr/x /etc/x 2>/dev/null; ls /usr/x /etc/x 2>/dev/null | wc -l
	ls -d /proc/[0-9]* | wc -l
	SH
	run -0 --separate-stderr forge-session run --in bwrap --name s1 \
		--dir repo -- --allowedTools Bash,Write <<-TASK
	+bash sh look ${AGENT_KEY:0:12} ${AGENT_KEY:12} $PWD/outside $FORGE_STATE/forge.db >found; echo \$?
	+bash rm look
	+write hello.txt hello
	+bash git add hello.txt && git commit -qm 'say hello'
	+say It is done.
	TASK
	committed
	mapfile -t found <repo/found
	echo "${found[@]}"
	[ "${found[*]:0:4}" = '0 0 0 0' ]
	[ "${found[4]}" -lt 20 ]
	[ "$(said s1)" = 'It is done.' ]
}

@test "bwrap: a worktree, and nothing of git's that runs programs" {
	command -v bwrap >/dev/null || skip "bubblewrap is not installed"
	git -C repo commit -q --allow-empty -m first
	run -0 --separate-stderr forge-session run --in bwrap --name s1 \
		-P command --repo "$PWD/repo" -p go -- sh -c '
		echo hello >hello.txt; git add hello.txt
		git -c user.name=T -c user.email=t@e commit -qm "say hello"
		common=$(git rev-parse --git-common-dir)
		for file in "$common/config" "$common/hooks/pre-push" .git \
			"$(git rev-parse --git-dir)/commondir"; do
			(echo evil >"$file") 2>/dev/null && echo "wrote $file"
			mv "$file" "$file.old" 2>/dev/null && echo "moved $file"
		done; echo end'
	[ "$(said s1)" = end ]
	dir=$(forge-session show s1 -q .dir)
	[ "$(git -C "$dir" log -1 --format=%s)" = 'say hello' ]
}
