#!/usr/bin/env bats
# forge-agent against a coordinator of the gRPC C core (Debian's
# python3-grpcio) that speaks kuiper-forge's protocol.

# Tests are subshells, and run sets stderr.
# shellcheck disable=SC2030,SC2031,SC2154
bats_require_minimum_version 1.5.0
load lib

setup()
{
	common_setup
	export FORGE_CONFIG=/dev/null
	if ! /usr/bin/python3 -c 'import grpc, google.protobuf' 2>/dev/null ||
		! command -v protoc >/dev/null; then
		skip "python3-grpcio, python3-protobuf or protoc is missing"
	fi
	mkdir there
	pki >/dev/null 2>&1
	cp "$ROOT/share/proto/cirunner.proto" there/
	echo reg_good >there/tokens
}

teardown()
{
	local f
	for f in state/run/runner/*; do
		[ -e "$f" ] || continue
		forge-runner stop --now "$(basename "$f")" 2>/dev/null || :
	done
	common_teardown
}

# The PKI of the other side, by openssl.
pki()
{
	(
		cd there || exit
		openssl req -x509 -newkey ec -pkeyopt \
			ec_paramgen_curve:P-256 -nodes -keyout ca.key -out \
			ca.crt -subj '/CN=CI Runner CA/O=CI Runner' -days 30
		cp ca.crt ca.pem
		openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 \
			-nodes -keyout server.key -out server.csr -subj \
			/CN=localhost
		echo subjectAltName=DNS:localhost,IP:127.0.0.1 >ext
		openssl x509 -req -in server.csr -CA ca.crt -CAkey ca.key \
			-set_serial 7 -days 30 -out server.crt -extfile ext
	)
}

# coordinator [--mtls]: on the port that it had before
coordinator()
{
	rm -f there/port
	background there/out "$ROOT/tests/fake/coordinator" "$PWD/there" \
		"${PORT:-0}" "$@"
	COORDINATOR=$LAST_PID
	wait_until 60 test -e there/port || { cat there/out; return 1; }
	PORT=$(cat there/port)
}

stop_coordinator()
{
	stop_pid "$COORDINATOR"
	: >there/todo
	: >there/log
}

# bundle TOKEN
bundle()
{
	jq -nj --arg t "$1" --arg u "https://localhost:$PORT" \
		--rawfile ca there/ca.pem '{$ca, m: "ca", $t, $u}' |
		openssl base64 -A | tr '+/' '-_' | tr -d '=' | sed 's/^/kfr1_/'
}

# joined: a member, and the coordinator that wants certificates
joined()
{
	coordinator
	forge-register join "$(bundle reg_good)" >/dev/null
	stop_coordinator
	cat >listener <<-'END'
	#!/bin/sh
	echo "configuration $ACTIONS_RUNNER_INPUT_JITCONFIG"
	while [ ! -e "$DONE" ]; do sleep 0.05; done
	exit "$(cat "$DONE")"
	END
	chmod +x listener
	cat >state/config <<-END
	[pool "linux"]
		scope = repo:acme/app
		labels = self-hosted,linux
		place = here
		max = 2
		runner-command = env DONE=$PWD/done $PWD/listener
	[pool "big"]
		scope = repo:acme/app
		labels = self-hosted,linux,big
		place = here
		max = 1
		runner-command = env DONE=$PWD/done $PWD/listener
	END
	coordinator --mtls
}

agent()
{
	background agent.log forge-agent run -v
	AGENT=$LAST_PID
}

# said FILTER: did the agent send such a message?
said()
{
	[ -e there/log ] && jq -es "any(.[]; .agent // empty | $1)" there/log \
		>/dev/null
}

todo() { echo "$1" >>there/todo; }

@test "join: a key made there, once, and only with a good token" {
	coordinator
	run -0 --separate-stderr forge-register join "$(bundle reg_good)" \
		--host Web.1 --max-vms 3 -q .agent
	[ "$output" = agent_proxmox_fake_12345678 ]
	[ "$stderr" = "" ]
	[ "$(stat -c %a state/agent/identity.json state/agent | xargs)" = \
		"600 700" ]
	jq -e 'select(.register.hostname == "Web.1" and
		.register.maxVms == 3)' there/log >/dev/null
	jq -r .cert state/agent/identity.json >crt
	openssl verify -CAfile there/ca.pem crt
	cp state/agent/identity.json before
	run -4 --separate-stderr forge-register join "$(bundle reg_good)"
	[ "$stderr" = "forge-register: this host has joined 'https://localhost:$PORT' as 'agent_proxmox_fake_12345678'; --force to join anew" ]
	run -6 --separate-stderr forge-register join --force \
		"$(bundle reg_good)"
	[ "$stderr" = "forge-register: 'https://localhost:$PORT': Registration failed: Invalid or expired token" ]
	cmp state/agent/identity.json before
	bundle reg_new >b
	echo reg_new >there/tokens
	forge-register join --force - <b >/dev/null
	[ "$(forge-agent show -q .running)" = false ]
	stop_coordinator
	run -6 --separate-stderr forge-register join --force - <b
	[[ $stderr == "forge-register: 'https://localhost:$PORT': "* ]]
	run -1 --separate-stderr forge-register join kfr1_e30
	[ "$stderr" = "forge-register: the bundle has no token" ]
}

@test "run: status first, runners as told, each event, refusals" {
	joined
	agent
	wait_until 60 said '.status'
	jq -es 'map(.agent | select(. != null))[0].status |
		.maxVms == 3 and .availableSlots == 3 and
		([.labelSets[].labels | join(",")] | sort) ==
		["big,linux,self-hosted", "linux,self-hosted"]' there/log
	todo '{"ping":{}}'
	wait_until 60 said '.pong'
	todo '{"createRunner":{"commandId":"c1","vmName":"r-1","labels":["Linux"],"jitConfig":"jit-c0nf1g"}}'
	wait_until 60 said '.runnerEvent | select(.runnerName == "r-1" and
		.eventType == "RUNNER_EVENT_TYPE_STARTED")'
	said '.ack | select(.commandId == "c1" and .accepted)'
	wait_until 60 said '.status.vms[0] | select(.name == "r-1" and
		.state == "running")'
	[ "$(forge-runner show r-1 -q '.state, .pool')" = "idle
linux" ]
	# told twice it is made once
	todo '{"createRunner":{"commandId":"c2","vmName":"r-1","labels":["linux"],"jitConfig":"jit-c0nf1g"}}'
	todo '{"createRunner":{"commandId":"c3","vmName":"r-3","labels":["windows"],"jitConfig":"jit-c0nf1g"}}'
	todo '{"createRunner":{"commandId":"c4","vmName":"../x","labels":["linux"],"jitConfig":"jit-c0nf1g"}}'
	todo '{"createRunner":{"commandId":"c5","vmName":"r-5","labels":["linux"],"registrationToken":"x"}}'
	wait_until 60 said '.ack | select(.commandId == "c5")'
	said '.ack | select(.commandId == "c2" and .accepted)'
	said '.ack | select(.commandId == "c3" and .error ==
		"no pool of this host serves these labels")'
	said '.ack | select(.commandId == "c4" and (.accepted | not))'
	said '.ack | select(.commandId == "c5" and (.accepted | not))'
	[ "$(forge-runner list --all -q .name)" = r-1 ]
	# the secret is in the place, and nowhere else
	wait_until 60 grep -q 'jit-c0nf1g' state/runner/r-1/log
	[ "$(grep -c jit-c0nf1g agent.log)" = 0 ]
	[ "$(grep -l '[j]it-c0nf1g' /proc/[0-9]*/cmdline 2>/dev/null)" = "" ]
	echo 100 >done
	wait_until 60 said '.runnerEvent | select(.runnerName == "r-1" and
		.eventType == "RUNNER_EVENT_TYPE_COMPLETED")'
	wait_until 60 said '.status | select(.availableSlots == 3 and
		(.vms | length) == 0) | true'
	[ "$(forge-runner show r-1 -q .result)" = succeeded ]
	kill "$AGENT"
	wait_until 60 bash -c "! kill -0 $AGENT 2>/dev/null"
}

@test "run: capacity, failures, and runners that are not wanted any more" {
	joined
	agent
	for i in 1 2 3 4; do
		todo "{\"createRunner\":{\"commandId\":\"c$i\",\"vmName\":\"r-$i\",\"labels\":[\"linux\"],\"jitConfig\":\"x\"}}"
	done
	wait_until 60 said '.ack | select(.commandId == "c4")'
	said '.ack | select(.commandId == "c3" and .accepted)'
	said '.ack | select(.commandId == "c4" and
		.error == "Capacity exceeded: max 3 VMs")'
	for i in 1 2 3; do
		wait_until 60 said ".runnerEvent | select(.runnerName ==
			\"r-$i\" and .eventType == \"RUNNER_EVENT_TYPE_STARTED\")"
	done
	[ "$(forge-runner list -q .pool | sort | xargs)" = "big linux linux" ]
	todo '{"destroyRunner":{"commandId":"d1","vmId":"r-1"}}'
	wait_until 60 said '.runnerEvent | select(.runnerName == "r-1" and
		(.eventType | test("COMPLETED|FAILED")))'
	[ "$(forge-runner show r-1 -q .state)" = done ]
	echo 7 >done
	wait_until 60 said '.runnerEvent | select(.runnerName == "r-2" and
		.eventType == "RUNNER_EVENT_TYPE_FAILED")'
}

@test "runners outlive the coordinator, and the agent that made them" {
	joined
	agent
	todo '{"createRunner":{"commandId":"c1","vmName":"r-1","labels":["linux"],"jitConfig":"x"}}'
	todo '{"createRunner":{"commandId":"c2","vmName":"r-2","labels":["big"],"jitConfig":"x"}}'
	wait_until 60 said '.status | select([.vms[]? |
		select(.state == "running")] | length == 2)'
	stop_coordinator
	wait_until 60 grep -q 'event=agent.lost\|event=agent.stream' agent.log
	kill -KILL "$AGENT"
	[ "$(forge-runner list -q .state | xargs)" = "idle idle" ]
	coordinator --mtls
	agent
	wait_until 60 said '.status | select(.activeVms == 2 and
		([.vms[].name] | sort) == ["r-1", "r-2"])'
	run -4 --separate-stderr forge-agent run
	# one ends while nobody listens: it is told afterwards
	stop_coordinator
	wait_until 60 grep -q 'event=agent.lost\|event=agent.stream' agent.log
	echo 100 >done
	wait_until 60 bash -c \
		'[ "$(forge-runner list --all -q .state | xargs)" = "done done" ]'
	coordinator --mtls
	wait_until 60 said '.runnerEvent | select(.runnerName == "r-1" and
		.eventType == "RUNNER_EVENT_TYPE_COMPLETED")'
	said '.runnerEvent | select(.runnerName == "r-2")'
	[ "$(jq -r 'select(.agent.runnerEvent) | .agent.runnerEvent.runnerName' \
		there/log | sort | uniq -d)" = "" ]
}

@test "install: a unit that systemd takes" {
	run -3 --separate-stderr forge-agent install --unit-dir .
	[ "$stderr" = "forge-agent: this host has not joined a coordinator; do it with 'forge-register join BUNDLE'" ]
	coordinator
	forge-register join "$(bundle reg_good)" >/dev/null
	mkdir bin
	cat >bin/systemctl <<-'END'
	#!/bin/sh
	echo "$*" >>systemctl.log
	END
	chmod +x bin/systemctl
	PATH=$PWD/bin:$PATH run -0 --separate-stderr forge-agent install \
		--unit-dir .
	[ "$output$stderr" = "" ]
	[ "$(cat systemctl.log)" = "daemon-reload
enable forge-agent.service
restart forge-agent.service" ]
	grep -qxF "ExecStart=\"$BUILD/bin/forge-agent\" run \"--state=$PWD/state\"" \
		forge-agent.service
	grep -qx KillMode=process forge-agent.service
	if command -v systemd-analyze >/dev/null; then
		run systemd-analyze verify "$PWD/forge-agent.service"
		[ "$(grep -c 'forge-agent.service:' <<<"$output")" = 0 ]
	fi
}
