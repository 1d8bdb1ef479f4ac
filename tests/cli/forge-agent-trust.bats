#!/usr/bin/env bats
# The certificates of forge-agent: renewed in time, with a job that runs on;
# and two walls that each keep out who was revoked.

# Tests are subshells, and run sets stderr.
# shellcheck disable=SC2030,SC2031,SC2154

load lib
load stream

setup_file() {
	common_setup
	github_start
	echo "$GITHUB_PAT" >token
	stream_start "[watch]
	poll = 1s
[github \"fake\"]
	api = $GITHUB_URL
	token-file = $PWD/token
[pool \"far\"]
	scope = repo:acme/app
	labels = linux
	place = agent:*"
}
teardown_file() {
	stop_background
}
setup() {
	common_setup
	stream_setup
}
teardown() {
	forge-runner -C there list -q .name 2>/dev/null |
		xargs -r forge-runner -C there stop --now || :
	common_teardown
}

# A host that has joined, with a certificate that is good for so long.
there_is() { # TTL
	mkdir -m 700 there
	cat >there/config <<-CONF
	[agent]
		places = here
	[pool "linux"]
		scope = repo:acme/app
		labels = linux
		place = here
		runner-command = $ROOT/tests/fake/runner-listener run
	CONF
	forge-runner -C there list # now it is a state
	mkdir -m 700 there/agent
	openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=there \
		-keyout there.key -out there.csr 2>log
	forge-register sign --ttl "$1" there.csr >there.crt
	AGENT=$(openssl x509 -in there.crt -noout -subject -nameopt multiline |
		awk '/commonName/ { print $3 }')
	jq -n --arg id "$AGENT" --arg url "https://localhost:$PORT" \
		--rawfile ca "$DIR/ca.crt" --rawfile cert there.crt --rawfile key there.key \
		'{$id, $url, $ca, $cert, $key, made_there: false}' >there/agent/identity.json
	chmod 600 there/agent/identity.json
}
# Of the certificate that it has.
serial() {
	jq -r .cert there/agent/identity.json | openssl x509 -noout -serial |
		cut -d= -f2 | tr A-F a-f
}
renewed() { grep -q event=agent.renewed agent.log; }
connections() { # NUMBER
	[ "$(forge-watch events -q "select(.kind == \"agent.connected\" and
		.subject == \"$AGENT\") | .seq" | wc -l)" = "$1" ]
}
done_with() { # RESULT
	[ "$(forge-runner list --all -q .result)" = "$1" ]
}

@test "renewed at two thirds of its life: a job runs on, the next stream shows the new one" {
	# With the five minutes that it is dated back: in ten seconds.
	there_is 165s
	old=$(serial)
	background agent.log forge-agent -C there run -v
	wait_until 60 is_online
	[ "$(forge-agent -C there show -q '.not_before + (.not_after - .not_before) / 3 * 2 == .renew_at')" = true ]
	github_job linux 'sleep 14' across >/dev/null
	wait_until 60 grep -q event=runner.told agent.log
	wait_until 60 renewed
	new=$(serial)
	[ "$old" != "$new" ]
	[ "$(stat -c %a there/agent/identity.json)" = 600 ]
	wait_until 60 connections 2
	# The stream is the new one's: the end of the old one does not touch it.
	forge-register cert revoke "$old"
	wait_until 60 done_with succeeded
	is_online
	connections 2
	[ "$(forge-runner -C there list --all -q .result)" = succeeded ]
	[ "$(grep -c 'Running job: across' there/runner/*/log)" = 1 ]
	[ "$(forge-register cert show "$new" -q '.agent, .state')" = "$AGENT
good" ]
	forge-register cert revoke "$new"
	wait_until 60 is_offline
	wait_until 60 grep -q 'status=UNAUTHENTICATED' agent.log
}

refused() { # TEXT
	run -0 agent "$DIR" stream normal </dev/null
	echo "$output"
	[ "$(tail -n 1 <<<"$output")" = "end UNAUTHENTICATED: $1" ]
}
sql() { sqlite3 "$FORGE_STATE/forge.db" "PRAGMA busy_timeout = 20000; $1" >/dev/null; }
served_anew() { # PID before
	local now
	now=$(pgrep -P "$WATCH" -x forge-stream) && [ "$now" != "$1" ] &&
		[ "$(grep -c event=stream.started "$FILE/watch.log")" = 2 ]
}

@test "a revoked certificate is refused by the list alone, and by the database alone" {
	enrol
	run -0 agent "$DIR" stream normal </dev/null
	[ "$(tail -n 1 <<<"$output")" = 'end OK:' ]
	cp "$FORGE_STATE/trust/crl.pem" before.pem
	forge-register cert revoke "$(openssl x509 -in "$DIR/client.crt" -noout -serial |
		cut -d= -f2)"
	wait_until 60 refused 'the client certificate is refused: certificate revoked'
	# Here it is good again, and the list is as it was signed.
	sql 'UPDATE cert SET revoked_at = NULL, reason = NULL'
	refused 'the client certificate is refused: certificate revoked'
	# And the other way round.
	sql "UPDATE cert SET revoked_at = 1, reason = 'x' WHERE agent = '$AGENT'"
	cp before.pem "$FORGE_STATE/trust/crl.pem"
	old=$(pgrep -P "$WATCH" -x forge-stream)
	kill -KILL "$old"
	wait_until 60 served_anew "$old"
	wait_until 60 refused 'Agent not registered or has been revoked: the agent or its certificate has been revoked'
	# With neither it would come in: it was these two.
	sql 'UPDATE cert SET revoked_at = NULL, reason = NULL'
	run -0 agent "$DIR" stream normal </dev/null
	[ "$(tail -n 1 <<<"$output")" = 'end OK:' ]
}
