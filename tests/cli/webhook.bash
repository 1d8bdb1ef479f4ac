# Shared by forge-webhook*.bats, after lib: a state with one secret, a signed
# body, and the two kinds of web server.
#
#	webhook_setup			in setup(): ./state, ./secret, ./body
#	payload ID ACTION [RUNNER]	prints a workflow_job
#	sign FILE [SECRET]		prints X-Hub-Signature-256
#	lighttpd_start, inetd_start	set URL (and SERVER, a pid)
#	post GUID [CURL-OPTION...]	prints the answer's body and status
#	said TEXT			$output is that
#	sql STATEMENT

# shellcheck shell=bash disable=SC2034,SC2154

webhook_setup()
{
	common_setup
	export FORGE_CONFIG=/dev/null
	mkdir -m 700 state
	echo s3cret >secret
	printf '[github "hub"]\n\twebhook-secret-file = %s\n' \
		"$PWD/secret" >state/config
	printf '[webhook]\n\tdirect = true\n' >>state/config
	payload 77 queued >body
}

# payload ID ACTION [RUNNER]
payload()
{
	jq -cn --argjson id "$1" --arg action "$2" --arg runner "${3-}" '{
		$action, workflow_job: {$id, run_id: 5, name: "build",
			labels: ["X64", "linux"], status: $action,
			runner_name: (if $runner == "" then null
				else $runner end)},
		repository: {full_name: "acme/app"}}'
}

sign()
{
	printf 'sha256=%s' "$(openssl dgst -sha256 -hmac "${2-s3cret}" \
		-r "$1" | cut -d' ' -f1)"
}

free_port()
{
	python3 -c 'import socket; s = socket.socket()
s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

answers()
{
	curl -s -o /dev/null -m 5 "$URL"
}

# The shipped configuration, with paths and port of this test.
lighttpd_start()
{
	local port
	port=$(free_port)
	sed -e "s|8920|$port|" -e "s|/var/lib/forge|$FORGE_STATE|" \
		-e "s|/usr/local/bin|$BUILD/bin|" -e "s|/var/empty|$PWD|" \
		"$ROOT/contrib/lighttpd/forge-webhook.conf" >lighttpd.conf
	echo 'setenv.add-environment = ( "FORGE_CONFIG" => "/dev/null" )' \
		>>lighttpd.conf
	URL=http://127.0.0.1:$port/forge-webhook
	background lighttpd.log /usr/sbin/lighttpd -D -f lighttpd.conf
	SERVER=$LAST_PID
	wait_until 60 answers
}

inetd_start()
{
	local port
	port=$(free_port)
	echo "127.0.0.1:$port stream tcp nowait.10000 $(id -un)" \
		"$BUILD/bin/forge-webhook forge-webhook --inetd" >inetd.conf
	URL=http://127.0.0.1:$port/
	background inetd.log /usr/sbin/inetd -d "$PWD/inetd.conf"
	wait_until 60 answers
}

# post GUID [CURL-OPTION...]: prints the body and the status; TYPE, EVENT and
# SIGNATURE replace what is sent, and leave it out when empty
post()
{
	local signature=${SIGNATURE-$(sign body)}
	local type=${TYPE-application/json} event=${EVENT-workflow_job}
	curl -s -m 20 -w '%{http_code}' -H "Content-Type:${type:+ $type}" \
		${event:+-H "X-GitHub-Event: $event"} \
		${1:+-H "X-GitHub-Delivery: $1"} \
		${signature:+-H "X-Hub-Signature-256: $signature"} \
		--data-binary @body "${@:2}" "$URL"
}

said()
{
	[ "$output" = "$1" ] || {
		echo "got $output, want $1"
		return 1
	}
}

sql()
{
	sqlite3 -cmd '.timeout 5000' state/forge.db "$1"
}
