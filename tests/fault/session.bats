#!/usr/bin/env bats
# session.bats: kill -9 of the supervisors of sessions, at any moment.  None
# is left as running, no process of them stays, every transcript is whole,
# every message is answered after resume.
#
# SESSION_COUNT is how many (20; 200 with SOAK=1), SESSION_SEED what decides.

load ../cli/lib

# From before the environment is scrubbed.
export LIB_SEED=${SESSION_SEED:-${LIB_SEED:-$$}}
export LIB_COUNT=${SESSION_COUNT:-${LIB_COUNT:-${SOAK:+200}}}

setup() {
	common_setup
	export FORGE_CONFIG=$PWD/config
	printf '[provider "claude"]\n\tprogram = %s\n' \
		"$ROOT/tests/fake/agent" >config
	RANDOM=$LIB_SEED
	echo "# SESSION_SEED=$LIB_SEED" >&3
}

teardown() {
	forge-session list -q .id | xargs -r timeout 60 forge-session stop
	common_teardown
}

# supervisor ID: its pid, from the row
supervisor() {
	sqlite3 state/forge.db "SELECT supervisor FROM session
		WHERE id = '$1'" | cut -d: -f2
}

# remains ID: pids of processes that belong to it
remains() {
	grep -lzx "FORGE_SESSION=$1" /proc/[0-9]*/environ 2>/dev/null || :
}

is_interrupted() {
	[ "$(forge-session show "$1" -q .state)" = interrupted ]
}

nothing_remains() {
	[ -z "$(remains "$1")" ]
}

# whole ID: numbers without a gap, every line JSON
whole() {
	jq -r .seq "state/session/$1/log.ndjson" >seqs
	cmp seqs <(seq "$(wc -l <seqs)")
}

said() {
	forge-session log "$1" -q 'select(.kind == "output") | .data.text'
}

# What an agent with a memory was told: it was cut off perhaps in its answer.
remembered() {
	cat "state/session/$1/home"/agent-* 2>/dev/null || :
}

# a_round ID WHAT: start, kill the supervisor somewhere, look, go on
a_round() {
	local id=$1 pid
	forge-session start --name "$id" "${@:2}" >/dev/null
	forge-session send "$id" say two
	pid=$(supervisor "$id")
	sleep "0.$(printf %03d $((RANDOM % 200)))"
	kill -KILL "$pid"
	wait_until 60 is_interrupted "$id"
	wait_until 60 nothing_remains "$id"
	if [ $((RANDOM % 3)) = 0 ]; then # a torn line
		printf '{"seq":99,"at":1,"ki' >>"state/session/$id/log.ndjson"
	fi
	forge-session resume "$id" >/dev/null
	forge-session send "$id" say three
	forge-session wait "$id" --timeout 60s
	whole "$id"
	{ said "$id"; remembered "$id"; } | grep -qxE "(say )?two"
	said "$id" | grep -qxE "(say )?three"
	forge-session stop "$id"
	[ "$(forge-session show "$id" -q '.state, .messages_waiting')" = \
		"stopped
0" ]
	nothing_remains "$id"
	forge-session rm "$id"
}

@test "sessions whose supervisors are killed are found, and go on" {
	local i n=${LIB_COUNT:-20}
	for ((i = 0; i < n; i++)); do
		if [ $((i % 2)) = 0 ]; then
			a_round "s$i" -p "say one"
		else
			a_round "s$i" -P command -p "say one" -- \
				sh -c 'sleep 1000 & cat'
		fi
	done
	[ "$(forge-session list --all --json)" = "" ]
	[ -z "$(ls state/session)" ]
}

@test "a foreground run that is killed takes its agent along" {
	forge-session run --name x -p "hang" >log 3>&- &
	wait_until 60 grep -q hanging log
	pid=$(supervisor x)
	[ -n "$(remains x)" ]
	kill -KILL "$pid"
	wait_until 60 is_interrupted x
	[ "$(forge-session list --all -q '.state, .reason')" = "interrupted
its supervisor died" ]
	wait_until 60 nothing_remains x
	[ "$(forge-watch events -q 'select(.kind == "session.interrupted")
		| .subject')" = x ]
}

@test "killed while it waits for an answer: the ask is void" {
	id=$(forge-session start -p "use Bash touch x")
	run -9 forge-session wait --asks --timeout 60s "$id"
	kill -KILL "$(supervisor "$id")"
	wait_until 60 is_interrupted "$id"
	[ "$(sqlite3 state/forge.db 'SELECT state FROM ask')" = withdrawn ]
	run -1 --separate-stderr forge-session wait "$id"
	[ "$stderr" = "forge-session: session '$id' is interrupted: its supervisor died" ]
}

@test "killed between the row and the supervisor: interrupted" {
	forge-session list
	sqlite3 state/forge.db "INSERT INTO session (id, state, provider,
		place, created_at, updated_at, supervisor) VALUES ('x',
		'pending', 'command', 'here', 1, 1, 'no-boot:1:1')"
	[ "$(forge-session list --all -q .state)" = interrupted ]
	# and the database lets no state follow that may not
	run sqlite3 state/forge.db \
		"UPDATE session SET state = 'running' WHERE id = 'x'"
	[ "$status" -ne 0 ]
	[[ $output == *"a session cannot go from that state to this"* ]]
	run sqlite3 state/forge.db "INSERT INTO session (id, state, provider,
		place, created_at, updated_at) VALUES ('y', 'running', 'c',
		'here', 1, 1)"
	[ "$status" -ne 0 ]
	[[ $output == *"a session begins as pending"* ]]
}
