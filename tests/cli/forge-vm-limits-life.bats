#!/usr/bin/env bats
# forge-vm --ttl, --idle, hold: how long a VM lives, and why it ended.

# shellcheck disable=SC2016,SC2154

load lib
load images

setup() {
	common_setup
	use_image busybox
}
teardown() { vm_teardown; }

# start NAME OPTION...: a place is up in an instant
start() { forge-vm start -i busybox --driver process -m 64M -n "$@"; }

kinds() { forge-watch events -q "select(.subject == \"$1\") | .kind"; }

@test "ttl: a VM that is old enough is stopped, and why is told" {
	start old --ttl 1s
	run -0 --separate-stderr forge-vm wait --timeout 20s old
	run -0 --separate-stderr forge-vm show old -q '.state, .reason, .ttl_ms'
	[ "$output" = $'stopped\nits time was over (--ttl)\n1000' ]
	[ "$(kinds old | tr '\n' ' ')" = \
		'vm.starting vm.ready vm.expired vm.stopping vm.stopped ' ]
	[ "$(forge-watch events -q 'select(.kind == "vm.expired") | .data.why')" = ttl ]
}

@test "ttl: of run it ends the command, with status 5" {
	run -5 --separate-stderr forge-vm run -i busybox --driver process \
		--ttl 1s -- sleep 60
	[ "$output" = '' ]
	[ "$stderr" = 'forge-vm: its time was over (--ttl)' ]
	run -0 forge-vm run -i busybox --driver process --ttl 1h --idle 1ms \
		-- sleep 1
}

@test "ttl and idle: of a real guest" {
	forge-vm start -i busybox -n real --idle 500ms --ttl 1h
	run -0 --separate-stderr forge-vm wait --timeout 20s real
	run -0 --separate-stderr forge-vm show real -q '.state, .reason'
	[ "$output" = $'stopped\nnobody used it for long enough (--idle)' ]
}

@test "idle: counts from the last use, and use is an exec or a forward" {
	start used --idle 700ms
	forge-vm exec used -- sleep 1.5
	[ "$(forge-vm show used -q .state)" = running ]
	forge-vm forward used 0:9 >/dev/null 3>&- 4>&- &
	pid=$!
	sleep 0.3
	bash -c 'exec 3<>/dev/tcp/127.0.0.1/1' 2>/dev/null || true
	forge-vm exec used -- true
	kill "$pid"
	wait "$pid" || true
	run -0 --separate-stderr forge-vm wait --timeout 20s used
	[ "$(forge-vm show used -q .reason)" = \
		'nobody used it for long enough (--idle)' ]
}

@test "hold: neither ttl nor idle end it until it is released" {
	start kept --ttl 800ms --idle 500ms
	run -0 --separate-stderr forge-vm hold kept
	[ "$output$stderr" = '' ]
	[ "$(forge-vm show kept -q .hold_until)" = 8640000000000000 ]
	sleep 1.5
	[ "$(forge-vm show kept -q .state)" = running ]
	run -0 --separate-stderr forge-vm hold --release kept
	[ "$output$stderr" = '' ]
	run -0 --separate-stderr forge-vm wait --timeout 20s kept
	[ "$(forge-vm show kept -q .reason)" = 'its time was over (--ttl)' ]
	[ "$(kinds kept | tr '\n' ' ')" = \
		'vm.starting vm.ready vm.held vm.released vm.expired vm.stopping vm.stopped ' ]
}

@test "hold: for a time" {
	start kept --idle 300ms
	forge-vm hold --for 1500ms kept
	sleep 1
	[ "$(forge-vm show kept -q .state)" = running ]
	run -0 --separate-stderr forge-vm wait --timeout 20s kept
	[ "$(forge-vm show kept -q .state)" = stopped ]
}

@test "hold: the end of run's command, whose status stays" {
	forge-vm run -i busybox --driver process -n job -- \
		sh -c 'until [ -e /tmp/go ]; do sleep 0.1; done; exit 7' 3>&- &
	pid=$!
	wait_until 60 forge-vm exec job -- true
	forge-vm hold job
	forge-vm exec job -- touch /tmp/go
	sleep 0.7
	run -0 forge-vm exec job -- cat /tmp/go
	kill -0 "$pid"
	forge-vm hold --release job
	status=0
	wait "$pid" || status=$?
	[ "$status" = 7 ]
	run -3 forge-vm show job
}

@test "hold: a signal and stop end it all the same" {
	forge-vm run -i busybox --driver process -n job -- sleep 0.5 3>&- &
	pid=$!
	wait_until 60 forge-vm exec job -- true
	forge-vm hold job
	sleep 1
	kill -TERM "$pid"
	status=0
	wait "$pid" || status=$?
	[ "$status" = 0 ]
	start kept
	forge-vm hold kept
	run -0 forge-vm stop kept
	[ "$(forge-vm show kept -q .state)" = stopped ]
}

@test "hold: what does not run, and what does not go together" {
	run -3 --separate-stderr forge-vm hold nope
	[ "$stderr" = "forge-vm: VM 'nope' does not run; 'forge-vm list' shows those there are" ]
	run -3 --separate-stderr forge-vm hold --release nope
	[ "$stderr" = "forge-vm: VM 'nope' does not run; 'forge-vm list' shows those there are" ]
	run -2 --separate-stderr forge-vm hold --release --for 1s x
	[ "${stderr_lines[0]}" = 'forge-vm: --for and --release exclude each other' ]
	run -2 --separate-stderr forge-vm start -i busybox --ttl 0
	[ "${stderr_lines[0]}" = 'forge-vm: --ttl: 0 is no time' ]
}
