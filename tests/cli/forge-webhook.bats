# forge-webhook under lighttpd, under openbsd-inetd, and by hand, with
# Octokit's payloads and signatures.

# shellcheck disable=SC2016,SC2094,SC2030,SC2031,SC2034,SC2154

load lib
load webhook

setup_file()
{
	common_setup
	if command -v npm >/dev/null; then
		HOME=$LIB_HOME "$ROOT/tests/peer/install.sh"
		node "$ROOT/tests/peer/webhooks.mjs" examples real s3cret
	fi
}

setup()
{
	webhook_setup
}

teardown()
{
	common_teardown
}

refusals()
{
	local e='{"error":"'
	run -0 curl -s -w '%{http_code}' "$URL"
	said "${e}only POST is answered here\"}"$'\n405'
	run -0 curl -s -o /dev/null -D - "$URL"
	[[ $output == *"Allow: POST"* ]]
	SIGNATURE='' run -0 post a
	said "${e}X-Hub-Signature-256 is missing\"}"$'\n401'
	SIGNATURE=$(sign body wrong) run -0 post a
	said "${e}the signature does not match\"}"$'\n401'
	SIGNATURE=sha256=00 run -0 post a
	said "${e}X-Hub-Signature-256 is not 'sha256=' and 64 hexadecimal digits\"}"$'\n401'
	TYPE=text/plain run -0 post a
	said "${e}send application/json or application/x-www-form-urlencoded\"}"$'\n415'
	run -0 post ''
	said "${e}X-GitHub-Delivery is missing\"}"$'\n400'
	EVENT='' run -0 post a
	said "${e}X-GitHub-Event is missing\"}"$'\n400'
	echo '{"action":' >body
	run -0 post a
	[[ $output == "$e"*'"}'$'\n400' ]]
	[ ! -e state/forge.db ] || [ "$(sql 'SELECT count(*) FROM delivery')" = 0 ]
}

accepts()
{
	run -0 post guid-1
	said '{"applied":"guid-1"}'$'\n202'
	run -0 post guid-1
	said '{"duplicate":"guid-1"}'$'\n200'
	run -0 post guid-2
	said '{"stale":"guid-2"}'$'\n202'
	EVENT=ping run -0 post guid-3
	said '{"ignored":"guid-3"}'$'\n200'
	[ "$(sql 'SELECT id, state, labels FROM job')" = \
		'77|queued|["linux","x64"]' ]
	[ "$(sql 'SELECT kind, subject FROM event')" = 'job.queued|77' ]
	[ "$(sql 'SELECT DISTINCT hook FROM delivery')" = hub ]
}

@test "lighttpd: refusals" {
	lighttpd_start
	refusals
}

@test "lighttpd: deliveries" {
	lighttpd_start
	accepts
}

@test "inetd: refusals" {
	inetd_start
	refusals
	run -0 post a -H 'Transfer-Encoding: chunked'
	said '{"error":"send Content-Length, not Transfer-Encoding"}'$'\n411'
}

@test "inetd: deliveries" {
	inetd_start
	accepts
}

@test "a form is signed as it was sent" {
	lighttpd_start
	jq -rj '"payload=" + (tojson | @uri)' body >form
	mv form body
	TYPE=application/x-www-form-urlencoded run -0 post form
	said '{"applied":"form"}'$'\n202'
	[ "$(sql 'SELECT repo FROM job')" = acme/app ]
}

@test "a body beyond webhook.max-body" {
	printf '[webhook]\n\tmax-body = 100\n' >>state/config
	inetd_start
	run -0 post big
	said '{"error":"the body is too large"}'$'\n413'
}

@test "no secret: nothing is taken" {
	: >state/config
	lighttpd_start
	run -0 post a
	said '{"error":"this server is not set up"}'$'\n503'
	[ ! -e state/forge.db ]
}

@test "each of GitHub's examples, signed by Octokit" {
	command -v npm >/dev/null || skip "npm is not installed"
	lighttpd_start
	local f n=0
	for f in "$BATS_FILE_TMPDIR"/real/*.json; do
		cp "$f" body
		n=$((n + 1))
		SIGNATURE=$(cat "${f%.json}.sig") run -0 post "real-$n"
		[[ $output == *202 ]]
	done
	[ "$n" = 8 ]
	[ "$(sql 'SELECT count(*) FROM delivery')" = 8 ]
}

@test "200 posts at once of 100 GUIDs make 100 jobs" {
	lighttpd_start
	local i
	for i in {1..100}; do
		payload "$i" queued >"body.$i"
		sign "body.$i" >"sig.$i"
	done
	export URL
	seq 200 | xargs -P 16 -I{} sh -c 'i=$((({} - 1) % 100 + 1))
		curl -s -o /dev/null -w "%{http_code}\n" -m 20 \
		-H "Content-Type: application/json" \
		-H "X-GitHub-Event: workflow_job" -H "X-GitHub-Delivery: g-$i" \
		-H "X-Hub-Signature-256: $(cat sig.$i)" \
		--data-binary @body.$i "$URL"' >codes
	run -0 forge-webhook ingest
	[ "$(grep -c '^20[02]$' codes)" = 200 ]
	[ "$(sql 'SELECT count(*) FROM job')" = 100 ]
	[ "$(sql 'SELECT count(*) FROM delivery')" = 100 ]
	[ "$(sql "SELECT count(*) FROM event WHERE kind = 'job.queued'")" = 100 ]
}

@test "a locked database: spooled, acknowledged, ingested" {
	lighttpd_start
	run -0 post first
	mkfifo hold
	sqlite3 state/forge.db <hold 3>&- &
	local holder=$!
	exec 7>hold
	echo 'BEGIN IMMEDIATE;' >&7
	sleep 0.3
	payload 78 queued >body
	run -0 post second
	said '{"spooled":"second"}'$'\n202'
	[ "$(stat -c %a state/spool/new/*)" = 600 ]
	[ -z "$(ls state/spool/tmp)" ]
	echo 'ROLLBACK;' >&7
	exec 7>&-
	wait "$holder"
	run -0 --separate-stderr forge-webhook --json ingest
	said '{"taken":1,"duplicates":0,"bad":0}'
	[ "$stderr" = "" ]
	[ "$(sql 'SELECT count(*) FROM job')" = 2 ]
	[ -z "$(ls state/spool/new)" ]
}

@test "accept, list, show, replay, prune" {
	run -2 forge-webhook accept
	run -6 forge-webhook accept --delivery a --signature sha256=00 <body
	run -0 --separate-stderr forge-webhook --json accept --delivery a \
		--signature "$(sign body)" <body
	said '{"applied":"a"}'
	[ "$stderr" = "" ]
	run -0 forge-webhook --json accept --delivery b --unsigned <body
	said '{"stale":"b"}'
	run -0 forge-webhook list -q '.guid + " " + .outcome'
	[ "${#lines[@]}" = 2 ]
	run -0 forge-webhook show a -q .body.workflow_job.id
	said 77
	sql 'DELETE FROM job'
	run -0 forge-webhook --json replay a
	said '{"applied":"a"}'
	run -3 forge-webhook replay none
	sql "UPDATE delivery SET received_at = 1 WHERE guid = 'a'"
	run -0 forge-webhook --json prune
	said '{"pruned":1}'
}

@test "a job moves forward only, and makes its runner busy" {
	forge-webhook accept --delivery a --unsigned <body
	sql "INSERT INTO runner (name, scope, labels, place, state, cpus,
		memory, created_at)
		VALUES ('r1', 'repo:acme/app', '[]', 'vm:x', 'idle', 1, 1, 1)"
	payload 77 in_progress r1 >body
	forge-webhook accept --delivery b --unsigned <body
	[ "$(sql 'SELECT state, job FROM runner')" = 'busy|77' ]
	payload 77 completed r1 >body
	forge-webhook accept --delivery c --unsigned <body
	payload 77 in_progress r1 >body
	run -0 forge-webhook --json accept --delivery d --unsigned <body
	said '{"stale":"d"}'
	[ "$(sql 'SELECT state, runner FROM job')" = 'completed|r1' ]
	[ "$(sql 'SELECT kind FROM event ORDER BY seq' | xargs)" = \
		'job.queued job.started runner.busy job.completed' ]
}
