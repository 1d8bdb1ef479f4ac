#!/usr/bin/env bats
# Runners of a fleet on agents: which get them, and what becomes of them when
# an agent is lost.

load lib
load stream

setup_file() {
	common_setup
	github_start
	echo "$GITHUB_PAT" >token
	stream_start "	grace = 2s
[watch]
	poll = 1s
[github \"fake\"]
	api = $GITHUB_URL
	token-file = $PWD/token
[pool \"far\"]
	scope = repo:acme/app
	labels = linux, x64
	labels = macos
	place = agent:*
	max = 5
	priority = 10
[pool \"near\"]
	scope = repo:acme/app
	labels = linux, x64
	place = here
	max = 5
	runner-command = $ROOT/tests/fake/runner-listener run"
}
teardown_file() {
	stop_background
}
setup() {
	common_setup
	stream_setup
}
teardown() {
	forge-runner list -q .name | xargs -r forge-runner stop --now || :
	common_teardown
}

ended() { # NUMBER of runners
	[ "$(forge-runner list --all -q 'select(.state == "done") | .name' | wc -l)" = "$1" ]
}
works() { # NUMBER of runners that are busy
	[ "$(forge-runner list -q 'select(.state == "busy") | .name' | wc -l)" -ge "$1" ]
}
empty_at_github() { [ "$(gh GET /repos/acme/app/actions/runners | jq .total_count)" = 0 ]; }

@test "jobs go to agents first, as many as they can run, and the rest here" {
	enrol
	agent_start run "$ROOT/tests/fake/runner-listener" run
	wait_until 60 is_online
	for i in 1 2 3; do github_job linux,x64 'sleep 3' "job$i" >/dev/null; done
	wait_until 60 ended 3
	run -0 forge-runner list --all -q '[.pool, .place, .result] | @tsv'
	echo "$output"
	[ "$(sort <<<"$output")" = "$(printf 'far\tagent:*\tsucceeded\nfar\tagent:*\tsucceeded\nnear\there\tsucceeded')" ]
	[ "$(grep -c '^create ' "$DIR/out")" = 2 ]
	wait_until 60 empty_at_github
	agent_end
}

@test "an agent that is lost: its runner is removed at GitHub after the grace, and ended" {
	enrol
	agent_start stay
	wait_until 60 is_online
	before=$(forge-runner list --all -q .name | wc -l)
	github_job macos true lost >/dev/null
	wait_until 60 grep -q '^create ' "$DIR/out"
	[ "$(gh GET /repos/acme/app/actions/runners | jq .total_count)" = 1 ]
	pid=$(tail -n 1 pids)
	kill -KILL $(pgrep -P "$pid") "$pid" # timeout(1) and its child
	exec 7>&-
	wait_until 60 is_offline
	wait_until 60 ended $((before + 1))
	wait_until 60 empty_at_github
	run -0 forge-runner list --all -q 'select(.result == "error") | .reason'
	echo "$output"
	[[ $output == *'status 125'* ]]
	# It comes back with it, and with one that is none of ours.
	name=$(awk '/^create/ { print $2 }' "$DIR/out")
	agent_start list "$name" other
	wait_until 100 grep -q '^destroy ' "$DIR/out"
	[ "$(grep '^destroy ' "$DIR/out")" = "destroy id-$name" ]
	agent_end
}
