#!/usr/bin/env bats
# The place garm:NAME: an external provider of garm, executed unchanged; its
# instances come to forge-webhook under lighttpd, and take jobs of a GitHub
# whose webhooks come by the same door.

load lib
load webhook

setup() {
	webhook_setup
	cat >>state/config <<-CONF
	[github "hub"]
		api = GITHUB_URL
		token-file = $PWD/token
	[pool "cloud"]
		scope = repo:acme/app
		labels = linux
		place = garm:fake
		prefix = cloud
		idle-timeout = 30m
	[garm "fake"]
		provider = $ROOT/tests/fake/garm-provider
		config-file = $PWD/provider.json
		image = debian-12
		flavor = m1.small
		environment = TEST_PASS* NOT_THERE
		metadata-url = URL/api/v1/metadata
		callback-url = URL/api/v1/callbacks
		poll = 1s
		timeout = 60s
	CONF
	lighttpd_start
	github_start --webhook-url "$URL" --webhook-secret s3cret
	echo "$GITHUB_PAT" >token
	sed -i -e "s|GITHUB_URL|$GITHUB_URL|" -e "s|URL/api|$URL/api|" \
		state/config
	DIR=$PWD/instances
	mkdir "$DIR"
	jq -n --arg dir "$DIR" --arg path "$PATH" \
		--arg listener "$ROOT/tests/fake/runner-listener" \
		'{$dir, $path, $listener}' >provider.json
	export TEST_PASSED=yes TEST_OTHER=no
}
teardown() {
	local f
	forge-runner list -q .name | xargs -r forge-runner stop --now
	for f in "$DIR"/i-*.json; do
		[ ! -e "$f" ] || kill -KILL -- "-$(jq .pid "$f")" 2>/dev/null || true
	done
	common_teardown
}

use_version() { forge_set interface "$1"; }
# forge_set KEY VALUE: of [garm "fake"]
forge_set() { git config -f state/config "garm.fake.$1" "$2"; }
fault() { echo "$@" >"$DIR/fault"; }
instances() { find "$DIR" -name 'i-*.json' | wc -l; }
no_instance() { [ "$(instances)" = 0 ]; }
row() { sql "SELECT count(*) FROM instance"; }
last() { forge-runner list --all -q "$1" | head -n 1; }
at_github() { gh GET /repos/acme/app/actions/runners | jq .total_count; }
# clean: nothing is left anywhere
clean() {
	[ "$(row)" = 0 ]
	[ "$(sql "SELECT count(*) FROM secret")" = 0 ]
	no_instance
	[ "$(at_github)" = 0 ]
}
in_state() { [ "$(forge-runner show "$1" -q .state)" = "$2" ]; }
told() { [ "$(sql "SELECT status FROM instance")" = "$1" ]; }
# supervisor NAME, helper NAME: pids
supervisor() {
	sql "SELECT supervisor FROM runner WHERE name = '$1'" | cut -d: -f2
}
helper() { pgrep -P "$(supervisor "$1")" -f 'forge-garm run'; }

@test "garm place: a job, in both versions of the interface" {
	for version in v0.1.0 v0.1.1; do
		use_version "$version"
		id=$(github_job linux 'echo "in the cloud"')
		run -0 --separate-stderr forge-runner run --pool cloud
		[ "$(last .result)" = succeeded ]
		[ "$(last .job)" = "$id" ]
		[ "$(fake GET "/logs/$id" | tail -n 1)" = 'in the cloud' ]
		clean
	done
	# what the provider was told
	jq -e '.labels == ["linux"] and .jit_config_enabled and
		.repo_url == "'"$GITHUB_URL"'/acme/app" and
		.image == "debian-12" and .flavor == "m1.small" and
		.os_type == "linux" and .arch == "amd64" and
		.extra_specs == {} and
		(.tools[0] | .os == "linux" and .architecture == "x64")' \
		"$DIR/bootstrap"
	[ "$(cat "$DIR/.service")" = actions.runner.acme.app ]
	grep -qx 'User=runner' "$DIR/unit"
	grep -qx 'ExecStart=/home/runner/actions-runner/runsvc.sh' "$DIR/unit"
	# how it went
	name=$(last .name)
	run -0 forge-watch events -q \
		'select(.subject == "'"$name"'") | .kind'
	[ "$(tr '\n' ' ' <<<"$output")" = 'runner.requested runner.placed runner.told runner.booted runner.registering runner.registered runner.told runner.busy runner.ending runner.unplaced runner.done ' ] ||
		[[ $output == *runner.placed*runner.told*runner.busy*runner.unplaced*runner.done* ]]
	# nothing secret is in any of it
	token=$(jq -r '."instance-token"' "$DIR/bootstrap")
	[ "${#token}" = 43 ]
	run -1 grep -qF "$token" <(forge-watch events --json) state/forge.db \
		"state/runner/$name/log"
}

@test "garm place: what fails is what GitHub says of the job" {
	github_job linux 'exit 3' >/dev/null
	run -1 --separate-stderr forge-runner run --pool cloud
	[ "$(last .result)" = failed ]
	clean
}

@test "garm place: a failed job's instance is held" {
	git config -f state/config pool.cloud.hold-on-failure 10m
	github_job linux 'exit 3' >/dev/null
	name=$(forge-runner start --pool cloud)
	wait_until 60 in_state "$name" held
	[ "$(instances)" = 1 ]
	[ "$(at_github)" = 0 ]
	run -0 forge-runner stop "$name"
	[ "$(last .result)" = failed ]
	clean
}

@test "garm place: an idle one is stopped, and one that no job comes to" {
	name=$(forge-runner start --pool cloud)
	wait_until 60 told idle
	[ "$(sql 'SELECT os, address FROM instance')" = 'Debian 12|192.0.2.7' ]
	run -0 forge-runner stop "$name"
	[ "$(last .result)" = unused ]
	clean
	run -0 forge-runner run --pool cloud --idle-timeout 1s
	[ "$(last .result)" = unused ]
	clean
}

@test "garm place: a provider that fails makes no runner" {
	local word message
	while read -r word message; do
		fault CreateInstance "$word"
		run -125 --separate-stderr forge-runner run --pool cloud
		[ "$(last .result)" = error ]
		grep -qF "$message" <<<"$output" || {
			echo "$word: $output"
			false
		}
		clean
	done <<-CASES
	1 CreateInstance: '$ROOT/tests/fake/garm-provider' failed with status 1: as told
	31 CreateInstance: there is such an instance already
	garbage garm 'fake': CreateInstance
	flood printed more than 4194304 bytes
	error CreateInstance: out of stock
	half failed with status 1: quota exceeded
	CASES
	# hangs: its own timeout
	forge_set timeout 2s
	fault CreateInstance hang
	run -125 forge-runner run --pool cloud
	[[ $output == *"CreateInstance: "*"took too long"* ]]
	fault CreateInstance late
	run -125 forge-runner run --pool cloud
	clean
}

@test "garm place: an instance that does not come up, or says so" {
	fault CreateInstance broken
	run forge-runner run --pool cloud
	# it may be registered by then, or not
	[ "$status" = 1 ] || [ "$status" = 125 ]
	[[ $output == *"the instance says: no space left"* ]]
	clean
	fault CreateInstance mute
	run -5 forge-runner run --pool cloud --boot-timeout 3s
	clean
	# ends before it has said anything
	fault CreateInstance mute
	name=$(forge-runner start --pool cloud)
	there() { [ "$(instances)" = 1 ]; }
	wait_until 60 there
	pid() { jq .pid "$DIR"/i-*.json; }
	running() { [ "$(pid)" -gt 0 ]; }
	wait_until 60 running
	kill -KILL -- "-$(pid)"
	wait_until 60 in_state "$name" 'done'
	grep -qF 'the instance has stopped' "state/runner/$name/log"
	clean
}

@test "garm place: an instance that is gone under its job" {
	github_job linux 'exec sleep 600' >/dev/null
	name=$(forge-runner start --pool cloud)
	wait_until 60 in_state "$name" busy
	pid=$(jq .pid "$DIR"/i-*.json)
	rm "$DIR"/i-*.json
	kill -KILL -- "-$pid"
	wait_until 60 in_state "$name" 'done'
	grep -qF 'the instance is gone at the provider' "state/runner/$name/log"
	[ "$(last .result)" = error ]
	[ "$(row)" = 0 ]
}

@test "garm place: what cannot be deleted is deleted later" {
	fault "DeleteInstance 1
	DeleteInstance 1"
	github_job linux true >/dev/null
	run -0 forge-runner run --pool cloud
	[[ $output == *"DeleteInstance: "*"as told; 'forge-runner sync' tries again"* ]]
	[ "$(instances)" = 1 ]
	name=$(last .name)
	run -0 forge-runner sync --dry-run
	[ "$output" = "runner '$name': garm 'fake' may still have its instance" ]
	fault DeleteInstance 1
	run -0 forge-runner sync
	[[ $output == "runner '$name': its instance is not deleted: "*": as told" ]]
	run -0 forge-runner sync
	[ "$output" = "runner '$name': its instance at garm 'fake' is deleted" ]
	clean
}

@test "garm place: kill -9 while the instance is made" {
	# the answer, and with it the id, never comes
	fault CreateInstance late
	name=$(forge-runner start --pool cloud)
	there() { [ "$(instances)" = 1 ]; }
	wait_until 60 there
	wait_until 60 helper "$name"
	helper=$(helper "$name")
	kill -KILL "$(supervisor "$name")" "$helper"
	gone() { ! kill -0 "$helper" 2>/dev/null; }
	wait_until 60 gone
	run -0 forge-runner sync
	[[ $output == *"runner '$name': its instance at garm 'fake' is deleted"* ]]
	# by the id that its name is listed under
	grep -qE '^DeleteInstance i-' "$DIR/calls"
	[ "$(last .result)" = lost ]
	clean
	# nothing was made
	fault CreateInstance hang
	: >"$DIR/calls"
	name=$(forge-runner start --pool cloud)
	wait_until 60 grep -q CreateInstance "$DIR/calls"
	wait_until 60 helper "$name"
	kill -KILL "$(supervisor "$name")" "$(helper "$name")"
	rm -f "$DIR/fault"
	run -0 forge-runner sync
	grep -qx "DeleteInstance $name" "$DIR/calls"
	clean
}

# adopted NAME OLD: another process is its supervisor
adopted() { [ "$(supervisor "$1")" != "$2" ] && kill -0 "$(supervisor "$1")"; }

@test "garm place: kill -9 while it waits or works: it is found again" {
	name=$(forge-runner start --pool cloud)
	wait_until 60 told idle
	old=$(supervisor "$name")
	kill -KILL "$old"
	run -0 forge-runner sync --dry-run
	[ "$output" = "runner '$name': its supervisor is dead" ]
	run -0 forge-runner sync
	[ "$output" = "runner '$name': its supervisor is dead
runner '$name': it has another one" ]
	adopted "$name" "$old"
	mkfifo go
	id=$(github_job linux "cat $PWD/go; echo late")
	wait_until 60 in_state "$name" busy
	# with its job, and its helper too; the id is not known any more
	old=$(supervisor "$name")
	wait_until 60 helper "$name"
	kill -KILL "$old" "$(helper "$name")"
	sql 'UPDATE instance SET provider_id = NULL'
	run -0 forge-runner sync
	adopted "$name" "$old"
	in_state "$name" busy
	[ "$(instances)" = 1 ]
	echo >go
	wait_until 60 in_state "$name" 'done'
	[ "$(forge-runner show "$name" -q .result)" = succeeded ]
	[ "$(fake GET "/logs/$id" | tail -n 1)" = late ]
	[ "$(sql "SELECT count(*) FROM event WHERE kind = 'runner.adopted'")" = 2 ]
	run -0 forge-runner sync
	clean
}

@test "garm place: instances that nobody knows are deleted, seen twice" {
	github_job linux true >/dev/null
	run -0 forge-runner run --pool cloud
	pool=$(jq -r .pool_id "$DIR/bootstrap")
	for who in "$pool" other; do
		jq -n --arg pool "$who" '{provider_id: "i-\($pool)", $pool,
			name: "lost", controller: "c", status: "running",
			pid: 0}' >"$DIR/i-$who.json"
	done
	run -0 forge-runner sync --jobs
	[ "$output" = "instance 'lost': at garm 'fake', and not known here" ]
	run -0 forge-runner sync --jobs
	[ "$(instances)" = 2 ]
	sql "UPDATE etag SET body = body - 700000 WHERE url LIKE 'orphan garm%'"
	run -0 forge-runner sync --jobs
	[ "$output" = "instance 'lost': not known here, deleted at garm 'fake'" ]
	[ "$(find "$DIR" -name 'i-*.json' -printf '%f\n')" = i-other.json ]
	rm "$DIR/i-other.json"
}

# ask METHOD PATH [CURL-OPTION...]: the answer and the status
ask() {
	curl -s -m 30 -w '%{http_code}' -X "$1" "${@:3}" "$URL/api/v1/$2"
}

@test "garm place: the door is for its instances only" {
	name=$(forge-runner start --pool cloud)
	wait_until 60 told idle
	token=$(jq -r '."instance-token"' "$DIR/bootstrap")
	auth="Authorization: Bearer $token"
	run -0 ask GET metadata/system/service-name
	said '{"error":"a bearer token is needed"}
401'
	run -0 ask GET metadata/credentials/runner -H 'Authorization: Bearer x'
	said '{"error":"the token is of no instance"}
401'
	run -0 ask GET metadata/system/service-name/ -H "$auth"
	said actions.runner.acme.app200
	# one that is installed gets none: a job may have found the token
	run -0 ask GET metadata/credentials/runner -H "$auth"
	said '{"error":"credentials are given only while it installs"}
401'
	run -0 ask GET 'metadata/systemd/unit-file?runAsUser=a/../b' -H "$auth"
	said '{"error":"runAsUser is no user'"'"'s name"}
400'
	run -0 ask GET metadata/system/cert-bundle -H "$auth"
	said '{"root_certificates":{}}
200'
	run -0 ask GET metadata/nothing -H "$auth"
	said '{"error":"there is no such thing here"}
404'
	run -0 ask POST metadata/system/service-name -H "$auth" -d x
	said '{"error":"only GET"}
405'
	run -0 ask GET callbacks/status -H "$auth"
	said '{"error":"only POST"}
405'
	run -0 ask POST callbacks/status -H "$auth" -d '[]'
	said '{"error":"send a JSON object"}
400'
	head -c 70000 /dev/zero | tr '\0' x >big
	run -0 ask POST callbacks/status -H "$auth" --data-binary @big
	[[ $output == *413 ]]
	# one that talks without end is not written down without end
	for ((i = 0; i < 110; i++)); do
		printf 'url = "%s/api/v1/callbacks/status"\nheader = "%s"\ndata = "{\\"status\\": \\"idle\\", \\"message\\": \\"\\\\u001b[2J\\"}"\n' \
			"$URL" "$auth"
		printf 'next\n'
	done | sed '$d' >many
	curl -s -o /dev/null -K many
	[ "$(sql "SELECT count(*) FROM event WHERE kind = 'runner.told'")" = 100 ]
	[ "$(sql 'SELECT message FROM instance')" = '?[2J' ]
	# its token ends with it
	forge-runner stop "$name"
	run -0 ask GET metadata/system/service-name -H "$auth"
	[[ $output == *401 ]]
	sql "INSERT INTO instance (name, place, pool, token_hash, token_until,
		created_at) VALUES ('old', 'fake', 'p', x'00', 0, 0)"
	sql "DELETE FROM instance"
	clean
}

@test "garm place: mistakes of the configuration say what they are" {
	local key value message
	while IFS='|' read -r key value message; do
		cp state/config kept
		if [ -n "$value" ]; then
			forge_set "$key" "$value"
		else
			git config -f state/config --unset "garm.fake.$key"
		fi
		run -125 forge-runner run --pool cloud
		grep -qF "$message" <<<"$output" || {
			echo "$key: $output"
			false
		}
		cp kept state/config
	done <<-'CASES'
	provider||no [garm "fake"] with a provider is configured
	provider|/nowhere|garm 'fake': provider '/nowhere' is not the full path of a program
	config-file|/nowhere|garm 'fake': there is no config-file '/nowhere'
	image||garm 'fake' has no image
	flavor||garm 'fake' has no flavor
	metadata-url||garm 'fake' has no metadata-url: where instances reach forge-webhook
	callback-url|ftp://x|garm 'fake': callback-url is not a URL
	interface|v9|garm 'fake': interface 'v9' is not v0.1.0 or v0.1.1
	extra-specs-file|/dev/null|garm 'fake': extra-specs-file
	CASES
	echo '{"zone": "b"}' >specs
	forge_set extra-specs-file "$PWD/specs"
	github_job linux true >/dev/null
	run -0 forge-runner run --pool cloud
	[ "$(jq -c .extra_specs "$DIR/bootstrap")" = '{"zone":"b"}' ]
}

@test "garm place: the provider's commands by hand" {
	name=$(forge-runner start --pool cloud)
	wait_until 60 told idle
	run -0 forge-runner garm fake ListInstances -q .name
	[ "$output" = '' ]
	run -0 forge-runner garm --pool cloud fake ListInstances -q '.provider_id, .status'
	id=${lines[0]}
	[ "$output" = "$id
running" ]
	run -0 forge-runner garm fake GetInstance "$id" -q .name
	[ "$output" = "$name" ]
	run -0 forge-runner garm fake StartInstance "$name"
	[ "$output" = '' ]
	run -3 --separate-stderr forge-runner garm fake GetInstance i-none
	[ "$stderr" = "forge-runner: garm 'fake': GetInstance: it knows no instance 'i-none'" ]
	run -0 forge-runner garm fake GetVersion -q .text
	[ "$output" = 'fake 1' ]
	run -0 forge-runner garm fake GetSupportedInterfaceVersions -q .text
	[ "$output" = 'v0.1.0
v0.1.1' ]
	run -0 forge-runner garm fake GetConfigJSONSchema -q .type
	[ "$output" = object ]
	run -0 forge-runner garm fake ValidatePoolInfo
	run -2 forge-runner garm fake CreateInstance
	run -2 forge-runner garm fake StopInstance
	run -2 forge-runner garm fake GetVersion "$id"
	use_version v0.1.0
	run -2 --separate-stderr forge-runner garm fake ValidatePoolInfo
	[ "${stderr_lines[0]}" = "forge-runner: ValidatePoolInfo is of interface v0.1.1, and garm 'fake' is of v0.1.0" ]
	run -0 forge-runner garm fake StopInstance "$id"
	wait_until 60 in_state "$name" 'done'
	run -0 forge-runner garm fake RemoveAllInstances
	clean
}
