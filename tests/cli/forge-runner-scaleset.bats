# forge-runner scaleset: demand by long poll, from the Actions service of the
# fake GitHub.  GitHub describes that service nowhere, so there is no Prism.

# shellcheck disable=SC2030,SC2031,SC2154

load lib

setup_file()
{
	common_setup
	github_start --runner-group large
}

teardown_file()
{
	stop_background
}

setup()
{
	common_setup
	export FORGE_CONFIG=/dev/null
	mkdir -m 700 state
	echo "$GITHUB_PAT" >token
	REPO=acme/t$BATS_TEST_NUMBER
	SET=set-$BATS_TEST_NUMBER
	configure
}

teardown()
{
	fake DELETE /faults
	fake POST /config '{"poll":50}' >/dev/null
	forge-runner list -q .name | xargs -r forge-runner stop --now
	common_teardown
}

configure() # [LINE...] of the pool
{
	printf '[github "fake"]\n\tapi = %s\n\ttoken-file = %s\n' \
		"$GITHUB_URL" "$PWD/token" >state/config
	cat >>state/config <<-CONF
		[pool "set"]
			scope = repo:$REPO
			scale-set = $SET
			place = here
			max = 3
			runner-command = $ROOT/tests/fake/runner-listener run
	CONF
	[ $# = 0 ] || printf '\t%s\n' "$@" >>state/config
}

job() # SCRIPT [LABELS]
{
	github_job "${2:-$SET}" "$1" build "$REPO"
}

# The set as GitHub has it
at_github()
{
	fake GET /state | jq -r --arg set "$SET" \
		".scalesets[] | select(.name == \$set) | $1"
}

serve()
{
	background scaleset.log forge-runner -v scaleset set
	SERVE=$LAST_PID
	wait_until 60 has_session
}

has_session()
{
	[ "$(at_github .session)" = true ]
}

states()
{
	forge-runner jobs --all -q '[.state, .conclusion] | join(" ")' |
		sort | xargs
}

jobs_are()
{
	[ "$(states)" = "$1" ]
}

@test "a set is made, its jobs are acquired, run and acknowledged" {
	serve
	job 'echo one' >/dev/null
	job 'exit 3' >/dev/null
	wait_until 60 jobs_are "queued queued"
	[ "$(forge-runner pools -q '"\(.queued) \(.start)"')" = "2 2" ]
	[ "$(forge-runner jobs -q .labels[] | sort -u)" = "scale-set:$SET" ]
	background watch.log forge-watch run
	WATCH=$LAST_PID
	wait_until 60 jobs_are "completed failure completed success"
	wait_until 60 acknowledged
	[ "$(at_github .statistics.totalRegisteredRunners)" = 0 ]
	# Each has its runner, and its timeline.
	id=$(forge-runner jobs --all -q .id | head -n 1)
	[ "$id" -gt 4503599627370496 ]
	forge-runner why "$id" -q .kind | grep -q '^runner.done$'
	stop_pid "$WATCH"
	kill "$SERVE"
	wait "$SERVE"
	[ "$(at_github .session)" = false ]
}

acknowledged()
{
	[ "$(at_github '.queue + .news | length')" = 0 ]
}

@test "a job that was queued before, and one that is cancelled" {
	first=$(job true)
	serve
	wait_until 60 jobs_are queued
	fake POST "/jobs/$first/cancel"
	wait_until 60 jobs_are "completed cancelled"
}

@test "kill -9: the session that is left over is ended, not waited for" {
	serve
	kill -KILL "$SERVE"
	wait "$SERVE" || :
	has_session
	job true >/dev/null
	SECONDS=0
	serve
	wait_until 60 jobs_are queued
	[ "$SECONDS" -lt 8 ]
	run -1 grep conflict scaleset.log
}

@test "a session of another host is a conflict that is waited for" {
	serve
	kill -TERM "$SERVE"
	wait "$SERVE"
	cp -r state other
	background other.log forge-runner -v -C "$PWD/other" scaleset set
	OTHER=$LAST_PID
	wait_until 60 has_session
	background scaleset.log forge-runner -v scaleset set
	SERVE=$LAST_PID
	wait_until 60 grep -q "scaleset.conflict .*already has an active session" \
		scaleset.log
	kill "$OTHER"
	wait "$OTHER"
	wait_until 60 has_session
	job true >/dev/null
	wait_until 60 jobs_are queued
}

@test "expired tokens of the queue and of the service are renewed" {
	fake POST /config '{"poll":1}' >/dev/null
	serve
	fake POST /tokens/revoke '{}' >/dev/null
	sleep 1.5
	job true >/dev/null
	wait_until 60 jobs_are queued
	run -1 grep failed scaleset.log
}

@test "what fails is tried again: 500, a cut connection, a lost answer" {
	fake POST /config '{"poll":1}' >/dev/null
	serve
	fake POST /faults '{"match":{"method":"GET","path":"/queue/"},"status":500}'
	fake POST /faults '{"match":{"method":"POST","path":"acquirejobs"},"after":true,"cut":true}'
	fake POST /faults '{"match":{"method":"DELETE","path":"/queue/"},"cut":true}'
	job true >/dev/null
	wait_until 60 jobs_are queued
	wait_until 60 acknowledged
	grep -q 'scaleset.failed ' scaleset.log
}

@test "jobs that the set no longer has are gone here, too" {
	serve
	kill "$SERVE"
	wait "$SERVE"
	sqlite3 state/forge.db "INSERT INTO job (id, run_id, repo, name, labels,
		state, updated_at) VALUES (4503599627370497, 1, '$REPO', 'x',
		'[\"scale-set:$SET\"]', 'queued', 1)"
	serve
	wait_until 60 jobs_are "completed gone"
}

@test "labels and the runner group of the set" {
	configure 'labels = linux,x64' 'runner-group = large'
	serve
	[ "$(at_github '"\(.labels | join(",")) \(.group)"')" = \
		"$SET,linux,x64 2" ]
	job true linux,x64 >/dev/null
	wait_until 60 jobs_are queued
}

watch_start()
{
	background watch.log forge-watch -v run
	WATCH=$LAST_PID
	wait_until 60 has_session
}

has_no_session()
{
	[ "$(at_github .session)" = false ]
}

scaleset_pid()
{
	pgrep -P "$WATCH" -f 'forge-runner scaleset'
}

another_scaleset() # PID
{
	local pid
	pid=$(scaleset_pid) && [ "$pid" != "$1" ]
}

@test "forge-watch serves the set of each pool: a job from end to end" {
	job 'echo one' >/dev/null
	watch_start
	run -4 forge-runner scaleset set
	wait_until 60 jobs_are "completed success"
	wait_until 60 acknowledged
	kill "$WATCH"
	wait "$WATCH"
	wait_until 60 has_no_session
	run -1 pgrep -f "forge-runner scaleset --state=$FORGE_STATE"
}

@test "forge-watch: kill -9 of the long poll, or of itself, loses no job" {
	local pid
	watch_start
	pid=$(scaleset_pid)
	kill -KILL "$pid"
	job true >/dev/null
	wait_until 60 another_scaleset "$pid"
	wait_until 60 jobs_are "completed success"
	kill -KILL "$WATCH"
	wait "$WATCH" || :
	job 'exit 1' >/dev/null
	watch_start
	wait_until 60 jobs_are "completed failure completed success"
	wait_until 60 acknowledged
}

@test "forge-watch: a conflict with another host's session ends by itself" {
	cp -r state other
	background other.log forge-runner -v -C "$PWD/other" scaleset set
	OTHER=$LAST_PID
	wait_until 60 has_session
	watch_start
	wait_until 60 grep -q 'scaleset.conflict ' watch.log
	kill "$OTHER"
	wait "$OTHER"
	job true >/dev/null
	wait_until 60 jobs_are "completed success"
}

@test "forge-watch: SIGHUP starts and ends them with the configuration" {
	local pid
	watch_start
	pid=$(scaleset_pid)
	configure 'max = 2'
	kill -HUP "$WATCH"
	wait_until 60 another_scaleset "$pid"
	wait_until 60 has_session
	sed -i '/scale-set/s/.*/\tlabels = x/' state/config
	kill -HUP "$WATCH"
	wait_until 60 has_no_session
	run -1 scaleset_pid
	configure
	kill -HUP "$WATCH"
	wait_until 60 has_session
}

@test "refusals" {
	run -3 --separate-stderr forge-runner scaleset none
	sed -i '/scale-set/s/.*/\tlabels = x/' state/config
	run -1 --separate-stderr forge-runner scaleset set
	[ "$stderr" = "forge-runner: pool 'set' has no scale-set in the configuration" ]
	configure
	serve
	run -4 --separate-stderr forge-runner scaleset set
	[ "$stderr" = "forge-runner: another process serves the scale set of pool 'set'" ]
}
