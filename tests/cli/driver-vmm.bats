#!/usr/bin/env bats
# cloud-hypervisor and firecracker beyond the common contract
# (driver-fake-*.bats): their command lines, files, events and API, spoken with
# stand-ins (tests/fake/vmm) that refuse what the real ones would.

# Tests are subshells, run sets stderr, a dollar in quotes is for sh, and "!"
# would not end a test.
# shellcheck disable=SC2016,SC2030,SC2031,SC2143,SC2154

load lib
load images

setup() {
	common_setup
	export PATH=$BATS_TEST_DIRNAME/../fake/vmm:$PATH
	spec='{"name":"web","dir":"/d","kernel":"/k","initramfs":"/i",
		"root":"/r","rootfs":"erofs","cpus":2,"memory_mb":256,
		"accel":"kvm","net":{"mode":"none"},
		"fds":{"channel":-1,"console":4}}'
}
teardown() { common_teardown; }

both() {
	local driver
	for driver in cloud-hypervisor firecracker; do
		"$@" "$driver"
	done
}

# option NAME: the word that follows it in an argv on stdin
option() { jq -r --arg o "$1" '.[index($o) + 1]'; }

@test "vmm: caps find the program in PATH" {
	for driver in cloud-hypervisor firecracker; do
		[ "$(driver-$driver caps | jq -r .program)" = \
			"$BATS_TEST_DIRNAME/../fake/vmm/$driver" ]
		run -2 --separate-stderr "driver-$driver" nosuch
		[[ "$stderr" =~ "verb 'nosuch' is not one of caps, argv, boot" ]]
	done
}

@test "vmm: cloud-hypervisor has everything on its command line" {
	driver-cloud-hypervisor argv <<<"$spec" >argv
	[ "$(jq -r '.[0]' argv)" = cloud-hypervisor ]
	[ "$(option --cpus <argv)" = boot=2,max=2 ]
	[ "$(option --memory <argv)" = size=256M ]
	[ "$(option --kernel <argv)" = /k ]
	[ "$(option --initramfs <argv)" = /i ]
	[ "$(option --cmdline <argv)" = 'console=ttyS0 quiet panic=-1 FORGE_CHANNEL=vsock' ]
	[ "$(option --disk <argv)" = path=/r,readonly=on,image_type=raw,id=root ]
	[ "$(option --vsock <argv)" = cid=3,socket=vsock ]
	[ "$(option --api-socket <argv)" = path=api.sock ]
	[ "$(option --event-monitor <argv)" = fd=5 ]
	[ "$(option --serial <argv)" = tty ]
	[ "$(option --seccomp <argv)" = true ]
	[ "$(jq -c 'index("--net")' argv)" = null ]
	jq '.net = {"mode":"tap","mac":"02:00:00:00:00:01"} | .fds.net = 7' \
		<<<"$spec" | driver-cloud-hypervisor argv >argv
	[ "$(option --net <argv)" = 'fd=[7],mac=02:00:00:00:00:01,id=net0' ]
	run -1 --separate-stderr driver-cloud-hypervisor argv \
		<<<"$(jq '.root = "/a,readonly=off"' <<<"$spec")"
	[ "$output" = '' ]
	[ "$stderr" = "driver-cloud-hypervisor: '/a,readonly=off': cloud-hypervisor can have none of ,\"[] in a path" ]
}

@test "vmm: firecracker has everything in its file" {
	[ "$(driver-firecracker argv <<<"$spec")" = \
		'["firecracker","--api-sock","api.sock","--config-file","firecracker.json"]' ]
	driver-firecracker config <<<"$spec" >config
	[ "$(jq -c '."machine-config"' config)" = \
		'{"vcpu_count":2,"mem_size_mib":256}' ]
	[ "$(jq -c .vsock config)" = '{"guest_cid":3,"uds_path":"vsock"}' ]
	[ "$(jq -c .drives config)" = \
		'[{"drive_id":"root","path_on_host":"/r","is_root_device":false,"is_read_only":true}]' ]
	[ "$(jq -c '.["boot-source"] | [.kernel_image_path, .initrd_path]' \
		config)" = '["/k","/i"]' ]
	run -2 --separate-stderr driver-firecracker argv \
		<<<"$(jq '.cpus = 33' <<<"$spec")"
	[ "$stderr" = 'driver-firecracker: firecracker has at most 32 processors, not 33' ]
}

no_net() {
	run -2 --separate-stderr "driver-$1" argv \
		<<<"$(jq '.net.mode = "user"' <<<"$spec")"
	[ "$output" = '' ]
	[ "$stderr" = "driver-$1: net mode 'user' is not known" ]
}

@test "vmm: a network that it has not got is refused" {
	both no_net
}

log() {
	forge-vm start --driver "$1" -i busybox -n "log-$1" >/dev/null 3>&- 4>&-
	[ "$(forge-vm logs "log-$1" | head -n 1)" = \
		'[    0.000000] Linux version 6.1.0-fake' ]
	ls "$FORGE_STATE/vm/log-$1" >files
	grep -qx api.sock files
	grep -qx vsock files
	[ -z "$(grep -x vsock_1024 files)" ] # the guest came, nobody else may
	forge-vm stop "log-$1"
	[ -z "$(find "$FORGE_STATE/vm/log-$1" -type f,s ! -name "console*")" ]
	forge-vm destroy "log-$1"
}

@test "vmm: the serial line is the console; no socket outlives the VM" {
	use_image busybox
	both log
}

broken() {
	run -125 --separate-stderr env FAKE_VMM=broken \
		forge-vm run --driver "$1" -i busybox -- true
	[ "$output" = '' ]
	[[ "$stderr" =~ ^"forge-vm: the hypervisor ended with status 1: "(Error|Building) ]]
	[ "$(wc -l <<<"$stderr")" = 1 ]
}

@test "vmm: the last words of a hypervisor that cannot start are told" {
	use_image busybox
	both broken
	[ -z "$(forge-vm fsck -n)" ]
}

mute() {
	run -125 --separate-stderr env FAKE_VMM=mute \
		forge-vm run --driver "$1" -i busybox --boot-timeout 500ms -- true
	[ "$stderr" = 'forge-vm: the guest was not ready within 500ms (--boot-timeout)' ]
}

@test "vmm: a guest that never connects is given up" {
	use_image busybox
	both mute
	[ -z "$(find "$FORGE_STATE" -type s)" ]
}

@test "vmm: cloud-hypervisor's guest panics or resets: it is ended" {
	use_image busybox
	run -125 --separate-stderr env FAKE_VMM=panic \
		forge-vm run --driver cloud-hypervisor -i busybox -- sleep 60
	[ "$output" = '' ]
	[ "$stderr" = 'forge-vm: the hypervisor ended with status 137: the kernel of the guest panicked' ]
	run -125 --separate-stderr env FAKE_VMM=reset \
		forge-vm run --driver cloud-hypervisor -i busybox -- sleep 60
	[ "$stderr" = 'forge-vm: the hypervisor ended with status 137: the guest was reset' ]
	[ -z "$(forge-vm fsck -n)" ]
}

@test "vmm: firecracker ends when its guest resets" {
	use_image busybox
	run -125 --separate-stderr env FAKE_VMM=reset \
		forge-vm run --driver firecracker -i busybox -- sleep 60
	[ "$output" = '' ]
	[ "$(wc -l <<<"$stderr")" = 1 ]
	[[ "$stderr" =~ 'the hypervisor ended with status 0'|'the VM ended before the command did' ]]
}

# api DRIVER VERB [MODE]
api() {
	"driver-$1" "$2" <<<"{\"dir\":\"$FORGE_STATE/vm/api\",\"mode\":\"${3-}\"}"
}

paused() {
	forge-vm start --driver "$1" -i busybox -n api >/dev/null 3>&- 4>&-
	api "$1" pause
	forge-vm exec api -- echo back >out 3>&- &
	pid=$!
	sleep 0.5
	[ ! -s out ]
	api "$1" resume
	wait "$pid"
	[ "$(cat out)" = back ]
	forge-vm destroy api
}

@test "vmm: pause and resume by the API socket" {
	use_image busybox
	both paused
}

paused_by_us() { # DRIVER
	forge-vm start --driver "$1" -i busybox -n api >/dev/null 3>&- 4>&-
	run -0 --separate-stderr forge-vm pause api
	[ "$output$stderr" = '' ]
	[ "$(forge-vm show api -q .state)" = paused ]
	run -4 --separate-stderr forge-vm pause api
	[ "$stderr" = "forge-vm: VM 'api' is paused already" ]
	run -0 --separate-stderr forge-vm resume api
	[ "$(forge-vm show api -q .state)" = running ]
	[ "$(forge-vm exec api -- echo back)" = back ]
	forge-vm destroy api
}

@test "vmm: forge-vm pause and resume ask the driver" {
	use_image busybox
	both paused_by_us
}

@test "vmm: what the API refuses is one line" {
	use_image busybox
	forge-vm start --driver cloud-hypervisor -i busybox -n api >/dev/null \
		3>&- 4>&-
	run -1 --separate-stderr api cloud-hypervisor resume
	[ "$output" = '' ]
	[ "$stderr" = "driver-cloud-hypervisor: '/api/v1/vm.resume' is refused with status 405" ]
	forge-vm destroy api
	mkdir -p "$FORGE_STATE/vm/api"
	run -1 --separate-stderr api firecracker pause
	[[ "$stderr" =~ ^"driver-firecracker: '/vm' cannot be asked: "[^$'\n']*$ ]]
}

halt() { # DRIVER MODE
	forge-vm start --driver "$1" -i busybox -n api >/dev/null 3>&- 4>&-
	api "$1" stop "$2"
	forge-vm wait --timeout 10s api
	[ -n "$(forge-vm show api -q .state)" ]
	forge-vm destroy api
}

@test "vmm: each way to halt by the API socket" {
	use_image busybox
	for mode in power-button shutdown vmm; do
		halt cloud-hypervisor "$mode"
	done
	halt firecracker power-button
	run -2 --separate-stderr api firecracker stop shutdown
	[ "$stderr" = "driver-firecracker: mode 'shutdown' is not power-button, the only one of firecracker" ]
	run -2 --separate-stderr api cloud-hypervisor stop nosuch
	[ "$stderr" = "driver-cloud-hypervisor: mode 'nosuch' is none of power-button, shutdown, vmm" ]
}

deaf() { # DRIVER WORDS: by its button, since its agent does nothing
	local name=deaf-$1
	FAKE_VMM=deaf forge-vm start --driver "$1" -i busybox -n "$name" \
		>/dev/null 3>&- 4>&-
	forge-vm stop --timeout 1s "$name"
	forge-vm logs "$name" | grep -qF "] $2"
	[ "$(forge-vm show "$name" -q .state)" = stopped ]
	forge-vm destroy "$name"
}

@test "vmm: stop presses the button of a guest that does not hear" {
	use_image busybox
	deaf cloud-hypervisor vm.power-button &
	pid=$!
	deaf firecracker ctrl-alt-del
	wait "$pid"
}

@test "vmm: a state directory too deep for a socket's address" {
	deep=$PWD/$(printf 'd%.0s' {1..60})/$(printf 'e%.0s' {1..60})
	mkdir -p "$deep"
	chmod 700 "$deep"
	export FORGE_STATE=$deep/state
	use_image busybox
	for driver in cloud-hypervisor firecracker; do
		run -3 --separate-stderr forge-vm run --driver "$driver" \
			-i busybox -- sh -c 'exit 3'
		[ "$stderr" = '' ]
	done
}

@test "vmm: a guest told to use vsock without one says so" {
	use_image busybox
	# The driver of QEMU, with a word more on the kernel's command line.
	mkdir lib
	ln -s "$BUILD/libexec/forge-init" lib/
	cat >lib/driver-qemu <<-'END'
		#!/bin/bash
		spec=$(cat)
		[ "$1" = boot ] || exec "$REAL/driver-qemu" "$1" <<<"$spec"
		mapfile -t a < <("$REAL/driver-qemu" argv <<<"$spec" | jq -r '.[]')
		for i in "${!a[@]}"; do
			case ${a[i]} in
			console=*) a[i]+=" FORGE_CHANNEL=vsock" ;;
			esac
		done
		exec "${a[@]}"
	END
	chmod +x lib/driver-qemu
	export REAL=$BUILD/libexec FORGE_LIBEXEC=$PWD/lib
	forge-vm start --boot-timeout 90s -i busybox --net none -n novsock \
		>out 2>err 3>&- 4>&- || true
	grep -q 'forge-init: cannot reach the host by vsock: ' \
		<(forge-vm logs novsock)
}

@test "vmm: cloud-hypervisor gets the tap by its fd" {
	[ "$(id -u)" = 0 ] || skip 'needs root'
	[ -c /dev/net/tun ] || skip 'no /dev/net/tun'
	use_image busybox
	# In a host of its own; the stand-in asks the kernel if it is a tap.
	run -0 --separate-stderr unshare -n sh -c '
		ip link set lo up && forge-vm setup >setup.log &&
		forge-vm run --driver cloud-hypervisor --net tap -i busybox \
			-- echo up'
	[ "$output" = up ]
	[ "$stderr" = '' ]
}
