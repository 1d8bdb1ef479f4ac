#!/usr/bin/env bats
# forge-vm: what a VM may take of the host, on this host's own cgroups, and on
# version 2 in a guest.

# shellcheck disable=SC2016,SC2154

load lib
load images

setup() {
	common_setup
	use_image busybox
}
teardown() {
	forge-vm list -q .name | xargs -r forge-vm destroy
	forge-vm fsck >/dev/null
	common_teardown
}

# our_cgroups: those of this state directory, by hierarchy
our_cgroups() {
	find /sys/fs/cgroup -maxdepth 3 -type d \
		-path "*/forge.slice/$(state_id)-*" 2>/dev/null
}

state_id() { printf %s "$FORGE_STATE" | sha256sum | cut -c1-12; }

# cgroup_file NAME FILE...: the first FILE there is of VM NAME, by version
cgroup_file() {
	local vm=$1 file
	shift
	for file; do
		find /sys/fs/cgroup -maxdepth 4 -name "$file" \
			-path "*/forge.slice/$(state_id)-$vm/*" 2>/dev/null
	done | head -n 1
}

need_cgroups() {
	forge-vm doctor -q 'select(.check == "cgroup") | .detail' \
		>detail || true
	grep -q 'limits:.*memory.*cpu.*pids' detail ||
		skip "no cgroups: $(cat detail)"
}

@test "limits: the hypervisor is in its cgroup from its first moment" {
	need_cgroups
	rate=
	[ "$(stat -c %Hd .)" = 0 ] || rate=--disk-rate=20M
	forge-vm start -i busybox -n web -m 128M --pids 300 ${rate:+"$rate"}
	pid=$(forge-vm show web -q .hypervisor | cut -d: -f2)
	grep -q "/forge.slice/$(state_id)-web\$" "/proc/$pid/cgroup"
	! grep forge.slice "/proc/$$/cgroup" || false
	file=$(cgroup_file web pids.max)
	[ "$(cat "$file")" = 300 ]
	file=$(cgroup_file web memory.max memory.limit_in_bytes)
	[ "$(cat "$file")" = $(((128 + 384) << 20)) ]
	file=$(cgroup_file web cpu.max cpu.cfs_quota_us)
	[ "$(cut -d' ' -f1 "$file")" = 100000 ]
	file=$(cgroup_file web io.max blkio.throttle.write_bps_device)
	[ -z "$rate" ] || grep -q 20971520 "$file"
	run -0 --separate-stderr forge-vm stop web
	[ -z "$(our_cgroups)" ]
}

@test "limits: none is left by run, by a failed boot and by destroy" {
	need_cgroups
	forge-vm run -i busybox -- true
	[ -z "$(our_cgroups)" ]
	run -125 forge-vm run -i busybox --boot-timeout 100ms -- true
	[ -z "$(our_cgroups)" ]
	forge-vm start -i busybox -n web
	[ -n "$(our_cgroups)" ]
	forge-vm destroy web
	[ -z "$(our_cgroups)" ]
}

@test "limits: kill -9 of the supervisor, and a stray cgroup, are for fsck" {
	need_cgroups
	forge-vm start -i busybox -n web
	kill -9 "$(forge-vm show web -q .supervisor | cut -d: -f2)"
	dir=$(our_cgroups | head -n 1)
	stray=${dir%-web}-stray
	mkdir "$stray"
	sleep 600 3>&- &
	echo "$!" >"$stray/cgroup.procs"
	run -0 --separate-stderr forge-vm fsck -n
	[ "$output" = "vm 'web': its supervisor is dead
cgroup forge.slice/$(state_id)-stray: no VM lives in it" ]
	[ -d "$stray" ]
	kill -0 "$!"
	run -0 --separate-stderr forge-vm fsck
	[ "${lines[1]}" = "cgroup forge.slice/$(state_id)-stray: no VM lives in it" ]
	[ -z "$(our_cgroups)" ]
	status=0
	wait "$!" || status=$?
	[ "$status" = 137 ]
	run -0 --separate-stderr forge-vm fsck -n
	[ "$output$stderr" = '' ]
}

@test "limits: a place that forks or eats without end harms itself only" {
	need_cgroups
	forge-vm start -i busybox -n place --driver process -m 64M --pids 40
	run forge-vm exec place -- sh -c \
		'b() { b & b; }; b 2>/dev/null; sleep 1; echo over'
	file=$(cgroup_file place pids.current)
	[ "$(cat "$file")" -le 40 ]
	run -137 forge-vm exec place -- \
		dd if=/dev/zero of=/dev/null bs=300M count=1
	forge-vm destroy place
	[ -z "$(our_cgroups)" ]
}

@test "limits: two busy processes of a place get one processor" {
	need_cgroups
	[ "$(nproc)" -gt 1 ] || skip "one processor"
	forge-vm start -i busybox -n place --driver process --cpus 1
	forge-vm exec place -- sh -c \
		'timeout 2 sh -c "while :; do :; done" &
		timeout 2 sh -c "while :; do :; done"; wait' || true
	# with version 1 there is a cpu.stat in version 2's tree as well
	throttled=$(find /sys/fs/cgroup -name cpu.stat \
		-path "*/forge.slice/$(state_id)-place/*" \
		-exec sed -n 's/^nr_throttled //p' {} +)
	[ "$throttled" -gt 0 ] ||
		[ "$(cut -d. -f1 /proc/loadavg)" -ge "$(nproc)" ]
}

@test "limits: numbers out of range" {
	for bad in '--pids 15' '--pids x' '--io-weight 0' '--io-weight 10001' \
		'--disk-rate 1' '--disk-rate -5'; do
		# shellcheck disable=SC2086
		run -2 --separate-stderr forge-vm run -i busybox $bad true
		[[ "$stderr" == "forge-vm: ${bad% *}: "* ]]
	done
}

@test "limits: without cgroups a limit that only they keep is refused" {
	[ "$(id -u)" = 0 ] || skip "needs root"
	run -125 --separate-stderr unshare -m sh -c \
		'mount -t tmpfs none /sys/fs/cgroup &&
		umount -a -t cgroup,cgroup2 2>/dev/null
		exec forge-vm run -i busybox --pids 100 -- true'
	[ "$stderr" = "forge-vm: --pids cannot be kept: no cgroup file system can be written to; see 'forge-vm doctor'" ]
	run -0 --separate-stderr unshare -m sh -c \
		'mount -t tmpfs none /sys/fs/cgroup &&
		umount -a -t cgroup,cgroup2 2>/dev/null
		exec forge-vm run -i busybox -- true'
	[ "$output$stderr" = '' ]
}

@test "limits: the same on version 2, in a guest" {
	unit=$BUILD/tests/unit/cgroup
	[ -x "$unit" ] || make -s -C "$ROOT" BUILD="$BUILD" units
	libs=$(ldd "$unit" | grep -o '/[^ ]*' | sort -u)
	forge-vm start -i busybox -n two -m 256M
	forge-vm exec two -- mkdir -p /tmp/host /lib64
	# shellcheck disable=SC2086
	tar -chP --transform 's,.*/,,' $unit $libs | forge-vm cp - two:/tmp/host
	forge-vm exec two -- sh -c 'cp /tmp/host/ld-linux* /lib64'
	run -0 forge-vm exec -e LD_LIBRARY_PATH=/tmp/host two -- /tmp/host/cgroup
	[[ "$output" == *'# this host: version 2'* ]]
	[[ "$output" != *'not ok'* ]]
	[[ "$output" == *'ok 40 - and gone'* ]]
}
