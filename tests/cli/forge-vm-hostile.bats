#!/usr/bin/env bats
# Guests that break the rules harm only themselves: the supervisor ends or
# bounds them, its memory stays small, and the VM beside them works on.

# Tests are subshells and run sets stderr.
# shellcheck disable=SC2016,SC2030,SC2031,SC2154

load lib
load images

setup_file() {
	common_setup
	use_image busybox
	mkdir libexec
	ln -s "$BUILD"/libexec/* "$ROOT/tests/fake/driver-hostile" libexec/
	export LIB_HELPERS=$PWD/libexec FORGE_LIBEXEC=$PWD/libexec
	forge-vm start -i busybox -n good --net none >/dev/null 3>&- 4>&-
}
teardown_file() {
	cd "$BATS_FILE_TMPDIR" || return 1
	export FORGE_LIBEXEC=$LIB_HELPERS
	forge-vm list -q .name | xargs -r forge-vm destroy
	common_teardown
}
setup() {
	local state=$FORGE_STATE
	common_setup
	export FORGE_STATE=$state FORGE_LIBEXEC=$LIB_HELPERS
}
# Whatever happened: the other VM never noticed.
teardown() {
	run -0 --separate-stderr forge-vm exec good -- echo fine
	[ "$output" = fine ]
	forge-vm list -q .name | grep -vx good | xargs -r forge-vm destroy
	common_teardown
}

hostile() { # NAME [OPTION...]
	forge-vm start -i busybox --driver hostile --net none -n "$@" \
		>/dev/null 3>&- 4>&-
}

supervisor_of() { forge-vm show "$1" -q .supervisor | cut -d: -f2; }

# peak PID: what it had of memory at most, in KiB; half of it is libraries
peak() { awk '/VmHWM/ { print $2 }' "/proc/$1/status"; }

PEAK=28000
if ldd "$BUILD/bin/forge-vm" | grep -q libasan; then
	PEAK=200000 # what is freed is kept for a while
fi

@test "a guest that never becomes ready is given up" {
	for name in silent almost babble hellos; do
		run -125 --separate-stderr hostile "$name" --boot-timeout 700ms
		[ "$stderr" = 'forge-vm: the guest was not ready within 700ms (--boot-timeout)' ]
		[ "$(forge-vm show "$name" -q .state)" = crashed ]
	done
}

@test "what it says of itself is one clean line" {
	run -125 --separate-stderr hostile words
	[ "$stderr" = 'forge-vm: the guest cannot boot: ?]0;owned??second line' ]
	run -1 --separate-stderr hostile version ||
		[ "$status" = 125 ]
	[[ "$stderr" == *"speaks version ?[31m9 of the channel"* ]]
	run -125 --separate-stderr hostile stderr
	[[ "$stderr" == 'forge-vm: the hypervisor ended with status 3: ?[31mred?' ]]
	[ "${#stderr_lines[@]}" = 1 ]
	run -0 script -qec 'forge-vm list; forge-vm show words; forge-vm show stderr' /dev/null
	[[ "$output" != *$'\033]'* ]]
	[[ "$output" != *$'\033[31mred'* ]]
}

@test "lengths that lie are passed over" {
	hostile lengths
	run -0 --separate-stderr forge-vm exec lengths true
	[ "$output" = fine ]
	hostile fat
	run -0 --separate-stderr forge-vm exec fat true
	[ "$output" = fine ]
	[ "$stderr" = '' ]
	[ "$(peak "$(supervisor_of fat)")" -lt "$PEAK" ]
}

@test "frames for streams that are not open go nowhere" {
	hostile strangers
	for _ in 1 2 3; do
		run -0 --separate-stderr forge-vm exec strangers true
		[ "$output" = fine ]
		[ "$stderr" = '' ]
	done
	[ "$(peak "$(supervisor_of strangers)")" -lt "$PEAK" ]
	hostile twice
	for _ in 1 2 3; do
		run -7 --separate-stderr forge-vm exec twice true
		[ "$output$stderr" = '' ]
	done
}

@test "output beyond what it was allowed ends it" {
	hostile flood
	run -125 --separate-stderr forge-vm exec flood true
	[ "$stderr" = 'forge-vm: the VM ended before the command did' ]
	run -0 forge-vm show flood -q .reason
	[ "$output" = 'the guest sent more than it was allowed to' ]
	# and the one who started it is told
	run -125 --separate-stderr forge-vm run -i busybox --driver hostile \
		--net none -n flood-2 -- true
	[ "$stderr" = 'forge-vm: the guest sent more than it was allowed to' ]
}

@test "small frames without end do not pile up" {
	hostile trickle
	pid=$(supervisor_of trickle)
	forge-vm exec trickle true >/dev/null 2>&1 3>&- 4>&- &
	client=$!
	forge-vm exec trickle true >/dev/null 2>&1 3>&- 4>&- &
	stopped=$!
	sleep 0.5
	kill -STOP "$stopped" || true
	sleep 2
	[ "$(peak "$pid")" -lt "$PEAK" ]
	# it lives and is small, or was let go: it could not keep up
	status=0
	if kill -0 "$client" 2>/dev/null; then
		size=$(peak "$client" || echo 0) # it may go just now
		[ "$size" -lt "$PEAK" ]
		kill -9 "$client" || true
	else
		wait "$client" || status=$?
		[ "$status" = 125 ]
	fi
	kill -9 "$stopped" || true
	wait "$client" "$stopped" || true
}

@test "credit without end, and nothing taken: stdin waits" {
	hostile deaf
	pid=$(supervisor_of deaf)
	yes | forge-vm exec deaf cat >/dev/null 2>&1 3>&- 4>&- &
	client=$!
	sleep 2
	[ "$(peak "$pid")" -lt "$PEAK" ]
	[ "$(peak "$client")" -lt "$PEAK" ]
	forge-vm destroy deaf
	status=0
	wait "$client" || status=$?
	[ "$status" = 125 ]
}

@test "a console that floods fills neither memory nor disk" {
	hostile console
	[ "$(peak "$(supervisor_of console)")" -lt "$PEAK" ]
	[ "$(du -sb "$FORGE_STATE/vm/console" | cut -f1)" -lt 3300000 ]
	run -0 script -qec 'forge-vm logs -n 1 console' /dev/null
	[[ "$output" != *$'\033'* ]]
}

@test "cp: what it sends goes nowhere but where it was asked to" {
	hostile pack
	mkdir in
	while IFS='|' read -r what status message; do
		run "-$status" --separate-stderr forge-vm cp "pack:$what/f" in
		[ "$output" = '' ]
		[ "$stderr" = "forge-vm: $message" ]
		[ ! -e in/evil ] && rm -f in/f
		[ -z "$(ls -A in)" ]
	done <<-'E'
	dotdot|1|the VM sent '../evil', which is not below 'f'
	root|1|the VM sent '/tmp/evil', which is not below 'f'
	other|1|the VM sent '.bashrc', which is not below 'f'
	link|1|cannot write 'f/evil': Not a directory
	part|1|the VM sent only a part of it
	junk|1|the VM sent what is no copy of files
	lies|1|the VM sent what is no copy of files
	E
	[ ! -e evil ]
	[ ! -e /tmp/evil ]
	run -1 --separate-stderr forge-vm cp pack:dotdot/f -
	[[ "$stderr" == *"Operation not permitted"* ]]
	run -8 --separate-stderr forge-vm cp --max-size 1M pack:endless/f in
	[ "$stderr" = 'forge-vm: the VM sent more than --max-size allows' ]
	[ -z "$(ls -A in)" ]
}

@test "forward: a guest that breaks the rules resets its own connection" {
	hostile port
	background place forge-vm forward port 0:80
	wait_until 60 test -s place
	for _ in 1 2 3; do
		run bash -c "exec 3<>/dev/tcp/$(tr : / <place) && timeout 5 cat <&3"
		[[ "$output" == a* ]] || [ "$status" = 1 ]
	done
	kill -0 "$LAST_PID"
	hostile flood
	background flooded forge-vm forward flood 0:80
	wait_until 60 test -s flooded
	run timeout 5 bash -c "exec 3<>/dev/tcp/$(tr : / <flooded) && cat <&3 >/dev/null"
	wait_until 60 grep -q 'the VM ended' flooded
}

@test "a real guest forks without end, and is stopped all the same" {
	forge-vm start -i busybox -n bomb --net none -m 128M >/dev/null
	pid=$(supervisor_of bomb)
	forge-vm exec bomb -- sh -c 'b() { b | b & }; b' >/dev/null 2>&1 3>&- 4>&- &
	client=$!
	sleep 2
	run -0 --separate-stderr forge-vm exec good -- echo fine
	[ "$(peak "$pid")" -lt "$PEAK" ]
	SECONDS=0
	forge-vm stop --timeout 1s bomb
	[ "$SECONDS" -lt 15 ]
	wait "$client" || true
}

@test "a real guest fills its disk and its memory" {
	forge-vm start -i busybox -n full --net none -m 128M >/dev/null
	run forge-vm exec full -- sh -c 'dd if=/dev/zero of=/fill bs=1M; dd if=/dev/zero of=/dev/shm/fill bs=1M'
	[ "$(peak "$(supervisor_of full)")" -lt "$PEAK" ]
	forge-vm stop --timeout 2s full
}

@test "a real guest floods a reader that is slow" {
	forge-vm exec good -- yes 3>&- 4>&- | { sleep 2; head -n 1; } >out
	[ "$(cat out)" = y ]
	[ "$(peak "$(supervisor_of good)")" -lt "$PEAK" ]
}
