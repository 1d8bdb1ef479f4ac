#!/usr/bin/env bats
# forge-vm exec in a real guest: terminals, and many commands at once.  What
# happens on a terminal in detail: tests/unit/exec_tty.c.

# Tests are subshells and run sets stderr.
# shellcheck disable=SC2016,SC2030,SC2031,SC2154

load lib
load images

setup_file() { one_vm; }
teardown_file() { one_vm_end; }
setup() { one_vm_setup; }
teardown() { common_teardown; }

@test "exec -t: a terminal with our size, raw here, and as before afterwards" {
	cat >on-terminal <<-'E'
	stty rows 33 cols 101
	stty -a >before
	forge-vm exec -t web -- sh -c 'stty size; tty; test -t 2 && echo $TERM; exit 5'
	echo "status $?"
	stty -a >after
	E
	# an stdin that is at its end would be typed as such
	run -0 bash -c 'sleep 2 | script -qec "sh on-terminal" /dev/null'
	[ "$(tr -d '\r' <<<"$output")" = '33 101
/dev/pts/0
xterm
status 5' ]
	cmp before after
}

@test "exec -t: the guest dies under it, and the terminal is as before" {
	forge-vm start -i busybox -n two --net none >/dev/null
	cat >on-terminal <<-'E'
	stty -a >before
	forge-vm exec -t two -- sh -c 'echo up; sleep 100'
	echo "status $?"
	stty -a >after
	E
	background out script -qec 'sh on-terminal' /dev/null
	wait_until 60 grep -q up out
	forge-vm destroy two
	wait_until 60 test -s after
	cmp before after
	grep -q 'the VM ended before the command did' out
	grep -q 'status 125' out
}

@test "exec: forty at once, each with its own streams and status" {
	for i in $(seq 40); do
		forge-vm exec web -- sh -c "cat; echo err $i >&2; exit $i" \
			<<<"in $i" >"out.$i" 2>"err.$i" 3>&- 4>&- &
		pids[i]=$!
	done
	for i in $(seq 40); do
		status=0
		wait "${pids[i]}" || status=$?
		[ "$status" = "$i" ]
		[ "$(cat "out.$i")" = "in $i" ]
		[ "$(cat "err.$i")" = "err $i" ]
	done
}

@test "exec: big streams at once, in both directions" {
	head -c 8000000 /dev/urandom >in
	for i in 1 2 3; do
		forge-vm exec web -- cat <in >"out.$i" 3>&- 4>&- &
		pids[i]=$!
	done
	for i in 1 2 3; do
		wait "${pids[i]}"
		cmp in "out.$i"
	done
}

@test "exec: a command that does not heed TERM is killed in the end" {
	forge-vm exec web -- sh -c 'trap "" TERM; echo up; sleep 600' >out \
		3>&- 4>&- &
	pid=$!
	wait_until 60 grep -q up out
	kill -TERM "$pid"
	SECONDS=0 status=0
	wait "$pid" || status=$?
	[ "$status" = 143 ]
	[ "$SECONDS" -ge 9 ]
	wait_until 60 forge-vm exec web -- sh -c '! pidof sleep'
}
