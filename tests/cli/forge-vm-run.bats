#!/usr/bin/env bats
# forge-vm run: the contract of a place, on real guests.

# Tests are subshells, run sets stderr, a dollar in quotes is for sh, and "!"
# would not end a test.
# shellcheck disable=SC2016,SC2030,SC2031,SC2143,SC2154

load lib
load images

setup() {
	common_setup
	use_image busybox
}
teardown() { common_teardown; }

# nothing_left: no VM, lease, file, socket or hypervisor of this state.
nothing_left() {
	[ -z "$(forge-vm fsck -n)" ] &&
		[ -z "$(forge-vm list --json)" ] &&
		[ -z "$(forge-vm lease list --json)" ] &&
		[ -z "$(ls "$FORGE_STATE/vm" 2>/dev/null)" ] &&
		[ -z "$(find "$FORGE_STATE" -type s)" ] &&
		[ -z "$(pgrep -f "$FORGE_STATE/image/")" ]
}

@test "run: the streams are separate and the status is the command's" {
	run -7 --separate-stderr forge-vm run -i busybox -- \
		sh -c 'echo out; echo err >&2; exit 7'
	[ "$output" = out ]
	[ "$stderr" = err ]
	nothing_left
}

@test "run: 4 MB of anything come back as they were" {
	head -c 4194304 /dev/urandom >in
	status=0
	forge-vm run -i busybox -- sh -c 'cat; exit 7' <in >out 2>err ||
		status=$?
	[ "$status" = 7 ]
	cmp in out
	[ ! -s err ]
}

@test "run: death by signal is 128 and its number" {
	run -137 --separate-stderr forge-vm run -i busybox -- sh -c 'kill -9 $$'
	[ "$output" = '' ]
	[ "$stderr" = '' ]
}

@test "run: a missing image is 125 and one line" {
	run -125 --separate-stderr forge-vm run -i nope -- true
	[ "$output" = '' ]
	[ "$stderr" = "forge-vm: no image 'nope'; there is busybox" ]
	nothing_left
}

@test "run: a missing command is 127, one that cannot be executed 126" {
	run -127 --separate-stderr forge-vm run -i busybox -- nosuch
	[ "$output" = '' ]
	[ "$stderr" = "forge-vm: cannot execute 'nosuch': No such file or directory" ]
	run -126 --separate-stderr forge-vm run -i busybox -- /etc/passwd
	[ "$output" = '' ]
	[ "$stderr" = "forge-vm: cannot execute '/etc/passwd': Permission denied" ]
}

@test "run: options of the command are the command's" {
	run -0 --separate-stderr forge-vm run -i busybox -- echo -n --image x
	[ "$output" = '--image x' ]
	[ "$stderr" = '' ]
}

@test "run: environment, directory and user" {
	run -0 --separate-stderr forge-vm run -i busybox -e A=1 -e 'B=x y' \
		-w /tmp -u 1000:100 -- sh -c 'echo "$A|$B|$PWD|$(id -u):$(id -g)"'
	[ "$output" = '1|x y|/tmp|1000:100' ]
	[ "$stderr" = '' ]
	run -2 --separate-stderr forge-vm run -i busybox -e =x -- true
	[ "${stderr_lines[0]}" = "forge-vm: --env: '=x' is not NAME=VALUE" ]
}

@test "run: secrets come by --env-fd, after --notify-fd said ready" {
	mkfifo secret ready
	forge-vm run -i busybox --env-fd 3 --notify-fd 4 -- \
		sh -c 'echo "$TOKEN"; grep -c s3cret /proc/cmdline; true' \
		3<secret 4>ready >out 2>err &
	pid=$!
	exec 5>secret
	read -r name <ready
	# It is up, and waits: now the secret is made.
	[[ "$name" == vm-* ]]
	printf 'TOKEN=s3cret\0OTHER=x\0' >&5
	exec 5>&-
	wait "$pid"
	[ "$(cat out)" = $'s3cret\n0' ]
	[ ! -s err ]
	[ -z "$(grep -rl s3cret "$FORGE_STATE")" ]
}

@test "run: a reader that goes away ends the command by SIGPIPE" {
	run -0 bash -c 'forge-vm run -i busybox -- yes 2>err | head -n 1
		echo "${PIPESTATUS[0]}"'
	[ "${lines[0]}" = y ]
	[ "${lines[1]}" = 141 ]
	[ ! -s err ]
}

@test "run: output that cannot be written is told" {
	status=0
	forge-vm run -i busybox -- echo lost >/dev/full 2>err || status=$?
	[ "$status" != 0 ]
	[ "$(cat err)" = 'forge-vm: cannot write to stdout: No space left on device' ]
}

@test "run: a command that reads nothing does not wait for its stdin" {
	run -0 bash -c 'yes | forge-vm run -i busybox -- true'
	[ "$output" = '' ]
}

@test "run: TERM reaches the command, which may answer" {
	mkfifo ready
	forge-vm run -i busybox --notify-fd 4 -- sh -c \
		'trap "echo got it; exit 9" TERM; echo go; while :; do sleep 0.1; done' \
		4>ready >out 2>err &
	pid=$!
	read -r _ <ready
	wait_until 60 grep -q go out
	kill -TERM "$pid"
	status=0
	wait "$pid" || status=$?
	[ "$status" = 9 ]
	[ "$(cat out)" = $'go\ngot it' ]
	nothing_left
}

@test "run: TERM while it waits for --env-fd ends it at once" {
	mkfifo secret ready
	forge-vm run -i busybox --env-fd 3 --notify-fd 4 -- true \
		3<>secret 4>ready >out 2>err &
	pid=$!
	read -r _ <ready
	sleep 0.2
	kill -TERM "$pid"
	SECONDS=0 status=0
	wait "$pid" || status=$?
	[ "$status" = 143 ]
	[ "$SECONDS" -lt 5 ]
	[ ! -s out ]
	[ ! -s err ]
	nothing_left
}

@test "run: --timeout ends a command that takes longer" {
	run -5 --separate-stderr forge-vm run -i busybox --timeout 1s -- sleep 60
	[ "$output" = '' ]
	[ "$stderr" = 'forge-vm: the command took longer than --timeout' ]
	nothing_left
}

@test "run: a name is taken once" {
	background log forge-vm run -i busybox -n one -- sleep 60
	wait_until 60 forge-vm wait --for ready one
	run -125 --separate-stderr forge-vm run -i busybox -n one -- true
	[ "$output" = '' ]
	[ "$stderr" = "forge-vm: a VM named 'one' runs" ]
}

@test "run: forge.max-vms is a limit" {
	git config -f "$FORGE_STATE/config" forge.max-vms 0
	run -125 --separate-stderr forge-vm run -i busybox -- true
	[ "$output" = '' ]
	[ "$stderr" = 'forge-vm: 0 VMs run and forge.max-vms is 0' ]
	nothing_left
}

@test "run: --net none has no interface but lo" {
	run -0 --separate-stderr forge-vm run -i busybox --net none -- \
		ls /sys/class/net
	[ "$output" = lo ]
	[ "$stderr" = '' ]
}

@test "run: the guest has its own address, name and time" {
	run -0 --separate-stderr forge-vm run -i busybox -n box -- sh -c \
		'hostname; ip -o -4 addr show eth0 | cut -d" " -f7; date +%Y'
	[ "${lines[0]}" = box ]
	[ "${lines[1]}" = 10.127.0.16/16 ]
	[ "${lines[2]}" = "$(date +%Y)" ]
}

look_again() {
	forge-vm fsck >fsck.log && nothing_left
}

@test "run: kill -9 leaves nothing once somebody has looked" {
	for moment in 0 0.02 0.1 0.5 ready ready ready ready ready ready; do
		forge-vm run -i busybox -n dead -- sleep 60 >/dev/null 2>&1 3>&- &
		pid=$!
		case $moment in
		ready) wait_until 60 forge-vm wait --for ready dead 2>/dev/null ;;
		*) sleep "$moment" ;;
		esac
		kill -9 "$pid"
		wait "$pid" || true
		# A child that it was just making may hold its lock a moment.
		wait_until 60 look_again
	done
}

@test "run: kill -9 of the hypervisor is 125 and one line" {
	for _ in 1 2 3; do
		forge-vm run -i busybox -n dead -- sleep 60 >out 2>err 3>&- &
		pid=$!
		wait_until 60 forge-vm wait --for ready dead 2>/dev/null
		kill -9 "$(pgrep -P "$pid" -x forge-dead)"
		status=0
		wait "$pid" || status=$?
		[ "$status" = 125 ]
		[ ! -s out ]
		[ "$(cat err)" = 'forge-vm: the hypervisor ended with status 137' ] ||
			[ "$(cat err)" = 'forge-vm: the VM ended before the command did' ]
		nothing_left
	done
}

@test "run: works as an ordinary user" {
	[ "$(id -u)" = 0 ] || skip "we are one already"
	chmod 755 "$BATS_RUN_TMPDIR" "$BATS_TEST_TMPDIR" 2>/dev/null || true
	dir=$(mktemp -d /tmp/forge-user.XXXXXX)
	cp -r "$FORGE_STATE" "$dir/state"
	cp -r "$BUILD/bin" "$BUILD/libexec" "$dir/"
	chown -R 65534:65534 "$dir"
	run -3 --separate-stderr setpriv --reuid 65534 --regid 65534 \
		--clear-groups env FORGE_STATE="$dir/state" \
		"$dir/bin/forge-vm" run -i busybox -- sh -c 'id -u; exit 3'
	[ "$output" = 0 ]
	[ "$stderr" = '' ]
	rm -rf "$dir"
}
