# forge-runner sync --jobs: jobs that no webhook told of, from the fake GitHub
# behind Prism.

# shellcheck disable=SC2030,SC2031,SC2154

load lib

setup_file()
{
	common_setup
	app_key
	github_start --app-id 7 --app-key-pub app.pub
	if command -v npm >/dev/null; then
		github_strict
	fi
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
	repo=acme/t$BATS_TEST_NUMBER
	echo "$GITHUB_PAT" >token
	configure "token-file = $PWD/token"
}

teardown()
{
	fake DELETE /faults
	common_teardown
	if [ -d "$BATS_FILE_TMPDIR/prism" ]; then
		[ -z "$(prism_violations "$BATS_FILE_TMPDIR")" ]
	fi
}

# configure AUTH... : one pool, of $SCOPE (this test's repository)
configure()
{
	printf '[github "hub"]\n\tapi = %s\n' "$GITHUB_URL" >state/config
	printf '\t%s\n' "$@" >>state/config
	printf '[pool "p"]\n\tscope = %s\n\tlabels = linux\n\tplace = here\n' \
		"${SCOPE:-repo:$repo}" >>state/config
}

job() # [NAME]
{
	github_job linux true "${1:-build}" "${2:-$repo}"
}

sync_jobs() # STATUS [OPTION...]
{
	run "-$1" --separate-stderr forge-runner sync --jobs "${@:2}"
}

jobs()
{
	forge-runner jobs --all -q '"\(.id) \(.state) \(.conclusion)"' |
		xargs
}

requests()
{
	fake GET /requests | jq -r '.[] | "\(.status) \(.path)"'
}

@test "a job that no webhook told of is found, and an event says so" {
	a=$(job) b=$(job)
	sync_jobs 0
	[ "$(sort <<<"$output")" = "job $a of '$repo': queued
job $b of '$repo': queued" ]
	[ "$stderr" = "" ]
	[ "$(jobs)" = "$a queued null $b queued null" ]
	[ "$(forge-watch events -q 'select(.kind == "job.queued").subject' |
		xargs)" = "$a $b" ] ||
		[ "$(forge-watch events -q 'select(.kind == "job.queued").subject' |
			xargs)" = "$b $a" ]
	sync_jobs 0
	[ "$output" = "" ]
}

@test "what did not change is answered with 304" {
	job
	sync_jobs 0
	n=$(requests | wc -l)
	sync_jobs 0
	[ "$(requests | tail -n +$((n + 1)) | grep -c '^304 .*/jobs$')" = 1 ]
}

@test "--dry-run tells and changes nothing" {
	a=$(job)
	sync_jobs 0 --dry-run
	[ "$output" = "job $a of '$repo': queued" ]
	[ "$(jobs)" = "" ]
	sync_jobs 0
	[ "$output" = "job $a of '$repo': queued" ]
}

@test "a job whose end no webhook told of" {
	a=$(job)
	sync_jobs 0
	fake POST "/jobs/$a/cancel"
	sync_jobs 0
	[ "$output" = "" ] # it was looked at a moment ago
	sqlite3 state/forge.db "UPDATE job SET updated_at = updated_at - 300000"
	sync_jobs 0
	[ "$output" = "job $a of '$repo': completed" ]
	[ "$(jobs)" = "$a completed cancelled" ]
}

@test "a job that GitHub does not know, twice, is gone" {
	a=$(job)
	sync_jobs 0
	gone="UPDATE job SET updated_at = updated_at - 300000,
		missing_at = missing_at - 300000"
	sqlite3 state/forge.db "DELETE FROM etag; $gone"
	fake POST /faults '{"match":{"path":"/actions/runs$"},"times":-1,"status":200,"body":{"total_count":0,"workflow_runs":[]}}'
	fake POST /faults "{\"match\":{\"path\":\"/actions/jobs/$a\"},\"times\":-1,\"status\":404}"
	sync_jobs 0
	[ "$output" = "" ]
	[ "$(jobs)" = "$a queued null" ]
	sync_jobs 0
	[ "$(jobs)" = "$a queued null" ]
	# It is there again: one stale answer does no harm.
	fake DELETE /faults
	sync_jobs 0
	[ "$(sqlite3 state/forge.db 'SELECT missing_at FROM job')" = "" ]
	fake POST /faults '{"match":{"path":"/actions/runs$"},"times":-1,"status":200,"body":{"total_count":0,"workflow_runs":[]}}'
	fake POST /faults "{\"match\":{\"path\":\"/actions/jobs/$a\"},\"times\":-1,\"status\":404}"
	sqlite3 state/forge.db "$gone"
	sync_jobs 0
	sqlite3 state/forge.db "$gone"
	sync_jobs 0
	[ "$output" = "job $a of '$repo': gone" ]
	[ "$(jobs)" = "$a completed gone" ]
}

@test "an organization: the repositories that the App, or a token, sees" {
	SCOPE=org:initech$BATS_TEST_NUMBER repo=initech$BATS_TEST_NUMBER/app
	a=$(job)
	b=$(job build "initech$BATS_TEST_NUMBER/other")
	configure "app-id = 7" "key-file = $BATS_FILE_TMPDIR/app.pem"
	sync_jobs 0
	[ "$(jobs)" = "$a queued null $b queued null" ]
	[ "$(sqlite3 state/forge.db 'SELECT DISTINCT org FROM job')" = \
		"initech$BATS_TEST_NUMBER" ]
	rm -r state && mkdir -m 700 state
	configure "token-file = $PWD/token"
	sync_jobs 0
	[ "$(jobs)" = "$a queued null $b queued null" ]
}

@test "one that cannot be asked does not keep the others" {
	a=$(job)
	printf '[pool "q"]\n\tscope = repo:acme/none\n\tlabels = x\n\tplace = here\n' \
		>>state/config
	fake POST /faults '{"match":{"path":"/repos/acme/none/"},"times":-1,"status":404}'
	sync_jobs 3
	[ "${lines[0]}" = "job $a of '$repo': queued" ]
	[[ ${lines[1]} == "'acme/none' was not asked for jobs: GET "*" failed: 404: fault" ]]
	[[ $stderr == "forge-runner: GET "*" failed: 404: fault" ]]
}
