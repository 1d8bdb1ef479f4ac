# forge-runner sync --jobs: runners that only GitHub knows, or only we.

# shellcheck disable=SC2030,SC2031

load lib

setup()
{
	common_setup
	export FORGE_CONFIG=/dev/null
	mkdir -m 700 state
	github_start
	echo "$GITHUB_PAT" >token
	cat >state/config <<-CONF
		[github "hub"]
			api = $GITHUB_URL
			token-file = $PWD/token
		[pool "p"]
			scope = repo:acme/app
			labels = linux
			place = here
			runner-command = $ROOT/tests/fake/runner-listener run
	CONF
	forge-runner list
}

teardown()
{
	forge-runner list -q .name | xargs -r forge-runner stop --now
	common_teardown
}

mint() # NAME: at GitHub, and nowhere else
{
	gh POST /repos/acme/app/actions/runners/generate-jitconfig \
		-d "{\"name\":\"$1\",\"runner_group_id\":1,\"labels\":[\"linux\"]}" |
		jq .runner.id
}

at_github()
{
	gh GET /repos/acme/app/actions/runners |
		jq -r '[.runners[].name] | sort | join(" ")'
}

sync_jobs() # [OPTION...]
{
	run -0 --separate-stderr forge-runner sync --jobs "$@"
}

# As if what was noted had been seen ten minutes ago.
later()
{
	sqlite3 state/forge.db "UPDATE etag SET body = body - 600000
		WHERE url LIKE 'orphan %'"
}

notes()
{
	sqlite3 state/forge.db "SELECT count(*) FROM etag
		WHERE url LIKE 'orphan %'"
}

is_idle()
{
	[ "$(forge-runner list -q .state)" = idle ]
}

@test "orphans: at GitHub and not here: removed, the second time" {
	mint forge-ab12cd34
	mint other-ab12cd34
	mint forge-by-hand
	sync_jobs --dry-run
	[ "$output" = "runner 'forge-ab12cd34': at 'repo:acme/app', and not known here" ]
	[ "$(notes)" = 0 ]
	sync_jobs
	[ "$output" = "runner 'forge-ab12cd34': at 'repo:acme/app', and not known here" ]
	sync_jobs
	[ "$(at_github)" = "forge-ab12cd34 forge-by-hand other-ab12cd34" ]
	later
	sync_jobs --dry-run
	[ "$(at_github)" = "forge-ab12cd34 forge-by-hand other-ab12cd34" ]
	sync_jobs
	[ "$output" = "runner 'forge-ab12cd34': not known here, removed at GitHub" ]
	[ "$(at_github)" = "forge-by-hand other-ab12cd34" ]
	[ "$(notes)" = 0 ]
	sync_jobs
	[ "$output" = "" ]
}

@test "orphans: here and not at GitHub: ended, the second time" {
	# A listener that hangs: one that lives would notice.
	sed -i '/runner-command/s/=.*/= sleep 3600/' state/config
	forge-runner start --pool p
	wait_until 60 is_idle
	name=$(forge-runner list -q .name)
	sync_jobs
	[ "$output" = "" ]
	id=$(gh GET /repos/acme/app/actions/runners | jq '.runners[0].id')
	gh DELETE "/repos/acme/app/actions/runners/$id"
	sync_jobs
	[ "$output" = "runner '$name': not at 'repo:acme/app' any more" ]
	[ "$(forge-runner list -q .state)" = idle ]
	later
	sync_jobs
	[ "$output" = "runner '$name': GitHub has it no more, ended" ]
	[ "$(forge-runner list)" = "" ]
	[ "$(notes)" = 0 ]
}

@test "orphans: a GitHub that fails removes none" {
	mint forge-ab12cd34
	sync_jobs
	later
	fake POST /faults '{"match":{"method":"GET","path":"/actions/runners"},"times":20,"status":500}' >/dev/null
	run forge-runner sync --jobs
	[[ $output == *"'repo:acme/app' was not asked for runners: "* ]]
	fake DELETE /faults >/dev/null
	[ "$(at_github)" = forge-ab12cd34 ]
	[ "$(notes)" = 1 ]
}
