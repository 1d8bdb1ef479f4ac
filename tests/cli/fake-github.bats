# The fake GitHub and the listener, proven by themselves: by GitHub's own
# OpenAPI description (Prism), by Octokit's webhook code and by curl.

# Tests are subshells, and change variables for themselves only; run sets
# stderr; the dollars in single quotes are for jq and the job.
# shellcheck disable=SC2016,SC2030,SC2031,SC2034,SC2154

load lib

setup_file()
{
	common_setup
	receiver_start
	app_key
	github_start --app-id 7 --client-id Iv1.client --app-key-pub app.pub \
		--webhook-url "$RECEIVER" --webhook-secret s3cret
	if command -v npm >/dev/null; then
		github_strict
	fi
	seen=0
}

teardown_file()
{
	stop_background
}

setup()
{
	common_setup
	base=/repos/acme/app/actions
	seen=$(refused | wc -l)
	expected=0
}

# Prism must have refused nothing but what a test provoked.
teardown()
{
	fake DELETE /faults
	common_teardown
	[ "$(refused | wc -l)" -eq $((seen + expected)) ] || {
		refused | tail -n "+$((seen + 1))"
		return 1
	}
}

refused()
{
	if [ -d "$BATS_FILE_TMPDIR/prism" ]; then
		prism_violations "$BATS_FILE_TMPDIR"
	fi
}

need_prism()
{
	[ -d "$BATS_FILE_TMPDIR/prism" ] || skip "npm is not installed"
}

# The key of setup_file, for app_jwt
use_key()
{
	cp "$BATS_FILE_TMPDIR"/app.p* .
}

runner_id()
{
	gh GET "$base/runners?name=$1" | jq '.runners[0].id'
}

field()
{
	gh GET "$base/runners/$1" | jq -r ".$2"
}

busy()
{
	[ "$(field "$1" busy)" = true ]
}

online()
{
	[ "$(field "$1" status)" = online ]
}

# The webhooks received about a job, in the order of their arrival
webhooks()
{
	local head
	fake POST /flush >/dev/null
	find "$RECEIVED" -name '*.head' | sort -V | while read -r head; do
		jq -r --argjson id "$1" \
			'select(.workflow_job.id == $id) | .action' \
			"${head%.head}.body"
	done | paste -sd ' '
}

# A process and all its descendants: what goes when a VM is killed
family()
{
	local child
	echo "$1"
	for child in $(pgrep -P "$1"); do
		family "$child"
	done
}

# The number of the first webhook received about a job
webhook_of()
{
	fake POST /flush >/dev/null
	basename "$(grep -l "\"id\": $1," "$RECEIVED"/*.body | sort -V |
		head -n 1)" .body
}

@test "a JIT configuration is minted for repository, org and enterprise" {
	local where
	for where in repos/acme/app orgs/acme enterprises/big; do
		run -0 jit "mint-${where##*/}" self-hosted,Linux "/$where"
		printf '%s' "$output" | base64 -d >map.json
		run -0 jq -r 'keys | join(" ")' map.json
		[ "$output" = ".credentials .credentials_rsaparams .runner" ]
		run -0 sh -c 'jq -r ".[\".runner\"]" map.json | base64 -d |
			jq -r ".agentName, .serverUrl"'
		[ "${lines[0]}" = "mint-${where##*/}" ]
		[ "${lines[1]}" = "$GITHUB_FAKE" ]
	done
}

@test "guests are given the address that they can reach" {
	github_start --runner-url-base 'http://10.0.2.2:{port}'
	jit guest a | base64 -d | jq -r '.[".runner"]' | base64 -d >runner
	[ "$(jq -r .serverUrl runner)" = "http://10.0.2.2:${GITHUB_FAKE##*:}" ]
}

@test "a JIT request without labels does not reach the fake" {
	need_prism
	expected=1
	gh POST "$base/runners/generate-jitconfig" \
		-d '{"name":"x","runner_group_id":1}' >answer
	run -0 jq -r '.status, .validation[0].message' answer
	[ "${lines[0]}" = 422 ]
	[ "${lines[1]}" = \
		"Request body must have required property 'labels'" ]
}

# A check that cannot be compiled checks nothing: see that each one bites.
@test "Prism refuses a bad answer to every call" {
	need_prism
	use_key
	id=$(github_job teeth true)
	run_id=$(gh GET "$base/jobs/$id" | jq .run_id)
	jit teeth-1 a >/dev/null
	fake POST /flush
	jwt=$(app_jwt 7)
	for path in "$base/jobs/$id" "$base/runs" "$base/runs/$run_id" \
		"$base/runs/$run_id/jobs" "$base/runners" \
		"$base/runners/$(runner_id teeth-1)" \
		/orgs/acme/actions/runner-groups /rate_limit \
		/enterprises/big/actions/runners /orgs/acme/actions/runners \
		/repos/acme/app/hooks/1/deliveries /app/hook/deliveries \
		/orgs/acme/installation /app/installations /app \
		/installation/repositories; do
		GITHUB_PAT=ghp_fake
		case $path in
		/app* | */installation) GITHUB_PAT=$jwt ;;
		esac
		run -0 gh GET "$path" -o answer -w "%{http_code}"
		[ "$output" = 200 ] || {
			echo "$path: $output: $(cat answer)"
			return 1
		}
		fake POST /faults '{"match":{},"status":200,
			"body":{"total_count":"x"}}' >added
		run -0 gh_status GET "$path"
		[ "$output" = 500 ] || {
			echo "$path: $output"
			return 1
		}
		expected=$((expected + 1))
	done
}

@test "Prism refuses a bad answer to every POST" {
	need_prism
	use_key
	jwt=$(app_jwt 7) pat=$GITHUB_PAT
	id=$(GITHUB_PAT=$jwt gh GET /orgs/acme/installation | jq .id)
	while read -r token path body; do
		fake POST /faults '{"match":{},"status":201,"body":[1]}' >added
		GITHUB_PAT=${!token}
		run -0 gh_status POST "$path" ${body:+-d "$body"}
		[ "$output" = 500 ] || {
			echo "$path: $output"
			return 1
		}
		expected=$((expected + 1))
		run -0 gh_status POST "$path" ${body:+-d "$body"}
		[ "$output" = 201 ]
	done <<-END
		jwt /app/installations/$id/access_tokens {}
		pat $base/runners/registration-token
		pat $base/runners/remove-token
		pat $base/runners/generate-jitconfig $(jq -nc '{
			name: "teeth-2", runner_group_id: 1, labels: ["a"]}')
	END
}

@test "the fake itself refuses bad JIT bodies" {
	local body
	GITHUB_URL=$GITHUB_FAKE
	while read -r code body; do
		run -0 gh_status POST "$base/runners/generate-jitconfig" \
			-d "$body"
		[ "$output" = "$code" ] || {
			echo "$body: $output instead of $code"
			return 1
		}
	done <<-'END'
		400 {"name":
		400 []
		422 {"runner_group_id":1,"labels":["a"]}
		422 {"name":"","runner_group_id":1,"labels":["a"]}
		422 {"name":"x","runner_group_id":"1","labels":["a"]}
		422 {"name":"x","runner_group_id":1,"labels":[]}
		422 {"name":"x","runner_group_id":1,"labels":[3]}
		404 {"name":"x","runner_group_id":9,"labels":["a"]}
	END
}

@test "a name is taken once per scope: 409" {
	run -0 jit twice a
	run -0 gh_status POST "$base/runners/generate-jitconfig" \
		-d '{"name":"TWICE","runner_group_id":1,"labels":["a"]}'
	[ "$output" = 409 ]
	run -0 jit twice a /orgs/acme
	[ "${#output}" -gt 100 ]
}

@test "without a good token: 401; without a User-Agent: 403" {
	GITHUB_PAT=wrong run -0 gh_status GET "$base/runners"
	[ "$output" = 401 ]
	run -0 curl -sS -o answer -w '%{http_code}' "$GITHUB_URL$base/runners"
	[ "$output" = 401 ]
	[ "$(jq -r .message answer)" = "Requires authentication" ]
	GITHUB_URL=$GITHUB_FAKE
	run -0 gh_status GET "$base/runners" -H 'User-Agent:'
	[ "$output" = 403 ]
}

@test "runners are found by name and listed in pages" {
	local name
	for name in page-1 page-2 page-3; do
		jit "$name" a /repos/acme/pages >/dev/null
	done
	base=/repos/acme/pages/actions
	run -0 gh GET "$base/runners?name=page-2"
	run -0 jq -c '[.total_count, .runners[].name]' <<<"$output"
	[ "$output" = '[1,"page-2"]' ]
	gh GET "$base/runners?per_page=2" -D head >one
	run -0 jq -c '[.total_count, (.runners | length)]' one
	[ "$output" = '[3,2]' ]
	grep -qi '^link: .*per_page=2&page=2>; rel="next"' head
	gh GET "$base/runners?per_page=2&page=2" -D head >two
	run -0 jq -c '[.runners[].name]' two
	[ "$output" = '["page-3"]' ]
	run -1 grep -i 'rel="next"' head
}

@test "a runner can be read and deleted once" {
	jit gone a >/dev/null
	id=$(runner_id gone)
	run -0 field "$id" status
	[ "$output" = offline ]
	run -0 gh_status DELETE "$base/runners/$id"
	[ "$output" = 204 ]
	run -0 gh_status DELETE "$base/runners/$id"
	[ "$output" = 404 ]
	run -0 gh_status GET "$base/runners/$id"
	[ "$output" = 404 ]
}

@test "an App's JWT buys a token for its account only" {
	use_key
	jwt=$(app_jwt 7)
	GITHUB_PAT=$jwt gh GET /repos/acme/app/installation >inst
	id=$(jq .id inst)
	GITHUB_PAT=$jwt gh POST "/app/installations/$id/access_tokens" >token
	GITHUB_PAT=$(jq -r .token token)
	run -0 gh_status GET "$base/runners"
	[ "$output" = 200 ]
	run -0 gh_status GET /orgs/other/actions/runners
	[ "$output" = 404 ]
	run -0 gh_status GET /enterprises/big/actions/runners
	[ "$output" = 403 ]
	fake POST /tokens/revoke
	run -0 gh_status GET "$base/runners"
	[ "$output" = 401 ]
}

@test "the client id is as good as the App's id" {
	use_key
	GITHUB_PAT=$(app_jwt Iv1.client)
	run -0 gh_status GET /app
	[ "$output" = 200 ]
	run -0 gh GET /orgs/acme/installation
	run -0 jq -r '.account.login, .app_id' <<<"$output"
	[ "$output" = $'acme\n7' ]
}

@test "bad JWTs are refused as GitHub refuses them" {
	use_key
	while read -r code args; do
		# shellcheck disable=SC2086
		GITHUB_PAT=$(app_jwt $args) run -0 gh_status GET /app
		[ "$output" = "$code" ] || {
			echo "$args: $output instead of $code"
			return 1
		}
	done <<-END
		200 7 -60 540
		401 7 30 540
		401 7 -600 -1
		401 7 -60 700
		404 8 -60 540
	END
	GITHUB_PAT=$(app_jwt 7)x run -0 gh_status GET /app
	[ "$output" = 401 ]
	openssl genrsa -out app.pem 2048 2>/dev/null
	GITHUB_PAT=$(app_jwt 7) run -0 gh_status GET /app
	[ "$output" = 401 ]
}

@test "a job runs in the listener: queued, in progress, completed" {
	id=$(github_job self-hosted,linux 'echo "from $RUNNER_NAME"')
	config=$(jit life-1 self-hosted,Linux,x64)
	run -100 --separate-stderr listener "$config"
	[ "$stderr" = "" ]
	[ "${lines[0]}" = "√ Connected to GitHub" ]
	[[ ${lines[2]} == *Z:\ Listening\ for\ Jobs ]]
	[[ ${lines[3]} == *Z:\ Running\ job:\ build ]]
	[[ ${lines[4]} == *Z:\ Job\ build\ completed\ with\ result:\ Succeeded ]]
	[ "${#lines[@]}" -eq 5 ]
	run -0 gh GET "$base/jobs/$id"
	run -0 jq -r '.status, .conclusion, .runner_name' <<<"$output"
	[ "$output" = $'completed\nsuccess\nlife-1' ]
	run -0 fake GET "/logs/$id"
	[ "$output" = "from life-1" ]
	run -0 webhooks "$id"
	[ "$output" = "queued in_progress completed" ]
	run -0 gh GET "$base/runners?name=life-1"
	[ "$(jq .total_count <<<"$output")" = 0 ]
	run -100 listener "$(github_job self-hosted true >/dev/null
		jit life-1 self-hosted)"
}

@test "the run of a job tells the same story" {
	id=$(github_job runs 'exit 0')
	run_id=$(gh GET "$base/jobs/$id" | jq .run_id)
	run -0 gh GET "$base/runs?status=queued"
	run -0 jq --argjson id "$run_id" '.workflow_runs[] |
		select(.id == $id) | .status' <<<"$output"
	[ "$output" = '"queued"' ]
	run -100 listener "$(jit runs-1 runs)"
	run -0 gh GET "$base/runs/$run_id"
	run -0 jq -r '.status, .conclusion' <<<"$output"
	[ "$output" = $'completed\nsuccess' ]
	run -0 gh GET "$base/runs/$run_id/jobs?filter=latest"
	run -0 jq '.total_count, .jobs[0].id' <<<"$output"
	[ "$output" = "1"$'\n'"$id" ]
}

@test "a failed job is 102, or 0 when the result was not asked for" {
	id=$(github_job fails 'echo no >&2; exit 7')
	run -102 --separate-stderr listener "$(jit fails-1 fails)"
	[ "$stderr" = "" ]
	[[ $output == *result:\ Failed ]]
	[ "$(fake GET "/logs/$id")" = no ]
	[ "$(gh GET "$base/jobs/$id" | jq -r .conclusion)" = failure ]
	github_job fails 'exit 7' >/dev/null
	run -0 listener "$(jit fails-2 fails)" \
		ACTIONS_RUNNER_RETURN_JOB_RESULT_FOR_HOSTED=0
	[[ $output == *result:\ Failed ]]
}

@test "a busy runner is not deleted, and its job can be cancelled: 103" {
	id=$(github_job slow 'sleep 60')
	background out listener "$(jit slow-1 slow)"
	runner=$(runner_id slow-1)
	wait_until 60 busy "$runner"
	run -0 gh_status DELETE "$base/runners/$runner"
	[ "$output" = 422 ]
	run -0 gh_status POST "$base/runs/$(gh GET "$base/jobs/$id" |
		jq .run_id)/cancel"
	[ "$output" = 202 ]
	run -0 fake GET "/jobs/$id/wait?timeout=20"
	[ "$(jq -r .conclusion <<<"$output")" = cancelled ]
	status=0
	wait "$LAST_PID" || status=$?
	[ "$status" -eq 103 ]
	grep -q 'completed with result: Canceled$' out
}

@test "a queued job is cancelled without a runner" {
	id=$(github_job nobody true)
	fake POST "/jobs/$id/cancel"
	run -0 gh GET "$base/jobs/$id"
	run -0 jq -c '[.status, .conclusion, .runner_id]' <<<"$output"
	[ "$output" = '["completed","cancelled",0]' ]
	run -0 webhooks "$id"
	[ "$output" = "queued completed" ]
}

@test "a waiting job is not given out before it is approved" {
	fake POST /jobs '{"repo":"acme/app","labels":["gate"],
		"status":"waiting"}' >job
	id=$(jq .id job)
	background out listener "$(jit gate-1 gate)"
	wait_until 60 online "$(runner_id gate-1)"
	[ "$(gh GET "$base/jobs/$id" | jq -r .status)" = waiting ]
	fake POST "/jobs/$id/approve"
	fake GET "/jobs/$id/wait" >job
	[ "$(jq -r .conclusion job)" = success ]
	run -0 webhooks "$id"
	[ "$output" = "waiting queued in_progress completed" ]
}

@test "an idle listener that gets TERM leaves its runner offline" {
	background out listener "$(jit idle-1 idle)"
	id=$(runner_id idle-1)
	wait_until 60 online "$id"
	kill -TERM "$LAST_PID"
	wait "$LAST_PID"
	[ "$(field "$id" status)" = offline ]
	[ "$(tail -n 1 out)" = "Exiting..." ]
	run -0 gh_status DELETE "$base/runners/$id"
	[ "$output" = 204 ]
}

@test "a listener that gets TERM with a job cancels it" {
	id=$(github_job term 'sleep 60')
	background out listener "$(jit term-1 term)"
	wait_until 60 busy "$(runner_id term-1)"
	kill -TERM "$LAST_PID"
	status=0
	wait "$LAST_PID" || status=$?
	[ "$status" -eq 103 ]
	[ "$(gh GET "$base/jobs/$id" | jq -r .conclusion)" = cancelled ]
}

@test "a listener whose runner is deleted ends with 1" {
	background out listener "$(jit pulled-1 pulled)"
	id=$(runner_id pulled-1)
	wait_until 60 online "$id"
	gh DELETE "$base/runners/$id"
	status=0
	wait "$LAST_PID" || status=$?
	[ "$status" -eq 1 ]
	[ "$(tail -n 1 out)" = "The runner registration has been deleted." ]
}

@test "a bad JIT configuration ends the listener with 1" {
	run -1 --separate-stderr listener bm90IGpzb24=
	[ "$output" = "" ]
	[ "$stderr" = "Invalid JIT configuration." ]
}

@test "the job does not see the JIT configuration" {
	id=$(github_job env env)
	run -100 listener "$(jit env-1 env)"
	fake GET "/logs/$id" >log
	grep -q '^GITHUB_REPOSITORY=acme/app$' log
	run -1 grep -c JITCONFIG log
	[ "$output" = 0 ]
}

@test "any runner whose labels and scope fit takes the oldest job" {
	other=$(github_job fit,gpu true build acme/elsewhere)
	first=$(github_job FIT true)
	second=$(github_job fit,big true)
	run -100 listener "$(jit fit-1 fit,gpu,big)"
	[ "$(gh GET "$base/jobs/$first" | jq -r .runner_name)" = fit-1 ]
	[ "$(gh GET "$base/jobs/$second" | jq -r .status)" = queued ]
	run -100 listener "$(jit fit-2 Fit,Gpu,Big /orgs/acme)"
	run -0 gh GET "/repos/acme/elsewhere/actions/jobs/$other"
	[ "$(jq -r .runner_name <<<"$output")" = fit-2 ]
}

@test "a runner that falls silent loses its job" {
	github_start --lost-after 0.5 --offline-after 0.5
	id=$(github_job silent 'sleep 60')
	background out listener "$(jit silent-1 silent)"
	wait_until 60 busy "$(runner_id silent-1)"
	# shellcheck disable=SC2046
	kill -KILL $(family "$LAST_PID")
	run -0 fake GET "/jobs/$id/wait?timeout=2"
	run -0 gh GET "$base/jobs/$id"
	[ "$(jq -r .conclusion <<<"$output")" = failure ]
}

@test "webhooks are signed: Octokit verifies, GitHub's schema agrees" {
	need_prism
	id=$(github_job signed true)
	run -100 listener "$(jit signed-1 signed)"
	first=$(webhook_of "$id")
	for n in "$first" $((first + 1)) $((first + 2)); do
		body=$RECEIVED/$n.body head=$RECEIVED/$n.head
		sig=$(sed -n 's/^x-hub-signature-256: //p' "$head")
		run -0 node "$ROOT/tests/peer/webhooks.mjs" verify "$body" \
			"$sig" s3cret
		run -1 node "$ROOT/tests/peer/webhooks.mjs" verify "$body" \
			"$sig" other
		grep -q '^x-github-event: workflow_job$' "$head"
		grep -Eq '^x-github-delivery: [0-9a-f-]{36}$' "$head"
		grep -q '^user-agent: GitHub-Hookshot/' "$head"
		kind=workflow-job-$(jq -r .action "$body" | tr _ -)
		run -0 gh_status POST "/_webhooks/$kind" -d "@$body" \
			-H 'User-Agent: GitHub-Hookshot/0' \
			-H 'X-GitHub-Event: workflow_job'
		[ "$output" = 404 ] # valid, and nobody is behind it
	done
	jq 'del(.workflow_job.labels)' "$body" >bad
	expected=1
	run -0 gh_status POST "/_webhooks/$kind" -d @bad
	[ "$output" = 422 ]
}

@test "webhooks have every field that real ones have" {
	need_prism
	run -0 node "$ROOT/tests/peer/webhooks.mjs" examples real s3cret
	[ "$(find real -type f | wc -l)" -eq 16 ]
	id=$(github_job fields true)
	run -100 listener "$(jit fields-1 fields)"
	first=$(webhook_of "$id")
	for pair in "$first:queued.1" "$((first + 1)):in_progress.2" \
		"$((first + 2)):completed.1"; do
		jq -c 'def members: [paths(type != "array") |
			select(all(.[]; type == "string")) | join(".")];
			.action, members - ["deployment"]' \
			"real/${pair#*:}.json" >theirs
		jq -c --slurpfile theirs theirs '
			[paths | select(all(.[]; type == "string"))
			| join(".")] as $have
			| (.action == $theirs[0]), $theirs[1] - $have' \
			"$RECEIVED/${pair%:*}.body" >missing
		[ "$(cat missing)" = $'true\n[]' ]
	done
}

@test "Octokit signs as openssl does" {
	need_prism
	node "$ROOT/tests/peer/webhooks.mjs" examples real s3cret
	for body in real/*.json; do
		mac=$(openssl dgst -sha256 -hmac s3cret -r "$body")
		[ "$(cat "${body%.json}.sig")" = "sha256=${mac%% *}" ]
	done
}

@test "deliveries are listed, shown and sent again with the same guid" {
	use_key
	id=$(github_job again true build acme/again)
	fake POST /flush
	GITHUB_PAT=$(app_jwt 7)
	gh GET '/app/hook/deliveries?per_page=1' >list
	run -0 jq -r '.[0].status, .[0].status_code, .[0].redelivery' list
	[ "$output" = $'OK\n202\nfalse' ]
	delivery=$(jq '.[0].id' list)
	gh GET "/app/hook/deliveries/$delivery" >one
	[ "$(jq .request.payload.workflow_job.id one)" = "$id" ]
	run -0 gh_status POST "/app/hook/deliveries/$delivery/attempts"
	[ "$output" = 202 ]
	run -0 webhooks "$id"
	[ "$output" = "queued queued" ]
	gh GET '/app/hook/deliveries?per_page=2' >list
	run -0 jq -c '[.[].redelivery], (map(.guid) | unique | length)' list
	[ "$output" = $'[true,false]\n1' ]
	GITHUB_PAT=ghp_fake
	gh GET /repos/acme/again/hooks/1/deliveries -D head >list
	[ "$(jq length list)" -eq 2 ]
	gh GET '/repos/acme/again/hooks/1/deliveries?per_page=1' -D head >list
	url=$(sed -n 's/^[Ll]ink: <\(.*\)>; rel="next".*/\1/p' head)
	run -0 curl -sS "$url" -H "Authorization: Bearer $GITHUB_PAT"
	[ "$(jq length <<<"$output")" -eq 1 ]
	run -0 gh_status POST "/app/hook/deliveries/$delivery/attempts"
	[ "$output" = 401 ]
}

@test "webhooks are lost, fail and come twice on request" {
	fake POST /faults '{"match":{"method":"HOOK","path":"queued"},
		"drop":true}'
	lost=$(github_job h1 true build acme/hooks)
	fake POST /faults '{"match":{"method":"HOOK","path":"queued"},
		"copies":2}'
	twice=$(github_job h2 true build acme/hooks)
	fake POST /faults '{"match":{"method":"HOOK","path":"queued"},
		"cut":true}'
	cut=$(github_job h3 true build acme/hooks)
	[ "$(webhooks "$lost")" = "" ]
	[ "$(webhooks "$twice")" = "queued queued" ]
	[ "$(webhooks "$cut")" = "" ]
	gh GET /repos/acme/hooks/hooks/1/deliveries >list
	run -0 jq -r '.[].status' list
	[ "$output" = $'failed to connect to host\nOK\nOK' ]
	gh GET '/repos/acme/hooks/hooks/1/deliveries?status=failure' >list
	[ "$(jq length list)" -eq 1 ]
}

@test "faults: a status, a lost answer, a cut connection, a late answer" {
	GITHUB_URL=$GITHUB_FAKE
	path=$base/runners/generate-jitconfig
	body='{"name":"fault","runner_group_id":1,"labels":["a"]}'
	fake POST /faults '{"match":{"method":"POST","path":"jitconfig$"},
		"status":503,"times":2,"headers":{"Retry-After":"9"}}'
	run -0 gh_status POST "$path" -d "$body" -D head
	[ "$output" = 503 ]
	grep -q '^Retry-After: 9' head
	run -0 gh_status POST "$path" -d "$body"
	[ "$output" = 503 ]
	[ "$(gh GET "$base/runners?name=fault" | jq .total_count)" = 0 ]
	fake POST /faults '{"match":{"method":"POST","path":"jitconfig$"},
		"cut":true,"after":true}'
	run -52 --separate-stderr gh POST "$path" -d "$body"
	[ "$output" = "" ]
	[ "$(gh GET "$base/runners?name=fault" | jq .total_count)" = 1 ]
	run -0 gh_status POST "$path" -d "$body"
	[ "$output" = 409 ]
	fake POST /faults '{"match":{"path":"/runners$"},"delay_ms":1500}'
	run -28 --separate-stderr gh GET "$base/runners" -m 1
	run -0 gh_status GET "$base/runners"
	[ "$output" = 200 ]
	run -0 fake POST /faults '{"match":{},"stauts":500}'
	[[ $output == *"unknown fault keys: ['stauts']"* ]]
}

@test "an unchanged answer is 304 and costs nothing" {
	github_start
	gh GET "$base/runners" -D head >/dev/null
	etag=$(sed -n 's/^etag: \(.*\)\r$/\1/Ip' head)
	[ -n "$etag" ]
	run -0 gh_status GET "$base/runners" -H "If-None-Match: $etag" -D head
	[ "$output" = 304 ]
	run -0 sed -n 's/^x-ratelimit-used: \(.*\)\r$/\1/p' head
	[ "$output" = 1 ]
	jit etag-1 a >/dev/null
	run -0 gh_status GET "$base/runners" -H "If-None-Match: $etag"
	[ "$output" = 200 ]
}

@test "the hour's calls run out" {
	github_start --rate-limit 2
	gh GET "$base/runners" >/dev/null
	gh GET "$base/runners" >/dev/null
	run -0 gh_status GET "$base/runners" -D head
	[ "$output" = 403 ]
	grep -q '^x-ratelimit-remaining: 0' head
	run -0 gh GET /rate_limit
	[ "$(jq .rate.remaining <<<"$output")" = 0 ]
}

@test "where the App is not installed, nothing is there" {
	use_key
	github_start --install acme --app-id 7 --app-key-pub app.pub
	GITHUB_PAT=$(app_jwt 7)
	run -0 gh_status GET /orgs/acme/installation
	[ "$output" = 200 ]
	run -0 gh_status GET /orgs/other/installation
	[ "$output" = 404 ]
	run -0 gh GET /app/installations
	[ "$(jq length <<<"$output")" = 1 ]
}

@test "at the end the state is on disk, and no secret in the journal" {
	github_start
	jit disk a >/dev/null
	stop_background
	run -0 jq -r '.runners[].name' github/state.json
	[ "$output" = disk ]
	run -0 jq -r '[.method, .status] | @tsv' github/requests.ndjson
	[ "$output" = $'POST\t201' ]
	run -1 grep -rc "$GITHUB_PAT" github/requests.ndjson
	[ "$output" = 0 ]
}
