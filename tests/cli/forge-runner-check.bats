# forge-runner check, against the fake GitHub behind Prism.

# shellcheck disable=SC2030,SC2031,SC2154

load lib

setup_file()
{
	common_setup
	app_key
	github_start --app-id 7 --app-key-pub app.pub --install acme
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
	echo s3cret >secret
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

configure()
{
	cat >state/config <<-CONF
		[pool "p"]
			scope = ${SCOPE:-repo:acme/app}
			labels = linux
			place = here
		[github "hub"]
			api = $GITHUB_URL
			webhook-secret-file = $PWD/secret
	CONF
	printf '\t%s\n' "$@" >>state/config
}

check() # STATUS
{
	run "-$1" --separate-stderr forge-runner check \
		-q '"\(.what): \(.result): \(.detail)"'
	output=$(sed 's/[0-9-]*T[0-9:.]*Z/TIME/; s/^\(budget: ok: \)[0-9]*/\1N/' \
		<<<"$output")
	mapfile -t lines <<<"$output"
}

@test "a token that is good" {
	check 0
	[ "$output" = "credentials: ok: a token
runners repo:acme/app: ok: may be read
jobs repo:acme/app: ok: may be read
budget: ok: N of 5000 calls are left until TIME
webhook: unknown: none has come yet" ]
	[ "$stderr" = "" ]
}

@test "an App, an organization and its group" {
	SCOPE=org:acme
	configure "app-id = 7" "key-file = $BATS_FILE_TMPDIR/app.pem"
	sed -i 's/place = here/&\n\trunner-group = Default/' state/config
	check 0
	[ "${lines[0]}" = "credentials: ok: the App 'forge-fake'" ]
	[ "${lines[1]}" = "runners org:acme: ok: may be read" ]
	[ "${lines[2]}" = "group Default: ok: its id is 1" ]
	sed -i 's/Default/none/' state/config
	check 1
	[ "${lines[2]}" = "group none: failed: 'org:acme' has no runner group 'none'" ]
}

@test "an App that is not installed there" {
	SCOPE=org:initech
	configure "app-id = 7" "key-file = $BATS_FILE_TMPDIR/app.pem"
	check 1
	[ "${lines[1]}" = "runners org:initech: failed: hub needs the permission organization_self_hosted_runners: write: the App of github 'hub' has no installation at 'orgs/initech': install it there" ]
}

@test "what is not allowed" {
	fake POST /faults '{"match":{"path":"/actions/runners"},"status":403,"headers":{"X-RateLimit-Remaining":"5"},"body":{"message":"Resource not accessible by integration"}}'
	check 1
	[[ ${lines[1]} == "runners repo:acme/app: failed: hub needs the permission administration: write: GET "*" failed: 403: Resource not accessible by integration" ]]
	[ "${lines[2]}" = "jobs repo:acme/app: ok: may be read" ]
}

@test "a limit that GitHub told of" {
	fake POST /faults '{"match":{"path":"/actions/runners"},"status":429,"headers":{"Retry-After":"300"},"body":{"message":"slow down","documentation_url":"x"}}'
	check 1
	[ "${lines[1]}" = "runners repo:acme/app: failed: github 'hub' takes no more calls until TIME: slow down" ]
	[[ $output == *"budget: failed: no calls until TIME: slow down"* ]]
}

@test "webhooks: one that came, and one that did not" {
	jq -n '{action: "queued", workflow_job: {id: 7, run_id: 5, name: "x",
		labels: ["a"]}, repository: {full_name: "acme/app"}}' >body
	forge-webhook accept --delivery one --signature "sha256=$(openssl \
		dgst -sha256 -hmac s3cret -r body | cut -d' ' -f1)" <body
	check 0
	[ "${lines[4]}" = "webhook: ok: the last one came at TIME" ]
	configure "app-id = 7" "key-file = $BATS_FILE_TMPDIR/app.pem"
	fake POST /config '{"webhook_url":"http://127.0.0.1:1/"}' >/dev/null
	github_job linux true >/dev/null
	fake POST /flush >/dev/null
	check 1
	[[ $output == *"webhook: failed: GitHub's newest delivery failed: failed to connect to host; 'forge-webhook redeliver' takes those" ]]
}

@test "nothing to check, and credentials that are none" {
	echo ghp_wrong >token
	fake POST /faults '{"match":{"path":"/rate_limit"},"status":401,"body":{"message":"Bad credentials"}}'
	check 1
	[[ ${lines[0]} == "credentials: failed: token-file of github 'hub' is not accepted: GET "*" failed: 401: Bad credentials" ]]
	rm token
	check 1
	[ "${lines[0]}" = "credentials: failed: token-file of github 'hub': cannot open '$PWD/token': No such file or directory" ]
	: >state/config
	run -3 --separate-stderr forge-runner check
	[ "$stderr" = 'forge-runner: no [github "NAME"] is configured' ]
}
