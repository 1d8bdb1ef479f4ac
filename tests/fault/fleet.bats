#!/usr/bin/env bats
# fleet.bats: many jobs through a GitHub that lies, with kill -9 of every
# program at random.  Every job comes to its end and runs once; nothing is
# left, here or at GitHub.
#
# FLEET_JOBS is how many (60; 1000 with SOAK=1), FLEET_SEED what decides.

load ../cli/lib

# From before the environment is scrubbed.
export LIB_SEED=${FLEET_SEED:-${LIB_SEED:-$$}}
export LIB_JOBS=${FLEET_JOBS:-${LIB_JOBS:-${SOAK:+1000}}}

setup() {
	common_setup
	mkdir -m 700 "$FORGE_STATE"
	export FORGE_CONFIG=/dev/null
	printf s3cret >webhook.secret
	echo ghp_fake >token
	door_start
	github_start --webhook-url "http://127.0.0.1:$DOOR/" \
		--webhook-secret s3cret --lost-after 3 --offline-after 1 \
		--rate-limit 100000
	cat >"$FORGE_STATE/config" <<CONF
[github "fake"]
	api = $GITHUB_URL
	token-file = $PWD/token
	webhook-secret-file = $PWD/webhook.secret
[watch]
	poll = 5s
[pool "quick"]
	scope = repo:acme/app
	labels = linux, quick
	place = here
	max = 4
	idle-timeout = 4s
	runner-command = $ROOT/tests/fake/runner-listener run
[pool "spare"]
	scope = repo:acme/app
	labels = linux
	place = here
	min-idle = 1
	max = 3
	idle-timeout = 4s
	runner-command = $ROOT/tests/fake/runner-listener run
CONF
	mkdir ran tmp
	export TMPDIR=$PWD/tmp # listeners that are killed leave theirs
	RANDOM=$LIB_SEED
	echo "# FLEET_SEED=$LIB_SEED" >&3
}

teardown() {
	forge-runner list -q .name | xargs -r forge-runner stop --now
	common_teardown
}

# One program for each connection, as inetd has it.
door_start() {
	DOOR=$(/usr/bin/python3 -c 'import socket
s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
	background door systemd-socket-activate --accept --inetd \
		-l "127.0.0.1:$DOOR" -E FORGE_STATE -E FORGE_CONFIG -E PATH \
		"$BUILD/bin/forge-webhook" --inetd
	wait_until 60 grep -q '^Listening on' door
}

# As an init system does.
keep_watch() {
	while [ ! -e stop ]; do
		forge-watch run 2>>watch.log 3>&- || true
		sleep 0.1
	done
}

pick() { eval "PICKED=\${$((RANDOM % $# + 1))}"; }

lie() {
	local rest='"path":".*"' jit='"path":"generate-jitconfig"'
	pick '{"match":{"method":"*",'"$rest"'},"times":2,"status":500}' \
		'{"match":{"method":"*",'"$rest"'},"times":3,"status":503}' \
		'{"match":{"method":"*",'"$rest"'},"times":1,"status":429,"headers":{"retry-after":"1"}}' \
		'{"match":{"method":"POST",'"$rest"'},"times":1,"status":403,"headers":{"retry-after":"1"},"body":{"message":"You have exceeded a secondary rate limit"}}' \
		'{"match":{"method":"GET",'"$rest"'},"times":1,"status":401}' \
		'{"match":{"method":"POST",'"$jit"'},"times":1,"status":409,"body":{"message":"Already exists"}}' \
		'{"match":{"method":"POST",'"$jit"'},"times":1,"after":true,"cut":true}' \
		'{"match":{"method":"POST",'"$jit"'},"times":1,"after":true,"cut":"body"}' \
		'{"match":{"method":"DELETE",'"$rest"'},"times":1,"status":422}' \
		'{"match":{"method":"DELETE",'"$rest"'},"times":1,"after":true,"cut":true}' \
		'{"match":{"method":"*",'"$rest"'},"times":2,"delay_ms":1500}' \
		'{"match":{"method":"GET",'"$rest"'},"times":1,"cut":true}' \
		'{"match":{"method":"HOOK","path":"workflow_job.queued"},"times":1,"drop":true}' \
		'{"match":{"method":"HOOK","path":"workflow_job.queued"},"times":1,"delay_ms":3000}' \
		'{"match":{"method":"HOOK","path":"workflow_job.*"},"times":2,"copies":2}' \
		'{"match":{"method":"HOOK","path":"workflow_job.*"},"times":1,"cut":true}' \
		'{"match":{"method":"HOOK","path":"workflow_job.completed"},"times":1,"drop":true}'
	fake POST /faults "$PICKED" >/dev/null
}

# ours PROGRAM: pids of those that work on our state; others run tests, too
ours() {
	local pid
	for pid in $(pgrep -x "$1" || true); do
		! grep -qsxzF "FORGE_STATE=$FORGE_STATE" "/proc/$pid/environ" ||
			echo "$pid"
	done
}

# One process of ours, whichever, dies.  Runners are counted: what had begun
# there is a failed job at GitHub.
strike() {
	local pids
	pick "forge-watch run" "forge-runner run" "forge-runner sync" \
		"forge-webhook" "forge-runner start" "forge-watch run"
	pids=$(pgrep -f "$PICKED.*$FORGE_STATE" || true)
	[ -n "$pids" ] || pids=$(ours "${PICKED%% *}")
	[ -n "$pids" ] || return 0
	# shellcheck disable=SC2086 # a list
	pick $pids
	kill -9 "$PICKED" 2>/dev/null || return 0
	strikes=$((strikes + 1))
}

open_jobs() { fake GET /state | jq '[.jobs[]? | select(.status != "completed")] | length'; }

quiet() {
	[ "$(forge-runner list -q 'select(.state != "idle" or .pool != "spare") | .name' | wc -l)" = 0 ]
}

@test "fleet: many jobs, a lying GitHub, kill -9: each runs once" {
	local n=${LIB_JOBS:-60} i id strikes=0 limit
	keep_watch &
	keeper=$!
	echo "$keeper" >>pids
	for ((i = 0; i < n; i++)); do
		pick linux linux,quick
		id=$(github_job "$PICKED" "echo x >>'$PWD/ran/'\$\$.$i")
		echo "$id" >>ids
		[ $((i % 3)) != 0 ] || lie
		[ $((i % 4)) != 0 ] || strike
		sleep "0.$((RANDOM % 3))"
	done
	limit=$((SECONDS + n * 2 + 60))
	until [ "$(open_jobs)" = 0 ]; do
		[ "$SECONDS" -lt "$limit" ] || {
			fake GET /state | jq -c '.jobs[] | select(.status != "completed")'
			forge-runner jobs
			forge-runner list
			tail -n 40 watch.log
			false
		}
		[ "$(open_jobs)" -lt 5 ] || lie
		[ "$(open_jobs)" -lt 5 ] || strike
		sleep 0.3
	done
	fake DELETE /faults >/dev/null
	fake POST /flush >/dev/null
	echo "# $n jobs, $strikes kills, $(fake GET /state |
		jq -r '[.jobs[].conclusion] | group_by(.) | map("\(length) \(.[0])") | join(", ")')" >&3

	# Each once: a script that ran twice has two files.
	[ -z "$(find ran -type f | sed 's/.*\.//' | sort | uniq -d)" ]
	# A job that GitHub calls a success did run; most are.
	[ "$(find ran -type f | wc -l)" -ge \
		"$(fake GET /state | jq '[.jobs[] | select(.conclusion == "success")] | length')" ]
	[ "$(fake GET /state | jq '[.jobs[] | select(.conclusion != "success")] | length')" -le "$strikes" ]

	# And what is known here comes to agree, by itself.
	# A job is asked for when nothing was heard of it for two minutes.
	sqlite3 "$FORGE_STATE/forge.db" \
		'UPDATE job SET updated_at = updated_at - 200000'
	agree() { [ -z "$(forge-runner jobs -q .id)" ]; }
	wait_until 60 agree
	wait_until 60 quiet
	touch stop
	kill "$(pgrep -f "forge-watch run.*$FORGE_STATE|^forge-watch run$" -P "$keeper")" || true
	wait "$keeper" || true
	forge-runner list -q .name | xargs -r forge-runner stop
	forge-runner sync >/dev/null
	[ -z "$(forge-runner list)" ]
	[ "$(fake GET /state | jq '.runners | length')" = 0 ]
	[ -z "$(forge-vm fsck -n)" ]
	[ -z "$(find "$FORGE_STATE/spool" -type f)" ]
	[ -z "$(pgrep -f "$FORGE_STATE")" ]
}
