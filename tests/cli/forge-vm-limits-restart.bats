#!/usr/bin/env bats
# forge-vm start --restart, restart, show --metrics, run --timings.

# shellcheck disable=SC2016,SC2154

load lib
load images

setup() {
	common_setup
	use_image busybox
}
teardown() { vm_teardown; }

start() { forge-vm start -i busybox --driver process -m 64M -n "$@"; }
crash() { kill -9 "$(forge-vm show "$1" -q .supervisor | cut -d: -f2)"; }
states() { forge-vm list -q '"\(.name) \(.state) \(.reason)"'; }

# reboot: nothing of ours lives, and the rows are of another boot
reboot() {
	forge-vm list -q '.supervisor | split(":")[1]' | xargs kill -9
	sqlite3 "$FORGE_STATE/forge.db" "UPDATE vm SET
		supervisor = 'another-boot:' || substr(supervisor, 38),
		hypervisor = 'another-boot:' || substr(hypervisor, 38)"
}

@test "restart: after a reboot forge-watch brings back those marked" {
	start back --restart --pids 100
	start gone
	reboot
	forge-watch run --once >log 2>&1
	[ "$(states)" = "back running null
gone crashed the host was restarted" ]
	run -0 forge-vm exec back -- hostname
	[ "$output" = back ]
	[ "$(forge-watch events -q 'select(.kind == "vm.crashed") | .subject + ": " + .data.reason' | sort)" = \
		'back: the host was restarted
gone: the host was restarted' ]
	[ "$(forge-watch events -q 'select(.kind == "vm.starting" and .data.again) | .subject')" = back ]
	[ "$(forge-vm show back -q .restart,.restarts)" = $'true\n1' ]
}

@test "restart: after crashes it waits longer and longer" {
	start back --restart
	crash back
	run -0 --separate-stderr forge-vm restart
	[ "$output" = back ]
	[ "$stderr" = '' ]
	crash back
	run -0 --separate-stderr forge-vm restart
	[ "$output$stderr" = '' ]
	[ "$(states)" = 'back crashed its supervisor died' ]
	sleep 1.1
	run -0 --separate-stderr forge-vm restart
	[ "$output" = back ]
	crash back
	sleep 1.1
	run -0 --separate-stderr forge-vm restart
	[ "$output$stderr" = '' ]
}

@test "restart: one that was stopped stays so, until it is named" {
	start back --restart
	run -4 --separate-stderr forge-vm restart back
	[ "$stderr" = "forge-vm: VM 'back' runs; 'forge-vm stop back' ends it" ]
	forge-vm stop back
	run -0 --separate-stderr forge-vm restart
	[ "$output$stderr" = '' ]
	run -0 --separate-stderr forge-vm restart back
	[ "$output" = back ]
	run -0 forge-vm exec back -- true
	run -3 --separate-stderr forge-vm restart nope
	[ "$stderr" = "forge-vm: no VM 'nope'; 'forge-vm list' shows those there are" ]
}

@test "show --metrics: what a VM used" {
	start busy
	forge-vm exec busy -- sh -c 'i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done'
	run -0 --separate-stderr forge-vm show --metrics busy \
		-q '.cpu_us > 5000, .memory_bytes > 65536, .processes > 0, .net_sent_bytes'
	[ "$output" = $'true\ntrue\ntrue\nnull' ]
	if [ "$(id -u)" = 0 ] && [ -d /sys/fs/cgroup ]; then
		run -0 unshare -m sh -c 'mount -t tmpfs none /sys/fs/cgroup
			exec forge-vm show --metrics busy -q ".source, .memory_bytes > 65536"'
		[ "$output" = $'process\ntrue' ] || [ "$output" = $'cgroup\ntrue' ]
	fi
	forge-vm stop busy
	run -3 --separate-stderr forge-vm show --metrics busy
	[ "$stderr" = "forge-vm: VM 'busy' does not run; 'forge-vm list' shows those there are" ]
}

@test "timings: every phase, and their sum" {
	run -0 --separate-stderr forge-vm run -i busybox --timings --json -- true
	[ "$output" = '' ]
	[ "$(jq -r 'keys_unsorted | join(" ")' <<<"$stderr")" = \
		'lease clone tap fork hypervisor kernel init agent total' ]
	[ "$(jq '(.total - ([del(.total)[]] | add) | fabs) < 0.02 and
		.kernel > 50 and .hypervisor > 1 and .init > 1' <<<"$stderr")" = true ]
	run -3 --separate-stderr forge-vm run -i busybox --driver process \
		--timings -- sh -c 'echo out; exit 3'
	[ "$output" = out ]
	[ "${#stderr_lines[@]}" = 9 ]
	[[ "${stderr_lines[5]}" == 'kernel          0.000 ms' ]]
	[[ "${stderr_lines[8]}" == total*' ms' ]]
}
