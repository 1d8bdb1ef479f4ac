#!/usr/bin/env bats
# Budgets, tokens, turns and time, of a session and of a day; with
# tests/fake/agent, which says what it costs as Claude Code does.

# Tests are subshells, and run sets stderr.
# shellcheck disable=SC2030,SC2031,SC2154
bats_require_minimum_version 1.5.0
load lib
load session

setup() { session_setup; }
teardown() { session_teardown; }

# why ID: state, status and reason
why()
{
	forge-session show "$1" -q '[.state, .status, .reason] | @csv'
}

over() { run forge-session wait --over --timeout 60 "$1"; }
db() { sqlite3 state/forge.db "$1"; }

@test "--budget-usd ends a session that has cost so much: status 8" {
	run -8 --separate-stderr forge-session run --name a -p "cost 0.75" \
		--budget-usd 0.5
	[ "$stderr" = "forge-session: session 'a' failed: its budget is \
spent: \$0.7500 of \$0.5000" ]
	[ "$(why a)" = '"failed",8,"its budget is spent: $0.7500 of $0.5000"' ]
	run -0 forge-session run -p "cost 0.25" --budget-usd 0.5
	run -2 --separate-stderr forge-session run -p x --budget-usd free
	[ "${stderr_lines[0]}" = "forge-session: --budget-usd 'free' is not \
an amount of dollars" ]
	run -2 forge-session run -p x --budget-usd -1
}

@test "a budget counts over turns, and resuming gives no new one" {
	forge-session start --name a -p "cost 0.2" --budget-usd 0.5
	forge-session wait --timeout 60 a
	forge-session send a "cost 0.2"
	forge-session wait --timeout 60 a
	forge-session send a "cost 0.2"
	over a
	[ "$status" = 8 ]
	[ "$(why a)" = '"failed",8,"its budget is spent: $0.6000 of $0.5000"' ]
	run -0 forge-session resume a -p "say hi"
	over a
	[ "$status" = 8 ]
	[ "$(forge-session log a -q 'select(.kind == "output") |
		.data.text')" = "" ]
}

@test "--max-tokens and --max-turns" {
	run -8 --separate-stderr forge-session run --name a -p "cost 1" \
		--max-tokens 1000
	[ "$stderr" = "forge-session: session 'a' failed: its tokens are \
used: 1100 of 1000" ]
	forge-session start --name b -p "say 1" --max-turns 2
	forge-session wait --timeout 60 b
	forge-session send b "say 2"
	over b
	[ "$status" = 8 ]
	[ "$(why b)" = '"failed",8,"it has answered 2 messages"' ]
	run -0 forge-session run -p "say 1" --max-turns 1
}

@test "--timeout counts work; --idle-timeout counts silence" {
	run -8 --separate-stderr forge-session run --name a -p hang \
		--timeout 300ms
	[ "$stderr" = "forge-session: session 'a' failed: it has worked for \
300ms" ]
	run -8 --separate-stderr forge-session run --name b -p hang \
		--idle-timeout 300ms
	[ "$stderr" = "forge-session: session 'b' failed: nothing has \
happened for 300ms" ]
	# one that has nothing to do is done
	forge-session start --name c -p "say hi" --idle-timeout 4s \
		--timeout 60s
	# one that waits for people is not idle
	forge-session start --name d -p "use Bash x" --idle-timeout 4s
	over c
	[ "$(why c)" = '"completed",0,"nothing has happened for 4.00s"' ]
	run -9 forge-session wait --asks --timeout 60 d
	sleep 4
	[ "$(forge-session show d -q .state)" = waiting ]
	forge-session answer "$(forge-session asks -q .id)" --allow
	over d
	[ "$status" = 0 ]
}

@test "the day's budget: for all sessions, and for an identity's" {
	printf '[session]\n\tday-budget-usd = 1\n' >>config
	run -0 forge-session run -p "cost 0.6"
	run -8 --separate-stderr forge-session run --name b -p "cost 0.5"
	[ "$stderr" = "forge-session: session 'b' failed: today's budget is \
spent: \$1.1000 of \$1.0000" ]
	# then none begins: the agent was not even started
	run -8 --separate-stderr forge-session run --name c -p "say x"
	[ -z "$(find state/session/c -name "agent-*")" ]
	# tomorrow is another day
	db 'UPDATE spent SET day = day - 1'
	run -0 forge-session run -p "cost 0.1"
	[ "$(db 'SELECT count(*), sum(cost_microusd) FROM spent')" = \
		'3|1200000' ]
	printf '[session]\n\tday-budget-usd = x\n' >>config
	run -1 --separate-stderr forge-session run --name d -p "say x"
	[ "$stderr" = "forge-session: session 'd' failed: \
session.day-budget-usd 'x' is not an amount of dollars" ]
}

@test "tokens of a day, of one identity" {
	forge-session identity create work --author "A B <a@b.test>"
	forge-session list
	printf '[identity "work"]\n\tday-tokens = 100\n' >>config
	run -0 forge-session run --name a -p "cost 1"
	db "UPDATE spent SET identity = 'work'"
	run -0 forge-session run --name b -p "cost 1"
	db "UPDATE session SET identity = 'work' WHERE id = 'b'"
	forge-session resume b -p "say x"
	over b
	[ "$status" = 8 ]
	[ "$(why b)" = '"failed",8,"today'"'"'s tokens of identity '"'"'work'"'"' are used: 1100 of 100"' ]
}

@test "prices of models.json, where the agent does not say what it costs" {
	mkdir -p -m 700 state
	mkdir -p state/providers/plain
	cat >state/providers/plain/provider <<-'END'
	[provider]
		command = jq -c --unbuffered {in:1000000,out:500000}
		process = turn
	END
	cat >state/providers/plain/out.jq <<-'END'
	{kind: "usage", data: {input_tokens: .line.in,
		output_tokens: .line.out}}
	END
	echo '[{"id": "m", "default": true, "input_usd": 3, "output_usd": 15}]' \
		>state/providers/plain/models.json
	run -8 --separate-stderr forge-session run --name a -P plain -p '1' \
		--budget-usd 10
	[ "$stderr" = "forge-session: session 'a' failed: its budget is \
spent: \$10.5000 of \$10.0000" ]
}

# was_limited N: so often
was_limited()
{
	[ "$(forge-watch events -q 'select(.kind == "session.limited") |
		.subject' | wc -l)" = "$1" ]
}

# limit_ends MS: from now, whatever its API has said
limit_ends()
{
	until=$(($(date +%s%3N) + $1))
	db "UPDATE session SET limited_until = $until"
}

# limited ID MS: a session that waits for its API, and its supervisor's pid
limited()
{
	forge-session start --name "$1" -p "limit $2" --once >/dev/null
	wait_until 60 was_limited 1
	pid=$(sqlite3 state/forge.db "SELECT supervisor FROM session" |
		cut -d : -f 2)
}

kill_supervisor()
{
	kill -KILL "$pid"
	unlocked() { flock -n state/run/session/a true; }
	wait_until 60 unlocked
}

@test "a rate limit: it waits, and goes on by itself" {
	limited a 1500
	over a
	[ "$status" = 0 ]
	[ "$(forge-session log a -q 'select(.kind == "output") |
		.data.text')" = "limit over" ]
}

@test "a rate limit outlives its supervisor: resume goes on waiting" {
	limited a 600000
	kill_supervisor
	[ "$(forge-session show a -q .state)" = interrupted ]
	limit_ends 5000
	run -0 --separate-stderr forge-session resume --limited
	[ "$output" = a ]
	run -0 --separate-stderr forge-session resume --limited
	[ "$output$stderr" = "" ]
	wait_until 60 was_limited 2
	over a
	[ "$status" = 0 ]
	[ "$(date +%s%3N)" -ge "$until" ]
	run -2 forge-session resume
	run -2 forge-session resume --limited a
}

@test "forge-watch resumes what waited for its API" {
	limited a 600000
	kill_supervisor
	limit_ends 1000
	background watch.log forge-watch run
	completed() { [ "$(forge-session show a -q .state)" = completed ]; }
	wait_until 60 completed
}
