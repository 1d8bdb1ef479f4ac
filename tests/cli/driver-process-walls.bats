#!/usr/bin/env bats
# The driver process beyond the common contract (driver-process.bats): its
# walls, whose files are whose, and the unpacked root of an image.

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

place() { forge-vm run --driver process -i busybox "$@"; }

# ordinary CMD...: as a user that is nobody special, with a state of its own
ordinary() {
	dir=$(mktemp -d /tmp/forge-user.XXXXXX)
	cp -r "$FORGE_STATE" "$dir/state"
	cp -r "$BUILD/bin" "$BUILD/libexec" "$dir/"
	rm -rf "$dir/state/image/busybox/tree"
	chown -R 65534:65534 "$dir"
	setpriv --reuid 65534 --regid 65534 --clear-groups \
		env FORGE_STATE="$dir/state" "$dir/bin/forge-vm" "$@" ||
		status=$?
}

@test "process: no privileges to gain, few capabilities, a filter" {
	run -0 place -- grep -E '^(Cap(Prm|Eff|Bnd)|NoNewPrivs|Seccomp):' \
		/proc/self/status
	[ "$output" = "CapPrm:	00000000800405fb
CapEff:	00000000800405fb
CapBnd:	00000000800405fb
NoNewPrivs:	1
Seccomp:	2" ]
}

@test "process: no namespaces, mounts or devices of its own" {
	run -0 place -- sh -c 'for flag in -U -m -n -p -i -u; do
			unshare $flag true 2>/dev/null && echo "$flag"
		done
		mount -t tmpfs none /mnt 2>/dev/null && echo mount
		mknod /tmp/sda b 8 0 2>/dev/null && echo mknod
		echo x 2>/dev/null >/proc/sysrq-trigger && echo sysrq
		echo 1 2>/dev/null >/proc/sys/kernel/panic && echo sysctl
		swapoff -a 2>/dev/null && echo swapoff
		dmesg >/dev/null 2>&1 && echo dmesg
		hostname other 2>/dev/null && echo hostname
		echo done'
	[ "$output" = done ]
}

@test "process: system calls that reach around the walls are refused" {
	cat >calls.c <<'END'
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <termios.h>
#include <unistd.h>

#define SAY(call) \
	(errno = 0, (void)(call), printf("%s %s\n", #call, strerror(errno)))

int main(void)
{
	SAY(socket(40, SOCK_STREAM, 0));
	SAY(socket(38, SOCK_SEQPACKET, 0));
	SAY(syscall(SYS_clone, CLONE_NEWUSER | 17, 0, 0, 0, 0));
	SAY(syscall(SYS_clone3, "", 64));
	SAY(syscall(SYS_bpf, 0, "", 0));
	SAY(syscall(SYS_keyctl, 0, -3, 0));
	SAY(syscall(SYS_io_uring_setup, 1, ""));
	SAY(syscall(SYS_perf_event_open, "", 0, -1, -1, 0));
	SAY(syscall(SYS_open_by_handle_at, -100, "", 0));
	SAY(syscall(SYS_setns, 0, 0));
	SAY(ioctl(0, TIOCSTI, "x"));
	SAY(close(socket(AF_INET, SOCK_STREAM, 0)));
	return 0;
}
END
	musl-gcc -static -D_GNU_SOURCE -o calls calls.c
	run -0 --separate-stderr bash -c 'forge-vm run --driver process \
		-i busybox -- sh -c "cat >/tmp/c; chmod +x /tmp/c; /tmp/c" <calls'
	[ "$(sed -E 's/.*\) //' <<<"$output" | uniq -c | tr -s ' ')" = \
		" 2 Address family not supported by protocol
 1 Operation not permitted
 1 Function not implemented
 7 Operation not permitted
 1 No error information" ]
}

@test "process: nothing of the host's processes, files and sockets" {
	run -0 place -- sh -c 'ls /proc | grep -c "^[0-9]"
		cut -d" " -f5 /proc/self/mountinfo | sort | tr "\n" " "; echo
		wc -l </proc/net/unix; ls -d /sys/*; true'
	[ "${lines[0]}" -le 4 ]
	[ -z "$(tr ' ' '\n' <<<"${lines[1]}" | grep -vE '^(/|/dev(/(full|null|pts|random|shm|tty|urandom|zero))?|/proc(/.*)?|/run(/forge-init)?|/tmp|)$')" ]
	[ "${lines[2]}" -le 2 ]
	[[ "${lines[3]}" =~ 'No such file' ]]
}

@test "process: forge-init cannot be written by its place" {
	run -0 place -- sh -c 'echo x 2>/dev/null >/run/forge-init && echo file
		echo x 2>/dev/null >/proc/1/exe && echo exe
		rm /run/forge-init 2>/dev/null && echo rm
		/run/forge-init --version'
	[ "$output" = "forge-init $(forge-vm --version | cut -d' ' -f2)" ]
}

@test "process: root there is nobody here" {
	[ "$(id -u)" = 0 ] || skip 'only root has users to give'
	place -n mapped -- sh -c 'echo ready; sleep 271828' >out 3>&- &
	wait_until 60 grep -q ready out
	pid=$(pgrep -fx 'sleep 271828')
	[ "$(stat -c %u:%g "/proc/$pid")" = 1879048192:1879048192 ]
	forge-vm destroy mapped
	wait
	run -0 place -u 33:34 -- sh -c 'touch /tmp/x; stat -c %u:%g /tmp/x
		grep CapEff /proc/self/status; ls /root; true'
	[ "${lines[0]}" = 33:34 ]
	[ "${lines[1]}" = 'CapEff:	0000000000000000' ]
	[[ "${lines[2]}" =~ 'Permission denied' ]]
	[ "$(stat -c %u "$FORGE_STATE/image/busybox/tree/bin/busybox")" = \
		1879048192 ]
}

@test "process: works as an ordinary user" {
	[ "$(id -u)" = 0 ] || skip 'we are one already'
	status=0
	ordinary run --driver process -i busybox -- sh -c 'id -u
		echo x >/bin/new; cat /bin/new; rm -r /usr; mkdir /usr
		ls -a /usr | wc -l; exit 3' >out 2>err
	[ "$status" = 3 ]
	[ "$(cat out)" = $'0\nx\n2' ]
	[ ! -s err ]
	[ "$(find "$dir/state" ! -uid 65534)" = '' ]
	rm -rf "$dir"
}

@test "process: a user that cannot be there is 126" {
	[ "$(id -u)" = 0 ] || skip 'needs another user'
	status=0
	ordinary run --driver process -i busybox -u 33 -- true >out 2>err
	[ "$status" = 126 ]
	[ ! -s out ]
	[ "$(cat err)" = "forge-vm: cannot execute 'true': Operation not permitted" ]
	rm -rf "$dir"
}

@test "process: no user namespaces is one line" {
	[ "$(id -u)" = 0 ] || skip 'needs root to forbid them'
	run -125 --separate-stderr unshare -Ur sh -c \
		'echo 0 >/proc/sys/user/max_user_namespaces || exit 77
		exec forge-vm run --driver process -i busybox -- true'
	[ "$output" = '' ]
	[ "$stderr" = 'forge-vm: the hypervisor ended with status 1: driver-process: cannot make a user namespace (see `forge-vm doctor`): No space left on device' ]
}

@test "process: the network none is the default" {
	run -0 place -- sh -c 'sed 1,2d /proc/net/dev | wc -l'
	[ "$output" = 1 ]
	run -2 --separate-stderr forge-vm run --driver firecracker \
		-i busybox --net user -- true
	[ "$output" = '' ]
	[ "${stderr_lines[0]}" = "forge-vm: driver 'firecracker' has no network 'user'; it has: none" ]
}

@test "process: vm.driver makes it the driver of all" {
	git config -f "$FORGE_STATE/config" vm.driver process
	[ "$(forge-vm start -i busybox -n light 3>&- 4>&-)" = light ]
	[ "$(forge-vm show light -q .driver)" = process ]
	[ "$(forge-vm show light -q .net)" = none ]
	forge-vm destroy light
	run -125 --separate-stderr forge-vm run --driver nosuch -i busybox -- true
	[[ "$stderr" =~ 'driver-nosuch' ]]
}

@test "process: the root is unpacked once, and killed at any time" {
	tree=$FORGE_STATE/image/busybox/tree
	forge-vm plan --driver process -i busybox >plan
	grep -qx '# files: image/busybox/tree, unpacked once' plan
	[ ! -e "$tree" ]
	for after in 0.005 0.01 0.02 0.03 0.05; do
		place -- true 3>&- &
		sleep "$after"
		kill -9 $! 2>/dev/null || true
		wait $! 2>/dev/null || true
		forge-vm fsck >/dev/null
		place -- true
		[ ! -e "$FORGE_STATE/image/busybox/.tree" ]
		rm -rf "$tree"
	done
	mkdir -p "$FORGE_STATE/image/busybox/.tree/bin"
	run -0 forge-vm fsck -n
	[ "$output" = "image 'busybox': unpacking broke off: removed" ]
	run -0 forge-vm fsck
	[ "$output" = "image 'busybox': unpacking broke off: removed" ]
	[ -z "$(forge-vm fsck -n)" ]
	for i in 1 2 3 4; do
		place -- true 3>&- &
		pids[i]=$!
	done
	for i in 1 2 3 4; do
		wait "${pids[i]}"
	done
	before=$(stat -c %i "$tree")
	place -- true
	[ "$(stat -c %i "$tree")" = "$before" ]
	[ -z "$(grep -c unpacked <<<"$(forge-vm plan --driver process \
		-i busybox)" | grep -v '^0$')" ]
	forge-vm image rm busybox
	[ ! -e "$FORGE_STATE/image/busybox" ]
}

@test "process: without bwrap it says what to install" {
	mkdir bin
	for tool in fsck.erofs sh; do
		ln -s "$(PATH=$PATH:/usr/sbin command -v "$tool")" bin/
	done
	run -125 --separate-stderr env PATH="$PWD/bin" \
		"$BUILD/bin/forge-vm" run --driver process -i busybox -- true
	[ "$output" = '' ]
	[ "$stderr" = 'forge-vm: the hypervisor ended with status 3: driver-process: no bwrap in PATH: install bubblewrap' ]
}
