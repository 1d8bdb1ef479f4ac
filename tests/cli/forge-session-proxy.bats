#!/usr/bin/env bats
# The proxy that has the key: what it lets through, and what it tells nobody.

load lib
load agents

setup_file() {
	common_setup
	model_start --api-key "$AGENT_KEY"
}
teardown_file() { stop_background; }

setup() {
	common_setup
	export FORGE_CONFIG=/dev/null
	mkdir -m 700 "$FORGE_STATE"
	git config -f "$FORGE_STATE/config" provider.claude.api "$MODEL_URL"
}
teardown() { common_teardown; }

# proxy_start: the proxy, its address in URL, its token in TOKEN
proxy_start() {
	forge-session key claude <<<"$AGENT_KEY"
	background "$PWD/proxy" forge-session proxy claude
	wait_until 60 grep -q ANTHROPIC_API_KEY proxy || return 1
	URL=$(sed -n 's/^ANTHROPIC_BASE_URL=//p' proxy)
	TOKEN=$(sed -n 's/^ANTHROPIC_API_KEY=//p' proxy)
}

# call PATH [CURL-OPTION...]: the status; the body is in the file answer
call() {
	curl -sS -m 30 -o answer -w '%{http_code}\n' \
		-H "x-api-key: ${SHOW-$TOKEN}" \
		-H 'anthropic-version: 2023-06-01' "${@:2}" "$URL$1"
}

prompt() {
	jq -cn --arg text "$1" '{model: "m", stream: true,
		tools: [{name: "Bash"}], messages: [{role: "user", $text}
			| {role, content: .text}]}'
}

@test "proxy: the real key goes to the API, the token does not" {
	proxy_start
	run -0 call /v1/messages -d "$(prompt '+say hello')" \
		-H 'Authorization: Bearer mine' -H 'Cookie: a=b'
	[ "$output" = 200 ]
	grep -q '"text_delta", "text": "hello"' answer
	run -0 model_calls 'select(.headers["x-api-key"] == "'"$AGENT_KEY"'") |
		.headers | [.authorization, .cookie] | tostring'
	[ "$output" = '[null,null]' ]
	[ -z "$(grep -rl "$TOKEN" "$MODEL_DIR")" ]
	# As the API counts; neither key nor body.
	run -0 jq -r 'select(.status == 200) | [.method, .path,
		.input_tokens, .output_tokens] | @tsv' <(grep '^{' proxy)
	[ "$output" = $'POST\t/v1/messages\t1000\t50' ]
	[ -z "$(grep "$AGENT_KEY" proxy)" ]
}

@test "proxy: an answer is handed on as it comes" {
	proxy_start
	# Two seconds of words; the first is here long before the last.
	curl -sSN -m 30 -H "x-api-key: $TOKEN" -H 'anthropic-version: x' \
		-d "$(prompt '+slow 300 one two three four five six seven')" \
		"$URL/v1/messages" >stream 3>&- &
	pid=$!
	wait_until 60 grep -q '"one ' stream
	[ -z "$(grep '"seven ' stream)" ]
	wait "$pid"
	grep -q '"seven ' stream
}

@test "proxy: who has no token gets nothing" {
	proxy_start
	calls=$(model_calls .n | wc -l)
	run -0 curl -sS -m 30 -w '%{http_code}' "$URL/v1/models"
	[[ $output = *'not the token of this session'*401 ]]
	SHOW=${TOKEN%?} run -0 call /v1/models
	[ "$output" = 401 ]
	[ "$(model_calls .n | wc -l)" = "$calls" ]
}

@test "proxy: no other path, method, host or length" {
	local path
	proxy_start
	calls=$(model_calls .n | wc -l)
	for path in / /v2/x /v1/../admin /v1/%2e%2e/admin /v1//x /v1/.x \
		'/v1/a\b'; do
		run -0 call "$path" --path-as-is
		[ "$output" = 403 ]
	done
	run -0 call /v1/files -X DELETE
	[ "$output" = 405 ]
	run -0 call /v1/messages -d x -H 'Transfer-Encoding: chunked'
	[ "$output" = 411 ]
	run -0 call /v1/messages -X POST -H 'Content-Length: 99999999999'
	[ "$output" = 413 ]
	# A proxy for whole URLs, or a tunnel, it is not.
	run -0 curl -sS -m 30 -o /dev/null -w '%{http_code}' -x "$URL" \
		-H "x-api-key: $TOKEN" http://127.0.0.1:1/v1/models
	[ "$output" = 400 ]
	[ "$(model_calls .n | wc -l)" = "$calls" ]
	# The host is ours to choose, whatever is asked for.
	run -0 call /v1/models -H 'Host: evil.example'
	[ "$output" = 200 ]
	[ "$(model_calls .headers.host | tail -n 1)" = "${MODEL_URL#http://}" ]
}

@test "proxy: refusals and limits of the API reach the agent" {
	proxy_start
	run -0 call /v1/messages -D head -d "$(prompt '+status 429 9')"
	[ "$output" = 429 ]
	grep -qi '^retry-after: 9' head
	git config -f "$FORGE_STATE/config" provider.claude.api \
		http://127.0.0.1:9
	proxy_start
	run -0 call /v1/models
	[ "$output" = 502 ]
	[ "$(jq -r .error.type answer)" = forge_proxy_error ]
}

@test "proxy: an agent that hangs up ends the call" {
	proxy_start
	run -28 curl -sS -m 1 -H "x-api-key: $TOKEN" -H 'anthropic-version: x' \
		-d "$(prompt +hang)" "$URL/v1/messages"
	wait_until 60 eval 'grep -q "\"status\":200" proxy'
}

@test "proxy: HTTPS is verified" {
	openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem \
		-out cert.pem -days 2 -subj /CN=localhost \
		-addext subjectAltName=DNS:localhost 2>/dev/null
	MODEL_DIR=$PWD/tls model_start_tls
	git config -f "$FORGE_STATE/config" provider.claude.api "$TLS_URL"
	proxy_start
	run -0 call /v1/models
	[ "$output" = 502 ]
	git config -f "$FORGE_STATE/config" provider.claude.ca-file "$PWD/cert.pem"
	proxy_start
	run -0 call /v1/models
	[ "$output" = 200 ]
}

model_start_tls() {
	mkdir tls
	background "$PWD/tls/log" "$ROOT/tests/fake/model" "$PWD/tls/port" \
		"$PWD/tls" --cert cert.pem --cert-key key.pem \
		--api-key "$AGENT_KEY"
	wait_until 60 test -e tls/port
	TLS_URL=https://localhost:$(cat tls/port)
}

@test "proxy: a key is sealed, replaced, forgotten, or in a file" {
	run -3 --separate-stderr forge-session proxy claude
	[ "$stderr" = "forge-session: no key for 'claude': forge-session key claude, or provider.claude.key-file" ]
	forge-session key claude <<<"$AGENT_KEY"
	[ -z "$(grep -rl "$AGENT_KEY" "$FORGE_STATE")" ]
	run -1 --separate-stderr forge-session key claude <<<'two words'
	[ "$stderr" = 'forge-session: the key on stdin is not one line without spaces' ]
	forge-session key claude </dev/null
	run -3 forge-session proxy claude
	forge-session key claude </dev/null
	echo "$AGENT_KEY" >file
	git config -f "$FORGE_STATE/config" provider.claude.key-file "$PWD/file"
	background "$PWD/proxy" forge-session proxy claude
	wait_until 60 grep -q ANTHROPIC_API_KEY proxy
}
