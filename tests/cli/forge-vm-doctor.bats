#!/usr/bin/env bats
# forge-vm doctor: what it says of this host, and of one where things miss.

# Tests are subshells, and run sets stderr.
# shellcheck disable=SC2030,SC2031,SC2154
bats_require_minimum_version 1.5.0
load lib
load images

setup()
{
	common_setup
	export FORGE_CONFIG=/dev/null
	# a host where every helper is installed
	mkdir libexec bin
	printf '#!/bin/sh\n' >libexec/forge-init
	cat >libexec/driver-qemu <<-'END'
		#!/bin/sh
		echo '{"driver":"qemu","program":"/q","usable":true}'
	END
	chmod +x libexec/*
	export FORGE_LIBEXEC=$PWD/libexec
}

teardown() { common_teardown; }

# status CHECK: of the JSON lines in $output
status()
{
	jq -r --arg c "$1" 'select(.check == $c) | .status' <<<"$output"
}

fix()
{
	jq -r --arg c "$1" 'select(.check == $c) | .fix' <<<"$output"
}

# Nothing in PATH but these, and one that says it is QEMU.
poor_path()
{
	local tool
	for tool in unshare true; do
		ln -s "$(command -v "$tool")" bin/
	done
	printf '#!/bin/sh\necho "QEMU emulator version 7.2"\necho more\n' \
		>bin/qemu-system-x86_64
	chmod +x bin/qemu-system-x86_64
}

@test "a host that has all that is required: status 0" {
	poor_path
	run -0 --separate-stderr env PATH="$PWD/bin" \
		"$BUILD/bin/forge-vm" doctor --json
	[ "$stderr" = "" ]
	for c in state database config qemu-system-x86_64 forge-init \
		driver-qemu memory disk; do
		[ "$(status "$c")" = ok ]
	done
	[ "$(jq -r 'select(.check == "qemu-system-x86_64") | .detail' \
		<<<"$output")" = "QEMU emulator version 7.2" ]
	[ "$(status image)" = missing ]
	[ "$(fix image)" = "forge-vm image build busybox" ]
	[ "$(fix mkfs.erofs)" = "apt-get install erofs-utils" ]
	[ "$(fix busybox)" = "apt-get install busybox-static" ]
	[ "$(fix mmdebstrap)" = "apt-get install mmdebstrap" ]
}

@test "each driver: can it be used, and why not" {
	export FORGE_LIBEXEC=$BUILD/libexec
	poor_path
	mkdir -m 700 state
	printf '[vm]\n\taccel = tcg\n' >state/config
	run -0 --separate-stderr env PATH="$PWD/bin" \
		"$BUILD/bin/forge-vm" doctor --json
	[ "$(status driver-qemu)" = ok ]
	[ "$(status driver-process)" = missing ]
	[ "$(fix driver-process)" = 'install bubblewrap' ]
	[ "$(status driver-firecracker)" = missing ]
	[ "$(jq -r 'select(.check == "driver-cloud-hypervisor") | .detail' \
		<<<"$output")" = 'no cloud-hypervisor in PATH' ]
	# Their programs are there, but KVM does not work.
	run -0 env PATH="$ROOT/tests/fake/vmm:$PATH" \
		"$BUILD/bin/forge-vm" doctor --json
	[ "$(status driver-process)" = ok ]
	for driver in driver-firecracker driver-cloud-hypervisor; do
		[ "$(status "$driver")" = failed ]
		[[ "$(fix "$driver")" =~ KVM|virtualisation|kvm ]]
	done
	run -0 env PATH="$ROOT/tests/fake/vmm:$PATH" \
		"$BUILD/bin/forge-vm" doctor
	[[ "$output" =~ driver-process\ +ok ]]
}

@test "the default driver is the one that must work" {
	export FORGE_LIBEXEC=$BUILD/libexec
	poor_path
	mkdir -m 700 state
	printf '[vm]\n\tdriver = firecracker\n\taccel = tcg\n' >state/config
	run -1 env PATH="$PWD/bin" "$BUILD/bin/forge-vm" doctor --json
	[ "$(jq -r 'select(.check == "driver-firecracker") | .required' \
		<<<"$output")" = true ]
	printf '[vm]\n\tdriver = process\n\taccel = tcg\n' >state/config
	rm bin/qemu-system-x86_64
	ln -s "$(command -v bwrap)" "$(PATH=$PATH:/usr/sbin command -v \
		fsck.erofs)" bin/
	run -0 env PATH="$PWD/bin" "$BUILD/bin/forge-vm" doctor --json
	[ "$(status driver-process)" = ok ]
	[ "$(status qemu-system-x86_64)" = missing ]
	rm bin/fsck.erofs
	run -1 env PATH="$PWD/bin" "$BUILD/bin/forge-vm" doctor --json
	[ "$(jq -r 'select(.check == "driver-process") | .detail' \
		<<<"$output")" = 'no fsck.erofs in PATH to unpack images' ]
}

@test "no user namespaces: not the driver process" {
	[ "$(id -u)" = 0 ] || skip 'needs root to forbid them'
	export FORGE_LIBEXEC=$BUILD/libexec
	run -0 unshare -Ur sh -c \
		'echo 0 >/proc/sys/user/max_user_namespaces || exit 77
		exec "$BUILD/bin/forge-vm" doctor --json'
	[ "$(status driver-process)" = failed ]
	[[ "$(fix driver-process)" =~ ^sysctl ]]
}

@test "plan says when its driver cannot be used here" {
	use_image
	export FORGE_LIBEXEC=$BUILD/libexec
	run -0 --separate-stderr env PATH="$PWD/bin" "$BUILD/bin/forge-vm" \
		plan --driver process -i busybox
	[ "${lines[-1]}" = '# cannot be started here: no bwrap in PATH (install bubblewrap)' ]
	run -0 forge-vm plan --driver process -i busybox
	[ -z "$(grep 'cannot be started' <<<"$output")" ]
	[ "$(forge-vm plan --driver process -i busybox -q .usable)" = true ]
}

@test "every check that is not ok says what to do" {
	run -1 --separate-stderr env PATH=/none FORGE_LIBEXEC=/none \
		"$BUILD/bin/forge-vm" doctor --json
	[ "$(jq -s 'map(select((.status == "ok") != (.fix == null))) |
		length' <<<"$output")" = 0 ]
	[ "$(jq -s 'map(.check) | length == (unique | length)' \
		<<<"$output")" = true ]
	[ "$(status qemu-system-x86_64)" = missing ]
	[ "$(fix qemu-system-x86_64)" = "apt-get install qemu-system-x86" ]
	[ "$(status forge-init)" = missing ]
}

@test "without QEMU VMs cannot run: status 1" {
	poor_path
	rm bin/qemu-system-x86_64
	run -1 env PATH="$PWD/bin" "$BUILD/bin/forge-vm" doctor
	[[ $output == *"
qemu-system-x86_64"*" missing "*"apt-get install qemu-system-x86"* ]]
}

@test "a state directory that cannot be used" {
	poor_path
	mkdir -m 777 open
	run -1 env PATH="$PWD/bin" FORGE_STATE="$PWD/open" \
		"$BUILD/bin/forge-vm" doctor --json
	[ "$(status state)" = failed ]
	[ "$(status database)" = "" ]
	[ "$(status memory)" = ok ]
}

@test "a database that is none" {
	poor_path
	mkdir -m 700 state
	echo garbage garbage garbage >state/forge.db
	run -1 env PATH="$PWD/bin" "$BUILD/bin/forge-vm" doctor --json
	[ "$(status state)" = ok ]
	[ "$(status database)" = failed ]
}

@test "mistakes in the configuration are shown, and are no obstacle" {
	poor_path
	mkdir -m 700 state
	printf '[vm]\n\tdriver = qemu\n\tcolour = blue\n' >state/config
	run -0 env PATH="$PWD/bin" "$BUILD/bin/forge-vm" doctor --json
	[ "$(status config)" = failed ]
	[[ $(jq -r 'select(.check == "config") | .detail' <<<"$output") == \
		"$PWD/state/config:3: "* ]]
	printf '[vm\n' >state/config
	run -1 env PATH="$PWD/bin" "$BUILD/bin/forge-vm" doctor --json
	[ "$(status config)" = failed ]
}

@test "vm.accel is taken as the answer about KVM" {
	poor_path
	mkdir -m 700 state
	printf '[vm]\n\taccel = kvm\n' >state/config
	run -0 env PATH="$PWD/bin" "$BUILD/bin/forge-vm" doctor --json
	[ "$(status kvm-boot)" = ok ]
	printf '[vm]\n\taccel = tcg\n' >state/config
	run -0 env PATH="$PWD/bin" "$BUILD/bin/forge-vm" doctor --json
	[ "$(status kvm-boot)" = failed ]
	printf '[vm]\n\taccel = warp\n' >state/config
	run -0 env PATH="$PWD/bin" "$BUILD/bin/forge-vm" doctor --json
	[ "$(jq -r 'select(.check == "kvm-boot") | .detail' <<<"$output")" = \
		"vm.accel = warp: want kvm, tcg or auto" ]
}

@test "KVM is believed only when a guest booted, once per boot" {
	[ -w /dev/kvm ] || skip "no /dev/kvm to be opened"
	use_image
	poor_path
	# a QEMU that boots at once: it says hello on the channel's fd
	cat >bin/qemu-system-x86_64 <<-'EOF'
		#!/bin/bash
		[ "$1" = --version ] && { echo QEMU; exit; }
		echo boot >>"$HOME/boots"
		fd=$(echo "$*" | sed 's/.*id=c,fd=\([0-9]*\).*/\1/')
		eval "printf '\367frg\1' >&$fd"
		exec sleep 20
	EOF
	ln -s /bin/sh /bin/sed /bin/sleep bin/
	run -0 env PATH="$PWD/bin" "$BUILD/bin/forge-vm" doctor --json
	[ "$(status kvm-boot)" = ok ]
	[ "$(status image)" = ok ]
	run -0 env PATH="$PWD/bin" "$BUILD/bin/forge-vm" doctor --json
	[ "$(status kvm-boot)" = ok ]
	[ "$(wc -l <"$HOME/boots")" = 1 ]
	run -0 env PATH="$PWD/bin" "$BUILD/bin/forge-vm" doctor --fresh --json
	[ "$(wc -l <"$HOME/boots")" = 2 ]
	# of another boot of the host: asked again
	sed -i 's/^[^ ]*/0123/' state/cache/kvm
	run -0 env PATH="$PWD/bin" "$BUILD/bin/forge-vm" doctor --json
	[ "$(wc -l <"$HOME/boots")" = 3 ]
}

@test "KVM under which a guest hangs is not, after a deadline" {
	[ -w /dev/kvm ] || skip "no /dev/kvm to be opened"
	use_image
	poor_path
	cat >bin/qemu-system-x86_64 <<-'EOF'
		#!/bin/sh
		[ "$1" = --version ] && { echo QEMU; exit; }
		echo $$ >"$HOME/pid"
		exec sleep 60
	EOF
	ln -s /bin/sh /bin/sleep bin/
	local start=$SECONDS
	run -0 env PATH="$PWD/bin" "$BUILD/bin/forge-vm" doctor --json
	[ $((SECONDS - start)) -lt 10 ]
	[ "$(status kvm-boot)" = failed ]
	[ "$(jq -r 'select(.check == "kvm-boot") | .detail' <<<"$output")" = \
		"/dev/kvm opens, but a stock kernel hangs under it" ]
	run ! kill -0 "$(cat "$HOME/pid")"
}

@test "the same on this host, for real: an answer, and soon" {
	use_image
	local start=$SECONDS
	run --separate-stderr "$BUILD/bin/forge-vm" doctor --json
	[ $((SECONDS - start)) -lt 10 ]
	[ "$(status image)" = ok ]
	[[ $(status kvm-boot) == @(ok|failed) ]]
	[ "$stderr" = "" ]
}
