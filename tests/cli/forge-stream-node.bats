#!/usr/bin/env bats
# The agents' streams, with the two gRPC libraries of Node.js; the C core's is
# in forge-stream.bats.

load lib
load stream

setup_file() {
	common_setup
	HOME=$LIB_HOME PATH=$LIB_PATH "$ROOT/tests/peer/install.sh" grpc
	stream_start
}
teardown_file() {
	stop_background
}
setup() {
	common_setup
	stream_setup
	export PEER=$ROOT/tests/peer/agent.mjs PEER_MODULES=$BUILD/peer-grpc
	PATH=$LIB_PATH:$PATH
}
teardown() {
	common_teardown
}

# An agent's whole life, and what must be refused.
life() {
	run -0 agent "$DIR" health ''
	[ "$output" = "$(printf 'SERVING\nend OK:')" ]
	run -0 agent "$DIR" register reg_nonsense tart
	[[ $output == 'end UNAUTHENTICATED: Registration failed: '* ]]
	run -0 agent "$DIR" stream normal </dev/null
	[ "$output" = 'end UNAUTHENTICATED: a client certificate is required (mTLS)' ]

	enrol
	run -0 agent "$DIR" stream pong
	[ "$output" = 'end INVALID_ARGUMENT: First message must be a status message' ]
	run -0 agent "$DIR" stream none
	[ "$output" = 'end INVALID_ARGUMENT: No initial message received' ]
	run -0 agent "$DIR" stream kind
	[ "$output" = "end INVALID_ARGUMENT: agent_type: 'zzz' is not vm, tart or proxmox" ]
	run -0 agent "$DIR" stream big
	[ "$output" = 'end RESOURCE_EXHAUSTED: the message is too large' ]

	agent_start normal
	wait_until 60 grep -q '^ping' "$DIR/out"
	wait_until 60 is_online
	echo jit-1 >jit
	run -0 runner r-1 linux,X64 <jit
	[ "$output" = MARK ]
	grep -q '^create r-1 jit-1 https://github.com/acme/app linux,X64$' "$DIR/out"
	forge-register agent revoke "$AGENT"
	wait_until 60 grep -q '^end' "$DIR/out"
	grep -q '^end UNAUTHENTICATED: Agent not registered or has been revoked' "$DIR/out"
	run -0 agent "$DIR" stream normal </dev/null
	[[ $output == 'end UNAUTHENTICATED: '* ]]
}

@test "grpc-js registers, streams, runs, is refused and revoked" {
	LIB=grpc-js
	export LIB
	life
}

@test "connect-node registers, streams, runs, is refused and revoked" {
	LIB=connect
	export LIB
	life
}
