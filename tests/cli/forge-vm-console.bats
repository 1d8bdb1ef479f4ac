#!/usr/bin/env bats
# forge-vm console and logs: nothing is lost, nothing grows without end, and
# nothing reaches a terminal that nobody asked for.

# Tests are subshells and run sets stderr.
# shellcheck disable=SC2016,SC2030,SC2031,SC2154

load lib
load images

setup_file() {
	one_vm
	# no echo, no CR: what is written is what comes
	forge-vm exec web -- sh -c 'stty raw -echo </dev/ttyS0'
}
teardown_file() { one_vm_end; }
setup() { one_vm_setup; }
teardown() { common_teardown; }

vm() { forge-vm exec web -- sh -c "$1"; }

@test "logs: the last lines, what came since, and what comes" {
	vm 'for i in 1 2 3 4 5; do echo "line $i" >/dev/ttyS0; done'
	run -0 --separate-stderr forge-vm logs -n 2 web
	[ "$output" = $'line 4\nline 5' ]
	[ "$stderr" = '' ]
	run -0 forge-vm logs -n 0 web
	[ "$output" = '' ]
	run -0 bash -c 'forge-vm logs web | tail -n 5'
	[ "${lines[0]}" = 'line 1' ]
	sleep 1.2
	now=$(date -u +%Y-%m-%dT%H:%M:%S.%3NZ)
	vm 'echo later >/dev/ttyS0'
	run -0 forge-vm logs --since "$now" web
	[ "$output" = later ]
	run -0 forge-vm logs --since 1h -n 2 web
	[ "$output" = $'line 5\nlater' ]
	run -0 forge-vm logs --since 2100-01-01T00:00:00Z web
	[ "$output" = '' ]
	background follow forge-vm logs -f -n 1 web
	vm 'echo and more >/dev/ttyS0'
	wait_until 60 grep -q more follow
	[ "$(cat follow)" = $'later\nand more' ]
	run -2 --separate-stderr forge-vm logs --since yesterday web
	[ "${stderr_lines[0]}" = "forge-vm: --since: 'yesterday' is neither a duration like 10m nor a time like 2026-11-21T05:27:48Z" ]
	run -2 --separate-stderr forge-vm logs -n -5 web
	run -3 --separate-stderr forge-vm logs nope
	[ "$stderr" = "forge-vm: VM 'nope' has no log" ]
}

@test "console: readers lose nothing, through rotations, and the disk is safe" {
	background all forge-vm logs -f -n 0 web
	background one forge-vm console -r web
	background two forge-vm console -r web
	wait_until 60 sh -c 'forge-vm exec web true'
	sleep 0.3
	vm 'yes "some text that makes it longer" | head -n 40000 |
		awk "{ printf \"%08d %s\n\", NR, \$0 }" >/dev/ttyS0
		echo the end >/dev/ttyS0'
	for f in all one two; do
		wait_until 60 grep -q 'the end' "$f"
		run -0 sh -c "grep -o '^0[0-9]*' $f | sort -c && grep -c '^0.* longer' $f"
		[ "$output" = 40000 ]
	done
	size=$(du -sb "$FORGE_STATE/vm/web" | cut -f1)
	[ "$size" -gt 1048576 ]
	[ "$size" -lt 3300000 ]
}

@test "console: one types, the others are told" {
	vm 'cat /dev/ttyS0 >/tmp/typed &'
	mkfifo keys
	exec 7<>keys
	forge-vm console web <&7 >out 2>err 3>&- 4>&- &
	pid=$!
	echo "$pid" >>pids
	printf 'hello\n' >&7
	wait_until 60 forge-vm exec web -- grep -q hello /tmp/typed
	run -4 --separate-stderr timeout 10 forge-vm console web </dev/null
	[ "$output" = '' ]
	[ "$stderr" = 'forge-vm: somebody else types on this console; --read-only is free' ]
	vm 'echo answer >/dev/ttyS0'
	wait_until 60 grep -q answer out
	# As much as one likes.
	seq 30000 >&7
	wait_until 60 forge-vm exec web -- grep -q '^30000$' /tmp/typed
	kill -TERM "$pid"
	status=0
	wait "$pid" || status=$?
	[ "$status" = 0 ]
	[ ! -s err ]
	exec 7>&-
	run -0 vm 'wc -l </tmp/typed; sed 1d /tmp/typed | sort -nc; pidof cat | xargs kill'
	[ "$output" = 30001 ]
	# The place is free again.
	background again forge-vm console web
	sleep 0.3
	kill -0 "$LAST_PID"
}

@test "console: on a terminal ^] leaves, and the terminal is as before" {
	cat >on-terminal <<-'E'
	stty -a >before
	forge-vm console web
	echo "status $?"
	stty -a >after
	E
	{
		sleep 0.7
		printf 'x'
		sleep 0.2
		printf '\035'
	} | script -qec 'sh on-terminal' out >/dev/null
	cmp before after
	grep -q "The console of 'web'; ^\] leaves it." out
	grep -q 'status 0' out
}

@test "console: who stops reading is let go, and the guest goes on" {
	forge-vm console -r web >out 2>err 3>&- 4>&- &
	pid=$!
	sleep 0.3
	kill -STOP "$pid"
	SECONDS=0
	vm 'seq 100000 >/dev/ttyS0'
	[ "$SECONDS" -lt 30 ]
	kill -CONT "$pid"
	status=0
	wait "$pid" || status=$?
	[ "$status" = 4 ]
	[ "$(cat err)" = 'forge-vm: we were too slow for the console' ]
	# What it did get has no gap.
	run -0 sh -c 'sed \$d out | sort -nc'
}

@test "console: before the guest is ready, and to its end" {
	forge-vm start -i busybox -n two --net none 3>&- 4>&- &
	starting=$!
	wait_until 60 test -S "$FORGE_STATE/vm/two/ctl.sock"
	background out forge-vm console -r two
	wait "$starting"
	forge-vm exec two -- sh -c 'echo last words >/dev/ttyS0'
	forge-vm stop two
	status=0
	wait "$LAST_PID" || status=$?
	[ "$status" = 0 ]
	grep -q 'last words' out
	grep -q 'Power down' out
	run -3 --separate-stderr forge-vm console two
	[ "$stderr" = "forge-vm: VM 'two' does not run; 'forge-vm list' shows those there are" ]
	forge-vm destroy two
}

@test "what a guest says steers a terminal only where that is asked for" {
	vm 'printf "%b" "evil \033]0;x\007 \0302\0233 \0377 end\n" >/tmp/evil; cat /tmp/evil >/dev/ttyS0'
	for command in 'logs -n 1 web' 'exec web -- cat /tmp/evil'; do
		run -0 script -qec "forge-vm $command" /dev/null
		[ "$output" = $'evil ?]0;x? ?? ? end\r' ]
	done
	run -0 script -qec "forge-vm exec -t web -- cat /tmp/evil" /dev/null
	[[ "$output" == *$'\033]0;x'* ]]
	# A file or a pipe gets the bytes as they are.
	forge-vm exec web -- cat /tmp/evil >raw
	[ "$(od -An -c raw | tr -d ' \n')" = 'evil033]0;x\a302233377end\n' ]
	# An error that quotes the guest has one clean line.
	vm 'mkdir "/tmp/$(printf "a\033b\nc")" && cd /tmp/a* && touch x && mkfifo f'
	run -1 --separate-stderr forge-vm cp web:/tmp/. .
	[[ "$stderr" != *$'\033'* ]]
}
