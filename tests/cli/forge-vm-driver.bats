#!/usr/bin/env bats
# The driver behind forge-vm: what it says of itself, the argv it makes of a
# specification, and what it refuses.

# Tests are subshells, run sets stderr, a dollar in quotes is for sh, argv is
# both a function and a file, and "!" would not end a test.
# shellcheck disable=SC2016,SC2030,SC2031,SC2094,SC2143,SC2154

load lib

setup() {
	common_setup
	driver=$BUILD/libexec/driver-qemu
	spec='{"name":"web","kernel":"/k","initramfs":"/i","root":"/a,b",
		"rootfs":"erofs","cpus":1,"memory_mb":256,"accel":"tcg",
		"tsc_khz":2500000,"net":{"mode":"none"},
		"fds":{"channel":3,"console":4}}'
}
teardown() { common_teardown; }

# argv [JQ]: the argv of the specification, after a change to it
argv() { jq -c "${1:-.}" <<<"$spec" | "$driver" argv; }

# option NAME: the word that follows it in an argv on stdin
option() { jq -r --arg o "$1" '.[index($o) + 1]'; }

@test "driver: caps name the verbs that there are" {
	run -0 --separate-stderr "$driver" caps
	[ "$stderr" = '' ]
	[ "$(jq -r .driver <<<"$output")" = qemu ]
	for verb in $(jq -r '.verbs[]' <<<"$output"); do
		"$driver" "$verb" </dev/null >out 2>err || true
		[ -z "$(grep 'is not one of' err)" ]
	done
	run -2 --separate-stderr "$driver" pause
	[ "$output" = '' ]
	[ "$stderr" = "driver-qemu: verb 'pause' is not one of caps, argv, boot" ]
	run -2 --separate-stderr "$driver"
	[ "$output" = '' ]
	[ "$stderr" = 'driver-qemu: one verb is needed: caps, argv or boot' ]
}

@test "driver: emulation, confined, without a network" {
	argv >argv
	[ "$(jq -r '.[0]' argv)" = qemu-system-x86_64 ]
	[ "$(option -accel <argv)" = tcg,tb-size=64 ]
	[ "$(option -m <argv)" = 256 ]
	[ "$(option -smp <argv)" = 1 ]
	[ "$(option -sandbox <argv)" = on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny ]
	[ "$(option -append <argv)" = 'console=ttyS0 quiet reboot=t panic=-1 cryptomgr.notests mitigations=off noreplace-smp tsc_early_khz=2500000 tsc=reliable' ]
	[ "$(jq -c 'index("-netdev")' argv)" = null ]
	[ "$(jq -c 'index("-mon")' argv)" = null ]
}

@test "driver: a comma in a path is no option of its own" {
	[ "$(argv | option -drive)" = 'if=none,id=root,format=raw,readonly=on,file=/a,,b' ]
	argv 'del(.root)' >argv
	[ "$(jq -c 'index("-drive")' argv)" = null ]
}

@test "driver: KVM, two processors, a network" {
	argv '.accel = "kvm" | .cpus = 2 | .tsc_khz = 0 | .net = {"mode":"user",
		"address":"10.127.0.16","prefix":16,"network":"10.127.0.0",
		"gateway":"10.127.0.1","dns":"10.127.0.2",
		"mac":"02:00:00:00:00:01"} | .fds.net = 5' >argv
	[ "$(option -accel <argv)" = kvm ]
	[ "$(option -cpu <argv)" = host ]
	[ "$(option -smp <argv)" = 2 ]
	[ "$(option -append <argv)" = 'console=ttyS0 quiet reboot=t panic=-1' ]
	[ "$(option -netdev <argv)" = stream,id=net0,server=off,addr.type=fd,addr.str=5 ]
	grep -q 'virtio-net-device,netdev=net0,mac=02:00:00:00:00:01' argv
}

@test "driver: what is no specification is refused in one line" {
	run -2 --separate-stderr bash -c \
		"jq '.net.mode = \"pigeon\"' <<<'$spec' | '$driver' argv"
	[ "$output" = '' ]
	[ "$stderr" = "driver-qemu: net mode 'pigeon' is not known" ]
	for bad in '' '{' 'nonsense'; do
		status=0
		"$driver" argv <<<"$bad" >out 2>err || status=$?
		[ "$status" = 1 ]
		[ ! -s out ]
		[ "$(wc -l <err)" = 1 ]
	done
}
