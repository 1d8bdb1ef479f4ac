#!/usr/bin/env bats
# The agents' streams, with real gRPC clients: tests/peer/agent.py (the C core)
# and, in forge-stream-node.bats, grpc-js and connect-node.

load lib
load stream

setup_file() {
	common_setup
	stream_start
}
teardown_file() {
	stop_background
}
setup() {
	common_setup
	stream_setup
}
teardown() {
	common_teardown
}

@test "health says that it serves" {
	run -0 agent "$DIR" health ''
	[ "$output" = "$(printf 'SERVING\nend OK:')" ]
	run -0 agent "$DIR" health cirunner.agent.AgentService
	[ "$output" = "$(printf 'SERVING\nend OK:')" ]
	run -0 agent "$DIR" health nobody
	[ "$output" = 'end NOT_FOUND: unknown service' ]
}

@test "reflection lists services and describes them, in both versions" {
	run -0 agent "$DIR" reflect v1
	[ "$output" = "service cirunner.agent.AgentService
service cirunner.agent.RegistrationService
service forge.agent.v1.Agent
service grpc.health.v1.Health
service grpc.reflection.v1.ServerReflection
service grpc.reflection.v1alpha.ServerReflection
file cirunner.agent
error 5
end OK:" ]
	agent "$DIR" reflect v1 >v1
	agent "$DIR" reflect v1alpha >v1alpha
	cmp v1 v1alpha
}

@test "register: a token is good for one certificate" {
	token >token
	run -0 agent "$DIR" register "$(cat token)" tart
	[[ ${lines[0]} == 'registered agent_tart_peer-example_'????????' ca 20' ]]
	[ "${lines[1]}" = 'end OK:' ]
	openssl verify -x509_strict -purpose sslclient -CAfile "$DIR/ca.crt" \
		"$DIR/client.crt" >verified
	grep -q 'BEGIN PRIVATE KEY' "$DIR/client.key"
	run -0 agent "$DIR" register "$(cat token)" tart
	[ "$output" = 'end UNAUTHENTICATED: Registration failed: the registration token was used already' ]
	run -0 agent "$DIR" register reg_nonsense tart
	[[ $output == 'end UNAUTHENTICATED: Registration failed: '* ]]
	run -0 agent "$DIR" register "$(token)" minix
	[[ $output == 'end INVALID_ARGUMENT: Registration failed: '* ]]
}

@test "a stream: connected, pinged, gone, and each an event" {
	enrol
	agent_start normal
	wait_until 60 grep -q '^ping' "$DIR/out"
	wait_until 60 is_online
	run -0 forge-register agent list --json \
		-q 'select(.id == "'"$AGENT"'") | [.host, .max_vms, .slots, .label_sets] | tojson'
	[ "$output" = '["peer",2,2,[["linux","x64"],["macos"]]]' ]
	agent_end
	[ "$(tail -n 1 "$DIR/out")" = 'end OK:' ]
	wait_until 60 is_offline
	run -0 forge-watch events -q 'select(.subject == "'"$AGENT"'") | .kind'
	echo "$output"
	[ "$output" = "$(printf '%s\n' agent.registered agent.connected agent.changed agent.gone)" ]
}

@test "a second stream of one agent takes the place of the first" {
	enrol
	agent_start normal
	wait_until 60 is_online
	cp "$DIR/out" first
	exec 8>&7
	agent_start normal second
	wait_until 60 grep -q '^end ABORTED: another stream' "$DIR/out"
	wait_until 60 grep -q '^ping' second
	is_online
	exec 8>&-
	agent_end
}

@test "the first message must be a status, of a kind that there is" {
	enrol
	while read -r mode want; do
		run -0 agent "$DIR" stream "$mode" </dev/null
		echo "$mode: $output"
		[ "$output" = "end $want" ]
	done <<'CASES'
pong INVALID_ARGUMENT: First message must be a status message
none INVALID_ARGUMENT: No initial message received
kind INVALID_ARGUMENT: agent_type: 'zzz' is not vm, tart or proxmox
big RESOURCE_EXHAUSTED: the message is too large
CASES
	DEADLINE=1 run -0 agent "$DIR" stream silent
	[[ $output == 'end DEADLINE_EXCEEDED: '* ]]
}

@test "no certificate, a wrong one, a stale one: UNAUTHENTICATED, and why" {
	enrol
	mkdir none other
	cp "$DIR/ca.crt" none
	run -0 agent none stream normal </dev/null
	[ "$output" = 'end UNAUTHENTICATED: a client certificate is required (mTLS)' ]

	own=$FILE/state/trust
	leaf 2020-01-01 expired -CA "$own/ca.crt" -CAkey "$own/ca.key"
	run -0 agent expired stream normal </dev/null
	[ "$output" = 'end UNAUTHENTICATED: the client certificate is refused: certificate has expired' ]

	leaf 2035-01-01 early -CA "$own/ca.crt" -CAkey "$own/ca.key"
	run -0 agent early stream normal </dev/null
	[ "$output" = 'end UNAUTHENTICATED: the client certificate is refused: certificate is not yet valid' ]

	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
		-subj '/CN=CI Runner CA/O=CI Runner' -keyout other/key -out other/crt 2>log
	leaf now foreign -CA other/crt -CAkey other/key
	run -0 agent foreign stream normal </dev/null
	[[ $output == 'end UNAUTHENTICATED: the client certificate is refused: '* ]]

	# Of our CA, but not in its database.
	leaf now unknown -CA "$own/ca.crt" -CAkey "$own/ca.key"
	run -0 agent unknown stream normal </dev/null
	[[ $output == 'end UNAUTHENTICATED: Agent not registered or has been revoked: '* ]]

	# A server's certificate is no client's.
	mkdir server
	cp "$DIR/ca.crt" server
	cp "$own/server.crt" server/client.crt
	cp "$own/server.key" server/client.key
	run -0 agent server stream normal </dev/null
	[[ $output == 'end UNAUTHENTICATED: the client certificate is refused: '* ]]
}

@test "revoke cuts a live stream within a second, and lets none in again" {
	enrol
	agent_start normal
	wait_until 60 is_online
	forge-register agent revoke "$AGENT"
	wait_until 60 grep -q '^end' "$DIR/out"
	run -0 grep '^end' "$DIR/out"
	[ "$output" = 'end UNAUTHENTICATED: Agent not registered or has been revoked: the agent or its certificate has been revoked' ]
	wait_until 60 is_offline
	run -0 forge-watch events -q 'select(.subject == "'"$AGENT"'" and
		(.kind == "agent.revoked" or .kind == "agent.gone")) | .at'
	echo "cut after $((lines[1] - lines[0])) ms"
	[ $((lines[1] - lines[0])) -lt 1000 ]
	run -0 agent "$DIR" stream normal </dev/null
	[[ $output == 'end UNAUTHENTICATED: '* ]]
}

@test "a runner on an agent: reserved, made, done" {
	enrol
	agent_start normal
	wait_until 60 is_online
	echo jit-1 >jit
	run -0 --separate-stderr runner r-1 linux,X64 <jit
	[ "$output" = MARK ]
	[ -z "$stderr" ]
	grep -q '^create r-1 jit-1 https://github.com/acme/app linux,X64$' "$DIR/out"
	# Labels of two sets are no set.
	run -125 --separate-stderr runner r-2 linux,macos <jit
	[ -z "$output" ]
	[ "$stderr" = 'forge-stream: no agent with these labels has a free slot' ]
	agent_end
	wait_until 60 is_offline
	run -125 --separate-stderr runner r-3 linux <jit
}

@test "a runner that the agent refuses, and one that fails there" {
	echo jit-1 >jit
	enrol
	agent_start refuse
	wait_until 60 is_online
	run -125 --separate-stderr runner r-1 linux <jit
	[ "$stderr" = 'forge-stream: the agent refuses: Capacity exceeded: max 2 VMs' ]
	agent_end
	wait_until 60 is_offline
	agent_start fail
	wait_until 60 is_online
	run -1 --separate-stderr runner r-1 linux <jit
	[ "$stderr" = 'forge-stream: the VM was destroyed' ]
	agent_end
}

@test "a runner is ended by a signal, and by the death of its program" {
	enrol
	agent_start stay
	wait_until 60 is_online
	place_start r-1 </dev/null # nobody wants it
	place_status r-1 125
	mkfifo in
	exec 9<>in
	place_start r-2 <in
	echo jit-2 >&9
	wait_until 60 grep -q '^create r-2' "$DIR/out"
	wait_until 60 lists_vms 1
	kill -TERM "$PLACE"
	wait_until 60 grep -q '^destroy id-r-2' "$DIR/out"
	place_status r-2 1
	echo jit-3 >jit
	place_start r-3 <jit
	wait_until 60 grep -q '^create r-3' "$DIR/out"
	wait_until 60 lists_vms 1
	kill -KILL "$PLACE"
	wait_until 60 grep -q '^destroy id-r-3' "$DIR/out"
	exec 9>&-
	agent_end
}

@test "a runner outlives the coordinator's process" {
	enrol
	agent_start stay
	wait_until 60 is_online
	echo jit-1 >jit
	place_start r-1 <jit
	wait_until 60 grep -q '^create r-1' "$DIR/out"
	wait_until 60 lists_vms 1
	kill -KILL "$(pgrep -P "$WATCH" -x forge-stream)"
	wait_until 60 grep -q '^end UNAVAILABLE' "$DIR/out"
	wait_until 60 agent "$DIR" health ''
	exec 7>&-
	agent_start list r-1
	wait_until 60 is_online
	kill -0 "$PLACE"
	# It asks for its end at the agent that has come back.
	kill -TERM "$PLACE"
	wait_until 60 grep -q '^destroy id-r-1' "$DIR/out"
	place_status r-1 1
	agent_end
}

@test "sslscan finds TLS 1.3 only, with sound ciphers" {
	sslscan --no-colour "localhost:$PORT" >scan
	run -0 sed -n 's/ *$//; /SSL\/TLS Protocols/,/^$/p' scan
	for old in SSLv2 SSLv3 TLSv1.0 TLSv1.1 TLSv1.2; do
		[[ $output == *"$old "*disabled* ]] || false
	done
	[[ $output == *TLSv1.3*enabled* ]]
	run -0 grep -cE '^(Preferred|Accepted) +TLSv1.3 .* TLS_(AES|CHACHA20)' scan
	[ "$output" = 3 ]
	[ -z "$(grep -E '^(Preferred|Accepted)' scan | grep -v TLSv1.3)" ]
}

@test "strangers: plain text, wrong ALPN, silence and old TLS harm nobody" {
	enrol
	agent_start normal
	wait_until 60 is_online
	printf 'GET / HTTP/1.1\r\n\r\n' | timeout 20 socat - "TCP:localhost:$PORT" >plain || :
	timeout 20 openssl s_client -connect "localhost:$PORT" -alpn http/1.1 </dev/null >alpn 2>&1 || :
	grep -q 'no application protocol' alpn
	timeout 20 openssl s_client -connect "localhost:$PORT" -tls1_2 </dev/null >old 2>&1 || :
	grep -qE 'protocol version|unsupported protocol' old
	head -c 100000 /dev/urandom | timeout 20 socat -u - \
		"OPENSSL:localhost:$PORT,verify=0,alpn=h2" 2>noise || :
	run -0 agent "$DIR" health ''
	[ "${lines[0]}" = SERVING ]
	is_online
	agent_end
}
