#!/usr/bin/env bats
# forge-agent and forge-watch: a host joins, runs what it is told, is locked
# out.

# Tests are subshells, and run sets stderr.
# shellcheck disable=SC2030,SC2031,SC2154
bats_require_minimum_version 1.5.0
load lib

setup()
{
	common_setup
	export FORGE_CONFIG=/dev/null FORGE_LIBEXEC=$BUILD/libexec
	mkdir -m 700 here there
	PORT=$(/usr/bin/python3 -c 'import socket
s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
	cat >here/config <<-END
	[agents]
		listen = 127.0.0.1:$PORT
		url = https://localhost:$PORT
	END
	cat >there/config <<-END
	[agent]
		places = here
	[pool "linux"]
		scope = repo:acme/app
		labels = self-hosted,linux
		place = here
		max = 2
	END
	export FORGE_STATE=$PWD/here
	forge-register ca init >/dev/null
	background watch.log forge-watch run -v
	wait_until 60 grep -q event=stream.started watch.log
}

teardown() { common_teardown; }

state_is() { [ "$(forge-register agent list --all -q .state)" = "$1" ]; }

@test "a host joins, is a place, is locked out" {
	local id
	forge-register token create --for vm >bundle
	run -0 --separate-stderr forge-register -C there join - <bundle
	id=$(forge-agent -C there show -q .agent)
	[[ $id == agent_vm_* ]]
	# the key was made there
	[ "$(cat here/trust/* | grep -c "$(jq -r .key \
		there/agent/identity.json | sed -n 2p)")" = 0 ]
	[ "$(forge-register token list --all -q '.state, .used_by')" = "used
$id" ]
	background agent.log forge-agent -C there run -v
	wait_until 60 state_is online
	[ "$(forge-register agent list -q '.labels, .max_vms')" = \
		"linux,self-hosted
2" ]
	run -7 --separate-stderr forge-agent run --on "$id" -- \
		sh -c 'cat; echo err >&2; exit 7' <<<hello
	[ "$output" = hello ]
	[ "$stderr" = err ]
	[ "$(head -c 3000000 /dev/zero |
		forge-agent run --on "$id" -- cat | wc -c)" = 3000000 ]
	run -125 --separate-stderr forge-agent run --on "$id" --place vm:x \
		true
	[ "$stderr" = "forge-agent: commands may not run in 'vm:x' of this host" ]
	run -125 --separate-stderr forge-agent run --on nobody true
	forge-register agent revoke "$id"
	wait_until 60 grep -q 'status=UNAUTHENTICATED' agent.log
	state_is revoked
	run -125 --separate-stderr forge-agent run --on "$id" true
}
