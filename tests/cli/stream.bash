# What the tests of agents' streams share: `load stream` after `load lib`.
#
#	stream_start	in setup_file: a CA and a forge-watch that listens
#	stream_setup	in setup: its state, and DIR for an agent
#	token		prints a new one; $DIR/ca.crt is the CA
#	enrol		registers an agent: its files are in DIR, its id is AGENT
#	agent DIR ...	tests/peer/agent.py, or $PEER
#	agent_start MODE [OUT]	one that stays; its words go to DIR/out
#	agent_end	its stdin, and so its stream, ends
#	runner NAME LABELS	a place on any agent

free_port() {
	python3 -c 'import socket
s = socket.socket()
s.bind(("127.0.0.1", 0))
print(s.getsockname()[1])'
}

stream_start() {
	mkdir -m 700 "$FORGE_STATE"
	export FORGE_CONFIG=/dev/null
	PORT=$(free_port)
	forge-register ca init >ca
	cat >"$FORGE_STATE/config" <<CONF
[agents]
	listen = 127.0.0.1:$PORT
	url = https://localhost:$PORT
${1-}
CONF
	background watch.log forge-watch run
	WATCH=$LAST_PID
	FILE=$(tmpdir)
	export PORT WATCH FILE LIB_FILE=$FILE LIB_PORT=$PORT LIB_WATCH=$WATCH
	wait_until 60 grep -q event=stream.started watch.log
}

stream_setup() {
	export PORT=$LIB_PORT WATCH=$LIB_WATCH FILE=$LIB_FILE
	export FORGE_STATE=$FILE/state FORGE_CONFIG=/dev/null
	export GEN=$BUILD/gen
	DIR=$PWD/agent
	mkdir "$DIR"
	cp "$FORGE_STATE/trust/ca.crt" "$DIR"
}

token() {
	forge-register token create | cut -c 6- | tr -- '-_' '+/' |
		python3 -c 'import base64, json, sys
text = sys.stdin.read().strip()
print(json.loads(base64.b64decode(text + "=" * (-len(text) % 4)))["t"])'
}

agent() {
	local dir=$1
	shift
	timeout 100 ${PEER:-"$ROOT/tests/peer/agent.py"} "localhost:$PORT" "$dir" "$@"
}

enrol() {
	agent "$DIR" register "$(token)" "${1:-tart}" >"$DIR/registered"
	AGENT=$(awk '/^registered/ { print $2 }' "$DIR/registered")
	[ -n "$AGENT" ]
}

# Fd 7 is the stdin of the newest; its end is the agent's.
agent_start() {
	local mode=$1 out=$DIR/out fifo
	shift
	[ "${1-}" != second ] || {
		out=second
		shift
	}
	fifo=$DIR/in.$RANDOM$RANDOM
	mkfifo "$fifo"
	# shellcheck disable=SC2094 # a pipe and a file
	agent "$DIR" stream "$mode" "$@" <"$fifo" >"$out" 2>&1 3>&- 4>&- 7>&- &
	echo $! >>"$(tmpdir)/pids"
	exec 7>"$fifo"
}

agent_end() {
	exec 7>&-
	wait_until 60 grep -q '^end' "$DIR/out"
}

agent_state() {
	forge-register agent list --all --json -q "select(.id == \"$AGENT\") | .state"
}
is_online() { [ "$(agent_state)" = online ]; }
is_offline() { [ "$(agent_state)" != online ]; }

lists_vms() { # NUMBER
	[ "$(forge-register agent list --json -q "select(.id == \"$AGENT\") | .active")" = "$1" ]
}

runner() { # NAME LABELS
	timeout 60 "$BUILD/libexec/forge-stream" run --on '*' --name "$1" --mark MARK \
		--labels "$2" --scope repo:acme/app
}

# leaf DATE DIR OPTION...: an agent's certificate made by hand, then
leaf() {
	local date=$1 dir=$2
	shift 2
	mkdir "$dir"
	cp "$DIR/ca.crt" "$dir"
	openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
		-subj "/CN=$AGENT" -keyout "$dir/client.key" -out "$dir/csr" 2>"$dir/log"
	printf 'extendedKeyUsage = clientAuth\nkeyUsage = digitalSignature\n' >"$dir/ext"
	faketime "$date" openssl x509 -req -in "$dir/csr" -days 30 -set_serial 77 \
		-extfile "$dir/ext" -out "$dir/client.crt" "$@" 2>"$dir/log"
}

# place_start NAME: a runner on agent "peer" in the background; its stdin is
# ours, its pid in $PLACE, what it prints in NAME.out, its status in NAME.status
place_start() {
	exec 6<&0 # in the background stdin would be /dev/null
	(
		s=0
		"$BUILD/libexec/forge-stream" run --on peer --name "$1" --mark MARK \
			--labels linux --scope repo:acme/app <&6 >"$1.out" 2>&1 &
		echo $! >"$1.pid"
		wait $! || s=$?
		echo "$s" >"$1.status"
	) 3>&- 4>&- 7>&- 9>&- &
	exec 6<&-
	wait_until 60 test -s "$1.pid"
	PLACE=$(cat "$1.pid")
	echo "$PLACE" >>pids
}
place_status() { # NAME STATUS
	wait_until 60 test -s "$1.status"
	echo "$1: $(cat "$1.status" "$1.out")"
	[ "$(cat "$1.status")" = "$2" ]
}
