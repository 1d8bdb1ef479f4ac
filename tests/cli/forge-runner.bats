#!/usr/bin/env bats
# forge-runner and forge-watch against the fake GitHub behind Prism.  Most
# runners live "here", with the stand-in for the listener: that is quick, and
# the place is the same few lines of shell anywhere.  The last ones boot VMs.

load lib
load images

setup_file() {
	common_setup
	github_start
	github_strict
}
teardown_file() {
	stop_background
}

setup() {
	common_setup
	mkdir -p "$FORGE_STATE"
	chmod 700 "$FORGE_STATE"
	export FORGE_CONFIG=/dev/null
	echo "$GITHUB_PAT" >token
	# Each test has a repository of its own: its jobs are its own.
	REPO=acme/t$BATS_TEST_NUMBER
	configure
}
teardown() {
	forge-runner list -q .name | xargs -r forge-runner stop --now
	common_teardown
	[ -z "$(prism_violations "$BATS_FILE_TMPDIR")" ]
}

configure() {
	cat >"$FORGE_STATE/config" <<CONF
[github "fake"]
	api = $GITHUB_URL
	token-file = $PWD/token
[pool "here"]
	scope = repo:$REPO
	labels = self-hosted, Linux
	place = here
	max = 2
	runner-command = $ROOT/tests/fake/runner-listener run
CONF
}

job() { # SCRIPT
	github_job linux,self-hosted "$1" build "$REPO"
}

runners_at_github() {
	fake GET /state | jq -r --arg repo "$REPO" \
		'[.runners[]? | select(tostring | contains($repo))] | length'
}

@test "run: one job, its result is the status, nothing left at GitHub" {
	job 'echo hello' >/dev/null
	run -0 --separate-stderr forge-runner run --pool here
	[ "$stderr" = '' ]
	[[ "$output" == *'Listening for Jobs'* ]]
	[[ "$output" == *'completed with result: Succeeded'* ]]
	[[ "$output" != *forge-place-ready* ]]
	run -0 --separate-stderr forge-runner list --all -q \
		'[.state, .result, .registered] | @tsv'
	[ "$output" = $'done\tsucceeded\tfalse' ]
	[ "$(runners_at_github)" = 0 ]
}

@test "run: a job that fails is status 1" {
	job 'exit 3' >/dev/null
	run -1 forge-runner run --pool here
	run -0 forge-runner list --all -q .result
	[ "$output" = failed ]
	[ "$(runners_at_github)" = 0 ]
}

@test "run: without a pool, all by options" {
	job true >/dev/null
	run -0 forge-runner run --scope "repo:$REPO" --labels linux,self-hosted \
		--place here --command "$ROOT/tests/fake/runner-listener run" \
		--name mine
	run -0 forge-runner show mine -q '.pool, .result, .labels'
	[ "$output" = $'null\nsucceeded\n["linux","self-hosted"]' ]
	run -4 --separate-stderr forge-runner run --pool here --name mine
	[ "$stderr" = "forge-runner: a runner named 'mine' exists or existed" ]
}

@test "run: mistakes are told before anything is begun" {
	run -3 --separate-stderr forge-runner run --pool nope
	[ "$output" = '' ]
	[ "$stderr" = "forge-runner: no pool 'nope' in the configuration; there are: here" ]
	run -2 --separate-stderr forge-runner run --labels x
	[ "${stderr_lines[0]}" = 'forge-runner: --pool, or --scope with --labels and --place, is needed' ]
	run -2 --separate-stderr forge-runner run --scope x --labels x --place here
	[[ "${stderr_lines[0]}" == *"'x'"* ]]
	run -2 --separate-stderr forge-runner run --pool here --name ../x
	[[ "${stderr_lines[0]}" == *"'../x' is not a name"* ]]
	[ -z "$(forge-runner list --all --json)" ]
	[ -z "$(forge-watch events --json)" ]
}

@test "run: a place that fails is 125, and GitHub never hears of it" {
	git config -f "$FORGE_STATE/config" place.bad.run false
	run -125 --separate-stderr forge-runner run --pool here --place bad
	[[ "$stderr" == *"the place ended with status 1 before it was up" ]]
	run -0 forge-runner list --all -q '[.result, .registered_at] | tostring'
	[ "$output" = '["error",null]' ]
	run -3 --separate-stderr forge-runner run --pool here --place none-such
	[[ "$stderr" == *"no place 'none-such': it is vm:IMAGE, agent:AGENT, garm:NAME, bwrap, here, or a [place "* ]]
}

@test "run: what a place prints before it is up is kept, and is no mark" {
	cat >prefix <<'SH'
#!/bin/sh
echo 'prefix: queued'
"$@"
SH
	chmod +x prefix
	git config -f "$FORGE_STATE/config" place.slow.run "$PWD/prefix"
	job true >/dev/null
	run -0 --separate-stderr forge-runner run --pool here --place slow
	[ "${lines[0]}" = 'prefix: queued' ]
	[[ "$output" == *Succeeded* ]]
}

@test "run: a place that is never up ends at the boot timeout" {
	git config -f "$FORGE_STATE/config" pool.here.boot-timeout 300ms
	printf '#!/bin/sh\nexec sleep 600\n' >never
	chmod +x never
	git config -f "$FORGE_STATE/config" place.never.run "$PWD/never"
	run -5 --separate-stderr forge-runner run --pool here --place never
	[[ "$stderr" == *'the place was not up within the boot timeout' ]]
	[ "$(runners_at_github)" = 0 ]
}

@test "run: a job beyond the job timeout is ended, status 5" {
	job 'sleep 60' >/dev/null
	run -5 --separate-stderr forge-runner run --pool here --job-timeout 1s
	[[ "$stderr" == *'the job ran into the job timeout' ]]
	[ "$(forge-runner list --all -q .result)" = error ]
}

@test "run: nobody gives it a job within the idle timeout" {
	git config -f "$FORGE_STATE/config" pool.here.idle-timeout 500ms
	run -0 forge-runner run --pool here
	run -0 forge-runner list --all -q '.result, .reason'
	[[ "$output" == *'no job came within the idle timeout' ]]
	[ "$(runners_at_github)" = 0 ]
}

@test "run: a JIT answer that is lost is found again by name" {
	fake POST /faults '{"match": {"method": "POST",
		"path": "generate-jitconfig"}, "status": 503, "after": true,
		"times": 1}' >/dev/null
	job true >/dev/null
	run -0 forge-runner run --pool here
	[ "$(forge-runner list --all -q .result)" = succeeded ]
	[ "$(runners_at_github)" = 0 ]
}

@test "run: GitHub refuses: one line, its status, nothing left" {
	fake POST /faults '{"match": {"method": "POST",
		"path": "generate-jitconfig"}, "status": 403, "times": 1,
		"body": {"message": "Resource not accessible"}}' >/dev/null
	run -6 --separate-stderr forge-runner run --pool here
	[[ "$stderr" == *'Resource not accessible'* ]]
	[ "$(forge-runner list --all -q .result)" = error ]
	[ "$(runners_at_github)" = 0 ]
}

@test "the JIT configuration is in no argv, environment or file" {
	job 'sleep 2' >/dev/null
	name=$(forge-runner start --pool here)
	wait_until 60 grep -q 'Running job' "$FORGE_STATE/runner/$name/log"
	# base64 of the {" that it begins with
	pids=$(pgrep -f "forge-runner run --state=$FORGE_STATE ")
	[ -n "$pids" ]
	for p in $pids; do
		[ -z "$(tr '\0' '\n' <"/proc/$p/environ" | grep JITCONFIG)" ]
		[ -z "$(tr '\0' '\n' <"/proc/$p/cmdline" | grep eyI)" ]
	done
	[ -z "$(grep -rl eyI "$FORGE_STATE/runner")" ]
	wait_until 60 forge_done "$name"
}

forge_done() { [ "$(forge-runner show "$1" -q .state)" = done ]; }
state_is() { [ "$(forge-runner show "$1" -q .state)" = "$2" ]; }

@test "start, list, show, logs, stop, rm" {
	run -0 --separate-stderr forge-runner start --pool here
	[[ "$output" == forge-???????? ]]
	[ "$stderr" = '' ]
	name=$output
	wait_until 60 state_is "$name" idle
	run -0 forge-runner list
	[[ "${lines[0]}" == 'NAME '* ]]
	[[ "${lines[1]}" == "$name idle"* ]]
	[ "$(runners_at_github)" = 1 ]
	run -4 --separate-stderr forge-runner rm "$name"
	[ "$stderr" = "forge-runner: runner '$name' is idle; stop it first: forge-runner stop $name" ]
	run -0 --separate-stderr forge-runner stop "$name"
	[ "$output$stderr" = '' ]
	[ "$(forge-runner show "$name" -q .state)" = done ]
	[ "$(runners_at_github)" = 0 ]
	run -0 forge-runner list
	[ "$output" = '' ]
	run -0 forge-runner logs "$name"
	[[ "$output" == *'Listening for Jobs'* ]]
	run -0 --separate-stderr forge-runner stop "$name"
	[ "$output$stderr" = '' ]
	run -0 --separate-stderr forge-runner rm "$name"
	[ "$output$stderr" = '' ]
	run -3 --separate-stderr forge-runner show "$name"
	[ "$stderr" = "forge-runner: no runner '$name'; 'forge-runner list --all' shows all" ]
	[ ! -e "$FORGE_STATE/runner/$name" ]
}

@test "stop: a busy runner is left alone, unless --now" {
	job 'sleep 60' >/dev/null
	name=$(forge-runner start --pool here)
	wait_until 60 grep -q 'Running job' "$FORGE_STATE/runner/$name/log"
	run -4 --separate-stderr forge-runner stop "$name"
	[ "$stderr" = "forge-runner: runner '$name' has a job; 'forge-runner stop --now $name' ends both" ]
	run -0 --separate-stderr forge-runner stop --now "$name"
	[ "$output$stderr" = '' ]
	[ "$(forge-runner show "$name" -q .result)" = cancelled ]
}

@test "sync: after kill -9 the row is lost and the ghost removed" {
	name=$(forge-runner start --pool here)
	wait_until 60 state_is "$name" idle
	pid=$(pgrep -f "forge-runner run --state=$FORGE_STATE ")
	kill -9 "$pid"
	wait_until 60 bash -c "[ ! -e /proc/$pid ]"
	run -0 --separate-stderr forge-runner sync -n
	[ "$output" = "runner '$name': its supervisor is dead" ]
	run -0 --separate-stderr forge-runner sync
	[ "${lines[0]}" = "runner '$name': its supervisor is dead" ]
	[ "${lines[1]}" = "runner '$name': removed at GitHub" ]
	run -0 --separate-stderr forge-runner sync
	[ "$output$stderr" = '' ]
	[ "$(forge-runner show "$name" -q .result)" = lost ]
	[ "$(runners_at_github)" = 0 ]
}

@test "watch: another one on the same state is refused" {
	background watch.log forge-watch run
	wait_until 60 forge-watch status --quiet >/dev/null
	run -4 --separate-stderr forge-watch run --once
	[ "$stderr" = "forge-watch: another forge-watch runs on '$FORGE_STATE'" ]
}

@test "watch: HUP reads the configuration again, a broken one changes nothing" {
	background watch.log forge-watch run
	pid=$LAST_PID
	wait_until 60 forge-watch status --quiet >/dev/null
	echo '[pool' >>"$FORGE_STATE/config"
	kill -HUP "$pid"
	wait_until 60 grep -q 'event=watch.reload ' watch.log
	configure
	kill -HUP "$pid"
	wait_until 60 grep -q 'event=watch.reloaded' watch.log
	kill -0 "$pid"
}

@test "watch: as many runners as jobs, at most max, and none too many" {
	command -v forge-webhook >/dev/null
	for i in 1 2 3; do
		id=$(job 'sleep 1')
		gh GET "/repos/$REPO/actions/jobs/$id" >"job.$i"
		jq -n --arg repo "$REPO" --slurpfile j "job.$i" '{action: "queued",
			workflow_job: $j[0], repository: {full_name: $repo, id: 1,
			name: "x", owner: {login: "acme"}}}' |
			forge-webhook accept --unsigned --event workflow_job \
				--delivery "guid-$BATS_TEST_NUMBER-$i" >/dev/null
	done
	[ "$(forge-runner jobs -q .id | wc -l)" = 3 ]
	run -0 forge-runner pools -q '[.queued, .start, .verdict] | @tsv'
	[ "$output" = $'3\t2\tpool full' ]
	run -0 --separate-stderr forge-watch run --once
	[ "$output$stderr" = '' ]
	[ "$(forge-runner list -q .name | wc -l)" = 2 ]
	run -0 --separate-stderr forge-watch run --once
	[ "$(forge-runner list -q .name | wc -l)" -le 2 ]
}

@test "watch: events, from the beginning, filtered, and followed" {
	job true >/dev/null
	forge-runner run --pool here >/dev/null
	run -0 forge-watch events -q .kind
	[ "$output" = 'runner.requested
runner.booted
runner.registering
runner.registered
runner.ending
runner.removed
runner.done' ]
	run -0 forge-watch events --since 5 -q .seq
	[ "$output" = $'6\n7' ]
	job true >/dev/null
	background follow timeout 20 forge-watch events -f --since 7 \
		--until runner.done -q .kind
	pid=$LAST_PID
	forge-runner run --pool here >/dev/null
	wait "$pid"
	[ "$(tail -n 1 follow)" = runner.done ]
	[ "$(wc -l <follow)" = 7 ]
}

# delivery ACTION JOB_ID: what GitHub says of a job, as a webhook
delivery()
{
	gh GET "/repos/$REPO/actions/jobs/$2" >job.json
	jq -n --arg repo "$REPO" --arg action "$1" --slurpfile j job.json '{
		$action, workflow_job: $j[0], repository: {full_name: $repo,
		id: 1, name: "x", owner: {login: "acme"}}}' |
		forge-webhook accept --unsigned --event workflow_job \
			--delivery "$BATS_TEST_NUMBER-$1-$2" >/dev/null
}

@test "trim: the runner of a cancelled job goes, a busy one stays" {
	id=$(job 'sleep 1')
	delivery queued "$id"
	fake POST "/jobs/$id/cancel" >/dev/null
	forge-watch run --once
	name=$(forge-runner list -q .name)
	wait_until 60 state_is "$name" idle
	run -0 --separate-stderr forge-runner trim
	[ "$output$stderr" = '' ]
	delivery completed "$id"
	run -0 forge-runner pools -q '[.start, .remove, .verdict] | @tsv'
	[ "$output" = $'0\t1\tenough' ]
	run -0 --separate-stderr forge-runner trim -n
	[ "$output" = "runner '$name': no job waits for it" ]
	run -0 --separate-stderr forge-runner trim
	[ "$output" = "runner '$name': removed, no job waited for it" ]
	wait_until 60 state_is "$name" done
	[ "$(forge-runner show "$name" -q .result)" = unused ]
	[ "$(runners_at_github)" = 0 ]
	# one that took another's job meanwhile
	name=$(forge-runner start --pool here --on-demand)
	wait_until 60 state_is "$name" idle
	job 'sleep 60' >/dev/null
	wait_until 60 grep -q 'Running job' "$FORGE_STATE/runner/$name/log"
	run -0 --separate-stderr forge-runner trim
	[ "$output" = "runner '$name': kept, it has a job" ]
	run -0 --separate-stderr forge-runner trim
	[ "$output$stderr" = '' ]
	# one that a person asked for
	name=$(forge-runner start --pool here)
	wait_until 60 state_is "$name" idle
	run -0 --separate-stderr forge-runner trim
	[ "$output$stderr" = '' ]
}

@test "a job's labels shape its runner, as far as the pool allows" {
	git config -f "$FORGE_STATE/config" pool.here.allow-cpus 4
	id=$(github_job linux,forge-cpus=3 true build "$REPO")
	delivery queued "$id"
	id=$(github_job linux,forge-cpus=5 true build "$REPO")
	delivery queued "$id"
	run -0 forge-runner pools -q '[.queued, .start] | @tsv'
	[ "$output" = $'1\t1' ]
	forge-watch run --once
	run -0 forge-runner list --all -q '.labels | tostring'
	[ "$output" = '["forge-cpus=3","linux","self-hosted"]' ]
	name=$(forge-runner list --all -q .name)
	wait_until 60 forge_done "$name"
	[ "$(forge-runner show "$name" -q .result)" = succeeded ]
}

# A listener with a home of its own, as a real one has; it knows one job more.
listener_home()
{
	mkdir -p home/bin home/_diag
	cp "$ROOT/tests/fake/runner-listener" home/bin/Runner.Listener
	echo 'what went wrong' >home/_diag/Runner_1.log
	git config -f "$FORGE_STATE/config" pool.here.runner-command \
		"$PWD/home/bin/Runner.Listener run"
}

@test "hold: the place of a failed job stays, for its time or until stop" {
	git config -f "$FORGE_STATE/config" pool.here.hold-on-failure 1h
	listener_home
	job 'exit 3' >/dev/null
	name=$(forge-runner start --pool here)
	wait_until 60 state_is "$name" held
	[ "$(runners_at_github)" = 0 ]
	run -0 forge-runner logs --diag "$name"
	[ "$(forge-runner logs --diag "$name" | tar -xzO)" = 'what went wrong' ]
	# it takes room, but no job
	[ "$(forge-runner pools -q .ending)" = 1 ]
	run -0 --separate-stderr forge-runner stop "$name"
	[ "$output$stderr" = '' ]
	[ "$(forge-runner show "$name" -q .result)" = failed ]
	# for its time: what is left can be changed
	job 'exit 3' >/dev/null
	name=$(forge-runner start --pool here --hold-on-failure 1s)
	wait_until 60 state_is "$name" held
	run -0 --separate-stderr forge-runner hold --for 3s "$name"
	[ "$output$stderr" = '' ]
	sleep 1.5
	state_is "$name" held
	wait_until 60 forge_done "$name"
	run -4 --separate-stderr forge-runner hold "$name"
	[ "$stderr" = "forge-runner: runner '$name' is done: there is nothing left to hold" ]
}

@test "hold: asked for while the job runs; a job that succeeds is not held" {
	job 'sleep 1; exit 1' >/dev/null
	name=$(forge-runner start --pool here)
	wait_until 60 grep -q 'Running job' "$FORGE_STATE/runner/$name/log"
	forge-runner hold "$name"
	wait_until 60 state_is "$name" held
	forge-runner stop "$name"
	job true >/dev/null
	run -0 forge-runner run --pool here --hold-on-failure 1h
	run -3 --separate-stderr forge-runner logs --diag "$name"
	[ "$stderr" = "forge-runner: runner '$name' left no diagnostics" ]
}

@test "run: a listener that never comes online ends, status 5" {
	printf '#!/bin/sh\nexec sleep 600\n' >mute
	chmod +x mute
	run -5 --separate-stderr forge-runner run --pool here \
		--command "$PWD/mute" --register-timeout 500ms
	[[ "$stderr" == *'the listener was not online within the register timeout' ]]
	[ "$(forge-runner list --all -q .result)" = error ]
	[ "$(runners_at_github)" = 0 ]
	# one that is online waits on
	run -0 forge-runner run --pool here --register-timeout 500ms \
		--idle-timeout 2s
	[ "$(forge-runner list --all -q 'select(.result == "unused") | .reason')" = \
		'no job came within the idle timeout' ]
}

@test "run: TERM removes an idle runner at GitHub before it ends" {
	forge-runner start --pool here >name
	wait_until 60 state_is "$(cat name)" idle
	kill "$(pgrep -f "forge-runner run --state=$FORGE_STATE ")"
	wait_until 60 forge_done "$(cat name)"
	run -0 forge-watch events -q .kind
	[ "$(tail -n 3 <<<"$output" | tr '\n' ' ')" = \
		'runner.removed runner.ending runner.done ' ]
	[ "$(forge-runner show "$(cat name)" -q .result)" = unused ]
}

@test "run: GitHub's word on the result counts" {
	id=$(job 'exit 1')
	delivery queued "$id"
	run -1 forge-runner run --pool here
	name=$(forge-runner list --all -q .name)
	[ "$(forge-runner show "$name" -q '[.result, .version] | @tsv')" = \
		$'failed\t2.329.0' ]
	gh GET "/repos/$REPO/actions/jobs/$id" |
		jq --arg repo "$REPO" '{action: "completed", workflow_job:
		(. + {conclusion: "cancelled"}), repository: {full_name: $repo,
		id: 1, name: "x", owner: {login: "acme"}}}' |
		forge-webhook accept --unsigned --event workflow_job \
			--delivery "late-$id" >/dev/null
	[ "$(forge-runner show "$name" -q .result)" = cancelled ]
	[ "$(forge-watch events -q .kind | tail -n 1)" = runner.corrected ]
}

@test "run: GitHub is asked where the listener cannot say its result" {
	listener_home
	id=$(job 'sleep 60')
	delivery queued "$id"
	name=$(forge-runner start --pool here)
	wait_until 60 grep -q 'Running job' "$FORGE_STATE/runner/$name/log"
	delivery in_progress "$id"
	state_is "$name" busy
	pid=$(pgrep -of "^/bin/sh $PWD/home/bin/Runner.Listener run")
	kill -STOP "$pid"
	fake POST "/jobs/$id/finish" '{"conclusion": "failure"}' >/dev/null
	kill -KILL "$pid"
	wait_until 60 forge_done "$name"
	[ "$(forge-runner show "$name" -q .result)" = failed ]
}

@test "sync: runners that ended long ago are forgotten" {
	job true >/dev/null
	forge-runner run --pool here >/dev/null
	name=$(forge-runner list --all -q .name)
	run -0 --separate-stderr forge-runner sync
	[ "$output$stderr" = '' ]
	git config -f "$FORGE_STATE/config" forge.keep-runners 0
	run -0 --separate-stderr forge-runner sync -n
	[ "$output" = "runner '$name': forgotten, it is old" ]
	run -0 --separate-stderr forge-runner sync
	[ "$output" = "runner '$name': forgotten, it is old" ]
	[ -z "$(forge-runner list --all -q .name)" ]
	[ ! -e "$FORGE_STATE/runner/$name" ]
	run -0 --separate-stderr forge-runner sync
	[ "$output$stderr" = '' ]
}

@test "sync: a listener that GitHub will refuse is told of, then not started" {
	job true >/dev/null
	forge-runner run --pool here >/dev/null
	forge-runner sync
	db() { sqlite3 "$FORGE_STATE/forge.db" "$1"; }
	[ "$(db 'SELECT version FROM release')" = 2.329.0 ]
	day=$((24 * 3600 * 1000))
	db "INSERT INTO release SELECT '2.340.0', seen_at - 21 * $day,
		asked_at FROM release"
	run -0 --separate-stderr forge-runner sync -n
	[ "$output" = "pool 'here': its listener 2.329.0 is 21 days behind 2.340.0, and GitHub gives it no jobs after 30: make its image anew" ]
	db "UPDATE runner SET done_at = done_at - 60000"
	delivery queued "$(job true)"
	[ "$(forge-runner pools -q .verdict)" = start ]
	db "UPDATE release SET seen_at = seen_at - 8 * $day"
	[ "$(forge-runner pools -q .verdict)" = 'runner too old' ]
	# but for a try an hour
	db "UPDATE runner SET done_at = done_at - 3600001"
	[ "$(forge-runner pools -q .verdict)" = start ]
}

@test "run: a name that lives elsewhere is not taken from it" {
	forge-runner start --pool here --name "twin-$BATS_TEST_NUMBER"
	wait_until 60 grep -q Listening \
		"$FORGE_STATE/runner/twin-$BATS_TEST_NUMBER/log"
	mkdir -m 700 other
	cp "$FORGE_STATE/config" other/
	run -4 --separate-stderr forge-runner run -C other --pool here \
		--name "twin-$BATS_TEST_NUMBER"
	[[ "$stderr" == *"'twin-$BATS_TEST_NUMBER' at 'repo:$REPO' is another one that is alive" ]]
	[ "$(runners_at_github)" = 1 ]
	state_is "twin-$BATS_TEST_NUMBER" idle
}
