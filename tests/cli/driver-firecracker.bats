#!/usr/bin/env bats
# What any driver must do: the contract of a place, from the outside.  The file
# goes by as many names as there are drivers (links), and the name says which
# one is put through it; DRIVER=NAME tries another.  A hypervisor that is not
# installed, or needs KVM where that does not work, is skipped and says so;
# "fake-NAME" is driver NAME with the stand-in of its hypervisor.

# Tests are subshells, run sets stderr, a dollar in quotes is for sh, and "!"
# would not end a test.
# shellcheck disable=SC2016,SC2030,SC2031,SC2143,SC2154

load lib
load images

setup_file() {
	local name=${BATS_TEST_FILENAME##*/driver-}
	export LIB_DRIVER=${DRIVER:-${name%.bats}} LIB_WHY=''
	export LIB_FAKE=''
	case $LIB_DRIVER in
	fake-*)
		LIB_DRIVER=${LIB_DRIVER#fake-}
		LIB_FAKE=$BATS_TEST_DIRNAME/../fake/vmm ;;
	esac
	common_setup
	export LIB_STATE=$FORGE_STATE PATH=${LIB_FAKE:+$LIB_FAKE:}$PATH
	fit || return 0
	use_image busybox
	forge-vm start --driver "$LIB_DRIVER" -i busybox --net none -n shared \
		>/dev/null 3>&- 4>&-
}

teardown_file() {
	export FORGE_STATE=$LIB_STATE
	[ -n "$LIB_WHY" ] || forge-vm destroy shared
	common_teardown
}

# fit: sets LIB_WHY to what keeps the driver from being used here
fit() {
	local caps program
	caps=$(driver-"$LIB_DRIVER" caps)
	program=$(jq -r .program <<<"$caps")
	[ "$program" != null ] ||
		LIB_WHY="the program of $LIB_DRIVER is not in PATH"
	case $LIB_DRIVER/$LIB_FAKE in
	cloud-hypervisor/ | firecracker/)
		[ -n "$LIB_WHY" ] || kvm_works || LIB_WHY="KVM does not work here" ;;
	esac
	[ -z "$LIB_WHY" ]
}

kvm_works() {
	use_image busybox
	forge-vm doctor -q 'select(.check == "kvm-boot") | .status' |
		grep -qx ok
}

setup() {
	common_setup
	[ -z "$LIB_WHY" ] || skip "$LIB_WHY"
	export FORGE_STATE=$LIB_STATE PATH=${LIB_FAKE:+$LIB_FAKE:}$PATH
}

teardown() { common_teardown; }

# place [OPTION...] -- CMD...: in a VM of its own
place() { forge-vm run --driver "$LIB_DRIVER" -i busybox --net none "$@"; }

# Likewise, and $! is forge-vm's
exec_place() {
	exec forge-vm run --driver "$LIB_DRIVER" -i busybox --net none "$@"
}

# inside CMD...: in the VM that all share
inside() { forge-vm exec shared -- "$@"; }

# ended PID: no process, or one that nobody has waited for
ended() { [[ "$(ps -o stat= -p "$1")" =~ ^(Z.*)?$ ]]; }

# nothing_left NAME
nothing_left() {
	[ -z "$(forge-vm list -q "select(.name == \"$1\").name")" ]
	[ ! -e "$FORGE_STATE/vm/$1" ]
	[ -z "$(forge-vm fsck -n)" ]
}

@test "boots, runs a command, and nothing is left" {
	run -0 --separate-stderr place -n one -- sh -c 'echo $$; hostname'
	[ "${lines[1]}" = one ]
	[ "${lines[0]}" -gt 1 ]
	[ "$stderr" = '' ]
	nothing_left one
}

@test "forge-init is the first process, and commands are root" {
	run -0 inside sh -c 'tr "\0" "\n" </proc/1/cmdline | head -n 1; id -u'
	[[ "${lines[0]}" =~ init$ ]]
	[ "${lines[1]}" = 0 ]
}

@test "the status is the command's" {
	inside true
	run -1 --separate-stderr inside false
	[ "$output$stderr" = '' ]
	run -7 --separate-stderr inside sh -c 'exit 7'
	[ "$output$stderr" = '' ]
	run -255 inside sh -c 'exit 255'
	for sig in 1 6 9 15; do
		run -$((128 + sig)) --separate-stderr inside \
			sh -c "kill -$sig \$\$"
		[ "$output$stderr" = '' ]
	done
	run -3 place -- sh -c 'exit 3'
}

@test "126 and 127 are commands that cannot be executed" {
	run -127 --separate-stderr inside nosuch
	[ "$output" = '' ]
	[ "$stderr" = "forge-vm: cannot execute 'nosuch': No such file or directory" ]
	run -126 --separate-stderr inside /etc/passwd
	[ "$output" = '' ]
	[ "$stderr" = "forge-vm: cannot execute '/etc/passwd': Permission denied" ]
	run -127 place -- nosuch
}

@test "125 is a place that did not come up" {
	run -125 --separate-stderr place -n late --boot-timeout 1ms -- true
	[ "$output" = '' ]
	[ "$stderr" = 'forge-vm: the guest was not ready within 1ms (--boot-timeout)' ]
	nothing_left late
}

@test "stdin, stdout and stderr are three" {
	run -0 --separate-stderr bash -c 'echo in | forge-vm exec shared -- \
		sh -c "cat; echo out; echo err >&2"'
	[ "$output" = $'in\nout' ]
	[ "$stderr" = err ]
	run -0 inside sh -c 'cat; echo end' </dev/null
	[ "$output" = end ]
}

@test "1 MiB of anything goes in and comes out as it was" {
	head -c 1048576 /dev/urandom >in
	inside sh -c 'cat >/tmp/in; sha256sum </tmp/in' <in >sum
	[ "$(cut -c-64 sum)" = "$(sha256sum <in | cut -c-64)" ]
	inside cat /tmp/in >out
	cmp in out
	inside sh -c 'cat; cat /tmp/in >&2; rm /tmp/in' <in >out 2>err
	cmp in out
	cmp in err
}

@test "eight commands at once" {
	for i in 1 2 3 4 5 6 7 8; do
		inside sh -c "sleep 0.3; echo $i; exit $i" >"out$i" 3>&- &
		pids[i]=$!
	done
	for i in 1 2 3 4 5 6 7 8; do
		status=0
		wait "${pids[i]}" || status=$?
		[ "$status" = "$i" ]
		[ "$(cat "out$i")" = "$i" ]
	done
}

@test "a terminal, when it is asked for" {
	run -0 inside sh -c 'tty; true'
	[ "$output" = 'not a tty' ]
	run -5 script -qec "forge-vm exec -t shared -- sh -c 'tty; exit 5'" \
		/dev/null </dev/null
	[[ "$output" =~ /dev/pts/[0-9] ]]
}

@test "signals reach the command" {
	for sig in TERM INT HUP USR1; do
		env --default-signal="$sig" forge-vm exec shared -- sh -c "trap 'echo $sig; exit 9' $sig; echo go
			while :; do sleep 0.1; done" >"$sig" 3>&- &
		pid=$!
		wait_until 60 grep -q go "$sig"
		kill -"$sig" "$pid"
		status=0
		wait "$pid" || status=$?
		[ "$status" = 9 ]
		[ "$(cat "$sig")" = $'go\n'"$sig" ]
	done
}

@test "the environment of the caller stays outside" {
	export SECRET=s3cret
	run -0 inside sh -c 'env; cat /proc/*/environ | tr "\0" "\n"'
	[ -z "$(grep s3cret <<<"$output")" ]
	grep -q '^HOME=/root$' <<<"$output"
	run -0 forge-vm exec -e A=b shared -- sh -c 'echo "$A"'
	[ "$output" = b ]
}

@test "kill -9 of the supervisor takes everything along" {
	for round in 1 2 3; do
		exec_place -n dead -- sleep "31415$round" >out 2>err 3>&- &
		pid=$!
		wait_until 60 forge-vm wait --for ready dead 2>/dev/null
		hypervisor=$(pgrep -P "$pid" | head -n 1)
		[ -n "$hypervisor" ]
		kill -9 "$pid"
		wait "$pid" || true
		wait_until 60 ended "$hypervisor"
		wait_until 60 bash -c "[ -z \"\$(pgrep -fx 'sleep 31415$round')\" ]"
		forge-vm fsck >fsck.log
		nothing_left dead
	done
}

@test "kill -9 of what it runs in is 125 and one line" {
	exec_place -n dead -- sleep 314159 >out 2>err 3>&- &
	pid=$!
	wait_until 60 forge-vm wait --for ready dead 2>/dev/null
	kill -9 "$(pgrep -P "$pid" | head -n 1)"
	status=0
	wait "$pid" || status=$?
	[ "$status" = 125 ]
	[ ! -s out ]
	[ "$(wc -l <err)" = 1 ]
	wait_until 60 bash -c "[ -z \"\$(pgrep -fx 'sleep 314159')\" ]"
	nothing_left dead
}

@test "stop: processes get TERM, then it is gone; its log stays" {
	forge-vm start --driver "$LIB_DRIVER" -i busybox --net none -n brief \
		>/dev/null 3>&- 4>&-
	inside_brief="trap 'echo bye; exit 0' TERM; echo go
		while :; do sleep 0.1; done"
	forge-vm exec brief -- sh -c "$inside_brief" >out 2>err 3>&- &
	pid=$!
	wait_until 60 grep -q go out
	run -0 --separate-stderr forge-vm stop brief
	[ "$output$stderr" = '' ]
	wait "$pid" || true
	[ "$(forge-vm show brief -q .state)" = stopped ]
	run -0 forge-vm logs brief
	run -125 forge-vm exec brief -- true
	forge-vm destroy brief
	nothing_left brief
}

@test "two at once do not see each other" {
	place -n two -- sh -c 'echo two >/tmp/mine; hostname; sleep 60' >out \
		3>&- &
	pid=$!
	wait_until 60 grep -q two out
	run -0 place -n three -- sh -c 'hostname; ls /tmp/mine 2>&1; ps'
	[ "${lines[0]}" = three ]
	[[ "${lines[1]}" =~ 'No such file' ]]
	[ -z "$(grep 'sleep 60' <<<"$output")" ]
	run -0 --separate-stderr forge-vm destroy two
	wait "$pid" || true
	nothing_left two
}

@test "network none: nothing but lo, and no way to the host" {
	background log python3 -m http.server --bind 127.0.0.1 31416
	wait_until 60 curl -sfo /dev/null http://127.0.0.1:31416/
	run -0 inside sh -c 'sed 1,2d /proc/net/dev | cut -d: -f1 | tr -d " "
		wc -l </proc/net/route
		wget -qO- http://127.0.0.1:31416/ 2>/dev/null; echo $?'
	[ "$output" = $'lo\n1\n1' ]
}

@test "what is written is above the image, and gone at the end" {
	sum=$(cd "$FORGE_STATE/image/busybox" && find . -type f -exec \
		sha256sum {} + | sort | sha256sum)
	run -0 place -- sh -c 'echo x >/bin/new && rm /bin/vi && rm -r /mnt &&
		mkdir /mnt && echo y >/etc/passwd && ls -a /mnt && cat /bin/new'
	[ "${lines[-1]}" = x ]
	[ "${#lines[@]}" = 3 ]
	run -0 place -- sh -c 'ls /bin/vi; test -e /bin/new; echo $?; id -un'
	[ "$output" = $'/bin/vi\n1\nroot' ]
	[ "$sum" = "$(cd "$FORGE_STATE/image/busybox" && find . -type f -exec \
		sha256sum {} + | sort | sha256sum)" ]
}

@test "a guest that fills its disk harms itself only" {
	run -0 --separate-stderr place -m 256M -- sh -c \
		'dd if=/dev/zero of=/tmp/big bs=1M; echo $?; rm /tmp/big
		echo still here'
	[ "$output" = $'1\nstill here' ]
	[[ "$stderr" =~ 'No space left' ]]
}
