# The GitHub client of lib/runner, by tests/unit/github_client, against the
# fake GitHub; but for what Prism would not let through, behind Prism.

# Tests are subshells, and change variables for themselves only; run sets
# output and stderr; the dollars in single quotes are for jq.
# shellcheck disable=SC2016,SC2030,SC2031,SC2034,SC2154

load lib

setup_file()
{
	common_setup
	app_key
	github_start --app-id 7 --app-key-pub app.pub --runner-group Large
	if command -v npm >/dev/null; then
		github_strict
	fi
	[ -x "$BUILD/tests/unit/github_client" ] ||
		make -s -C "$ROOT" BUILD="$BUILD" \
			"$BUILD/tests/unit/github_client" >&2
}

teardown_file()
{
	stop_background
}

setup()
{
	common_setup
	export FORGE_CONFIG=/dev/null
	token_auth
	calls=$(fake GET /requests | jq length)
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
	mkdir -p -m 700 state
	printf '[github "hub"]\n\tapi = %s\n' "$GITHUB_URL" >state/config
	printf '\t%s\n' "$@" >>state/config
}

token_auth()
{
	echo "$GITHUB_PAT" >token
	configure "token-file = $PWD/token" "$@"
}

app_auth()
{
	configure "app-id = 7" "key-file = $BATS_FILE_TMPDIR/app.pem" "$@"
}

# Past Prism, which answers by itself when the fake does not answer well.
direct()
{
	sed -i "s|api = .*|api = $GITHUB_FAKE|" state/config
}

# client STATUS CALL [ARG...]
client()
{
	local status=$1
	shift
	run "-$status" --separate-stderr "$BUILD/tests/unit/github_client" \
		- "$@"
}

# What the client has asked since the test began, "METHOD /path STATUS"
asked()
{
	fake GET /requests | jq -r --argjson calls "$calls" \
		'.[$calls:][] | "\(.method) \(.path) \(.status)"'
}

fault()
{
	fake POST /faults "$1" >/dev/null
}

# A name of its own for each test; ids tell nothing that is known before.
name()
{
	echo "${1:-r}-$BATS_TEST_NUMBER"
}

scope=repo:acme/app

@test "a token mints, finds, shows and removes a runner" {
	client 0 jit $scope "$(name)" 1 self-hosted,linux
	[ "$stderr" = "" ]
	id=${output%% *}
	[[ $id =~ ^[0-9]+$ ]]
	echo "${output#* }" | base64 -d | jq -e 'has(".runner")'
	client 0 find $scope "$(name)"
	[ "$output" = "$id $(name) offline idle" ]
	client 0 get $scope "$id"
	[ "$output" = "$id $(name) offline idle" ]
	client 0 remove $scope "$id"
	[ "$output$stderr" = "" ]
	client 3 get $scope "$id"
	client 0 remove $scope "$id"
	[ "$(asked | cut -d ' ' -f 1,3)" = "$(printf '%s\n' 'POST 201' \
		'GET 200' 'GET 200' 'DELETE 204' 'GET 404' 'DELETE 404')" ]
}

@test "what is minted has the labels, the group and the folder asked for" {
	client 0 jit org:acme "$(name)" 2 a,B,c-d
	client 0 jit org:acme "$(name s)" 0 a
	[ "$(gh GET "/orgs/acme/actions/runners?name=$(name s)" |
		jq .runners[0].runner_group_id)" = 1 ]
	[ "$(gh GET "/orgs/acme/actions/runners?name=$(name)" |
		jq -c '.runners[0] | [.runner_group_id,
			[.labels[].name]]')" = '[2,["a","B","c-d"]]' ]
}

@test "a name that is taken is told: 409" {
	client 0 jit $scope "$(name)" 1 linux
	client 4 jit $scope "$(name)" 1 linux
	[ "$output" = "" ]
	[[ $stderr == "github_client: POST '$GITHUB_URL/repos/acme/app/actions/runners/generate-jitconfig' failed: 409: "* ]]
}

@test "names are escaped, and one that is not there is not found" {
	client 3 find $scope 'a&b=c d/%'
	[ "$stderr" = "github_client: no runner 'a&b=c d/%' at GitHub" ]
	[ "$(fake GET /requests | jq -r '.[-1].query.name')" = 'a&b=c d/%' ]
}

@test "a runner that runs a job is not removed: 422" {
	client 0 jit $scope "$(name)" 1 "busy-$BATS_TEST_NUMBER"
	id=${output%% *}
	job=$(github_job "busy-$BATS_TEST_NUMBER" 'sleep 30')
	background listener.log listener "${output#* }"
	wait_until 60 sh -c "curl -s $GITHUB_FAKE/_fake/state |
		grep -q in_progress"
	client 0 find $scope "$(name)"
	[ "$output" = "$id $(name) online busy" ]
	client 4 remove $scope "$id"
	[[ $stderr == *"actions/runners/$id' failed: 422: "*"running a job"* ]]
	client 0 job acme/app "$job"
	jq -e --argjson id "$job" --arg name "$(name)" '.id == $id and
		.status == "in_progress" and .runner_name == $name' \
		<<<"$output"
	fake POST "/jobs/$job/cancel" >/dev/null
	wait_until 60 "$BUILD/tests/unit/github_client" - remove $scope "$id"
}

@test "a job as GitHub has it, and one that it has not" {
	job=$(github_job linux true)
	client 0 job acme/app "$job"
	jq -e --argjson id "$job" '.id == $id and .status == "queued" and
		.labels == ["linux"]' <<<"$output"
	client 3 job acme/other "$job"
	client 2 job acme "$job"
	[ "$stderr" = "github_client: scope 'repo:acme' must be repo:OWNER/NAME, org:NAME or enterprise:NAME" ]
}

@test "groups by name, of organizations and enterprises" {
	client 0 group org:acme Large
	[ "$output" = 2 ]
	client 0 group enterprise:big Default
	[ "$output" = 1 ]
	client 3 group org:acme large
	[ "$stderr" = "github_client: 'org:acme' has no runner group 'large'" ]
	client 2 group $scope Default
	[ "$stderr" = "github_client: '$scope' has no runner groups: organizations and enterprises have" ]
}

@test "the rate limit" {
	client 0 rate
	jq -e 'keys == ["limit", "remaining", "reset"] and .limit == 5000 and
		.remaining > 0 and .reset > 1700000000' <<<"$output"
}

@test "an enterprise with a token" {
	client 0 jit enterprise:big "$(name)" 1 linux
	client 0 find enterprise:big "$(name)"
	[[ $output == *" offline idle" ]]
}

@test "the App: one lookup and one token for each owner and process" {
	app_auth
	client 0 jit $scope "$(name)" 1 linux
	[[ $output =~ ^[0-9]+\ [A-Za-z0-9+/=]+$ ]]
	client 0 find $scope "$(name)"
	[ "$(asked | sed 's/[0-9]\{4,\}/N/')" = "$(printf '%s\n' \
		'GET /repos/acme/app/installation 200' \
		'POST /app/installations/N/access_tokens 201' \
		'POST /repos/acme/app/actions/runners/generate-jitconfig 201' \
		'GET /repos/acme/app/installation 200' \
		'GET /repos/acme/app/actions/runners 200')" ]
	client 0 both $scope "$(name)" repo:acme/app "$(name)"
	[ "${#lines[@]}" = 3 ]
	[ "$(asked | grep -c /installation\ )" = 3 ]
	[ "$(asked | grep -c access_tokens)" = 1 ]
}

@test "the App: two owners have two tokens" {
	app_auth
	gh POST /orgs/other/actions/runners/generate-jitconfig -d \
		"{\"name\":\"$(name)\",\"runner_group_id\":1,\"labels\":[\"a\"]}"
	client 0 jit org:acme "$(name)" 1 a
	client 0 both org:acme "$(name)" org:other "$(name)"
	[ "${#lines[@]}" = 3 ]
	[ "${lines[0]}" = "${lines[2]}" ]
	[ "${lines[0]}" != "${lines[1]}" ]
	[ "$(asked | grep -c access_tokens)" = 2 ]
}

@test "the App: its token is sealed in the state" {
	app_auth
	client 3 find $scope none
	token=$(sqlite3 state/forge.db "SELECT name FROM secret" ||
		sqlite3 state/*.db "SELECT name FROM secret")
	[[ $token =~ ^github/hub/installation/[0-9]+$ ]]
	run -1 grep -rqa ghs_ state
	expires=$(sqlite3 state/*.db "SELECT expires_at FROM secret")
	left=$((expires / 1000 - $(date +%s)))
	[ "$left" -gt 3200 ]
	[ "$left" -le 3300 ]
}

@test "the App: a token that was revoked is replaced, once" {
	app_auth
	client 0 jit $scope "$(name)" 1 linux
	fake POST /tokens/revoke >/dev/null
	client 0 find $scope "$(name)"
	[ "$(asked | tail -n 4 | cut -d ' ' -f 1,3)" = "$(printf '%s\n' \
		'GET 200' 'GET 401' 'POST 201' 'GET 200')" ]
	fault '{"match":{"method":"GET","path":"runners"},"status":401,"times":-1}'
	before=$(asked | wc -l)
	client 6 find $scope "$(name)"
	[[ $stderr == "github_client: the App's token of github 'hub' is not accepted: GET "*"failed: 401: "* ]]
	[ "$(asked | tail -n +$((before + 1)) | cut -d ' ' -f 1,3)" = \
		"$(printf '%s\n' 'GET 200' 'GET 401' 'POST 201' 'GET 401')" ]
}

@test "the App: installation-id saves the lookup, and serves enterprises" {
	id=$(app_jwt_get /app/installations | jq '.[0].id')
	app_auth "installation-id = $id"
	client 3 find org:acme none
	[ "$(asked | grep -c /installation\ )" = 0 ]
	app_auth
	client 2 find enterprise:big none
	[ "$stderr" = "github_client: github 'hub' needs installation-id, or token-file instead of an App, for an enterprise" ]
	app_auth "installation-id = 999999999"
	client 6 find org:acme none
	[ "$stderr" = "github_client: the App of github 'hub' has no installation at '999999999': install it there" ]
}

app_jwt_get()
{
	cp "$BATS_FILE_TMPDIR/app.pem" .
	curl -sS -H "Authorization: Bearer $(app_jwt 7)" \
		-H 'Accept: application/vnd.github+json' "$GITHUB_URL$1"
}

@test "the App: a wrong id or key" {
	app_auth
	sed -i 's/app-id = 7/app-id = 8/' state/config
	client 6 find $scope none
	[[ $stderr == *"'hub'"*"'repos/acme/app'"* ]]
	openssl genrsa -out other.pem 2048 2>/dev/null
	configure "app-id = 7" "key-file = $PWD/other.pem"
	client 6 find $scope none
	[[ $stderr == "github_client: app-id and key-file of github 'hub' do not fit: GET "*" failed: 401: A JSON web token could not be decoded" ]]
	configure "app-id = 7" "key-file = $PWD/none.pem"
	client 3 find $scope none
	[ "$stderr" = "github_client: key-file of github 'hub': cannot open '$PWD/none.pem': No such file or directory" ]
}

@test "a token that is not one, and one that is wrong" {
	echo 'two words' >token
	client 1 find $scope none
	[ "$stderr" = "github_client: token-file '$PWD/token' of github 'hub' must hold one token and nothing else" ]
	echo ghp_wrong >token
	client 6 find $scope none
	[[ $stderr == "github_client: token-file of github 'hub' is not accepted: GET "*" failed: 401: Bad credentials" ]]
	[[ $stderr != *ghp_wrong* ]]
}

# limited STATUS HEADERS BODY SECONDS: what the client says of such an answer
limited()
{
	local until now
	fault "{\"match\":{\"path\":\"actions/runners\"},\"status\":$1,\"headers\":$2,\"body\":{\"message\":\"$3\",\"documentation_url\":\"x\"}}"
	now=$(date +%s)
	client 8 find $scope none
	[ "$output" = "" ]
	until=$(sed -n "s|^github_client: github 'hub' takes no more calls until \(.*Z\): $3\$|\1|p" <<<"$stderr")
	until=$(date -d "$until" +%s)
	[ "$((until - now))" -ge "$4" ] && [ "$((until - now))" -le "$(($4 + 3))" ]
	# Everybody knows that now, and nobody asks.
	before=$(asked | wc -l)
	client 8 get $scope 1
	[[ $stderr == "github_client: github 'hub' takes no more calls until "*": $3" ]]
	[ "$(asked | wc -l)" = "$before" ]
	rm state/run/rate/g-hub
}

@test "rate limits are told with their end" {
	reset=$(($(date +%s) + 1234))
	limited 429 '{"Retry-After":"17"}' 'Slow down' 17
	limited 403 '{"Retry-After":"30"}' 'Slow down' 30
	limited 403 "{\"X-RateLimit-Remaining\":\"0\",\"X-RateLimit-Reset\":\"$reset\"}" 'API rate limit exceeded' 1233
	limited 429 '{"X-RateLimit-Remaining":"5"}' 'Slow down' 60
	limited 403 '{"X-RateLimit-Remaining":"5"}' 'You have exceeded a secondary rate limit' 60
	limited 429 '{"Retry-After":"99999999"}' 'Slow down' 86400
	[ "$(asked | wc -l)" = 6 ]
}

@test "a limit that ends soon is waited for, by every process" {
	direct
	fault '{"match":{"path":"actions/runners"},"status":403,"headers":{"Retry-After":"2"},"body":{"message":"secondary rate limit"}}'
	SECONDS=0
	client 3 find $scope none
	[ "$SECONDS" -ge 2 ]
	fault '{"match":{"path":"jitconfig"},"status":429,"headers":{"Retry-After":"1"}}'
	client 0 jit $scope "$(name)" 1 linux
	[ "$(asked | cut -d ' ' -f 3 | xargs)" = "403 404 429 201" ] ||
		[ "$(asked | cut -d ' ' -f 3 | xargs)" = "403 200 429 201" ]
	[ "$(jq -r .core.limit state/run/rate/g-hub)" = 5000 ]
	[ "$(jq -r .registration.limit state/run/rate/g-hub)" = 10000 ]
}

@test "pace: mints of many processes, and none is lost" {
	direct
	echo '	pace = true' >>state/config
	for p in 1 2 3 4; do
		(for i in {1..17}; do
			PATIENCE=60000 "$BUILD/tests/unit/github_client" - jit \
				$scope "$(name "$p-$i")" 1 linux || echo failed
		done) >"out.$p" 2>&1 &
	done
	SECONDS=0
	wait
	[ "$SECONDS" -ge 3 ] # 60 at once, and 8 half a second apart
	[ "$(cat out.* | grep -c '^[0-9]')" = 68 ]
	[ "$(asked | grep -c ' 201$')" = 68 ]
}

@test "pace: other changes are a second apart" {
	direct
	echo '	pace = true' >>state/config
	SECONDS=0
	client 0 remove $scope 999991
	client 0 remove $scope 999992
	client 0 remove $scope 999993
	[ "$SECONDS" -ge 2 ]
	PATIENCE=0 client 8 remove $scope 999994
	[[ $stderr == "github_client: github 'hub' takes no more calls until "*": the budget is used up" ]]
}

@test "the clock of this host is wrong: GitHub's is used" {
	command -v faketime >/dev/null || skip "faketime is not installed"
	app_auth
	direct
	client 3 find $scope none
	rm -r state
	app_auth
	direct
	run -3 --separate-stderr faketime -f -2h \
		"$BUILD/tests/unit/github_client" - find $scope none
	[ "$stderr" = "github_client: no runner 'none' at GitHub" ]
	openssl genrsa -out other.pem 2048 2>/dev/null
	configure "app-id = 7" "key-file = $PWD/other.pem"
	run -6 --separate-stderr faketime -f +2h \
		"$BUILD/tests/unit/github_client" - find $scope none
	[[ $stderr == "github_client: app-id and key-file of github 'hub' do not fit (this host's clock is "*" s ahead of GitHub's): GET "* ]]
}

@test "GitHub's clock is another: what is minted is good by it" {
	app_auth
	direct
	fake POST /config '{"skew":7200,"token_ttl":3600}' >/dev/null
	client 3 find $scope none
	[ "$stderr" = "github_client: no runner 'none' at GitHub" ]
	fake POST /config '{"skew":0}' >/dev/null
}

@test "an installation token that is expired is replaced" {
	app_auth
	direct
	fake POST /config '{"token_ttl":1}' >/dev/null
	client 3 find $scope none
	sleep 1.1
	client 3 find $scope none
	fake POST /config '{"token_ttl":3600}' >/dev/null
	[ "$(asked | grep -c access_tokens)" = 2 ]
}

@test "every other fault: what the client says, and how often it asks" {
	direct
	for row in '401 6 1' '404 3 1' '409 4 1' '422 1 1' '500 6 4' \
		'503 6 4'; do
		read -r code exit times <<<"$row"
		fault "{\"match\":{\"method\":\"GET\",\"path\":\"runners\"},\"status\":$code,\"times\":-1}"
		before=$(asked | wc -l)
		client "$exit" find $scope none
		[[ $stderr == *" failed: $code: fault" ]]
		[ "$(($(asked | wc -l) - before))" = "$times" ]
		fake DELETE /faults
	done
	fault '{"match":{"method":"GET","path":"runners"},"delay_ms":1500}'
	client 3 find $scope none # slow, and not asked twice
}

@test "403 that is no rate limit" {
	fault '{"match":{"path":"actions/runners"},"status":403,"headers":{"X-RateLimit-Remaining":"5"},"body":{"message":"Resource not accessible by integration"}}'
	client 6 find $scope none
	[[ $stderr == "github_client: GET "*" failed: 403: Resource not accessible by integration" ]]
}

@test "GET and DELETE are repeated after 5xx, with back-off" {
	client 0 jit $scope "$(name)" 1 linux
	id=${output%% *}
	fault '{"match":{"method":"GET","path":"runners"},"status":500,"times":2}'
	SECONDS=0
	client 0 find $scope "$(name)"
	[ "$SECONDS" -ge 1 ]
	[ "$(asked | tail -n 3 | cut -d ' ' -f 3 | xargs)" = "500 500 200" ]
	fault '{"match":{"method":"DELETE"},"status":503,"times":1}'
	client 0 remove $scope "$id"
	fault '{"match":{"method":"GET","path":"runners"},"status":502,"times":-1}'
	before=$(asked | wc -l)
	client 6 find $scope "$(name)"
	[[ $stderr == "github_client: GET "*" failed: 502: fault" ]]
	[ "$(($(asked | wc -l) - before))" = 4 ]
}

@test "generate-jitconfig is repeated after 503 only" {
	fault '{"match":{"method":"POST","path":"jitconfig"},"status":503}'
	client 0 jit $scope "$(name)" 1 linux
	fault '{"match":{"method":"POST","path":"jitconfig"},"status":500}'
	before=$(asked | wc -l)
	client 6 jit $scope "$(name s)" 1 linux
	[ "$(($(asked | wc -l) - before))" = 1 ]
}

@test "a cut connection: GET again, generate-jitconfig not" {
	direct
	client 0 jit $scope "$(name)" 1 linux
	fault '{"match":{"method":"GET","path":"runners"},"cut":true,"times":2}'
	client 0 find $scope "$(name)"
	fault '{"match":{"method":"GET","path":"runners"},"after":true,"cut":"body"}'
	client 0 find $scope "$(name)"
	fault '{"match":{"method":"POST","path":"jitconfig"},"after":true,"cut":true}'
	client 6 jit $scope "$(name s)" 1 linux
	[[ $stderr == "github_client: no answer of '$GITHUB_FAKE/repos/"* ]]
	client 0 find $scope "$(name s)"
	sed -i 's|api = .*|api = http://127.0.0.1:1|' state/config
	client 6 jit $scope "$(name t)" 1 linux
	[[ $stderr == "github_client: no answer of 'http://127.0.0.1:1/repos/"*"127.0.0.1 port 1"* ]]
}

@test "answers that are too large are refused" {
	local port files=www/repos/acme/app/actions
	mkdir -p $files
	head -c 5000000 /dev/zero >$files/runners
	background www.log python3 -u -m http.server --bind 127.0.0.1 \
		--directory www 0
	wait_until 60 grep -q ' port ' www.log
	port=$(sed -n 's/.* port \([0-9]*\) .*/\1/p' www.log)
	sed -i "s|api = .*|api = http://127.0.0.1:$port|" state/config
	client 1 find $scope none
	[ "$stderr" = "github_client: the answer of 'http://127.0.0.1:$port/repos/acme/app/actions/runners?per_page=100&name=none' is larger than 4194304 bytes" ]
	head -c 4194304 /dev/zero | tr '\0' ' ' >$files/runners
	client 1 find $scope none
	[ "$stderr" = "github_client: the answer of GET '/repos/acme/app/actions/runners?per_page=100&name=none' is not JSON" ]
	direct
	jq -n '{match: {path: "runners"}, status: 200,
		headers: {"X-Big": ("x" * 66000)}, body: {}}' >large
	curl -sS -d @large "$GITHUB_FAKE/_fake/faults"
	client 1 find $scope none
	[[ $stderr == "github_client: the headers of "*" are larger than 65536 bytes" ]]
}

@test "answers that are not sound are refused" {
	direct
	for body in '"<html>"' '""' '[]' '{"total_count":1}' \
		'{"total_count":2,"runners":[]}' \
		'{"total_count":1,"runners":[{"id":0,"name":"none","status":"online"}]}' \
		'{"total_count":1,"runners":[{"id":"7","name":"none","status":"online"}]}' \
		'{"total_count":1,"runners":[{"id":7,"name":"none"}]}'; do
		fault "{\"match\":{\"path\":\"runners\"},\"status\":200,\"body\":$body}"
		echo "$body"
		client 1 find $scope none
		echo "$stderr"
		[[ $stderr == github_client:\ * ]]
	done
	fault '{"match":{"path":"jitconfig"},"status":201,"body":{"runner":{"id":5},"encoded_jit_config":"a b"}}'
	client 1 jit $scope "$(name)" 1 linux
	[ "$stderr" = "github_client: GitHub's answer has no sound encoded_jit_config" ]
	fault '{"match":{"path":"jitconfig"},"status":201,"body":"{\"encoded_jit_config\":\"c2VjcmV0"}'
	client 1 jit $scope "$(name)" 1 linux
	[ "$stderr" = "github_client: the answer of POST '/repos/acme/app/actions/runners/generate-jitconfig' is not JSON" ]
}

@test "redirects are not followed" {
	direct
	fault "{\"match\":{\"path\":\"runners\"},\"status\":302,\"headers\":{\"Location\":\"$GITHUB_FAKE/rate_limit\"}}"
	client 1 find $scope none
	[[ $stderr == *" failed: 302: "* ]]
	[ "$(asked | wc -l)" = 1 ]
}

@test "GHES: the API below a path, with a slash at its end" {
	direct
	sed -i "s|api = .*|api = $GITHUB_FAKE/api/v3/|" state/config
	client 0 jit $scope "$(name)" 1 linux
	[[ $output =~ ^[0-9]+\  ]]
}

# tls_start: the files of www/ at https://localhost:$port
tls_start()
{
	openssl req -x509 -newkey rsa:2048 -nodes -keyout tls.key -out tls.crt \
		-days 2 -subj /CN=localhost \
		-addext subjectAltName=DNS:localhost 2>/dev/null
	cat >tls.py <<'PY'
import functools, http.server, ssl
handler = functools.partial(http.server.SimpleHTTPRequestHandler,
                            directory="www")
server = http.server.HTTPServer(("127.0.0.1", 0), handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain("tls.crt", "tls.key")
server.socket = context.wrap_socket(server.socket, server_side=True)
print("port", server.server_port, flush=True)
server.serve_forever()
PY
	background tls.log python3 -u tls.py
	wait_until 60 grep -q '^port' tls.log
	port=$(sed -n 's/^port //p' tls.log)
}

@test "TLS: the server is verified, by ca-file where there is one" {
	mkdir www
	echo '{"resources":{"core":{"limit":9,"remaining":8,"reset":7}}}' \
		>www/rate_limit
	tls_start
	sed -i "s|api = .*|api = https://localhost:$port|" state/config
	client 6 rate
	[[ $stderr == "github_client: no answer of 'https://localhost:$port/rate_limit': SSL certificate problem: "* ]]
	token_auth "ca-file = $PWD/tls.crt"
	sed -i "s|api = .*|api = https://localhost:$port|" state/config
	client 0 rate
	[ "$output" = '{"limit":9,"remaining":8,"reset":7}' ]
	sed -i "s|localhost|127.0.0.1|" state/config
	client 6 rate
	[[ $stderr == *"subject name"*"'127.0.0.1'" ]]
	sed -i "s|tls.crt|none.crt|" state/config
	client 1 rate
	[ "$stderr" = "github_client: cannot use the certificates of '$PWD/none.crt'" ]
}

@test "no secret goes through a proxy to loopback" {
	direct
	http_proxy=http://127.0.0.1:1 all_proxy=http://127.0.0.1:1 \
		client 0 rate
}
