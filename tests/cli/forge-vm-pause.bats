#!/usr/bin/env bats
# forge-vm pause and resume, on one VM.

# Tests are subshells, run sets stderr, a dollar in quotes is for sh.
# shellcheck disable=SC2016,SC2030,SC2031,SC2154

load lib
load images

setup() {
	common_setup
	use_image busybox
}
teardown() { vm_teardown; }

ticks() {
	awk '{ print $14 + $15 }' "/proc/$1/stat"
}

@test "pause, resume: it stands still, goes on, and knows the time" {
	forge-vm start -i busybox -n web --net none >/dev/null
	run -0 --separate-stderr forge-vm pause web
	[ "$output$stderr" = '' ]
	[ "$(forge-vm show web -q .state)" = paused ]
	run -4 --separate-stderr forge-vm pause web
	[ "$stderr" = "forge-vm: VM 'web' is paused already" ]
	run -0 --separate-stderr forge-vm wait --for ready --timeout 1s web

	# No processor is used, and a command waits.
	pid=$(forge-vm show web -q '.hypervisor | split(":")[1]')
	timeout 60 forge-vm exec web -- date +%s >out 3>&- &
	client=$!
	before=$(ticks "$pid")
	sleep 3
	[ "$(($(ticks "$pid") - before))" -le 2 ]
	[ ! -s out ]
	run -0 --separate-stderr forge-vm resume web
	[ "$output$stderr" = '' ]
	wait "$client"
	late=$(($(date +%s) - $(cat out)))
	[ "$late" -ge 0 ]
	[ "$late" -le 1 ]
	[ "$(forge-vm show web -q .state)" = running ]
	run -4 --separate-stderr forge-vm resume web
	[ "$stderr" = "forge-vm: VM 'web' is not paused" ]

	# A paused one is stopped as any other, by its own processes' end.
	forge-vm pause web
	run -0 --separate-stderr forge-vm stop web
	[ "$output$stderr" = '' ]
	[ "$(forge-vm show web -q '.state, .status')" = $'stopped\n0' ]
	run -3 --separate-stderr forge-vm pause web
	[ "$stderr" = "forge-vm: VM 'web' does not run; 'forge-vm list' shows those there are" ]
	run -0 forge-watch events -q '.kind'
	[ "$(grep -E 'vm.(paused|resumed)' <<<"$output" | tr '\n' ' ')" = \
		'vm.paused vm.resumed vm.paused vm.resumed ' ]
}

@test "pause: kill -9 of the supervisor ends a paused VM" {
	forge-vm start -i busybox -n web --net none >/dev/null
	forge-vm pause web
	pid=$(forge-vm show web -q '.hypervisor | split(":")[1]')
	kill -9 "$(forge-vm show web -q '.supervisor | split(":")[1]')"
	wait_until 60 eval "! kill -0 $pid 2>/dev/null"
	forge-vm fsck >/dev/null
	[ "$(forge-vm show web -q '.state')" = crashed ]
	run -0 --separate-stderr forge-vm fsck -n
	[ "$output" = '' ]
}

@test "pause: a driver without a monitor refuses" {
	forge-vm start -i busybox -n box --driver process >/dev/null
	run -8 --separate-stderr forge-vm pause box
	[ "$stderr" = "forge-vm: driver 'process' cannot pause a VM; qemu can" ]
}
