#!/usr/bin/env bats
# Runners of a Gitea: its API, its webhooks by lighttpd, act_runner.

load lib
load webhook

setup() {
	webhook_setup
	lighttpd_start
	background gitea.log "$ROOT/tests/fake/gitea" "$PWD/port" t0ken \
		"$URL" s3cret
	wait_until 60 test -e port
	GITEA=http://127.0.0.1:$(cat port)
	echo t0ken >token
	cat >state/config <<-CONF
	[webhook]
		direct = true
	[github "tea"]
		kind = gitea
		api = $GITEA/api/v1
		token-file = $PWD/token
		webhook-secret-file = $PWD/secret
	[pool "repo"]
		scope = repo:acme/app
		labels = linux
		place = here
	[pool "org"]
		scope = org:acme
		labels = linux,big
		place = here
		prefix = org
	CONF
}
teardown() {
	forge-runner list -q .name | xargs -r forge-runner stop --now
	common_teardown
}

# job LABELS SCRIPT: queues it, prints its id
job() {
	curl -sS -m 30 -d "$(jq -n --arg labels "$1" --arg script "$2" '{
		labels: ($labels | split(",")), $script, repo: "acme/app"}')" \
		"$GITEA/_fake/jobs" | jq .id
}
runners() { curl -sS -m 30 "$GITEA/_fake/runners"; }
none() { [ "$(runners)" = '[]' ]; }
last() { forge-runner list --all -q "$1" | head -n 1; }
in_state() { [ "$(forge-runner show "$1" -q .state)" = "$2" ]; }
online() { runners | jq -e '.[0].status == "online"' >/dev/null; }

@test "gitea: a job by a runner of the repository, and of the organization" {
	for pool in repo org; do
		id=$(job linux "echo hello from \$PPID; pwd")
		[ "$(forge-runner jobs -q .id)" = "$id" ]
		run -0 --separate-stderr forge-runner run --pool "$pool"
		[ "$(last .result)" = succeeded ]
		[ "$(last .job)" = "$id" ]
		[ "$(last .registered)" = false ]
		none
		[ "$(forge-runner jobs)" = '' ]
	done
	# act_runner's directory is gone, and no secret stays
	dir=$(curl -sS "$GITEA/_fake/jobs/$id" | jq -r .log)
	[ -n "$dir" ]
	[ ! -e "$dir" ]
	# the door took the webhooks by Gitea's own headers
	[ "$(forge-webhook list -q .outcome | sort -u)" = applied ]
}

@test "gitea: what became of the job is what Gitea says" {
	job linux 'exit 3' >/dev/null
	run -1 --separate-stderr forge-runner run --pool repo
	[ "$(last .result)" = failed ]
	none
	# the last webhook is lost: it is asked
	name=$(forge-runner start --pool repo)
	wait_until 60 online
	job linux 'while [ ! -e '"$PWD/go"' ]; do sleep 0.1; done' >/dev/null
	wait_until 60 in_state "$name" busy
	mv secret kept
	touch go
	wait_until 60 in_state "$name" 'done'
	mv kept secret
	[ "$(forge-runner show "$name" -q .result)" = succeeded ]
}

@test "gitea: an idle runner is stopped, one with a job is not" {
	name=$(forge-runner start --pool org)
	wait_until 60 online
	runners | jq -e '.[0] | .ephemeral and ([.labels[].name] | sort) ==
		["big", "linux"] and .name == "'"$name"'"'
	run -0 forge-runner stop "$name"
	[ "$(last .result)" = unused ]
	none
	# DELETE is no test there: it is looked at first
	for old in false true; do
		curl -sS -d '{"disable": '"$old"'}' "$GITEA/_fake/old" >/dev/null
		name=$(forge-runner start --pool repo)
		wait_until 60 online
		job linux 'exec sleep 600' >/dev/null
		wait_until 60 in_state "$name" busy
		run -4 --separate-stderr forge-runner stop "$name"
		[[ $stderr == *"runner '$name' has a job"* ]]
		[ "$(runners | jq length)" = 1 ]
		run -0 forge-runner stop --now "$name"
		[ "$(forge-runner show "$name" -q .state)" = 'done' ]
		none
	done
}

@test "gitea: kill -9 leaves no runner there" {
	name=$(forge-runner start --pool repo)
	wait_until 60 online
	kill -KILL "$(sql "SELECT supervisor FROM runner" | cut -d: -f2)"
	run -0 forge-runner sync
	[[ $output == *"runner '$name': removed at GitHub"* ]]
	none
}

@test "gitea: check, and what goes wrong" {
	run -0 forge-runner check -q '[.what, .result, .detail] | @tsv'
	[[ $output == *"credentials	ok	a token, at Gitea 1.25.0"* ]]
	[[ $output == *"runners org:acme	ok	"* ]]
	run -0 forge-runner sync --jobs
	[ "$output" = '' ]
	curl -sS -d '{"ephemeral": true}' "$GITEA/_fake/old" >/dev/null
	run -1 --separate-stderr forge-runner run --pool repo
	[[ $stderr == *"this Gitea knows no ephemeral runners: 1.24 or later is needed" ]]
	[ "$(last .result)" = error ]
	none
	run -2 --separate-stderr forge-runner run --pool repo --scope enterprise:x
	[[ $stderr == *"'enterprise:x': a Gitea has organizations and repositories" ]]
	run -2 --separate-stderr forge-runner run --pool repo --place garm:x
	[[ $stderr == *"'garm:x' runs GitHub's listener, and github 'tea' is a Gitea" ]]
	echo wrong >token
	run -6 --separate-stderr forge-runner run --pool repo
	[[ $stderr == *"failed: 401: invalid token"* ]]
	git config -f state/config github.tea.kind gogs
	run -1 --separate-stderr forge-runner run --pool repo
	[ "$stderr" = "forge-runner: github 'tea': kind 'gogs' is not github or gitea" ]
}
