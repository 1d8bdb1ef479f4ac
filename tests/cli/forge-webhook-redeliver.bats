# forge-webhook redeliver: what GitHub could not deliver, from the fake
# GitHub's record, behind Prism.

# shellcheck disable=SC2030,SC2031,SC2154

load lib
load webhook

setup()
{
	webhook_setup
	app_key
	github_start --app-id 7 --app-key-pub app.pub --webhook-secret s3cret
	if [ -n "${STRICT-}" ]; then
		github_strict
	fi
	app_auth
}

teardown()
{
	common_teardown
	if [ -d prism ]; then
		[ -z "$(prism_violations "$PWD")" ]
	fi
}

app_auth()
{
	printf '[github "hub"]\n\tapi = %s\n\twebhook-secret-file = %s\n\t%s\n\t%s\n' \
		"$GITHUB_URL" "$PWD/secret" "app-id = 7" \
		"key-file = $PWD/app.pem" >state/config
}

token_auth() # SCOPE
{
	echo "$GITHUB_PAT" >token
	printf '[github "hub"]\n\tapi = %s\n\ttoken-file = %s\n' \
		"$GITHUB_URL" "$PWD/token" >state/config
	printf '[pool "p"]\n\tscope = %s\n\tlabels = linux\n\tplace = here\n' \
		"$1" >>state/config
}

# Where webhooks go from now on; nothing listens on port 1.
hooks_to()
{
	fake POST /config "{\"webhook_url\":\"$1\"}" >/dev/null
}

job() # [REPO]: its webhook was tried when this returns
{
	local id
	id=$(github_job linux true build "${1:-acme/app}")
	fake POST /flush >/dev/null
	echo "$id"
}

redeliver() # STATUS [OPTION...]
{
	run "-$1" --separate-stderr forge-webhook redeliver \
		-q '[.action, .status, .outcome] | join(" ")' "${@:2}"
}

jobs()
{
	forge-runner jobs --all -q '"\(.id) \(.state)"' | xargs
}

failed="queued failed to connect to host"

@test "what could not be delivered is taken from the record, once" {
	STRICT=1
	github_strict
	app_auth
	hooks_to http://127.0.0.1:1/
	a=$(job) b=$(job)
	redeliver 0
	[ "$output" = "$failed applied
$failed applied" ]
	[ "$stderr" = "" ]
	[ "$(jobs)" = "$a queued $b queued" ]
	redeliver 0
	[ "$output" = "" ]
	# As the door would have taken it: its hook, and its GUID.
	[ "$(forge-webhook list -q .hook | sort -u)" = hub ]
	[ "$(forge-webhook list -q .guid | sort)" = \
		"$(fake GET /state | jq -r '.deliveries[].guid' | sort)" ]
}

@test "what was delivered in the end, or is here already, is left alone" {
	receiver_start
	hooks_to http://127.0.0.1:1/
	job
	hooks_to "$RECEIVER"
	id=$(fake GET /state | jq -r '.deliveries[0].id')
	jwt=$(app_jwt 7)
	curl -sS -X POST -H "Authorization: Bearer $jwt" \
		"$GITHUB_FAKE/app/hook/deliveries/$id/attempts"
	fake POST /flush
	[ "$(fake GET /state | jq -c '[.deliveries[].status]')" = \
		'["failed to connect to host","OK"]' ]
	redeliver 0
	[ "$output" = "" ]
	# One that was spooled or replayed by hand is known by its GUID.
	hooks_to http://127.0.0.1:1/
	job
	guid=$(fake GET /state | jq -r '.deliveries[-1].guid')
	forge-webhook accept --delivery "$guid" --unsigned <body
	redeliver 0
	[ "$output" = "" ]
}

@test "--all takes what succeeded, too; --dry-run nothing" {
	receiver_start
	hooks_to "$RECEIVER"
	a=$(job)
	redeliver 0
	[ "$output" = "" ]
	redeliver 0 --all --dry-run
	[ "$output" = "queued OK missing" ]
	[ "$(jobs)" = "" ]
	redeliver 0 --all
	[ "$output" = "queued OK applied" ]
	[ "$(jobs)" = "$a queued" ]
}

@test "--ask has GitHub send it again" {
	hooks_to http://127.0.0.1:1/
	a=$(job)
	lighttpd_start
	hooks_to "$URL"
	redeliver 0 --ask
	[ "$output" = "$failed asked" ]
	fake POST /flush
	[ "$(jobs)" = "$a queued" ]
	redeliver 0
	[ "$output" = "" ]
}

@test "a token: the hooks of the repositories and organizations of pools" {
	STRICT=1
	github_strict
	hooks_to http://127.0.0.1:1/
	a=$(job acme/app)
	b=$(job acme/other)
	token_auth repo:acme/app
	redeliver 0
	[ "$output" = "$failed applied" ]
	[ "$(jobs)" = "$a queued" ]
	token_auth org:acme
	redeliver 0
	[ "$output" = "$failed applied" ]
	[ "$(jobs)" = "$a queued $b queued" ]
}

@test "more than a page, and --since" {
	hooks_to http://127.0.0.1:1/
	for _ in {1..105}; do
		github_job linux true >/dev/null
	done
	fake POST /flush
	redeliver 0 --since 1h
	[ "${#lines[@]}" = 105 ]
	[ "$(sort <<<"$output" | uniq)" = "$failed applied" ]
	sleep 1.1
	job
	redeliver 0 --since 1s
	[ "${#lines[@]}" -le 1 ]
}

@test "a record that cannot be read is told, and read the next time" {
	hooks_to http://127.0.0.1:1/
	job
	fake POST /faults '{"match":{"path":"/deliveries/[0-9]+$"},"status":404}'
	redeliver 3
	[ "$output" = "" ]
	[[ ${stderr_lines[0]} == "forge-webhook: warning: the App's webhook of github 'hub': delivery '"*"': GET "*" failed: 404: fault" ]]
	redeliver 0
	[ "$output" = "$failed applied" ]
	fake POST /faults '{"match":{"path":"/deliveries$"},"status":403,"headers":{"Retry-After":"3000"}}'
	redeliver 8
	[[ $stderr == *"github 'hub' takes no more calls until "* ]]
}

@test "forge-watch: every watch.redeliver, and only where there are webhooks" {
	queued() { [ "$(jobs)" = "$1 queued" ]; }
	hooks_to http://127.0.0.1:1/
	id=$(job)
	cat >>state/config <<-CONF
		[watch]
			poll = 0
			redeliver = 1s
	CONF
	background watch.log forge-watch -v run
	wait_until 60 queued "$id"
	# Not only at its start.
	second=$(job)
	both() { [ "$(jobs)" = "$id queued $second queued" ]; }
	wait_until 60 both
	wait_until 60 grep -q redeliver watch.log
	stop_pid "$LAST_PID"
	# Without a secret no webhook comes, and none is looked for.
	sed -i '/webhook-secret-file\|redeliver/d' state/config
	background watch.log forge-watch -v run
	wait_until 60 grep -q 'watch.started' watch.log
	swept() { forge-watch status --quiet && ! pgrep -P "$LAST_PID"; }
	wait_until 60 swept
	run -1 grep redeliver watch.log
}
